// SPDX-License-Identifier: Apache-2.0
// Operator: the person who changes which machines a cluster stands on, in plans with `placement 1`.
//
// Each errand is a command to the meta group, said again through some node until the map shows it
// or the group refuses it; everything else is the nodes' own work (node/placement.h).
//
//   join             a new machine, with a number never used before
//   leave            a node is drained and removed; then its machine is switched off
//   rest             a node is drained, and takes its share again some time later
//   replace          a machine is lost for good; a new one takes over its share
//   lose_directory   a machine loses its disk and comes back under its own number
//
// What may be lost, and why no more: an acknowledged write is on a majority, but perhaps on no more
// than that. So a disk is lost only while every replica is where it is wanted and trusted
// (Cluster::unsettled()); the next one only when what the first held has been rebuilt.
#pragma once

#include <vector>

#include "service/meta/commands.h"
#include "sim/cluster.h"
#include "sim/plan.h"

namespace quorate::sim {

class Operator {
 public:
  explicit Operator(Cluster& cluster);

  // Each may decide that this is no time for it.
  void join();
  void leave();
  void rest(Duration length);
  void replace();
  // The machine whose disk is lost next, if it may be now; nothing else is lost until it was.
  [[nodiscard]] NodeId choose_loss();
  void lose_directory(NodeId id, Duration length);
  // Begins nothing new, and resumes whoever rests; what was begun is still seen through.
  void stop();

 private:
  enum class Kind : uint8_t { kJoin, kLeave, kDrain, kResume };
  struct Errand {
    Kind kind = Kind::kJoin;
    NodeId node;
    NodeId replaces;
  };

  void work();
  [[nodiscard]] bool done(const Errand& errand, const service::meta::Map& map);
  void say(const Errand& errand);
  void answered(const Errand& errand, const Status& status);
  void begin(Kind kind, NodeId node, NodeId replaces = {});
  void switch_off_removed(const service::meta::Map& map);
  [[nodiscard]] const service::meta::Map* newest_map();
  // An active node of the map, if the cluster can spare one.
  [[nodiscard]] NodeId spare_node();
  void note(const std::string& what);

  Cluster& cluster_;
  World& world_;
  Prng prng_;
  std::vector<Errand> errands_;
  std::vector<NodeId> resting_;
  bool losing_ = false;
  bool stopped_ = false;
};

}  // namespace quorate::sim
