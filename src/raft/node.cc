// SPDX-License-Identifier: Apache-2.0
#include "raft/node.h"

#include <algorithm>

#include "raft/core.h"

namespace quorate::raft {

// ---- terms and dispatch ------------------------------------------------------------------------

Node::Core::Core(const Options& options_in, Restored restored, Instant start)
    : options(options_in),
      log(restored),
      configs(restored.snapshot.index, restored.snapshot.config),
      term(restored.hard_state.term),
      vote(MUTANT(restart_forgets_vote) ? NodeId() : restored.hard_state.vote),
      commit(restored.hard_state.commit),
      applied(restored.snapshot.index),
      commit_told(applied),
      commit_saved(commit),
      now(start),
      contact(start),
      prng(mix64(options_in.seed) ^ mix64(options_in.id.value())),
      greatest_priority(options_in.priority),
      suspect(restored.tail_suspect) {
  for (const Entry& entry : restored.configs) {
    if (entry.index > log.base() && entry.index <= log.last()) {
      configs.add(entry);
      stamp = std::max(stamp, entry.at);
    }
  }
  // A term on disk means that this replica may have answered a leader whose lease still runs: it
  // stays loyal for one timeout. Numbers of questions from before the restart must not come again.
  if (term.none() || MUTANT(restart_forgets_loyalty)) {
    contact = start - options.election_timeout_max;
  }
  asked_number = mix64(options.seed ^ static_cast<uint64_t>(start.nanos())) >> 16;
  if (log.has_holes()) {
    repair_at = start;
  }
  arm_election();
  if (only_voter()) {
    campaign();
  }
}

void Node::Core::note_now(Instant instant) { now = std::max(now, instant); }

void Node::Core::step(Message& message) {
  if (message.from == options.id || message.from.none()) {
    return;
  }
  // Repair speaks of entries by index and term; the sender's own term does not matter.
  if (message.kind == MessageKind::kRepair) {
    return on_repair(message);
  }
  if (message.kind == MessageKind::kRepairAnswer) {
    return on_repair_answer(message);
  }
  if (settle_term(message)) {
    step_role(message);
  }
}

// True if the message is of the current term, after a newer one was taken over.
bool Node::Core::settle_term(const Message& message) {
  if (message.term == term) {
    return true;
  }
  if (message.term < term) {
    answer_stale(message);
    return false;
  }
  switch (message.kind) {
    case MessageKind::kPreVote: return true;  // asks about a term, does not begin it
    case MessageKind::kVote:
      // Who hears from a leader does not let another disturb it: not even the term is taken over.
      if (heard_leader() && !message.flag) {
        notice_doubt(message);
        return false;
      }
      become_follower(message.term, NodeId());
      return true;
    case MessageKind::kPreVoteAnswer:
      if (!message.reject) {
        return true;  // granted, for the term that we asked about
      }
      break;
    case MessageKind::kAppend:
    case MessageKind::kHeartbeat:
    case MessageKind::kSnapshot: become_follower(message.term, message.from); return true;
    default: break;
  }
  // The word of a stranger, such as a removed node, ends nobody's term.
  if (!is_member(configs.newest(), message.from)) {
    return false;
  }
  become_follower(message.term, NodeId());
  return message.kind != MessageKind::kPreVoteAnswer;
}

// A deposed leader, or a candidate that was cut off, learns of the newer term; so does a leader
// that meets a replica whose term ran ahead, which could never follow it otherwise.
void Node::Core::answer_stale(const Message& message) {
  MessageKind kind;
  switch (message.kind) {
    case MessageKind::kAppend: kind = MessageKind::kAppendAnswer; break;
    case MessageKind::kHeartbeat: kind = MessageKind::kHeartbeatAnswer; break;
    case MessageKind::kSnapshot: kind = MessageKind::kSnapshotAnswer; break;
    case MessageKind::kPreVote: kind = MessageKind::kPreVoteAnswer; break;
    case MessageKind::kReadIndex: kind = MessageKind::kReadIndexAnswer; break;
    default: return;
  }
  Message answer = make(kind, message.from);
  answer.reject = true;
  answer.index = message.index;
  answer.context = message.kind == MessageKind::kReadIndex ? message.context : 0;
  send(std::move(answer));
}

void Node::Core::step_role(Message& message) {
  switch (message.kind) {
    case MessageKind::kPreVote: return on_pre_vote(message);
    case MessageKind::kVote: return on_vote(message);
    case MessageKind::kPreVoteAnswer:
    case MessageKind::kVoteAnswer: return on_vote_answer(message);
    case MessageKind::kTimeoutNow: return on_timeout_now(message);
    case MessageKind::kReadIndex: return on_read_index(message);
    case MessageKind::kReadIndexAnswer: return on_read_index_answer(message);
    case MessageKind::kAppend: return hear_leader(message) ? on_append(message) : void();
    case MessageKind::kHeartbeat: return hear_leader(message) ? on_heartbeat(message) : void();
    case MessageKind::kSnapshot: return hear_leader(message) ? on_snapshot(message) : void();
    default:
      if (std::holds_alternative<Leader>(role)) {
        step_leader(message);
      }
  }
}

void Node::Core::set_term(Term newer) {
  ASSERT(newer > term, "terms never go back");
  term = newer;
  vote = NodeId();
  state_dirty = true;
}

void Node::Core::become_follower(Term at, NodeId new_leader) {
  ASSERT(at >= term);
  leave_role();
  if (at > term) {
    set_term(at);
  }
  role.emplace<Follower>().leader = new_leader;
  out().role_changed = true;
  arm_election();
}

// Reads that wait for this role's proof fail: the caller asks again, and finds the new leader.
void Node::Core::leave_role() {
  if (auto* leader = std::get_if<Leader>(&role)) {
    answer_reads(leader->reads.take_all(), false);
  } else if (auto* follower = std::get_if<Follower>(&role)) {
    for (const AskedRead& read : follower->reads) {
      out().reads.push_back({read.context, Index(), false});
    }
    follower->reads.clear();
  }
}

void Node::Core::tick() {
  if (now >= repair_at) {
    ask_for_repair();
  }
  if (std::holds_alternative<Leader>(role)) {
    return tick_leader();
  }
  expire_reads();
  if (now >= election_deadline && !is_quiet()) {
    campaign();
  }
}

Instant Node::Core::deadline() const {
  Instant next = repair_at;
  if (const auto* leader = std::get_if<Leader>(&role)) {
    if (!leader->quiet) {
      next = std::min({next, leader->heartbeat_at, leader->notice_at, leader->check_at});
    }
    if (!leader->transfer.target.none()) {
      next = std::min(next, leader->transfer.expires);
    }
    return next;
  }
  if (const auto* follower = std::get_if<Follower>(&role)) {
    for (const AskedRead& read : follower->reads) {
      next = std::min(next, read.expires);
    }
  }
  return is_quiet() ? next : std::min(next, election_deadline);
}

void Node::Core::wake() {
  if (auto* leader = std::get_if<Leader>(&role)) {
    if (leader->quiet) {
      leader->quiet = false;
      leader->busy_at = now;
      for (Progress& peer : leader->peers) {
        peer.heard = now;
      }
      begin_round();
    }
  } else if (is_quiet()) {
    std::get<Follower>(role).quiet = false;
    arm_election();
  }
}

// ---- log and commit, whatever the role ---------------------------------------------------------

void Node::Core::append(Entry entry) {
  stamp = std::max(stamp, entry.at);
  if (entry.kind != EntryKind::kConfig) {
    return log.append(std::move(entry));
  }
  log.append(entry);
  if (!MUTANT(config_applied_late)) {
    configs.add(entry);
    config_changed();
  }
}

void Node::Core::truncate(Index keep) {
  ASSERT(keep >= commit || MUTANT(truncate_committed), "a committed entry is never dropped");
  log.truncate(keep);
  if (!MUTANT(config_survives_truncation) && configs.truncate(keep)) {
    config_changed();
  }
}

void Node::Core::commit_to(Index index) {
  ASSERT(index <= log.last());
  if (index <= commit) {
    return;
  }
  if (MUTANT(config_applied_late)) {
    for (Index i = commit.next(); i <= index; ++i) {
      if (const Entry* entry = log.find(i); entry != nullptr && entry->kind == EntryKind::kConfig) {
        configs.add(*entry);
        config_changed();
      }
    }
  }
  commit = index;
}

// A replica that goes quiet gives back what it can rebuild: there may be thousands like it.
void Node::Core::rest() {
  log.evict(applied_now(), 0);
  serving.shrink_to_fit();
  if (auto* leader = std::get_if<Leader>(&role)) {
    for (Progress& peer : leader->peers) {
      peer.inflight = Inflight();
    }
  }
  if (!has_ready()) {
    outbox.reset();
  }
}

// A witness applies nothing, so for it what is committed is done with.
Index Node::Core::applied_now() const { return options.witness ? commit : applied; }

NodeId Node::Core::known_leader() const {
  if (std::holds_alternative<Leader>(role)) {
    return options.id;
  }
  const auto* follower = std::get_if<Follower>(&role);
  return follower == nullptr ? NodeId() : follower->leader;
}

bool Node::Core::is_quiet() const {
  if (const auto* leader = std::get_if<Leader>(&role)) {
    return leader->quiet;
  }
  const auto* follower = std::get_if<Follower>(&role);
  return follower != nullptr && follower->quiet;
}

void Node::Core::note_priority(const Message& message) {
  greatest_priority = unzigzag(message.offset);
}

// ---- the public face ---------------------------------------------------------------------------

Node::Node(const Options& options, Restored restored, Instant now)
    : core_(std::make_unique<Core>(options, mended(std::move(restored)), now)) {}

Node::~Node() = default;

void Node::step(Message&& message, Instant now) {
  core_->note_now(now);
  core_->step(message);
}

void Node::tick(Instant now) {
  core_->note_now(now);
  core_->tick();
}

Result<Index> Node::propose(EntryKind kind, Stamp at, Buffer payload, Instant now) {
  core_->note_now(now);
  return core_->propose(kind, at, std::move(payload));
}

Result<Index> Node::propose_config(const ConfigChange& change, Stamp at, Instant now) {
  core_->note_now(now);
  return core_->propose_config(change, at);
}

Status Node::transfer_leadership(NodeId target, Instant now) {
  core_->note_now(now);
  return core_->transfer_leadership(target);
}

bool Node::transferring() const {
  const auto* const leader = std::get_if<Leader>(&core_->role);
  return leader != nullptr && !leader->transfer.target.none();
}

void Node::campaign(Instant now) {
  core_->note_now(now);
  core_->wake();
  core_->campaign();
}

Status Node::read(uint64_t context, ReadKind kind, Instant now) {
  core_->note_now(now);
  return core_->read(context, kind);
}

std::optional<Index> Node::lease_read(Instant now) const {
  if (!core_->lease_valid(now)) {
    return std::nullopt;
  }
  return core_->commit;
}

void Node::tell_commit(Instant now) {
  core_->note_now(now);
  core_->tell_commit();
}

void Node::wake(Instant now) {
  core_->note_now(now);
  core_->wake();
}

bool Node::quiet() const { return core_->is_quiet(); }
bool Node::has_ready() const { return core_->has_ready(); }
Ready Node::take_ready() {
  Ready ready;
  core_->take_ready(ready);
  return ready;
}
void Node::take_ready(Ready& ready) { core_->take_ready(ready); }
Instant Node::deadline() const { return core_->deadline(); }

void Node::on_persisted(const PersistPoint& point, Instant now) {
  core_->note_now(now);
  core_->on_persisted(point);
}

void Node::on_applied(Index index) {
  ASSERT(index <= core_->commit);
  core_->applied = std::max(core_->applied, index);
  core_->evict();
}

void Node::on_log_read(NodeId peer, Index first, Entries entries, Instant now) {
  core_->note_now(now);
  core_->on_log_read(peer, first, std::move(entries));
}

void Node::on_snapshot_read(NodeId peer, SnapshotPiece piece, Instant now) {
  core_->note_now(now);
  core_->on_snapshot_read(peer, std::move(piece));
}

void Node::on_snapshot_read_failed(NodeId peer, Instant now) {
  core_->note_now(now);
  core_->on_snapshot_read_failed(peer);
}

void Node::on_snapshot_written(const SnapshotMeta& meta, uint64_t offset_next, Instant now) {
  core_->note_now(now);
  core_->on_snapshot_written(meta, offset_next);
}

void Node::on_snapshot_installed(const SnapshotMeta& meta, Instant now) {
  core_->note_now(now);
  core_->on_snapshot_installed(meta);
}

void Node::on_snapshot_failed(const SnapshotMeta& meta, Instant now) {
  core_->note_now(now);
  core_->on_snapshot_failed(meta);
}

void Node::on_link(NodeId peer, bool up, Instant now) {
  core_->note_now(now);
  core_->on_link(peer, up);
}

void Node::on_hole(const Hole& hole, Instant now) {
  core_->note_now(now);
  core_->on_hole(hole);
}

void Node::on_compacted(const SnapshotMeta& meta) { core_->on_compacted(meta); }

Role Node::role() const {
  if (std::holds_alternative<Leader>(core_->role)) {
    return Role::kLeader;
  }
  const auto* candidate = std::get_if<Candidate>(&core_->role);
  if (candidate == nullptr) {
    return Role::kFollower;
  }
  return candidate->real ? Role::kCandidate : Role::kPreCandidate;
}

Term Node::term() const { return core_->term; }
NodeId Node::vote() const { return core_->vote; }
NodeId Node::leader() const { return core_->known_leader(); }
Index Node::commit() const { return core_->commit; }
Index Node::applied() const { return core_->applied; }
Index Node::last_index() const { return core_->log.last(); }
Index Node::first_index() const { return core_->log.base().next(); }
Term Node::term_at(Index index) const { return core_->log.term_at(index); }
const Entry* Node::entry_at(Index index) const { return core_->log.find(index); }
const Config& Node::config() const { return core_->configs.newest(); }
const Config& Node::config_at(Index index) const { return core_->configs.at(index); }
Index Node::config_index() const { return core_->configs.newest_index(); }
bool Node::suspect() const { return core_->suspect; }
bool Node::has_holes() const { return core_->log.has_holes(); }
Index Node::first_hole() const {
  return core_->log.has_holes() ? core_->log.whole().next() : Index();
}
void Node::prefetch() const {
  constexpr size_t kLineBytes = 64;
  const auto* const begin = static_cast<const char*>(static_cast<const void*>(core_.get()));
  for (size_t at = 0; at < sizeof(Core); at += kLineBytes) {
    __builtin_prefetch(begin + at);
  }
}

size_t Node::cached_bytes() const { return core_->log.cached_bytes(); }

std::vector<PeerView> Node::peers() const {
  std::vector<PeerView> views;
  const auto* leader = std::get_if<Leader>(&core_->role);
  if (leader == nullptr) {
    return views;
  }
  for (const Progress& peer : leader->peers) {
    views.push_back(
        {.node = peer.node,
         .match = peer.match,
         .next = peer.next,
         .active = leader->quiet || core_->now - peer.heard < core_->options.election_timeout_max,
         .snapshotting = peer.flow == Flow::kSnapshot,
         .learner = contains(config().learners, peer.node),
         .witness = is_witness(config(), peer.node)});
  }
  return views;
}

}  // namespace quorate::raft
