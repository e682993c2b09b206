// SPDX-License-Identifier: Apache-2.0
// Disk: files below one root, the only way to anything that survives a crash.
//
// Writes are asynchronous: the callback runs on the shard's loop, never inside the call, in the
// order of submission per file. What a crash may do to a write that no completed sync covers: keep
// it, lose it, tear it at any byte, in any order with other such writes. What a completed sync
// covers stays, but for bit rot. A name created, renamed or removed stays so after sync_directory.
// When a File or the Disk is destroyed, callbacks that have not run never will.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/function.h"
#include "base/status.h"

namespace quorate::env {

enum class Sync : uint8_t { kNone, kData };

enum class OpenMode : uint8_t {
  kRead,    // must exist
  kWrite,   // must exist; read and write
  kCreate,  // made if missing; read and write
};

class File {
 public:
  using WriteDone = UniqueFunction<void(Status)>;
  virtual ~File() = default;

  [[nodiscard]] virtual Result<uint64_t> size() = 0;
  // Fills as much of `out` as the file has from `offset`; the count that was read. Blocking.
  [[nodiscard]] virtual Result<size_t> read(uint64_t offset, std::span<char> out) = 0;
  // Writes the pieces one after the other from `offset`, then syncs if asked. The bytes must stay
  // as they are until `done` has run.
  virtual void write(uint64_t offset, std::vector<std::string_view> pieces, Sync sync,
                     WriteDone done) = 0;
  // Writes zeros where nobody reads yet, so that later writes find the file's blocks in place. Not
  // ordered with other writes, and in no hurry. `offset` is a multiple of kBlockBytes.
  static constexpr size_t kBlockBytes = 4 * 1024;
  static constexpr size_t kZeroBytesMax = 256 * 1024;
  virtual void zero(uint64_t offset, size_t bytes, Sync sync, WriteDone done) {
    static const std::string zeros(kZeroBytesMax, '\0');
    write(offset, {std::string_view(zeros).substr(0, bytes)}, sync, std::move(done));
  }
  // Writes whole blocks that nobody waits for: one such write at a time, beside the loop and past
  // caches where that can be, so that neither the loop nor what others sync stands behind it. Not
  // ordered with other writes. A sync covers all of the file that was written before. `offset` and
  // the size are multiples of kBlockBytes; the size may be 0.
  virtual void write_aside(uint64_t offset, std::string bytes, Sync sync, WriteDone done) {
    auto kept = std::make_unique<const std::string>(std::move(bytes));
    const std::string_view view = *kept;
    write(offset, {view}, sync,
          [kept = std::move(kept), done = std::move(done)](Status status) mutable {
            done(std::move(status));
          });
  }
  // Blocking forms, for recovery, preparation of segments and other rare work.
  [[nodiscard]] virtual Status write_now(uint64_t offset, std::string_view bytes) = 0;
  [[nodiscard]] virtual Status sync_now() = 0;
  [[nodiscard]] virtual Status truncate(uint64_t size) = 0;
};

class Disk {
 public:
  virtual ~Disk() = default;

  // Paths are relative to the root and use '/'. make_directory is harmless if it exists.
  [[nodiscard]] virtual Status make_directory(const std::string& path) = 0;
  // The names in a directory, sorted.
  [[nodiscard]] virtual Result<std::vector<std::string>> list(const std::string& path) = 0;
  [[nodiscard]] virtual Result<std::unique_ptr<File>> open(const std::string& path,
                                                           OpenMode mode) = 0;
  [[nodiscard]] virtual Status rename(const std::string& source, const std::string& target) = 0;
  [[nodiscard]] virtual Status remove(const std::string& path) = 0;
  [[nodiscard]] virtual Status sync_directory(const std::string& path) = 0;
  // Renames and then syncs the directory of the target, beside the loop. Until `done` either name
  // may be there, now and after a crash.
  using RenameDone = UniqueFunction<void(Status)>;
  virtual void rename_durably(const std::string& source, const std::string& target,
                              RenameDone done) = 0;
};

}  // namespace quorate::env
