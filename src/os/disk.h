// SPDX-License-Identifier: Apache-2.0
// Disk: the files below one directory of this machine.
//
// Every path is resolved below the root's descriptor; an absolute path or one with ".." is refused.
// The root itself is "".
// The root holds a file named "lock" while a process uses it: two processes on one data directory
// would destroy each other's log. The lock is the kernel's (flock), so a killed process leaves
// none behind; list() does not show the file.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "env/disk.h"
#include "os/file.h"
#include "os/loop.h"

namespace quorate::os {

class Disk final : public env::Disk {
 public:
  enum class EngineKind : uint8_t {
    kPlain,     // the loop stands still for every sync
    kUring,     // beside the loop by io_uring, but for syncs that are expected to be short
    kUringAll,  // every sync beside the loop
  };

  struct Options {
    // Measured in docs/decisions/031. Where the kernel forbids io_uring, kPlain is used instead.
    EngineKind engine = EngineKind::kUring;
  };

  // Makes the root if it is missing. kUnavailable if another process holds it.
  [[nodiscard]] static Result<std::unique_ptr<Disk>> open(Loop& loop, const std::string& root,
                                                          Options options);
  [[nodiscard]] static Result<std::unique_ptr<Disk>> open(Loop& loop, const std::string& root) {
    return open(loop, root, Options{});
  }
  ~Disk() override;

  [[nodiscard]] Status make_directory(const std::string& path) override;
  [[nodiscard]] Result<std::vector<std::string>> list(const std::string& path) override;
  [[nodiscard]] Result<std::unique_ptr<env::File>> open(const std::string& path,
                                                        env::OpenMode mode) override;
  [[nodiscard]] Status rename(const std::string& source, const std::string& target) override;
  // The name is gone at once; the room of a large file comes back beside the loop, in pieces.
  [[nodiscard]] Status remove(const std::string& path) override;
  [[nodiscard]] Status sync_directory(const std::string& path) override;
  void rename_durably(const std::string& source, const std::string& target,
                      RenameDone done) override;

  // The engine in use, which may not be the one that was asked for.
  [[nodiscard]] EngineKind engine() const { return kind_; }
  [[nodiscard]] const Engine::Counters& counters() const { return engine_->counters(); }

 private:
  // A large file that has no name any more.
  struct Leaving {
    int descriptor;
    uint64_t size;
  };

  Disk(Loop& loop, int root, int lock);
  // Of the first file that leaves, the last piece; then, after a pause, the next.
  void give_back();

  Loop& loop_;
  const int root_;
  const int lock_;
  EngineKind kind_ = EngineKind::kPlain;
  std::shared_ptr<Engine> engine_;
  std::shared_ptr<Side> side_;
  std::deque<Leaving> leaving_;
  bool gives_back_ = false;  // a job or a pause is under way for it
  env::TimerId pause_ = env::TimerId::kNone;
};

}  // namespace quorate::os
