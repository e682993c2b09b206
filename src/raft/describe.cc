// SPDX-License-Identifier: Apache-2.0
// Renders a replica for transcripts, logs and the dashboard. One line for the replica, one for each
// of a leader's peers.
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

}  // namespace quorate::raft
