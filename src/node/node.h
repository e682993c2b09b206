// SPDX-License-Identifier: Apache-2.0
// Node: all groups of one process on one loop.
//
// One turn of the loop (core.md calls it gather, step, collect, send, sync, apply, answer):
//
//   frames, proposals, disk completions, timers       mark groups dirty
//   turn():  work() of each dirty group               step raft, collect Readys
//            outbox.flush()                           one frame per peer, before our own disk write
//            wal.flush()                              one write and one sync for all groups
//            settle() of each dirty group             apply, answer; behind what others wait for
//   flushed: on_persisted() of each group in it       acknowledgements go out, commits advance
//
// There is no batching window: a batch is what arrived while the last sync ran, and, where rounds
// of replication are short, while the last round ran (rounds.h).
//
// Invariants:
//   1. what depends on durability leaves only after the flush that covers it (when_persisted).
//   2. after a failed flush nothing is acknowledged any more: the node stops (failure()). So it
//   does
//      when a snapshot that is being installed cannot be read: its machine is half of one.
//   3. groups are never looked up through a pointer kept across turns, except in lists that
//      destroy_group() cleans.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/status.h"
#include "env/clock.h"
#include "env/disk.h"
#include "env/net.h"
#include "env/timer.h"
#include "node/counters.h"
#include "node/forward.h"
#include "node/group.h"
#include "node/identity.h"
#include "node/options.h"
#include "node/rounds.h"
#include "node/shell.h"
#include "node/views.h"
#include "rpc/calls.h"
#include "rpc/heartbeat.h"
#include "rpc/outbox.h"
#include "service/meta/commands.h"
#include "service/proposer.h"
#include "service/registry.h"
#include "wal/snapshot_store.h"
#include "wal/wal.h"

namespace quorate::node {

// What a node stands on; all must outlive it.
struct World {
  env::Clock& clock;
  env::Timer& timer;
  env::Disk& disk;
  env::Net& net;
  const service::Registry& registry;
};

class Node final : public service::Proposer,
                   public env::NetHandler,
                   private Shell,
                   private ForwardRoutes {
 public:
  // Blocking: reads the data directory and rebuilds every machine.
  [[nodiscard]] static Result<std::unique_ptr<Node>> open(const World& world,
                                                          const Options& options);
  ~Node() override;
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  // ---- service::Proposer
  // --------------------------------------------------------------------------
  void propose(const service::Command& command, service::Done done) override;
  void query(const service::Query& query, service::Done done) override;
  void heartbeat(const service::Query& beat, service::Done done) override;
  void add_listener(service::AppliedListener& listener) override {
    listeners_.push_back(&listener);
  }
  void remove_listener(service::AppliedListener& listener) override {
    std::erase(listeners_, &listener);
  }
  [[nodiscard]] service::LocalRead read_here(GroupId group, service::ServiceId service,
                                             service::ReadMode mode) override;
  [[nodiscard]] uint32_t groups() const override { return identity_.groups; }
  [[nodiscard]] GroupId group_of_slot(uint16_t slot) const override;

  // ---- env::NetHandler
  // -----------------------------------------------------------------------------
  void on_frame(NodeId from, std::string_view frame) override;
  void on_link(NodeId peer, bool up) override;

  // ---- replicas: what placement asks for
  // ----------------------------------------------------------- An empty replica that waits for a
  // leader to bring it the log; harmless if it exists.
  void create_group(GroupId id);
  // Removes the replica and all that is on disk of it.
  void destroy_group(GroupId id);
  [[nodiscard]] Group* group(GroupId id);
  [[nodiscard]] const Group* group(GroupId id) const;
  [[nodiscard]] std::vector<GroupId> group_ids() const;
  void set_peer(NodeId peer, const std::string& address);
  void remove_peer(NodeId peer);
  [[nodiscard]] bool peer_alive(NodeId peer) const;

  // ---- the whole
  // ------------------------------------------------------------------------------------
  [[nodiscard]] NodeId id() const { return options_.id; }
  [[nodiscard]] const Identity& identity() const { return identity_; }
  [[nodiscard]] const Counters& counters() const { return Shell::counters; }
  // What this node stamps with. Ends that a client is told, or sets, are by this clock.
  [[nodiscard]] const env::Clock& clock() const { return Shell::clock; }
  // How far the machine's wall clock was set away from the time that this node stamps with.
  [[nodiscard]] Duration clock_behind() const { return Shell::clock.behind(); }
  [[nodiscard]] wal::Stats wal_stats() const { return wal_->stats(); }
  [[nodiscard]] const std::vector<std::string>& recovery_notes() const { return notes_; }
  [[nodiscard]] const Status& failure() const { return failure_; }
  // A new cluster is founded when all of its nodes are there; until then there are no groups.
  [[nodiscard]] bool founding() const { return founding_; }
  // Hands the leadership of every group that this node leads to a live peer, as far as there is
  // one.
  void give_up_leadership();
  [[nodiscard]] size_t led_groups() const;
  // Called after each turn in which the role, leader or configuration of a group changed, and
  // whenever group 0 applied something.
  void set_observer(UniqueFunction<void(GroupId)> observer) { observer_ = std::move(observer); }
  // Who holds a group that this node does not: placement knows it from group 0.
  void set_routes(UniqueFunction<std::vector<NodeId>(GroupId)> routes) {
    routes_ = std::move(routes);
  }
  // What group 0 has to be told first, if this node was to found the cluster.
  [[nodiscard]] std::optional<service::meta::Bootstrap> first_map() const;
  // In tests and simulation: aborts if an invariant of any replica does not hold.
  void check_invariants() const;

 private:
  struct Waiting {
    GroupId group;
    uint64_t birth;  // which replica of that group, should it have been replaced
    raft::PersistPoint point;
    size_t messages;  // the next so many of those that wait are its
  };
  // What waits for one flush.
  struct Persisting {
    std::vector<Waiting> groups;
    std::vector<raft::Message> messages;

    void clear() {
      groups.clear();
      messages.clear();
    }
  };
  struct Active {
    Group* group;
    Instant next;  // not to be looked at before
  };
  struct Slot {
    std::unique_ptr<Group> group;
    uint64_t birth = 0;
  };

  Node(const World& world, Options settings);

  // recovery.cc
  [[nodiscard]] Status recover();
  [[nodiscard]] Status load_groups(std::vector<wal::RecoveredGroup> recovered);
  [[nodiscard]] Status load_group(const wal::RecoveredGroup& recovered,
                                  const wal::SnapshotInfo* snapshot);
  [[nodiscard]] Status restore_machine(GroupId id, service::GroupMachine& machine, Stamp& stamp);
  // Fails if there is nobody to ask and the log has lost whom it does not name.
  [[nodiscard]] Status begin_founding(bool groups_unknown);
  void on_founding(NodeId from, std::string_view bytes);
  void write_founding(std::string& out) const;
  void enter_living_cluster();
  [[nodiscard]] Status set_suspect(GroupId id, bool suspect);
  void trust_recovered();
  // Of replicas whose removal is durable.
  void clear_marks_of_gone();
  void found_groups();
  void found_group(GroupId id, const std::vector<NodeId>& voters);
  [[nodiscard]] raft::Options raft_options(GroupId id) const;
  Group& add_group(GroupId id, ReplicaState state);
  [[nodiscard]] std::unique_ptr<service::GroupMachine> new_machine(GroupId id) const;

  // Shell
  wal::Wal& wal() override { return *wal_; }
  wal::SnapshotStore& snapshots() override { return *snapshots_; }
  void send(GroupId group, const raft::Message& message) override;
  void mark_dirty(Group& group) override;
  void when_persisted(Group& group, const raft::PersistPoint& point,
                      std::vector<raft::Message>& after) override;
  [[nodiscard]] bool hold(Group& group) override;
  void take_back(GroupId group, const service::BatchCommand& command, service::Done done,
                 TakenBack how) override;
  void outcome_known(GroupId group) override { forwarder_.go_on(group); }
  [[nodiscard]] uint64_t join_round() override { return rounds_.join(); }
  void leave_round(uint64_t round) override { rounds_.leave(round); }
  void on_group_changed(Group& group) override;
  [[nodiscard]] bool begin_snapshot() override;
  void end_snapshot() override { snapshotting_ = false; }
  void fail(const Status& status) override;

  // ForwardRoutes
  [[nodiscard]] bool serve_here(Forwarded& request) override;
  [[nodiscard]] bool outcome_open(GroupId group) override;
  void overtake(GroupId group) override;
  [[nodiscard]] NodeId leader_of(GroupId group) override;
  [[nodiscard]] std::vector<NodeId> holders_of(GroupId group) override;
  void call(NodeId target, std::string request, Duration timeout,
            UniqueFunction<void(const Status&, std::string_view)> done) override;
  [[nodiscard]] Instant now() override { return Shell::clock.now(); }

  // Fewer groups stay in the caches from one turn to the next.
  static constexpr size_t kWorthFetching = 32;
  static constexpr size_t kNear = 3;
  static constexpr size_t kFar = 6;

  void schedule_turn();
  static void look_ahead(const Group* near, const Group* far);
  static void look_ahead_to_settle(const std::vector<Group*>& groups, size_t i);
  void turn();
  void settle();
  void await_tick(Group& group);
  void flush();
  void flushed(const Status& status);
  void release_held();
  void activate(Group& group);
  void deactivate(Group& group);
  void tick();
  void arm_tick();
  void beat();
  void on_heartbeat(NodeId from, std::string_view bytes);
  void tell_observer();
  void tell_listeners();
  void forward_read(ForwardKind kind, const service::Query& query, service::Done done);
  void on_peer_changed(NodeId peer);
  void on_item(NodeId from, const rpc::Item& item);
  void on_raft_message(NodeId from, GroupId group, const Buffer& bytes);
  void on_call(NodeId from, std::string_view request, rpc::Calls::Answer answer);
  World world_;
  const Options options_;
  Identity identity_;
  std::unique_ptr<wal::Wal> wal_;
  std::unique_ptr<wal::SnapshotStore> snapshots_;
  std::vector<std::string> notes_;

  std::vector<Slot> slots_;  // by group number
  uint64_t births_ = 0;
  // Removed for good, with the birth that was removed; still marked suspect.
  std::vector<std::pair<GroupId, uint64_t>> gone_;
  std::vector<Group*> dirty_;     // get their work() in the next turn
  std::vector<Group*> turning_;   // whose turn it is now; null where destroyed meanwhile
  std::vector<Group*> settling_;  // likewise, of those that have something to settle
  std::vector<Active> active_;    // get ticks
  std::vector<Group*> held_;      // their proposals wait for a flush or a round to end
  std::vector<GroupId> changed_;  // told to the observer after the turn
  std::vector<service::AppliedListener*> listeners_;
  std::vector<GroupId> applied_;  // told to the listeners after the turn
  std::vector<NodeId> peers_;

  std::vector<rpc::Item> items_;  // scratch: of the frame at hand
  rpc::Outbox outbox_;
  rpc::Calls calls_;
  rpc::Liveness liveness_;
  Forwarder forwarder_;

  Persisting waiting_;  // for the next flush
  Persisting in_flush_;
  std::vector<NodeId> newborn_;  // founding nodes that have said that they wait as we do
  bool founding_ = false;        // this node waits for all of the others
  bool lived_ = false;           // some group here has had a leader
  bool flushing_ = false;
  bool turn_scheduled_ = false;
  bool snapshotting_ = false;
  Status failure_;
  Instant now_;  // as of the last event; good for deadlines, not for leases
  Instant beat_at_;
  Instant ticked_at_;
  bool stall_seen_ = false;  // at the last tick, which was therefore put off
  env::TimerId tick_timer_ = env::TimerId::kNone;
  env::TimerId hold_timer_ = env::TimerId::kNone;
  Rounds rounds_;
  UniqueFunction<void(GroupId)> observer_;
  UniqueFunction<std::vector<NodeId>(GroupId)> routes_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace quorate::node
