// SPDX-License-Identifier: Apache-2.0
#include "node/group.h"

#include <algorithm>
#include <utility>

#include "base/limits.h"

namespace quorate::node {
namespace {

// A read round that gets no answer within this is asked anew; raft itself never retries one, so
// that an old answer can never serve a newer read.
constexpr Duration kReadRoundPatience = Duration::millis(200);

wal::State state_of(const raft::HardState& state) { return {state.term, state.vote, state.commit}; }

}  // namespace

Group::Group(GroupId id, const raft::Options& options, ReplicaState state, Shell& shell)
    : id_(id),
      shell_(shell),
      raft_(options, std::move(state.log), shell.clock.now()),
      machine_(std::move(state.machine)),
      proposals_(id, options.id),
      reads_(),
      taker_(*this),
      sender_(*this),
      installer_(*this),
      applied_(raft_.applied()),
      commit_(raft_.commit()),
      stamp_(state.stamp),
      witness_(options.witness) {}

Group::~Group() = default;

// ---- inputs
// ---------------------------------------------------------------------------------------

void Group::step(raft::Message message, Instant now) {
  raft_.step(std::move(message), now);
  shell_.mark_dirty(*this);
}

void Group::tick(Instant now) {
  if (raft_.deadline() <= now) {
    raft_.tick(now);
    shell_.mark_dirty(*this);
  }
  if (reads_.pending() != 0) {
    reads_.expire_round(now, kReadRoundPatience);
    for (WaitingRead& late : reads_.take_late(now)) {
      late.done(Status(Code::kTimeout, "no read point from the group in time"), {}, origin({}));
    }
    shell_.mark_dirty(*this);
  }
  if (proposals_.pending() != 0) {
    proposals_.sweep(now);
  }
  if (leads() && !due_proposed_ && machine_->next_due() <= shell_.clock.wall()) {
    shell_.mark_dirty(*this);
  }
}

bool Group::wants_ticks() const {
  return !raft_.quiet() || pending() != 0 || (leads() && machine_->next_due() != Stamp::never());
}

void Group::propose(const service::Command& command, service::Done done, Instant deadline) {
  if (proposals_.pending() >= limits::kPendingRequestsMax) {
    done(Status(Code::kResourceExhausted, "too many commands wait for this group"), {}, origin({}));
    return;
  }
  proposals_.add(command, std::move(done), deadline);
  ++shell_.counters.proposals;
  shell_.mark_dirty(*this);
}

Status Group::propose_config(const raft::ConfigChange& change) {
  const Result<Index> proposed =
      raft_.propose_config(change, shell_.clock.wall(), shell_.clock.now());
  shell_.mark_dirty(*this);
  return proposed;
}

Status Group::transfer(NodeId target) {
  const Status status = raft_.transfer_leadership(target, shell_.clock.now());
  shell_.mark_dirty(*this);
  return status;
}

void Group::campaign() {
  raft_.campaign(shell_.clock.now());
  shell_.mark_dirty(*this);
}

void Group::wake(Instant now) {
  raft_.wake(now);
  shell_.mark_dirty(*this);
}

void Group::on_link(NodeId peer, bool up, Instant now) {
  raft_.on_link(peer, up, now);
  if (!up) {
    sender_.drop(peer);
  }
  if (raft_.has_ready()) {
    shell_.mark_dirty(*this);
  }
}

void Group::on_persisted(const raft::PersistPoint& point, std::vector<raft::Message> after,
                         Instant now) {
  send(after);
  raft_.on_persisted(point, now);
  shell_.mark_dirty(*this);
}

void Group::abandon() {
  proposals_.abandon();
  for (WaitingRead& read : reads_.take_all()) {
    read.done(Status(Code::kUnavailable, "the replica was shut down"), {}, origin({}));
  }
}

// ---- the turn
// -------------------------------------------------------------------------------------

bool Group::work(Instant now) {
  propose_batch(now);
  ask_read_round(now);
  while (raft_.has_ready()) {
    handle(raft_.take_ready(), now);
  }
  const bool more = apply(now);
  serve_reads(now);
  propose_due(now);
  maybe_snapshot();
  while (raft_.has_ready()) {
    handle(raft_.take_ready(), now);
  }
  return more || (proposals_.has_batch() && !shell_.flushing() && leads());
}

void Group::propose_batch(Instant now) {
  if (!proposals_.has_batch()) {
    return;
  }
  if (!leads()) {
    (void)proposals_.take_batch();
    proposals_.refused(Status(Code::kUnavailable, "the leader changed before this was proposed"));
    return;
  }
  // What arrives while the disk is busy makes one larger round instead of several small ones.
  if (shell_.flushing() && proposals_.batch_bytes() < limits::kBatchBytesTarget) {
    return;
  }
  Buffer payload = proposals_.take_batch();
  const Result<Index> index =
      raft_.propose(raft::EntryKind::kCommand, shell_.clock.wall(), std::move(payload), now);
  if (index.ok()) {
    proposals_.proposed(*index, raft_.term());
    ++shell_.counters.entries_proposed;
  } else {
    proposals_.refused(index.status());
  }
}

void Group::propose_due(Instant now) {
  if (due_proposed_ || !leads() || applied_ < commit_) {
    return;
  }
  const Stamp wall = shell_.clock.wall();
  if (machine_->next_due() > wall) {
    return;
  }
  service::BatchWriter batch;
  machine_->add_due_commands(wall, batch);
  if (batch.empty()) {
    return;
  }
  const Result<Index> index =
      raft_.propose(raft::EntryKind::kCommand, wall, Buffer::take(batch.take()), now);
  due_proposed_ = index.ok();
}

void Group::handle(raft::Ready ready, Instant now) {
  send(ready.messages);
  if (ready.must_persist()) {
    log(ready);
    shell_.when_persisted(*this, ready.persist_through, std::move(ready.after_persist));
  }
  commit_ = std::max(commit_, ready.commit);
  for (const raft::ReadReady& read : ready.reads) {
    finish_read(read);
  }
  for (const raft::LogRead& read : ready.log_reads) {
    answer_log_read(read, now);
  }
  for (const raft::SnapshotRead& read : ready.snapshot_reads) {
    sender_.serve(read, now);
  }
  for (const raft::SnapshotWrite& write : ready.snapshot_writes) {
    installer_.store(write, now);
  }
  if (ready.role_changed) {
    due_proposed_ = false;
  }
  if (ready.role_changed || ready.config_changed) {
    shell_.on_group_changed(*this);
  }
}

void Group::log(const raft::Ready& ready) {
  records_.clear();
  for (const raft::Entry& entry : ready.entries) {
    records_.push_back(
        {entry.index, entry.term, static_cast<uint8_t>(entry.kind), entry.at, entry.payload});
  }
  if (ready.hard_state.has_value()) {
    const wal::State state = state_of(*ready.hard_state);
    shell_.wal().append(id_, &state, records_);
  } else {
    shell_.wal().append(id_, nullptr, records_);
  }
  records_.clear();
}

void Group::send(std::vector<raft::Message>& messages) {
  for (const raft::Message& message : messages) {
    shell_.send(id_, message);
  }
  messages.clear();
}

void Group::answer_log_read(const raft::LogRead& read, Instant now) {
  ++shell_.counters.log_reads;
  std::vector<raft::Entry> entries;
  Result<std::vector<wal::Record>> records =
      shell_.wal().read(id_, read.first, read.last, read.bytes_max);
  if (records.ok()) {
    entries.reserve(records->size());
    for (wal::Record& record : *records) {
      entries.push_back({record.index, record.term, static_cast<raft::EntryKind>(record.kind),
                         record.at, std::move(record.payload)});
    }
  }
  on_unreadable(read.first, records.status(), now);
  raft_.on_log_read(read.peer, read.first, std::move(entries), now);
}

// Bytes that were durable and are not any more: raft asks its peers for them.
void Group::on_unreadable(Index index, const Status& status, Instant now) {
  if (status.code() == Code::kCorrupted) {
    ++shell_.counters.holes_found;
    raft_.on_hole({index, index}, now);
  }
}

// ---- reads
// ----------------------------------------------------------------------------------------

service::LocalRead Group::read_here(service::ServiceId service, service::ReadMode mode) {
  using service::Consistency;
  if (witness_ || installer_.busy()) {
    return {};
  }
  Duration staleness;
  const std::optional<Index> point = leads() ? raft_.lease_read(shell_.clock.now()) : std::nullopt;
  if (!point.has_value() || *point > applied_) {
    if (mode.consistency == Consistency::kLinearizable ||
        mode.consistency == Consistency::kFollower) {
      return {};
    }
    const std::optional<Freshness> fresh = reads_.freshness(applied_);
    const Instant now = shell_.clock.now();
    staleness = fresh.has_value() ? now - fresh->asked : Duration::nanos(INT64_MAX);
    if (mode.consistency == Consistency::kBounded && staleness > mode.bound) {
      return {};
    }
  }
  ++shell_.counters.reads_local;
  return {machine_->service(service), query_stamp(), origin(staleness)};
}

void Group::query(WaitingRead read, service::ReadMode mode) {
  if (read_here(read.service, mode).machine != nullptr) {
    serve(read, {});
    return;
  }
  if (reads_.pending() >= limits::kPendingRequestsMax) {
    read.done(Status(Code::kResourceExhausted, "too many reads wait for this group"), {},
              origin({}));
    return;
  }
  read.begun = shell_.clock.now();
  reads_.add(std::move(read));
  ++shell_.counters.reads_by_round;
  shell_.mark_dirty(*this);
}

void Group::ask_read_round(Instant now) {
  if (!reads_.wants_round()) {
    return;
  }
  const uint64_t context = reads_.begin_round(now);
  if (!raft_.read(context, raft::ReadKind::kLeaseOrQuorum, now).ok()) {
    reads_.round_failed(context);  // asked again at the next tick; late reads are told so
  }
}

void Group::finish_read(const raft::ReadReady& ready) {
  if (ready.ok) {
    reads_.round_granted(ready.context, ready.index);
  } else {
    reads_.round_failed(ready.context);
  }
}

void Group::serve_reads(Instant) {
  if (installer_.busy()) {
    return;
  }
  for (WaitingRead& read : reads_.take_served(applied_)) {
    serve(read, {});
  }
}

void Group::serve(WaitingRead& read, Duration staleness) {
  std::string answer;
  const Status status = machine_->query(read.service, read.body, query_stamp(), answer);
  read.done(status, answer, origin(staleness));
}

service::Origin Group::origin(Duration staleness) const {
  return {id_, applied_, staleness, shell_.options.id};
}

Stamp Group::query_stamp() const { return std::max(stamp_, shell_.clock.wall()); }

GroupView Group::view() const {
  GroupView view;
  view.group = id_;
  view.role = raft_.role();
  view.term = raft_.term();
  view.leader = raft_.leader();
  view.commit = commit_;
  view.applied = applied_;
  view.last = raft_.last_index();
  view.first = raft_.first_index();
  view.digest = machine_->digest();
  view.quiet = raft_.quiet();
  view.holes = raft_.has_holes();
  view.pending = pending();
  view.machine_bytes = machine_->memory_bytes();
  view.config = raft_.config();
  view.config_index = raft_.config_index();
  if (leads()) {
    view.peers = raft_.peers();
  }
  return view;
}

}  // namespace quorate::node
