// SPDX-License-Identifier: Apache-2.0
// What follows from a command: who is to hold what now, who may go, what leaders told.
#include <algorithm>

#include "base/hash.h"
#include "base/limits.h"
#include "service/meta/node_rules.h"
#include "service/meta/placement.h"
#include "service/meta/topology.h"

namespace quorate::service::meta {
namespace {

// Those that may have replicas; with `meta` also those that take none but may vote there.
PlacementRules rules_of(const Map& map, bool meta) {
  PlacementRules rules;
  rules.seed = map.settings.cluster_id;
  rules.replication = map.settings.replication;
  rules.witness = map.settings.witness;
  for (const Node& node : map.nodes) {
    if (node.state == NodeState::kActive && (meta || node.weight > 0)) {
      rules.nodes.push_back({node.id, std::max<uint32_t>(node.weight, 1), !node.dead});
    }
  }
  return rules;
}

std::vector<NodeId> nodes_of(const std::vector<Replica>& replicas) {
  std::vector<NodeId> nodes;
  for (const Replica& replica : replicas) {
    nodes.push_back(replica.node);
  }
  return nodes;
}

}  // namespace

bool needs(const Group& group, NodeId node) {
  if (find_replica(group.wanted, node) != nullptr ||
      contains(group.reported.members.voters, node) ||
      contains(group.reported.members.outgoing, node)) {
    return true;
  }
  if (group.reported.term.none()) {
    return find_replica(group.birth, node) != nullptr;
  }
  return group.id != kMetaGroup && contains(group.reported.members.learners, node);
}

std::vector<NodeId> first_meta_voters(const Bootstrap& bootstrap) {
  Map map;
  map.settings = bootstrap.settings;
  for (const NodeSpec& spec : bootstrap.nodes) {
    map.nodes.push_back(make_node(spec, NodeState::kActive, Stamp()));
  }
  std::sort(map.nodes.begin(), map.nodes.end(),
            [](const Node& a, const Node& b) { return a.id < b.id; });
  return place_meta(rules_of(map, true), bootstrap.settings.meta_voters_max, {});
}

Result<Node*> Topology::find(NodeId id) {
  Node* node = map_.node(id);
  if (node == nullptr) {
    return refuse(Code::kNotFound, text(id) + " is not known");
  }
  if (node->state == NodeState::kRemoved) {
    return refuse(Code::kNotFound, text(id) + " was removed");
  }
  return node;
}

// Nodes that have, or shall have, a share of the data groups.
size_t Topology::hosts() const {
  return static_cast<size_t>(std::count_if(
      map_.nodes.begin(), map_.nodes.end(),
      [](const Node& node) { return node.state == NodeState::kActive && node.weight > 0; }));
}

// Draining is for keeping every replica: it needs a place where they can go.
Status Topology::may_lose(const Node& node) const {
  if (node.state != NodeState::kActive || node.weight == 0) {
    return Status::success();
  }
  const size_t left = hosts() - 1;
  if (left < map_.settings.replication) {
    return refuse(Code::kPreconditionFailed,
                  std::to_string(left) + " nodes would be left for " +
                      std::to_string(map_.settings.replication) +
                      " replicas; add a node or lower the replication factor first");
  }
  return Status::success();
}

Status Topology::may_replace(NodeId source, NodeId target) const {
  const Node* leaving = map_.node(source);
  if (source == target) {
    return refuse(Code::kInvalidArgument, "a node does not take its own place");
  }
  if (leaving == nullptr || leaving->state == NodeState::kRemoved) {
    return refuse(Code::kNotFound, text(source) + " is not there to be replaced");
  }
  if (leaving->state == NodeState::kJoining) {
    return refuse(Code::kPreconditionFailed, text(source) + " has no share yet");
  }
  const Node* taking = map_.node(target);
  if (taking != nullptr && taking->state == NodeState::kDraining) {
    return refuse(Code::kPreconditionFailed, text(target) + " is draining itself");
  }
  for (const Node& node : map_.nodes) {
    if (node.replaces == source && node.id != target && node.state == NodeState::kJoining) {
      return refuse(Code::kPreconditionFailed,
                    text(source) + " is being replaced by " + text(node.id) + " already");
    }
  }
  for (const Group& group : map_.groups) {
    if (group.id != kMetaGroup && find_replica(group.wanted, target) != nullptr) {
      return refuse(Code::kPreconditionFailed,
                    text(target) + " has a share of its own; only a fresh node can take another's");
    }
  }
  return Status::success();
}

const Node* Topology::joining_at(const std::string& raft_address) const {
  for (const Node& node : map_.nodes) {
    if (node.state == NodeState::kJoining && node.addresses.raft == raft_address) {
      return &node;
    }
  }
  return nullptr;
}

Status Topology::check_free(const std::string& raft_address, NodeId owner) const {
  for (const Node& node : map_.nodes) {
    if (node.id != owner && node.state != NodeState::kRemoved && !node.dead &&
        node.addresses.raft == raft_address) {
      return refuse(Code::kAlreadyExists,
                    "the address " + raft_address + " belongs to " + text(node.id));
    }
  }
  return Status::success();
}

Status Topology::check_new(const NodeSpec& spec) const {
  const auto present = std::count_if(map_.nodes.begin(), map_.nodes.end(), [](const Node& node) {
    return node.state != NodeState::kRemoved;
  });
  if (static_cast<size_t>(present) >= limits::kNodesMax) {
    return refuse(Code::kQuotaExceeded, "no more nodes fit into this cluster");
  }
  if (spec.id.none()) {
    return Status::success();
  }
  const Node* known = map_.node(spec.id);
  if (known != nullptr && known->state != NodeState::kRemoved) {
    return refuse(Code::kAlreadyExists, text(spec.id) + " exists at another address");
  }
  if (known != nullptr || spec.id <= map_.ids_spent) {
    return refuse(Code::kAlreadyExists,
                  text(spec.id) + " was there before; an id is never used again");
  }
  return Status::success();
}

// As many removed nodes are remembered by name as there may be nodes.
void Topology::forget_removed() {
  while (map_.nodes.size() > 2 * limits::kNodesMax) {
    const auto oldest = std::find_if(map_.nodes.begin(), map_.nodes.end(), [](const Node& node) {
      return node.state == NodeState::kRemoved;
    });
    ASSERT(oldest != map_.nodes.end());
    map_.ids_spent = std::max(map_.ids_spent, oldest->id);
    map_.nodes.erase(oldest);
  }
}

void Topology::make_groups(uint32_t count) {
  ASSERT(map_.groups.empty());
  map_.groups.resize(count + 1);
  for (uint32_t number = 0; number <= count; ++number) {
    Group& group = map_.groups[number];
    group.id = GroupId(number);
    // By the same arithmetic as nodes route by.
    group.slot_begin = number == 0 ? 0 : first_slot_of(number - 1, count);
    group.slot_end = first_slot_of(number, count);
  }
}

void Topology::hand_share(Node& source, Node& target, Stamp at) {
  for (Group& group : map_.groups) {
    bool changed = false;
    for (Replica& replica : group.wanted) {
      if (replica.node == source.id && find_replica(group.wanted, target.id) == nullptr) {
        replica.node = target.id;
        changed = true;
      }
    }
    if (group.preferred == source.id) {
      group.preferred = target.id;
      changed = true;
    }
    if (changed) {
      std::sort(group.wanted.begin(), group.wanted.end());
      ++group.epoch;
    }
  }
  target.weight = source.weight;
  target.replaces = NodeId();
  target.changed_at = at;
  set_state(source, NodeState::kDraining, at);
  source.leaving = true;
}

void Topology::remove_who_left(Stamp at) {
  bool changed = false;
  for (Node& node : map_.nodes) {
    if (node.state == NodeState::kDraining && node.leaving &&
        std::none_of(map_.groups.begin(), map_.groups.end(),
                     [&](const Group& group) { return needs(group, node.id); })) {
      set_state(node, NodeState::kRemoved, at);
      changed = true;
    }
  }
  if (changed) {
    replan_meta();
    touch();
  }
}

Placed Topology::replan() {
  replan_meta();
  Placed placed = replan_data();
  touch();
  placed.generation = map_.generation;
  return placed;
}

// Every node that is not removed follows the meta group, so that every node knows the map.
void Topology::replan_meta() {
  const PlacementRules rules = rules_of(map_, true);
  if (rules.nodes.empty() || map_.groups.empty()) {
    return;
  }
  Group& group = map_.groups.front();
  std::vector<Replica> wanted;
  for (const NodeId node :
       place_meta(rules, map_.settings.meta_voters_max, nodes_of(group.wanted))) {
    wanted.push_back({node, Role::kVoter});
  }
  std::vector<NodeId> learners;
  for (const Node& node : map_.nodes) {
    if (node.state != NodeState::kRemoved && find_replica(wanted, node.id) == nullptr) {
      learners.push_back(node.id);
    }
  }
  if (wanted != group.wanted || learners != group.learners) {
    group.wanted = std::move(wanted);
    group.learners = std::move(learners);
    ++group.epoch;
  }
}

Placed Topology::replan_data() {
  const PlacementRules rules = rules_of(map_, false);
  Placed placed;
  if (rules.nodes.empty() || map_.groups.empty()) {
    return placed;
  }
  Placement current;
  std::vector<NodeId> leaders;
  for (size_t i = 1; i < map_.groups.size(); ++i) {
    current.push_back(map_.groups[i].wanted);
    leaders.push_back(map_.groups[i].preferred);
  }
  Placement wanted = place(rules, current);
  leaders = spread_leaders(rules, wanted, std::move(leaders));
  for (size_t i = 1; i < map_.groups.size(); ++i) {
    Group& group = map_.groups[i];
    for (const Replica& replica : wanted[i - 1]) {
      placed.replicas_moved += find_replica(group.wanted, replica.node) == nullptr ? 1 : 0;
    }
    placed.leaders_moved += group.preferred != leaders[i - 1] ? 1 : 0;
    if (group.wanted != wanted[i - 1] || group.preferred != leaders[i - 1]) {
      group.wanted = std::move(wanted[i - 1]);
      group.preferred = leaders[i - 1];
      ++group.epoch;
    }
  }
  return placed;
}

// Terms order leaders, indexes order configurations; a deposed leader may still be the first to
// tell of a configuration that was committed under it.
bool Topology::merge_report(const GroupReport& report) {
  Reported& known = map_.group(report.group)->reported;
  const Reported& told = report.reported;
  const bool first = known.term.none();
  bool changed = false;
  if (first || told.config_index > known.config_index) {
    known.config_index = told.config_index;
    known.members = told.members;
    changed = true;
  }
  if (told.term > known.term) {
    known.term = told.term;
    known.leader = told.leader;
    changed = true;
  }
  return changed;
}

void Topology::check_invariants() const {
  uint32_t slot = 0;
  for (size_t i = 1; i < map_.nodes.size(); ++i) {
    ASSERT(map_.nodes[i - 1].id < map_.nodes[i].id);
  }
  for (size_t i = 0; i < map_.groups.size(); ++i) {
    const Group& group = map_.groups[i];
    ASSERT(group.id == GroupId(static_cast<uint32_t>(i)) && group.slot_begin == slot);
    slot = group.slot_end;
    ASSERT(ascending(nodes_of(group.wanted)) && ascending(group.learners));
    for (const Replica& replica : group.wanted) {
      const Node* node = map_.node(replica.node);
      ASSERT(node != nullptr && !contains(group.learners, replica.node));
      ASSERT(node->state == NodeState::kActive, "wanted on a node that is not active");
    }
    for (const NodeId learner : group.learners) {
      ASSERT(map_.node(learner) != nullptr);
      ASSERT(map_.node(learner)->state != NodeState::kRemoved);
    }
    if (!group.preferred.none()) {
      const Replica* leader = find_replica(group.wanted, group.preferred);
      ASSERT(leader != nullptr && leader->role == Role::kVoter);
      ASSERT(!map_.node(group.preferred)->dead, "a dead node cannot lead");
    }
    ASSERT(i < 2 || group.wanted.size() == map_.groups[1].wanted.size());
  }
  ASSERT(slot == (map_.groups.empty() ? 0 : kSlots));
}

}  // namespace quorate::service::meta
