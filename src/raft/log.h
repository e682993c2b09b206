// SPDX-License-Identifier: Apache-2.0
// Log: what a replica knows of its log: every term, the newest entries, what is durable, what was
// lost.
//
//        base                 cached from                taken           last
//   ------|----------------------|-----------------------|----------------|
//   snap-   terms known by runs;   entries in memory        not yet handed
//   shot    entries in the WAL     (and in the WAL)         to the owner
//
// Durability runs behind by persist points: each Ready has a number, the owner reports numbers as
// they become durable, in order. A truncation clamps every point that is still on its way, so the
// late completion of a replaced entry acknowledges nothing (entry 7 of term 2, replaced by entry 7
// of term 3: the completion of the first is not that of the second).
//
// Holes are entries that were durable once and cannot be read any more. Their terms are known, so
// an entry of another replica with the same index and term is the very same entry.
//
// Invariants: base <= persisted, taken <= last; cached entries are contiguous and end at last;
// terms never fall along the log; holes lie in (base, last], sorted and apart.
#pragma once

#include <cstdint>
#include <vector>

#include "raft/ready.h"
#include "raft/types.h"

namespace quorate::raft {

// What an entry costs in memory and in a message, for every bound in bytes.
[[nodiscard]] size_t cost_of(const Entry& entry);

// What recovery found, made consistent. Two things may be odd. Entries after the snapshot with a
// smaller term than the snapshot's are the remains of a log that an installed snapshot replaced
// (whoever has the snapshot's last entry has no such successor): they go. A log that begins only
// after the snapshot's end, or that ends before the commit index that was on disk, has lost
// entries: it is suspect.
[[nodiscard]] Restored mended(Restored restored);

class Log {
 public:
  // Before: mended.
  explicit Log(const Restored& restored);

  [[nodiscard]] Index base() const { return base_; }
  [[nodiscard]] Term base_term() const { return runs_.front().term; }
  [[nodiscard]] Index last() const { return last_; }
  [[nodiscard]] Term last_term() const { return runs_.back().term; }
  // Zero outside [base, last].
  [[nodiscard]] Term term_at(Index index) const;
  // The greatest index in [base, upto] whose term is at most `term`; zero if there is none.
  [[nodiscard]] Index last_with_term_at_most(Index upto, Term term) const;
  // In memory; null for what is older, newer or lost.
  [[nodiscard]] const Entry* find(Index index) const;
  [[nodiscard]] Index cached_from() const;
  [[nodiscard]] size_t cached_bytes() const { return cached_bytes_; }
  // Cached entries from `first` on: at least one, as many as `bytes_max` allows.
  [[nodiscard]] Entries copy(Index first, size_t bytes_max) const;

  // Before: entry.index == last + 1, entry.term >= last_term.
  void append(Entry entry);
  // Drops everything after `keep`. Before: base <= keep.
  void truncate(Index keep);
  // A snapshot covers everything through `base`.
  void compact(Index base);
  // The log begins anew after an installed snapshot; what lay on its way is void.
  void reset(Index base, Term term);
  // Lets durable entries through `applied` go until the cache fits. `bytes_max` 0 gives back the
  // memory as well.
  void evict(Index applied, size_t bytes_max);

  // ---- durability ---------------------------------------------------------------------------
  // Something waits to be handed to the owner.
  [[nodiscard]] bool untaken() const { return taken_ < last_ || !fills_.empty(); }
  // Hands it over, as part of the Ready with this number: found-again entries of one hole alone,
  // or else everything new.
  void take(uint64_t number, Entries& entries);
  void on_persisted(uint64_t number);
  [[nodiscard]] Index persisted() const { return persisted_; }
  [[nodiscard]] Index taken() const { return taken_; }
  // All of the log through here can be read back after a crash.
  [[nodiscard]] Index durable() const;

  // ---- holes --------------------------------------------------------------------------------
  // Lost, or found again but not yet durable.
  [[nodiscard]] bool has_holes() const { return !holes_.empty() || !filling_.empty(); }
  [[nodiscard]] const std::vector<Hole>& holes() const { return holes_; }
  // The last index before the first entry after `applied` that the owner cannot read.
  [[nodiscard]] Index readable_after(Index applied) const;
  // The last entry is in a hole, or found again and not yet durable.
  [[nodiscard]] bool end_lost() const;
  // The last index before the first hole, found again or not.
  [[nodiscard]] Index whole() const;
  void lose(Hole hole);
  // True if the entry lay in a hole and is the one that was lost.
  bool fill(const Entry& entry);

  void check_invariants() const;

 private:
  struct Point {
    uint64_t number;
    Index last;
  };
  struct Filling {
    Index index;
    uint64_t number;  // of the Ready that took it; zero: none yet
  };

  [[nodiscard]] size_t cached() const { return entries_.size() - head_; }
  void note_term(Index index, Term term);
  void drop_front(size_t count);
  void cut_holes_after(Index keep);
  void cut_holes_through(Index base);
  void take_fills(uint64_t number, Entries& entries);

  Index base_;
  Index last_;
  Index taken_;
  Index persisted_;
  size_t head_ = 0;  // entries_ before it are gone: a queue in a vector
  size_t cached_bytes_ = 0;
  std::vector<TermRun> runs_;  // the first starts at base
  std::vector<Entry> entries_;
  std::vector<Point> points_;
  std::vector<Hole> holes_;
  std::vector<Filling> filling_;
  std::vector<Entry> fills_;  // not yet taken; sorted
};

}  // namespace quorate::raft
