// SPDX-License-Identifier: Apache-2.0
// The graph of waits: who cannot go on before whom, and whether somebody waits for itself.
//
// An owner that waits, waits for one thing, and goes on when all items of its wait are served.
// Whoever does not wait may be trusted to give back what it holds some day. So an owner is free if
// it does not wait, or if all whom it waits for are free, and whoever is not free for good is in a
// deadlock. For locks that is the same as a cycle; for permits it is not: of several holders, some
// that give back enough will do. Hence cycles are only looked for, and then the question is decided
// by setting free whoever can be, until nothing moves: no deadlock is missed and none is invented.
//
// In a queue one waits for those before, so the fair order counts too:
//   exclusive, upgrade   for the run of shared ones before it, and the exclusive one before these,
//                        or else all holders
//   shared               for the exclusive one before it, or else the exclusive holder
//   permits              for the one before it, and enough of the holders
//
// Nobody begins to wait who would close a cycle (State::begin_wait). Grants, releases and ends only
// ever take edges away, so the check at the begin of a wait is enough, and whoever asks is always
// the youngest waiter of the cycle: the victim.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "service/lock/book.h"

namespace quorate::service::lock {

// One of a cycle waits for a lock of the next.
struct CycleStep {
  std::string_view owner = {};
  std::string_view lock = {};
  std::string note = {};       // behind the lock
};

// "a waits for x of b, b waits for y of a"; for people, so names and length are cut.
[[nodiscard]] std::string text_of(const std::vector<CycleStep>& cycle);

class WaitGraph {
 public:
  // The owners of the cycle, the given one first, each waiting for the next and the last for the
  // first; empty if it is in no deadlock. Before: the owner waits, and stands in the queues;
  // without it there is no deadlock.
  [[nodiscard]] std::vector<const Owner*> find_deadlock(const Owner& owner);

  // Whom an owner waits for, directly; perhaps more than once. Itself: it wants permits that it
  // holds.
  [[nodiscard]] static std::vector<const Owner*> blockers_of(const Owner& owner);
  // The same, of one item of its wait, as others are told (Blocker).
  [[nodiscard]] static WaitEdges::Item edges_of(const Owner& owner, const WaitItem& item);
  // The lock for which the one waits for the other. Before: it does.
  [[nodiscard]] static const Lock& lock_between(const Owner& owner, const Owner& blocker);

 private:
  [[nodiscard]] bool reaches_itself(const Owner& owner);
  void set_free();
  [[nodiscard]] bool can_finish(const Owner& owner) const;
  [[nodiscard]] bool is_served(const Owner& owner, const WaitItem& item) const;
  [[nodiscard]] bool is_finished(const Owner& owner) const {
    return owner.finished_in == search_;
  }
  [[nodiscard]] std::vector<const Owner*> shortest_cycle(const Owner& owner);

  uint64_t search_ = 0;                 // the number of the search at hand
  std::vector<const Owner*> seen_;      // in the order in which they were found
};

}  // namespace quorate::service::lock
