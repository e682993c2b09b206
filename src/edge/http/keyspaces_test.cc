// SPDX-License-Identifier: Apache-2.0
// Keyspaces over HTTP.
#include <boost/json.hpp>

#include "edge/http/kv_testing.h"

namespace quorate::edge::http {
namespace {

using KeyspacesOverHttp = KvOverHttp;

TEST_F(KeyspacesOverHttp, one_is_made_used_changed_and_dropped) {
  EXPECT_EQ(say(Method::kPost, "/v1/keyspaces", R"({"name":"orders","keys_max":2})").body,
            R"({"name":"orders","id":1,"state":"ready","revision":1,"partitions":1,"keys_max":2,)"
            R"("bytes_max":null,"compress_above":1024})"
            "\n");
  for (const char* key : {"a", "b"}) {
    EXPECT_EQ(say(Method::kPut, std::string("/v1/kv/") + key + "?keyspace=orders", "1").status,
              200);
  }
  const Response full = say(Method::kPut, "/v1/kv/c", "1", {{"Quorate-Keyspace", "orders"}});
  EXPECT_EQ(full.status, 507) << full.body;
  EXPECT_NE(full.body.find("quota_exceeded"), std::string::npos);
  EXPECT_EQ(say(Method::kGet, "/v1/kv/a").status, 404) << "the default keyspace has no such key";
  EXPECT_NE(
      say(Method::kGet, "/v1/keyspaces/orders").body.find(R"("keys":2,"bytes":4,"saved_bytes":0})"),
      std::string::npos);
  EXPECT_EQ(say(Method::kPut, "/v1/keyspaces/orders", R"({"keys_max":null})").status, 200);
  EXPECT_EQ(say(Method::kPut, "/v1/kv/c?keyspace=orders", "1").status, 200);
  EXPECT_EQ(say(Method::kDelete, "/v1/keyspaces/orders").status, 200);
  EXPECT_EQ(say(Method::kPut, "/v1/kv/c?keyspace=orders", "1").status, 404);
}

TEST_F(KeyspacesOverHttp, a_trail_tells_all_that_changed_in_a_group) {
  say(Method::kPost, "/v1/keyspaces", R"({"name":"one","keys_max":9})");
  say(Method::kPut, "/v1/kv/k?keyspace=one", "v");
  const Response made = say(Method::kPost, "/v1/kv/k/touch?keyspace=one&ttl=1h");
  ASSERT_EQ(made.status, 200) << made.body;
  say(Method::kPost, "/v1/kv:create_index?keyspace=one", R"({"index":"i","field":"f"})");
  say(Method::kDelete, "/v1/kv/k?keyspace=one");
  std::string types;
  for (int group = 1; group <= 2; ++group) {
    const Response trail =
        say(Method::kPost, "/v1/kv:trail", R"({"after":0,"group":)" + std::to_string(group) + "}");
    ASSERT_EQ(trail.status, 200) << trail.body;
    const boost::json::value body = boost::json::parse(trail.body);
    EXPECT_EQ(body.at("through"), body.at("revision"));
    for (const boost::json::value& change : body.at("changes").as_array()) {
      types += std::string(change.at("type").as_string()) + " ";
      EXPECT_GT(change.at("at_ms").as_int64(), 0);
      EXPECT_EQ(change.at("type") == "touch", change.as_object().contains("expires_at_ms"));
    }
  }
  EXPECT_EQ(types, "settle settle put touch index delete ");
  EXPECT_EQ(say(Method::kPost, "/v1/kv:trail", R"({"group":1})").status, 400);
  EXPECT_EQ(say(Method::kPost, "/v1/kv:trail", R"({"group":99,"after":0})").status, 400);
  EXPECT_EQ(say(Method::kPost, "/v1/kv:trail", R"({"group":1,"after":99})").status, 400);
}

TEST_F(KeyspacesOverHttp, every_verb_takes_one) {
  say(Method::kPost, "/v1/keyspaces", R"({"name":"s","partitions":2})");
  const std::string in = "?keyspace=s";
  say(Method::kPost, "/v1/kv:put_many" + in,
      R"({"items":[{"key":"a","value":"1"},)"
      R"({"key":"b","value":"2"}]})");
  EXPECT_NE(say(Method::kPost, "/v1/kv:scan" + in, "{}").body.find("\"key\":\"b\""),
            std::string::npos);
  EXPECT_EQ(say(Method::kPost, "/v1/kv:scan", "{}").body, "{\"items\":[]}\n");
  EXPECT_NE(say(Method::kPost, "/v1/kv/n/increment" + in).body.find("\"value\":1"),
            std::string::npos);
  EXPECT_NE(say(Method::kPost, "/v1/kv:txn" + in, R"({"then":[{"op":"get","key":"a"}]})")
                .body.find("\"value\":\"1\""),
            std::string::npos);
  EXPECT_NE(say(Method::kGet, "/v1/kv:stats" + in).body.find("\"keys\":3"), std::string::npos);
  EXPECT_EQ(say(Method::kPost, "/v1/kv:delete_range" + in, R"({"all":true})").body,
            "{\"count\":3,\"more\":false}\n");
}

TEST_F(KeyspacesOverHttp, one_partition_takes_transactions_and_revisions_over_all_its_keys) {
  say(Method::kPost, "/v1/keyspaces", R"({"name":"one"})");
  const std::string keys = R"({"then":[{"op":"put","key":"a","value":"1"},)"
                           R"({"op":"put","key":"b","value":"1"},)"
                           R"({"op":"put","key":"c","value":"1"}]})";
  EXPECT_EQ(say(Method::kPost, "/v1/kv:txn?keyspace=one", keys).status, 200);
  EXPECT_EQ(say(Method::kPost, "/v1/kv:txn", keys).status, 400) << "several groups";
  const auto watch = begin(router_, Method::kGet, "/v1/kv:watch?keyspace=one&after=1");
  timer_.fire(50);
  EXPECT_NE(watch->caught->bytes.find("\"revision\":3"), std::string::npos);
}

TEST_F(KeyspacesOverHttp, a_group_is_dumped_with_all_its_keyspaces) {
  say(Method::kPost, "/v1/keyspaces", R"({"name":"a","partitions":2})");
  for (const char* target : {"/v1/kv/1", "/v1/kv/2?ttl=10s", "/v1/kv/3?keyspace=a"}) {
    say(Method::kPut, target, target);
  }
  size_t entries = 0;
  for (int group = 1; group <= 2; ++group) {
    boost::json::object query = {{"group", group}};
    for (bool complete = false; !complete;) {
      const Response page = say(Method::kPost, "/v1/kv:dump", boost::json::serialize(query));
      ASSERT_EQ(page.status, 200) << page.body;
      const boost::json::value body = boost::json::parse(page.body);
      entries += body.at("entries").as_array().size();
      complete = body.at("complete").as_bool();
      query["cursor"] = body.at("cursor");
    }
  }
  EXPECT_EQ(entries, 3u);
  for (const char* wrong : {"{}", R"({"group":0})", R"({"group":3})", R"({"group":1,"cursor":"x"})",
                            R"({"group":1,"cursor":"AAA="})"}) {
    EXPECT_EQ(say(Method::kPost, "/v1/kv:dump", wrong).status, 400) << wrong;
  }
}

TEST_F(KeyspacesOverHttp, wrong_requests_are_refused) {
  EXPECT_EQ(say(Method::kPost, "/v1/keyspaces", "{}").status, 400);
  EXPECT_EQ(say(Method::kPost, "/v1/keyspaces", R"({"name":"a","partitions":3})").status, 400);
  EXPECT_EQ(say(Method::kPost, "/v1/keyspaces", R"({"name":"a","keys_max":-1})").status, 400);
  EXPECT_EQ(say(Method::kPost, "/v1/keyspaces", R"({"name":"default"})").status, 409);
  EXPECT_EQ(say(Method::kDelete, "/v1/keyspaces/default").status, 400);
  EXPECT_EQ(say(Method::kGet, "/v1/keyspaces/none").status, 404);
  EXPECT_EQ(say(Method::kGet, "/v1/kv/a?keyspace=none").status, 404);
  EXPECT_EQ(say(Method::kGet, "/v1/keyspaces?limit=x").status, 400);
  EXPECT_NE(say(Method::kGet, "/v1/keyspaces").body.find("\"default\""), std::string::npos);
}

}  // namespace
}  // namespace quorate::edge::http
