// SPDX-License-Identifier: Apache-2.0
// The answers of the lock machine and their bytes.
//
//   answer = status (registry.h), then if ok: version (2 bits) | kind (6 bits), fields
//
// Inside the machine the views of an answer point into it; decoded, into the bytes given.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "base/status.h"
#include "base/time.h"
#include "service/lock/commands.h"

namespace quorate::service::lock {

// The numbers are in the log and in snapshots.
enum class WaitState : uint8_t {
  kNone = 0,         // it never waited
  kWaiting = 1,
  kGranted = 2,
  kTimedOut = 3,
  kCancelled = 4,
  kBroken = 5,       // somebody broke a lock that the wait was built on
  kDeadlock = 6,     // it was the victim of one, through several domains
};

// The message of a precondition_failed that says only this: others hold it, or are before.
inline constexpr std::string_view kNotFree = "it is not free";

struct Owned {                   // open, renew
  OwnerNumber number = {};       // of this life of the owner
  bool opened = false;           // it was not there before
  Stamp lease_end = {};
  bool operator==(const Owned&) const = default;
};

struct Closed {                  // close
  uint64_t released = 0;         // locks
  bool operator==(const Closed&) const = default;
};

// Acquire, upgrade, downgrade. If it is not granted, it is queued: see WaitOf.
struct Acquired {
  bool granted = false;
  Token token = {};              // of all items; if all were entered again, their greatest
  Ticket ticket = {};            // if queued, as the next two
  uint64_t ahead = 0;            // waits that are served before, at most, of the longest queue
  Stamp deadline = {};
  Stamp lease_end = {};
  bool operator==(const Acquired&) const = default;
};

struct Released {                // release
  uint64_t left = 0;             // levels of re-entrance, or permits, that are still held
  bool operator==(const Released&) const = default;
};

struct Cancelled {               // cancel
  bool cancelled = false;        // false: it waited no more
  bool operator==(const Cancelled&) const = default;
};

struct Broken {                  // break
  uint64_t count = 0;            // holders
  bool operator==(const Broken&) const = default;
};

struct Expired {                 // expire
  uint64_t owners = 0;
  uint64_t waits = 0;
  bool operator==(const Expired&) const = default;
};

struct WaitStatus {              // WaitOf
  WaitState state = WaitState::kNone;
  Ticket ticket = {};            // of the last wait
  Token token = {};              // if granted
  uint64_t ahead = 0;            // if waiting
  Stamp deadline = {};
  Stamp lease_end = {};
  std::string_view cycle = {};   // of a deadlock
  bool operator==(const WaitStatus&) const = default;
};

struct Holder {
  std::string_view owner = {};
  Mode mode = Mode::kShared;
  uint64_t count = 0;            // levels of re-entrance, or permits
  Token token = {};
  Stamp since = {};
  bool operator==(const Holder&) const = default;
};

struct Waiter {
  std::string_view owner = {};
  Mode mode = Mode::kShared;
  uint64_t permits = 0;
  bool is_upgrade = false;
  Ticket ticket = {};
  Stamp since = {};
  Stamp deadline = {};
  bool operator==(const Waiter&) const = default;
};

struct LockDetails {             // info
  uint64_t limit = 0;            // of a semaphore; else 0
  uint64_t used = 0;             // permits
  uint64_t holder_count = 0;     // the lists may be cut
  uint64_t waiter_count = 0;
  std::vector<Holder> holders = {};   // in the order of the owners' births
  std::vector<Waiter> waiters = {};   // in the order of service
  bool operator==(const LockDetails&) const = default;
};

struct LockSummary {
  std::string_view name = {};
  Mode mode = Mode::kShared;     // as it is held; of the first waiter if nobody holds it
  uint64_t limit = 0;
  uint64_t used = 0;
  uint64_t holders = 0;
  uint64_t waiters = 0;
  std::string_view owner = {};   // the first of the holders; nobody's while nobody holds it
  Token token = {};              // the greatest of the holders' (of the first of very many)
  bool operator==(const LockSummary&) const = default;
};

struct LockPage {                // list
  std::vector<LockSummary> locks = {};
  bool more = false;             // go on after the last of them
  bool operator==(const LockPage&) const = default;
};

struct Held {
  std::string_view name = {};
  Mode mode = Mode::kShared;
  uint64_t count = 0;
  Token token = {};
  bool operator==(const Held&) const = default;
};

struct OwnerDetails {            // OwnerOf
  OwnerNumber number = {};
  Duration lease = {};
  bool is_transient = false;     // it goes with the last of its locks
  uint64_t held_count = 0;
  std::vector<Held> held = {};   // in the order of names; may be cut
  WaitStatus wait = {};
  std::vector<std::string_view> waits_for = {};
  bool operator==(const OwnerDetails&) const = default;
};

struct Usage {                   // stats
  uint64_t locks = 0;
  uint64_t holds = 0;
  uint64_t waits = 0;
  uint64_t owners = 0;
  // Since the group was born:
  uint64_t grants = 0;
  uint64_t queued = 0;
  uint64_t timed_out = 0;
  uint64_t leases_lost = 0;
  uint64_t broken = 0;
  uint64_t deadlocks_detected = 0;
  uint64_t deadlocks_resolved = 0;
  bool operator==(const Usage&) const = default;
};

struct Alive {                   // heartbeat
  struct Life {
    OwnerNumber number = {};     // none: there is no such owner, or no more
    Stamp lease_end = {};        // if it is not heard again
    bool operator==(const Life&) const = default;
  };
  std::vector<Life> lives = {};  // of each that was named
  bool operator==(const Alive&) const = default;
};

// Who keeps an item of a wait from being served: it is, when all those without a count are free,
// and what the others keep, with the permits asked for, is within the limit.
struct Blocker {
  std::string_view owner = {};
  uint64_t count = 0;            // permits that it holds
  bool operator==(const Blocker&) const = default;
};

struct WaitEdges {
  struct Item {
    std::string_view name = {};
    uint64_t permits = 0;        // of a semaphore, as the limit
    uint64_t limit = 0;
    std::vector<Blocker> blockers = {};
    bool operator==(const Item&) const = default;
  };
  OwnerRef who = {};
  Ticket ticket = {};
  Stamp since = {};
  std::vector<Item> items = {};
  bool operator==(const WaitEdges&) const = default;
};

struct Graph {                   // edges
  std::vector<WaitEdges> waits = {};
  bool cut = false;              // there was more than an answer may hold
  bool operator==(const Graph&) const = default;
};

using Answer = std::variant<Status, Owned, Closed, Acquired, Released, Cancelled, Broken, Expired,
                            WaitStatus, LockDetails, LockPage, OwnerDetails, Usage, Alive, Graph>;

void encode(const Answer& answer, std::string& out);
// A refusal if that is what the bytes say, or kCorrupted if they are no answer.
[[nodiscard]] Answer decode_answer(std::string_view bytes);

[[nodiscard]] std::string_view name_of(Mode mode);
[[nodiscard]] std::string_view name_of(WaitState state);

}  // namespace quorate::service::lock
