// SPDX-License-Identifier: Apache-2.0
// What topology.cc (commands) and replan.cc (their consequences) both use.
#pragma once

#include <string>
#include <utility>

#include "service/meta/topology.h"

namespace quorate::service::meta {

inline std::string text(NodeId node) { return "node " + std::to_string(node.value()); }

inline Status refuse(Code code, std::string message) { return Status(code, std::move(message)); }

inline Node make_node(const NodeSpec& spec, NodeState state, Stamp at) {
  Node node;
  node.id = spec.id;
  node.addresses = spec.addresses;
  node.label = spec.label;
  node.weight = spec.weight;
  node.state = state;
  node.changed_at = at;
  return node;
}

inline void set_state(Node& node, NodeState state, Stamp at) {
  node.state = state;
  node.changed_at = at;
  node.leaving = node.leaving && state == NodeState::kDraining;
}

// True if there are neither repeats nor steps back.
inline bool ascending(const std::vector<NodeId>& nodes) {
  for (size_t i = 1; i < nodes.size(); ++i) {
    if (nodes[i - 1] >= nodes[i]) {
      return false;
    }
  }
  return true;
}

}  // namespace quorate::service::meta
