// SPDX-License-Identifier: Apache-2.0
#include "sim/disk.h"

#include <algorithm>
#include <deque>

#include "base/hash.h"

namespace quorate::sim {
namespace {

Status gone() { return {Code::kUnavailable, "disk: the machine is down"}; }
Status input_output_error() { return {Code::kUnavailable, "disk: input/output error"}; }
Status no_space() { return {Code::kResourceExhausted, "disk: no space left"}; }
Status no_such(const std::string& path) { return {Code::kNotFound, "disk: no such file: " + path}; }

std::string parent_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

std::string clean(const std::string& path) {
  if (path == "." || path == "/") {
    return "";
  }
  return !path.empty() && path.back() == '/' ? path.substr(0, path.size() - 1) : path;
}

}  // namespace

// ---- File --------------------------------------------------------------------------------------

class File : public env::File {
 public:
  File(DiskImage& image, std::shared_ptr<DiskImage::Inode> inode, LifeId life, bool writable)
      : image_(image), inode_(std::move(inode)), life_(life), writable_(writable) {}

  [[nodiscard]] Result<uint64_t> size() override { return uint64_t{inode_->now.size()}; }

  [[nodiscard]] Result<size_t> read(uint64_t offset, std::span<char> out) override {
    if (!image_.admit()) {
      return gone();
    }
    if (image_.model_.read_fails_ppm != 0 &&
        image_.prng_.chance(image_.model_.read_fails_ppm, 1'000'000)) {
      ++image_.stats_.failed;
      image_.world_.count("read_failed");
      return input_output_error();
    }
    if (offset >= inode_->now.size()) {
      return size_t{0};
    }
    const size_t n = std::min<size_t>(out.size(), inode_->now.size() - offset);
    std::copy_n(inode_->now.data() + offset, n, out.data());
    return n;
  }

  void write(uint64_t offset, std::vector<std::string_view> pieces, env::Sync sync,
             WriteDone done) override;

  [[nodiscard]] Status write_now(uint64_t offset, std::string_view bytes) override {
    if (!image_.admit()) {
      return gone();
    }
    ASSERT(writable_);
    RETURN_IF_ERROR(image_.check(false));
    image_.world_.fold(hash64(bytes));
    return image_.change(*inode_, {offset, std::string(bytes), false, 0});
  }

  [[nodiscard]] Status sync_now() override {
    if (!image_.admit()) {
      return gone();
    }
    return finish_sync();
  }

  [[nodiscard]] Status truncate(uint64_t size) override {
    if (!image_.admit()) {
      return gone();
    }
    ASSERT(writable_);
    return image_.change(*inode_, {size, {}, true, 0});
  }

 private:
  struct Submitted {
    uint64_t number;
    env::Sync sync;
    WriteDone done;
  };

  [[nodiscard]] Status finish_sync() {
    const Status status = image_.check(true);
    if (!status.ok()) {
      std::move(inode_->unsynced.begin(), inode_->unsynced.end(),
                std::back_inserter(inode_->limbo));
      inode_->unsynced.clear();
      return status;
    }
    image_.cover(*inode_);
    return {};
  }
  void complete_first();
  [[nodiscard]] Status complete(const Submitted& submitted);

  DiskImage& image_;
  std::shared_ptr<DiskImage::Inode> inode_;
  LifeId life_;
  bool writable_;
  std::deque<Submitted> submitted_;
  Instant busy_until_;
  // Completions find the file by this; it dies with the file.
  std::shared_ptr<int> token_ = std::make_shared<int>(0);
};

void File::write(uint64_t offset, std::vector<std::string_view> pieces, env::Sync sync,
                 WriteDone done) {
  ASSERT(writable_);
  DiskImage::Change change;
  change.offset = offset;
  for (const std::string_view piece : pieces) {
    change.bytes.append(piece);
  }
  const DiskModel& model = image_.model_;
  Prng& prng = image_.prng_;
  int64_t nanos =
      prng.between(model.write_min.nanos(), model.write_max.nanos()) +
      static_cast<int64_t>(change.bytes.size() * 1'000'000'000 / model.bytes_per_second);
  if (sync == env::Sync::kData) {
    nanos += prng.between(model.sync_min.nanos(), model.sync_max.nanos());
  }
  image_.world_.fold(hash64(change.bytes));
  change.number = ++image_.writes_begun_;
  submitted_.push_back({change.number, sync, std::move(done)});
  if (!image_.frozen_) {
    inode_->under_way.push_back(std::move(change));
  }
  busy_until_ = std::max(busy_until_, image_.world_.now()) + Duration::nanos(nanos);
  image_.world_.at(life_, busy_until_, [this, alive = std::weak_ptr<int>(token_)] {
    if (!alive.expired()) {
      complete_first();
    }
  });
}

void File::complete_first() {
  Submitted submitted = std::move(submitted_.front());
  submitted_.pop_front();
  const Status status = complete(submitted);
  // Last: the callback may destroy this file.
  submitted.done(status);
}

Status File::complete(const Submitted& submitted) {
  if (!image_.admit()) {
    return gone();
  }
  // Not simply the first: a file that was closed leaves its writes under way until a crash.
  const auto mine = std::find_if(
      inode_->under_way.begin(), inode_->under_way.end(),
      [&submitted](const DiskImage::Change& one) { return one.number == submitted.number; });
  ASSERT(mine != inode_->under_way.end());
  DiskImage::Change change = std::move(*mine);
  inode_->under_way.erase(mine);
  const Status status = image_.check(false);
  if (!status.ok()) {
    // How much of it reached the page cache nobody can tell.
    change.bytes.resize(image_.prng_.below(change.bytes.size() + 1));
    (void)image_.change(*inode_, std::move(change));
    return status;
  }
  RETURN_IF_ERROR(image_.change(*inode_, std::move(change)));
  return submitted.sync == env::Sync::kData ? finish_sync() : Status();
}

// ---- DiskImage ---------------------------------------------------------------------------------

bool DiskImage::admit() {
  if (frozen_) {
    return false;
  }
  if (freeze_after_ > 0 && --freeze_after_ == 0) {
    frozen_ = true;
    world_.count("crash_inside_event");
    return false;
  }
  return true;
}

Status DiskImage::check(bool sync) {
  ++(sync ? stats_.syncs : stats_.writes);
  const uint32_t ppm = sync ? model_.sync_fails_ppm : model_.write_fails_ppm;
  if (ppm > 0 && prng_.chance(ppm, 1'000'000)) {
    ++stats_.failed;
    world_.count(sync ? "sync_failed" : "write_failed");
    return input_output_error();
  }
  return {};
}

Status DiskImage::grow(Inode& inode, uint64_t size) {
  if (size <= inode.now.size()) {
    return {};
  }
  const uint64_t more = size - inode.now.size();
  if (bytes_ + more > model_.capacity_bytes) {
    ++stats_.full;
    world_.count("disk_full");
    return no_space();
  }
  bytes_ += more;
  return {};
}

Status DiskImage::change(Inode& inode, Change change) {
  if (change.truncate) {
    RETURN_IF_ERROR(grow(inode, change.offset));
    bytes_ -= inode.now.size() - std::min<uint64_t>(inode.now.size(), change.offset);
  } else {
    RETURN_IF_ERROR(grow(inode, change.offset + change.bytes.size()));
  }
  put(inode.now, change);
  inode.unsynced.push_back(std::move(change));
  return {};
}

void DiskImage::put(std::string& content, const Change& change) {
  if (change.truncate) {
    content.resize(change.offset, '\0');
    return;
  }
  const size_t end = change.offset + change.bytes.size();
  if (content.size() < end) {
    content.resize(end, '\0');
  }
  std::copy(change.bytes.begin(), change.bytes.end(),
            content.begin() + static_cast<std::ptrdiff_t>(change.offset));
}

void DiskImage::cover(Inode& inode) {
  constexpr size_t kNewest = 16;
  for (const Change& change : inode.unsynced) {
    put(inode.durable, change);
    inode.newest.push_back({change.offset, change.offset + change.bytes.size()});
  }
  while (inode.newest.size() > kNewest) {
    inode.newest.pop_front();
  }
  inode.unsynced.clear();
}

void DiskImage::crash() {
  settle();
  frozen_ = false;
  freeze_after_ = 0;
}

void DiskImage::process_exit() {
  if (frozen_) {
    crash();
    return;
  }
  freeze_after_ = 0;
  // Writes under way: the kernel finishes some of them.
  for (const auto& [path, inode] : now_) {
    if (inode == nullptr) {
      continue;
    }
    for (Change& one : inode->under_way) {
      if (prng_.chance(1, 2)) {
        (void)change(*inode, std::move(one));
      }
    }
    inode->under_way.clear();
  }
}

void DiskImage::settle() {
  // Inodes first: a file may be reachable by its durable name, its present one, or both.
  std::vector<InodeRef> inodes;
  for (const Tree* tree : {&durable_, &now_}) {
    for (const auto& [path, inode] : *tree) {
      if (inode != nullptr && std::find(inodes.begin(), inodes.end(), inode) == inodes.end()) {
        inodes.push_back(inode);
      }
    }
  }
  for (const InodeRef& inode : inodes) {
    settle(*inode);
  }
  settle_names();
  bytes_ = 0;
  for (const auto& [path, inode] : now_) {
    bytes_ += inode == nullptr ? 0 : inode->now.size();
  }
}

void DiskImage::settle(Inode& inode) {
  std::vector<Change> changes = std::move(inode.limbo);
  std::move(inode.unsynced.begin(), inode.unsynced.end(), std::back_inserter(changes));
  std::move(inode.under_way.begin(), inode.under_way.end(), std::back_inserter(changes));
  inode.limbo.clear();
  inode.unsynced.clear();
  inode.under_way.clear();
  if (changes.size() > 1 && prng_.chance(1, 3)) {
    for (size_t i = changes.size() - 1; i > 0; --i) {
      std::swap(changes[i], changes[prng_.below(i + 1)]);
    }
    world_.count("writes_reordered");
  }
  for (const Change& change : changes) {
    settle_change(inode, change);
  }
  inode.now = inode.durable;
}

void DiskImage::settle_change(Inode& inode, const Change& change) {
  const uint64_t draw = prng_.below(1000);
  if (draw < model_.crash_keeps_per_mille) {
    put(inode.durable, change);
    return;
  }
  if (draw >= model_.crash_keeps_per_mille + model_.crash_tears_per_mille || change.truncate ||
      change.bytes.size() < 2) {
    ++stats_.lost;
    world_.count("write_lost");
    return;
  }
  ++stats_.torn;
  world_.count("write_torn");
  const size_t cut = prng_.below(change.bytes.size());
  const uint64_t shape = prng_.below(4);
  if (shape <= 1) {
    put(inode.durable, {change.offset, change.bytes.substr(0, cut), false, 0});
  } else if (shape == 2) {
    put(inode.durable, {change.offset + cut, change.bytes.substr(cut), false, 0});
  } else {
    // Sector by sector, as they lie on the disk.
    constexpr uint64_t kSector = 512;
    const uint64_t end = change.offset + change.bytes.size();
    for (uint64_t at = change.offset; at < end;) {
      const uint64_t next = std::min(end, (at / kSector + 1) * kSector);
      if (prng_.chance(1, 2)) {
        put(inode.durable, {at, change.bytes.substr(at - change.offset, next - at), false, 0});
      }
      at = next;
    }
  }
}

// A change of a name whose forerunner was lost is lost with it.
void DiskImage::settle_names() {
  std::vector<std::string> lost;
  const auto hit = [&lost](const std::string& path) {
    return std::any_of(lost.begin(), lost.end(), [&path](const std::string& name) {
      return path == name || path.starts_with(name + "/");
    });
  };
  for (const NameChange& change : names_unsynced_) {
    if (hit(change.source) || hit(change.target) || !prng_.chance(1, 2)) {
      ++stats_.names_lost;
      world_.count("name_lost");
      lost.push_back(change.source);
      if (!change.target.empty()) {
        lost.push_back(change.target);
      }
      continue;
    }
    apply(durable_, change);
  }
  names_unsynced_.clear();
  now_ = durable_;
}

void DiskImage::apply(Tree& tree, const NameChange& change) {
  switch (change.kind) {
    case NameKind::kCreate: tree[change.source] = change.inode; break;
    case NameKind::kDirectory: tree.emplace(change.source, nullptr); break;
    case NameKind::kRemove: tree.erase(change.source); break;
    case NameKind::kRename:
      tree.erase(change.source);
      tree[change.target] = change.inode;
      break;
  }
}

void DiskImage::rename_change(NameChange change) {
  apply(now_, change);
  names_unsynced_.push_back(std::move(change));
}

std::string DiskImage::rot(const std::string& part) { return damage(part, 1); }

std::string DiskImage::garble(const std::string& part) {
  // Fewer than the least item of the log has: of what stands twice one copy stays whole.
  return damage(part, 2 + prng_.below(15));
}

std::string DiskImage::damage(const std::string& part, size_t bytes) {
  std::vector<std::pair<std::string, InodeRef>> files;
  for (const auto& [path, inode] : durable_) {
    if (inode != nullptr && !inode->durable.empty() && path.find(part) != std::string::npos) {
      files.emplace_back(path, inode);
    }
  }
  for (int attempt = 0; attempt < 64 && !files.empty(); ++attempt) {
    const auto& [path, inode] = files[prng_.below(files.size())];
    const size_t at = prng_.below(inode->durable.size());
    if (inode->durable[at] == '\0' || !may_damage(*inode, {at, at + bytes})) {
      continue;
    }
    for (size_t i = at; i < at + bytes; ++i) {
      const int flip = bytes == 1 ? 1 << prng_.below(8) : 1 + static_cast<int>(prng_.below(255));
      inode->durable[i] = static_cast<char>(inode->durable[i] ^ flip);
      inode->now[i] = inode->durable[i];
    }
    ++stats_.bits_rotted;
    world_.count(bytes == 1 ? "bit_rotted" : "bytes_garbled");
    return path + "@" + std::to_string(at);
  }
  return "";
}

// Only where the file and the disk agree: bytes that a sync covers.
bool DiskImage::may_damage(const Inode& inode, Span span) const {
  if (span.end > std::min(inode.now.size(), inode.durable.size()) ||
      !std::equal(inode.now.begin() + static_cast<std::ptrdiff_t>(span.first),
                  inode.now.begin() + static_cast<std::ptrdiff_t>(span.end),
                  inode.durable.begin() + static_cast<std::ptrdiff_t>(span.first))) {
    return false;
  }
  return span.end - span.first == 1 ||
         std::none_of(inode.newest.begin(), inode.newest.end(), [&](const Span& newest) {
           return newest.first < span.end && span.first < newest.end;
         });
}

void DiskImage::wipe() {
  now_.clear();
  durable_.clear();
  names_unsynced_.clear();
  bytes_ = 0;
  frozen_ = false;
  freeze_after_ = 0;
}

// ---- Disk --------------------------------------------------------------------------------------

Status Disk::make_directory(const std::string& raw) {
  if (!image_.admit()) {
    return gone();
  }
  const std::string path = clean(raw);
  if (path.empty()) {
    return {};
  }
  const auto it = image_.now_.find(path);
  if (it != image_.now_.end()) {
    return it->second == nullptr ? Status()
                                 : Status(Code::kAlreadyExists, "disk: is a file: " + path);
  }
  const std::string parent = parent_of(path);
  if (!parent.empty() && !image_.now_.contains(parent)) {
    return no_such(parent);
  }
  image_.rename_change({DiskImage::NameKind::kDirectory, path, "", nullptr});
  return {};
}

Result<std::vector<std::string>> Disk::list(const std::string& raw) {
  if (!image_.admit()) {
    return gone();
  }
  const std::string path = clean(raw);
  if (!path.empty() && !image_.now_.contains(path)) {
    return no_such(path);
  }
  std::vector<std::string> names;
  for (const auto& [name, inode] : image_.now_) {
    if (parent_of(name) == path) {
      names.push_back(path.empty() ? name : name.substr(path.size() + 1));
    }
  }
  return names;
}

Result<std::unique_ptr<env::File>> Disk::open(const std::string& path, env::OpenMode mode) {
  if (!image_.admit()) {
    return gone();
  }
  const auto it = image_.now_.find(path);
  const bool writable = mode != env::OpenMode::kRead;
  if (it != image_.now_.end()) {
    if (it->second == nullptr) {
      return Status(Code::kInvalidArgument, "disk: is a directory: " + path);
    }
    return std::unique_ptr<env::File>(std::make_unique<File>(image_, it->second, life_, writable));
  }
  const std::string parent = parent_of(path);
  if (mode != env::OpenMode::kCreate || (!parent.empty() && !image_.now_.contains(parent))) {
    return no_such(path);
  }
  auto inode = std::make_shared<DiskImage::Inode>();
  image_.rename_change({DiskImage::NameKind::kCreate, path, "", inode});
  return std::unique_ptr<env::File>(std::make_unique<File>(image_, inode, life_, writable));
}

Status Disk::rename(const std::string& source, const std::string& target) {
  if (!image_.admit()) {
    return gone();
  }
  const auto it = image_.now_.find(source);
  if (it == image_.now_.end() || it->second == nullptr) {
    return no_such(source);
  }
  const auto replaced = image_.now_.find(target);
  if (replaced != image_.now_.end() && replaced->second != nullptr) {
    image_.bytes_ -= replaced->second->now.size();
  }
  image_.rename_change({DiskImage::NameKind::kRename, source, target, it->second});
  return {};
}

Status Disk::remove(const std::string& path) {
  if (!image_.admit()) {
    return gone();
  }
  const auto it = image_.now_.find(path);
  if (it == image_.now_.end()) {
    return no_such(path);
  }
  if (it->second != nullptr) {
    image_.bytes_ -= it->second->now.size();
  }
  image_.rename_change({DiskImage::NameKind::kRemove, path, "", it->second});
  return {};
}

Status Disk::sync_directory(const std::string& raw) {
  if (!image_.admit()) {
    return gone();
  }
  RETURN_IF_ERROR(image_.check(true));
  const std::string path = clean(raw);
  // What touches this directory, and whatever went before with the same names.
  std::vector<DiskImage::NameChange> kept;
  for (DiskImage::NameChange& change : image_.names_unsynced_) {
    const bool covered = parent_of(change.source) == path ||
                         (!change.target.empty() && parent_of(change.target) == path);
    if (covered) {
      DiskImage::apply(image_.durable_, change);
    } else {
      kept.push_back(std::move(change));
    }
  }
  image_.names_unsynced_ = std::move(kept);
  return {};
}

void Disk::rename_durably(const std::string& source, const std::string& target, RenameDone done) {
  const DiskModel& model = image_.model_;
  const auto some = [this](Duration least, Duration most) {
    return Duration::nanos(image_.prng_.between(least.nanos(), most.nanos()));
  };
  const Instant renamed = image_.world_.now() + some(model.write_min, model.write_max);
  const Instant synced = renamed + some(model.sync_min, model.sync_max);
  const auto status = std::make_shared<Status>();
  image_.world_.at(life_, renamed,
                   [this, alive = std::weak_ptr<int>(token_), source, target, status] {
                     if (!alive.expired()) {
                       *status = rename(source, target);
                     }
                   });
  image_.world_.at(life_, synced,
                   [this, alive = std::weak_ptr<int>(token_), parent = parent_of(target), status,
                    done = std::move(done)]() mutable {
                     if (!alive.expired()) {
                       done(status->ok() ? sync_directory(parent) : *status);
                     }
                   });
}

}  // namespace quorate::sim
