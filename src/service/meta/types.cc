// SPDX-License-Identifier: Apache-2.0
#include "service/meta/types.h"

#include <algorithm>

#include "base/assert.h"
#include "base/hash.h"

namespace quorate::service::meta {
namespace {

template <class Nodes>
auto find_node(Nodes& nodes, NodeId id) {
  const auto at =
      std::lower_bound(nodes.begin(), nodes.end(), id,
                       [](const Node& node, NodeId wanted) { return node.id < wanted; });
  return at != nodes.end() && at->id == id ? &*at : nullptr;
}

}  // namespace

const Node* Map::node(NodeId id) const { return find_node(nodes, id); }
Node* Map::node(NodeId id) { return find_node(nodes, id); }

const Group* Map::group(GroupId id) const {
  return id.value() < groups.size() ? &groups[id.value()] : nullptr;
}
Group* Map::group(GroupId id) { return id.value() < groups.size() ? &groups[id.value()] : nullptr; }

GroupId Map::group_of_slot(uint16_t slot) const {
  ASSERT(slot < kSlots && groups.size() > 1);
  // Ranges are ascending; the meta group's is empty and first.
  const auto at = std::upper_bound(
      groups.begin(), groups.end(), slot,
      [](uint16_t wanted, const Group& group) { return wanted < group.slot_end; });
  ASSERT(at != groups.end() && at->slot_begin <= slot);
  return at->id;
}

bool contains(const std::vector<NodeId>& nodes, NodeId node) {
  return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
}

bool names(const Members& members, NodeId node) {
  return contains(members.voters, node) || contains(members.outgoing, node) ||
         contains(members.learners, node);
}

const Replica* find_replica(const std::vector<Replica>& replicas, NodeId node) {
  for (const Replica& replica : replicas) {
    if (replica.node == node) {
      return &replica;
    }
  }
  return nullptr;
}

std::string_view name_of(NodeState state) {
  switch (state) {
    case NodeState::kJoining: return "joining";
    case NodeState::kActive: return "active";
    case NodeState::kDraining: return "draining";
    case NodeState::kRemoved: return "removed";
  }
  return "";
}

std::string_view name_of(ServiceId service) {
  switch (service) {
    case ServiceId::kNode: return "node";
    case ServiceId::kKv: return "kv";
    case ServiceId::kLock: return "lock";
    case ServiceId::kQueue: return "queue";
    case ServiceId::kCache: return "cache";
    case ServiceId::kTask: return "task";
    case ServiceId::kStream: return "stream";
    case ServiceId::kMeta: return "meta";
  }
  return "";
}

}  // namespace quorate::service::meta
