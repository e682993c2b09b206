// SPDX-License-Identifier: Apache-2.0
// NodeAdmin: the cluster pages' view of a node, and their verbs as commands to the meta group.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>

#include "base/metrics.h"
#include "edge/http/admin.h"
#include "env/clock.h"
#include "node/node.h"
#include "node/placement.h"
#include "os/loop.h"
#include "os/net.h"
#include "server/config.h"
#include "server/locks.h"
#include "service/meta/answers.h"
#include "service/meta/commands.h"

namespace quorate::server {

// LagWatch: for how long followers have lacked an entry that their leader has. Each look compares
// what a follower has by now with the last entry of the look before.
class LagWatch {
 public:
  void begin(Instant now) {
    before_ = std::exchange(marks_, {});
    now_ = now;
    worst_ = {};
  }
  void look(GroupId group, NodeId follower, Index match, Index last);
  // As of the looks since begin(); a follower that keeps up counts as not behind.
  [[nodiscard]] Duration worst() const { return worst_; }

 private:
  struct Mark {
    Index index;  // that it lacked
    Instant since;
  };
  using Marks = std::map<std::pair<GroupId, NodeId>, Mark>;

  Marks before_;
  Marks marks_;
  Instant now_;
  Duration worst_;
};

class NodeAdmin final : public edge::http::Admin {
 public:
  // What it looks at; all must outlive it.
  struct Parts {
    const Config& config;
    const env::Clock& clock;
    const os::Loop& loop;
    const os::Net& net;
    node::Node& node;
    node::Placement& placement;
    Locks& locks;
    Metrics& metrics;
  };
  explicit NodeAdmin(const Parts& parts);

  [[nodiscard]] edge::http::ClusterStatus status() override;
  [[nodiscard]] bool ready(std::string& why) override;
  [[nodiscard]] const Metrics& metrics() override;
  [[nodiscard]] std::string leader_http(GroupId group) override;
  // To be called about once a second: how long followers have been behind.
  void look_at_lag();
  // From now on the node is not ready, so that balancers send nobody new while it hands over.
  void begin_stop() { stopping_ = true; }

  void add_node(const edge::http::NodeRequest& request, Done done) override;
  void remove_node(NodeId node, bool force, Done done) override;
  void replace_node(NodeId source, NodeId target, Done done) override;
  void transfer_leadership(GroupId group, NodeId target, Done done) override;
  void rebalance(Done done) override;

 private:
  // Null while this node has no copy of the meta group, or that is not bootstrapped yet.
  [[nodiscard]] const service::meta::Map* map() const { return parts_.placement.map(); }
  [[nodiscard]] NodeId leader_of(GroupId group) const;
  [[nodiscard]] bool is_member(const service::meta::Map& known, GroupId group) const;
  [[nodiscard]] bool is_leaderless(GroupId group);
  void list_nodes(edge::http::ClusterStatus& status) const;
  void list_groups(edge::http::ClusterStatus& status) const;
  void command(const service::meta::Command& command, Done done);
  void collect();
  void collect_keyspaces();

  Parts parts_;
  const Instant begun_;
  std::map<GroupId, Instant> led_at_;  // when a leader was last known, as of ready()
  bool stopping_ = false;
  std::set<std::string> keyspaces_;  // of which something was told
  LagWatch lag_;
};

}  // namespace quorate::server
