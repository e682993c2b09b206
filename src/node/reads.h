// SPDX-License-Identifier: Apache-2.0
// Reads: queries of one group that wait for the right to be answered.
//
// A linearizable read needs two things in this order: a read point (an index that covers every
// write answered before the read began, from the leader's lease, from a round of a quorum, or from
// the leader on behalf of a follower), and the machine applied through it. One round serves every
// read that was waiting when the round began; reads that come later wait for the next one, since a
// point fetched before a read began may be too old for it.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "service/proposer.h"

namespace quorate::node {

struct WaitingRead {
  service::ServiceId service = service::ServiceId::kKv;
  std::string body;
  service::Done done;
  Instant begun;
  Instant deadline;
};

// The newest point that this replica knows how to prove: what was applied through `index` at any
// time after `asked` is no staler than now - asked.
struct Freshness {
  Instant asked;
  Index index;
};

class Reads {
 public:
  void add(WaitingRead read) { waiting_.push_back(std::move(read)); }
  [[nodiscard]] size_t pending() const;

  // True if reads wait and no round is under way. Then begin_round() gives the context to ask with.
  [[nodiscard]] bool wants_round() const { return !waiting_.empty() && round_ == 0; }
  [[nodiscard]] uint64_t begin_round(Instant now);
  // The round could not be asked for or was refused: its reads wait again, until `retry_at`.
  void round_failed(uint64_t context);
  void round_granted(uint64_t context, Index index);
  // A round that gets no answer is given up, so that a lost message does not hang reads for ever.
  void expire_round(Instant now, Duration patience);

  // Reads wait for their point to be applied.
  [[nodiscard]] bool has_granted() const { return !granted_.empty(); }
  // Reads whose point is applied.
  [[nodiscard]] std::vector<WaitingRead> take_served(Index applied);
  // Reads that have waited past their deadline.
  [[nodiscard]] std::vector<WaitingRead> take_late(Instant now);
  [[nodiscard]] std::vector<WaitingRead> take_all();

  [[nodiscard]] std::optional<Freshness> freshness(Index applied) const;

 private:
  struct Granted {
    Index index;
    std::vector<WaitingRead> reads;
  };

  std::vector<WaitingRead> waiting_;
  std::vector<WaitingRead> asked_;
  uint64_t round_ = 0;  // context of the round under way; 0 for none
  uint64_t last_round_ = 0;
  Instant round_begun_;
  std::vector<Granted> granted_;
  Freshness proven_;  // newest granted point
};

}  // namespace quorate::node
