// SPDX-License-Identifier: Apache-2.0
#include "cli/backup/backup_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/codec.h"
#include "base/crc.h"

namespace quorate::cli {
namespace {

constexpr std::string_view kBackupMagic = "QRBACKUP";
constexpr std::string_view kChangeMagic = "QRCHANGE";
static_assert(kBackupMagic.size() == kChangeMagic.size());
constexpr size_t kHeadBytes = 1 + 4 + 4;
// A page holds one value of the greatest size at most beyond its target, and JSON makes it larger.
constexpr uint32_t kBodyBytesMax = 64 * 1024 * 1024;

std::string part_of(const std::string& path) { return path + ".part"; }

Status failed(const std::string& what) {
  return Status(Code::kUnavailable, what + ": " + std::strerror(errno));
}

uint32_t checksum(std::string_view kind_and_length, std::string_view body) {
  return crc32c(body, crc32c(kind_and_length));
}

Status write_bytes(std::FILE* file, std::string_view bytes, const std::string& path) {
  return std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size()
             ? Status::success()
             : failed("cannot write " + path);
}

Status write_block(std::FILE* file, const Block& block, const std::string& path) {
  std::string head;
  Writer writer(head);
  writer.u8(static_cast<uint8_t>(block.kind));
  writer.u32(static_cast<uint32_t>(block.body.size()));
  writer.u32(checksum(head, block.body));
  RETURN_IF_ERROR(write_bytes(file, head, path));
  return write_bytes(file, block.body, path);
}

Status make_durable(std::FILE* file, const std::string& path) {
  return std::fflush(file) == 0 && ::fsync(::fileno(file)) == 0 ? Status::success()
                                                                : failed("cannot sync " + path);
}

}  // namespace

Result<BackupWriter> BackupWriter::open(const std::string& path) {
  File file(std::fopen(part_of(path).c_str(), "wb"));
  if (file == nullptr) {
    return failed("cannot write " + part_of(path));
  }
  RETURN_IF_ERROR(write_bytes(file.get(), kBackupMagic, part_of(path)));
  return BackupWriter(std::move(file), path);
}

Status BackupWriter::write(BlockKind kind, std::string_view body) {
  return write_block(file_.get(), {kind, std::string(body)}, part_of(path_));
}

Status BackupWriter::finish() {
  RETURN_IF_ERROR(make_durable(file_.get(), part_of(path_)));
  if (std::rename(part_of(path_).c_str(), path_.c_str()) != 0) {
    return failed("cannot finish " + path_);
  }
  return sync_directory(std::filesystem::path(path_).parent_path().string());
}

Result<ChangeWriter> ChangeWriter::open(const std::string& path) {
  File file(std::fopen(path.c_str(), "wbx"));
  if (file == nullptr) {
    return failed("cannot write " + path);
  }
  RETURN_IF_ERROR(write_bytes(file.get(), kChangeMagic, path));
  return ChangeWriter(std::move(file), path);
}

Status ChangeWriter::write(BlockKind kind, std::string_view body) {
  bytes_ += kHeadBytes + body.size();
  return write_block(file_.get(), {kind, std::string(body)}, path_);
}

Status ChangeWriter::sync() { return make_durable(file_.get(), path_); }

Result<BackupReader> BackupReader::open(const std::string& path) {
  File file(std::fopen(path.c_str(), "rb"));
  if (file == nullptr) {
    return Status(Code::kNotFound, "cannot read " + path);
  }
  char bytes[kBackupMagic.size()];
  const size_t read = std::fread(bytes, 1, sizeof(bytes), file.get());
  const std::string_view magic(bytes, read);
  if (magic != kBackupMagic && magic != kChangeMagic) {
    return Status(Code::kCorrupted, path + " is no backup");
  }
  return BackupReader(std::move(file), path, magic == kChangeMagic);
}

Status BackupReader::damaged(uint64_t at) const {
  return Status(Code::kCorrupted, path_ + " is damaged or cut off at byte " + std::to_string(at));
}

Result<std::optional<Block>> BackupReader::next() {
  const auto begin = static_cast<uint64_t>(std::ftell(file_.get()));
  char head[kHeadBytes];
  const size_t read = std::fread(head, 1, sizeof(head), file_.get());
  if (read == 0) {
    return std::optional<Block>();
  }
  Reader reader(std::string_view(head, read));
  const uint8_t kind = reader.u8();
  const uint32_t length = reader.u32();
  const uint32_t told = reader.u32();
  if (!reader.ok() || length > kBodyBytesMax) {
    return damaged(begin);
  }
  Block block{static_cast<BlockKind>(kind), std::string(length, '\0')};
  if (std::fread(block.body.data(), 1, length, file_.get()) != length ||
      checksum(std::string_view(head, 1 + 4), block.body) != told) {
    return damaged(begin);
  }
  return std::optional<Block>(std::move(block));
}

Status sync_directory(const std::string& directory) {
  const int opened = ::open(directory.empty() ? "." : directory.c_str(), O_RDONLY | O_DIRECTORY);
  const bool durable = opened >= 0 && ::fsync(opened) == 0;
  const Status status = durable ? Status::success() : failed("cannot sync " + directory);
  if (opened >= 0) {
    (void)::close(opened);
  }
  return status;
}

}  // namespace quorate::cli
