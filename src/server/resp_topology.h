// SPDX-License-Identifier: Apache-2.0
// RespTopology: the slot map of Redis Cluster, from this node's groups and its copy of the meta
// map.
#pragma once

#include <string>

#include "edge/resp/session/topology.h"
#include "node/node.h"
#include "node/placement.h"

namespace quorate::server {

class RespTopology final : public edge::resp::Topology {
 public:
  // Both must outlive it. `self`: where Redis clients find this node.
  RespTopology(node::Node& node, node::Placement& placement, std::string self)
      : node_(node), placement_(placement), self_(std::move(self)) {}

  [[nodiscard]] edge::resp::ClusterView view() override;
  [[nodiscard]] bool leads(GroupId group) override;

 private:
  [[nodiscard]] edge::resp::SlotsView slots_of(const service::meta::Group& group) const;

  node::Node& node_;
  node::Placement& placement_;
  const std::string self_;
};

}  // namespace quorate::server
