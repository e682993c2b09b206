// SPDX-License-Identifier: Apache-2.0
// Transactions, ranges and watches over HTTP.
#include <boost/json.hpp>

#include "edge/http/kv_testing.h"

namespace quorate::edge::http {
namespace {

namespace json = boost::json;

class WatchOverHttp : public KvOverHttp {
 protected:
  std::shared_ptr<CaughtExchange> watch(std::string query, TestHeaders headers = {}) {
    return begin(router_, Method::kGet, "/v1/kv:watch" + query, "", std::move(headers));
  }
  // As often as a group that is elsewhere needs.
  std::string seen(const CaughtExchange& exchange) {
    timer_.fire(50);
    return exchange.caught == nullptr ? "no stream" : std::exchange(exchange.caught->bytes, {});
  }
  void put(std::string key, std::string value) { say(Method::kPut, "/v1/kv/" + key, value); }
};

TEST_F(WatchOverHttp, lines_tell_each_change_with_what_was_before) {
  put("{a}1", "old");
  const auto lines = watch("?prefix={a}");
  EXPECT_EQ(lines->answer.content_type, "application/x-ndjson");
  EXPECT_EQ(seen(*lines), R"({"type":"ready","cursor":"2:1"})"
                          "\n");
  put("{a}1", "new");
  say(Method::kDelete, "/v1/kv/{a}1");
  EXPECT_EQ(seen(*lines),
            R"({"type":"put","key":"{a}1","value":"new","version":2,"previous":"old",)"
            R"("revision":2,"group":2,"cursor":"2:2"})"
            "\n"
            R"({"type":"delete","key":"{a}1","previous":"new","revision":3,"group":2,)"
            R"("cursor":"2:3"})"
            "\n");
}

TEST_F(WatchOverHttp, events_have_their_cursor_as_id_and_go_on_after_it) {
  const auto first = watch("?prefix=k", {{"Accept", "text/event-stream"}});
  EXPECT_EQ(first->answer.content_type, "text/event-stream");
  EXPECT_NE(seen(*first).find("event: ready\nid: 1:0,2:0\ndata: {"), std::string::npos);
  put("k1", "1");
  const std::string events = seen(*first);
  const size_t id = events.find("id: ") + 4;
  const std::string cursor = events.substr(id, events.find('\n', id) - id);
  first->caught->finish();
  put("k2", "2");
  const auto second = watch("?prefix=k&format=events", {{"Last-Event-ID", cursor}});
  const std::string rest = seen(*second);
  EXPECT_EQ(rest.find("\"key\":\"k1\""), std::string::npos) << rest;
  EXPECT_NE(rest.find("\"key\":\"k2\""), std::string::npos) << rest;
}

TEST_F(WatchOverHttp, a_slow_reader_is_waited_for_and_one_that_left_is_forgotten) {
  const auto lines = watch("?prefix={a}");
  lines->caught->queued = 1'000'000;
  (void)seen(*lines);
  put("{a}1", "1");
  EXPECT_EQ(seen(*lines), "");
  lines->caught->queued = 0;
  EXPECT_NE(seen(*lines).find("{a}1"), std::string::npos);
  lines->caught->finish();
  timer_.fire(50);
  EXPECT_TRUE(timer_.idle()) << "nobody watches, so nothing runs";
}

TEST_F(WatchOverHttp, a_quiet_watch_says_now_and_then_how_far_it_is) {
  const auto lines = watch("?prefix={a}");
  (void)seen(*lines);
  put("{a}1", "1");
  (void)seen(*lines);
  clock_.monotonic = clock_.monotonic + Duration::seconds(6);
  EXPECT_EQ(seen(*lines), R"({"type":"progress","cursor":"2:1"})"
                          "\n");
}

TEST_F(WatchOverHttp, wrong_cursors_are_refused_before_the_stream_begins) {
  for (const char* query : {"?after=x", "?after=7", "?after=1:1", "?after=1:0,2:99",
                            "?after=1:0,2:", "?after=", "?after=1:0,2:0,3:0,4:0", "?format=xml",
                            "?prefx=a", "?prefix_base64=!", "?prefix={a}&after=99"}) {
    EXPECT_EQ(watch(query)->answer.status, 400) << query;
  }
  EXPECT_EQ(watch("?after=1:0,2:0")->answer.status, 200);
  EXPECT_EQ(watch("?prefix={a}&after=0")->answer.status, 200);
}

TEST_F(WatchOverHttp, a_cursor_from_before_the_history_is_compacted) {
  put("{a}1", "1");
  for (int number = 0; number < 6; ++number) {
    put("{a}1", std::string(1'000'000, 'x'));
  }
  const auto late = watch("?prefix={a}&after=0");
  EXPECT_EQ(late->answer.status, 412);
  EXPECT_NE(late->answer.body.find("\"details\":{\"compacted\":true}"), std::string::npos)
      << late->answer.body;
}

TEST_F(WatchOverHttp, a_transaction_does_one_list_or_the_other) {
  const std::string body =
      R"({"compare":[{"key":"{u}seat","exists":false}],)"
      R"("then":[{"op":"put","key":"{u}seat","value":"12A","ttl":"10s"},)"
      R"({"op":"increment","key":"{u}n","by":-2},{"op":"append","key":"{u}log","value":"x"}],)"
      R"("else":[{"op":"get","key":"{u}seat"},{"op":"delete","key":"{u}seat","if_version":9},)"
      R"({"op":"touch","key":"{u}seat","persist":true},)"
      R"({"op":"set_range","key":"{u}seat","offset":1,"value":"3"}]})";
  EXPECT_EQ(say(Method::kPost, "/v1/kv:txn", body).body,
            R"({"held":true,"revision":3,"answers":[{"version":1,"revision":1,"bytes":3},)"
            R"({"value":-2,"version":1,"revision":2},{"version":1,"revision":3,"bytes":1}]})"
            "\n");
  const json::value second = json::parse(say(Method::kPost, "/v1/kv:txn", body).body);
  EXPECT_FALSE(second.at("held").as_bool());
  EXPECT_EQ(second.at("answers").at(0).at("value").as_string(), "12A");
  EXPECT_EQ(second.at("answers").at(1).at("error").at("code").as_string(), "precondition_failed");
  EXPECT_TRUE(second.at("answers").at(2).at("ttl_ms").is_null());
  EXPECT_EQ(say(Method::kGet, "/v1/kv/{u}seat").body, "13A");
}

TEST_F(WatchOverHttp, wrong_transactions_are_refused_before_anything_is_proposed) {
  groups_.weather = Status(Code::kInternal, "must not be reached");
  for (const char* body :
       {"{}", R"({"then":{}})", R"({"then":[1]})", R"({"then":[{"op":"put","key":"a"}]})",
        R"({"then":[{"op":"jump","key":"a"}]})", R"({"then":[{"op":"get"}]})",
        R"({"then":[{"op":"get","key":"a","value":"1"}]})",
        R"({"then":[{"op":"touch","key":"a"}]})",
        R"({"then":[{"op":"put","key":"a","value":"1","ttl":"1s","keep_ttl":true}]})",
        R"({"then":[{"op":"put","key":"a","value":"1","if_version":1,"if_absent":true}]})",
        R"({"compare":[{"key":"a"}],"then":[{"op":"get","key":"a"}]})",
        R"({"compare":[{"key":"a","version":1,"value":"x"}]})",
        R"({"compare":[{"key":"a","version":1,"is":"~"}]})",
        R"({"compare":[{"key":"a","exists":true,"is":"<"}]})",
        R"({"then":[{"op":"increment","key":"a","by":"1"}]})",
        R"({"then":[{"op":"get","key":"a"},{"op":"get","key":"b"}]})"}) {
    EXPECT_EQ(say(Method::kPost, "/v1/kv:txn", body).status, 400) << body;
  }
}

TEST_F(WatchOverHttp, a_range_is_deleted_and_everything_only_by_name) {
  for (const char* key : {"k1", "k2", "k3", "x"}) {
    put(key, key);
  }
  EXPECT_EQ(say(Method::kPost, "/v1/kv:delete_range", "{}").status, 400);
  EXPECT_EQ(say(Method::kPost, "/v1/kv:delete_range", R"({"prefix":""})").status, 400);
  EXPECT_EQ(say(Method::kPost, "/v1/kv:delete_range", R"({"start":"k2","end":"k3"})").body,
            "{\"count\":1,\"more\":false}\n");
  EXPECT_EQ(say(Method::kPost, "/v1/kv:delete_range", R"({"prefix":"k"})").body,
            "{\"count\":2,\"more\":false}\n");
  EXPECT_EQ(say(Method::kPost, "/v1/kv:delete_range", R"({"all":true})").body,
            "{\"count\":1,\"more\":false}\n");
}

TEST_F(WatchOverHttp, a_part_of_a_value_is_overwritten) {
  put("k", "hello");
  EXPECT_NE(say(Method::kPost, "/v1/kv/k/set_range?offset=7", "W").body.find("\"bytes\":8"),
            std::string::npos);
  EXPECT_EQ(say(Method::kGet, "/v1/kv/k").body, std::string("hello\0\0W", 8));
  EXPECT_EQ(say(Method::kPost, "/v1/kv/k/set_range", "W").status, 400);
}

TEST_F(WatchOverHttp, a_touch_may_depend_on_when_the_key_ends_now) {
  put("k?ttl=10s", "v");
  EXPECT_NE(say(Method::kPost, "/v1/kv/k/touch?ttl=5s&when=if_later").body.find("\"count\":0"),
            std::string::npos);
  EXPECT_NE(say(Method::kPost, "/v1/kv/k/touch?ttl=5s&when=if_sooner").body.find("\"count\":1"),
            std::string::npos);
  EXPECT_EQ(say(Method::kPost, "/v1/kv/k/touch?ttl=5s&when=never").status, 400);
}

}  // namespace
}  // namespace quorate::edge::http
