// SPDX-License-Identifier: Apache-2.0
#include "server/admin.h"

#include <gtest/gtest.h>

namespace quorate::server {
namespace {

Instant at(int64_t seconds) { return Instant() + Duration::seconds(seconds); }

TEST(lag_watch, a_follower_that_lacks_the_newest_only_is_not_behind) {
  LagWatch watch;
  for (int64_t second = 1; second < 5; ++second) {
    watch.begin(at(second));
    watch.look(GroupId(1), NodeId(2), Index(100 * second - 1), Index(100 * second));
    EXPECT_EQ(watch.worst(), Duration());
  }
}

TEST(lag_watch, it_is_behind_until_it_has_what_it_lacked) {
  LagWatch watch;
  const auto look = [&](int64_t second, uint64_t match, uint64_t last) {
    watch.begin(at(second));
    watch.look(GroupId(1), NodeId(2), Index(match), Index(last));
    watch.look(GroupId(1), NodeId(3), Index(last), Index(last));
    return watch.worst();
  };
  EXPECT_EQ(look(1, 10, 20), Duration());
  EXPECT_EQ(look(2, 15, 30), Duration::seconds(1)) << "entry 20 is not there yet";
  EXPECT_EQ(look(4, 19, 40), Duration::seconds(3));
  EXPECT_EQ(look(5, 25, 50), Duration()) << "20 has come; from now on 50 is waited for";
  EXPECT_EQ(look(7, 49, 60), Duration::seconds(2));
  EXPECT_EQ(look(8, 60, 60), Duration());
}

TEST(lag_watch, whom_nobody_looks_at_is_forgotten) {
  LagWatch watch;
  watch.begin(at(1));
  watch.look(GroupId(1), NodeId(2), Index(1), Index(9));
  watch.begin(at(2));
  watch.begin(at(9));
  watch.look(GroupId(1), NodeId(2), Index(1), Index(9));
  EXPECT_EQ(watch.worst(), Duration());
}

}  // namespace
}  // namespace quorate::server
