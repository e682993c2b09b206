// SPDX-License-Identifier: Apache-2.0
// The api over a cluster of four groups.
#include "service/kv/api.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "service/kv/cluster_test.h"

namespace quorate::service::kv {
namespace {

class ApiTest : public ::testing::Test {
 protected:
  std::string put(std::string_view key, std::string_view value, const WriteOptions& options = {}) {
    std::string said = "nothing";
    api.write(Put{.key = key, .value = value}, options,
              [&](const Status& status, const Written& written, const Origin&) {
                said = status.ok() ? "version " + std::to_string(written.version)
                                   : status.to_string();
              });
    return said;
  }
  std::string get(std::string_view key) {
    std::string said = "nothing";
    api.get({.key = key}, {}, [&](const Status& status, const Found& found, const Origin&) {
      said = status.ok() ? std::string(found.item.value) : status.to_string();
    });
    return said;
  }
  Status put_many(const std::vector<std::string>& keys, const WriteOptions& options = {},
                  bool if_all_absent = false) {
    PutMany command{.if_all_absent = if_all_absent, .items = {}};
    for (const std::string& key : keys) {
      command.items.push_back({.key = key, .value = key});
    }
    Status said;
    api.put_many(command, options, [&](const Status& status, const Stored& stored, const Origin&) {
      said = status;
      count = stored.count;
    });
    return said;
  }
  // All pages of a scan, joined.
  std::vector<std::string> scan(Scan query) {
    std::vector<std::string> keys;
    std::string resume;
    for (int page = 0; page < 10'000; ++page) {
      bool ended = false;
      api.scan(query, {}, [&](const Status& status, const Page& answer, const Origin&) {
        EXPECT_TRUE(status.ok()) << status.to_string();
        for (const Item& item : answer.items) {
          keys.emplace_back(item.key);
        }
        ended = answer.resume.empty();
        resume = answer.resume;
      });
      if (ended) {
        return keys;
      }
      if (query.backwards) {
        query.range.end = resume;
      } else {
        resume.push_back('\0');
        query.range.begin = resume;
      }
    }
    ADD_FAILURE() << "a scan without end";
    return keys;
  }
  static std::vector<std::string> many_keys(size_t count) {
    std::vector<std::string> keys;
    for (size_t number = 0; number < count; ++number) {
      keys.push_back("key" + std::to_string(1'000 + number));
    }
    return keys;
  }

  Cluster cluster;
  Api api{cluster};
  uint64_t count = 0;
};

TEST_F(ApiTest, what_is_put_is_read_in_place_and_by_query_alike) {
  EXPECT_EQ(put("a", "1"), "version 1");
  EXPECT_EQ(put("a", "2"), "version 2");
  EXPECT_EQ(get("a"), "2");
  EXPECT_EQ(get("b"), "not_found: no such key");
  cluster.reads_here = false;
  EXPECT_EQ(get("a"), "2");
  EXPECT_EQ(get("b"), "not_found: no such key");
  EXPECT_EQ(get(""), "invalid_argument: a key is not empty");
  cluster.reads_here = true;
  EXPECT_EQ(get(""), "invalid_argument: a key is not empty");
  EXPECT_EQ(put("", "x"), "invalid_argument: a key is not empty");
}

TEST_F(ApiTest, refusals_and_weather_come_as_one_status) {
  put("a", "1");
  std::string said;
  api.write(Increment{.key = "a", .delta = INT64_MAX}, {},
            [&](const Status& status, const Counted&, const Origin&) {
              said = status.to_string();
            });
  EXPECT_EQ(said, "precondition_failed: increment or decrement would overflow");
  cluster.weather[api.group_of("a")] = Status(Code::kUnavailable, "no leader");
  EXPECT_EQ(put("a", "2"), "unavailable: no leader");
  EXPECT_EQ(get("a"), "unavailable: no leader");
}

TEST_F(ApiTest, a_retry_with_the_same_key_is_applied_once) {
  const WriteOptions once{.key = CommandKey::of("order-1")};
  EXPECT_EQ(put("a", "1", once), "version 1");
  EXPECT_EQ(put("a", "1", once), "version 1");
  EXPECT_EQ(put("a", "1"), "version 2");
}

TEST_F(ApiTest, a_batch_is_one_command_per_group) {
  const std::vector<std::string> keys = many_keys(500);
  ASSERT_TRUE(put_many(keys).ok());
  EXPECT_EQ(count, 500u);
  EXPECT_EQ(cluster.proposals, kGroups);
  GetMany query;
  for (const std::string& key : keys) {
    query.keys.push_back(key);
  }
  query.keys.push_back("none");
  size_t found = 0;
  api.get_many(query, {}, [&](const Status& status, const Items& items, const Origin&) {
    ASSERT_TRUE(status.ok());
    ASSERT_EQ(items.items.size(), 501u);
    for (size_t at = 0; at < 500; ++at) {
      found += items.items[at].value == keys[at] ? 1 : 0;
    }
    EXPECT_FALSE(items.items[500].found());
  });
  EXPECT_EQ(found, 500u);
  api.delete_many({.keys = query.keys}, {},
                  [&](const Status&, const Removed& removed, const Origin&) {
                    EXPECT_EQ(removed.count, 500u);
                  });
}

TEST_F(ApiTest, a_batch_done_in_part_is_an_unknown_outcome_that_a_retry_completes) {
  const std::vector<std::string> keys = many_keys(100);
  const WriteOptions once{.key = CommandKey::of("batch-1")};
  cluster.weather[GroupId(3)] = Status(Code::kUnavailable, "no leader");
  const Status status = put_many(keys, once);
  EXPECT_EQ(status.code(), Code::kUnknownOutcome);
  EXPECT_EQ(count, 0u);
  cluster.weather.clear();
  ASSERT_TRUE(put_many(keys, once).ok());
  EXPECT_EQ(count, 100u);
  cluster.reads_here = false;
  api.get_many({.keys = {keys.begin(), keys.end()}}, {},
               [&](const Status&, const Items& items, const Origin&) {
                 for (const Item& item : items.items) {
                   EXPECT_EQ(item.version, 1u);
                 }
               });
}

TEST_F(ApiTest, a_batch_refused_by_all_groups_keeps_its_status) {
  for (uint32_t number = 1; number <= kGroups; ++number) {
    cluster.weather[GroupId(number)] = Status(Code::kUnavailable, "no leader");
  }
  EXPECT_EQ(put_many(many_keys(100)).code(), Code::kUnavailable);
  EXPECT_EQ(put_many({}).code(), Code::kInvalidArgument);
}

TEST_F(ApiTest, what_must_be_atomic_or_in_a_session_stays_in_one_group) {
  EXPECT_EQ(put_many(many_keys(20), {.session = SessionId(1), .sequence = 1}).code(),
            Code::kInvalidArgument);
  EXPECT_EQ(put_many(many_keys(20), {}, true).code(), Code::kInvalidArgument);
  EXPECT_TRUE(put_many({"{t}a", "{t}b"}, {}, true).ok());
  EXPECT_EQ(put_many({"{t}b", "{t}c"}, {}, true).code(), Code::kAlreadyExists);
  Status said;
  const auto done = [&](const Status& status, const TxnDone&, const Origin&) { said = status; };
  api.txn({.keyspace = {},
           .compares = {{.key = "{t}a"}},
           .then = {Put{.key = "{t}b", .value = "1"}},
           .otherwise = {Get{.key = "{t}c"}}},
          {}, done);
  EXPECT_TRUE(said.ok());
  api.txn({.compares = {{.key = "{t}a"}, {.key = "{u}b"}}}, {}, done);
  EXPECT_EQ(said.code(), Code::kInvalidArgument);
}

TEST_F(ApiTest, pages_of_all_groups_merge_into_one_order) {
  const std::vector<std::string> keys = many_keys(500);
  ASSERT_TRUE(put_many(keys).ok());
  for (const uint64_t limit : {0, 1, 7, 100, 500}) {
    EXPECT_EQ(scan({.range = {}, .limit = limit}), keys) << limit;
    EXPECT_EQ(scan({.range = {}, .backwards = true, .limit = limit}),
              std::vector<std::string>(keys.rbegin(), keys.rend()))
        << limit;
  }
  EXPECT_EQ(scan({.range = {}, .bytes_max = 200}), keys);
  EXPECT_EQ(scan({.range = {"key1100", "key1110"}, .limit = 3}),
            std::vector<std::string>(keys.begin() + 100, keys.begin() + 110));
}

TEST_F(ApiTest, a_prefix_with_a_tag_asks_one_group) {
  put("{user1}a", "1");
  put("{user1}b", "2");
  for (uint32_t number = 1; number <= kGroups; ++number) {
    if (GroupId(number) != api.group_of("{user1}")) {
      cluster.weather[GroupId(number)] = Status(Code::kUnavailable, "not asked");
    }
  }
  const std::string prefix = "{user1}";
  const std::string end = prefix_end(prefix);
  EXPECT_EQ(scan({.range = {prefix, end}}),
            (std::vector<std::string>{"{user1}a", "{user1}b"}));
}

TEST_F(ApiTest, ranges_are_removed_in_all_groups_and_stats_are_sums) {
  ASSERT_TRUE(put_many(many_keys(200)).ok());
  api.stats({}, {}, [](const Status&, const Usage& usage, const Origin&) {
    EXPECT_EQ(usage.keys, 200u);
    EXPECT_EQ(usage.bytes, 200u * 14);
  });
  api.delete_range({.range = {}, .limit = 0}, {},
                   [](const Status&, const Removed& removed, const Origin&) {
                     EXPECT_EQ(removed.count, 200u);
                     EXPECT_FALSE(removed.more);
                   });
  EXPECT_TRUE(scan({.range = {}}).empty());
}

TEST_F(ApiTest, the_stalest_part_speaks_for_the_whole) {
  put("a", "1");
  cluster.staleness = Duration::millis(5);
  api.scan({}, {}, [](const Status&, const Page&, const Origin& origin) {
    EXPECT_EQ(origin.staleness, Duration::millis(5));
  });
}

TEST_F(ApiTest, rate_limits_and_changes_are_of_one_group) {
  bool allowed = false;
  api.rate_limit({.name = "login"}, {},
                 [&](const Status&, const Rated& rated, const Origin&) {
                   allowed = rated.allowed;
                 });
  EXPECT_TRUE(allowed);
  put("a", "1");
  size_t seen = 0;
  api.changes(api.group_of("a"), {}, {},
              [&](const Status&, const ChangeList& list, const Origin&) {
                seen = list.changes.size();
              });
  EXPECT_EQ(seen, 1u);
}

}  // namespace
}  // namespace quorate::service::kv
