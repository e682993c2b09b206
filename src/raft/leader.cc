// SPDX-License-Identifier: Apache-2.0
// Leaders: rounds of heartbeats, what they prove (leadership, lease, reads), and what is committed.
#include <algorithm>

#include "raft/core.h"

namespace quorate::raft {
namespace {

// While appends keep a group together, every so many intervals there are heartbeats all the same.
constexpr int kBeatsSpared = 4;

}  // namespace

void Node::Core::become_leader() {
  ASSERT(may_stand());
  leave_role();
  Leader& leader = role.emplace<Leader>();
  leader.first = log.last().next();
  leader.busy_at = now;
  leader.beat_at = now;
  leader.rounds.begin(now);
  leader.heartbeat_at = now + options.heartbeat_interval;
  sync_peers();
  for (Index i = std::max(commit.next(), log.cached_from()); i <= log.last(); ++i) {
    leader.uncommitted_bytes += cost_of(*log.find(i));
  }
  out().role_changed = true;
  append_own(EntryKind::kNoop, stamp, Buffer());
  settle_rounds();
}

void Node::Core::tick_leader() {
  Leader& leader = lead();
  if (!leader.transfer.target.none() && now >= leader.transfer.expires) {
    leader.transfer = Transfer();
    leave_joint_when_committed();
  }
  if (leader.quiet) {
    return;
  }
  if (now >= leader.check_at) {
    // Reckoned anew only here: hearing more of the followers can but put it off.
    leader.check_at = quorum_heard() + options.election_timeout_max;
    if (now >= leader.check_at) {
      return become_follower(term, NodeId());
    }
  }
  if (now >= leader.heartbeat_at) {
    return may_go_quiet() ? go_quiet() : begin_round();
  }
  if (now >= leader.notice_at) {
    tell_commit();
  }
}

void Node::Core::tell_commit() {
  auto* const leader = std::get_if<Leader>(&role);
  if (leader == nullptr || leader->quiet) {
    return;
  }
  leader->notice_at = Instant::never();
  for (Progress& peer : leader->peers) {
    if (peer.commit_sent < commit) {
      heartbeat(peer, 0, false);
    }
  }
}

// ---- rounds ------------------------------------------------------------------------------------

void Node::Core::begin_round() {
  Leader& leader = lead();
  const uint64_t round = leader.rounds.begin(now);
  leader.reads.assign(round);
  leader.beat_at = now;
  leader.heartbeat_at = now + options.heartbeat_interval;
  leader.notice_at = Instant::never();
  for (Progress& peer : leader.peers) {
    heartbeat(peer, round, false);
  }
  settle_rounds();
}

// Appends that are about to go to everybody prove as much as heartbeats when they are answered, so
// they make a round of their own, and the next heartbeats are put off. Not for ever: heartbeats
// also tell how the followers are. And not where a follower was silent for an interval: it answers
// heartbeats at once, but appends only when its disk has them.
bool Node::Core::appends_make_round() const {
  const Leader& leader = lead();
  if (leader.peers.empty() || now - leader.beat_at >= options.heartbeat_interval * kBeatsSpared) {
    return false;
  }
  return std::all_of(leader.peers.begin(), leader.peers.end(), [&](const Progress& peer) {
    return peer.flow == Flow::kReplicate && peer.next <= log.last() &&
           peer.next >= log.cached_from() && peer.may_append(options) &&
           now - peer.heard < options.heartbeat_interval;
  });
}

void Node::Core::begin_append_round() {
  Leader& leader = lead();
  (void)leader.rounds.begin(now);
  leader.heartbeat_at = now + options.heartbeat_interval;
  leader.notice_at = Instant::never();
}

// A round of zero asks for no answer.
void Node::Core::heartbeat(Progress& peer, uint64_t round, bool quiet) {
  int greatest = INT32_MIN;
  for (const Progress& other : lead().peers) {
    if (is_voter(configs.newest(), other.node) && !is_witness(configs.newest(), other.node)) {
      greatest = std::max(greatest, other.priority);
    }
  }
  Message message = make(MessageKind::kHeartbeat, peer.node);
  message.commit = commit;
  message.context = round;
  message.flag = quiet;
  message.offset = zigzag(greatest);
  peer.commit_sent = commit;
  send(std::move(message));
}

void Node::Core::note_round(Progress& peer, uint64_t round) {
  if (round > peer.round && round <= lead().rounds.newest()) {
    peer.round = round;
    settle_rounds();
  }
}

// What the answers so far prove: until when the lease runs, and which reads may be served.
void Node::Core::settle_rounds() {
  Leader& leader = lead();
  const uint64_t reached = quorum_reached(configs.newest(), [&](NodeId node) {
    const Progress* peer = find_peer(node);
    return node == options.id ? leader.rounds.newest() : peer == nullptr ? 0 : peer->round;
  });
  const uint64_t round = std::min(reached, leader.rounds.newest());
  const Duration lease =
      options.election_timeout_min *
      (1000 - (MUTANT(lease_ignores_drift) ? 0 : options.lease_margin_per_mille)) / 1000;
  leader.lease_until =
      (MUTANT(lease_from_the_answer) ? now : leader.rounds.sent_at(round)) + lease;
  answer_reads(leader.reads.confirmed(round), true);
}

Instant Node::Core::quorum_heard() const {
  const uint64_t reached = quorum_reached(configs.newest(), [&](NodeId node) {
    const Progress* peer = find_peer(node);
    const Instant heard = node == options.id ? now : peer == nullptr ? Instant() : peer->heard;
    return static_cast<uint64_t>(std::max<int64_t>(heard.nanos(), 0));
  });
  return Instant::from_nanos(
      static_cast<int64_t>(std::min(reached, static_cast<uint64_t>(now.nanos()))));
}

void Node::Core::on_heartbeat_answer(const Message& message) {
  Leader& leader = lead();
  Progress& peer = *find_peer(message.from);
  peer.applied = message.commit;
  peer.priority = unzigzag(message.offset);
  note_round(peer, message.context);
  if (message.index < peer.match) {
    peer.lose_after(message.index);  // what it lost must not count
    leader.busy_at = now;
  } else if (message.hint_index < peer.match && peer.flow == Flow::kReplicate) {
    peer.become_probe();  // it restarted, and cannot know how far our logs agree
    leader.busy_at = now;
  } else if (peer.flow == Flow::kProbe) {
    peer.waiting = false;  // the probe may have been lost
  } else if (peer.flow == Flow::kSnapshot) {
    peer.waiting = peer.waiting && now - peer.chunk_at < options.election_timeout_max;
  } else if (peer.match == peer.heartbeat_match && peer.match < peer.next.previous()) {
    send_append(peer, {});  // nothing moved for a round: if appends were lost, this is refused
  }
  peer.heartbeat_match = peer.match;
  pump_due = pump_due || wants_pump(peer);
  if (leader.quiet && (message.index < log.last() || message.commit < log.last())) {
    wake();
  }
}

// ---- quiet -------------------------------------------------------------------------------------

bool Node::Core::may_go_quiet() const {
  const Leader& leader = lead();
  const Index last = log.last();
  if (options.quiet_after <= Duration() || now - leader.busy_at < options.quiet_after ||
      commit != last || applied_now() != last || log.durable() != last ||
      configs.newest().joint() || !leader.transfer.target.none() || !leader.reads.empty()) {
    return false;
  }
  return std::all_of(leader.peers.begin(), leader.peers.end(), [&](const Progress& peer) {
    return peer.match == last && peer.applied == last && peer.flow == Flow::kReplicate &&
           now - peer.heard < options.election_timeout_min;
  });
}

void Node::Core::go_quiet() {
  for (Progress& peer : lead().peers) {
    heartbeat(peer, lead().rounds.newest(), true);
  }
  lead().quiet = true;
  lead().notice_at = Instant::never();
  rest();
}

// ---- reads -------------------------------------------------------------------------------------

bool Node::Core::lease_valid(Instant at) const {
  const auto* leader = std::get_if<Leader>(&role);
  if (leader == nullptr || !options.lease_reads ||
      (commit < leader->first && !MUTANT(reads_before_own_entry))) {
    return false;
  }
  if (leader->lease_given_up && !MUTANT(transfer_keeps_lease)) {
    return false;
  }
  return at < leader->lease_until || MUTANT(skip_lease_check);
}

// The entry with which a leader begins commits everything before it, so a read that waits until it
// is applied sees all that was ever acknowledged, even while the commit index is still behind.
Status Node::Core::read(uint64_t context, ReadKind kind) {
  if (context <= context_max && !MUTANT(stale_read_index_on_retry)) {
    forget_read(context);
  }
  context_max = std::max(context_max, context);
  auto* leader = std::get_if<Leader>(&role);
  if (leader == nullptr) {
    return ask_leader(context, kind);
  }
  if (kind == ReadKind::kLeaseOrQuorum && lease_valid(now)) {
    out().reads.push_back({context, commit, true});
    return Status::success();
  }
  if (leader->quiet) {
    wake();
  }
  if (!leader->reads.add(context, NodeId(), std::max(commit, leader->first))) {
    return {Code::kResourceExhausted, "too many reads wait"};
  }
  pump_due = true;
  return Status::success();
}

// An answer to an earlier asking must not pass for one to the next: it may be older than what was
// committed in between.
void Node::Core::forget_read(uint64_t context) {
  std::erase_if(out().reads, [&](const ReadReady& read) { return read.context == context; });
  if (auto* leader = std::get_if<Leader>(&role)) {
    leader->reads.forget(context);
  } else if (auto* follower = std::get_if<Follower>(&role)) {
    std::erase_if(follower->reads, [&](const AskedRead& read) { return read.context == context; });
  }
}

void Node::Core::on_read_index(const Message& message) {
  auto* leader = std::get_if<Leader>(&role);
  const PendingRead read{message.context, message.from,
                         leader == nullptr ? Index() : std::max(commit, leader->first), 0};
  if (leader == nullptr) {
    return answer_read(read, false);
  }
  if (leader->quiet) {
    wake();
  }
  if (!message.flag && lease_valid(now)) {
    return answer_read(read, true);
  }
  if (!leader->reads.add(read.context, read.from, read.index)) {
    return answer_read(read, false);
  }
  pump_due = true;
}

void Node::Core::answer_reads(const std::vector<PendingRead>& reads, bool ok) {
  for (const PendingRead& read : reads) {
    answer_read(read, ok);
  }
}

void Node::Core::answer_read(const PendingRead& read, bool ok) {
  if (read.from.none()) {
    out().reads.push_back({read.context, read.index, ok});
    return;
  }
  Message answer = make(MessageKind::kReadIndexAnswer, read.from);
  answer.context = read.context;
  answer.index = read.index;
  answer.commit = ok ? commit : Index();
  answer.reject = !ok;
  send(std::move(answer));
}

// ---- commit ------------------------------------------------------------------------------------

void Node::Core::step_leader(Message& message) {
  Progress* peer = find_peer(message.from);
  if (peer == nullptr) {
    return;  // no longer a member
  }
  peer->heard = now;
  switch (message.kind) {
    case MessageKind::kAppendAnswer: return on_append_answer(message);
    case MessageKind::kHeartbeatAnswer: return on_heartbeat_answer(message);
    case MessageKind::kSnapshotAnswer: return on_snapshot_answer(message);
    default: return;
  }
}

// The leader's own log counts as far as it is durable, like any other.
Index Node::Core::match_of(NodeId node) const {
  if (node == options.id) {
    return MUTANT(ack_before_persist) ? log.last() : log.durable();
  }
  const Progress* peer = find_peer(node);
  return peer == nullptr ? Index() : peer->match;
}

void Node::Core::count_commit() {
  const uint64_t reached =
      quorum_reached(configs.newest(), [&](NodeId node) { return match_of(node).value(); });
  const Index index = std::min(Index(reached), log.last());
  if (index <= commit) {
    return;
  }
  // An entry of an older term on a majority may still be replaced (Raft, figure 8). It is
  // committed by the first entry of our own that follows it.
  if (log.term_at(index) != term && !MUTANT(commit_old_term_by_counting)) {
    return;
  }
  Leader& leader = lead();
  for (Index i = std::max(commit.next(), log.cached_from()); i <= index; ++i) {
    const size_t cost = cost_of(*log.find(i));
    leader.uncommitted_bytes -= std::min(cost, leader.uncommitted_bytes);
  }
  commit_to(index);
  // The next append tells the followers; if none comes soon, a notice does.
  leader.notice_at = std::min(leader.notice_at, now + options.heartbeat_interval / 8);
  leave_joint_when_committed();
  step_down_if_removed();
}

}  // namespace quorate::raft
