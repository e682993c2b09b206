// SPDX-License-Identifier: Apache-2.0
// Reads that wait for a proof that the leader still leads (ReadIndex), and the rounds that give it.
//
// A round is a heartbeat to everybody. A read that arrived before the round began may be served at
// the commit index of its arrival as soon as a quorum has answered that round or a later one: had
// another leader been elected before the read arrived, a quorum would have refused.
//
// A round's number is the instant at which it began, in nanoseconds, pushed forward when two begin
// in the same instant. So an answer says by itself when its round was sent, on this node's clock,
// which is where the lease begins; `ahead` is the furthest that a number was ever pushed, and the
// lease is shortened by it.
//
// A read is never joined with an earlier one: asked again under the same context it is a new read
// with a new index, and the earlier one is dropped, so that a retry cannot be given what was
// current before it.
#pragma once

#include <cstdint>
#include <vector>

#include "base/ids.h"
#include "base/time.h"

namespace quorate::raft {

class Rounds {
 public:
  // A new round, greater than every one before.
  uint64_t begin(Instant now);
  [[nodiscard]] uint64_t newest() const { return newest_; }
  // The earliest instant at which messages of this round may have been sent.
  [[nodiscard]] Instant sent_at(uint64_t round) const;

 private:
  uint64_t newest_ = 0;
  uint64_t ahead_ = 0;
};

struct PendingRead {
  uint64_t context = 0;
  NodeId from;          // zero: asked here
  Index index;
  uint64_t round = 0;   // zero: waits for the next round to begin
};

// In order of arrival, which is the order of indexes and rounds.
class ReadQueue {
 public:
  // False if there are too many.
  [[nodiscard]] bool add(uint64_t context, NodeId from, Index index);
  // A read asked here is asked again: the earlier asking is void.
  void forget(uint64_t context);
  // Reads that wait for a round wait for this one.
  void assign(uint64_t round);
  // Takes out those whose round, or a later one, a quorum has answered.
  [[nodiscard]] std::vector<PendingRead> confirmed(uint64_t round);
  [[nodiscard]] std::vector<PendingRead> take_all();
  [[nodiscard]] bool wants_round() const { return unassigned_ > 0; }
  [[nodiscard]] bool empty() const { return reads_.empty(); }
  [[nodiscard]] size_t size() const { return reads_.size(); }

 private:
  std::vector<PendingRead> reads_;
  size_t unassigned_ = 0;  // at the end of reads_
};

}  // namespace quorate::raft
