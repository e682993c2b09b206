// SPDX-License-Identifier: Apache-2.0
#include "raft/quorum.h"

#include <functional>
#include <limits>

namespace quorate::raft {

uint64_t majority_reached(std::span<uint64_t> values) {
  if (values.empty()) {
    return std::numeric_limits<uint64_t>::max();
  }
  // In descending order the element in the middle is reached by itself and all before it: n/2 + 1.
  const size_t middle = values.size() / 2;
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(middle),
                   values.end(), std::greater<>());
  return values[middle];
}

Tally tally_of(size_t voters, size_t yes, size_t no) {
  ASSERT(yes + no <= voters);
  const size_t needed = voters / 2 + 1;
  if (voters == 0 || yes >= needed) {
    return Tally::kWon;
  }
  return voters - no < needed ? Tally::kLost : Tally::kPending;
}

Tally both(Tally incoming, Tally outgoing) {
  if (incoming == Tally::kLost || outgoing == Tally::kLost) {
    return Tally::kLost;
  }
  return incoming == Tally::kWon && outgoing == Tally::kWon ? Tally::kWon : Tally::kPending;
}

}  // namespace quorate::raft
