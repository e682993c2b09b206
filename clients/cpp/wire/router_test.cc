// SPDX-License-Identifier: Apache-2.0
#include "clients/cpp/wire/router.h"

#include <gtest/gtest.h>

namespace quorate::wire {
namespace {

const std::vector<Address> kSeeds = {{"a", "1"}, {"b", "2"}};

Reply integer(int64_t number) {
  Reply reply;
  reply.kind = Reply::Kind::kInteger;
  reply.integer = number;
  return reply;
}

Reply text(std::string words) {
  Reply reply;
  reply.kind = Reply::Kind::kText;
  reply.text = std::move(words);
  return reply;
}

Reply array(std::vector<Reply> items) {
  Reply reply;
  reply.kind = Reply::Kind::kArray;
  reply.items = std::move(items);
  return reply;
}

Reply range(int64_t first, int64_t last, const std::string& host, int64_t port) {
  return array({integer(first), integer(last), array({text(host), integer(port)})});
}

TEST(wire_router, a_call_goes_to_the_node_that_leads_its_slot) {
  Router router(kSeeds);
  ASSERT_TRUE(router.learn(array({range(0, 9, "b", 2), range(10, 16383, "c", 3)})));
  ASSERT_EQ(router.nodes().size(), 3u);
  EXPECT_EQ(router.pick(0, 0), 1u);
  EXPECT_EQ(router.pick(9, 0), 1u);
  EXPECT_EQ(router.pick(10, 0), 2u);
  EXPECT_EQ(router.pick(16383, 0), 2u);
  ASSERT_TRUE(router.learn(array({range(0, 16383, "a", 1)})));
  EXPECT_EQ(router.pick(9, 0), 0u);
  EXPECT_EQ(router.nodes().size(), 3u);
}

TEST(wire_router, what_is_tried_again_or_has_no_key_goes_to_one_after_the_other) {
  Router router(kSeeds);
  ASSERT_TRUE(router.learn(array({range(0, 16383, "b", 2)})));
  EXPECT_NE(router.pick(5, 1), router.pick(5, 2));
  EXPECT_NE(router.pick(-1, 0), router.pick(-1, 0));
}

TEST(wire_router, without_a_map_any_seed_will_do) {
  Router router(kSeeds);
  EXPECT_LT(router.pick(5, 0), 2u);
  ASSERT_TRUE(router.learn(array({range(0, 9, "", 7)})));
  EXPECT_LT(router.pick(5, 0), 2u) << "a node that is found nowhere";
}

TEST(wire_router, what_is_no_map_changes_nothing) {
  const Reply kRows[] = {
      Reply{},
      text("OK"),
      array({}),
      array({integer(1)}),
      array({array({integer(0), integer(16384), array({text("c"), integer(3)})})}),
      array({array({integer(-1), integer(5), array({text("c"), integer(3)})})}),
      array({array({integer(0), integer(5)})}),
      array({array({integer(0), integer(5), array({text("c")})})}),
      array({range(0, 5, "c", 70000)}),
      array({range(0, 5, "c", 3), integer(7)}),
  };
  for (const Reply& row : kRows) {
    Router router(kSeeds);
    EXPECT_FALSE(router.learn(row));
    EXPECT_EQ(router.nodes(), kSeeds);
  }
}

TEST(wire_router, addresses) {
  EXPECT_EQ(parse_address("a.example:7001"), (Address{"a.example", "7001"}));
  EXPECT_EQ(parse_address("[::1]:7001"), (Address{"::1", "7001"}));
  for (const char* const wrong : {"", ":", "a", "a:", ":1", "a:b", "[]:1", "a:123456"}) {
    EXPECT_EQ(parse_address(wrong), std::nullopt) << wrong;
  }
}

}  // namespace
}  // namespace quorate::wire
