// SPDX-License-Identifier: Apache-2.0
// Placement: makes where replicas are equal to where the meta group wants them.
//
// Every node runs one. It reads this node's own copy of the meta state, so it needs no leader and
// no questions to know what is wanted, and does this node's part of it:
//
//   as any node             peers and routes from the map; create and destroy replicas; say hello
//                           (ActivateNode) after joining; tell changed addresses
//   as a group's leader     one step at a time towards what is wanted (service/meta/plan.h); report
//                           settled configurations and the own term to the meta group
//   as group 0's leader     found the cluster (Bootstrap); tell who has been silent for long
//
// A look at things comes every `look_interval`, and costs nothing while nothing changes: only
// groups that are led here and not yet as wanted (`restless_`) are looked at. While a step follows
// the other (a node joins, and gets one replica after the other) it comes every `hurry_interval`,
// but never for more than a tenth of the time.
//
// Invariants:
//   1. a replica is destroyed only after the plan has allowed it for destroy_after without a break;
//   2. leadership moves for balance at most once per balance_interval from one node, only to a peer
//      that has caught up, and away from a leader that has led for balance_after;
//   3. at most one report and one other command of this node are on their way.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/function.h"
#include "base/ids.h"
#include "base/time.h"
#include "env/clock.h"
#include "env/timer.h"
#include "node/node.h"
#include "service/meta/api.h"
#include "service/meta/commands.h"
#include "service/meta/plan.h"
#include "service/meta/state.h"

namespace quorate::node {

struct PlacementOptions {
  // Where others find this node; empty: as the map says.
  service::meta::Addresses self;
  Duration look_interval = Duration::millis(100);
  Duration hurry_interval = Duration::millis(10);
  // Silence towards the leader of group 0 until a node counts as dead, and speech until it lives.
  Duration dead_after = Duration::seconds(10);
  Duration alive_after = Duration::seconds(1);
  Duration balance_after = Duration::seconds(3);
  Duration balance_interval = Duration::millis(300);
  Duration destroy_after = Duration::seconds(5);
  // Groups that move at once to or from one node: each copies a whole state over the network.
  uint32_t moves_per_node = 2;
};

class Placement {
 public:
  using Done = UniqueFunction<void(service::meta::Answer)>;

  // Takes the node's observer and routes. A node without group 0 gets an empty replica of it and
  // waits to be added by somebody who is in the cluster. `node` must outlive this.
  Placement(Node& node, env::Clock& clock, env::Timer& timer, PlacementOptions options);
  ~Placement();
  Placement(const Placement&) = delete;
  Placement& operator=(const Placement&) = delete;

  // As of this node's copy of group 0; null while it has none. Good until the next turn.
  [[nodiscard]] const service::meta::Map* map() const;
  // All of it: users and objects too.
  [[nodiscard]] const service::meta::State* state() const;
  // To the meta group, wherever it is led.
  void propose(const service::meta::Command& command, Done done);
  // Why a group that this node leads is not as wanted, or that it is.
  [[nodiscard]] service::meta::Reason reason(GroupId group) const;
  // Nothing is left to do for this node: all groups it leads are as wanted, told and balanced.
  [[nodiscard]] bool at_rest() const { return restless_.empty() && leaving_.empty(); }

 private:
  struct Led {
    Term term;
    Instant since;
    Index last_seen;  // end of the log at the last look
    Instant balance_at;
    service::meta::Reason reason = service::meta::Reason::kAsWanted;
  };
  struct Health {
    bool alive = false;
    Instant since;
  };

  void look();
  // Something has moved, and a next step may follow from it soon.
  void hurry();
  void adopt(const service::meta::Map& map);
  void adopt_peers(const service::meta::Map& map);
  void keep_replicas(const service::meta::Map& map);
  void destroy_due(const service::meta::Map& map);
  void attend(const service::meta::Group& wanted);
  [[nodiscard]] service::meta::LeaderView view_of(const service::meta::Group& wanted,
                                                  const Group& group, const Led& led) const;
  void take(const service::meta::Step& step, Group& group, Led& led);
  void note_report(const service::meta::Group& wanted, const Group& group);
  void send_reports();
  void found_cluster();
  void keep_self(const service::meta::Map& map);
  void watch_nodes(const service::meta::Map& map);
  void say(const service::meta::Command& command);
  [[nodiscard]] std::vector<NodeId> routes(GroupId group) const;
  [[nodiscard]] bool leads(GroupId group) const;
  void arm();

  Node& node_;
  service::meta::Api api_;
  env::Clock& clock_;
  env::Timer& timer_;
  const PlacementOptions options_;
  env::TimerId look_timer_ = env::TimerId::kNone;
  Instant now_;
  Instant look_at_;  // as armed
  Instant hurry_until_;
  Duration look_took_;

  uint64_t generation_ = 0;                  // of the map that was adopted last
  std::map<NodeId, std::string> addresses_;  // as given to the network
  std::vector<GroupId> turns_;
  std::set<GroupId> restless_;
  std::map<GroupId, Led> led_;
  std::map<GroupId, Instant> leaving_;  // may be destroyed, since when
  std::map<NodeId, Health> health_;
  Instant next_balance_;
  std::vector<service::meta::GroupReport> reports_;
  bool reporting_ = false;
  bool saying_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace quorate::node
