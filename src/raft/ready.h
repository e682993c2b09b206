// SPDX-License-Identifier: Apache-2.0
// Ready: what the owner must do for the replica after it was stepped. Raft never calls out; the
// owner takes a Ready, works through it, and reports back through the on_... functions.
//
// Order the owner must keep:
//   1. send `messages` at once (a leader's appends go out while its own disk still writes);
//   2. make `hard_state` and `entries` durable, in the order in which Readys were taken;
//   3. then send `after_persist` and call on_persisted with the Ready's `persist_through`;
//   4. apply up to `commit`, in order, then call on_applied. This needs no local durability: what
//      is committed is durable on a quorum.
#pragma once

#include <optional>
#include <vector>

#include "raft/message.h"
#include "raft/types.h"

namespace quorate::raft {

// A read that may be served once the machine has applied `index`; `ok` false: ask again.
struct ReadReady {
  uint64_t context = 0;
  Index index;
  bool ok = true;
};

// The leader needs entries that are no longer in memory; answer by on_log_read.
struct LogRead {
  NodeId peer;
  Index first;
  Index last;
  size_t bytes_max = 0;
};

// The leader needs a piece of a snapshot at `index` or later; answer by on_snapshot_read. At
// offset 0 the owner may choose its newest snapshot; afterwards it must be the same one.
struct SnapshotRead {
  NodeId peer;
  Index index;  // zero at the first chunk: any
  uint64_t offset = 0;
  size_t bytes_max = 0;
};

// The bytes of a snapshot from `offset`; `last`: it ends with them.
struct SnapshotPiece {
  SnapshotMeta snapshot;
  uint64_t offset = 0;
  Buffer data;
  bool last = false;
};

// A follower got a piece: store it, then call on_snapshot_written. With `last` the whole is there:
// verify, make it durable, restore the machine, then call on_snapshot_installed.
using SnapshotWrite = SnapshotPiece;

struct PersistPoint {
  uint64_t number = 0;  // of the Ready, growing
  Index last;           // last entry that is durable once this point is reached
  Term term;            // the term of the replica when the Ready was taken
};

struct Ready {
  std::optional<HardState> hard_state;
  // Contiguous; the first may replace what was there before, with all that follows it. Or the
  // entries of a hole, found again (same index, same term): they replace nothing after them.
  Entries entries;
  std::vector<Message> messages;
  std::vector<Message> after_persist;
  PersistPoint persist_through;
  Index commit;  // apply through here; never goes back
  std::vector<ReadReady> reads;
  std::vector<LogRead> log_reads;
  std::vector<SnapshotRead> snapshot_reads;
  std::vector<SnapshotWrite> snapshot_writes;
  bool role_changed = false;  // role, leader or term is new: see Node::role(), leader()
  bool config_changed = false;

  // Forgets all but the room that its lists have.
  void clear();
  // True if there is something to make durable (or messages that wait for what is on its way).
  [[nodiscard]] bool must_persist() const {
    return hard_state.has_value() || !entries.empty() || !after_persist.empty();
  }
};

}  // namespace quorate::raft
