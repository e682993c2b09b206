// SPDX-License-Identifier: Apache-2.0
// The io_uring engine. A batch that is one synced write of whole blocks goes past the page cache,
// as one entry of the ring (Direct, docs/decisions/035). Of all others only the sync goes through
// the ring: writing into the page cache is a copy of microseconds, which a worker thread of the
// kernel would not do sooner, and a failure is known at once. What is expected to be short does not
// even go there: see SyncPace. docs/decisions/031 has the measurements.
#include <fcntl.h>
#include <liburing.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>
#include <utility>

#include "base/assert.h"
#include "os/file.h"
#include "os/sync_pace.h"

namespace quorate::os {
namespace {

namespace asio = boost::asio;

// Syncs in flight at once: one per open file that is written, which are a handful.
constexpr unsigned kRingEntries = 64;

// Makes durable what write_batch() or lay_batch() began, blocking; as the ring would tell it.
int sync_here(const FileState& file) {
  if (!file.laid) {
    return ::fdatasync(file.descriptor) == 0 ? 0 : -errno;
  }
  const std::string_view bytes = file.past.bytes();
  const iovec vector{const_cast<char*>(bytes.data()), bytes.size()};
  const ssize_t written = ::pwritev2(file.past.descriptor(), &vector, 1,
                                     static_cast<off_t>(file.past.offset()), RWF_DSYNC);
  return written >= 0 ? static_cast<int>(written) : -errno;
}

class UringEngine final : public Engine, public std::enable_shared_from_this<UringEngine> {
 public:
  UringEngine(Loop& loop, int completions, bool in_loop)
      : loop_(loop), in_loop_(in_loop), completions_(loop.context(), completions) {}
  ~UringEngine() override {
    if (ring_ready_) {
      close();
      ::io_uring_queue_exit(&ring_);
    }
  }

  [[nodiscard]] Status prepare();

  void schedule(const std::shared_ptr<FileState>& file) override {
    if (closed_ || file->syncing || std::exchange(file->scheduled, true)) {
      return;
    }
    scheduled_.push_back(file);
    defer_run();
  }
  void close() override;

 private:
  using Files = std::vector<std::shared_ptr<FileState>>;

  void defer_run();
  void run();
  // `alone`: no other file waits for the disk.
  void start(const std::shared_ptr<FileState>& file, bool alone);
  void sync_in_loop(const std::shared_ptr<FileState>& file);
  void sync_by_ring(const std::shared_ptr<FileState>& file);
  void note_laid(const std::shared_ptr<FileState>& file);
  void submit();
  // Moves what the kernel has completed from in_flight_ to finished_.
  void collect();
  void complete(FileState& file, int result);
  // Callbacks of all that is finished; what was queued meanwhile is scheduled.
  void answer();
  void listen();
  void wait_for_writes();

  Loop& loop_;
  const bool in_loop_;
  SyncPace pace_;
  asio::posix::stream_descriptor completions_;
  uint64_t completion_count_ = 0;
  io_uring ring_{};
  bool ring_ready_ = false;
  bool closed_ = false;
  bool deferred_ = false;
  bool unsubmitted_ = false;
  Files scheduled_;
  Files in_flight_;
  Files finished_;
  std::weak_ptr<FileState> last_laid_;
};

Status UringEngine::prepare() {
  const int rc = ::io_uring_queue_init(kRingEntries, &ring_, 0);
  if (rc < 0) {
    return failure_of("io_uring", -rc);
  }
  ring_ready_ = true;
  const int registered = ::io_uring_register_eventfd(&ring_, completions_.native_handle());
  if (registered < 0) {
    return failure_of("io_uring eventfd", -registered);
  }
  listen();
  return {};
}

void UringEngine::listen() {
  // The handler holds the engine weakly: it must not keep the ring of a closed disk alive.
  completions_.async_read_some(
      asio::buffer(&completion_count_, sizeof(completion_count_)),
      [this, weak = weak_from_this()](boost::system::error_code error, size_t) {
        const std::shared_ptr<UringEngine> self = weak.lock();
        if (error || self == nullptr || closed_) {
          return;
        }
        collect();
        answer();
        if (!closed_) {
          listen();
        }
      });
}

void UringEngine::defer_run() {
  if (std::exchange(deferred_, true)) {
    return;
  }
  loop_.defer(Loop::Phase::kDisk, [weak = weak_from_this()] {
    if (const std::shared_ptr<UringEngine> self = weak.lock(); self != nullptr) {
      self->run();
    }
  });
}

void UringEngine::run() {
  deferred_ = false;
  Files files;
  files.swap(scheduled_);
  for (const std::shared_ptr<FileState>& file : files) {
    file->scheduled = false;
    start(file, files.size() == 1 && in_flight_.empty());
  }
  submit();
  answer();
}

void UringEngine::start(const std::shared_ptr<FileState>& file, bool alone) {
  if (closed_ || !file->open || file->queued.empty()) {
    return;
  }
  const size_t bytes = count(*file);
  if (file->lay_batch()) {
    note_laid(file);
  } else if (!file->write_batch()) {
    finished_.push_back(file);
    return;
  }
  ++counters_.syncs;
  file->sync_began = loop_.clock().now();
  file->small = SyncPace::small(bytes);
  if (in_loop_ && alone && pace_.may_block(bytes)) {
    sync_in_loop(file);
  } else {
    sync_by_ring(file);
  }
}

// A log goes on in another file: the one before needs its buffer no more.
void UringEngine::note_laid(const std::shared_ptr<FileState>& file) {
  ++counters_.past_cache;
  const std::shared_ptr<FileState> before = last_laid_.lock();
  if (before != file) {
    if (before != nullptr && !before->laid) {
      before->past.release();
    }
    last_laid_ = file;
  }
}

void UringEngine::sync_in_loop(const std::shared_ptr<FileState>& file) {
  ++counters_.syncs_in_loop;
  complete(*file, sync_here(*file));
  finished_.push_back(file);
}

void UringEngine::sync_by_ring(const std::shared_ptr<FileState>& file) {
  io_uring_sqe* entry = ::io_uring_get_sqe(&ring_);
  if (entry == nullptr) {
    submit();
    entry = ::io_uring_get_sqe(&ring_);
  }
  if (entry == nullptr) {
    // More files than the ring has places, and the kernel takes none: rare enough to wait for.
    sync_in_loop(file);
    return;
  }
  if (file->laid) {
    const std::string_view bytes = file->past.bytes();
    ::io_uring_prep_write(entry, file->past.descriptor(), bytes.data(),
                          static_cast<unsigned>(bytes.size()), file->past.offset());
    entry->rw_flags = RWF_DSYNC;
  } else {
    ::io_uring_prep_fsync(entry, file->descriptor, IORING_FSYNC_DATASYNC);
  }
  ::io_uring_sqe_set_data(entry, file.get());
  file->syncing = true;
  in_flight_.push_back(file);
  unsubmitted_ = true;
}

void UringEngine::submit() {
  if (!unsubmitted_) {
    return;
  }
  if (::io_uring_submit(&ring_) >= 0) {
    unsubmitted_ = ::io_uring_sq_ready(&ring_) > 0;
  }
  if (unsubmitted_) {
    defer_run();  // the kernel is short of memory for now; the entries wait in the ring
  }
}

void UringEngine::collect() {
  io_uring_cqe* entry = nullptr;
  while (::io_uring_peek_cqe(&ring_, &entry) == 0) {
    const auto* target = static_cast<FileState*>(::io_uring_cqe_get_data(entry));
    const int result = entry->res;
    ::io_uring_cqe_seen(&ring_, entry);
    size_t place = 0;
    while (place < in_flight_.size() && in_flight_[place].get() != target) {
      ++place;
    }
    ASSERT(place < in_flight_.size(), "a completion of something that was not submitted");
    complete(*in_flight_[place], result);
    finished_.push_back(std::move(in_flight_[place]));
    in_flight_[place] = std::move(in_flight_.back());
    in_flight_.pop_back();
  }
}

void UringEngine::complete(FileState& file, int result) {
  if (result == -EINTR || result == -EAGAIN) {
    result = sync_here(file);
  }
  if (file.small) {
    pace_.took(loop_.clock().now() - file.sync_began);
  }
  if (file.laid) {
    file.finish_sync(file.finish_laid(result));
  } else {
    file.finish_sync(result >= 0 ? Status() : failure_of("sync " + file.path, -result));
  }
}

void UringEngine::answer() {
  // A callback may destroy the Disk, and with it the last reference but this one.
  const std::shared_ptr<UringEngine> self = shared_from_this();
  Files files;
  files.swap(finished_);
  for (const std::shared_ptr<FileState>& file : files) {
    if (closed_) {
      return;
    }
    counters_.failures += file->run_callbacks();
    if (!file->queued.empty()) {
      schedule(file);
    }
  }
}

// The kernel reads a laid out write from our memory until it has ended: with other bytes there, it
// would write those, into a block that also has bytes of before.
void UringEngine::wait_for_writes() {
  const auto laid = [](const std::shared_ptr<FileState>& file) { return file->laid; };
  const size_t unsubmitted = ::io_uring_sq_ready(&ring_);
  while (in_flight_.size() > unsubmitted &&
         std::any_of(in_flight_.begin(), in_flight_.end(), laid)) {
    io_uring_cqe* entry = nullptr;
    const int rc = ::io_uring_wait_cqe(&ring_, &entry);
    ASSERT(rc == 0 || rc == -EINTR, "the ring tells the end of what it was given");
    collect();
  }
}

void UringEngine::close() {
  if (std::exchange(closed_, true)) {
    return;
  }
  scheduled_.clear();
  wait_for_writes();
  in_flight_.clear();
  finished_.clear();
  boost::system::error_code ignored;
  completions_.close(ignored);
}

}  // namespace

Result<std::shared_ptr<Engine>> make_uring_engine(Loop& loop, bool in_loop) {
  const int completions = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (completions < 0) {
    return failure_of("eventfd", errno);
  }
  const auto engine = std::make_shared<UringEngine>(loop, completions, in_loop);
  RETURN_IF_ERROR(engine->prepare());
  return std::shared_ptr<Engine>(engine);
}

}  // namespace quorate::os
