// SPDX-License-Identifier: Apache-2.0
// Book: owners, and locks with who holds them and who waits for them, as objects in memory.
//
// What there is to keep belongs to owners: a record of each, with its wait, and one of each lock
// that it holds (record.h). The locks are derived from these, so a lock that nobody holds or waits
// for is nowhere, and there is one place less that could disagree.
//
//   1. Lock::holds and Owner::held name each other, as do Lock::queue and the items of a wait.
//   2. A lock is held by one owner exclusively, or by any number shared, or is a semaphore of which
//      no more than `limit` permits are used; never two of these.
//   3. Nobody waits who could be served: the first of a queue, and who stands behind none that it
//      conflicts with, waits for something that is not free.
//   4. Nobody waits for itself, by however many others (wait_graph.h).
//
// Nodes of the maps stay where they are, so objects point to each other.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "service/lock/answers.h"
#include "service/lock/commands.h"

namespace quorate::service::lock {

struct Lock;
struct Owner;

// Where in a queue: who upgrades comes first, since nobody can be served before it is.
struct QueueKey {
  uint8_t rank = 1;         // 0: an upgrade
  Ticket ticket = {};
  auto operator<=>(const QueueKey&) const = default;
};

struct Hold {
  Owner* owner = nullptr;
  Mode mode = Mode::kShared;
  uint64_t count = 0;       // levels of re-entrance, or permits; never 0
  Token token = {};
  Stamp since = {};
};

struct Queued {
  Owner* owner = nullptr;
  Mode mode = Mode::kShared;
  uint64_t permits = 0;
};

struct Lock {
  DomainId domain = {};
  std::string_view name = {};       // of the map's own key
  uint64_t limit = 0;               // of a semaphore; else 0
  uint64_t used = 0;                // permits
  std::map<OwnerNumber, Hold> holds = {};
  std::map<QueueKey, Queued> queue = {};
  std::set<QueueKey> exclusives = {};   // those of the queue; to find the one before, at once
  bool is_touched = false;          // stands in the list of those to settle
};

struct WaitItem {
  Lock* lock = nullptr;
  Mode mode = Mode::kShared;
  uint64_t permits = 0;
};

struct Wait {
  WaitState state = WaitState::kNone;
  bool is_upgrade = false;
  Ticket ticket = {};
  Token token = {};
  Stamp since = {};
  Stamp deadline = {};
  std::vector<WaitItem> items = {};     // of a wait that is not over
  std::string cycle = {};               // of one that was the victim of a deadlock
  [[nodiscard]] bool is_waiting() const { return state == WaitState::kWaiting; }
  [[nodiscard]] QueueKey key() const { return {static_cast<uint8_t>(is_upgrade ? 0 : 1), ticket}; }
};

struct Owner {
  DomainId domain = {};
  std::string_view name = {};           // of the map's own key
  OwnerNumber number = {};
  Duration lease = {};
  Stamp lease_end = {};
  bool is_transient = false;
  Wait wait = {};
  std::map<std::string_view, Lock*> held = {};

  // Of the search at hand in the graph of waits.
  mutable uint64_t seen_in = 0;
  mutable uint64_t finished_in = 0;
};

using NameKey = std::pair<DomainId, std::string>;

// For look-ups without a copy of the name.
struct NameOrder {
  using is_transparent = void;
  template <class Left, class Right>
  bool operator()(const Left& left, const Right& right) const {
    return left.first != right.first
               ? left.first < right.first
               : std::string_view(left.second) < std::string_view(right.second);
  }
};
using NameView = std::pair<DomainId, std::string_view>;

using Owners = std::map<NameKey, Owner, NameOrder>;
using Locks = std::map<NameKey, Lock, NameOrder>;

// Whether the owner holds the lock in a way that this item of its wait only enters once more.
[[nodiscard]] inline bool is_entered(const Owner& owner, const Lock& lock, bool is_upgrade) {
  return lock.limit == 0 && !is_upgrade && lock.holds.contains(owner.number);
}

}  // namespace quorate::service::lock
