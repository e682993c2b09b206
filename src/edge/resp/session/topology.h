// SPDX-License-Identifier: Apache-2.0
// Topology: what the commands of Redis Cluster need to know of the nodes; the server implements it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.h"

namespace quorate::edge::resp {

struct NodeView {
  NodeId id;
  std::string host;  // where Redis clients find it; empty: nowhere
  uint16_t port = 0;
  uint16_t peer_port = 0;  // where its peers find it
  bool alive = false;
};

// The slots of one group.
struct SlotsView {
  uint16_t first = 0;
  uint16_t last = 0;  // belongs to them
  NodeId leader;      // zero: none is known now
  std::vector<NodeId> others;
};

struct ClusterView {
  NodeId self;
  uint64_t cluster_id = 0;
  uint64_t epoch = 0;            // grows with each change of the map
  std::vector<NodeView> nodes;   // by number
  std::vector<SlotsView> slots;  // ascending
  [[nodiscard]] const NodeView* node(NodeId id) const {
    for (const NodeView& each : nodes) {
      if (each.id == id) {
        return &each;
      }
    }
    return nullptr;
  }
};

class Topology {
 public:
  virtual ~Topology() = default;
  [[nodiscard]] virtual ClusterView view() = 0;
  // Commands of the group that this node is given take effect in the order in which they come.
  [[nodiscard]] virtual bool leads(GroupId group) = 0;
};

}  // namespace quorate::edge::resp
