// SPDX-License-Identifier: Apache-2.0
// Admin: what the cluster pages show and change, as plain values. server implements it over node;
// an edge knows neither the node nor where its answers come from.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/function.h"
#include "base/ids.h"
#include "base/metrics.h"
#include "base/status.h"
#include "base/time.h"

namespace quorate::edge::http {

struct NodeStatus {
  NodeId id;
  std::string state = {};  // joining, active, draining, removed
  bool alive = false;      // as seen from the node that answers
  std::string raft_address = {};
  std::string http_address = {};
  std::string resp_address = {};
  std::string label = {};
  uint32_t weight = 0;
  uint32_t replicas = 0;  // groups that it holds a replica of
  uint32_t leaders = 0;   // groups that it leads
};

struct PeerStatus {
  NodeId node;
  bool active = false;
  bool learner = false;
  bool witness = false;
  bool snapshotting = false;
  Index match;
  uint64_t lag_entries = 0;  // behind the leader's log
};

struct GroupStatus {
  GroupId id;
  uint32_t slot_begin = 0;
  uint32_t slot_end = 0;
  NodeId leader;  // none: not known here
  Term term;
  std::vector<NodeId> voters;
  std::vector<NodeId> learners;
  // Of this node's replica; role is empty if it has none.
  std::string role = {};
  Index commit;
  Index applied;
  Index first;
  Index last;
  uint64_t pending = 0;  // requests that wait
  uint64_t memory_bytes = 0;
  uint64_t digest = 0;            // of the state at `applied`
  bool damaged = false;           // entries lost to the disk and not repaired yet
  std::vector<PeerStatus> peers;  // if this node leads it
};

struct ClusterStatus {
  NodeId node;  // who answers
  std::string version = {};
  uint64_t cluster_id = 0;
  uint64_t generation = 0;  // of the cluster's map
  NodeId meta_leader;
  uint32_t replication = 0;
  Duration uptime;
  bool ready = false;
  std::string ready_why = {};  // if not: what is missing
  std::vector<NodeStatus> nodes;
  std::vector<GroupStatus> groups;
};

struct NodeRequest {
  NodeId id;  // none: the next free one
  std::string raft_address = {};
  std::string http_address = {};
  std::string resp_address = {};
  std::string label = {};
  uint32_t weight = 100;
};

// What a change did, as far as it is known at once; moving replicas takes longer, and the status
// shows it.
struct Changed {
  NodeId node;
  uint64_t replicas_to_move = 0;
  uint64_t leaders_to_move = 0;
  uint64_t generation = 0;
};

class Admin {
 public:
  using Done = UniqueFunction<void(Result<Changed>)>;
  virtual ~Admin() = default;

  [[nodiscard]] virtual ClusterStatus status() = 0;
  // Ready: this node can serve linearizable requests for what it holds. `why` says what is missing.
  [[nodiscard]] virtual bool ready(std::string& why) = 0;
  // Of the whole process, as they are now.
  [[nodiscard]] virtual const Metrics& metrics() = 0;
  // The HTTP address of who leads a group; empty if that is not known.
  [[nodiscard]] virtual std::string leader_http(GroupId group) = 0;

  virtual void add_node(const NodeRequest& request, Done done) = 0;
  // Moves its replicas away first; with `force`, at once, for a machine that will not come back.
  virtual void remove_node(NodeId node, bool force, Done done) = 0;
  virtual void replace_node(NodeId source, NodeId target, Done done) = 0;
  virtual void transfer_leadership(GroupId group, NodeId target, Done done) = 0;
  virtual void rebalance(Done done) = 0;
};

}  // namespace quorate::edge::http
