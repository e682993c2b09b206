// SPDX-License-Identifier: Apache-2.0
#include "server/resp_topology.h"

#include <algorithm>
#include <utility>

#include "base/hash.h"
#include "server/config.h"

namespace quorate::server {

namespace resp = edge::resp;
namespace meta = service::meta;

namespace {

resp::NodeView view_of(const meta::Node& node, const std::string& served_at, bool alive) {
  resp::NodeView view;
  view.id = node.id;
  view.alive = alive;
  const Result<Address> served = parse_address(served_at);
  if (served.ok()) {
    view.host = served->host;
    view.port = served->port;
  }
  const Result<Address> peers = parse_address(node.addresses.raft);
  view.peer_port = peers.ok() ? peers->port : 0;
  return view;
}

}  // namespace

resp::ClusterView RespTopology::view() {
  resp::ClusterView view;
  view.self = node_.id();
  view.cluster_id = node_.identity().cluster_id;
  const meta::Map* const map = placement_.map();
  if (map != nullptr) {
    view.epoch = map->generation;
    for (const meta::Node& node : map->nodes) {
      if (node.id != view.self && node.state != meta::NodeState::kRemoved) {
        view.nodes.push_back(view_of(node, node.addresses.resp, node_.peer_alive(node.id)));
      }
    }
    for (const meta::Group& group : map->groups) {
      if (group.slot_end > group.slot_begin) {
        view.slots.push_back(slots_of(group));
      }
    }
  }
  if (view.slots.empty()) {  // before the cluster is founded
    view.slots.push_back({0, kSlots - 1, {}, {}});
  }
  const meta::Node* const self = map == nullptr ? nullptr : map->node(view.self);
  meta::Node unknown;
  unknown.id = view.self;
  view.nodes.push_back(view_of(self == nullptr ? unknown : *self, self_, true));
  std::sort(
      view.nodes.begin(), view.nodes.end(),
      [](const resp::NodeView& left, const resp::NodeView& right) { return left.id < right.id; });
  return view;
}

resp::SlotsView RespTopology::slots_of(const meta::Group& group) const {
  resp::SlotsView slots;
  slots.first = static_cast<uint16_t>(group.slot_begin);
  slots.last = static_cast<uint16_t>(group.slot_end - 1);
  const node::Group* const here = std::as_const(node_).group(group.id);
  slots.leader = here == nullptr ? group.reported.leader : here->raft().leader();
  for (const meta::Replica& replica : group.wanted) {
    if (replica.node != slots.leader && replica.role == meta::Role::kVoter) {
      slots.others.push_back(replica.node);
    }
  }
  return slots;
}

bool RespTopology::leads(GroupId id) {
  const node::Group* const group = node_.group(id);
  return group != nullptr && group->leads();
}

}  // namespace quorate::server
