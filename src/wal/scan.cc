// SPDX-License-Identifier: Apache-2.0
#include "wal/scan.h"

#include <algorithm>

#include "base/crc.h"

namespace quorate::wal {
namespace {

constexpr size_t kReadBytes = 1024 * 1024;
// What is read again piece by piece when a large read fails.
constexpr size_t kSectorBytes = 4096;

std::string_view part(std::string_view bytes, uint64_t at, uint64_t size) {
  return at >= bytes.size() ? std::string_view() : bytes.substr(at, size);
}

bool matches(const std::optional<BatchHeader>& header, const SegmentBytes& segment, uint64_t log) {
  return header.has_value() && header->segment == segment.number &&
         (log == 0 || header->log == log);
}

std::optional<FoundBatch> head_at(const SegmentBytes& segment, uint64_t log, uint64_t at) {
  const std::string_view bytes(segment.bytes);
  const auto header = decode_header(part(bytes, at, kHeaderBytes), Edge::kHead);
  if (!matches(header, segment, log)) {
    return std::nullopt;
  }
  FoundBatch found{*header, at, false, true};
  const auto tail =
      decode_header(part(bytes, found.end() - kHeaderBytes, kHeaderBytes), Edge::kTail);
  found.tail_damaged = tail != header;
  return found;
}

std::optional<FoundBatch> tail_at(const SegmentBytes& segment, uint64_t log, uint64_t at,
                                  uint64_t from) {
  const auto header = decode_header(part(segment.bytes, at, kHeaderBytes), Edge::kTail);
  if (!matches(header, segment, log) || header->total_bytes() > at + kHeaderBytes ||
      at + kHeaderBytes - header->total_bytes() < from) {
    return std::nullopt;
  }
  return FoundBatch{*header, at + kHeaderBytes - header->total_bytes(), true, false};
}

// What the file does not give is zeros.
void read_by_sector(env::File& file, uint64_t offset, std::span<char> out, size_t& unreadable) {
  for (size_t at = 0; at < out.size(); at += kSectorBytes) {
    const size_t size = std::min(kSectorBytes, out.size() - at);
    const auto got = file.read(offset + at, out.subspan(at, size));
    if (!got.ok() || *got < size) {
      std::fill_n(out.begin() + static_cast<ptrdiff_t>(at), size, '\0');
      unreadable += size;
    }
  }
}

}  // namespace

Result<SegmentBytes> load_segment(env::File& file, uint32_t number, std::string memory) {
  const auto size = file.size();
  RETURN_IF_ERROR(size);
  SegmentBytes segment;
  segment.number = number;
  segment.bytes = std::move(memory);
  segment.bytes.resize(*size);
  const std::span<char> all(segment.bytes);
  for (uint64_t at = 0; at < *size; at += kReadBytes) {
    const auto piece = all.subspan(at, std::min<uint64_t>(kReadBytes, *size - at));
    const auto got = file.read(at, piece);
    if (!got.ok() || *got < piece.size()) {
      read_by_sector(file, at, piece, segment.unreadable_bytes);
    }
  }
  return segment;
}

std::optional<FoundBatch> next_batch(const SegmentBytes& segment, uint64_t log, uint64_t from) {
  const std::string_view bytes(segment.bytes);
  const std::string_view common = magic_of(Edge::kHead).substr(0, 2);
  for (size_t at = from; at < bytes.size(); ++at) {
    at = bytes.find(common, at);
    if (at == std::string_view::npos) {
      break;
    }
    if (auto found = head_at(segment, log, at)) {
      return found;
    }
    if (auto found = tail_at(segment, log, at, from)) {
      return found;
    }
  }
  return std::nullopt;
}

BatchScan::BatchScan(const SegmentBytes& segment, const FoundBatch& batch)
    : directory_bytes_(batch.header.directory_bytes),
      seed_(seed_of(batch.header.log, batch.header.number)) {
  const std::string_view bytes(segment.bytes);
  const BatchHeader& header = batch.header;
  copies_[0] = part(bytes, batch.at + kHeaderBytes, header.directory_bytes);
  copies_[1] = part(bytes, batch.at + header.directory_again_at(), header.directory_bytes);
  payloads_ = part(bytes, batch.at + header.payloads_at(), header.payload_bytes);
}

bool BatchScan::next(Item& item) {
  item_at_ = next_at_;
  const size_t size = decode_item(copies_, next_at_, seed_, item);
  if (size == 0) {
    ended_ = true;
    return false;
  }
  next_at_ += static_cast<uint32_t>(size);
  repaired_ = repaired_ || part(copies_[0], item_at_, size) != part(copies_[1], item_at_, size);
  return true;
}

std::string_view BatchScan::payload(const ItemRecord& record) const {
  return part(payloads_, record.offset, record.bytes);
}

bool BatchScan::payload_good(const ItemRecord& record) const {
  const std::string_view bytes = payload(record);
  return bytes.size() == record.bytes && crc32c(bytes) == record.crc;
}

bool one_bit_off(std::string_view bytes, uint32_t crc) {
  // A flipped bit changes the checksum by a pattern that depends on its distance from the end
  // alone: the polynomial, shifted once more for each bit further away.
  constexpr uint32_t kPolynomialReversed = 0x82f63b78;
  const uint32_t change = crc32c(bytes) ^ crc;
  uint32_t pattern = 1;
  for (uint64_t bit = 0; bit < uint64_t{bytes.size()} * 8; ++bit) {
    pattern = (pattern >> 1) ^ ((pattern & 1) != 0 ? kPolynomialReversed : 0);
    if (pattern == change) {
      return true;
    }
  }
  return false;
}

}  // namespace quorate::wal
