// SPDX-License-Identifier: Apache-2.0
// GroupLog: what the log knows of one group: its bounds, the terms of its entries, and in which
// batch each entry stands. Arithmetic only; the bytes are elsewhere.
//
// The index is one small Run per item, not one per entry: the records of an item are found by
// reading the item. An idle group costs about 300 bytes.
//
// Invariants (check() verifies them; the tests call it after each step):
//   1. compacted <= last.
//   2. runs cover compacted+1 .. last without gap or overlap; so do terms, from compacted on.
//   3. a run without a batch (batch 0) is a hole: entries that were durable and cannot be read.
#pragma once

#include <cstdint>
#include <vector>

#include "wal/wal.h"

namespace quorate::wal {

struct Run {
  Index first;
  uint64_t batch = 0;  // 0: a hole
  uint32_t item = 0;   // the item's offset in the directory of the batch
  uint32_t bytes = 0;  // of its entries with their headers: what keeping them costs
  [[nodiscard]] bool hole() const { return batch == 0; }
};

class GroupLog {
 public:
  explicit GroupLog(GroupId group) : group_(group) {}

  // Entries first..last stand in `run`; whatever was at `first` and after goes.
  // Before: compacted < first <= last() + 1.
  void append(Index first, Index last, Run run);
  // Entries first..last stand in `run`; the others stay. Grows the log if `last` is beyond it; a
  // gap that this leaves is a hole. Parts that are compacted are ignored.
  void put(Index first, Index last, Run run);
  void set_term(Index first, Index last, Term term);
  // The log ends at `last`, whatever it knew: what is above goes, what is missing is a hole, all of
  // it of `term`.
  void set_last(Index last, Term term);
  void compact(Index index, Term term);
  void set_state(const State& state) { state_ = state; }

  [[nodiscard]] GroupId group() const { return group_; }
  [[nodiscard]] const State& state() const { return state_; }
  [[nodiscard]] Index compacted() const { return compacted_; }
  [[nodiscard]] Term compacted_term() const { return compacted_term_; }
  [[nodiscard]] Index last() const { return last_; }
  [[nodiscard]] Term term_at(Index index) const;
  [[nodiscard]] Term last_term() const { return term_at(last_); }
  [[nodiscard]] const std::vector<Run>& runs() const { return runs_; }
  // Before: compacted < index <= last. Where the run ends follows from the next one.
  [[nodiscard]] size_t run_of(Index index) const;
  [[nodiscard]] Index end_of(size_t run) const;
  [[nodiscard]] bool hole_at(Index index) const { return runs_[run_of(index)].hole(); }
  [[nodiscard]] std::vector<Hole> holes() const;
  [[nodiscard]] std::vector<TermRun> terms() const;
  [[nodiscard]] uint64_t bytes() const { return bytes_; }
  void check() const;

 private:
  void truncate(Index index);
  void grow(Index last, Term term);
  void replace_runs(Index last, Run run);

  GroupId group_;
  State state_;
  Index compacted_;
  Term compacted_term_;
  Index last_;
  uint64_t bytes_ = 0;
  std::vector<Run> runs_;
  std::vector<TermRun> terms_;
};

}  // namespace quorate::wal
