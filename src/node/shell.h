// SPDX-License-Identifier: Apache-2.0
// Shell: what a group needs from its node. The node implements it once for all groups of the shard.
#pragma once

#include <vector>

#include "base/ids.h"
#include "base/status.h"
#include "base/time.h"
#include "env/steady_clock.h"
#include "env/timer.h"
#include "node/counters.h"
#include "node/options.h"
#include "raft/message.h"
#include "raft/ready.h"
#include "service/batch.h"
#include "service/proposer.h"
#include "wal/snapshot_store.h"
#include "wal/wal.h"

namespace quorate::node {

class Group;

class Shell {
 public:
  Shell(const env::Clock& clock_in, env::Timer& timer_in, const Options& options_in)
      : clock(clock_in), timer(timer_in), options(options_in) {}
  virtual ~Shell() = default;

  const env::SteadyClock clock;
  env::Timer& timer;
  const Options& options;
  Counters counters;
  // Scratch of the group whose turn it is: thousands of groups need not have room of their own.
  raft::Ready ready;
  std::vector<wal::Record> records;

  [[nodiscard]] virtual wal::Wal& wal() = 0;
  [[nodiscard]] virtual wal::SnapshotStore& snapshots() = 0;
  // Queues one message for this turn's frame to its receiver.
  virtual void send(GroupId group, const raft::Message& message) = 0;
  // The group gets its work() in this turn or, if called after its turn's work, in the next.
  virtual void mark_dirty(Group& group) = 0;
  // Calls the group's on_persisted when everything appended to the WAL until now is durable. Takes
  // the messages out of `after`.
  virtual void when_persisted(Group& group, const raft::PersistPoint& point,
                              std::vector<raft::Message>& after) = 0;
  // True if the group's proposals should wait, to make a larger batch; then it gets its work() as
  // soon as they need not.
  [[nodiscard]] virtual bool hold(Group& group) = 0;
  // A command that was given to the group while it led here, and is in no log or will never be
  // committed: for its leader. `first`: before those that came back already.
  struct TakenBack {
    Instant deadline;
    bool first = false;
  };
  virtual void take_back(GroupId group, const service::BatchCommand& command, service::Done done,
                         TakenBack how) = 0;
  // What became of the commands that the group had in flight when it lost the lead is known.
  virtual void outcome_known(GroupId group) = 0;
  // See rounds.h.
  [[nodiscard]] virtual uint64_t join_round() = 0;
  virtual void leave_round(uint64_t round) = 0;
  // The role, leader, term or configuration of the group is new.
  virtual void on_group_changed(Group& group) = 0;
  // One snapshot is written at a time on a node; asks for the turn, gives it back.
  [[nodiscard]] virtual bool begin_snapshot() = 0;
  virtual void end_snapshot() = 0;
  // The disk refuses what this node cannot do without: it acknowledges and applies nothing more.
  virtual void fail(const Status& status) = 0;
};

}  // namespace quorate::node
