// SPDX-License-Identifier: Apache-2.0
// The files of backups and archives: blocks, each with its checksum, one after the other; written
// and read with one block in memory. Format: docs/formats/backup.md.
//
//   file  = "QRBACKUP" or "QRCHANGE", block...
//   block = kind u8, length u32, crc32c u32 of kind, length and body; body (JSON)
#pragma once

#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace quorate::cli {

enum class BlockKind : char {
  kHeader = 'H',
  kKeyspace = 'K',
  kGroup = 'G',  // a group begins; what came of it before does not count
  kPage = 'P',
  kComplete = 'C',  // the group is complete
  kIndex = 'I',
  kEnd = 'E',
  // Of the files of changes:
  kChanges = 'L',
  kTimes = 'T',  // up to when the changes of each group are known
};

struct Block {
  BlockKind kind = BlockKind::kEnd;
  std::string body;
};

struct CloseFile {
  void operator()(std::FILE* file) const { (void)std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

// Appears under its name when finish() has made it durable, never half written.
class BackupWriter {
 public:
  [[nodiscard]] static Result<BackupWriter> open(const std::string& path);
  [[nodiscard]] Status write(BlockKind kind, std::string_view body);
  [[nodiscard]] Status finish();
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  BackupWriter(File file, std::string path) : file_(std::move(file)), path_(std::move(path)) {}

  File file_;
  std::string path_;
};

// Grows from its first block on; a crash leaves a part of it, whose last block may be cut off.
class ChangeWriter {
 public:
  // Before: there is no such file.
  [[nodiscard]] static Result<ChangeWriter> open(const std::string& path);
  [[nodiscard]] Status write(BlockKind kind, std::string_view body);
  [[nodiscard]] Status sync();
  [[nodiscard]] uint64_t bytes() const { return bytes_; }

 private:
  ChangeWriter(File file, std::string path) : file_(std::move(file)), path_(std::move(path)) {}

  File file_;
  std::string path_;
  uint64_t bytes_ = 0;
};

class BackupReader {
 public:
  [[nodiscard]] static Result<BackupReader> open(const std::string& path);
  // Nothing at the end of the file; kCorrupted if a block is damaged or cut off, which is final.
  [[nodiscard]] Result<std::optional<Block>> next();
  // Of changes, and not a backup.
  [[nodiscard]] bool is_of_changes() const { return is_of_changes_; }

 private:
  BackupReader(File file, std::string path, bool is_of_changes)
      : file_(std::move(file)), path_(std::move(path)), is_of_changes_(is_of_changes) {}
  [[nodiscard]] Status damaged(uint64_t at) const;

  File file_;
  std::string path_;
  bool is_of_changes_ = false;
};

// What is done in `directory` outlasts a power cut.
[[nodiscard]] Status sync_directory(const std::string& directory);

}  // namespace quorate::cli
