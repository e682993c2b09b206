// SPDX-License-Identifier: Apache-2.0
// Quorums: what a majority of the voters has reached, and who has won a vote. Pure arithmetic.
//
// The same question is asked of match indexes (what is committed), of rounds (is this leader still
// the leader, until when does its lease run) and of last-heard times (must it step down). In a
// joint configuration both halves must agree, so the answer is the smaller of the two.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <vector>

#include "base/assert.h"
#include "base/limits.h"
#include "base/mutant.h"
#include "raft/types.h"

namespace quorate::raft {

// The greatest value that more than half of `values` have reached; reorders them. Nobody votes:
// everything is agreed, so the answer is the greatest number there is.
[[nodiscard]] inline uint64_t majority_reached(std::span<uint64_t> values) {
  if (values.empty()) {
    return std::numeric_limits<uint64_t>::max();
  }
  if (values.size() == 3) {
    const auto [less, greater] = std::minmax(values[0], values[1]);
    return std::clamp(values[2], less, greater);
  }
  // In descending order the element in the middle is reached by itself and all before it: n/2 + 1.
  const size_t middle = values.size() / 2;
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(middle),
                   values.end(), std::greater<>());
  return values[middle];
}

enum class Vote : uint8_t { kMissing, kYes, kNo };
enum class Tally : uint8_t { kPending, kWon, kLost };

// The result of one majority, from how many have said what.
[[nodiscard]] constexpr Tally tally_of(size_t voters, size_t yes, size_t no) {
  ASSERT(yes + no <= voters);
  const size_t needed = voters / 2 + 1;
  if (voters == 0 || yes >= needed) {
    return Tally::kWon;
  }
  return voters - no < needed ? Tally::kLost : Tally::kPending;
}
// Both must be won; one lost is lost.
[[nodiscard]] constexpr Tally both(Tally incoming, Tally outgoing) {
  if (incoming == Tally::kLost || outgoing == Tally::kLost) {
    return Tally::kLost;
  }
  return incoming == Tally::kWon && outgoing == Tally::kWon ? Tally::kWon : Tally::kPending;
}

template <class ValueOf>
[[nodiscard]] uint64_t majority_reached(const std::vector<NodeId>& voters, ValueOf&& value_of) {
  std::array<uint64_t, limits::kReplicasMax> values;
  ASSERT(voters.size() <= values.size());
  std::transform(voters.begin(), voters.end(), values.begin(), value_of);
  return majority_reached(std::span(values.data(), voters.size()));
}

// `value_of(NodeId) -> uint64_t`.
template <class ValueOf>
[[nodiscard]] uint64_t quorum_reached(const Config& config, ValueOf&& value_of) {
  const uint64_t incoming = majority_reached(config.voters, value_of);
  if (!config.joint() || MUTANT(joint_counts_one_majority)) {
    return incoming;
  }
  return std::min(incoming, majority_reached(config.outgoing, value_of));
}

template <class VoteOf>
[[nodiscard]] Tally tally(const std::vector<NodeId>& voters, VoteOf&& vote_of) {
  size_t yes = 0;
  size_t no = 0;
  for (const NodeId node : voters) {
    const Vote vote = vote_of(node);
    yes += vote == Vote::kYes ? 1 : 0;
    no += vote == Vote::kNo ? 1 : 0;
  }
  return tally_of(voters.size(), yes, no);
}

// `vote_of(NodeId) -> Vote`.
template <class VoteOf>
[[nodiscard]] Tally tally(const Config& config, VoteOf&& vote_of) {
  const Tally incoming = tally(config.voters, vote_of);
  if (!config.joint() || MUTANT(joint_counts_one_majority)) {
    return incoming;
  }
  return both(incoming, tally(config.outgoing, vote_of));
}

}  // namespace quorate::raft
