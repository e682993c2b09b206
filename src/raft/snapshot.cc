// SPDX-License-Identifier: Apache-2.0
// Snapshots: a follower whose next entry is compacted away gets the whole state, in chunks.
//
//   leader            owner              follower            owner
//     | SnapshotRead ->|                    |
//     |<- piece -------|   kSnapshot        |
//     |------------------------------------>| SnapshotWrite ->|
//     |                 kSnapshotAnswer     |<- written ------|   offset: wanted next
//     |<------------------------------------|                 |
//     |   ... one chunk on its way at a time ...    last ---->|   the machine is replaced
//     |<------------------------- done -----|<- installed ----|
//
// The follower names the offset that it wants, so a transfer goes on where it was, after a lost
// message or a restart of either side. From the last chunk until the owner is done the log stands
// still and nothing is applied: an append cannot race the snapshot.
#include <algorithm>

#include "raft/core.h"

namespace quorate::raft {

// ---- leader ------------------------------------------------------------------------------------

void Node::Core::pump_snapshot(Progress& peer) {
  if (peer.waiting) {
    return;
  }
  peer.waiting = true;
  peer.chunk_at = now;
  if (is_witness(configs.newest(), peer.node)) {
    // A witness has no state: the point where the log goes on is all that it needs.
    SnapshotPiece piece;
    piece.snapshot = {log.base(), log.base_term(), configs.at(log.base())};
    piece.last = true;
    peer.snapshot_index = log.base();
    return send_piece(peer, std::move(piece));
  }
  out().snapshot_reads.push_back(
      {peer.node, peer.snapshot_index, peer.snapshot_offset, options.snapshot_chunk_bytes});
}

void Node::Core::send_piece(Progress& peer, SnapshotPiece piece) {
  Message message = make(MessageKind::kSnapshot, peer.node);
  message.snapshot = std::move(piece.snapshot);
  message.offset = piece.offset;
  message.data = std::move(piece.data);
  message.flag = piece.last;
  peer.chunk_at = now;
  send(std::move(message));
}

void Node::Core::on_snapshot_read(NodeId node, SnapshotPiece piece) {
  Progress* peer = std::holds_alternative<Leader>(role) ? find_peer(node) : nullptr;
  if (peer == nullptr || peer->flow != Flow::kSnapshot || piece.offset != peer->snapshot_offset) {
    return;
  }
  if (piece.snapshot.index < log.base()) {
    return on_snapshot_read_failed(node);  // the log does not go on from there
  }
  if (peer->snapshot_index.none()) {
    peer->snapshot_index = piece.snapshot.index;
  }
  if (peer->snapshot_index != piece.snapshot.index) {
    peer->become_snapshot();
    pump_due = true;
    return;
  }
  send_piece(*peer, std::move(piece));
}

// Tried again at the pace of heartbeats.
void Node::Core::on_snapshot_read_failed(NodeId node) {
  Progress* peer = std::holds_alternative<Leader>(role) ? find_peer(node) : nullptr;
  if (peer != nullptr && peer->flow == Flow::kSnapshot) {
    peer->become_probe();
    peer->waiting = true;
  }
}

void Node::Core::on_snapshot_answer(const Message& message) {
  Progress& peer = *find_peer(message.from);
  if (peer.flow != Flow::kSnapshot) {
    return;
  }
  if (message.reject) {
    peer.become_probe();
    peer.waiting = true;
    return;
  }
  if (message.flag) {
    if (message.index > log.last()) {
      return;
    }
    (void)peer.acknowledge(MUTANT(snapshot_index_off) ? message.index.next() : message.index);
    peer.become_probe();
    pump_due = true;
    push_transfer();
    return count_commit();
  }
  if (message.index == peer.snapshot_index) {
    peer.snapshot_offset = message.offset;
    peer.waiting = false;
    pump_due = true;
  }
}

// ---- follower ----------------------------------------------------------------------------------

void Node::Core::on_snapshot(Message& message) {
  if (message.snapshot.empty()) {
    return;
  }
  const SnapshotMeta& meta = *message.snapshot;
  if (meta.index.none() || meta.term > message.term || !well_formed(meta.config) ||
      (receiving != nullptr && receiving->last)) {
    return;
  }
  if (meta.index <= std::min(commit, log.durable())) {
    return answer_snapshot(meta, 0, true);
  }
  if (meta.index <= commit_told && !hole_ahead(meta.index)) {
    // The machine is past it, or will be; it is the log that lost entries, which a snapshot of our
    // own mends.
    return on_snapshot_failed(meta);
  }
  if (receiving == nullptr || receiving->snapshot != meta) {
    if (message.offset != 0) {
      return answer_snapshot(meta, 0, false);
    }
    receiving = std::make_unique<Receiving>();
    receiving->snapshot = meta;
  }
  if (receiving->writing) {
    return;
  }
  if (message.offset != receiving->offset) {
    return answer_snapshot(meta, receiving->offset, false);
  }
  receiving->writing = true;
  receiving->last = message.flag;
  out().snapshot_writes.push_back(
      {std::move(message.snapshot.value()), message.offset, std::move(message.data), message.flag});
}

// The machine is told to apply through commit_told, but it waits before an entry that cannot be
// read. Where the peers have compacted that entry away, only their snapshot leads past it.
bool Node::Core::hole_ahead(Index last) const {
  return std::any_of(log.holes().begin(), log.holes().end(), [&](const Hole& hole) {
    return hole.first > applied_now() && hole.first <= last;
  });
}

void Node::Core::answer_snapshot(const SnapshotMeta& meta, uint64_t offset, bool done) {
  if (known_leader().none() || known_leader() == options.id) {
    return;
  }
  Message answer = make(MessageKind::kSnapshotAnswer, known_leader());
  answer.index = meta.index;
  answer.offset = offset;
  answer.flag = done;
  send(std::move(answer));
}

void Node::Core::on_snapshot_written(const SnapshotMeta& meta, uint64_t offset_next) {
  if (receiving == nullptr || receiving->snapshot != meta || receiving->last) {
    return;
  }
  receiving->writing = false;
  receiving->offset = offset_next;
  answer_snapshot(meta, offset_next, false);
}

void Node::Core::on_snapshot_installed(const SnapshotMeta& meta) {
  ASSERT(receiving != nullptr && receiving->last && receiving->snapshot == meta);
  ASSERT(meta.index > applied_now(), "the machine would have gone back");
  receiving.reset();
  if (log.term_at(meta.index) == meta.term) {
    log.compact(meta.index);  // what follows is still our log
    configs.rebase(meta.index, meta.config);
  } else {
    log.reset(meta.index, meta.term);
    configs.reset(meta.index, meta.config);
  }
  commit = std::max(commit, meta.index);
  applied = std::max(applied, meta.index);
  commit_told = std::max(commit_told, meta.index);
  if (auto* follower = std::get_if<Follower>(&role)) {
    follower->matched = std::max(follower->matched, meta.index);
  }
  config_changed();
  end_suspicion();
  answer_snapshot(meta, 0, true);
}

void Node::Core::on_snapshot_failed(const SnapshotMeta& meta) {
  if (receiving != nullptr && receiving->snapshot == meta) {
    receiving.reset();
  }
  if (known_leader().none() || known_leader() == options.id) {
    return;
  }
  Message answer = make(MessageKind::kSnapshotAnswer, known_leader());
  answer.index = meta.index;
  answer.reject = true;
  send(std::move(answer));
}

void Node::Core::on_compacted(const SnapshotMeta& meta) {
  ASSERT(meta.index <= std::max(applied_now(), commit_told), "only what is applied is compacted");
  if (meta.index <= log.base()) {
    return;
  }
  log.compact(meta.index);
  configs.compact(meta.index);
}

}  // namespace quorate::raft
