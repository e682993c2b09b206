// SPDX-License-Identifier: Apache-2.0
// The assignment of replicas is a flow: groups need replicas, nodes have quotas. The greatest score
// decides nearly always; where that is stuck, a shortest path of hand-overs through other groups
// makes room. By the theory of flows such a path exists whenever the quotas can be met at all, and
// quotas() only makes quotas that can.
#include "service/meta/placement.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "base/assert.h"
#include "base/prng.h"
#include "service/meta/flow.h"

namespace quorate::service::meta {
namespace {

GroupId group_at(size_t position) { return GroupId(static_cast<uint32_t>(position) + 1); }

size_t position_of(const std::vector<Candidate>& nodes, NodeId node) {
  const auto at = std::lower_bound(
      nodes.begin(), nodes.end(), node,
      [](const Candidate& candidate, NodeId wanted) { return candidate.node < wanted; });
  return at != nodes.end() && at->node == node ? static_cast<size_t>(at - nodes.begin())
                                               : nodes.size();
}

// One run of place(). Nodes are positions in rules.nodes.
class ReplicaSpread {
 public:
  ReplicaSpread(const PlacementRules& rules, Placement current)
      : rules_(rules),
        nodes_(rules.nodes.size()),
        replicas_(std::min<size_t>(rules.replication, nodes_)),
        groups_(current.size()),
        load_(nodes_),
        together_(nodes_) {
    for (size_t group = 0; group < groups_.size(); ++group) {
      for (const Replica& replica : current[group]) {
        if (const size_t node = position_of(rules.nodes, replica.node); node < nodes_) {
          enter(group, node, replica.role);
        }
      }
    }
    set_quotas();
  }

  Placement run() {
    trim();
    set_quotas();
    fill();
    take_by_score();
    take_by_paths();
    for (auto& group : groups_) {
      ASSERT(group.size() == replicas_);
      std::sort(group.begin(), group.end());
    }
    return std::move(groups_);
  }

 private:
  [[nodiscard]] uint64_t score(size_t group, size_t node) const {
    return placement_score(rules_.seed, group_at(group), rules_.nodes[node].node);
  }
  [[nodiscard]] bool holds(size_t group, size_t node) const {
    return find_replica(groups_[group], rules_.nodes[node].node) != nullptr;
  }
  [[nodiscard]] int64_t excess(size_t node) const {
    return static_cast<int64_t>(load_[node]) - static_cast<int64_t>(quota_[node]);
  }
  [[nodiscard]] bool has_witness(size_t group) const {
    return std::any_of(groups_[group].begin(), groups_[group].end(),
                       [](const Replica& replica) { return replica.role == Role::kWitness; });
  }

  void set_quotas() {
    const auto total = static_cast<uint32_t>(groups_.size() * replicas_);
    quota_ = quotas(rules_.nodes, total, static_cast<uint32_t>(groups_.size()), load_);
  }

  void enter(size_t group, size_t node, Role role) {
    count_company(group, node, true);
    groups_[group].push_back({rules_.nodes[node].node, role});
    ++load_[node];
  }

  Role leave(size_t group, size_t node) {
    const Replica* replica = find_replica(groups_[group], rules_.nodes[node].node);
    ASSERT(replica != nullptr);
    const Role role = replica->role;
    groups_[group].erase(groups_[group].begin() + (replica - groups_[group].data()));
    count_company(group, node, false);
    --load_[node];
    return role;
  }

  void count_company(size_t group, size_t node, bool more) {
    for (const Replica& replica : groups_[group]) {
      const size_t other = position_of(rules_.nodes, replica.node);
      together_.add(node, other, more);
      together_.add(other, node, more);
    }
  }

  // Lets go of replicas beyond the number wanted: those of the fullest nodes, of the least score. A
  // witness stays while there are three replicas, and goes first below that.
  void trim() {
    const Role spared = replicas_ >= 3 ? Role::kWitness : Role::kVoter;
    for (size_t group = 0; group < groups_.size(); ++group) {
      while (groups_[group].size() > replicas_) {
        size_t victim = nodes_;
        std::tuple<bool, int64_t, uint64_t> worst;
        for (const Replica& replica : groups_[group]) {
          const size_t node = position_of(rules_.nodes, replica.node);
          const std::tuple rank(replica.role != spared, excess(node), ~score(group, node));
          if (victim == nodes_ || rank > worst) {
            victim = node;
            worst = rank;
          }
        }
        leave(group, victim);
      }
    }
  }

  void fill() {
    for (size_t group = 0; group < groups_.size(); ++group) {
      while (groups_[group].size() < replicas_) {
        size_t best = nodes_;
        for (size_t node = 0; node < nodes_; ++node) {
          if (excess(node) < 0 && !holds(group, node) &&
              (best == nodes_ || score(group, node) > score(group, best))) {
            best = node;
          }
        }
        const bool last = groups_[group].size() + 1 == replicas_;
        const bool witness = rules_.witness && replicas_ >= 3 && last && !has_witness(group);
        enter(group, best == nodes_ ? make_room(group) : best,
              witness ? Role::kWitness : Role::kVoter);
      }
    }
  }

  // Every node with room is in the group already: one that is not hands a replica on.
  size_t make_room(size_t group) {
    std::vector<size_t> outside;
    for (size_t node = 0; node < nodes_; ++node) {
      if (!holds(group, node)) {
        outside.push_back(node);
      }
    }
    return shift_from(outside);
  }

  // Nodes below their quota take from nodes above theirs, the groups that score best first.
  void take_by_score() {
    for (size_t taker = 0; taker < nodes_; ++taker) {
      if (excess(taker) >= 0) {
        continue;
      }
      std::vector<std::pair<uint64_t, size_t>> offers;
      for (size_t group = 0; group < groups_.size(); ++group) {
        if (!holds(group, taker) && fullest(group) < nodes_) {
          offers.emplace_back(score(group, taker), group);
        }
      }
      std::sort(offers.rbegin(), offers.rend());
      for (const auto& [unused, group] : offers) {
        const size_t giver = fullest(group);
        if (excess(taker) < 0 && giver < nodes_) {
          enter(group, taker, leave(group, giver));
        }
      }
    }
  }

  // The member that is furthest above its quota; nodes_ if none is above.
  [[nodiscard]] size_t fullest(size_t group) const {
    size_t found = nodes_;
    for (const Replica& replica : groups_[group]) {
      const size_t node = position_of(rules_.nodes, replica.node);
      if (excess(node) > 0 && (found == nodes_ || excess(node) > excess(found))) {
        found = node;
      }
    }
    return found;
  }

  void take_by_paths() {
    for (size_t node = 0; node < nodes_; ++node) {
      while (excess(node) > 0) {
        shift_from({node});
      }
    }
  }

  // Frees one place at one of the nodes by a chain of hand-overs that ends where there is room.
  size_t shift_from(const std::vector<size_t>& sources) {
    const std::vector<size_t> path = shortest_path(
        nodes_, sources, [this](size_t a, size_t b) { return load_[a] > together_.of(a, b); },
        [this](size_t node) { return excess(node) < 0; });
    ASSERT(path.size() >= 2, "quotas that cannot be met");
    for (size_t step = path.size() - 1; step > 0; --step) {
      hand_over(path[step - 1], path[step]);
    }
    return path.front();
  }

  void hand_over(size_t giver, size_t taker) {
    size_t best = groups_.size();
    for (size_t group = 0; group < groups_.size(); ++group) {
      if (holds(group, giver) && !holds(group, taker) &&
          (best == groups_.size() || score(group, taker) > score(best, taker))) {
        best = group;
      }
    }
    ASSERT(best < groups_.size());
    enter(best, taker, leave(best, giver));
  }

  const PlacementRules& rules_;
  const size_t nodes_;
  const size_t replicas_;
  Placement groups_;
  std::vector<uint32_t> load_;
  std::vector<uint32_t> quota_;
  PairCounts together_;              // groups that two nodes are both in
};

// One run of spread_leaders(). A group's choices are its voters that may lead.
class LeaderSpread {
 public:
  LeaderSpread(const PlacementRules& rules, const Placement& placement,
               const std::vector<NodeId>& current)
      : rules_(rules),
        nodes_(rules.nodes.size()),
        choices_(placement.size()),
        leader_(placement.size(), nodes_),
        load_(nodes_),
        could_(nodes_) {
    for (size_t group = 0; group < placement.size(); ++group) {
      for (const Replica& replica : placement[group]) {
        const size_t node = position_of(rules.nodes, replica.node);
        if (node < nodes_ && replica.role == Role::kVoter && rules.nodes[node].may_lead) {
          choices_[group].push_back(node);
        }
      }
      if (group < current.size()) {
        const size_t node = position_of(rules.nodes, current[group]);
        const auto& choices = choices_[group];
        if (std::find(choices.begin(), choices.end(), node) != choices.end()) {
          appoint(group, node);
        }
      }
    }
    set_quotas();
  }

  std::vector<NodeId> run() {
    for (size_t group = 0; group < choices_.size(); ++group) {
      if (leader_[group] == nodes_ && !choices_[group].empty()) {
        appoint(group, preferred_choice(group));
      }
    }
    take_by_score();
    take_by_paths();
    std::vector<NodeId> leaders(leader_.size());
    for (size_t group = 0; group < leaders.size(); ++group) {
      leaders[group] = leader_[group] == nodes_ ? NodeId() : rules_.nodes[leader_[group]].node;
    }
    return leaders;
  }

 private:
  [[nodiscard]] uint64_t score(size_t group, size_t node) const {
    return placement_score(~rules_.seed, group_at(group), rules_.nodes[node].node);
  }
  [[nodiscard]] int64_t excess(size_t node) const {
    return static_cast<int64_t>(load_[node]) - static_cast<int64_t>(quota_[node]);
  }
  // Handing one on from `giver` to `taker` makes the two more equal.
  [[nodiscard]] bool evens(size_t giver, size_t taker) const {
    return excess(giver) > excess(taker) + 1;
  }

  void set_quotas() {
    quota_.assign(nodes_, 0);
    std::vector<Candidate> leaders;
    std::vector<uint32_t> held;
    for (size_t node = 0; node < nodes_; ++node) {
      if (rules_.nodes[node].may_lead) {
        leaders.push_back(rules_.nodes[node]);
        held.push_back(load_[node]);
      }
    }
    if (leaders.empty()) {
      return;
    }
    const auto led = static_cast<uint32_t>(
        std::count_if(choices_.begin(), choices_.end(), [](const auto& c) { return !c.empty(); }));
    const std::vector<uint32_t> parts = quotas(leaders, led, led, held);
    for (size_t i = 0; i < leaders.size(); ++i) {
      quota_[position_of(rules_.nodes, leaders[i].node)] = parts[i];
    }
  }

  void appoint(size_t group, size_t node) {
    if (const size_t old = leader_[group]; old < nodes_) {
      --load_[old];
      for (const size_t choice : choices_[group]) {
        could_.add(old, choice, false);
      }
    }
    leader_[group] = node;
    ++load_[node];
    for (const size_t choice : choices_[group]) {
      could_.add(node, choice, true);
    }
  }

  [[nodiscard]] size_t preferred_choice(size_t group) const {
    const auto rank = [this, group](size_t node) {
      return std::tuple(std::min<int64_t>(-excess(node), 1), score(group, node));
    };
    const auto& choices = choices_[group];
    return *std::max_element(choices.begin(), choices.end(),
                             [&](size_t a, size_t b) { return rank(a) < rank(b); });
  }

  void take_by_score() {
    for (size_t taker = 0; taker < nodes_; ++taker) {
      if (excess(taker) >= 0) {
        continue;
      }
      std::vector<std::pair<uint64_t, size_t>> offers;
      for (size_t group = 0; group < choices_.size(); ++group) {
        const auto& choices = choices_[group];
        if (std::find(choices.begin(), choices.end(), taker) != choices.end()) {
          offers.emplace_back(score(group, taker), group);
        }
      }
      std::sort(offers.rbegin(), offers.rend());
      for (const auto& [unused, group] : offers) {
        if (excess(taker) < 0 && excess(leader_[group]) > 0) {
          appoint(group, taker);
        }
      }
    }
  }

  // What remains needs chains of hand-overs. With weights or dead nodes the quotas may be out of
  // reach; each chain makes two loads more equal, so this ends at the most even spread there is.
  void take_by_paths() {
    for (bool changed = true; changed;) {
      changed = false;
      for (size_t giver = 0; giver < nodes_; ++giver) {
        const std::vector<size_t> path = shortest_path(
            nodes_, {giver}, [this](size_t a, size_t b) { return could_.of(a, b) > 0; },
            [this, giver](size_t node) { return evens(giver, node); });
        for (size_t step = path.size(); step > 1; --step) {
          hand_over(path[step - 2], path[step - 1]);
          changed = true;
        }
      }
    }
  }

  void hand_over(size_t giver, size_t taker) {
    size_t best = choices_.size();
    for (size_t group = 0; group < choices_.size(); ++group) {
      const auto& choices = choices_[group];
      if (leader_[group] == giver &&
          std::find(choices.begin(), choices.end(), taker) != choices.end() &&
          (best == choices_.size() || score(group, taker) > score(best, taker))) {
        best = group;
      }
    }
    ASSERT(best < choices_.size());
    appoint(best, taker);
  }

  const PlacementRules& rules_;
  const size_t nodes_;
  std::vector<std::vector<size_t>> choices_;
  std::vector<size_t> leader_;       // nodes_: none
  std::vector<uint32_t> load_;
  std::vector<uint32_t> quota_;
  PairCounts could_;                 // groups that the first leads and the second could lead
};

}  // namespace

uint64_t placement_score(uint64_t seed, GroupId group, NodeId node) {
  return mix64(mix64(seed ^ mix64(group.value())) ^ node.value());
}

std::vector<uint32_t> quotas(const std::vector<Candidate>& nodes, uint32_t total, uint32_t cap,
                             const std::vector<uint32_t>& held) {
  ASSERT(held.size() == nodes.size() && total <= uint64_t{cap} * nodes.size());
  std::vector<uint32_t> parts(nodes.size(), 0);
  std::vector<size_t> open;
  uint64_t weight = 0;
  for (size_t i = 0; i < nodes.size(); ++i) {
    ASSERT(nodes[i].weight > 0);
    open.push_back(i);
    weight += nodes[i].weight;
  }
  // A node cannot hold a group twice: who would get more than `cap` gets that, the rest is shared
  // by the others, which may put further nodes over.
  for (bool changed = true; changed;) {
    changed = false;
    for (auto at = open.begin(); at != open.end();) {
      if (uint64_t{total} * nodes[*at].weight >= uint64_t{cap} * weight && weight > 0) {
        parts[*at] = std::min(cap, total);
        total -= parts[*at];
        weight -= nodes[*at].weight;
        at = open.erase(at);
        changed = true;
      } else {
        ++at;
      }
    }
  }
  struct Remainder {
    bool holds_more;
    uint64_t lost;                   // in parts of `weight`
    size_t node;
  };
  std::vector<Remainder> remainders;
  uint32_t left = total;
  for (const size_t i : open) {
    const uint64_t share = uint64_t{total} * nodes[i].weight;
    parts[i] = static_cast<uint32_t>(share / weight);
    left -= parts[i];
    if (share % weight != 0) {
      remainders.push_back({held[i] > parts[i], share % weight, i});
    }
  }
  std::stable_sort(remainders.begin(), remainders.end(), [](const auto& a, const auto& b) {
    return std::tuple(a.holds_more, a.lost) > std::tuple(b.holds_more, b.lost);
  });
  ASSERT(left <= remainders.size());
  for (size_t i = 0; i < left; ++i) {
    ++parts[remainders[i].node];
  }
  return parts;
}

Placement place(const PlacementRules& rules, Placement current) {
  ASSERT(!rules.nodes.empty() && rules.replication > 0);
  return ReplicaSpread(rules, std::move(current)).run();
}

std::vector<NodeId> spread_leaders(const PlacementRules& rules, const Placement& placement,
                                   std::vector<NodeId> current) {
  return LeaderSpread(rules, placement, current).run();
}

std::vector<NodeId> place_meta(const PlacementRules& rules, uint32_t voters_max,
                               const std::vector<NodeId>& current) {
  ASSERT(!rules.nodes.empty() && voters_max > 0);
  size_t wanted = std::min<size_t>(rules.nodes.size(), voters_max);
  if (wanted > 2 && wanted % 2 == 0) {
    --wanted;
  }
  std::vector<Candidate> ranked = rules.nodes;
  std::stable_sort(ranked.begin(), ranked.end(), [&](const Candidate& a, const Candidate& b) {
    return std::tuple(contains(current, a.node), a.may_lead,
                      placement_score(rules.seed, kMetaGroup, a.node)) >
           std::tuple(contains(current, b.node), b.may_lead,
                      placement_score(rules.seed, kMetaGroup, b.node));
  });
  std::vector<NodeId> voters;
  for (size_t i = 0; i < wanted; ++i) {
    voters.push_back(ranked[i].node);
  }
  std::sort(voters.begin(), voters.end());
  return voters;
}

}  // namespace quorate::service::meta
