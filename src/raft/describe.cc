// SPDX-License-Identifier: Apache-2.0
// Renders a replica for transcripts, logs and the dashboard: one line for the replica, one for each
// of a leader's peers. And what must hold of one, checked after each step in tests and simulation:
// what compares two moments (terms, votes, committed entries) is asserted where it changes, and
// what compares replicas (one leader a term, log matching) is the simulator's.
#include <algorithm>
#include <string>

#include "raft/core.h"

namespace quorate::raft {
namespace {

std::string number(uint64_t value) { return std::to_string(value); }
template <class Tag, class Rep>
std::string number(Strong<Tag, Rep> value) {
  return std::to_string(value.value());
}

std::string list(const std::vector<NodeId>& nodes) {
  std::string out;
  for (const NodeId node : nodes) {
    out += (out.empty() ? "" : " ") + number(node);
  }
  return out;
}

std::string render(const Config& config) {
  std::string out = "voters {" + list(config.voters) + "}";
  const auto part = [&](const char* name, const std::vector<NodeId>& nodes) {
    if (!nodes.empty()) {
      out += std::string(" ") + name + " {" + list(nodes) + "}";
    }
  };
  part("outgoing", config.outgoing);
  part("learners", config.learners);
  part("learners_next", config.learners_next);
  part("witnesses", config.witnesses);
  return out;
}

std::string render(const Progress& peer) {
  std::string out = "\n  " + number(peer.node) + ": ";
  switch (peer.flow) {
    case Flow::kProbe: out += "probe"; break;
    case Flow::kReplicate: out += "replicate"; break;
    case Flow::kSnapshot: out += "snapshot"; break;
  }
  out += " match " + number(peer.match) + " next " + number(peer.next);
  if (peer.inflight.messages() > 0) {
    out += " inflight " + number(uint64_t{peer.inflight.messages()});
  }
  if (peer.flow == Flow::kSnapshot) {
    out += " offset " + number(peer.snapshot_offset);
  }
  out += peer.waiting ? " waiting" : "";
  out += peer.reading ? " reading" : "";
  return out;
}

std::string render(const Hole& hole) {
  return " hole " + number(hole.first) + ".." + number(hole.last);
}

const char* name_of(const std::variant<Follower, Candidate, Leader>& role) {
  if (std::holds_alternative<Leader>(role)) {
    return "leader";
  }
  const auto* candidate = std::get_if<Candidate>(&role);
  if (candidate == nullptr) {
    return "follower";
  }
  return candidate->real ? "candidate" : "pre-candidate";
}

}  // namespace

std::string Node::Core::describe_self() const {
  std::string text = number(options.id) + ": " + name_of(role) + " term " + number(term);
  if (!vote.none()) {
    text += " vote " + number(vote);
  }
  if (std::holds_alternative<Follower>(role) && !known_leader().none()) {
    text += " leader " + number(known_leader());
  }
  text += " log " + number(log.base()) + ".." + number(log.last()) + " term " +
          number(log.last_term()) + " durable " + number(log.durable()) + " commit " +
          number(commit) + " applied " + number(applied);
  for (const Hole& hole : log.holes()) {
    text += render(hole);
  }
  text += suspect ? " suspect" : "";
  text += is_quiet() ? " quiet" : "";
  text += receiving != nullptr ? " receiving" : "";
  text += " " + render(configs.newest());
  return text;
}

std::string Node::describe() const {
  std::string text = core_->describe_self();
  if (const auto* leader = std::get_if<Leader>(&core_->role)) {
    if (!leader->transfer.target.none()) {
      text += " transfer to " + number(leader->transfer.target);
    }
    for (const Progress& peer : leader->peers) {
      text += render(peer);
    }
  }
  return text;
}

// ---- invariants ---------------------------------------------------------------------------------

namespace {

void check_peer(const Progress& peer, const Log& log) {
  ASSERT(peer.match < peer.next, "what is acknowledged is not sent again");
  ASSERT(peer.next <= log.last().next() && peer.match <= log.last());
  ASSERT(peer.flow == Flow::kReplicate || peer.inflight.messages() == 0);
}

}  // namespace

void Node::Core::check() const {
  log.check_invariants();
  ASSERT(well_formed(configs.newest()));
  ASSERT(log.base() <= commit && commit <= log.last());
  ASSERT(applied <= commit && commit_told <= commit);
  ASSERT(configs.newest_index() <= log.last());
  ASSERT(log.last_term() <= term || log.base() == log.last(), "entries are not from the future");
  if (const auto* leader = std::get_if<Leader>(&role)) {
    ASSERT(log.holes().empty() && !suspect, "a replica that lost entries does not lead");
    ASSERT(log.term_at(leader->first) == term || leader->first <= log.base());
    ASSERT(log.last_term() == term);
    ASSERT(!leader->quiet || commit == log.last());
    for (const Progress& peer : leader->peers) {
      check_peer(peer, log);
    }
  }
  if (const auto* follower = std::get_if<Follower>(&role)) {
    ASSERT(follower->matched <= log.last());
    ASSERT(!follower->quiet || commit == log.last());
  }
  if (const auto* candidate = std::get_if<Candidate>(&role); candidate && candidate->real) {
    ASSERT(vote == options.id, "a candidate votes for itself");
  }
}

void Node::check_invariants() const { core_->check(); }

}  // namespace quorate::raft
