// SPDX-License-Identifier: Apache-2.0
#include "service/meta/plan.h"

#include <algorithm>
#include <map>

#include "base/assert.h"
#include "base/limits.h"
#include "base/mutant.h"

namespace quorate::service::meta {
namespace {

size_t majority(size_t voters) { return voters / 2 + 1; }

// One look at one group.
class Planner {
 public:
  Planner(const Group& group, const LeaderView& view) : group_(group), view_(view) {
    for (const Replica& replica : group.wanted) {
      if (!votes(replica.node)) {
        missing_.push_back(replica);
      }
    }
    for (const NodeId voter : view.config.voters) {
      if (find_replica(group.wanted, voter) == nullptr) {
        leaving_.push_back(voter);
      }
    }
  }

  Step run() const {
    if (!view_.settled) {
      return wait(Reason::kChanging);
    }
    if (Step step = set_learners(); step.kind != StepKind::kNone) {
      return step;
    }
    if (missing_.empty() && leaving_.empty()) {
      return balance(awaits_learner() ? Reason::kTargetDown : Reason::kAsWanted);
    }
    if (contains(leaving_, view_.self)) {
      if (const NodeId heir = find_heir(); !heir.none()) {
        return {StepKind::kTransfer, {}, heir, Reason::kHandOver};
      }
    }
    return swap();
  }

 private:
  static Step wait(Reason reason) { return {StepKind::kNone, {}, NodeId(), reason}; }

  [[nodiscard]] bool votes(NodeId node) const { return contains(view_.config.voters, node); }
  [[nodiscard]] bool learns(NodeId node) const { return contains(view_.config.learners, node); }
  [[nodiscard]] const PeerState* peer(NodeId node) const {
    for (const PeerState& state : view_.peers) {
      if (state.node == node) {
        return &state;
      }
    }
    return nullptr;
  }
  [[nodiscard]] bool live(NodeId node) const {
    const PeerState* state = peer(node);
    return node == view_.self || (state != nullptr && state->live);
  }
  [[nodiscard]] bool caught_up(NodeId node) const {
    const PeerState* state = peer(node);
    return node == view_.self || (state != nullptr && state->live && state->caught_up);
  }
  [[nodiscard]] bool can_lead(NodeId node) const {
    return votes(node) && caught_up(node) && !contains(view_.config.witnesses, node);
  }
  [[nodiscard]] bool quorum_lives(const std::vector<NodeId>& voters) const {
    const auto alive = std::count_if(voters.begin(), voters.end(),
                                     [this](NodeId node) { return live(node); });
    return static_cast<size_t>(alive) >= majority(voters.size());
  }

  // Learners weigh nothing in any quorum, so this needs no care beyond whose turn it is.
  [[nodiscard]] Step set_learners() const {
    Step step{StepKind::kChange, {}, NodeId(), Reason::kLearners};
    const auto add = [&](NodeId node) {
      if (!votes(node) && !learns(node) && live(node) && view_.has_turn &&
          step.changes.size() < limits::kReplicasMax) {
        step.changes.push_back({MemberKind::kLearner, node});
      }
    };
    for (const Replica& replica : missing_) {
      add(replica.node);
    }
    for (const NodeId node : group_.learners) {
      add(node);
    }
    for (const NodeId node : view_.config.learners) {
      if (find_replica(group_.wanted, node) == nullptr && !contains(group_.learners, node) &&
          step.changes.size() < limits::kReplicasMax) {
        step.changes.push_back({MemberKind::kRemove, node});
      }
    }
    return step.changes.empty() ? wait(Reason::kAsWanted) : step;
  }

  // A learner that did not answer yet is invited when it does: a node that has just announced
  // itself gets no map, and so says nothing that would call for a second look, before it learns.
  [[nodiscard]] bool awaits_learner() const {
    return std::any_of(group_.learners.begin(), group_.learners.end(),
                       [this](NodeId node) { return !votes(node) && !learns(node); });
  }

  // Who stays and could lead at once; the preferred one if it can.
  [[nodiscard]] NodeId find_heir() const {
    NodeId heir;
    for (const Replica& replica : group_.wanted) {
      if (replica.node != view_.self && can_lead(replica.node) &&
          (heir.none() || replica.node == group_.preferred)) {
        heir = replica.node;
      }
    }
    return heir;
  }

  [[nodiscard]] Step swap() const {
    std::vector<Replica> entering;
    Reason obstacle = Reason::kAsWanted;
    for (const Replica& replica : missing_) {
      if (learns(replica.node) && caught_up(replica.node)) {
        entering.push_back(replica);
      } else if (learns(replica.node) && live(replica.node)) {
        return balance(Reason::kCatchingUp);  // one change for all is one joint phase less
      } else {
        obstacle = live(replica.node) ? Reason::kNoTurn : Reason::kTargetDown;
      }
    }
    const std::vector<NodeId> going = choose_going(entering.size());
    // Only the largest groups, and only while their leader cannot go yet, come to this.
    const size_t room = limits::kReplicasMax - (view_.config.voters.size() - going.size());
    entering.resize(std::min(entering.size(), room));
    if (entering.empty() && going.empty()) {
      if (obstacle != Reason::kAsWanted) {
        return balance(obstacle);
      }
      return wait(Reason::kNobodyToLead);
    }
    std::vector<NodeId> after = view_.config.voters;
    Step step{StepKind::kChange, {}, NodeId(), Reason::kSwap};
    for (const Replica& replica : entering) {
      after.push_back(replica.node);
      step.changes.push_back({replica.role == Role::kWitness ? MemberKind::kWitness
                                                             : MemberKind::kVoter,
                              replica.node});
    }
    for (const NodeId node : going) {
      std::erase(after, node);
      step.changes.push_back(
          {contains(group_.learners, node) ? MemberKind::kLearner : MemberKind::kRemove, node});
    }
    if (!quorum_lives(view_.config.voters) || !quorum_lives(after)) {
      return wait(Reason::kNoQuorum);
    }
    return step;
  }

  // As many as may go when `entering` come, dead ones first, the leader never.
  [[nodiscard]] std::vector<NodeId> choose_going(size_t entering) const {
    std::vector<NodeId> going = leaving_;
    std::erase(going, view_.self);
    std::stable_sort(going.begin(), going.end(),
                     [this](NodeId a, NodeId b) { return !live(a) && live(b); });
    const size_t after = view_.config.voters.size() + entering;
    const size_t surplus = after > group_.wanted.size() ? after - group_.wanted.size() : 0;
    going.resize(std::min(going.size(), surplus));
    return going;
  }

  [[nodiscard]] Step balance(Reason otherwise) const {
    const NodeId preferred = group_.preferred;
    if (view_.may_balance && !preferred.none() && preferred != view_.self && can_lead(preferred)) {
      return {StepKind::kTransfer, {}, preferred, Reason::kBalance};
    }
    return wait(otherwise);
  }

  const Group& group_;
  const LeaderView& view_;
  std::vector<Replica> missing_;   // wanted, and not voting yet
  std::vector<NodeId> leaving_;    // voting, and not wanted
};

// The members as far as the meta group knows them.
std::vector<NodeId> known_voters(const Group& group) {
  if (!group.reported.term.none()) {
    return group.reported.members.voters;
  }
  std::vector<NodeId> voters;
  for (const Replica& replica : group.birth) {
    voters.push_back(replica.node);
  }
  return voters;
}

bool lives(const Map& map, NodeId node) {
  const Node* found = map.node(node);
  return found != nullptr && found->state != NodeState::kRemoved && !found->dead;
}

// The nodes that a group's move loads; none if it has nothing to move or cannot.
std::vector<NodeId> movers(const Map& map, const Group& group) {
  const std::vector<NodeId> voters = known_voters(group);
  const auto alive = std::count_if(voters.begin(), voters.end(),
                                   [&](NodeId node) { return lives(map, node); });
  if (static_cast<size_t>(alive) < majority(voters.size())) {
    return {};
  }
  std::vector<NodeId> nodes;
  for (const Replica& replica : group.wanted) {
    if (!contains(voters, replica.node) && lives(map, replica.node)) {
      nodes.push_back(replica.node);
    }
  }
  if (nodes.empty()) {
    return {};
  }
  for (const NodeId voter : voters) {
    if (find_replica(group.wanted, voter) == nullptr && lives(map, voter)) {
      nodes.push_back(voter);
    }
  }
  return nodes;
}

bool wants(const Group& group, NodeId node) {
  return find_replica(group.wanted, node) != nullptr || contains(group.learners, node);
}

}  // namespace

Step next_step(const Group& group, const LeaderView& view) { return Planner(group, view).run(); }

std::string_view name_of(Reason reason) {
  switch (reason) {
    case Reason::kAsWanted: return "as_wanted";
    case Reason::kChanging: return "changing";
    case Reason::kNoTurn: return "no_turn";
    case Reason::kTargetDown: return "target_down";
    case Reason::kCatchingUp: return "catching_up";
    case Reason::kNoQuorum: return "no_quorum";
    case Reason::kNobodyToLead: return "nobody_to_lead";
    case Reason::kLearners: return "learners";
    case Reason::kSwap: return "swap";
    case Reason::kHandOver: return "hand_over";
    case Reason::kBalance: return "balance";
  }
  return "";
}

std::vector<GroupId> turns(const Map& map, uint32_t per_node_max) {
  std::vector<GroupId> admitted;
  std::map<NodeId, uint32_t> moving;
  for (const Group& group : map.groups) {
    if (group.id == kMetaGroup) {
      admitted.push_back(group.id);
      continue;
    }
    const std::vector<NodeId> nodes = movers(map, group);
    const bool free = std::all_of(nodes.begin(), nodes.end(), [&](NodeId node) {
      const auto at = moving.find(node);
      return at == moving.end() || at->second < per_node_max;
    });
    if (!nodes.empty() && free) {
      admitted.push_back(group.id);
      for (const NodeId node : nodes) {
        ++moving[node];
      }
    }
  }
  return admitted;
}

ReplicaWork replica_work(const Map& map, NodeId self, const std::vector<LocalReplica>& local) {
  ReplicaWork work;
  auto at = local.begin();
  for (const Group& group : map.groups) {
    while (at != local.end() && at->group < group.id) {
      ++at;
    }
    const bool here = at != local.end() && at->group == group.id;
    const Reported& reported = group.reported;
    const bool member = reported.term.none() ? find_replica(group.birth, self) != nullptr
                                             : names(reported.members, self);
    const bool needed = (member && !MUTANT(destroys_members)) || wants(group, self);
    if (needed && !here) {
      work.create.push_back(group.id);
    }
    // The meta group's replica is the last to go: it is how a node learns anything at all.
    if (!needed && here && group.id != kMetaGroup && !reported.term.none() &&
        (at->config_index <= reported.config_index || MUTANT(destroys_members))) {
      work.destroy.push_back(group.id);
    }
  }
  return work;
}

}  // namespace quorate::service::meta
