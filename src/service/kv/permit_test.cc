// SPDX-License-Identifier: Apache-2.0
#include "service/kv/permit.h"

#include <gtest/gtest.h>

#include "service/machine.h"

namespace quorate::service::kv {
namespace {

constexpr uint8_t kKv = static_cast<uint8_t>(ServiceId::kKv);

Caller with(uint8_t bits) { return {"ada", {{kKv, false, 0, "a/", bits}}}; }

// What each command needs over the keys under "a/".
TEST(permit, each_command_needs_its_rights) {
  const std::string_view in = "a/1";
  const Condition is_value = {Condition::Kind::kValue, 0, "x"};
  const struct {
    const char* what;
    Command command;
    uint8_t needs;
  } kRows[] = {
      {"put", Put{.key = in}, rights::kWrite},
      {"put and tell", Put{.key = in, .with_previous = true}, rights::kRead | rights::kWrite},
      {"put if value", Put{.key = in, .condition = is_value}, rights::kRead | rights::kWrite},
      {"delete", Delete{.key = in}, rights::kWrite},
      {"delete and tell", Delete{.key = in, .with_previous = true}, rights::kRead | rights::kWrite},
      {"touch", Touch{.key = in}, rights::kWrite},
      {"increment", Increment{.key = in}, rights::kRead | rights::kWrite},
      {"append", Append{.key = in}, rights::kWrite},
      {"set range", SetRange{.key = in}, rights::kWrite},
      {"put many", PutMany{.items = {{.key = in}, {.key = "a/2"}}}, rights::kWrite},
      {"delete many", DeleteMany{.keys = {in}}, rights::kWrite},
      {"touch many", TouchMany{.keys = {in}}, rights::kWrite},
      {"delete range", DeleteRange{.range = {"a/", "a0"}}, rights::kWrite},
      {"txn that reads", Txn{.then = {Get{.key = in}}}, rights::kRead},
      {"txn that compares", Txn{.compares = {{.key = in}}, .otherwise = {Delete{.key = in}}},
       rights::kRead | rights::kWrite},
      {"rate limit", RateLimit{.name = in}, rights::kWrite},
  };
  for (const auto& row : kRows) {
    for (uint8_t bits = 0; bits <= rights::kAll; ++bits) {
      const Caller caller = with(bits);
      EXPECT_EQ(permit(&caller, row.command).ok(), (bits & row.needs) == row.needs)
          << row.what << " with " << int{bits};
    }
  }
}

TEST(permit, a_fence_needs_the_lock_and_the_key) {
  const Command fenced = Fenced{{{}, "l/1", Token(1)}, Put{.key = "a/1"}};
  constexpr auto kLock = static_cast<uint8_t>(ServiceId::kLock);
  const Caller only_keys = with(rights::kAll);
  const Caller reads_locks(
      "ada", {{kKv, false, 0, "a/", rights::kWrite}, {kLock, false, 0, "l/", rights::kRead}});
  const Caller writes_locks(
      "ada", {{kKv, false, 0, "a/", rights::kWrite}, {kLock, false, 0, "l/", rights::kWrite}});
  const Caller only_locks("ada", {{kLock, false, 0, "l/", rights::kAll}});
  EXPECT_EQ(permit(&only_keys, fenced).code(), Code::kPermissionDenied);
  EXPECT_EQ(permit(&reads_locks, fenced).code(), Code::kPermissionDenied);
  EXPECT_TRUE(permit(&writes_locks, fenced).ok());
  EXPECT_EQ(permit(&only_locks, fenced).code(), Code::kPermissionDenied);
  EXPECT_TRUE(permit(&writes_locks, Fence{{}, "l/1", Token(1)}).ok());
  EXPECT_FALSE(permit(&writes_locks, Fence{{}, "m/1", Token(1)}).ok());
  EXPECT_FALSE(permit(&writes_locks, Fence{DomainId(1), "l/1", Token(1)}).ok());
}

TEST(permit, each_query_needs_reading) {
  const Query kRows[] = {Get{.key = "a/1"}, GetMany{.keys = {"a/1", "a/2"}},
                         Scan{.range = {"a/", "a0"}}, Changes{.prefix = "a/b"}};
  const Caller reader = with(rights::kRead);
  const Caller writer = with(rights::kWrite);
  for (const Query& query : kRows) {
    EXPECT_TRUE(permit(&reader, query).ok());
    EXPECT_EQ(permit(&writer, query).code(), Code::kPermissionDenied);
  }
}

TEST(permit, one_key_outside_refuses_the_whole) {
  const Caller caller = with(rights::kAll);
  const Command kCommands[] = {
      Put{.key = "b"},
      Put{.keyspace = KeyspaceId(1), .key = "a/1"},
      PutMany{.items = {{.key = "a/1"}, {.key = "b"}}},
      DeleteMany{.keys = {"a/1", "b"}},
      DeleteRange{.range = {"a/", "b"}},
      DeleteRange{},
      Txn{.then = {Put{.key = "a/1"}, Put{.key = "b"}}},
      Txn{.compares = {{.key = "b"}}},
      ExpireDue{},
      CreateIndex{.index = "i", .path = "a"},
      DropIndex{.index = "i"},
      SetCompression{.revision = 1},
  };
  for (const Command& command : kCommands) {
    EXPECT_EQ(permit(&caller, command).code(), Code::kPermissionDenied) << command.index();
  }
  const Query kQueries[] = {
      GetMany{.keys = {"a/1", "b"}}, Scan{}, Changes{}, Stats{}, Find{.index = "i"}, Indexes{}};
  for (const Query& query : kQueries) {
    EXPECT_EQ(permit(&caller, query).code(), Code::kPermissionDenied) << query.index();
  }
}

TEST(permit, an_index_speaks_of_the_whole_keyspace) {
  const Caller reader("ada", {{kKv, false, 0, "", rights::kRead}});
  EXPECT_TRUE(permit(&reader, Query(Find{.index = "i"})).ok());
  EXPECT_FALSE(permit(&reader, Command(CreateIndex{.index = "i", .path = "a"})).ok());
  const Caller admin("bob", {{kKv, false, 0, "", rights::kAdmin}});
  EXPECT_TRUE(permit(&admin, Command(CreateIndex{.index = "i", .path = "a"})).ok());
  EXPECT_TRUE(permit(&admin, Command(DropIndex{.index = "i"})).ok());
  EXPECT_FALSE(permit(&admin, Query(Find{.index = "i"})).ok());
}

TEST(permit, nobody_in_particular_may_do_everything) {
  EXPECT_TRUE(permit(nullptr, Put{.key = "b"}).ok());
  EXPECT_TRUE(permit(nullptr, Stats{}).ok());
}

}  // namespace
}  // namespace quorate::service::kv
