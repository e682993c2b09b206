// SPDX-License-Identifier: Apache-2.0
#include "service/lock/permit.h"

#include <gtest/gtest.h>

#include "service/machine.h"

namespace quorate::service::lock {
namespace {

constexpr uint8_t kLock = static_cast<uint8_t>(ServiceId::kLock);
constexpr OwnerRef kIn = {{}, "a/me"};

Caller with(uint8_t bits) { return {"ada", {{kLock, false, 0, "a/", bits}}}; }

// What each command needs over the names under "a/".
TEST(lock_permit, each_command_needs_its_right) {
  const struct {
    const char* what;
    Command command;
    uint8_t needs;
  } kRows[] = {
      {"open", Open{kIn, Duration::seconds(5)}, rights::kWrite},
      {"renew", Renew{kIn}, rights::kWrite},
      {"close", Close{kIn}, rights::kWrite},
      {"acquire", Acquire{.who = kIn, .items = {{.name = "a/x"}}}, rights::kWrite},
      {"upgrade", Upgrade{.who = kIn, .name = "a/x"}, rights::kWrite},
      {"downgrade", Downgrade{kIn, "a/x"}, rights::kWrite},
      {"release", Release{.who = kIn, .name = "a/x"}, rights::kWrite},
      {"cancel", Cancel{.who = kIn}, rights::kWrite},
      {"break", Break{.name = "a/x"}, rights::kAdmin},
  };
  for (const auto& row : kRows) {
    const Caller enough = with(row.needs);
    const Caller without = with(static_cast<uint8_t>(rights::kAll & ~row.needs));
    EXPECT_TRUE(permit(&enough, row.command).ok()) << row.what;
    EXPECT_EQ(permit(&without, row.command).code(), Code::kPermissionDenied) << row.what;
    EXPECT_TRUE(permit(nullptr, row.command).ok()) << row.what;
  }
}

TEST(lock_permit, owners_of_others_and_locks_of_others_are_out_of_reach) {
  const Caller ada = with(rights::kAll);
  const OwnerRef other = {{}, "b/you"};
  const OwnerRef elsewhere = {DomainId(7), "a/me"};
  const Command kRows[] = {
      Open{other, Duration::seconds(5)},
      Close{other},
      Cancel{.who = other},
      Close{elsewhere},
      Acquire{.who = other, .items = {{.name = "a/x"}}},
      Acquire{.who = kIn, .items = {{.name = "a/x"}, {.name = "b/x"}}},
      Release{.who = other, .name = "a/x"},
      Release{.who = kIn, .name = "b/x"},
      Break{.name = "b/x"},
      ExpireDue{},
  };
  for (const Command& command : kRows) {
    EXPECT_EQ(permit(&ada, command).code(), Code::kPermissionDenied) << command.index();
  }
}

TEST(lock_permit, queries_need_the_right_to_read_all_that_they_may_show) {
  const Caller reader = with(rights::kRead);
  const Caller writer = with(rights::kWrite);
  const Query kAllowed[] = {WaitOf{kIn}, Info{{}, "a/x"}, List{.prefix = "a/"},
                            OwnerOf{.who = kIn}};
  for (const Query& query : kAllowed) {
    EXPECT_TRUE(permit(&reader, query).ok()) << query.index();
    EXPECT_EQ(permit(&writer, query).code(), Code::kPermissionDenied) << query.index();
  }
  const Query kRefused[] = {Info{{}, "b/x"}, List{.prefix = "a"}, List{}, List{.prefix = "\xff"}};
  for (const Query& query : kRefused) {
    EXPECT_EQ(permit(&reader, query).code(), Code::kPermissionDenied) << query.index();
  }
  EXPECT_TRUE(permit(&writer, Stats{}).ok());
}

}  // namespace
}  // namespace quorate::service::lock
