// SPDX-License-Identifier: Apache-2.0
// The small values of the protocol: what a replica keeps, what a group is made of.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/time.h"
#include "raft/few.h"

namespace quorate::raft {

enum class Role : uint8_t { kFollower, kPreCandidate, kCandidate, kLeader };

// The numbers are on disk and on the wire.
enum class EntryKind : uint8_t {
  kNoop = 0,  // a new leader's first entry; its commitment commits what came before
  kCommand = 1,
  kConfig = 2,  // payload: an encoded ConfigChange, and usually what it results in
};

// One place in the log. The payload is opaque here: the node packs a batch of commands in it.
struct Entry {
  Index index;
  Term term;
  EntryKind kind = EntryKind::kNoop;
  Stamp at;  // the leader's wall time, made monotonic within the group
  Buffer payload;
  bool operator==(const Entry&) const = default;
};

// Contiguous. One entry is the usual case: a batch of all that a group was asked for in a turn.
using Entries = Few<Entry, 1>;

// Durable before any message that depends on it. `commit` is a hint that speeds recovery and
// bounds which entries may need repair; losing it is safe.
struct HardState {
  Term term;
  NodeId vote;
  Index commit;
  bool operator==(const HardState&) const = default;
};

// Who takes part. Sorted, without repeats. While `outgoing` is not empty the group is joint: every
// decision needs a majority of `voters` and a majority of `outgoing`.
struct Config {
  std::vector<NodeId> voters;
  std::vector<NodeId> outgoing;
  std::vector<NodeId> learners;       // receive the log, do not vote
  std::vector<NodeId> learners_next;  // outgoing voters that become learners when joint ends
  std::vector<NodeId> witnesses;      // subset of the voters: log and votes, no state, never lead

  [[nodiscard]] bool joint() const { return !outgoing.empty(); }
  bool operator==(const Config&) const = default;
};

enum class ChangeKind : uint8_t {
  kAddVoter = 1,
  kAddLearner = 2,
  kRemove = 3,
  kAddWitness = 4,
};

struct Change {
  ChangeKind kind = ChangeKind::kAddVoter;
  NodeId node;
  bool operator==(const Change&) const = default;
};

// One step of membership. No changes means "leave the joint configuration".
// Several voters at once, or `joint`, go through a joint configuration, which the leader leaves by
// itself as soon as it is committed.
struct ConfigChange {
  std::vector<Change> changes;
  bool joint = false;
  bool operator==(const ConfigChange&) const = default;
};

struct SnapshotMeta {
  Index index;  // the last entry that the snapshot covers
  Term term;
  Config config;  // as of that entry
  bool operator==(const SnapshotMeta&) const = default;
};

// From index `first` on, until the next run begins, entries are of `term`. A log's terms are a
// handful of runs, so term(i) is known for every entry without holding any.
struct TermRun {
  Index first;
  Term term;
  bool operator==(const TermRun&) const = default;
};

// Entries first..last inclusive that were once durable here and cannot be read any more.
struct Hole {
  Index first;
  Index last;
  bool operator==(const Hole&) const = default;
};

struct Options {
  NodeId id;
  // An election starts after a random time in [min, max) without word from a leader.
  Duration election_timeout_min = Duration::millis(150);
  Duration election_timeout_max = Duration::millis(300);
  Duration heartbeat_interval = Duration::millis(50);
  // The lease is election_timeout_min less this share of it, in per mille: how far two clocks may
  // drift apart within one election timeout.
  int lease_margin_per_mille = 100;
  bool lease_reads = true;
  // Higher wins: a replica waits longer for each step below the greatest priority it knows of.
  int priority = 0;
  bool witness = false;
  // Quiet after this long without a proposal, if every follower has everything. Zero: never.
  Duration quiet_after = Duration::seconds(0);
  size_t append_bytes_max = 1024 * 1024;
  size_t inflight_bytes_max = 8 * 1024 * 1024;
  size_t inflight_messages_max = 256;
  size_t uncommitted_bytes_max = 64 * 1024 * 1024;
  size_t snapshot_chunk_bytes = 256 * 1024;
  // Entries kept in memory after they are durable and applied, for followers that lag a little; of
  // those that every follower has, a sixteenth of it.
  size_t cached_bytes_max = 4 * 1024 * 1024;
  uint64_t seed = 1;
};

// What a replica knows when its process starts: from the WAL and the newest snapshot.
struct Restored {
  HardState hard_state;
  SnapshotMeta snapshot;              // index 0 for none; then config is the initial one
  Index last;                         // last entry of the log; snapshot.index if the log is empty
  std::vector<TermRun> terms;         // of snapshot.index and on
  std::vector<struct Entry> configs;  // the config entries after the snapshot, in order
  std::vector<Hole> holes;
  // The end of the log may be missing entries that were once durable (a damaged record whose group
  // cannot be told): the replica must not vote or lead until a leader has brought it up to date.
  bool tail_suspect = false;
};

}  // namespace quorate::raft
