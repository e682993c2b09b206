// SPDX-License-Identifier: Apache-2.0
// The parts of os::Disk: one open file with its queue of writes, the engine that runs queues, and a
// thread beside the loop.
//
// write() only queues. In the disk phase of the turn the engine takes all that a file has queued
// as one batch: every piece is written, then one fdatasync covers the batch if any write of it asks
// for a sync, then the callbacks run in order. While a batch is under way (in io_uring) the file
// gathers the next one, so a batch is whatever arrived while the last sync ran.
//
// Invariants:
//   1. One batch of a file is under way at a time; its callbacks run before the next one starts.
//   2. A callback runs only from the loop, never inside write(), and never after close().
//   3. A write past the page cache (Direct) syncs nothing but itself, so it is a batch alone, and
//      only while no other write of the file waits for a sync.
//   4. After a failed fdatasync the kernel has forgotten which pages were dirty: a later success
//      would say nothing about them. The file is broken for good, and every later write says so.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/function.h"
#include "env/disk.h"
#include "os/loop.h"

namespace quorate::os {

// errno as a Status that names what was tried; a full disk or quota is kResourceExhausted.
[[nodiscard]] Status failure_of(std::string_view action, int error);

// Loops over short writes and interruptions.
[[nodiscard]] Status write_all(int descriptor, uint64_t offset,
                               const std::vector<std::string_view>& pieces);

// Direct: the way of one file's synced writes past the page cache.
//
// To write into the page cache and sync makes the kernel look for the file's dirty pages, and takes
// a worker that waits for the data and then for the flush of the device. A write past the cache
// that is its own sync (O_DIRECT, RWF_DSYNC) is with the device when the system call returns. It is
// made of whole blocks in aligned memory, so the bytes are copied:
//
//   file      | block        | block        | block        |
//   was       | ........ end |
//   write                | offset .................... end |
//   laid out  | head     | bytes                           |
//
// The head, what stands before `offset` in its block, is known from the write before, or is read.
// It is written once more as it is, as it would be when the page cache writes a page back. A write
// that does not end with a block goes another way.
class Direct {
 public:
  ~Direct();
  Direct() = default;
  Direct(const Direct&) = delete;
  Direct& operator=(const Direct&) = delete;

  // Longer ones gain nothing.
  static constexpr uint64_t kBytesMax = 1024 * 1024;

  // Takes a copy of the bytes. False if they cannot go this way. `file`: its usual descriptor.
  [[nodiscard]] bool lay(int file, uint64_t offset, const std::vector<std::string_view>& pieces);
  // What is laid out, until something is called that is no question.
  [[nodiscard]] int descriptor() const { return descriptor_; }
  [[nodiscard]] std::string_view bytes() const { return {buffer_.get(), size_}; }
  [[nodiscard]] uint64_t offset() const { return offset_; }
  // Puts what is laid out over what was read of the file at `offset`; how much is read then.
  [[nodiscard]] size_t show(uint64_t offset, std::span<char> out, size_t filled) const;
  // The file was written in another way: what is laid out says nothing of the block of its end.
  void forget() { knows_end_ = false; }
  // Gives back what it holds; it may be used again.
  void release();
  // The file system or the device refuses: never again.
  void forbid();

 private:
  struct Free {
    void operator()(char* buffer) const { std::free(buffer); }
  };
  using Memory = std::unique_ptr<char, Free>;

  [[nodiscard]] bool open(int file);
  [[nodiscard]] bool make_room(uint64_t bytes);
  [[nodiscard]] bool take_head(int file, uint64_t block, uint64_t bytes);

  static constexpr int kNotAsked = -1;
  static constexpr int kForbidden = -2;
  int descriptor_ = kNotAsked;
  Memory buffer_;
  uint64_t capacity_ = 0;
  uint64_t offset_ = 0;
  size_t size_ = 0;         // of what is laid out, or was last; whole blocks
  bool knows_end_ = false;  // the last of them is as it is in the file
};

// What a file and the engine share; it outlives the File while the engine holds it.
struct FileState {
  struct Write {
    uint64_t offset;
    std::vector<std::string_view> pieces;
    env::Sync sync;
    env::File::WriteDone done;
    Status status;
  };

  FileState(int fd, std::string name) : descriptor(fd), path(std::move(name)) {}
  ~FileState();
  FileState(const FileState&) = delete;
  FileState& operator=(const FileState&) = delete;

  // Starts the batch: moves `queued` to `running` and writes its pieces. True if it needs a sync.
  [[nodiscard]] bool write_batch();
  // In its place: moves `queued` to `running` and lays it out in `past`. False if that cannot be.
  [[nodiscard]] bool lay_batch();
  // What that write came to: the count of bytes or an error below zero, as the kernel tells it.
  // What was not written whole is written through the page cache and synced. Gives the sync's
  // status.
  [[nodiscard]] Status finish_laid(int result);
  // Takes the result of the sync that the batch needed.
  void finish_sync(const Status& status);
  // Runs the callbacks of the batch in order, which may write and may close the file. The number of
  // writes that failed.
  size_t run_callbacks();

  const int descriptor;
  const std::string path;
  // Past the page cache, for zero() and write_aside(), and memory for that; the side thread's.
  int direct = kNotAsked;
  std::unique_ptr<char, void (*)(void*)> aligned{nullptr, std::free};
  static constexpr int kNotAsked = -1;
  static constexpr int kNone = -2;  // not on this file system
  std::vector<Write> queued;
  std::vector<Write> running;
  Direct past;
  bool laid = false;     // `running` is in `past`, and there alone until it has ended
  bool unsynced = true;  // no sync covers what was written before, by whomever
  Status broken;
  bool open = true;        // the File exists
  bool scheduled = false;  // in the engine's list for the coming disk phase
  bool syncing = false;    // a sync of `running` is with the kernel
  bool small = false;      // ... and tells how fast the disk is (SyncPace)
  Instant sync_began;
};

class Engine {
 public:
  struct Counters {
    uint64_t writes = 0;
    uint64_t bytes = 0;
    uint64_t syncs = 0;
    uint64_t syncs_in_loop = 0;  // of these, the ones that the loop stood still for
    uint64_t past_cache = 0;     // ... and the ones that were writes past the page cache
    uint64_t failures = 0;
  };

  virtual ~Engine() = default;
  // The file has writes queued. Harmless if it is known already.
  virtual void schedule(const std::shared_ptr<FileState>& file) = 0;
  // The Disk ends: no callback runs from here on, whatever Files remain.
  virtual void close() = 0;

  [[nodiscard]] const Counters& counters() const { return counters_; }

 protected:
  // Counts what the coming batch of the file writes; its bytes.
  size_t count(const FileState& file);

  Counters counters_;
};

// pwritev and fdatasync in the disk phase; the loop stands still for the sync.
[[nodiscard]] std::shared_ptr<Engine> make_plain_engine(Loop& loop);
// Where it can be, a write past the page cache by io_uring; else pwritev in the disk phase and
// fdatasync by io_uring. The loop goes on meanwhile. With `in_loop`, what SyncPace expects to be
// short is done in the loop.
[[nodiscard]] Result<std::shared_ptr<Engine>> make_uring_engine(Loop& loop, bool in_loop);

// A thread for work of a disk that would hold up the loop and that nobody waits for: writing files
// ahead, snapshots and their names, freeing large files. Jobs run one after the other, in order.
// The thread begins with the first job. The destructor waits for the jobs; what was to be done
// after them then never runs.
class Side {
 public:
  using Job = UniqueFunction<Status()>;
  using Done = UniqueFunction<void(Status)>;

  explicit Side(Loop& loop) : loop_(loop) {}
  ~Side();
  Side(const Side&) = delete;
  Side& operator=(const Side&) = delete;

  // Called on the loop's thread, as is `done`.
  void run(Job job, Done done);

 private:
  struct Task {
    Job job;
    Done done;
  };

  void begin();
  void work();
  void work_at(Task& task);

  Loop& loop_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::thread thread_;
  std::mutex mutex_;  // guards what stands below
  std::condition_variable wake_;
  std::vector<Task> tasks_;
  bool ends_ = false;
};

class File final : public env::File {
 public:
  File(std::shared_ptr<FileState> state, std::shared_ptr<Engine> engine, std::weak_ptr<Side> side)
      : state_(std::move(state)), engine_(std::move(engine)), side_(std::move(side)) {}
  ~File() override;

  [[nodiscard]] Result<uint64_t> size() override;
  // Sees queued writes only once their batch has started.
  [[nodiscard]] Result<size_t> read(uint64_t offset, std::span<char> out) override;
  void write(uint64_t offset, std::vector<std::string_view> pieces, env::Sync sync,
             WriteDone done) override;
  // By the side thread and past the page cache, where the file system allows that.
  void zero(uint64_t offset, size_t bytes, env::Sync sync, WriteDone done) override;
  void write_aside(uint64_t offset, std::string bytes, env::Sync sync, WriteDone done) override;
  [[nodiscard]] Status write_now(uint64_t offset, std::string_view bytes) override;
  [[nodiscard]] Status sync_now() override;
  [[nodiscard]] Status truncate(uint64_t size) override;

 private:
  const std::shared_ptr<FileState> state_;
  const std::shared_ptr<Engine> engine_;
  const std::weak_ptr<Side> side_;
};

}  // namespace quorate::os
