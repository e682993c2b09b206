// SPDX-License-Identifier: Apache-2.0
// Placement: which nodes hold a group's replicas, and who shall lead it. Pure arithmetic.
//
// Rendezvous hashing decides (each pair of group and node has a score, a group takes the nodes with
// the greatest), under a quota per node that makes the result even: plain rendezvous leaves 12
// groups on 5 nodes with anything from 4 to 11 replicas each. What is placed already stays, unless
// its node leaves or has more than its quota, so that
//   1. a node that joins receives its quota, and nothing else moves;
//   2. of a node that leaves, exactly its replicas move (rarely one more has to make room);
//   3. loads differ from the weighted share by less than one, wherever that is possible at all.
// The price is that the result depends on history; all replicas of the meta group have the same
// one. See docs/decisions/060-sticky-placement.md.
//
// Cost: groups x nodes scores. Vectors of groups are indexed by position; the group at position i
// has number i + 1 (the meta group is placed by place_meta()).
#pragma once

#include <cstdint>
#include <vector>

#include "base/ids.h"
#include "service/meta/types.h"

namespace quorate::service::meta {

struct Candidate {
  NodeId node;
  uint32_t weight = kWeightDefault;  // not 0
  bool may_lead = true;
};

struct PlacementRules {
  uint64_t seed = 0;                 // of the cluster: two clusters place differently
  uint32_t replication = 3;
  bool witness = false;
  std::vector<Candidate> nodes;      // sorted by node, not empty
};

using Placement = std::vector<std::vector<Replica>>;  // by group, each sorted by node

[[nodiscard]] uint64_t placement_score(uint64_t seed, GroupId group, NodeId node);

// `total` in parts by weight, none above `cap`; each part is its exact share rounded down or up.
// Who holds more than its share rounded down (`held`) is rounded up first, then who lost most.
// Before: total <= cap * number of nodes.
[[nodiscard]] std::vector<uint32_t> quotas(const std::vector<Candidate>& nodes, uint32_t total,
                                           uint32_t cap, const std::vector<uint32_t>& held);

// Each group gets min(replication, nodes) replicas. Those in `current` stay where they may.
[[nodiscard]] Placement place(const PlacementRules& rules, Placement current);

// One leader per group among its voters that may lead; none where there is no such voter. Those in
// `current` stay where they may; loads follow the weights as evenly as the placement allows.
[[nodiscard]] std::vector<NodeId> spread_leaders(const PlacementRules& rules,
                                                 const Placement& placement,
                                                 std::vector<NodeId> current);

// The voters of the meta group: all of up to two nodes, else the greatest odd number of them up to
// `voters_max`. Those in `current` stay where they may. Sorted.
[[nodiscard]] std::vector<NodeId> place_meta(const PlacementRules& rules, uint32_t voters_max,
                                             const std::vector<NodeId>& current);

}  // namespace quorate::service::meta
