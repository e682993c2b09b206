// SPDX-License-Identifier: Apache-2.0
// Elections: when to stand, whom to vote for.
//
// Loyalty is what makes a lease a lease: whoever heard from a leader within election_timeout_min
// refuses every vote but one forced by that leader itself (transfer), so no other leader can be
// elected while a quorum's loyalty lasts. A replica does not even vote for itself before then.
#include <algorithm>

#include "raft/core.h"

namespace quorate::raft {

// Random, so that two rarely stand at once; later for each step below the greatest priority, so
// that the preferred replica usually stands first. The steps are few: preference is not a veto.
void Node::Core::arm_election() {
  const Duration spread = options.election_timeout_max - options.election_timeout_min;
  const int64_t jitter =
      spread.nanos() > 0 ? prng.between(0, spread.nanos() - 1) : 0;
  // In 64 bits: both are anybody's numbers, and "none" is the least of all.
  const auto behind = static_cast<int64_t>(greatest_priority) - options.priority;
  const int steps = static_cast<int>(std::clamp<int64_t>(behind, 0, 4));
  election_deadline =
      now + options.election_timeout_min + Duration::nanos(jitter) + spread * steps;
}

// A replica that a change removes is needed until the change is committed: it may be the only one
// with the entry. It then stands without a vote of its own.
bool Node::Core::may_stand() const {
  const bool voter = is_voter(configs.newest(), options.id) ||
                     (configs.newest_index() > commit && is_voter(configs.at(commit), options.id));
  return voter && !options.witness &&
         !is_witness(configs.newest(), options.id) && trusted() &&
         (receiving == nullptr || !receiving->last);
}

// Who leads must have every entry that it once acknowledged, and be able to read it.
bool Node::Core::trusted() const {
  return (!suspect && !log.has_holes()) || MUTANT(hole_votes);
}

// Who votes must know where its log ends, for the vote goes to a log that reaches as far. A hole
// before the end takes nothing from that (decision 014); but the last entry itself must be there.
bool Node::Core::may_vote() const {
  return (!suspect && !log.end_lost()) || MUTANT(hole_votes);
}

bool Node::Core::heard_leader() const {
  return std::holds_alternative<Leader>(role) || is_quiet() ||
         (now < contact + options.election_timeout_min && !MUTANT(votes_while_led));
}

bool Node::Core::up_to_date(const Message& message) const {
  if (message.log_term != log.last_term()) {
    return message.log_term > log.last_term();
  }
  return message.index >= log.last();
}

// Nobody else can lead, so there is nobody to wait for. Not so before the change that made it the
// only voter is committed: the leader that proposed the change may still lead, under a lease.
bool Node::Core::only_voter() const {
  const Config& config = configs.newest();
  return !config.joint() && config.voters.size() == 1 && config.voters.front() == options.id &&
         configs.newest_index() <= commit;
}

void Node::Core::campaign() {
  if (std::holds_alternative<Leader>(role)) {
    return;
  }
  arm_election();
  if (!may_stand()) {
    return;
  }
  if (only_voter()) {
    return start_election(false);
  }
  if (heard_leader()) {
    election_deadline = contact + options.election_timeout_min;
    return;
  }
  start_pre_vote();
}

void Node::Core::start_pre_vote() {
  leave_role();
  role.emplace<Candidate>();
  out().role_changed = true;
  ask_for_votes(false, false);
  record_vote(options.id, true);
}

void Node::Core::start_election(bool forced) {
  ASSERT(may_stand());
  leave_role();
  set_term(term.next());
  vote = options.id;
  Candidate& candidate = role.emplace<Candidate>();
  candidate.real = true;
  candidate.forced = forced;
  out().role_changed = true;
  arm_election();
  ask_for_votes(true, forced);
}

void Node::Core::ask_for_votes(bool real, bool forced) {
  for (const NodeId node : members(configs.newest())) {
    if (node == options.id || !is_voter(configs.newest(), node)) {
      continue;
    }
    Message message = make(real ? MessageKind::kVote : MessageKind::kPreVote, node);
    message.term = real ? term : term.next();
    message.index = log.last();
    message.log_term = log.last_term();
    message.flag = forced;
    send(std::move(message));
  }
}

void Node::Core::record_vote(NodeId from, bool granted) {
  auto& candidate = std::get<Candidate>(role);
  auto& votes = candidate.votes;
  const auto known = std::find_if(votes.begin(), votes.end(),
                                  [&](const auto& entry) { return entry.first == from; });
  if (known != votes.end() || !is_voter(configs.newest(), from)) {
    return;
  }
  votes.emplace_back(from, granted);
  const Tally result = tally(configs.newest(), [&](NodeId node) {
    for (const auto& [voter, yes] : votes) {
      if (voter == node) {
        return yes ? Vote::kYes : Vote::kNo;
      }
    }
    return Vote::kMissing;
  });
  if (result == Tally::kLost) {
    become_follower(term, NodeId());
  } else if (result == Tally::kWon) {
    candidate.real ? become_leader() : start_election(false);
  }
}

void Node::Core::on_pre_vote(const Message& message) {
  const bool granted = message.term > term && may_vote() && !heard_leader() && up_to_date(message);
  notice_doubt(message);
  Message answer = make(MessageKind::kPreVoteAnswer, message.from);
  answer.term = granted ? message.term : term;
  answer.reject = !granted;
  send(std::move(answer));
}

// Somebody misses the leader of a quiet group. Whether it lives shows now: the leader answers with
// a heartbeat, and a follower gives it the time to.
void Node::Core::notice_doubt(const Message& message) {
  if (is_quiet() && is_member(configs.newest(), message.from)) {
    contact = now;
    wake();
  }
}

void Node::Core::on_vote(const Message& message) {
  ASSERT(message.term == term);
  const bool free = vote == message.from || (vote.none() && known_leader().none());
  const bool granted = free && may_vote() && up_to_date(message) &&
                       (message.flag || !heard_leader());
  if (granted && vote.none()) {
    vote = message.from;
    state_dirty = true;
    arm_election();
  }
  Message answer = make(MessageKind::kVoteAnswer, message.from);
  answer.reject = !granted;
  send(std::move(answer));
}

void Node::Core::on_vote_answer(const Message& message) {
  const auto* candidate = std::get_if<Candidate>(&role);
  const bool real = message.kind == MessageKind::kVoteAnswer;
  if (candidate == nullptr || candidate->real != real) {
    return;
  }
  const bool granted = !message.reject;
  if (message.term != (granted && !real ? term.next() : term)) {
    return;
  }
  record_vote(message.from, granted);
}

// The leader hands over. It has given up its lease, so nobody's loyalty stands in the way.
void Node::Core::on_timeout_now(const Message& message) {
  const auto* follower = std::get_if<Follower>(&role);
  if (follower == nullptr || !may_stand()) {
    return;
  }
  if (follower->leader.none() || follower->leader == message.from) {
    start_election(true);
  }
}

}  // namespace quorate::raft
