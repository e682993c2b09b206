// SPDX-License-Identifier: Apache-2.0
// Nemesis: works through the fault rules of a plan.
//
// Each rule has its own stream of chance: after an exponential-like wait around its mean it strikes
// a random victim, and (if it has a length) mends what it broke after a random length around that
// mean. What may be broken, and why no more:
//
//   anything unsynced, on any number of disks at once; any message; any clock within the drift that
//   the lease margin allows; any number of processes at once. Raft promises safety under all of it.
//   synced bytes (bit rot): only on a minority of the machines, chosen once a run. An acknowledged
//   write is synced on a majority, but perhaps only there: damage on one machine must leave one
//   that has it. Damage that a majority of a group's disks share is loss, not a fault to be masked.
//
// stop() mends everything: what follows must heal by itself.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "sim/cluster.h"
#include "sim/operator.h"

namespace quorate::sim {

[[nodiscard]] bool is_fault(std::string_view kind);

class Nemesis {
 public:
  explicit Nemesis(Cluster& cluster);

  void start();
  void stop();
  [[nodiscard]] uint64_t injected() const { return injected_; }
  [[nodiscard]] static std::vector<std::string_view> kinds();

 private:
  friend struct FaultTable;

  void schedule(size_t rule);
  void strike(size_t rule);
  void note(const std::string& what);
  // Mends after about the rule's length, unless the nemesis was stopped, which mends everything.
  void mend_after(const FaultRule& rule, UniqueFunction<void()> mend);
  [[nodiscard]] Duration around(Duration mean);
  [[nodiscard]] NodeId any_node();
  [[nodiscard]] NodeId any_running();
  [[nodiscard]] NodeId any_leader();

  void crash(const FaultRule& rule);
  void crash_leader(const FaultRule& rule);
  void crash_inside(const FaultRule& rule);
  void crash_all(const FaultRule& rule);
  void pause(const FaultRule& rule);
  void partition(const FaultRule& rule);
  void isolate_leader(const FaultRule& rule);
  void one_way(const FaultRule& rule);
  void flap(const FaultRule& rule);
  void storm(const FaultRule& rule);
  void slow_disk(const FaultRule& rule);
  void full_disk(const FaultRule& rule);
  void failing_disk(const FaultRule& rule);
  void bit_rot(const FaultRule& rule);
  void drift(const FaultRule& rule);
  void jump(const FaultRule& rule);
  void half_told(const FaultRule& rule);
  void hunt(const FaultRule& rule);
  void hunt_again(GroupId group, Term seen, Instant until);
  void silence(NodeId id, uint64_t told, Duration delay, Duration length);
  void flicker(const FaultRule& rule);
  void flicker_again(NodeId victim, Instant until);
  void transfer(const FaultRule& rule);
  void transfer_and_cut(const FaultRule& rule);
  void membership(const FaultRule& rule);
  void change_members(GroupId group);
  [[nodiscard]] raft::ConfigChange random_change(const raft::Node& leader, std::string& text);
  // A group of these voters can lose every victim of bit rot and still elect.
  [[nodiscard]] bool outlives_rot(const std::vector<NodeId>& voters) const;
  void join(const FaultRule& rule);
  void leave(const FaultRule& rule);
  void rest(const FaultRule& rule);
  void replace(const FaultRule& rule);
  void lose_directory(const FaultRule& rule);
  void isolate(NodeId id, bool cut);
  void hand_over(GroupId group, NodeId leader);

  Cluster& cluster_;
  World& world_;
  Prng prng_;
  Operator operator_;
  std::vector<FaultRule> rules_;
  std::vector<NodeId> rot_victims_;
  bool stopped_ = false;
  uint64_t injected_ = 0;
};

}  // namespace quorate::sim
