// SPDX-License-Identifier: Apache-2.0
// Core: the state of one replica, and one small function per message and role. Private to the
// folder; Node is its public face.
//
//   node.cc       public face, terms, dispatch             follower.cc  the leader's log, repair
//   candidate.cc  elections and votes                      leader.cc    rounds, reads, commit
//   replicate.cc  appends and their flow control           snapshot.cc  whole states in chunks
//   membership.cc changes, transfer                        ready.cc     outputs, what is durable
//
// The role is a variant: a leader's field cannot be read by a follower, and what belonged to a
// role ends with it.
//
// A replica answers for its term and vote only once they are durable: send() holds a message back
// (Ready::after_persist) while they are not.
#pragma once

#include <memory>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "base/prng.h"
#include "raft/config_change.h"
#include "raft/log.h"
#include "raft/node.h"
#include "raft/progress.h"
#include "raft/quorum.h"
#include "raft/read_index.h"

namespace quorate::raft {

// A read that a follower passed on to the leader, under a number of its own: a caller that asks
// again under the same context must not get the first answer to the second question.
struct AskedRead {
  uint64_t number = 0;
  uint64_t context = 0;
  Instant expires;
};

struct Follower {
  NodeId leader;        // zero: not known
  Index matched;        // our log is the leader's log through here
  Index leader_commit;  // the newest commit index that the leader told, cut to nothing
  bool quiet = false;
  bool open_quorum = false;    // the kind of ...
  uint64_t open_question = 0;  // ... the question in this turn's outbox; zero: none
  std::vector<AskedRead> reads;
};

struct Candidate {
  bool real = false;    // false: asks whether it would win (pre-vote)
  bool forced = false;  // on behalf of a leader that hands over
  std::vector<std::pair<NodeId, bool>> votes;
};

struct Transfer {
  NodeId target;
  Instant expires;
  bool sent = false;  // TimeoutNow is out
};

struct Leader {
  std::vector<Progress> peers;  // sorted by node; without this one
  ReadQueue reads;
  Rounds rounds;
  Instant heartbeat_at;
  Instant lease_until;
  Instant check_at;                      // a quorum was heard too lately to step down before this
  Instant beat_at;                       // of the last round of heartbeats
  Instant busy_at;                       // of the last proposal or unrest: quiet comes later
  Instant notice_at = Instant::never();  // when to tell a new commit index that no append carried
  Index first;                           // its first entry, of its own term
  size_t uncommitted_bytes = 0;
  Transfer transfer;            // target zero: none
  bool lease_given_up = false;  // for the rest of the term
  bool quiet = false;
};

// A signed number in few bytes of a varint.
[[nodiscard]] constexpr uint64_t zigzag(int64_t value) {
  return (static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63);
}
[[nodiscard]] constexpr int unzigzag(uint64_t value) {
  return static_cast<int>(static_cast<int64_t>(value >> 1) ^ -static_cast<int64_t>(value & 1));
}

// A snapshot on its way in.
struct Receiving {
  SnapshotMeta snapshot;
  uint64_t offset = 0;   // wanted next
  bool writing = false;  // the owner stores a piece
  bool last = false;     // ... which is the last one: the machine is being replaced
};

// A peer's question for lost entries that waits for the owner to read them.
struct Serving {
  NodeId peer;
  Index first;
};

struct Node::Core {
  Core(const Options& options_in, Restored restored, Instant start);

  // ---- node.cc ------------------------------------------------------------------------------
  void note_now(Instant instant);
  void step(Message& message);
  bool settle_term(const Message& message);
  void answer_stale(const Message& message);
  void step_role(Message& message);
  void tick();
  [[nodiscard]] Instant deadline() const;
  void set_term(Term newer);
  void become_follower(Term at, NodeId new_leader);
  void leave_role();
  void append(Entry entry);
  void commit_to(Index index);
  void truncate(Index keep);
  [[nodiscard]] Index applied_now() const;
  [[nodiscard]] NodeId known_leader() const;
  [[nodiscard]] bool is_quiet() const;
  [[nodiscard]] bool committed_own_term() const;
  void wake();
  void rest();
  void note_priority(const Message& message);

  // ---- ready.cc ------------------------------------------------------------------------------
  void send(Message&& message);
  [[nodiscard]] Message make(MessageKind kind, NodeId to) const;
  [[nodiscard]] Ready& out();
  [[nodiscard]] bool has_ready() const;
  void take_ready(Ready& ready);
  void take_durable(Ready& ready);
  [[nodiscard]] Index appliable() const;
  void on_persisted(const PersistPoint& point);
  [[nodiscard]] bool vote_durable() const;
  void evict();

  // ---- candidate.cc ---------------------------------------------------------------------------
  void arm_election();
  [[nodiscard]] bool may_stand() const;
  [[nodiscard]] bool trusted() const;
  [[nodiscard]] bool may_vote() const;
  [[nodiscard]] bool heard_leader() const;
  [[nodiscard]] bool up_to_date(const Message& message) const;
  [[nodiscard]] bool only_voter() const;
  void campaign();
  void start_pre_vote();
  void start_election(bool forced);
  void ask_for_votes(bool real, bool forced);
  void record_vote(NodeId from, bool granted);
  void on_pre_vote(const Message& message);
  void notice_doubt(const Message& message);
  void on_vote(const Message& message);
  void on_vote_answer(const Message& message);
  void on_timeout_now(const Message& message);

  // ---- follower.cc ----------------------------------------------------------------------------
  [[nodiscard]] bool hear_leader(const Message& message);
  void on_append(Message& message);
  [[nodiscard]] bool agrees(const Message& message) const;
  void accept(Message& message);
  void refuse(const Message& message);
  void acknowledge(Index index, uint64_t round);
  void follow_commit(Index leader_commit);
  void on_heartbeat(const Message& message);
  void on_read_index_answer(const Message& message);
  [[nodiscard]] Status ask_leader(uint64_t context, ReadKind kind);
  void expire_reads();
  void end_suspicion();
  void ask_for_repair();
  void on_repair(const Message& message);
  void on_repair_answer(const Message& message);
  void answer_repair(NodeId peer, Entries entries);
  void on_hole(const Hole& hole);
  bool fill(const Entry& entry);

  // ---- leader.cc ------------------------------------------------------------------------------
  [[nodiscard]] Leader& lead() { return std::get<Leader>(role); }
  [[nodiscard]] const Leader& lead() const { return std::get<Leader>(role); }
  void become_leader();
  void tick_leader();
  void tell_commit();
  void begin_round();
  [[nodiscard]] bool appends_make_round() const;
  void begin_append_round();
  void heartbeat(Progress& peer, uint64_t round, bool quiet);
  [[nodiscard]] bool may_go_quiet() const;
  void go_quiet();
  [[nodiscard]] Instant quorum_heard() const;
  void note_round(Progress& peer, uint64_t round);
  void settle_rounds();
  void answer_reads(const std::vector<PendingRead>& reads, bool ok);
  void answer_read(const PendingRead& read, bool ok);
  [[nodiscard]] Status read(uint64_t context, ReadKind kind);
  void forget_read(uint64_t context);
  [[nodiscard]] bool lease_valid(Instant at) const;
  void on_read_index(const Message& message);
  void on_heartbeat_answer(const Message& message);
  void step_leader(Message& message);
  void count_commit();
  [[nodiscard]] Index match_of(NodeId node) const;

  // ---- replicate.cc ---------------------------------------------------------------------------
  [[nodiscard]] Progress* find_peer(NodeId node);
  [[nodiscard]] const Progress* find_peer(NodeId node) const;
  [[nodiscard]] Status may_propose(size_t bytes) const;
  [[nodiscard]] Result<Index> propose(EntryKind kind, Stamp at, Buffer payload);
  void append_own(EntryKind kind, Stamp at, Buffer payload);
  [[nodiscard]] bool wants_pump(const Progress& peer) const;
  void pump_all();
  void pump(Progress& peer);
  void send_append(Progress& peer, Entries entries);
  void on_append_answer(const Message& message);
  void on_log_read(NodeId peer, Index first, Entries entries);
  void on_link(NodeId peer, bool up);

  // ---- membership.cc --------------------------------------------------------------------------
  [[nodiscard]] Result<Index> propose_config(const ConfigChange& change, Stamp at);
  void config_changed();
  void sync_peers();
  void leave_joint_when_committed();
  void step_down_if_removed();
  [[nodiscard]] Status transfer_leadership(NodeId target);
  void push_transfer();
  void send_timeout_now(NodeId target);

  // ---- snapshot.cc ----------------------------------------------------------------------------
  void pump_snapshot(Progress& peer);
  void send_piece(Progress& peer, SnapshotPiece piece);
  void on_snapshot_read(NodeId peer, SnapshotPiece piece);
  void on_snapshot_read_failed(NodeId peer);
  void on_snapshot_answer(const Message& message);
  void on_snapshot(Message& message);
  [[nodiscard]] bool hole_ahead(Index last) const;
  void answer_snapshot(const SnapshotMeta& meta, uint64_t offset, bool done);
  void on_snapshot_written(const SnapshotMeta& meta, uint64_t offset_next);
  void on_snapshot_installed(const SnapshotMeta& meta);
  void on_snapshot_failed(const SnapshotMeta& meta);
  void on_compacted(const SnapshotMeta& meta);

  // ---- describe.cc ------------------------------------------------------------------------------
  void check() const;
  [[nodiscard]] std::string describe_self() const;

  // ---- state ----------------------------------------------------------------------------------
  Options options;
  Log log;
  Configs configs;
  Term term;
  NodeId vote;
  Index commit;
  Index applied;
  Index commit_told;   // of the last Ready
  Index commit_saved;  // of the last hard state
  std::variant<Follower, Candidate, Leader> role;
  Instant now;      // the newest that any call brought
  Instant contact;  // of a leader's last word; votes are refused for a while
  Instant election_deadline;
  Instant repair_at = Instant::never();
  Stamp stamp;  // of the newest entry seen
  Prng prng;
  int greatest_priority = 0;  // among those who could win instead of us
  bool suspect = false;
  bool state_dirty = false;  // term or vote is not yet in a Ready
  bool pump_due = false;     // the leader may have something to send
  uint64_t ready_number = 0;
  uint64_t state_number = 0;  // of the Ready that carried the newest term and vote
  uint64_t persisted_number = 0;
  uint64_t asked_number = 0;
  uint64_t context_max = 0;  // of reads asked here: a greater one cannot be a retry
  std::unique_ptr<Receiving> receiving;
  std::unique_ptr<Ready> outbox;  // made when there is something to say
  std::vector<Serving> serving;
};

}  // namespace quorate::raft
