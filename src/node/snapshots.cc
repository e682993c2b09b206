// SPDX-License-Identifier: Apache-2.0
#include "node/snapshots.h"

#include "base/codec.h"
#include "base/mutant.h"
#include "node/group.h"

namespace quorate::node {
namespace {

constexpr size_t kStampBytes = 8;
constexpr int kRestoreAttempts = 3;

}  // namespace

wal::SnapshotInfo info_of(GroupId group, const raft::SnapshotMeta& meta) {
  std::string header;
  Writer writer(header);
  raft::encode(meta.config, writer);
  return {group, meta.index, meta.term, std::move(header), 0};
}

Result<raft::SnapshotMeta> meta_of(const wal::SnapshotInfo& info) {
  Reader reader(info.header);
  raft::Config config = raft::decode_config(reader);
  if (!reader.done()) {
    return Status(Code::kCorrupted, "the configuration in a snapshot's header cannot be read");
  }
  return raft::SnapshotMeta{info.index, info.term, std::move(config)};
}

// ---- taking
// ---------------------------------------------------------------------------------------

SnapshotTaker::~SnapshotTaker() {
  *alive_ = false;
  stop();
}

void SnapshotTaker::start() {
  if (busy() || group_.applied_.none() || !group_.shell_.begin_snapshot()) {
    return;
  }
  Index last = group_.applied_;
  if (MUTANT(apply_twice_after_snapshot) && last > group_.raft_.first_index()) {
    last = last.previous();
  }
  meta_ = {last, group_.raft_.term_at(last), group_.raft_.config_at(last)};
  Result<std::unique_ptr<wal::SnapshotWriter>> writer =
      group_.shell_.snapshots().create(info_of(group_.id_, meta_));
  if (!writer.ok()) {
    group_.shell_.end_snapshot();
    return;
  }
  writer_ = std::move(*writer);
  source_ = group_.machine_->freeze();
  chunk_.clear();
  Writer(chunk_).stamp(group_.stamp_);
  step();
}

// Nobody waits for a snapshot, but whoever is served waits for a core and for the disk: both have
// as long without it as a piece took.
void SnapshotTaker::step() {
  const Instant begin = group_.shell_.clock.now();
  const bool more = source_->next(group_.shell_.options.snapshot_step_bytes, chunk_);
  writer_->write(chunk_, [this, alive = alive_, more, begin](Status status) {
    if (!*alive) {
      return;
    }
    chunk_.clear();
    if (!status.ok()) {
      stop();
    } else if (more) {
      const Instant now = group_.shell_.clock.now();
      group_.shell_.timer.start(now + (now - begin), [this, alive] {
        if (*alive && busy()) {
          step();
        }
      });
    } else {
      writer_->finish([this, alive](Status finish_status) {
        if (*alive) {
          finished(finish_status);
        }
      });
    }
  });
}

void SnapshotTaker::finished(Status status) {
  const raft::SnapshotMeta meta = meta_;
  stop();
  if (!status.ok()) {
    return;  // the log stays as it is; the next attempt comes with the next growth
  }
  ++group_.shell_.counters.snapshots_taken;
  releasable_ = meta;
  group_.shell_.snapshots().prune(group_.id_);
  group_.shell_.mark_dirty(group_);
}

void SnapshotTaker::stop() {
  if (source_ == nullptr) {
    return;
  }
  source_.reset();
  writer_.reset();
  group_.shell_.end_snapshot();
}

void SnapshotTaker::release_log() {
  if (!releasable_.has_value()) {
    return;
  }
  // A follower that is a few entries behind should get those, not a whole snapshot; one that is far
  // behind or gone must not hold the log for ever.
  if (group_.leads() &&
      group_.shell_.wal().bytes_of(group_.id_) < 2 * group_.shell_.options.snapshot_log_bytes) {
    for (const raft::PeerView& peer : group_.raft_.peers()) {
      if (peer.active && !peer.snapshotting && peer.match < releasable_->index) {
        return;
      }
    }
  }
  if (releasable_->index >= group_.raft_.first_index()) {
    group_.shell_.wal().compact(group_.id_, releasable_->index, releasable_->term);
    group_.raft_.on_compacted(*releasable_);
  }
  releasable_.reset();
}

// ---- sending
// --------------------------------------------------------------------------------------

void SnapshotSender::serve(const raft::SnapshotRead& read, Instant now) {
  std::unique_ptr<wal::SnapshotReader>& reader = readers_[read.peer];
  const bool wrong = reader != nullptr && !read.index.none() && reader->info().index != read.index;
  if (reader == nullptr || wrong || (read.index.none() && read.offset == 0)) {
    Result<std::unique_ptr<wal::SnapshotReader>> newest =
        group_.shell_.snapshots().newest(group_.id_);
    const bool usable = newest.ok() && (read.index.none() || (*newest)->info().index == read.index);
    if (!usable) {
      readers_.erase(read.peer);
      if (!newest.ok()) {
        group_.taker_.start();
      }
      group_.raft_.on_snapshot_read_failed(read.peer, now);
      return;
    }
    reader = std::move(*newest);
    ++group_.shell_.counters.snapshots_sent;
  }
  const Result<raft::SnapshotMeta> meta = meta_of(reader->info());
  Result<std::string> piece = reader->read(read.offset, read.bytes_max);
  if (!meta.ok() || !piece.ok()) {
    readers_.erase(read.peer);
    group_.raft_.on_snapshot_read_failed(read.peer, now);
    return;
  }
  const uint64_t end = read.offset + piece->size();
  const bool last = end >= reader->info().bytes;
  group_.raft_.on_snapshot_read(read.peer,
                                {*meta, read.offset, Buffer::take(std::move(*piece)), last}, now);
  if (last) {
    readers_.erase(read.peer);
  }
}

// ---- installing
// -----------------------------------------------------------------------------------

SnapshotInstaller::~SnapshotInstaller() { *alive_ = false; }

void SnapshotInstaller::store(const raft::SnapshotWrite& write, Instant now) {
  if (busy()) {
    return;  // the leader asks again; this replica already has a whole snapshot in hand
  }
  wal::SnapshotInfo info = info_of(group_.id_, write.snapshot);
  wal::SnapshotStore& store = group_.shell_.snapshots();
  const Status stored = store.receive(info, write.offset, write.data.view());
  const uint64_t next = store.received(group_.id_, info.index, info.term);
  if (!stored.ok() && next == 0) {
    group_.raft_.on_snapshot_failed(write.snapshot, now);
    return;
  }
  if (!write.last || next != write.offset + write.data.size()) {
    group_.raft_.on_snapshot_written(write.snapshot, next, now);
    return;
  }
  if (!store.receive_finish(info).ok()) {
    group_.raft_.on_snapshot_failed(write.snapshot, now);
    return;
  }
  if (!begin_restore(write.snapshot)) {
    group_.raft_.on_snapshot_failed(write.snapshot, now);
  }
}

bool SnapshotInstaller::begin_restore(const raft::SnapshotMeta& meta) {
  Result<std::unique_ptr<wal::SnapshotReader>> reader =
      group_.shell_.snapshots().newest(group_.id_);
  if (!reader.ok() || (*reader)->info().index != meta.index) {
    return false;
  }
  group_.taker_.abandon();
  meta_ = meta;
  reader_ = std::move(*reader);
  offset_ = 0;
  stamp_bytes_.clear();
  group_.machine_->restore_begin();
  step();
  return true;
}

void SnapshotInstaller::step() {
  Result<std::string> piece = reader_->read(offset_, group_.shell_.options.snapshot_step_bytes);
  if (!piece.ok()) {
    // The file may have been replaced under its name by an equal one: read that, from its start.
    if (++attempts_ < kRestoreAttempts && begin_restore(meta_)) {
      return;
    }
    group_.shell_.fail(Status(piece.status().code(),
                              "a snapshot that is being installed cannot be "
                              "read: " +
                                  piece.status().message()));
    return;
  }
  if (piece->empty()) {
    finish();
    return;
  }
  offset_ += piece->size();
  std::string_view rest = *piece;
  if (stamp_bytes_.size() < kStampBytes) {
    const size_t take = std::min(kStampBytes - stamp_bytes_.size(), rest.size());
    stamp_bytes_.append(rest.substr(0, take));
    rest.remove_prefix(take);
  }
  // Whole files were checked before; a machine that cannot take one would diverge if it went on.
  const Status taken = group_.machine_->restore_piece(rest);
  ASSERT(taken.ok(), taken.message().c_str());
  group_.shell_.timer.defer([this, alive = alive_] {
    if (*alive && busy()) {
      step();
    }
  });
}

void SnapshotInstaller::finish() {
  ASSERT(stamp_bytes_.size() == kStampBytes, "the snapshot ends before its stamp");
  const Status ended = group_.machine_->restore_end();
  ASSERT(ended.ok(), ended.message().c_str());
  reader_.reset();
  attempts_ = 0;
  const Instant now = group_.shell_.clock.now();
  group_.stamp_ = Reader(stamp_bytes_).stamp();
  group_.applied_ = meta_.index;
  group_.due_known_ = false;
  group_.commit_ = std::max(group_.commit_, meta_.index);
  group_.proposals_.jumped_over(meta_.index);
  group_.shell_.wal().compact(group_.id_, meta_.index, meta_.term);
  group_.raft_.on_snapshot_installed(meta_, now);
  ++group_.shell_.counters.snapshots_installed;
  group_.shell_.mark_dirty(group_);
}

}  // namespace quorate::node
