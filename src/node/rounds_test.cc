// SPDX-License-Identifier: Apache-2.0
#include "node/rounds.h"

#include <gtest/gtest.h>

namespace quorate::node {
namespace {

constexpr Instant at(int64_t micros) { return Instant::from_nanos(micros * 1000); }

// A round of one member that begins at `begin` and ends at `end`.
void run_round(Rounds& rounds, int64_t begin, int64_t end) {
  rounds.begin_turn(at(begin));
  const uint64_t round = rounds.join();
  rounds.begin_turn(at(end));
  rounds.leave(round);
}

TEST(Rounds, groups_of_one_turn_are_one_round) {
  Rounds rounds;
  rounds.begin_turn(at(100));
  EXPECT_FALSE(rounds.holds());
  const uint64_t first = rounds.join();
  EXPECT_FALSE(rounds.holds()) << "the turn still gathers";
  EXPECT_EQ(rounds.join(), first);
  rounds.begin_turn(at(150));
  EXPECT_TRUE(rounds.holds());
}

TEST(Rounds, all_wait_until_the_last_member_has_left_and_the_turn_is_over) {
  Rounds rounds;
  rounds.begin_turn(at(100));
  const uint64_t round = rounds.join();
  (void)rounds.join();
  rounds.begin_turn(at(300));
  rounds.leave(round);
  EXPECT_TRUE(rounds.holds());
  EXPECT_TRUE(rounds.will_hold(at(301)));
  rounds.leave(round);
  EXPECT_TRUE(rounds.holds()) << "groups that had their turn before could not take part";
  EXPECT_FALSE(rounds.will_hold(at(301)));
  rounds.begin_turn(at(301));
  EXPECT_FALSE(rounds.holds());
  EXPECT_NE(rounds.join(), round);
}

TEST(Rounds, a_member_without_a_quorum_holds_nobody_for_long) {
  Rounds rounds;
  rounds.begin_turn(at(0));
  const uint64_t stuck = rounds.join();
  rounds.begin_turn(at(999));
  EXPECT_TRUE(rounds.holds());
  rounds.begin_turn(at(1000));
  EXPECT_FALSE(rounds.holds());
  const uint64_t next = rounds.join();
  EXPECT_NE(next, stuck);
  rounds.leave(stuck);  // at last, and too late to end the next one
  rounds.begin_turn(at(1100));
  EXPECT_TRUE(rounds.holds());
  rounds.leave(next);
  rounds.begin_turn(at(1200));
  EXPECT_FALSE(rounds.holds());
}

TEST(Rounds, long_rounds_are_not_waited_for_and_short_ones_are_again) {
  Rounds rounds;
  int64_t now = 0;
  for (int i = 0; i < 20; ++i, now += 60'000) {
    run_round(rounds, now, now + 50'000);
  }
  rounds.begin_turn(at(now));
  const uint64_t round = rounds.join();
  rounds.begin_turn(at(now + 100));
  EXPECT_FALSE(rounds.holds());
  EXPECT_EQ(rounds.join(), 0u) << "one round at a time is measured";
  rounds.leave(round);
  for (int i = 0; i < 20; ++i, now += 1'000) {
    run_round(rounds, now + 1'000, now + 1'300);
  }
  rounds.begin_turn(at(now + 1'000));
  (void)rounds.join();
  rounds.begin_turn(at(now + 1'100));
  EXPECT_TRUE(rounds.holds());
}

}  // namespace
}  // namespace quorate::node
