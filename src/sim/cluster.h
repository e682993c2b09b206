// SPDX-License-Identifier: Apache-2.0
// Cluster: whole nodes, as in production, on virtual machines.
//
// A machine (clock, disk) outlives the processes that run on it. A process is a node::Node with its
// own Clock, Timer, Net and Disk. A crash destroys the process between two events, or, by a frozen
// disk image, as of the midst of one; a restart opens a new node on the same disk. A process whose
// node reports a failure (a flush that failed) is ended, as its supervisor would, and restarted.
//
// Who gets which replica is decided in one of two ways. With `placement 1` each process runs
// node::Placement as in production, machines come and go (admit, retire), and numbers are never
// used again. Without it the members of a group are whatever a plan's faults propose, and the
// simulator makes the replicas that they call for: so steps can be tried that placement never
// takes.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "node/node.h"
#include "node/placement.h"
#include "service/registry.h"
#include "sim/disk.h"
#include "sim/lock_door.h"
#include "sim/net.h"
#include "sim/plan.h"
#include "sim/process.h"
#include "sim/workloads/store_door.h"
#include "sim/world.h"

namespace quorate::sim {

class Cluster {
 public:
  // How a process ends.
  enum class End : uint8_t {
    kKill,        // the process alone: what it wrote is safe in the machine's memory
    kPowerCut,    // the machine: what was not synced is at chance's mercy
  };

  Cluster(World& world, const Plan& plan);
  ~Cluster();

  // ---- processes ------------------------------------------------------------------------------
  // Starts whatever of the machine is not running. False if the node refused its disk.
  bool start(NodeId id);
  void end(NodeId id, End how);
  void pause(NodeId id);
  void resume(NodeId id);
  // Ends it, and starts it again after the delay unless something else did before.
  void restart_after(NodeId id, End how, Duration delay);

  // ---- machines, with placement ---------------------------------------------------------------
  // One more, with the next number; none if the plan's spares are used up.
  [[nodiscard]] NodeId admit();
  // Switched off for good.
  void retire(NodeId id);

  // ---- views ----------------------------------------------------------------------------------
  // Null while no process runs.
  [[nodiscard]] node::Node* node(NodeId id);
  [[nodiscard]] LifeId life(NodeId id) const;
  [[nodiscard]] bool running(NodeId id) const;
  [[nodiscard]] bool is_paused(NodeId id) const;
  // What the process says now may still be heard.
  [[nodiscard]] bool speaks(NodeId id) const;
  // The node found damage on its disk that it cannot work around, and waits for an operator.
  [[nodiscard]] bool refused(NodeId id) const { return machine(id).refused; }
  // Null while no process runs, and without placement.
  [[nodiscard]] node::Placement* placement(NodeId id);
  // Null while no process runs, and in plans without clients of the locks or documents.
  [[nodiscard]] LockDoor* locks(NodeId id);
  // Null while no process runs, and in plans without clients of the store.
  [[nodiscard]] StoreDoor* store(NodeId id);
  // The machines that there are: members that the cluster was born with, then the spares.
  [[nodiscard]] const std::vector<NodeId>& ids() const { return ids_; }
  // A machine that a client may ask.
  [[nodiscard]] NodeId any_door(Prng& prng) const;
  // Grows when a process makes a replica of the group anew: what was seen of the last one is void.
  [[nodiscard]] uint64_t birth(NodeId id, GroupId group) const;
  // With placement: why the cluster is not what its map wants, by all nodes and groups; "" if it
  // is, and no replica lacks anything.
  [[nodiscard]] std::string unsettled();
  [[nodiscard]] bool is_spare(NodeId id) const { return id.value() > plan_.nodes; }
  // The node that leads the group by its own belief, with the greatest term.
  [[nodiscard]] NodeId leader_of(GroupId group);
  [[nodiscard]] Network& network() { return network_; }
  [[nodiscard]] DiskImage& disk(NodeId id) { return machine(id).image; }
  [[nodiscard]] ClockModel& clock(NodeId id) { return machine(id).clock; }
  [[nodiscard]] const Plan& plan() const { return plan_; }
  [[nodiscard]] World& world() { return world_; }
  // Why a run is over before its time: a process that cannot be, a disk that nobody damaged.
  [[nodiscard]] const std::string& complaint() const { return complaint_; }

  // To be called after each event: ends processes that died in it.
  void after_event(LifeId life);
  // The node whose process this life is; zero if none is.
  [[nodiscard]] NodeId node_of(LifeId life) const;
  // The counters of all that still run go into the world's; those of the dead are there already.
  void harvest_all();
  void forgive_damage(NodeId id) { machine(id).damaged = true; }
  [[nodiscard]] bool damaged(NodeId id) const { return machine(id).damaged; }

 private:
  struct Process {
    LifeId life;
    std::unique_ptr<Clock> clock;
    std::unique_ptr<Timer> timer;
    std::unique_ptr<Net> net;
    std::unique_ptr<Disk> disk;
    std::unique_ptr<node::Node> node;
    std::unique_ptr<node::Placement> placement;
    std::unique_ptr<LockDoor> locks;
    std::unique_ptr<StoreDoor> store;
    ~Process() {
      store.reset();
      locks.reset();
      placement.reset();
      node.reset();
    }
  };
  struct Machine {
    explicit Machine(World& world) : clock(world), image(world) {}
    ClockModel clock;
    DiskImage image;
    std::unique_ptr<Process> process;
    std::vector<uint64_t> births;   // by group; odd: it is here
    uint64_t starts = 0;
    bool retired = false;
    bool refused = false;
    bool damaged = false;      // synced bytes were rotted: it may refuse
  };

  Machine& machine(NodeId id) { return *machines_.at(id); }
  [[nodiscard]] const Machine& machine(NodeId id) const { return *machines_.at(id); }
  [[nodiscard]] node::Options options_of(NodeId id, uint64_t start) const;
  void add_machine();
  void enter(NodeId id, Process& process);
  void count_births(Machine& machine);
  [[nodiscard]] std::string unsettled(NodeId id, const service::meta::Map& map);
  // What the placement of a real cluster does all the time: whoever is a member of a group, by the
  // configuration of any of its replicas (the leader that proposed it may be gone), gets a replica
  // to be one with.
  void place();
  void invite(GroupId group, const raft::Config& config);
  void harvest(const node::Node& node);
  void open_failed(NodeId id, const Status& status);

  World& world_;
  const Plan& plan_;
  Network network_;
  service::Registry registry_;
  Prng prng_;
  std::map<NodeId, std::unique_ptr<Machine>> machines_;
  std::map<LifeId, NodeId> lives_;
  std::vector<NodeId> ids_;
  std::string complaint_;
};

}  // namespace quorate::sim
