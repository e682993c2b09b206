// SPDX-License-Identifier: Apache-2.0
// Group: one replica on this node. It drives the pure raft::Node and the pure GroupMachine and does
// for them what they may not: log, send, apply, answer.
//
//   proposals --\                         /--> messages (outbox)
//   messages  ---> raft::Node --> Ready ---+--> entries, state (WAL) --> persisted() --> messages
//   time      --/                         \--> commit --> GroupMachine --> answers
//
// All of it runs on one shard's loop. Inputs only mark the group dirty; work() runs once per turn
// and does everything that has become possible. A callback to a caller may come back in with a new
// proposal or query: work() keeps its own state whole before each callback.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/status.h"
#include "node/options.h"
#include "node/proposals.h"
#include "node/reads.h"
#include "node/shell.h"
#include "node/snapshots.h"
#include "node/views.h"
#include "raft/node.h"
#include "service/group_machine.h"
#include "service/leases.h"
#include "service/proposer.h"

namespace quorate::node {

// What a replica begins with: its log as recovered, and the machine at the log's snapshot.
struct ReplicaState {
  raft::Restored log;
  std::unique_ptr<service::GroupMachine> machine;
  Stamp stamp;
};

class Group {
 public:
  Group(GroupId id, const raft::Options& options, ReplicaState state, Shell& shell);
  ~Group();
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;

  // ---- inputs -----------------------------------------------------------------------------------
  void step(raft::Message&& message, Instant now);
  void tick(Instant now);
  void propose(const service::Command& command, service::Done done, Instant deadline);
  void query(WaitingRead read, service::ReadMode mode);
  // A linearizable query that renews the leases of those whom it names. Before: leads().
  void heartbeat(WaitingRead beat);
  [[nodiscard]] service::LocalRead read_here(service::ServiceId service, service::ReadMode mode);
  [[nodiscard]] Status propose_config(const raft::ConfigChange& change);
  [[nodiscard]] Status transfer(NodeId target);
  void campaign();
  void wake(Instant now);
  void on_link(NodeId peer, bool up, Instant now);
  void on_persisted(const raft::PersistPoint& point, std::span<const raft::Message> after,
                    Instant now);

  // The replica goes away: whoever waits is told.
  void abandon();

  // It led, and whether what it proposed then is committed is not known yet; see Proposals.
  [[nodiscard]] bool outcome_open() const { return !leads() && proposals_.outcome_open(); }
  void overtake() { proposals_.overtake(); }

  // ---- the turn ---------------------------------------------------------------------------------
  // Steps everything that waits, but applies nothing.
  void work(Instant now);
  // Whether settle() would do anything.
  [[nodiscard]] bool wants_settle(Instant now) const;
  // Applies what is committed, and answers. True if there is more to do at once.
  [[nodiscard]] bool settle(Instant now);
  // True if settle() may give way, for a few turns, to what other nodes wait for.
  [[nodiscard]] bool may_settle_later();
  // Begins to fetch what settle() will look at, in steps 0 to 5 with other work between them.
  static constexpr int kFetchSteps = 6;
  void fetch_ahead(int step);
  bool dirty = false;     // in the node's list for this turn; the node's to set
  bool waits = false;     // in the node's list of groups whose proposals wait; the node's to set
  bool tick_due = false;  // behind the work of the coming turn; the node's to set
  // In the node's list of groups that need ticks; the node's to set.
  static constexpr size_t kNoPlace = SIZE_MAX;
  size_t place = kNoPlace;

  // ---- views
  // ----------------------------------------------------------------------------------------
  [[nodiscard]] GroupId id() const { return id_; }
  [[nodiscard]] const raft::Node& raft() const { return raft_; }
  [[nodiscard]] const service::GroupMachine& machine() const { return *machine_; }
  [[nodiscard]] bool leads() const { return raft_.role() == raft::Role::kLeader; }
  [[nodiscard]] Index applied() const { return applied_; }
  [[nodiscard]] size_t pending() const {
    return proposals_.pending() + reads_.pending() + beats_.size();
  }
  [[nodiscard]] bool wants_ticks() const;
  // When tick() is to be called next, if nothing happens to the group before.
  [[nodiscard]] Instant next_tick(Instant now) const;
  [[nodiscard]] GroupView view() const;

 private:
  friend class SnapshotTaker;
  friend class SnapshotSender;
  friend class SnapshotInstaller;

  void propose_batch(Instant now);
  void propose_due(Instant now);
  void note_due();
  void take_beats();
  void refuse_beats();
  // The machine has something that time will make due, and no command says so yet.
  [[nodiscard]] bool awaits_due() const;
  void leave_round();
  void handle_readys(Instant now);
  void handle(raft::Ready& ready, Instant now);
  void log(const raft::Ready& ready);
  void send(std::span<const raft::Message> messages);
  void answer_log_read(const raft::LogRead& read, Instant now);
  void finish_read(const raft::ReadReady& ready);

  [[nodiscard]] bool apply(Instant now);
  void take_back_displaced();
  void apply_entry(const raft::Entry& entry);
  void tell_news(Instant now);
  // Reads the next committed entries back from the WAL when raft no longer holds them.
  [[nodiscard]] size_t apply_from_log(Index last, Instant now);
  void on_unreadable(Index index, const Status& status, Instant now);

  void ask_read_round(Instant now);
  void serve_reads(Instant now);
  void serve(WaitingRead& read, Duration staleness);
  [[nodiscard]] service::Origin origin(Duration staleness) const;
  [[nodiscard]] Stamp query_stamp(Instant now) const;
  void maybe_snapshot(Instant now);
  [[nodiscard]] bool hole_stays(Instant now);

  const GroupId id_;
  Shell& shell_;
  raft::Node raft_;
  std::unique_ptr<service::GroupMachine> machine_;
  Proposals proposals_;
  Reads reads_;
  SnapshotTaker taker_;
  SnapshotSender sender_;
  SnapshotInstaller installer_;

  Index applied_;
  Index commit_;
  Stamp stamp_;  // newest applied; entries' stamps are raised to it
  bool witness_ = false;
  Index due_index_;         // an expiry command is on its way; none: no
  Stamp next_due_;          // of the machine, as of applied_
  bool due_known_ = false;  // next_due_ is up to date
  Instant due_again_;       // all that is due was heard; not to be looked at before
  service::Leases leases_;
  std::vector<WaitingRead> beats_;  // that wait for an expiry command, which may not know of them
  uint64_t news_ = 0;               // of the machine, as the followers were told
  uint64_t fetch_hint_ = 0;         // of one step of fetch_ahead() for the next
  int settle_waits_ = 0;            // turns for which settle() has been put off
  uint64_t round_ = 0;              // of the node that this group is a member of; zero: none
  Index round_end_;                 // ... until this is applied
  Instant hole_seen_ = Instant::never();  // an applied entry is lost since then
};

}  // namespace quorate::node
