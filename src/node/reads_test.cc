// SPDX-License-Identifier: Apache-2.0
// When a read may be answered.
#include "node/reads.h"

#include <gtest/gtest.h>

namespace quorate::node {
namespace {

constexpr Instant at(int64_t millis) { return Instant() + Duration::millis(millis); }

WaitingRead read(const std::string& name, int64_t deadline = 1000) {
  WaitingRead waiting;
  waiting.body = name;
  waiting.deadline = at(deadline);
  return waiting;
}

std::string names(const std::vector<WaitingRead>& reads) {
  std::string text;
  for (const WaitingRead& waiting : reads) {
    text += waiting.body;
  }
  return text;
}

TEST(reads, a_read_waits_for_its_point_and_for_apply) {
  Reads reads;
  reads.add(read("a"));
  const uint64_t round = reads.begin_round(at(1));
  EXPECT_EQ(names(reads.take_served(Index(100))), "");
  reads.round_granted(round, Index(7));
  EXPECT_EQ(names(reads.take_served(Index(6))), "");
  EXPECT_EQ(names(reads.take_served(Index(7))), "a");
  EXPECT_EQ(reads.pending(), 0u);
}

TEST(reads, a_read_that_came_after_the_round_began_waits_for_the_next) {
  Reads reads;
  reads.add(read("a"));
  const uint64_t first = reads.begin_round(at(1));
  reads.add(read("b"));
  EXPECT_FALSE(reads.wants_round());
  reads.round_granted(first, Index(7));
  EXPECT_EQ(names(reads.take_served(Index(9))), "a");
  EXPECT_TRUE(reads.wants_round());
  reads.round_granted(reads.begin_round(at(2)), Index(9));
  EXPECT_EQ(names(reads.take_served(Index(9))), "b");
}

TEST(reads, the_answer_of_a_round_that_was_given_up_serves_nobody) {
  Reads reads;
  reads.add(read("a"));
  const uint64_t first = reads.begin_round(at(0));
  reads.expire_round(at(199), Duration::millis(200));
  EXPECT_FALSE(reads.wants_round());
  reads.expire_round(at(200), Duration::millis(200));
  EXPECT_TRUE(reads.wants_round());
  const uint64_t second = reads.begin_round(at(201));
  reads.round_granted(first, Index(3));
  EXPECT_EQ(names(reads.take_served(Index(100))), "");
  reads.round_granted(second, Index(5));
  EXPECT_EQ(names(reads.take_served(Index(5))), "a");
}

TEST(reads, a_failed_round_keeps_the_order) {
  Reads reads;
  reads.add(read("a"));
  const uint64_t round = reads.begin_round(at(1));
  reads.add(read("b"));
  reads.round_failed(round);
  reads.round_granted(reads.begin_round(at(2)), Index(1));
  EXPECT_EQ(names(reads.take_served(Index(1))), "ab");
}

TEST(reads, late_reads_are_handed_back_wherever_they_wait) {
  Reads reads;
  reads.add(read("granted", 10));
  reads.round_granted(reads.begin_round(at(1)), Index(9));
  reads.add(read("asked", 10));
  (void)reads.begin_round(at(2));
  reads.add(read("waiting", 10));
  reads.add(read("patient", 50));
  EXPECT_EQ(names(reads.take_late(at(10))), "waitingaskedgranted");
  EXPECT_EQ(reads.pending(), 1u);
}

TEST(reads, freshness_is_measured_from_when_the_point_was_asked_for) {
  Reads reads;
  EXPECT_FALSE(reads.freshness(Index(100)).has_value());
  reads.add(read("a"));
  reads.round_granted(reads.begin_round(at(40)), Index(7));
  EXPECT_FALSE(reads.freshness(Index(6)).has_value()) << "not applied yet";
  ASSERT_TRUE(reads.freshness(Index(7)).has_value());
  EXPECT_EQ(reads.freshness(Index(7))->asked, at(40));
}

}  // namespace
}  // namespace quorate::node
