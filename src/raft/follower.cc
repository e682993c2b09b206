// SPDX-License-Identifier: Apache-2.0
// Followers: take the leader's log, acknowledge what is durable, learn what is committed, and get
// back what their disk lost.
#include <algorithm>

#include "raft/core.h"

namespace quorate::raft {
namespace {

// Contiguous after `message.index`, terms that rise to at most the sender's: what an honest leader
// sends. The log's own assertions are for us, not for what a socket brings.
bool well_ordered(const Message& message) {
  Index index = message.index;
  Term term = message.log_term;
  for (const Entry& entry : message.entries) {
    ++index;
    if (entry.index != index || entry.term < term) {
      return false;
    }
    term = entry.term;
  }
  return term <= message.term;
}

}  // namespace

// False if the sender cannot be the leader of this term as far as we know.
bool Node::Core::hear_leader(const Message& message) {
  if (std::holds_alternative<Leader>(role)) {
    return false;
  }
  if (std::holds_alternative<Candidate>(role)) {
    become_follower(term, message.from);
  }
  auto& follower = std::get<Follower>(role);
  if (follower.leader.none()) {
    follower.leader = message.from;
    out().role_changed = true;
  }
  if (follower.leader != message.from) {
    return false;
  }
  contact = now;
  follower.quiet = false;
  arm_election();
  return true;
}

void Node::Core::on_append(Message& message) {
  // While the owner replaces the machine by a snapshot, the log stands still: entries committed
  // now would be applied to a machine that is about to be overwritten.
  if ((receiving != nullptr && receiving->last) || !well_ordered(message)) {
    return;
  }
  if (!agrees(message)) {
    return refuse(message);
  }
  accept(message);
}

bool Node::Core::agrees(const Message& message) const {
  const Index previous = message.index;
  if (previous > log.last()) {
    return false;
  }
  if (!log.holes().empty() && previous >= log.holes().front().first) {
    return false;  // the leader must begin where the loss began
  }
  return previous < log.base() || log.term_at(previous) == message.log_term ||
         MUTANT(appends_without_agreeing);
}

void Node::Core::accept(Message& message) {
  if (MUTANT(truncate_committed)) {
    truncate(std::max(message.index, log.base()));
  }
  const Index matched = message.index + message.entries.size();
  for (Entry& entry : message.entries) {
    if (entry.index <= log.base()) {
      continue;
    }
    if (entry.index <= log.last()) {
      if (log.term_at(entry.index) == entry.term) {
        fill(entry);
        continue;
      }
      if (entry.index <= commit) {
        return;  // not from an honest leader
      }
      truncate(entry.index.previous());
    }
    if (entry.term < log.last_term()) {
      return;
    }
    append(std::move(entry));
  }
  auto& follower = std::get<Follower>(role);
  follower.matched = std::max(follower.matched, std::min(matched, log.last()));
  follow_commit(message.commit);
  acknowledge(matched, message.context);
  end_suspicion();
}

// Tells the leader where our logs may still agree: everything committed does, and before that the
// last entry whose term is not above the leader's term there. One refusal skips a whole term.
void Node::Core::refuse(const Message& message) {
  Index hint = std::min(message.index.previous(), log.last());
  if (message.index <= log.last()) {
    hint = log.last_with_term_at_most(hint, message.log_term);
  }
  hint = std::max({hint, std::min(commit, log.last()), log.base()});
  if (!log.holes().empty()) {
    hint = std::min(hint, log.holes().front().first.previous());
  }
  Message answer = make(MessageKind::kAppendAnswer, message.from);
  answer.reject = true;
  answer.index = message.index;
  answer.hint_index = hint;
  answer.hint_term = log.term_at(hint);
  answer.context = message.context;
  send(std::move(answer));
}

// What is acknowledged is durable when the message leaves: either it is now, or the message waits
// for the Ready that makes it so. Readys become durable in order, so a later truncation cannot
// make the message a lie: it tells of this term, in which only this leader appends.
void Node::Core::acknowledge(Index index, uint64_t round) {
  Message answer = make(MessageKind::kAppendAnswer, known_leader());
  answer.index = std::min(index, log.last());
  if (!log.holes().empty()) {
    answer.index = std::min(answer.index, log.holes().front().first.previous());
  }
  answer.context = round;
  if (log.durable() >= answer.index || MUTANT(ack_before_persist)) {
    return send(std::move(answer));
  }
  out().after_persist.push_back(std::move(answer));
}

void Node::Core::follow_commit(Index leader_commit) {
  auto& follower = std::get<Follower>(role);
  follower.leader_commit = std::max(follower.leader_commit, leader_commit);
  commit_to(std::min(follower.leader_commit, follower.matched));
}

void Node::Core::on_heartbeat(const Message& message) {
  auto& follower = std::get<Follower>(role);
  note_priority(message);
  if (receiving == nullptr || !receiving->last) {
    follow_commit(message.commit);
  }
  end_suspicion();
  if (message.flag && trusted() && receiving == nullptr && commit == log.last() &&
      message.commit == commit && log.durable() == commit && applied_now() == commit) {
    follower.quiet = true;
    return rest();
  }
  if (message.context == 0) {
    return;  // only told of a commit index
  }
  Message answer = make(MessageKind::kHeartbeatAnswer, message.from);
  answer.context = message.context;
  answer.index = log.durable();
  answer.commit = applied_now();
  answer.hint_index = follower.matched;
  answer.offset = zigzag(options.priority);
  send(std::move(answer));
}

// The log holds again everything that was ever committed once it has reached the commit index of a
// leader that has committed in its own term.
void Node::Core::end_suspicion() {
  const auto* follower = std::get_if<Follower>(&role);
  if (!suspect || follower == nullptr || log.has_holes()) {
    return;
  }
  const Index reached = std::min(follower->matched, log.durable());
  if (reached >= follower->leader_commit && log.term_at(follower->leader_commit) == term) {
    suspect = false;
  }
}

Status Node::Core::ask_leader(uint64_t context, ReadKind kind) {
  auto* follower = std::get_if<Follower>(&role);
  if (follower == nullptr || follower->leader.none()) {
    return {Code::kUnavailable, "no leader is known"};
  }
  if (follower->reads.size() >= limits::kPendingRequestsMax) {
    return {Code::kResourceExhausted, "too many reads wait"};
  }
  const bool quorum = kind == ReadKind::kQuorum;
  // All reads of one turn ask one question: it has not left yet, so it is later than all of them.
  if (follower->open_question == 0 || follower->open_quorum != quorum) {
    follower->open_question = ++asked_number;
    follower->open_quorum = quorum;
    Message message = make(MessageKind::kReadIndex, follower->leader);
    message.context = asked_number;
    message.flag = quorum;
    send(std::move(message));
  }
  follower->reads.push_back({follower->open_question, context, now + options.election_timeout_max});
  return Status::success();
}

void Node::Core::on_read_index_answer(const Message& message) {
  auto* follower = std::get_if<Follower>(&role);
  if (follower == nullptr || follower->leader != message.from) {
    return;
  }
  std::erase_if(follower->reads, [&](const AskedRead& read) {
    if (read.number != message.context) {
      return false;
    }
    out().reads.push_back({read.context, message.index, !message.reject});
    return true;
  });
  if (receiving == nullptr || !receiving->last) {
    follow_commit(message.commit);
  }
}

// The question or its answer was lost.
void Node::Core::expire_reads() {
  auto* follower = std::get_if<Follower>(&role);
  if (follower == nullptr) {
    return;
  }
  std::erase_if(follower->reads, [&](const AskedRead& read) {
    if (read.expires > now) {
      return false;
    }
    out().reads.push_back({read.context, Index(), false});
    return true;
  });
}

// ---- repair ------------------------------------------------------------------------------------
//
// A replica that cannot read some of its entries gets them back from its peers. It knows their
// index and term, and two entries with the same index and term are the same entry (log matching),
// so any peer's copy will do, whoever leads, and even while nobody can lead. Until they are back
// and durable the replica does not stand and does not count beyond the hole, and it votes only for
// a log that reaches as far as its own: if a majority lost its copies of an acknowledged entry, the
// group waits for the one that has it rather than elect a leader without it.

void Node::Core::ask_for_repair() {
  if (log.holes().empty()) {
    repair_at = Instant::never();
    return;
  }
  const Hole& hole = log.holes().front();
  for (const NodeId node : members(configs.newest())) {
    if (node != options.id) {
      Message message = make(MessageKind::kRepair, node);
      message.index = hole.first;
      message.hint_index = hole.last;
      out().messages.push_back(std::move(message));
    }
  }
  repair_at = now + options.election_timeout_min;
}

// Answered from memory if all of it is there, else from the owner's log.
void Node::Core::on_repair(const Message& message) {
  const Index first = message.index;
  Index last = std::min(message.hint_index, log.persisted());
  for (const Hole& hole : log.holes()) {
    if (hole.last >= first) {
      last = std::min(last, hole.first.previous());
    }
  }
  if (first <= log.base() || first > last) {
    return;
  }
  if (first >= log.cached_from()) {
    Entries entries = log.copy(first, options.append_bytes_max);
    entries.cut(last - first + 1);
    return answer_repair(message.from, std::move(entries));
  }
  const bool busy = std::any_of(serving.begin(), serving.end(),
                                [&](const Serving& one) { return one.peer == message.from; });
  if (busy || serving.size() >= 2 * limits::kReplicasMax) {
    return;
  }
  serving.push_back({message.from, first});
  out().log_reads.push_back({message.from, first, last, options.append_bytes_max});
}

void Node::Core::answer_repair(NodeId peer, Entries entries) {
  if (entries.empty()) {
    return;
  }
  Message answer = make(MessageKind::kRepairAnswer, peer);
  answer.commit = commit;
  answer.entries = std::move(entries);
  out().messages.push_back(std::move(answer));
}

void Node::Core::on_repair_answer(const Message& message) {
  bool found = false;
  for (const Entry& entry : message.entries) {
    found |= fill(entry);
  }
  if (found && !log.holes().empty()) {
    repair_at = now;  // the rest, without waiting
  }
}

void Node::Core::on_hole(const Hole& hole) {
  log.lose(hole);
  for (Index i = std::max(hole.first, log.cached_from()); i <= std::min(hole.last, log.last());
       ++i) {
    const Entry copy = *log.find(i);
    (void)fill(copy);  // the disk lost it, the memory did not
  }
  if (log.holes().empty()) {
    return;
  }
  repair_at = now;
  if (std::holds_alternative<Leader>(role)) {
    become_follower(term, NodeId());
  }
}

bool Node::Core::fill(const Entry& entry) {
  if (!log.has_holes() || !log.fill(entry)) {
    return false;
  }
  if (entry.kind == EntryKind::kConfig) {
    configs.add(entry);
    config_changed();
  }
  return true;
}

}  // namespace quorate::raft
