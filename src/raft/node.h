// SPDX-License-Identifier: Apache-2.0
// Node: one replica of one group, as a pure machine: messages, proposals and time go in, Readys
// come out. It has no clock, thread, file or socket. All of it runs on the caller's shard.
//
// Time is data: every call that may act on time takes `now` (monotonic). deadline() says when
// tick() has something to do, so that thousands of groups cost nothing while nothing is due.
//
// Invariants (describe.cc checks them after each step in tests and simulation):
//   1. term never goes back; one vote a term.
//   2. applied <= commit <= last; persisted <= last.
//   3. a leader never changes or drops an entry of its own log.
//   4. only an entry of the leader's own term is committed by counting (Raft, figure 8).
//   5. a leader's read is served only under a lease or after a round of a quorum that began later.
//   6. a replica with holes or a suspect tail does not stand, and votes only while the last entry
//      of its log is there.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "raft/message.h"
#include "raft/ready.h"
#include "raft/types.h"

namespace quorate::raft {

enum class ReadKind : uint8_t { kLeaseOrQuorum, kQuorum };

// What the dashboard and the placement need to know of one peer, on the leader.
struct PeerView {
  NodeId node;
  Index match;
  Index next;
  bool active = false;  // answered within the last election timeout
  bool snapshotting = false;
  bool learner = false;
  bool witness = false;
};

class Node {
 public:
  Node(const Options& options, Restored restored, Instant now);
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  // ---- inputs -------------------------------------------------------------------------------
  void step(Message&& message, Instant now);
  void tick(Instant now);
  // Leader only (else kNotLeader). kResourceExhausted while too much is uncommitted or while a
  // transfer is under way.
  [[nodiscard]] Result<Index> propose(EntryKind kind, Stamp at, Buffer payload, Instant now);
  [[nodiscard]] Result<Index> propose_config(const ConfigChange& change, Stamp at, Instant now);
  [[nodiscard]] Status transfer_leadership(NodeId target, Instant now);
  // Proposals are refused until the transfer has succeeded or its time is up.
  [[nodiscard]] bool transferring() const;
  // Stand for election without waiting for the timeout (an only voter does so by itself).
  void campaign(Instant now);
  // Asks for a read point; the answer is a ReadReady with the same context. On a follower it asks
  // the leader. kUnavailable when no leader is known.
  [[nodiscard]] Status read(uint64_t context, ReadKind kind, Instant now);
  // The index at which a linearizable read may be served right now under the leader's lease.
  [[nodiscard]] std::optional<Index> lease_read(Instant now) const;
  // Somebody waits at the followers for what was just committed: they are told at once, and not
  // with the next append. Nothing if this replica does not lead, or all know.
  void tell_commit(Instant now);
  // Leaves the quiet state: the owner has a reason to expect work, or lost the leader's process.
  void wake(Instant now);
  // Until woken: the replica has no deadline, and trusts the owner to watch the leader's process.
  [[nodiscard]] bool quiet() const;

  // ---- outputs and their completions ----------------------------------------------------------
  [[nodiscard]] bool has_ready() const;
  [[nodiscard]] Ready take_ready();
  // The same for who has one at hand: what is in it goes, but the room of its lists is used again.
  void take_ready(Ready& ready);
  [[nodiscard]] Instant deadline() const;
  void on_persisted(const PersistPoint& point, Instant now);
  void on_applied(Index index);
  // `entries` may be fewer than asked for; none means that they are gone (send a snapshot).
  void on_log_read(NodeId peer, Index first, Entries entries, Instant now);
  void on_snapshot_read(NodeId peer, SnapshotPiece piece, Instant now);
  void on_snapshot_read_failed(NodeId peer, Instant now);
  void on_snapshot_written(const SnapshotMeta& meta, uint64_t offset_next, Instant now);
  void on_snapshot_installed(const SnapshotMeta& meta, Instant now);
  void on_snapshot_failed(const SnapshotMeta& meta, Instant now);
  // The link to a peer broke or came back: forget what was in flight, probe at once.
  void on_link(NodeId peer, bool up, Instant now);
  // Entries that were durable turned out to be unreadable (at run time; what recovery found is in
  // Restored). A leader steps down; the replica asks its peers for them. An owner whose
  // holes at or below its applied index stay makes a snapshot, which needs nobody.
  void on_hole(const Hole& hole, Instant now);
  // A durable snapshot of this replica covers `index`: the log before it may go.
  void on_compacted(const SnapshotMeta& meta);

  // ---- views ------------------------------------------------------------------------------------
  [[nodiscard]] Role role() const;
  [[nodiscard]] Term term() const;
  [[nodiscard]] NodeId vote() const;    // in this term; zero: none given
  [[nodiscard]] NodeId leader() const;  // zero: not known
  [[nodiscard]] Index commit() const;
  [[nodiscard]] Index applied() const;
  [[nodiscard]] Index last_index() const;
  [[nodiscard]] Index first_index() const;  // first that is not compacted away
  [[nodiscard]] Term term_at(Index index) const;
  // The entry, if it is still in memory; else the owner reads it from the WAL.
  [[nodiscard]] const Entry* entry_at(Index index) const;
  [[nodiscard]] const Config& config() const;  // in effect: the newest in the log
  [[nodiscard]] Index config_index() const;
  // In effect at `index`, which is not compacted away: what a snapshot at `index` carries.
  [[nodiscard]] const Config& config_at(Index index) const;
  [[nodiscard]] std::vector<PeerView> peers() const;
  [[nodiscard]] bool has_holes() const;
  [[nodiscard]] Index first_hole() const;  // first lost entry, found again or not; zero: none
  // The end of the log may still lack entries that were acknowledged (Restored::tail_suspect).
  [[nodiscard]] bool suspect() const;
  // Bytes of entries held in memory.
  [[nodiscard]] size_t cached_bytes() const;
  // Asks the processor for the replica's state, because it will be stepped soon.
  void prefetch() const;
  [[nodiscard]] std::string describe() const;
  // Aborts with the state printed if an invariant does not hold.
  void check_invariants() const;

 private:
  struct Core;
  std::unique_ptr<Core> core_;
};

}  // namespace quorate::raft
