// SPDX-License-Identifier: Apache-2.0
// The rows of keys and values.
#include <boost/json.hpp>

#include "base/text.h"
#include "edge/http/kv_testing.h"
#include "service/value/hash_value.h"

namespace quorate::edge::http {
namespace {

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

TEST_F(KvOverHttp, a_hash_says_what_it_is_and_may_be_put_where_it_was_taken_from) {
  std::string image;
  service::put_hash_fields({}, {{"a", "1"}, {"\xff", "2"}}, image);
  EXPECT_EQ(say(Method::kPut, "/v1/kv/h", image).status, 200);
  const Response got = say(Method::kGet, "/v1/kv/h");
  EXPECT_EQ(header(got, "Quorate-Type"), "hash");
  EXPECT_EQ(got.content_type, "application/json");
  const boost::json::value parsed = boost::json::parse(got.body);
  EXPECT_EQ(parsed.at("type"), "hash");
  EXPECT_EQ(parsed.at("fields").at(0), boost::json::parse(R"({"field":"a","value":"1"})"));
  EXPECT_EQ(parsed.at("fields").at(1),
            boost::json::parse(R"({"field_base64":"/w==","value":"2"})"));
  EXPECT_EQ(base64_decode(std::string_view(parsed.at("value_base64").as_string())), image);
  EXPECT_EQ(say(Method::kPost, "/v1/kv/h/increment").status, 412);
  EXPECT_EQ(say(Method::kPut, "/v1/kv/x", image.substr(0, image.size() - 1)).status, 400);
  say(Method::kPut, "/v1/kv/s", "text");
  EXPECT_EQ(header(say(Method::kGet, "/v1/kv/s"), "Quorate-Type"), "none");
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
      {"here?if_absent", "", "", 409},         {"gone?if_present=true", "", "", 404},
      {"here?if_version=9", "", "", 412},      {"here", "If-None-Match", "*", 409},
      {"here", "If-Match", "\"9\"", 412},      {"here?if_version=1", "", "", 200},
      {"here", "If-Match", "\"2\"", 200},      {"here", "If-Match", "*", 200},
      {"new?if_absent=true", "", "", 200},     {"here?if_absent&if_version=1", "", "", 400},
      {"here?if_version=x", "", "", 400},      {"here", "If-None-Match", "\"1\"", 400},
      {"here?iff_absent", "", "", 400},        {"here?if_value=x", "", "", 412},
      {"here?if_value=v", "", "", 200},        {"here?if_value_base64=dg", "", "", 200},
      {"here?if_value_base64=!", "", "", 400}, {"gone?if_value=", "", "", 412},
      {"here?if_modified=1", "", "", 412},     {"here?if_modified=7", "", "", 200},
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

TEST_F(KvOverHttp, a_write_under_a_fence_is_refused_once_a_later_holder_has_written) {
  EXPECT_EQ(say(Method::kPut, "/v1/kv/k?fence=a=b=33", "first").status, 200);
  EXPECT_EQ(say(Method::kPut, "/v1/kv/k", "second", {{"Quorate-Fence", "a=b=35"}}).status, 200);
  const Response late = say(Method::kPut, "/v1/kv/k?fence=a=b=33", "late");
  EXPECT_EQ(late.status, 412);
  EXPECT_NE(late.body.find("\"precondition_failed\""), std::string::npos) << late.body;
  EXPECT_NE(late.body.find("the token 33 of the lock 'a=b' is older than 35"), std::string::npos)
      << late.body;
  for (const char* target : {"/v1/kv/k/touch?persist&fence=a=b=34", "/v1/kv/k/append?fence=a=b=34",
                             "/v1/kv/k/increment?fence=a=b=34"}) {
    EXPECT_EQ(say(Method::kPost, target).status, 412) << target;
  }
  EXPECT_EQ(say(Method::kDelete, "/v1/kv/k?fence=a=b=34").status, 412);
  EXPECT_EQ(say(Method::kPost, "/v1/kv:txn",
                R"({"fence":{"lock":"a=b","token":34},"then":[{"op":"delete","key":"k"}]})")
                .status,
            412);
  EXPECT_EQ(say(Method::kPost, "/v1/kv:txn",
                R"({"fence":{"lock":"a=b","token":35},"then":[{"op":"get","key":"k"}]})")
                .status,
            200);
  EXPECT_EQ(say(Method::kPut, "/v1/kv/k?fence=a=b=1&fence_domain=7", "w").status, 200);
  EXPECT_EQ(say(Method::kGet, "/v1/kv/k").body, "w");
}

TEST_F(KvOverHttp, a_fence_names_a_lock_and_a_token) {
  for (const char* query :
       {"fence=7", "fence=l=", "fence=l=0", "fence==7", "fence=l=x", "fence_domain=1",
        "fence=l=7&fence_domain=x", "fence=l=7&fence_domain=4294967296"}) {
    EXPECT_EQ(say(Method::kPut, std::string("/v1/kv/k?") + query, "v").status, 400) << query;
  }
  for (const char* fence :
       {"7", R"({"lock":"l"})", R"({"token":7})", R"({"lock":"l","token":7,"x":1})",
        R"({"lock":"l","token":7,"domain":4294967296})"}) {
    const std::string body = std::string(R"({"fence":)") + fence + "}";
    EXPECT_EQ(say(Method::kPost, "/v1/kv:txn", body).status, 400) << body;
  }
  EXPECT_EQ(say(Method::kPost, "/v1/kv:rate_limit?fence=l=7", R"({"name":"n"})").status, 400);
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

TEST_F(KvOverHttp, keys_are_found_by_a_field_of_their_values_over_both_groups) {
  for (int at = 0; at < 10; ++at) {
    const std::string value = R"({"user":{"age":)" + std::to_string(at % 5) + "}}";
    say(Method::kPut, "/v1/kv/k" + std::to_string(at), value);
  }
  EXPECT_EQ(
      say(Method::kPost, "/v1/kv:create_index", R"({"index":"ages","field":"user.age"})").body,
      "{\"changed\":true}\n");
  EXPECT_EQ(say(Method::kPost, "/v1/kv:find", R"({"index":"ages"})").status, 412) << "not built";
  groups_.tend();
  EXPECT_EQ(say(Method::kGet, "/v1/kv:indexes").body,
            R"({"indexes":[{"index":"ages","field":"user.age","unique":false,"state":"ready",)"
            R"("entries":10}]})"
            "\n");
  const auto keys_of = [](const Response& page) {
    std::string keys;
    const boost::json::value body = boost::json::parse(page.body);
    for (const auto& item : body.at("items").as_array()) {
      keys += std::string(item.at("key").as_string()) + " ";
    }
    return keys;
  };
  const auto find = [&](const std::string& query) {
    return say(Method::kPost, "/v1/kv:find", R"({"index":"ages",)" + query + "}");
  };
  EXPECT_EQ(keys_of(find(R"("equals":3)")), "k3 k8 ");
  EXPECT_EQ(keys_of(find(R"("equals":3.0,"reverse":true)")), "k8 k3 ");
  EXPECT_EQ(keys_of(find(R"("above":2,"to":4)")), "k3 k8 k4 k9 ");
  EXPECT_EQ(keys_of(find(R"("below":1,"keys_only":true)")), "k0 k5 ");
  EXPECT_EQ(keys_of(find(R"("equals":"3")")), "");
  std::string walked;
  std::string resume;
  do {
    const Response page = find(R"("limit":3)" + resume);
    walked += keys_of(page);
    const boost::json::value body = boost::json::parse(page.body);
    resume.clear();
    for (const char* const name : {"resume", "resume_base64"}) {
      if (const auto* const text = body.as_object().if_contains(name)) {
        resume = std::string(",\"") + name + "\":" + boost::json::serialize(*text);
      }
    }
  } while (!resume.empty());
  EXPECT_EQ(walked, "k0 k5 k1 k6 k2 k7 k3 k8 k4 k9 ");
  EXPECT_EQ(find(R"("equals":[1])").status, 400);
  EXPECT_EQ(find(R"("equals":1,"from":1)").status, 400);
  EXPECT_EQ(
      say(Method::kPost, "/v1/kv:create_index", R"({"index":"mails","field":"mail","unique":true})")
          .status,
      400)
      << "over several groups";
  EXPECT_EQ(say(Method::kPost, "/v1/kv:drop_index", R"({"index":"ages"})").status, 200);
  EXPECT_EQ(find(R"("equals":3)").status, 404);
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
