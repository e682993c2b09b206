// SPDX-License-Identifier: Apache-2.0
#include "base/caller.h"

#include <gtest/gtest.h>

namespace quorate {
namespace {

using namespace std::string_view_literals;

constexpr uint8_t kKv = 1;
constexpr uint8_t kQueue = 3;

Caller ada() {
  return {"ada",
          {{kKv, false, 0, "app/", rights::kRead | rights::kWrite},
           {kKv, false, 0, "app/secret/", rights::kAdmin},
           {kKv, false, 7, "", rights::kRead},
           {kQueue, true, 0, "mail", rights::kWrite},
           {kKv, false, 0, "\xff\xff", rights::kRead}}};
}

TEST(caller, rights_hold_for_names_with_the_prefix_in_their_scope) {
  const struct {
    uint8_t wanted;
    Caller::Place place;
    std::string_view name;
    bool allowed;
  } kRows[] = {
      {rights::kRead, {kKv, 0}, "app/1", true},
      {rights::kRead | rights::kWrite, {kKv, 0}, "app/", true},
      {rights::kRead, {kKv, 0}, "app", false},
      {rights::kRead, {kKv, 0}, "", false},
      {rights::kAdmin, {kKv, 0}, "app/1", false},
      {rights::kAll, {kKv, 0}, "app/secret/1", true},
      {rights::kRead, {kKv, 7}, "anything", true},
      {rights::kWrite, {kKv, 7}, "app/1", false},
      {rights::kRead, {kKv, 8}, "app/1", false},
      {rights::kWrite, {kQueue, 99}, "mail-in", true},
      {rights::kRead, {kQueue, 99}, "mail-in", false},
  };
  for (const auto& row : kRows) {
    EXPECT_EQ(ada().may(row.wanted, row.place, row.name), row.allowed)
        << int{row.wanted} << " of " << row.name;
  }
}

TEST(caller, a_range_is_allowed_when_every_name_of_it_is) {
  const struct {
    std::string_view begin;
    std::string_view end;
    bool allowed;
  } kRows[] = {
      {"app/", "app0", true}, {"app/a", "app/b", true}, {"app/", "app1", false},
      {"app/", "", false},    {"app", "app0", false},   {"", "", false},
      {"b", "c", false},      {"\xff\xff", "", true},   {"\xff\xff\x01", "\xff\xff\x02", true},
      {"\xff", "", false},
  };
  for (const auto& row : kRows) {
    EXPECT_EQ(ada().may_range(rights::kRead, {kKv, 0}, row.begin, row.end), row.allowed)
        << row.begin << " to " << row.end;
  }
  EXPECT_TRUE(ada().may_range(rights::kRead, {kKv, 7}, "", ""));
}

TEST(caller, only_an_admin_of_every_service_and_name_administers) {
  EXPECT_FALSE(ada().administers());
  EXPECT_FALSE(Caller("bob", {{0, true, 0, "x", rights::kAll}}).administers());
  EXPECT_FALSE(Caller("bob", {{kKv, true, 0, "", rights::kAll}}).administers());
  EXPECT_FALSE(Caller("bob", {{0, true, 0, "", rights::kWrite}}).administers());
  EXPECT_TRUE(Caller("root", {{0, true, 0, "", rights::kAll}}).administers());
}

}  // namespace
}  // namespace quorate
