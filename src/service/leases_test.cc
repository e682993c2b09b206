// SPDX-License-Identifier: Apache-2.0
#include "service/leases.h"

#include <gtest/gtest.h>

#include <string>

namespace quorate::service {
namespace {

constexpr ServiceId kLock = ServiceId::kLock;

class LeasesTest : public ::testing::Test {
 protected:
  LeasesTest() { leases.begin(now); }
  void pass(Duration time) { now = now + time; }
  void hear(const std::string& subject) {
    leases.hear(kLock, subject, now, [&](ServiceId, std::string_view) { return there; });
  }
  [[nodiscard]] int64_t silence(const std::string& subject) const {
    return leases.silence_of(kLock, subject, now).millis();
  }

  Leases leases;
  Instant now = Instant::from_nanos(5'000'000'000);
  bool there = true;
};

TEST_F(LeasesTest, who_was_heard_is_silent_since_then) {
  pass(Duration::seconds(7));
  hear("a");
  pass(Duration::seconds(2));
  EXPECT_EQ(silence("a"), 2'000);
  EXPECT_EQ(silence("b"), 9'000);
  EXPECT_EQ(leases.silence_of(ServiceId::kQueue, "a", now).millis(), 9'000);
}

TEST_F(LeasesTest, a_new_leader_has_heard_nobody_and_counts_from_when_it_began) {
  hear("a");
  pass(Duration::seconds(9));
  leases.end();
  pass(Duration::seconds(9));
  leases.begin(now);
  EXPECT_EQ(silence("a"), 0);
  pass(Duration::seconds(1));
  EXPECT_EQ(silence("a"), 1'000);
}

TEST_F(LeasesTest, those_that_are_gone_take_no_room) {
  there = false;
  for (int number = 0; number < 100'000; ++number) {
    hear("owner-" + std::to_string(number));
  }
  EXPECT_LT(leases.size(), 2'000u);
}

}  // namespace
}  // namespace quorate::service
