// SPDX-License-Identifier: Apache-2.0
// The rows of keys and values against real machines, without sockets and without consensus: two
// groups that apply what is proposed at once.
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "base/text.h"
#include "edge/http/bind_kv.h"
#include "edge/http/testing.h"
#include "service/group_machine.h"

namespace quorate::edge::http {
namespace {

namespace kv = service::kv;

class TwoGroups final : public service::Proposer, public service::AnswerSink {
 public:
  TwoGroups() {
    registry_.add(service::ServiceId::kKv, [] { return service::host<kv::State>(); });
    for (uint32_t id = 1; id <= 2; ++id) {
      machines_.push_back(std::make_unique<service::GroupMachine>(registry_, GroupId(id)));
    }
  }

  void propose(const service::Command& command, service::Done done) override {
    if (!weather.ok()) {
      done(weather, {}, {});
      return;
    }
    service::BatchWriter batch;
    batch.add({.service = command.service, .key = command.key, .body = command.body});
    ++index_;
    ASSERT_TRUE(machine(command.group).apply(batch.take(), {now, index_}, this).ok());
    done(status_, answer_, {command.group, index_, {}, NodeId(7)});
  }
  void query(const service::Query& query, service::Done done) override {
    std::string answer;
    const Status status = machine(query.group).query(query.service, query.body, now, answer);
    last_mode = query.mode;
    done(status, answer, {query.group, index_, Duration::millis(3), NodeId(7)});
  }
  service::LocalRead read_here(GroupId, service::ServiceId, service::ReadMode) override {
    return {};
  }
  [[nodiscard]] uint32_t groups() const override { return 2; }
  [[nodiscard]] GroupId group_of_slot(uint16_t slot) const override {
    return GroupId(slot < kSlots / 2 ? 1 : 2);
  }
  void on_answer(size_t, const Status& status, std::string_view answer) override {
    status_ = status;
    answer_ = answer;
  }

  Stamp now = Stamp::from_millis(1'000'000);
  Status weather;
  service::ReadMode last_mode;

 private:
  service::GroupMachine& machine(GroupId group) { return *machines_[group.value() - 1]; }

  service::Registry registry_;
  std::vector<std::unique_ptr<service::GroupMachine>> machines_;
  Index index_;
  Status status_;
  std::string answer_;
};

class StampClock final : public env::Clock {
 public:
  explicit StampClock(const TwoGroups& groups) : groups_(groups) {}
  [[nodiscard]] Instant now() const override { return Instant(); }
  [[nodiscard]] Stamp wall() const override { return groups_.now; }

 private:
  const TwoGroups& groups_;
};

class KvOverHttp : public testing::Test {
 protected:
  KvOverHttp() { bind_kv(api_, clock_, router_); }

  Response say(Method method, std::string target, std::string body = {}, TestHeaders headers = {}) {
    return ask(router_, method, std::move(target), std::move(body), std::move(headers));
  }
  static std::string header(const Response& response, std::string_view name) {
    for (const auto& [header_name, value] : response.headers) {
      if (header_name == name) {
        return value;
      }
    }
    return "none";
  }

  TwoGroups groups_;
  StampClock clock_{groups_};
  kv::Api api_{groups_};
  Router router_;
};

TEST_F(KvOverHttp, any_bytes_go_in_and_come_out) {
  const std::string bytes("\0\xff\r\n\"{}", 7);
  const std::string path = "/v1/kv/" + percent_encode(bytes);
  EXPECT_EQ(say(Method::kPut, path, bytes).body, "{\"version\":1,\"revision\":1}\n");
  const Response got = say(Method::kGet, path);
  EXPECT_EQ(got.body, bytes);
  EXPECT_EQ(got.content_type, "application/octet-stream");
  EXPECT_EQ(header(got, "ETag"), "\"1\"");
  EXPECT_EQ(header(got, "Quorate-Node"), "7");
  EXPECT_EQ(header(got, "Quorate-Staleness-Ms"), "3");
  const Response json = say(Method::kGet, path, "", {{"Accept", "application/json"}});
  const boost::json::value parsed = boost::json::parse(json.body);
  EXPECT_EQ(base64_decode(std::string_view(parsed.at("key_base64").as_string())), bytes);
  EXPECT_EQ(base64_decode(std::string_view(parsed.at("value_base64").as_string())), bytes);
  EXPECT_EQ(say(Method::kPut, "/v1/kv/a/b/c", "x").status, 200);
  EXPECT_EQ(say(Method::kGet, "/v1/kv/a%2Fb%2Fc").body, "x");
}

struct ConditionRow {
  const char* query;
  const char* header;
  const char* header_value;
  int status;
};

TEST_F(KvOverHttp, conditions_hold_or_the_write_is_refused) {
  say(Method::kPut, "/v1/kv/here", "1");
  const ConditionRow rows[] = {
      {"here?if_absent", "", "", 409},        {"gone?if_present=true", "", "", 404},
      {"here?if_version=9", "", "", 412},     {"here", "If-None-Match", "*", 409},
      {"here", "If-Match", "\"9\"", 412},     {"here?if_version=1", "", "", 200},
      {"here", "If-Match", "\"2\"", 200},     {"here", "If-Match", "*", 200},
      {"new?if_absent=true", "", "", 200},    {"here?if_absent&if_version=1", "", "", 400},
      {"here?if_version=x", "", "", 400},     {"here", "If-None-Match", "\"1\"", 400},
      {"here?iff_absent", "", "", 400},
  };
  for (const ConditionRow& row : rows) {
    TestHeaders headers;
    if (*row.header != '\0') {
      headers.emplace_back(row.header, row.header_value);
    }
    const Response response =
        say(Method::kPut, std::string("/v1/kv/") + row.query, "v", headers);
    EXPECT_EQ(response.status, row.status) << row.query << " " << row.header_value
                                           << response.body;
  }
}

TEST_F(KvOverHttp, a_key_ends_when_it_was_told_to) {
  say(Method::kPut, "/v1/kv/k?ttl=30s", "v");
  EXPECT_EQ(header(say(Method::kGet, "/v1/kv/k"), "Quorate-Expires-At-Ms"), "1030000");
  EXPECT_EQ(say(Method::kPost, "/v1/kv/k/touch?ttl=1500ms").body,
            "{\"count\":1,\"expires_at_ms\":1001500,\"ttl_ms\":1500}\n");
  const Response meta = say(Method::kGet, "/v1/kv/k?meta");
  EXPECT_NE(meta.body.find("\"ttl_ms\":1500"), std::string::npos) << meta.body;
  EXPECT_EQ(meta.body.find("\"value\""), std::string::npos);
  EXPECT_EQ(say(Method::kPut, "/v1/kv/k?keep_ttl", "w").status, 200);
  groups_.now = groups_.now + Duration::millis(1500);
  EXPECT_EQ(say(Method::kGet, "/v1/kv/k").status, 404);
  say(Method::kPut, "/v1/kv/p?ttl=1s", "v");
  EXPECT_NE(say(Method::kPost, "/v1/kv/p/touch?persist").body.find("\"ttl_ms\":null"),
            std::string::npos);
  EXPECT_EQ(say(Method::kPost, "/v1/kv/p/touch").status, 400);
  EXPECT_EQ(say(Method::kPut, "/v1/kv/p?ttl=1s&keep_ttl", "v").status, 400);
}

TEST_F(KvOverHttp, the_same_idempotency_key_does_a_write_once) {
  const TestHeaders key = {{"Idempotency-Key", "abc"}};
  const std::string first = say(Method::kPost, "/v1/kv/n/increment?by=5", "", key).body;
  EXPECT_NE(first.find("\"value\":5"), std::string::npos) << first;
  EXPECT_EQ(say(Method::kPost, "/v1/kv/n/increment?by=5", "", key).body, first);
  EXPECT_EQ(say(Method::kPost, "/v1/kv/n/increment?by=6", "", key).status, 400)
      << "another request under the same key";
  EXPECT_NE(say(Method::kPost, "/v1/kv/n/increment?by=-7").body.find("\"value\":-2"),
            std::string::npos);
}

TEST_F(KvOverHttp, an_unchanged_value_is_not_sent_again) {
  say(Method::kPut, "/v1/kv/k", "v");
  const Response same = say(Method::kGet, "/v1/kv/k", "", {{"If-None-Match", "\"1\""}});
  EXPECT_EQ(same.status, 304);
  EXPECT_EQ(same.body, "");
  say(Method::kPut, "/v1/kv/k", "w");
  EXPECT_EQ(say(Method::kGet, "/v1/kv/k", "", {{"If-None-Match", "\"1\""}}).body, "w");
}

TEST_F(KvOverHttp, many_keys_are_stored_found_listed_and_deleted) {
  EXPECT_EQ(say(Method::kPost, "/v1/kv:put_many",
                R"({"items":[{"key":"a","value":"1"},{"key":"b","value_base64":"AP8"},)"
                R"({"key_base64":"Yw==","value":"3","ttl":60},{"key":"d","value":"4"}]})")
                .body,
            "{\"count\":4}\n");
  const boost::json::value many = boost::json::parse(
      say(Method::kPost, "/v1/kv:get_many", R"({"keys":["b","none",{"key_base64":"Yw=="}]})").body);
  EXPECT_EQ(many.at("items").at(0).at("value_base64").as_string(), "AP8=");
  EXPECT_TRUE(many.at("items").at(1).is_null());
  EXPECT_EQ(many.at("items").at(2).at("key").as_string(), "c");
  EXPECT_EQ(many.at("items").at(2).at("ttl_ms").as_int64(), 60'000);
  EXPECT_EQ(say(Method::kPost, "/v1/kv:touch_many", R"({"keys":["a","d"],"ttl":"5s"})").body,
            "{\"count\":2}\n");
  EXPECT_EQ(say(Method::kPost, "/v1/kv:delete_many", R"({"keys":["a","zz"]})").body,
            "{\"count\":1}\n");
  const Response stats = say(Method::kGet, "/v1/kv:stats");
  EXPECT_NE(stats.body.find("\"keys\":3"), std::string::npos) << stats.body;
}

TEST_F(KvOverHttp, a_scan_goes_on_where_its_page_ended_both_ways) {
  for (const char* key : {"k1", "k2", "k3", "k4", "k5", "x"}) {
    say(Method::kPut, std::string("/v1/kv/") + key, key);
  }
  for (const bool reverse : {false, true}) {
    std::string seen;
    std::string resume;
    for (int pages = 0; pages < 10; ++pages) {
      const boost::json::object query = {
          {"prefix", "k"}, {"limit", 2}, {"reverse", reverse}, {"resume", resume}};
      const boost::json::value page = boost::json::parse(
          say(Method::kPost, "/v1/kv:scan", boost::json::serialize(query)).body);
      for (const boost::json::value& item : page.at("items").as_array()) {
        seen += std::string(item.at("key").as_string()) + " ";
      }
      const boost::json::value* more = page.as_object().if_contains("resume");
      if (more == nullptr) {
        break;
      }
      resume = std::string(more->as_string());
    }
    EXPECT_EQ(seen, reverse ? "k5 k4 k3 k2 k1 " : "k1 k2 k3 k4 k5 ");
  }
}

TEST_F(KvOverHttp, a_bucket_decides_in_one_step) {
  const std::string take = R"({"name":"login","burst":2,"tokens":1,"period":"10s"})";
  EXPECT_NE(say(Method::kPost, "/v1/kv:rate_limit", take).body.find("\"allowed\":true"),
            std::string::npos);
  say(Method::kPost, "/v1/kv:rate_limit", take);
  const Response refused = say(Method::kPost, "/v1/kv:rate_limit", take);
  EXPECT_NE(refused.body.find("\"allowed\":false"), std::string::npos) << refused.body;
  EXPECT_NE(refused.body.find("\"retry_after_ms\":10000"), std::string::npos) << refused.body;
}

TEST_F(KvOverHttp, reads_say_how_fresh_they_must_be) {
  say(Method::kPut, "/v1/kv/k", "v");
  say(Method::kGet, "/v1/kv/k?consistency=bounded&bound=250ms");
  EXPECT_EQ(groups_.last_mode.consistency, service::Consistency::kBounded);
  EXPECT_EQ(groups_.last_mode.bound.millis(), 250);
  say(Method::kGet, "/v1/kv/k?consistency=follower");
  EXPECT_EQ(groups_.last_mode.consistency, service::Consistency::kFollower);
  for (const char* wrong : {"consistency=strong", "consistency=bounded", "bound=1s",
                            "consistency=bounded&bound=x", "timeout=0s", "timeout=301s"}) {
    EXPECT_EQ(say(Method::kGet, std::string("/v1/kv/k?") + wrong).status, 400) << wrong;
  }
}

struct BadRow {
  Method method;
  const char* target;
  const char* body;
  int status;
};

TEST_F(KvOverHttp, bad_requests_are_refused_before_anything_is_proposed) {
  groups_.weather = Status(Code::kInternal, "must not be reached");
  const BadRow rows[] = {
      {Method::kPost, "/v1/kv:put_many", "{", 400},
      {Method::kPost, "/v1/kv:put_many", "[]", 400},
      {Method::kPost, "/v1/kv:put_many", R"({"items":{}})", 400},
      {Method::kPost, "/v1/kv:put_many", R"({"items":[{"key":"a"}]})", 400},
      {Method::kPost, "/v1/kv:put_many", R"({"items":[{"key":"","value":""}]})", 400},
      {Method::kPost, "/v1/kv:put_many", R"({"items":[{"key":"a","value_base64":"?"}]})", 400},
      {Method::kPost, "/v1/kv:put_many",
       R"({"items":[{"key":"a","key_base64":"YQ","value":"1"}]})", 400},
      {Method::kPost, "/v1/kv:put_many", R"({"items":[{"key":"a","value":1}]})", 400},
      {Method::kPost, "/v1/kv:put_many", R"({"itmes":[]})", 400},
      {Method::kPost, "/v1/kv:get_many", R"({"keys":[1]})", 400},
      {Method::kPost, "/v1/kv:scan", R"({"prefix":"a","start":"b"})", 400},
      {Method::kPost, "/v1/kv:touch_many", R"({"keys":["a"]})", 400},
      {Method::kPut, "/v1/kv/k?ttl=soon", "", 400},
  };
  for (const BadRow& row : rows) {
    EXPECT_EQ(say(row.method, row.target, row.body).status, row.status) << row.target << row.body;
  }
  EXPECT_EQ(say(Method::kPut, "/v1/kv/" + std::string(4097, 'k'), "v").status, 413);
}

TEST_F(KvOverHttp, weather_becomes_its_row_of_the_code_table) {
  groups_.weather = Status(Code::kUnknownOutcome, "the leader went away");
  const Response lost = say(Method::kPut, "/v1/kv/k", "v");
  EXPECT_EQ(lost.status, 504);
  EXPECT_NE(lost.body.find("\"code\":\"unknown_outcome\""), std::string::npos);
  EXPECT_NE(lost.body.find("\"retry\":\"with_key\""), std::string::npos);
}

}  // namespace
}  // namespace quorate::edge::http
