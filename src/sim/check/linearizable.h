// SPDX-License-Identifier: Apache-2.0
// Is there an order of these operations on one key that explains every answer?
//
// Each operation took effect at one moment between its start and its end, or, if its outcome is
// unknown, at some moment after its start or never. The question is NP-hard in general; it is quick
// here because a key is a small machine and the search is pruned:
//
//   The history is walked by time. A set of configurations is kept, each a possible past: the
//   key's state, and which of the operations under way have taken effect in it. An operation that
//   returns must have taken effect: configurations in which it has not are extended by every
//   sequence of operations under way that ends with it (just-in-time linearization, Lowe 2017;
//   the set makes it the memoised form of Wing and Gong's search).
//   1. An operation that changes nothing and whose answer fits the state is taken at once: having
//      done so never closes a way (absorption). So reads never branch.
//   2. Of two configurations with equal state and equal known operations, the one that has used up
//      fewer unknown ones can do all that the other can: the other is dropped (domination). Of
//      unknown operations that say the same, the first is used first.
//
// An empty set of configurations is a violation; the first return that empties it is named.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"

namespace quorate::sim {

// Values are numbers: the workload writes each value once only, so that a number names its write.
// A counter's values are what they are.
inline constexpr int64_t kAbsent = std::numeric_limits<int64_t>::min();

enum class OpKind : uint8_t {
  kRead,     // result: the value
  kWrite,    // argument: the new value
  kDelete,   // ok: it was there
  kCas,      // expected, argument; ok: it was swapped
  kAdd,      // argument; result: the sum (an absent key counts as zero)
};

struct Operation {
  OpKind kind = OpKind::kRead;
  int64_t argument = 0;
  int64_t expected = 0;
  int64_t result = 0;
  bool ok = false;
  bool unknown = false;        // no answer, or one that does not tell
  uint32_t client = 0;
  Instant start;
  Instant end;                 // ignored if unknown
};

struct Verdict {
  enum class Kind : uint8_t { kLinearizable, kViolated, kUndecided };
  Kind kind = Kind::kLinearizable;
  // Of a violation: the operation that no order explains, and its neighbours in time.
  std::string story;
  size_t configurations_max = 0;
};

struct CheckLimits {
  // Beyond this many configurations at one moment the check gives up (kUndecided).
  size_t configurations_max = 20'000;
};

// The history of one key, which is absent at first; in any order.
[[nodiscard]] Verdict check_linearizable(const std::vector<Operation>& history,
                                         const CheckLimits& limits = {});

// "c3 [1.2s..1.3s] cas 4 -> 9 : ok", for reports.
[[nodiscard]] std::string show(const Operation& operation);

}  // namespace quorate::sim
