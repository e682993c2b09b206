// SPDX-License-Identifier: Apache-2.0
// Keyspaces over a cluster of four groups and a catalogue.
#include "service/kv/keyspaces.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "service/kv/cluster_test.h"

namespace quorate::service::kv {
namespace {

using Stage = KeyspaceSettings::Stage;

class KeyspacesTest : public ::testing::TestWithParam<bool> {
 protected:
  KeyspacesTest() { cluster.reads_here = GetParam(); }

  auto note() {
    return [this](const Status& status, const Keyspace& keyspace) {
      said = status;
      last = keyspace;
    };
  }
  Status create(const std::string& name, uint32_t partitions = 1, Keyspaces::Wishes wishes = {}) {
    keyspaces.create({.name = name, .partitions = partitions, .wishes = wishes}, note());
    return said;
  }
  KeyspaceId resolve(const std::string& name) {
    KeyspaceId number(999);
    keyspaces.resolve(name, [&](const Status& status, KeyspaceId id) {
      said = status;
      number = id;
    });
    return number;
  }
  Status put(KeyspaceId keyspace, const std::string& key, const std::string& value = "v") {
    Status put;
    api.write(Put{.keyspace = keyspace, .key = key, .value = value}, {},
              [&](const Status& status, const Written&, const Origin& origin) {
                put = status;
                groups.insert(origin.group);
              });
    return put;
  }
  std::string names(const std::string& after = "", uint32_t limit = 100) {
    std::string text;
    keyspaces.list(after, limit, [&](const Status& status, const Keyspaces::List& list) {
      said = status;
      for (const Keyspace& keyspace : list.keyspaces) {
        text += keyspace.name + " ";
      }
      text += list.more ? "..." : "";
    });
    return text;
  }

  Cluster cluster;
  Api api{cluster};
  Keyspaces keyspaces{api, cluster};
  Status said;
  Keyspace last;
  std::set<GroupId> groups;
};

TEST_P(KeyspacesTest, one_partition_is_one_group_and_more_spread) {
  ASSERT_TRUE(create("one").ok()) << said.to_string();
  EXPECT_EQ(last.settings.stage, Stage::kReady);
  ASSERT_TRUE(create("four", 4).ok());
  for (const auto& [name, expected] : {std::pair("one", 1u), std::pair("four", 4u)}) {
    const KeyspaceId id = resolve(name);
    groups.clear();
    for (int number = 0; number < 40; ++number) {
      EXPECT_TRUE(put(id, "k" + std::to_string(number)).ok());
    }
    EXPECT_EQ(groups.size(), expected) << name;
    EXPECT_EQ(api.groups_of(id, {}).size(), expected);
  }
  EXPECT_EQ(resolve("default"), KeyspaceId());
}

TEST_P(KeyspacesTest, keyspaces_hold_different_keys) {
  ASSERT_TRUE(create("a").ok());
  ASSERT_TRUE(create("b").ok());
  ASSERT_TRUE(put(resolve("a"), "k", "1").ok());
  ASSERT_TRUE(put(resolve("b"), "k", "2").ok());
  api.get(
      {.keyspace = resolve("a"), .key = "k"}, {},
      [](const Status&, const Found& found, const Origin&) { EXPECT_EQ(found.item.value, "1"); });
  api.get({.key = "k"}, {}, [](const Status& status, const Found&, const Origin&) {
    EXPECT_EQ(status.code(), Code::kNotFound);
  });
}

TEST_P(KeyspacesTest, a_quota_is_shared_out_and_may_change) {
  ASSERT_TRUE(create("small", 2, {.keys_max = 10, .bytes_max = {}}).ok());
  const KeyspaceId id = resolve("small");
  size_t stored = 0;
  for (int number = 0; number < 100; ++number) {
    stored += put(id, "k" + std::to_string(number)).ok() ? 1 : 0;
  }
  EXPECT_EQ(stored, 10u);
  keyspaces.change("small", {.keys_max = 20, .bytes_max = {}}, note());
  EXPECT_TRUE(said.ok());
  EXPECT_EQ(last.settings.revision, 2u);
  for (int number = 0; number < 100; ++number) {
    stored += put(id, "n" + std::to_string(number)).ok() ? 1 : 0;
  }
  EXPECT_EQ(stored, 20u);
  keyspaces.change("default", {.keys_max = 4, .bytes_max = {}}, note());
  EXPECT_TRUE(said.ok()) << said.to_string();
  stored = 0;
  for (int number = 0; number < 100; ++number) {
    stored += put({}, "d" + std::to_string(number)).ok() ? 1 : 0;
  }
  EXPECT_EQ(stored, 4u);
}

TEST_P(KeyspacesTest, what_was_dropped_is_gone_and_its_name_free) {
  ASSERT_TRUE(create("a").ok());
  const KeyspaceId old = resolve("a");
  ASSERT_TRUE(put(old, "k").ok());
  keyspaces.drop("a", note());
  EXPECT_TRUE(said.ok());
  (void)resolve("a");
  EXPECT_EQ(said.code(), Code::kNotFound);
  EXPECT_EQ(put(old, "k").code(), Code::kNotFound) << "a write that was under way";
  ASSERT_TRUE(create("a").ok());
  EXPECT_NE(resolve("a"), old);
  keyspaces.drop("nobody", note());
  EXPECT_EQ(said.code(), Code::kNotFound);
  keyspaces.drop("default", note());
  EXPECT_EQ(said.code(), Code::kInvalidArgument);
}

TEST_P(KeyspacesTest, what_one_began_another_one_finishes) {
  cluster.weather[GroupId(2)] = Status(Code::kUnavailable, "no leader");
  EXPECT_EQ(create("a", 4, {.keys_max = 4, .bytes_max = {}}).code(), Code::kUnavailable);
  (void)resolve("a");
  EXPECT_EQ(said.code(), Code::kUnavailable) << "no write before its quota";
  cluster.weather.clear();
  const KeyspaceId id = resolve("a");
  EXPECT_TRUE(said.ok());
  size_t stored = 0;
  for (int number = 0; number < 100; ++number) {
    stored += put(id, "k" + std::to_string(number)).ok() ? 1 : 0;
  }
  EXPECT_EQ(stored, 4u);
  cluster.weather[GroupId(3)] = Status(Code::kUnavailable, "no leader");
  keyspaces.drop("a", note());
  EXPECT_EQ(said.code(), Code::kUnavailable);
  cluster.weather.clear();
  (void)resolve("a");
  EXPECT_EQ(said.code(), Code::kNotFound) << "it is being dropped";
  keyspaces.drop("a", note());
  EXPECT_TRUE(said.ok()) << said.to_string();
  EXPECT_TRUE(create("a").ok()) << said.to_string();
}

TEST_P(KeyspacesTest, the_list_is_in_order_and_has_the_default) {
  EXPECT_EQ(names(), "default ");
  for (const char* name : {"zebra", "ant", "cow"}) {
    ASSERT_TRUE(create(name).ok());
  }
  EXPECT_EQ(names(), "ant cow default zebra ");
  EXPECT_EQ(names("cow"), "default zebra ");
  EXPECT_EQ(names("", 2), "ant cow ...");
  keyspaces.change("default", {.keys_max = 4, .bytes_max = {}}, note());
  EXPECT_EQ(names(), "ant cow default zebra ");
}

TEST_P(KeyspacesTest, wrong_names_and_partitions_are_refused) {
  for (const char* name : {"", "a/b", "a b", "\xff"}) {
    EXPECT_EQ(create(name).code(), Code::kInvalidArgument) << name;
  }
  EXPECT_EQ(create("a", 0).code(), Code::kInvalidArgument);
  EXPECT_EQ(create("a", 5).code(), Code::kInvalidArgument);
  EXPECT_EQ(create("default").code(), Code::kAlreadyExists);
  EXPECT_TRUE(create("a").ok());
  EXPECT_EQ(create("a").code(), Code::kAlreadyExists);
}

INSTANTIATE_TEST_SUITE_P(catalogue, KeyspacesTest, ::testing::Values(true, false),
                         [](const auto& row) { return row.param ? "here" : "elsewhere"; });

}  // namespace
}  // namespace quorate::service::kv
