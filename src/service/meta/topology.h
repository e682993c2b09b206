// SPDX-License-Identifier: Apache-2.0
// Topology: the nodes, the groups and where their replicas shall be; the part of the meta state
// that changes when machines come, go, die and are replaced.
//
// Invariants (check_invariants):
//   1. nodes ascend by id, groups by number; slot ranges of the data groups cover all slots once;
//   2. wanted replicas and learners are known nodes that are not removed, each named once;
//   3. data groups want replicas of nodes that are active; every data group wants as many as any;
//   4. the preferred leader is a wanted voter that is not known to be dead, or none;
//   5. the generation grows with every change, and with nothing else.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "service/meta/answers.h"
#include "service/meta/commands.h"
#include "service/meta/types.h"

namespace quorate::service::meta {

class Topology {
 public:
  // Each either refuses and changes nothing, or does all of it.
  Answer apply(const Bootstrap& command, Stamp at);
  Answer apply(const AddNode& command, Stamp at);
  Answer apply(const ActivateNode& command, Stamp at);
  Answer apply(const SetNodeAddresses& command, Stamp at);
  Answer apply(const SetNodeWeight& command, Stamp at);
  Answer apply(const DrainNode& command, Stamp at);
  Answer apply(const ResumeNode& command, Stamp at);
  Answer apply(const RemoveNode& command, Stamp at);
  Answer apply(const ReplaceNode& command, Stamp at);
  Answer apply(const SetNodeDead& command, Stamp at);
  Answer apply(const SetReplication& command, Stamp at);
  Answer apply(const ReportGroups& command, Stamp at);
  Answer apply(const Rebalance& command, Stamp at);

  [[nodiscard]] const Map& map() const { return map_; }
  [[nodiscard]] bool bootstrapped() const { return map_.settings.cluster_id != 0; }
  // Something else of the meta state changed.
  void touch() { ++map_.generation; }
  void restore(Map map) { map_ = std::move(map); }
  void check_invariants() const;

 private:
  [[nodiscard]] Result<Node*> find(NodeId id);
  [[nodiscard]] size_t hosts() const;
  [[nodiscard]] Status may_lose(const Node& node) const;
  [[nodiscard]] Status may_replace(NodeId source, NodeId target) const;
  [[nodiscard]] const Node* joining_at(const std::string& raft_address) const;
  // Nobody but `owner`, or a node that is known to be dead, has this address.
  [[nodiscard]] Status check_free(const std::string& raft_address, NodeId owner) const;
  [[nodiscard]] Status check_new(const NodeSpec& spec) const;
  void make_groups(uint32_t count);
  void forget_removed();
  void hand_share(Node& source, Node& target, Stamp at);
  void remove_who_left(Stamp at);
  Placed replan();
  void replan_meta();
  Placed replan_data();
  [[nodiscard]] bool merge_report(const GroupReport& report);

  Map map_;
};

// True if the group's members, as far as they are known, or its wanted replicas name the node. In
// the meta group every node learns, so only voters count there.
[[nodiscard]] bool needs(const Group& group, NodeId node);

// The voters that the meta group of a new cluster has to be started with.
[[nodiscard]] std::vector<NodeId> first_meta_voters(const Bootstrap& bootstrap);

}  // namespace quorate::service::meta
