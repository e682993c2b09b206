// SPDX-License-Identifier: Apache-2.0
#include "os/file.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <utility>

#include "base/assert.h"

namespace quorate::os {
namespace {

Code code_of(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EFBIG: return Code::kResourceExhausted;
    case ENOENT: return Code::kNotFound;
    case EEXIST: return Code::kAlreadyExists;
    case EACCES:
    case EPERM:
    case EROFS: return Code::kPermissionDenied;
    case EINVAL:
    case ENAMETOOLONG:
    case ENOTDIR:
    case EISDIR: return Code::kInvalidArgument;
    default: return Code::kInternal;
  }
}

constexpr uint64_t kBlock = env::File::kBlockBytes;
constexpr uint64_t kCapacityFirst = 64 * 1024;
// What write_aside() hands to the device at once: a small write of another file waits for that.
constexpr size_t kAsideBytes = 128 * 1024;

// The zeros that files are written ahead with. Never touched, so they take no memory.
alignas(env::File::kBlockBytes) char zeros[env::File::kZeroBytesMax];

Status sync_of(const FileState& file) {
  return ::fdatasync(file.descriptor) == 0 ? Status() : failure_of("sync " + file.path, errno);
}

// Whole blocks in aligned memory. What waits in the page cache costs the processor five times what
// goes past it, and its sync holds up the syncs of others.
Status write_past_cache(FileState& file, uint64_t offset, std::string_view blocks) {
  if (file.direct == FileState::kNotAsked) {
    const std::string self = "/proc/self/fd/" + std::to_string(file.descriptor);
    const int direct = ::open(self.c_str(), O_WRONLY | O_DIRECT | O_CLOEXEC);
    file.direct = direct >= 0 ? direct : FileState::kNone;
  }
  if (file.direct >= 0) {
    const Status status = write_all(file.direct, offset, {blocks});
    if (status.code() != Code::kInvalidArgument) {
      return status;
    }
    ::close(file.direct);  // the device wants other blocks than ours
    file.direct = FileState::kNone;
  }
  RETURN_IF_ERROR(write_all(file.descriptor, offset, {blocks}));
  return sync_of(file);
}

// From any memory, in pieces that leave the disk to others soon.
Status write_pieces(FileState& file, uint64_t offset, std::string_view blocks) {
  if (file.aligned == nullptr) {
    file.aligned.reset(static_cast<char*>(std::aligned_alloc(kBlock, kAsideBytes)));
  }
  if (file.aligned == nullptr) {
    return failure_of("write " + file.path, ENOMEM);
  }
  while (!blocks.empty()) {
    const std::string_view piece = blocks.substr(0, kAsideBytes);
    std::copy(piece.begin(), piece.end(), file.aligned.get());
    RETURN_IF_ERROR(write_past_cache(file, offset, {file.aligned.get(), piece.size()}));
    offset += piece.size();
    blocks.remove_prefix(piece.size());
  }
  return {};
}

// Drops the first `done` bytes.
void advance(std::vector<iovec>& vectors, size_t& first, size_t done) {
  while (first < vectors.size() && done >= vectors[first].iov_len) {
    done -= vectors[first].iov_len;
    ++first;
  }
  if (first < vectors.size() && done > 0) {
    vectors[first].iov_base = static_cast<char*>(vectors[first].iov_base) + done;
    vectors[first].iov_len -= done;
  }
}

class PlainEngine final : public Engine {
 public:
  explicit PlainEngine(Loop& loop) : loop_(loop) {}

  void schedule(const std::shared_ptr<FileState>& file) override {
    if (alive_ == nullptr || std::exchange(file->scheduled, true)) {
      return;
    }
    files_.push_back(file);
    if (!std::exchange(deferred_, true)) {
      loop_.defer(Loop::Phase::kDisk, [this, alive = std::weak_ptr<bool>(alive_)] {
        if (!alive.expired()) {
          run();
        }
      });
    }
  }

  void close() override {
    alive_.reset();
    files_.clear();
  }

 private:
  void run() {
    deferred_ = false;
    const std::weak_ptr<bool> alive = alive_;
    std::vector<std::shared_ptr<FileState>> files;
    files.swap(files_);
    for (const std::shared_ptr<FileState>& file : files) {
      file->scheduled = false;
      count(*file);
      if (file->open && file->write_batch()) {
        ++counters_.syncs;
        ++counters_.syncs_in_loop;
        const int rc = ::fdatasync(file->descriptor);
        file->finish_sync(rc == 0 ? Status() : failure_of("sync " + file->path, errno));
      }
      const size_t failures = file->run_callbacks();
      if (alive.expired()) {
        return;
      }
      counters_.failures += failures;
    }
  }

  Loop& loop_;
  std::vector<std::shared_ptr<FileState>> files_;
  bool deferred_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // until close
};

}  // namespace

Status failure_of(std::string_view action, int error) {
  return Status(code_of(error), std::string(action) + ": " + std::strerror(error));
}

Status write_all(int descriptor, uint64_t offset, const std::vector<std::string_view>& pieces) {
  std::vector<iovec> vectors;
  vectors.reserve(pieces.size());
  for (const std::string_view piece : pieces) {
    if (!piece.empty()) {
      vectors.push_back(iovec{const_cast<char*>(piece.data()), piece.size()});
    }
  }
  size_t first = 0;
  while (first < vectors.size()) {
    const size_t count = std::min<size_t>(vectors.size() - first, IOV_MAX);
    const ssize_t written =
        ::pwritev(descriptor, &vectors[first], static_cast<int>(count), static_cast<off_t>(offset));
    if (written < 0) {
      if (errno == EINTR) {
        continue;
      }
      return failure_of("write", errno);
    }
    if (written == 0) {
      return failure_of("write", EIO);
    }
    offset += static_cast<uint64_t>(written);
    advance(vectors, first, static_cast<size_t>(written));
  }
  return {};
}

FileState::~FileState() {
  ::close(descriptor);
  if (direct >= 0) {
    ::close(direct);
  }
}

size_t Engine::count(const FileState& file) {
  size_t bytes = 0;
  for (const FileState::Write& write : file.queued) {
    for (const std::string_view piece : write.pieces) {
      bytes += piece.size();
    }
  }
  counters_.writes += file.queued.size();
  counters_.bytes += bytes;
  return bytes;
}

bool FileState::write_batch() {
  ASSERT(running.empty() && !syncing, "one batch of a file is under way at a time");
  running.swap(queued);
  past.forget();
  bool sync = false;
  for (Write& write : running) {
    write.status = broken.ok() ? write_all(descriptor, write.offset, write.pieces) : broken;
    sync = sync || (write.status.ok() && write.sync == env::Sync::kData);
  }
  unsynced = !sync;  // if the sync fails, the file is broken
  return sync;
}

bool FileState::lay_batch() {
  ASSERT(running.empty() && !syncing, "one batch of a file is under way at a time");
  if (unsynced || !broken.ok() || queued.size() != 1 || queued[0].sync != env::Sync::kData ||
      !past.lay(descriptor, queued[0].offset, queued[0].pieces)) {
    return false;
  }
  running.swap(queued);
  laid = true;
  return true;
}

// The pieces may be gone, if the File is; the copy is not.
Status FileState::finish_laid(int result) {
  laid = false;
  if (result == static_cast<int>(past.bytes().size())) {
    return {};
  }
  if (result == -EIO) {
    return failure_of("write " + path, EIO);
  }
  RETURN_IF_ERROR(write_all(descriptor, past.offset(), {past.bytes()}));
  if (::fdatasync(descriptor) != 0) {
    return failure_of("sync " + path, errno);
  }
  result == -EINVAL || result == -EOPNOTSUPP ? past.forbid() : past.forget();
  return {};
}

void FileState::finish_sync(const Status& status) {
  syncing = false;
  if (status.ok()) {
    return;
  }
  broken = status;
  for (Write& write : running) {
    if (write.status.ok() && write.sync == env::Sync::kData) {
      write.status = status;
    }
  }
}

size_t FileState::run_callbacks() {
  ASSERT(!syncing, "an answer before the sync would be a lie");
  std::vector<Write> finished;
  finished.swap(running);
  size_t failures = 0;
  for (Write& write : finished) {
    failures += write.status.ok() ? 0 : 1;
    if (open && write.done) {
      write.done(std::move(write.status));
    }
  }
  return failures;
}

std::shared_ptr<Engine> make_plain_engine(Loop& loop) {
  return std::make_shared<PlainEngine>(loop);
}

// ---- past the page cache ------------------------------------------------------------------------

Direct::~Direct() { release(); }

void Direct::release() {
  if (descriptor_ >= 0) {
    ::close(descriptor_);
    descriptor_ = kNotAsked;
  }
  buffer_.reset();
  capacity_ = size_ = 0;
  knows_end_ = false;
}

void Direct::forbid() {
  release();
  descriptor_ = kForbidden;
}

bool Direct::open(int file) {
  if (descriptor_ == kNotAsked) {
    const std::string self = "/proc/self/fd/" + std::to_string(file);
    const int direct = ::open(self.c_str(), O_WRONLY | O_DIRECT | O_CLOEXEC);
    descriptor_ = direct >= 0 ? direct : kForbidden;
  }
  return descriptor_ >= 0;
}

bool Direct::make_room(uint64_t bytes) {
  if (bytes <= capacity_) {
    return true;
  }
  uint64_t capacity = std::max(capacity_, kCapacityFirst);
  while (capacity < bytes) {
    capacity *= 2;
  }
  Memory larger(static_cast<char*>(std::aligned_alloc(kBlock, capacity)));
  if (larger == nullptr) {
    return false;
  }
  std::copy_n(buffer_.get(), size_, larger.get());
  buffer_ = std::move(larger);
  capacity_ = capacity;
  return true;
}

bool Direct::lay(int file, uint64_t offset, const std::vector<std::string_view>& pieces) {
  uint64_t bytes = offset % kBlock;
  const uint64_t head = bytes;
  for (const std::string_view piece : pieces) {
    bytes += piece.size();
  }
  if (bytes == head || bytes % kBlock != 0 || bytes > kBytesMax || !open(file) ||
      !make_room(bytes) || !take_head(file, offset - head, head)) {
    return false;
  }
  char* at = buffer_.get() + head;
  for (const std::string_view piece : pieces) {
    at = std::copy(piece.begin(), piece.end(), at);
  }
  offset_ = offset - head;
  size_ = bytes;
  knows_end_ = true;
  return true;
}

bool Direct::take_head(int file, uint64_t block, uint64_t bytes) {
  if (bytes == 0) {
    return true;
  }
  if (knows_end_ && block + kBlock == offset_ + size_) {
    std::memmove(buffer_.get(), buffer_.get() + size_ - kBlock, bytes);
    return true;
  }
  return ::pread(file, buffer_.get(), bytes, static_cast<off_t>(block)) ==
         static_cast<ssize_t>(bytes);
}

size_t Direct::show(uint64_t offset, std::span<char> out, size_t filled) const {
  const uint64_t begin = std::max(offset, offset_);
  const uint64_t end = std::min(offset + out.size(), offset_ + size_);
  if (begin >= end || begin > offset + filled) {
    return filled;
  }
  std::copy_n(buffer_.get() + (begin - offset_), end - begin, out.data() + (begin - offset));
  return std::max<size_t>(filled, end - offset);
}

// ---- the thread beside the loop ---------------------------------------------------------------

Side::~Side() {
  {
    const std::lock_guard lock(mutex_);
    ends_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) {
    thread_.join();
  }
}

void Side::run(Job job, Done done) {
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back({std::move(job), std::move(done)});
  }
  wake_.notify_one();
  if (!thread_.joinable()) {
    begin();
  }
}

// Signals are the loop's: the thread is born with all of them blocked.
void Side::begin() {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { work(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void Side::work() {
  std::unique_lock lock(mutex_);
  while (!ends_ || !tasks_.empty()) {
    std::vector<Task> now = std::exchange(tasks_, {});
    lock.unlock();
    for (Task& task : now) {
      work_at(task);
    }
    now.clear();
    lock.lock();
    wake_.wait(lock, [this] { return ends_ || !tasks_.empty(); });
  }
}

void Side::work_at(Task& task) {
  Status status = task.job();
  if (task.done) {
    loop_.post([alive = std::weak_ptr<bool>(alive_), done = std::move(task.done),
                status = std::move(status)]() mutable {
      if (!alive.expired()) {
        done(std::move(status));
      }
    });
  }
}

// ---- a file ------------------------------------------------------------------------------------

File::~File() {
  // The kernel may be at a sync still: it has its own hold on the file, and no bytes of ours.
  state_->open = false;
  state_->queued.clear();
}

Result<uint64_t> File::size() {
  struct stat info {};
  if (::fstat(state_->descriptor, &info) != 0) {
    return failure_of("size of " + state_->path, errno);
  }
  return static_cast<uint64_t>(info.st_size);
}

Result<size_t> File::read(uint64_t offset, std::span<char> out) {
  size_t filled = 0;
  while (filled < out.size()) {
    const ssize_t n = ::pread(state_->descriptor, out.data() + filled, out.size() - filled,
                              static_cast<off_t>(offset + filled));
    if (n < 0) {
      if (errno == EINTR) {
        continue;
      }
      return failure_of("read " + state_->path, errno);
    }
    if (n == 0) {
      break;
    }
    filled += static_cast<size_t>(n);
  }
  return state_->laid ? state_->past.show(offset, out, filled) : filled;
}

void File::write(uint64_t offset, std::vector<std::string_view> pieces, env::Sync sync,
                 WriteDone done) {
  state_->queued.push_back(
      FileState::Write{offset, std::move(pieces), sync, std::move(done), Status()});
  engine_->schedule(state_);
}

void File::zero(uint64_t offset, size_t bytes, env::Sync sync, WriteDone done) {
  ASSERT(offset % kBlockBytes == 0 && bytes <= kZeroBytesMax);
  const std::shared_ptr<Side> side = side_.lock();
  if (side == nullptr) {
    return;
  }
  side->run(
      [state = state_, offset, bytes, sync] {
        RETURN_IF_ERROR(write_past_cache(*state, offset, {zeros, bytes}));
        return sync == env::Sync::kData ? sync_of(*state) : Status();
      },
      [state = state_, done = std::move(done)](Status status) mutable {
        if (state->open) {
          done(std::move(status));
        }
      });
}

void File::write_aside(uint64_t offset, std::string bytes, env::Sync sync, WriteDone done) {
  ASSERT(offset % kBlockBytes == 0 && bytes.size() % kBlockBytes == 0);
  const std::shared_ptr<Side> side = side_.lock();
  if (side == nullptr) {
    return;
  }
  state_->unsynced = true;
  state_->past.forget();
  side->run(
      [state = state_, offset, bytes = std::move(bytes), sync, broken = state_->broken] {
        RETURN_IF_ERROR(broken);
        RETURN_IF_ERROR(write_pieces(*state, offset, bytes));
        return sync == env::Sync::kData ? sync_of(*state) : Status();
      },
      [state = state_, sync, done = std::move(done)](Status status) mutable {
        if (sync == env::Sync::kData && state->broken.ok()) {
          state->broken = status;  // it may have been the sync
        }
        if (state->open) {
          done(std::move(status));
        }
      });
}

Status File::write_now(uint64_t offset, std::string_view bytes) {
  RETURN_IF_ERROR(state_->broken);
  state_->unsynced = true;
  state_->past.forget();
  return write_all(state_->descriptor, offset, {bytes});
}

Status File::sync_now() {
  RETURN_IF_ERROR(state_->broken);
  if (::fdatasync(state_->descriptor) != 0) {
    state_->broken = failure_of("sync " + state_->path, errno);
  }
  state_->unsynced = false;
  return state_->broken;
}

Status File::truncate(uint64_t size) {
  state_->unsynced = true;
  state_->past.forget();
  if (::ftruncate(state_->descriptor, static_cast<off_t>(size)) != 0) {
    return failure_of("truncate " + state_->path, errno);
  }
  return {};
}

}  // namespace quorate::os
