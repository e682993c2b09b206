// SPDX-License-Identifier: Apache-2.0
#include "node/group.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/limits.h"
#include "base/mutant.h"

namespace quorate::node {
namespace {

// A read round that gets no answer within this is asked anew; raft itself never retries one, so
// that an old answer can never serve a newer read.
constexpr Duration kReadRoundPatience = Duration::millis(200);

// Turns that a follower sends and syncs in before it applies: one to hand its entries to the disk,
// one to acknowledge them.
constexpr int kSettleWaitsMax = 2;

// A group that has nothing to wait for is looked at this often all the same: late proposals are
// told so, and clocks may be set.
constexpr Duration kTickEvery = Duration::millis(50);

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
      witness_(options.witness) {
  note_due();
}

Group::~Group() = default;

// ---- inputs
// ---------------------------------------------------------------------------------------

void Group::step(raft::Message&& message, Instant now) {
  raft_.step(std::move(message), now);
  // Most answers change nothing that anybody must be told.
  if (raft_.has_ready() || place == kNoPlace) {
    shell_.mark_dirty(*this);
  }
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
  if (!beats_.empty() && beats_.front().deadline <= now) {
    refuse_beats();
  }
  if (awaits_due() && due_again_ <= now && next_due_ <= shell_.clock.wall_at(now)) {
    shell_.mark_dirty(*this);
  }
  maybe_snapshot(now);
}

Instant Group::next_tick(Instant now) const {
  if (reads_.pending() != 0) {
    return now;
  }
  Instant next = std::min(raft_.deadline(), now + kTickEvery);
  if (awaits_due()) {
    const Stamp wall = shell_.clock.wall_at(now);
    if (next_due_ < wall + kTickEvery) {
      next = std::min(next, std::max(due_again_, now + (next_due_ - wall)));
    }
  }
  return next;
}

bool Group::awaits_due() const {
  return next_due_ != Stamp::never() && due_index_.none() && leads();
}

bool Group::wants_ticks() const {
  return !raft_.quiet() || pending() != 0 || (leads() && next_due_ != Stamp::never());
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

void Group::on_persisted(const raft::PersistPoint& point, std::span<const raft::Message> after,
                         Instant now) {
  send(after);
  raft_.on_persisted(point, now);
  if (raft_.has_ready() || place == kNoPlace) {
    shell_.mark_dirty(*this);
  }
}

void Group::abandon() {
  proposals_.abandon();
  refuse_beats();
  for (WaitingRead& read : reads_.take_all()) {
    read.done(Status(Code::kUnavailable, "the replica was shut down"), {}, origin({}));
  }
}

// ---- the turn
// -------------------------------------------------------------------------------------

void Group::work(Instant now) {
  propose_batch(now);
  ask_read_round(now);
  handle_readys(now);
}

void Group::handle_readys(Instant now) {
  while (raft_.has_ready()) {
    raft_.take_ready(shell_.ready);
    handle(shell_.ready, now);
  }
}

bool Group::wants_settle(Instant now) const {
  if (applied_ < commit_ || (round_ != 0 && applied_ >= round_end_) || reads_.has_granted() ||
      !beats_.empty() || raft_.has_ready()) {
    return true;
  }
  if (!leads() || !due_index_.none() || now < due_again_) {
    return false;
  }
  return !due_known_ || (next_due_ != Stamp::never() && next_due_ <= shell_.clock.wall_at(now));
}

bool Group::settle(Instant now) {
  settle_waits_ = 0;
  const bool more = apply(now);
  serve_reads(now);
  take_beats();
  propose_due(now);
  handle_readys(now);
  return more;
}

bool Group::may_settle_later() {
  if (applied_ >= commit_ || settle_waits_ >= kSettleWaitsMax) {
    return false;
  }
  ++settle_waits_;
  return true;
}

void Group::propose_batch(Instant now) {
  if (!proposals_.has_batch()) {
    return;
  }
  if (!leads()) {
    proposals_.give_back(
        [this](const service::BatchCommand& command, service::Done done, Instant deadline) {
          shell_.take_back(id_, command, std::move(done), {deadline, false});
        });
    return;
  }
  if (raft_.transferring()) {
    return;  // it ends soon, in either way, and then the group is dirty
  }
  if (proposals_.batch_bytes() < limits::kBatchBytesTarget && shell_.hold(*this)) {
    return;
  }
  Buffer payload = proposals_.take_batch();
  const Result<Index> index =
      raft_.propose(raft::EntryKind::kCommand, shell_.clock.wall_at(now), std::move(payload), now);
  if (index.ok()) {
    proposals_.proposed(*index, raft_.term());
    ++shell_.counters.entries_proposed;
    if (round_ == 0) {
      round_ = shell_.join_round();
      round_end_ = *index;
    }
  } else {
    proposals_.refused(index.status());
  }
}

void Group::leave_round() {
  if (round_ != 0) {
    shell_.leave_round(std::exchange(round_, 0));
  }
}

void Group::note_due() {
  if (!due_known_) {
    due_known_ = true;
    next_due_ = machine_->next_due();
  }
}

void Group::propose_due(Instant now) {
  if (!due_index_.none() || !leads() || applied_ < commit_ || now < due_again_) {
    return;
  }
  // Who leads newly has entries of its predecessor that it has not applied: owners that it does not
  // see here, and would not name as heard. If its clock is far ahead they would end at once.
  if (raft_.term_at(applied_) != raft_.term() && !MUTANT(ends_what_it_has_not_seen)) {
    return;
  }
  note_due();
  const Stamp wall = shell_.clock.wall_at(now);
  if (next_due_ > wall) {
    return;
  }
  class Known final : public service::Heard {
   public:
    Known(const service::Leases& leases, Instant at) : leases_(leases), at_(at) {}
    [[nodiscard]] Duration silence_of(service::ServiceId service,
                                      std::string_view subject) const override {
      return leases_.silence_of(service, subject, at_);
    }

   private:
    const service::Leases& leases_;
    const Instant at_;
  };
  service::BatchWriter batch;
  const Duration pause = machine_->add_due_commands(wall, Known(leases_, now), batch);
  if (batch.empty()) {
    due_again_ = now + pause;
    return;
  }
  const Result<Index> index =
      raft_.propose(raft::EntryKind::kCommand, wall, Buffer::take(batch.take()), now);
  due_index_ = index.ok() ? *index : Index();
}

void Group::handle(raft::Ready& ready, Instant now) {
  send(ready.messages);
  if (ready.must_persist()) {
    log(ready);
    shell_.when_persisted(*this, ready.persist_through, ready.after_persist);
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
    due_index_ = Index();
    due_again_ = Instant();
    leave_round();
    if (leads()) {
      leases_.begin(now);
    } else {
      leases_.end();
      refuse_beats();
    }
  }
  if (ready.role_changed || ready.config_changed) {
    shell_.on_group_changed(*this);
  }
}

void Group::log(const raft::Ready& ready) {
  std::vector<wal::Record>& records = shell_.records;
  for (const raft::Entry& entry : ready.entries) {
    records.push_back(
        {entry.index, entry.term, static_cast<uint8_t>(entry.kind), entry.at, entry.payload});
  }
  if (ready.hard_state.has_value()) {
    const wal::State state = state_of(*ready.hard_state);
    shell_.wal().append(id_, &state, records);
  } else {
    shell_.wal().append(id_, nullptr, records);
  }
  records.clear();
}

void Group::send(std::span<const raft::Message> messages) {
  for (const raft::Message& message : messages) {
    shell_.send(id_, message);
  }
}

void Group::answer_log_read(const raft::LogRead& read, Instant now) {
  ++shell_.counters.log_reads;
  raft::Entries entries;
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
  const Instant now = shell_.clock.now();
  const std::optional<Index> point = leads() ? raft_.lease_read(now) : std::nullopt;
  if (!point.has_value() || *point > applied_) {
    if (mode.consistency == Consistency::kLinearizable ||
        (mode.consistency == Consistency::kFollower && !MUTANT(follower_reads_without_asking))) {
      return {};
    }
    const std::optional<Freshness> fresh = reads_.freshness(applied_);
    staleness = fresh.has_value() ? now - fresh->asked : Duration::nanos(INT64_MAX);
    if (mode.consistency == Consistency::kBounded && staleness > mode.bound &&
        !MUTANT(bounds_are_ignored)) {
      return {};
    }
  }
  ++shell_.counters.reads_local;
  return {machine_->service(service), query_stamp(now), origin(staleness)};
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

// One that comes while an expiry command is on its way waits until that is applied, for it may end
// whom this one names; and no later one will, since it knows of this.
void Group::heartbeat(WaitingRead beat) {
  ASSERT(leads());
  if (!due_index_.none()) {
    if (beats_.size() >= limits::kPendingRequestsMax) {
      beat.done(Status(Code::kResourceExhausted, "too many heartbeats wait"), {}, origin({}));
    } else {
      beats_.push_back(std::move(beat));
    }
    return;
  }
  const Instant now = shell_.clock.now();
  std::vector<std::string> subjects;
  machine_->subjects(beat.service, beat.body, subjects);
  for (const std::string& subject : subjects) {
    leases_.hear(beat.service, subject, now,
                 [this](service::ServiceId service, std::string_view known) {
                   return machine_->has_subject(service, known);
                 });
  }
  query(std::move(beat), {});
}

void Group::take_beats() {
  if (beats_.empty() || !due_index_.none() || !leads()) {
    return;
  }
  std::vector<WaitingRead> beats;
  beats.swap(beats_);
  for (WaitingRead& beat : beats) {
    heartbeat(std::move(beat));
  }
}

void Group::refuse_beats() {
  std::vector<WaitingRead> beats;
  beats.swap(beats_);
  for (WaitingRead& beat : beats) {
    beat.done(Status(Code::kUnavailable, "the leader changed, or is late"), {}, origin({}));
  }
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
  const Status status =
      machine_->query(read.service, read.body, query_stamp(shell_.clock.now()), answer);
  read.done(status, answer, origin(staleness));
}

service::Origin Group::origin(Duration staleness) const {
  return {id_, applied_, staleness, shell_.options.id};
}

Stamp Group::query_stamp(Instant now) const { return std::max(stamp_, shell_.clock.wall_at(now)); }

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
