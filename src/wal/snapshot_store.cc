// SPDX-License-Identifier: Apache-2.0
// The files of the directory:
//   snapshot-<group>-<index>-<term>        whole, durable
//   ....new                                being written; removed by the next open
//   ....part                               being received; the next open finds how far it got
#include "wal/snapshot_store.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/assert.h"
#include "base/crc.h"
#include "base/limits.h"
#include "base/mutant.h"
#include "wal/snapshot_file.h"

namespace quorate::wal {
namespace {

constexpr std::string_view kPrefix = "snapshot-";
constexpr std::string_view kNewSuffix = ".new";
constexpr std::string_view kPartSuffix = ".part";
// What is received is synced in steps of this size, so that the last sync is short.
constexpr uint64_t kSyncEachBytes = 4 * 1024 * 1024;
// What is taken is, too: the log's own syncs, for which clients wait, stand behind these.
constexpr uint64_t kSyncTakenEachBytes = 512 * 1024;
constexpr size_t kFileBlockBytes = env::File::kBlockBytes;

std::string name_of(const SnapshotInfo& info) {
  return std::string(kPrefix) + std::to_string(info.group.value()) + "-" +
         std::to_string(info.index.value()) + "-" + std::to_string(info.term.value());
}

bool same(const SnapshotInfo& a, const SnapshotInfo& b) {
  return a.group == b.group && a.index == b.index && a.term == b.term;
}

// Turns body bytes into framed blocks; a part that does not fill a block waits.
class Framer {
 public:
  explicit Framer(const SnapshotInfo& info) : seed_(seed_of(info)), at_(layout_of(info)) {}
  Framer(const SnapshotInfo& info, const GoodPart& good)
      : seed_(seed_of(info)), bytes_(good.bytes), crc_(good.crc) {
    block_ = good.bytes / kBlockBytes;
    at_ = SnapshotLayout{info.header.size()}.block_at(block_);
  }

  // Appends to `out` what can be written at written_at() now.
  void add(std::string_view body, std::string& out) {
    crc_ = crc32c(body, crc_);
    bytes_ += body.size();
    while (rest_.size() + body.size() >= kBlockBytes) {
      const size_t take = kBlockBytes - rest_.size();
      rest_.append(body.substr(0, take));
      body.remove_prefix(take);
      encode_block(rest_, block_++, seed_, out);
      rest_.clear();
    }
    rest_.append(body);
  }
  void finish(SnapshotInfo& info, std::string& out) {
    if (!rest_.empty()) {
      encode_block(rest_, block_++, seed_, out);
      rest_.clear();
    }
    info.bytes = bytes_;
    out.append(encode_snapshot_foot(info, crc_));
  }
  [[nodiscard]] uint64_t advance(size_t written) { return std::exchange(at_, at_ + written); }
  [[nodiscard]] uint64_t bytes() const { return bytes_; }

 private:
  static uint64_t layout_of(const SnapshotInfo& info) {
    return SnapshotLayout{info.header.size()}.block_at(0);
  }

  uint32_t seed_;
  uint64_t block_ = 0;
  uint64_t bytes_ = 0;
  uint32_t crc_ = 0;
  uint64_t at_ = 0;
  std::string rest_;
};

// A whole snapshot; readers share it.
struct Whole {
  SnapshotInfo info;
  bool damaged = false;
};

// A snapshot on its way in.
struct Part {
  Part(SnapshotInfo meta, Framer blocks) : info(std::move(meta)), framer(std::move(blocks)) {}
  SnapshotInfo info;
  Framer framer;
  std::unique_ptr<env::File> file;
  uint64_t unsynced = 0;
};

class Store final : public SnapshotStore {
 public:
  Store(env::Disk& disk, std::string directory) : disk_(disk), directory_(std::move(directory)) {}

  Status load();
  [[nodiscard]] std::vector<SnapshotInfo> list() const override;
  Result<std::unique_ptr<SnapshotReader>> newest(GroupId group) override;
  Result<std::unique_ptr<SnapshotWriter>> create(SnapshotInfo info) override;
  [[nodiscard]] uint64_t received(GroupId group, Index index, Term term) const override;
  Status receive(const SnapshotInfo& info, uint64_t offset, std::string_view bytes) override;
  Status receive_finish(const SnapshotInfo& info) override;
  void prune(GroupId group) override;
  void remove_group(GroupId group) override;

  [[nodiscard]] std::string path(const std::string& name) const { return directory_ + "/" + name; }
  env::Disk& disk() { return disk_; }
  // The file under its working name is whole and synced: it becomes the snapshot.
  Status publish(const SnapshotInfo& info, std::string_view suffix);
  // The same beside the loop. If `wanted` has gone when it is done, the snapshot goes too.
  void publish_aside(const SnapshotInfo& info, std::weak_ptr<bool> wanted,
                     SnapshotWriter::Done done);

 private:
  using Wholes = std::vector<std::shared_ptr<Whole>>;  // by index, then term

  Status load_part(const std::string& name);
  void load_wholes(std::map<GroupId, std::vector<SnapshotInfo>>& found);
  Status verify(SnapshotInfo& info);
  void insert(const SnapshotInfo& info);
  Status start_part(const SnapshotInfo& info);
  void drop_part(GroupId group);
  void settled(const SnapshotInfo& info, bool wanted, const Status& status);
  [[nodiscard]] bool is_known(const SnapshotInfo& info) const;

  env::Disk& disk_;
  std::string directory_;
  std::map<GroupId, Wholes> wholes_;
  std::map<GroupId, Part> parts_;
  std::set<std::string> settling_;  // names that are being given
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

// Whole blocks of the file are written aside as they fill, from its start; what is left goes with
// the last sync.
class FileWriter final : public SnapshotWriter {
 public:
  FileWriter(Store& store, SnapshotInfo info, std::unique_ptr<env::File> file)
      : store_(store),
        info_(std::move(info)),
        framer_(info_),
        file_(std::move(file)),
        out_(encode_snapshot_head(info_)) {}
  ~FileWriter() override {
    file_.reset();
    if (!finished_) {
      (void)store_.disk().remove(store_.path(name_of(info_) + std::string(kNewSuffix)));
    }
  }

  void write(std::string_view chunk, Done done) override {
    ASSERT(!done_, "one chunk at a time");
    done_ = std::move(done);
    framer_.add(chunk, out_);
    std::string blocks = std::move(out_);
    out_ = blocks.substr(blocks.size() - blocks.size() % kFileBlockBytes);
    blocks.resize(blocks.size() - out_.size());
    unsynced_ += blocks.size();
    const bool syncs = unsynced_ >= kSyncTakenEachBytes;
    unsynced_ = syncs ? 0 : unsynced_;
    const uint64_t at = std::exchange(at_, at_ + blocks.size());
    file_->write_aside(at, std::move(blocks), syncs ? env::Sync::kData : env::Sync::kNone,
                       [this](Status status) { on_written(std::move(status)); });
  }
  void finish(Done done) override {
    ASSERT(!done_, "one chunk at a time");
    done_ = std::move(done);
    framer_.finish(info_, out_);
    const env::Sync sync =
        MUTANT(snapshot_counts_before_sync) ? env::Sync::kNone : env::Sync::kData;
    file_->write(at_, {out_}, sync, [this](Status status) { on_last_written(std::move(status)); });
  }

 private:
  void on_written(Status status) {
    if (failed_.ok()) {
      failed_ = std::move(status);
    }
    answer();
  }
  void on_last_written(Status status) {
    if (failed_.ok()) {
      failed_ = std::move(status);
    }
    if (!failed_.ok()) {
      answer();
      return;
    }
    finished_ = true;  // the file is the store's from here on
    store_.publish_aside(info_, wanted_, [this](Status published) {
      failed_ = std::move(published);
      answer();
    });
  }
  void answer() {
    Done done = std::move(done_);
    const Status answer = failed_;
    done(answer);  // may destroy the writer
  }

  Store& store_;
  SnapshotInfo info_;
  Framer framer_;
  std::unique_ptr<env::File> file_;
  std::string out_;  // not written yet
  uint64_t at_ = 0;  // where it goes
  uint64_t unsynced_ = 0;
  Done done_;
  Status failed_;  // the first failure stays: a snapshot with a gap must not be finished
  bool finished_ = false;
  std::shared_ptr<bool> wanted_ = std::make_shared<bool>(true);
};

class FileReader final : public SnapshotReader {
 public:
  FileReader(std::shared_ptr<Whole> whole, std::unique_ptr<env::File> file)
      : whole_(std::move(whole)), file_(std::move(file)) {}

  [[nodiscard]] const SnapshotInfo& info() const override { return whole_->info; }
  [[nodiscard]] Result<std::string> read(uint64_t offset, size_t bytes_max) override {
    auto bytes = read_body(*file_, whole_->info, offset, bytes_max);
    if (bytes.status().code() == Code::kCorrupted) {
      whole_->damaged = true;  // not offered again
    }
    return bytes;
  }

 private:
  std::shared_ptr<Whole> whole_;
  std::unique_ptr<env::File> file_;
};

Status Store::load() {
  RETURN_IF_ERROR(disk_.make_directory(directory_));
  const auto names = disk_.list(directory_);
  RETURN_IF_ERROR(names);
  std::map<GroupId, std::vector<SnapshotInfo>> found;
  for (const std::string& name : *names) {
    if (!name.starts_with(kPrefix)) {
      continue;
    }
    if (name.ends_with(kNewSuffix)) {
      RETURN_IF_ERROR(disk_.remove(path(name)));
      continue;
    }
    if (name.ends_with(kPartSuffix)) {
      RETURN_IF_ERROR(load_part(name));
      continue;
    }
    const auto file = disk_.open(path(name), env::OpenMode::kRead);
    const auto info = file.ok() ? read_snapshot_head(**file) : Result<SnapshotInfo>(file.status());
    if (info.ok() && name_of(*info) == name) {
      found[info->group].push_back(*info);
    }
  }
  load_wholes(found);
  return disk_.sync_directory(directory_);
}

// Of each group the newest that passes. The others of the group go: what is older is not needed,
// what is newer and damaged is of no use. What the disk could not read stays, as it may be good;
// and if none passes all stay, for whoever wants to look.
void Store::load_wholes(std::map<GroupId, std::vector<SnapshotInfo>>& found) {
  for (auto& [group, infos] : found) {
    std::sort(infos.begin(), infos.end(), [](const SnapshotInfo& a, const SnapshotInfo& b) {
      return std::pair(a.index, a.term) > std::pair(b.index, b.term);
    });
    std::vector<SnapshotInfo> useless;
    bool kept = false;
    for (SnapshotInfo& info : infos) {
      const Status status = kept ? Status() : verify(info);
      if (kept || status.code() == Code::kCorrupted) {
        useless.push_back(std::move(info));
      } else if (status.ok()) {
        insert(info);
        kept = true;
      }
    }
    for (const SnapshotInfo& info : useless) {
      if (kept) {
        (void)disk_.remove(path(name_of(info)));
      }
    }
  }
}

Status Store::verify(SnapshotInfo& info) {
  const auto file = disk_.open(path(name_of(info)), env::OpenMode::kRead);
  RETURN_IF_ERROR(file);
  const auto whole = verify_snapshot(**file);
  RETURN_IF_ERROR(whole);
  info.bytes = whole->bytes;
  return Status::success();
}

Status Store::load_part(const std::string& name) {
  auto file = disk_.open(path(name), env::OpenMode::kWrite);
  RETURN_IF_ERROR(file);
  auto info = read_snapshot_head(**file);
  const bool ours = info.ok() && name == name_of(*info) + std::string(kPartSuffix);
  if (!ours || parts_.contains(info->group)) {
    return disk_.remove(path(name));
  }
  const auto good = read_good_part(**file, *info);
  RETURN_IF_ERROR(good);
  const SnapshotLayout layout{info->header.size()};
  RETURN_IF_ERROR((*file)->truncate(layout.block_at(good->bytes / kBlockBytes)));
  const Framer framer(*info, *good);
  const GroupId group = info->group;
  auto& part = parts_.try_emplace(group, std::move(info).value(), framer).first->second;
  part.file = std::move(file).value();
  part.unsynced = good->bytes;
  return Status::success();
}

void Store::insert(const SnapshotInfo& info) {
  Wholes& wholes = wholes_[info.group];
  std::erase_if(wholes, [&](const auto& whole) { return same(whole->info, info); });
  const auto at = std::find_if(wholes.begin(), wholes.end(), [&](const auto& whole) {
    return std::pair(whole->info.index, whole->info.term) > std::pair(info.index, info.term);
  });
  wholes.insert(at, std::make_shared<Whole>(Whole{info}));
}

Status Store::publish(const SnapshotInfo& info, std::string_view suffix) {
  const std::string name = name_of(info);
  RETURN_IF_ERROR(disk_.rename(path(name + std::string(suffix)), path(name)));
  if (!MUTANT(snapshot_counts_before_rename_sync)) {
    RETURN_IF_ERROR(disk_.sync_directory(directory_));
  }
  insert(info);
  return Status::success();
}

// While the name is given and synced, the writer may go: its group ends, or has another's snapshot
// installed, which may be of the same name even.
void Store::publish_aside(const SnapshotInfo& info, std::weak_ptr<bool> wanted,
                          SnapshotWriter::Done done) {
  if (MUTANT(snapshot_counts_before_rename_sync)) {
    done(publish(info, kNewSuffix));
    return;
  }
  const std::string name = name_of(info);
  settling_.insert(name);
  disk_.rename_durably(path(name + std::string(kNewSuffix)), path(name),
                       [this, alive = std::weak_ptr<bool>(alive_), info, wanted,
                        done = std::move(done)](Status status) mutable {
                         if (!alive.expired()) {
                           settled(info, !wanted.expired(), status);
                         }
                         if (!wanted.expired()) {
                           done(std::move(status));
                         }
                       });
}

void Store::settled(const SnapshotInfo& info, bool wanted, const Status& status) {
  const std::string name = name_of(info);
  settling_.erase(name);
  if (!status.ok()) {
    (void)disk_.remove(path(name + std::string(kNewSuffix)));
  } else if (wanted) {
    insert(info);
  } else if (!is_known(info)) {
    (void)disk_.remove(path(name));
  }
}

bool Store::is_known(const SnapshotInfo& info) const {
  const auto wholes = wholes_.find(info.group);
  return wholes != wholes_.end() &&
         std::any_of(wholes->second.begin(), wholes->second.end(),
                     [&info](const auto& whole) { return same(whole->info, info); });
}

std::vector<SnapshotInfo> Store::list() const {
  std::vector<SnapshotInfo> infos;
  for (const auto& [group, wholes] : wholes_) {
    const auto good = std::find_if(wholes.rbegin(), wholes.rend(),
                                   [](const auto& whole) { return !whole->damaged; });
    if (good != wholes.rend()) {
      infos.push_back((*good)->info);
    }
  }
  return infos;
}

Result<std::unique_ptr<SnapshotReader>> Store::newest(GroupId group) {
  const auto wholes = wholes_.find(group);
  if (wholes != wholes_.end()) {
    for (auto whole = wholes->second.rbegin(); whole != wholes->second.rend(); ++whole) {
      if ((*whole)->damaged) {
        continue;
      }
      auto file = disk_.open(path(name_of((*whole)->info)), env::OpenMode::kRead);
      RETURN_IF_ERROR(file);
      return std::unique_ptr<SnapshotReader>(
          std::make_unique<FileReader>(*whole, std::move(file).value()));
    }
  }
  return Status{Code::kNotFound, "the group has no snapshot"};
}

Result<std::unique_ptr<SnapshotWriter>> Store::create(SnapshotInfo info) {
  if (info.header.size() > limits::kSnapshotHeaderBytesMax) {
    return Status{Code::kTooLarge, "the header of a snapshot"};
  }
  if (settling_.contains(name_of(info))) {
    return Status{Code::kUnavailable, "this very snapshot is about to get its name"};
  }
  const std::string name = path(name_of(info) + std::string(kNewSuffix));
  auto file = disk_.open(name, env::OpenMode::kCreate);
  RETURN_IF_ERROR(file);
  RETURN_IF_ERROR((*file)->truncate(0));
  return std::unique_ptr<SnapshotWriter>(
      std::make_unique<FileWriter>(*this, std::move(info), std::move(*file)));
}

uint64_t Store::received(GroupId group, Index index, Term term) const {
  const auto part = parts_.find(group);
  const bool this_one =
      part != parts_.end() && part->second.info.index == index && part->second.info.term == term;
  return this_one ? part->second.framer.bytes() : 0;
}

Status Store::start_part(const SnapshotInfo& info) {
  if (info.header.size() > limits::kSnapshotHeaderBytesMax) {
    return {Code::kTooLarge, "the header of a snapshot"};
  }
  drop_part(info.group);
  const std::string name = path(name_of(info) + std::string(kPartSuffix));
  auto file = disk_.open(name, env::OpenMode::kCreate);
  RETURN_IF_ERROR(file);
  RETURN_IF_ERROR((*file)->truncate(0));
  RETURN_IF_ERROR((*file)->write_now(0, encode_snapshot_head(info)));
  auto& part = parts_.try_emplace(info.group, info, Framer(info)).first->second;
  part.file = std::move(file).value();
  return Status::success();
}

void Store::drop_part(GroupId group) {
  const auto part = parts_.find(group);
  if (part == parts_.end()) {
    return;
  }
  const std::string name = name_of(part->second.info) + std::string(kPartSuffix);
  parts_.erase(part);
  (void)disk_.remove(path(name));  // else the next open finds it, and a transfer starts over
}

Status Store::receive(const SnapshotInfo& info, uint64_t offset, std::string_view bytes) {
  if (offset == 0) {
    RETURN_IF_ERROR(start_part(info));
  }
  const auto at = parts_.find(info.group);
  if (at == parts_.end() || !same(at->second.info, info) || offset != at->second.framer.bytes()) {
    return {Code::kPreconditionFailed, "a piece of a snapshot out of its order"};
  }
  Part& part = at->second;
  std::string out;
  part.framer.add(bytes, out);
  Status status = part.file->write_now(part.framer.advance(out.size()), out);
  part.unsynced += out.size();
  if (status.ok() && part.unsynced >= kSyncEachBytes) {
    status = part.file->sync_now();
    part.unsynced = 0;
  }
  if (!status.ok()) {
    drop_part(info.group);  // what it holds now is unknown; the sender starts over
  }
  return status;
}

Status Store::receive_finish(const SnapshotInfo& info) {
  const auto at = parts_.find(info.group);
  if (at == parts_.end() || !same(at->second.info, info)) {
    return {Code::kPreconditionFailed, "no such snapshot was being received"};
  }
  Part& part = at->second;
  if (info.bytes != 0 && info.bytes != part.framer.bytes()) {
    return {Code::kPreconditionFailed, "the snapshot is not complete"};
  }
  std::string out;
  SnapshotInfo whole = part.info;
  part.framer.finish(whole, out);
  Status status = part.file->write_now(part.framer.advance(out.size()), out);
  if (status.ok()) {
    status = part.file->sync_now();
  }
  if (!status.ok()) {
    drop_part(info.group);
    return status;
  }
  parts_.erase(at);
  return publish(whole, kPartSuffix);
}

void Store::prune(GroupId group) {
  const auto at = wholes_.find(group);
  if (at == wholes_.end()) {
    return;
  }
  Wholes& wholes = at->second;
  const auto newest = std::find_if(wholes.rbegin(), wholes.rend(),
                                   [](const auto& whole) { return !whole->damaged; });
  if (newest == wholes.rend()) {
    return;
  }
  const std::shared_ptr<Whole> kept = *newest;
  std::erase_if(wholes, [&](const std::shared_ptr<Whole>& whole) {
    return whole != kept && whole.use_count() == 1 && disk_.remove(path(name_of(whole->info))).ok();
  });
}

void Store::remove_group(GroupId group) {
  drop_part(group);
  const auto wholes = wholes_.find(group);
  if (wholes == wholes_.end()) {
    return;
  }
  for (const auto& whole : wholes->second) {
    (void)disk_.remove(path(name_of(whole->info)));
  }
  wholes_.erase(wholes);
}

}  // namespace

Result<std::unique_ptr<SnapshotStore>> SnapshotStore::open(env::Disk& disk,
                                                           const std::string& directory) {
  auto store = std::make_unique<Store>(disk, directory);
  RETURN_IF_ERROR(store->load());
  return std::unique_ptr<SnapshotStore>(std::move(store));
}

}  // namespace quorate::wal
