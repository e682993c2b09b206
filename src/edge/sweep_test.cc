// SPDX-License-Identifier: Apache-2.0
#include "edge/sweep.h"

#include <gtest/gtest.h>

#include <set>

namespace quorate::edge {
namespace {

constexpr size_t kFew = limits::kConnectionsSweptAtOnce;

using Numbers = Sweep<uint64_t, uint64_t>;

Numbers::Connections connections_of(uint64_t count) {
  Numbers::Connections all;
  for (uint64_t number = 1; number <= count; ++number) {
    all.emplace(number, std::make_shared<uint64_t>(number));
  }
  return all;
}

std::vector<uint64_t> numbers_in(const std::vector<std::shared_ptr<uint64_t>>& few) {
  std::vector<uint64_t> numbers;
  for (const std::shared_ptr<uint64_t>& each : few) {
    numbers.push_back(*each);
  }
  return numbers;
}

TEST(Sweep, each_is_seen_once_in_a_round_and_few_at_once) {
  Numbers sweep;
  const Numbers::Connections all = connections_of(3 * kFew + 5);
  for (int round = 0; round < 3; ++round) {
    uint64_t seen = 0;
    for (int look = 0; look < 4; ++look) {
      const std::vector<uint64_t> few = numbers_in(sweep.next(all));
      EXPECT_EQ(few.size(), look < 3 ? kFew : 5);
      for (const uint64_t number : few) {
        EXPECT_EQ(number, ++seen);
      }
    }
    EXPECT_EQ(seen, all.size());
  }
}

TEST(Sweep, who_stays_is_seen_though_others_come_and_go) {
  Numbers sweep;
  Numbers::Connections all = connections_of(3 * kFew);
  std::set<uint64_t> seen;
  for (const uint64_t number : numbers_in(sweep.next(all))) {
    seen.insert(number);
    all.erase(number);  // the one that the sweep remembers among them
  }
  all.emplace(3 * kFew + 1, std::make_shared<uint64_t>(3 * kFew + 1));
  for (int look = 0; look < 3; ++look) {
    for (const uint64_t number : numbers_in(sweep.next(all))) {
      EXPECT_TRUE(seen.insert(number).second) << number;
    }
  }
  EXPECT_EQ(seen.size(), 3 * kFew + 1);
}

TEST(Sweep, nobody_is_no_look_too_many) {
  Numbers sweep;
  EXPECT_TRUE(sweep.next({}).empty());
  const Numbers::Connections one = connections_of(1);
  EXPECT_EQ(sweep.next(one).size(), 1U);
  EXPECT_EQ(sweep.next(one).size(), 1U);
}

TEST(Sweep, a_round_takes_an_interval_however_many_there_are) {
  const Duration interval = Duration::seconds(1);
  EXPECT_EQ(Numbers::pause(interval, 0), interval);
  EXPECT_EQ(Numbers::pause(interval, kFew), interval);
  EXPECT_EQ(Numbers::pause(interval, kFew + 1), interval / 2);
  EXPECT_EQ(Numbers::pause(interval, 10 * kFew), interval / 10);
}

}  // namespace
}  // namespace quorate::edge
