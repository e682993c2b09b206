// SPDX-License-Identifier: Apache-2.0
#include "os/disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/assert.h"

namespace quorate::os {
namespace {

// Less is given back in a fifth of a millisecond.
constexpr uint64_t kLargeBytes = 512 * 1024;
// Where the file system tells the device what it needs no more (the mount option discard), the
// device does nothing else meanwhile: 30 ms for a snapshot of 150 MB at once, 0.25 ms for a piece.
constexpr uint64_t kLeavingPieceBytes = 512 * 1024;
// Leaves the disk to others for most of the time, and gives back more than is written.
constexpr Duration kLeavingPause = Duration::millis(2);

constexpr char kLockName[] = "lock";

// Whoever chose the path, it must never leave the root.
Status check_path(const std::string& path) {
  if (path.empty() || path.front() == '/' || path.find('\0') != std::string::npos) {
    return Status(Code::kInvalidArgument, "path '" + path + "' does not lie below the root");
  }
  const std::string framed = "/" + path + "/";
  if (framed.find("/../") != std::string::npos) {
    return Status(Code::kInvalidArgument, "path '" + path + "' leaves the root");
  }
  return {};
}

// The root itself is "" or ".".
std::string directory_of(const std::string& path) { return path.empty() ? "." : path; }

Status make_directories(const std::string& path) {
  for (size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    const std::string part = path.substr(0, end);
    if (::mkdir(part.c_str(), 0755) != 0 && errno != EEXIST) {
      return failure_of("make directory " + part, errno);
    }
    if (end == std::string::npos) {
      return {};
    }
  }
}

Result<int> take_lock(int root, const std::string& name) {
  const int lock = ::openat(root, kLockName, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (lock < 0) {
    return failure_of("open the lock of " + name, errno);
  }
  if (::flock(lock, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    ::close(lock);
    if (error == EWOULDBLOCK) {
      return Status(Code::kUnavailable, "the directory " + name + " is in use by another process");
    }
    return failure_of("lock " + name, error);
  }
  return lock;
}

int flags_of(env::OpenMode mode) {
  switch (mode) {
    case env::OpenMode::kRead: return O_RDONLY;
    case env::OpenMode::kWrite: return O_RDWR;
    case env::OpenMode::kCreate: return O_RDWR | O_CREAT;
  }
  ASSERT(false, "an open mode that is not in the enumeration");
}

// A descriptor of a file that is large enough to be missed when it goes; -1 of all else.
int open_large(int root, const std::string& path) {
  struct stat found {};
  if (::fstatat(root, path.c_str(), &found, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(found.st_mode) ||
      static_cast<uint64_t>(found.st_size) < kLargeBytes) {
    return -1;
  }
  return ::openat(root, path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
}

// How long a file is that has no name any more and that nobody else has open, here or in another
// process (only then does the kernel give a lease): it may be cut. 0 of all else.
uint64_t size_to_cut(int descriptor) {
  struct stat info {};
  if (::fstat(descriptor, &info) != 0 || info.st_nlink != 0 ||
      ::fcntl(descriptor, F_SETLEASE, F_WRLCK) != 0) {
    return 0;
  }
  (void)::fcntl(descriptor, F_SETLEASE, F_UNLCK);
  return static_cast<uint64_t>(info.st_size);
}

Status sync_directory_below(int root, const std::string& path) {
  const int directory = ::openat(root, path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) {
    return failure_of("open directory " + path, errno);
  }
  const int rc = ::fsync(directory);
  const int error = errno;
  ::close(directory);
  return rc == 0 ? Status() : failure_of("sync directory " + path, error);
}

Status rename_below(int root, const std::string& source, const std::string& target) {
  RETURN_IF_ERROR(check_path(source));
  RETURN_IF_ERROR(check_path(target));
  if (::renameat(root, source.c_str(), root, target.c_str()) != 0) {
    return failure_of("rename " + source + " to " + target, errno);
  }
  return {};
}

}  // namespace

Disk::Disk(Loop& loop, int root, int lock)
    : loop_(loop), root_(root), lock_(lock), side_(std::make_shared<Side>(loop)) {}

Result<std::unique_ptr<Disk>> Disk::open(Loop& loop, const std::string& root, Options options) {
  RETURN_IF_ERROR(make_directories(root));
  const int directory = ::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) {
    return failure_of("open directory " + root, errno);
  }
  Result<int> lock = take_lock(directory, root);
  if (!lock.ok()) {
    ::close(directory);
    return lock.status();
  }
  std::unique_ptr<Disk> disk(new Disk(loop, directory, *lock));
  if (options.engine != EngineKind::kPlain) {
    Result<std::shared_ptr<Engine>> engine =
        make_uring_engine(loop, options.engine == EngineKind::kUring);
    if (engine.ok()) {
      disk->engine_ = std::move(engine).value();
      disk->kind_ = options.engine;
      return disk;
    }
  }
  disk->engine_ = make_plain_engine(loop);
  return disk;
}

Disk::~Disk() {
  engine_->close();
  loop_.cancel(pause_);
  side_.reset();
  for (const Leaving& file : leaving_) {
    ::close(file.descriptor);
  }
  ::close(lock_);
  ::close(root_);
}

Status Disk::make_directory(const std::string& path) {
  RETURN_IF_ERROR(check_path(path));
  if (::mkdirat(root_, path.c_str(), 0755) != 0 && errno != EEXIST) {
    return failure_of("make directory " + path, errno);
  }
  return {};
}

Result<std::vector<std::string>> Disk::list(const std::string& requested) {
  const std::string path = directory_of(requested);
  RETURN_IF_ERROR(check_path(path));
  const int directory = ::openat(root_, path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) {
    return failure_of("list " + path, errno);
  }
  DIR* stream = ::fdopendir(directory);
  if (stream == nullptr) {
    const int error = errno;
    ::close(directory);
    return failure_of("list " + path, error);
  }
  const bool root = path == ".";
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(stream)) {
    std::string name = entry->d_name;
    if (name != "." && name != ".." && !(root && name == kLockName)) {
      names.push_back(std::move(name));
    }
    errno = 0;
  }
  const int error = errno;
  ::closedir(stream);
  if (error != 0) {
    return failure_of("list " + path, error);
  }
  std::sort(names.begin(), names.end());
  return names;
}

Result<std::unique_ptr<env::File>> Disk::open(const std::string& path, env::OpenMode mode) {
  RETURN_IF_ERROR(check_path(path));
  const int descriptor = ::openat(root_, path.c_str(), flags_of(mode) | O_CLOEXEC, 0644);
  if (descriptor < 0) {
    return failure_of("open " + path, errno);
  }
  return std::unique_ptr<env::File>(
      std::make_unique<File>(std::make_shared<FileState>(descriptor, path), engine_, side_));
}

Status Disk::rename(const std::string& source, const std::string& target) {
  return rename_below(root_, source, target);
}

void Disk::rename_durably(const std::string& source, const std::string& target, RenameDone done) {
  side_->run(
      [root = root_, source, target] {
        RETURN_IF_ERROR(rename_below(root, source, target));
        const size_t slash = target.rfind('/');
        return sync_directory_below(
            root, directory_of(slash == std::string::npos ? "" : target.substr(0, slash)));
      },
      std::move(done));
}

Status Disk::remove(const std::string& path) {
  RETURN_IF_ERROR(check_path(path));
  // Whoever lets go last of a file that has no name any more waits while the kernel gives its pages
  // and blocks back: 45 ms for a snapshot of 160 MB that was just written.
  if (const int held = open_large(root_, path); held >= 0) {
    const bool removed = ::unlinkat(root_, path.c_str(), 0) == 0;
    const int error = errno;
    leaving_.push_back({held, size_to_cut(held)});
    if (!std::exchange(gives_back_, true)) {
      give_back();
    }
    return removed ? Status() : failure_of("remove " + path, error);
  }
  if (::unlinkat(root_, path.c_str(), 0) != 0 &&
      (errno != EISDIR || ::unlinkat(root_, path.c_str(), AT_REMOVEDIR) != 0)) {
    return failure_of("remove " + path, errno);
  }
  return {};
}

void Disk::give_back() {
  Leaving file = leaving_.front();
  file.size = file.size == 0 ? 0 : (file.size - 1) / kLeavingPieceBytes * kLeavingPieceBytes;
  if (file.size == 0) {
    leaving_.pop_front();
  } else {
    leaving_.front() = file;
  }
  side_->run(
      [file] {
        const int rc = file.size == 0 ? ::close(file.descriptor)
                                      : ::ftruncate(file.descriptor, static_cast<off_t>(file.size));
        return rc == 0 ? Status() : failure_of("cut", errno);
      },
      [this, cuts = file.size > 0](const Status& status) {
        if (cuts && !status.ok()) {
          leaving_.front().size = 0;  // then all at once
        }
        gives_back_ = !leaving_.empty();
        if (gives_back_) {
          pause_ = loop_.start(loop_.clock().now() + kLeavingPause, [this] { give_back(); });
        }
      });
}

Status Disk::sync_directory(const std::string& requested) {
  const std::string path = directory_of(requested);
  RETURN_IF_ERROR(check_path(path));
  return sync_directory_below(root_, path);
}

}  // namespace quorate::os
