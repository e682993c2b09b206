// SPDX-License-Identifier: Apache-2.0
#include "wal/snapshot_file.h"

#include <algorithm>
#include <cstring>

#include "base/codec.h"
#include "base/crc.h"
#include "base/limits.h"

namespace quorate::wal {
namespace {

constexpr std::string_view kHeadMagic = "qSh\x01";
constexpr std::string_view kFootMagic = "qSf\x01";
constexpr uint32_t kSnapshotVersion = 1;
// How many blocks one read of the file takes.
constexpr uint64_t kBlocksAtOnce = 16;

Status damaged(const char* what) {
  return {Code::kCorrupted, std::string("a snapshot's ") + what + " cannot be read"};
}

uint32_t block_seed(uint64_t block, uint32_t seed) {
  char bytes[8];
  std::memcpy(bytes, &block, sizeof(bytes));
  return crc32c(std::string_view(bytes, sizeof(bytes)), seed);
}

// Exactly this many bytes, or an error. What the disk says of itself is passed on: that bytes could
// not be read now does not tell that they are damaged.
Status read_exactly(env::File& file, uint64_t at, std::span<char> out, const char* what) {
  const auto got = file.read(at, out);
  RETURN_IF_ERROR(got);
  return *got == out.size() ? Status::success() : damaged(what);
}

Result<uint32_t> read_foot(env::File& file, SnapshotInfo& info) {
  const auto size = file.size();
  RETURN_IF_ERROR(size);
  std::string bytes(kSnapshotFootBytes, '\0');
  if (*size < kSnapshotHeadBytes + kSnapshotFootBytes) {
    return damaged("foot");
  }
  RETURN_IF_ERROR(read_exactly(file, *size - kSnapshotFootBytes, bytes, "foot"));
  Reader in(std::string_view(bytes).substr(4));
  const uint32_t crc = in.u32();
  info.bytes = in.u64();
  const uint32_t body_crc = in.u32();
  const SnapshotLayout layout{info.header.size()};
  if (bytes.substr(0, 4) != kFootMagic ||
      crc != crc32c(std::string_view(bytes).substr(8), seed_of(info)) || info.bytes > *size ||
      layout.foot_at(info.bytes) + kSnapshotFootBytes != *size) {
    return damaged("foot");
  }
  return body_crc;
}

}  // namespace

uint32_t seed_of(const SnapshotInfo& info) {
  std::string bytes;
  Writer out(bytes);
  out.u32(info.group.value());
  out.u64(info.index.value());
  out.u64(info.term.value());
  return crc32c(bytes);
}

std::string encode_snapshot_head(const SnapshotInfo& info) {
  std::string bytes(kHeadMagic);
  Writer out(bytes);
  out.u32(0);
  out.u32(kSnapshotVersion);
  out.u32(static_cast<uint32_t>(info.header.size()));
  out.u32(info.group.value());
  out.u32(0);
  out.u64(info.index.value());
  out.u64(info.term.value());
  out.raw(info.header);
  const uint32_t crc = crc32c(std::string_view(bytes).substr(8));
  std::memcpy(bytes.data() + 4, &crc, sizeof(crc));
  return bytes;
}

void encode_block(std::string_view body, uint64_t block, uint32_t seed, std::string& out) {
  Writer writer(out);
  writer.u32(crc32c(body, block_seed(block, seed)));
  writer.raw(body);
}

bool block_good(std::string_view framed, uint64_t block, uint32_t seed) {
  Reader in(framed);
  const uint32_t crc = in.u32();
  return in.ok() && crc == crc32c(in.rest(), block_seed(block, seed));
}

std::string encode_snapshot_foot(const SnapshotInfo& info, uint32_t body_crc) {
  std::string bytes(kFootMagic);
  Writer out(bytes);
  out.u32(0);
  out.u64(info.bytes);
  out.u32(body_crc);
  out.u32(0);
  out.u64(info.index.value());
  const uint32_t crc = crc32c(std::string_view(bytes).substr(8), seed_of(info));
  std::memcpy(bytes.data() + 4, &crc, sizeof(crc));
  return bytes;
}

Result<SnapshotInfo> read_snapshot_head(env::File& file) {
  std::string bytes(kSnapshotHeadBytes, '\0');
  RETURN_IF_ERROR(read_exactly(file, 0, bytes, "head"));
  Reader in(std::string_view(bytes).substr(4));
  const uint32_t crc = in.u32();
  const uint32_t version = in.u32();
  const uint32_t header_bytes = in.u32();
  SnapshotInfo info;
  info.group = GroupId(in.u32());
  (void)in.u32();
  info.index = Index(in.u64());
  info.term = Term(in.u64());
  if (bytes.substr(0, 4) != kHeadMagic || header_bytes > limits::kSnapshotHeaderBytesMax) {
    return damaged("head");
  }
  info.header.resize(header_bytes);
  RETURN_IF_ERROR(read_exactly(file, kSnapshotHeadBytes, info.header, "head"));
  const uint32_t first = crc32c(std::string_view(bytes).substr(8));
  if (crc != crc32c(info.header, first)) {
    return damaged("head");
  }
  if (version != kSnapshotVersion) {
    return Status{Code::kInvalidArgument, "a snapshot of an unknown version"};
  }
  return info;
}

Result<GoodPart> read_good_part(env::File& file, const SnapshotInfo& info) {
  const auto size = file.size();
  RETURN_IF_ERROR(size);
  const SnapshotLayout layout{info.header.size()};
  const uint32_t seed = seed_of(info);
  GoodPart good;
  std::string framed(kBlockHeadBytes + kBlockBytes, '\0');
  for (uint64_t block = 0; layout.block_at(block + 1) <= *size; ++block) {
    const Status status = read_exactly(file, layout.block_at(block), framed, "block");
    if (!status.ok() || !block_good(framed, block, seed)) {
      break;
    }
    good.crc = crc32c(std::string_view(framed).substr(kBlockHeadBytes), good.crc);
    good.bytes += kBlockBytes;
  }
  return good;
}

Result<SnapshotInfo> verify_snapshot(env::File& file) {
  auto info = read_snapshot_head(file);
  RETURN_IF_ERROR(info);
  const auto body_crc = read_foot(file, *info);
  RETURN_IF_ERROR(body_crc);
  uint32_t crc = 0;
  for (uint64_t at = 0; at < info->bytes; at += kBlocksAtOnce * kBlockBytes) {
    const auto piece = read_body(file, *info, at, kBlocksAtOnce * kBlockBytes);
    RETURN_IF_ERROR(piece);
    crc = crc32c(*piece, crc);
  }
  if (crc != *body_crc) {
    return damaged("body");
  }
  return info;
}

Result<std::string> read_body(env::File& file, const SnapshotInfo& info, uint64_t offset,
                              size_t bytes_max) {
  if (offset >= info.bytes || bytes_max == 0) {
    return std::string();
  }
  const SnapshotLayout layout{info.header.size()};
  const uint32_t seed = seed_of(info);
  const uint64_t end = offset + std::min<uint64_t>(bytes_max, info.bytes - offset);
  std::string out;
  out.reserve(end - offset);
  uint64_t block = offset / kBlockBytes;
  const uint64_t block_end = SnapshotLayout::blocks_of(end);
  while (block < block_end) {
    const uint64_t last = std::min(block + kBlocksAtOnce, block_end);
    const uint64_t body_end = std::min(last * kBlockBytes, info.bytes);
    const uint64_t at = layout.block_at(block);
    std::string framed(layout.foot_at(body_end) - at, '\0');
    RETURN_IF_ERROR(read_exactly(file, at, framed, "body"));
    for (; block < last; ++block) {
      const std::string_view whole = std::string_view(framed).substr(layout.block_at(block) - at,
                                                                     kBlockHeadBytes + kBlockBytes);
      if (!block_good(whole, block, seed)) {
        return damaged("body");
      }
      const uint64_t begin = std::max(offset, block * kBlockBytes) - block * kBlockBytes;
      const uint64_t stop = std::min(end - block * kBlockBytes, uint64_t{kBlockBytes});
      out.append(whole.substr(kBlockHeadBytes + begin, stop - begin));
    }
  }
  return out;
}

}  // namespace quorate::wal
