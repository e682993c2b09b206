// SPDX-License-Identifier: Apache-2.0
// The pure parts of the HTTP edge: routing, percent-encoding, JSON text, base64, error bodies.
#include "edge/http/wire/router.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "base/prng.h"
#include "base/text.h"
#include "edge/http/wire/json.h"

namespace quorate::edge::http {
namespace {

struct RouteRow {
  Method method;
  const char* target;
  const char* pattern;    // of the row that must be found; "" for none
  const char* parameter;  // the value of the first one
};

TEST(router, finds_the_row_that_fits_best) {
  Router router;
  for (const auto& [method, pattern] : std::initializer_list<std::pair<Method, const char*>>{
           {Method::kGet, "/v1/kv/{key...}"},
           {Method::kPut, "/v1/kv/{key...}"},
           {Method::kPost, "/v1/kv/{key...}/touch"},
           {Method::kPost, "/v1/kv:scan"},
           {Method::kDelete, "/cluster/nodes/{id}"},
           {Method::kGet, "/cluster/nodes/all"},
           {Method::kGet, "/cluster/nodes/{id}"},
           {Method::kGet, "/"}}) {
    router.add({.method = method, .pattern = pattern}, [](const Request&, Responder) {});
  }
  const RouteRow rows[] = {
      {Method::kGet, "/v1/kv/a", "/v1/kv/{key...}", "a"},
      {Method::kHead, "/v1/kv/a", "/v1/kv/{key...}", "a"},
      {Method::kGet, "/v1/kv/a/b/c", "/v1/kv/{key...}", "a/b/c"},
      {Method::kGet, "/v1/kv/a%2Fb%00", "/v1/kv/{key...}", "a/b"},
      {Method::kGet, "/v1/kv//a", "/v1/kv/{key...}", "/a"},
      {Method::kGet, "/v1/kv/", "", ""},
      {Method::kGet, "/v1/kv", "", ""},
      {Method::kPost, "/v1/kv/a/touch", "/v1/kv/{key...}/touch", "a"},
      {Method::kPost, "/v1/kv/a/touch/touch", "/v1/kv/{key...}/touch", "a/touch"},
      {Method::kPut, "/v1/kv/a/touch", "/v1/kv/{key...}", "a/touch"},
      {Method::kPost, "/v1/kv:scan?x=1", "/v1/kv:scan", ""},
      {Method::kGet, "/cluster/nodes/all", "/cluster/nodes/all", ""},
      {Method::kGet, "/cluster/nodes/7", "/cluster/nodes/{id}", "7"},
      {Method::kDelete, "/cluster/nodes/all", "/cluster/nodes/{id}", "all"},
      {Method::kDelete, "/cluster/nodes/1/2", "", ""},
      {Method::kGet, "/", "/", ""},
  };
  for (const RouteRow& row : rows) {
    const std::optional<Target> target = parse_target(row.target);
    ASSERT_TRUE(target.has_value()) << row.target;
    const Router::Match match = router.find(row.method, *target);
    ASSERT_EQ(match.route != nullptr, *row.pattern != '\0') << row.target;
    if (match.route != nullptr) {
      EXPECT_EQ(match.route->text.pattern, row.pattern) << row.target;
      const std::string value = match.parameters.empty() ? "" : match.parameters[0].second;
      EXPECT_STREQ(value.c_str(), row.parameter) << row.target;
    }
  }
}

TEST(router, names_the_methods_of_a_path_that_does_not_take_this_one) {
  Router router;
  router.add({.method = Method::kPut, .pattern = "/a/{b}"}, [](const Request&, Responder) {});
  const Router::Match wrong = router.find(Method::kGet, *parse_target("/a/b"));
  EXPECT_EQ(wrong.route, nullptr);
  EXPECT_EQ(wrong.allowed, std::vector<Method>{Method::kPut});
  EXPECT_TRUE(router.find(Method::kGet, *parse_target("/b")).allowed.empty());
  EXPECT_TRUE(router.find(Method::kPut, *parse_target("/a/%zz")).bad_encoding);
}

TEST(url, any_bytes_survive_percent_encoding) {
  Prng prng(9);
  for (int i = 0; i < 300; ++i) {
    std::string bytes(prng.below(40), ' ');
    for (char& byte : bytes) {
      byte = static_cast<char>(prng.next());
    }
    const std::string text = percent_encode(bytes);
    EXPECT_EQ(text.find_first_of("/?&=+ "), std::string::npos);
    EXPECT_EQ(percent_decode(text), bytes);
    EXPECT_EQ(base64_decode(base64_encode(bytes)), bytes);
    (void)percent_decode(bytes);
    (void)base64_decode(bytes);
    (void)parse_target("/" + bytes);
  }
}

TEST(url, a_query_is_decoded_pair_by_pair) {
  const std::optional<Target> target = parse_target("/a?x=1&y=a+b%26&z&&w==");
  ASSERT_TRUE(target.has_value());
  const std::vector<std::pair<std::string, std::string>> expected = {
      {"x", "1"}, {"y", "a b&"}, {"z", ""}, {"w", "="}};
  EXPECT_EQ(target->query, expected);
  EXPECT_FALSE(parse_target("/a?x=%4").has_value());
  EXPECT_FALSE(parse_target("a").has_value());
  EXPECT_FALSE(parse_target("http:/a").has_value());
  EXPECT_FALSE(parse_target("http://host?x=1").has_value());
  EXPECT_EQ(parse_target("http://host:1/a/b?x=1")->segments,
            (std::vector<std::string_view>{"a", "b"}));
  EXPECT_EQ(parse_target("https://host")->segments, (std::vector<std::string_view>{""}));
  EXPECT_FALSE(parse_target("").has_value());
}

struct Base64Row {
  const char* text;
  std::optional<std::string> bytes;
};

TEST(base64, is_the_standard_one_with_or_without_padding) {
  const Base64Row rows[] = {{"", ""},        {"Zg==", "f"},        {"Zg", "f"}, {"Zm8=", "fo"},
                            {"Zm9v", "foo"}, {"Zm9vYg==", "foob"}, {"Z", {}},   {"Zg=a", {}},
                            {"Zm9v\n", {}},  {"====", {}}};
  for (const Base64Row& row : rows) {
    EXPECT_EQ(base64_decode(row.text), row.bytes) << row.text;
  }
}

TEST(json, what_is_written_parses_back) {
  std::string out;
  JsonWriter json(out);
  json.begin_object().field("a\"\n", "b\\\x01").field("n", UINT64_MAX).field("m", INT64_MIN);
  json.field("t", true).key("list").begin_array().number(1).null().begin_object().end_object();
  json.end_array().field("last", "x").end_object();
  EXPECT_EQ(out,
            "{\"a\\\"\\n\":\"b\\\\\\u0001\",\"n\":18446744073709551615,"
            "\"m\":-9223372036854775808,\"t\":true,\"list\":[1,null,{}],\"last\":\"x\"}");
  boost::system::error_code error;
  boost::json::parse(out, error);
  EXPECT_FALSE(error);
}

struct Utf8Row {
  std::string bytes;
  bool valid;
};

TEST(json, utf8_is_told_from_other_bytes) {
  const Utf8Row rows[] = {{"", true},
                          {"plain", true},
                          {"gr\xc3\xbc\xc3\x9f", true},
                          {"\xe2\x82\xac", true},
                          {"\xf0\x9f\x98\x80", true},
                          {"\x80", false},
                          {"\xc0\xaf", false},
                          {"\xe0\x80\xaf", false},
                          {"\xed\xa0\x80", false},
                          {"\xf4\x90\x80\x80", false},
                          {"\xe2\x82", false},
                          {"\xff", false}};
  for (const Utf8Row& row : rows) {
    EXPECT_EQ(is_utf8(row.bytes), row.valid) << row.bytes;
  }
}

TEST(errors, each_code_has_its_http_status_and_a_body_that_parses) {
  for (const CodeRow& row : code_table()) {
    if (row.code == Code::kOk) {
      continue;
    }
    const Response response = error_response(Status(row.code, "say \"no\" \xff"), "{\"n\":1}");
    EXPECT_EQ(response.status, row.http);
    const boost::json::value body = boost::json::parse(response.body);
    const boost::json::object& error = body.at("error").as_object();
    EXPECT_EQ(error.at("code").as_string(), boost::json::string_view(row.name));
    EXPECT_EQ(error.at("message").as_string(), "say \"no\" ?");
    EXPECT_EQ(error.at("retry").as_string(), boost::json::string_view(name_of(row.retry)));
    EXPECT_EQ(error.at("details").at("n").as_int64(), 1);
  }
}

TEST(errors, an_event_gets_a_prefix_on_every_line) {
  EXPECT_EQ(sse_event("put", "7", "a\nb"), "event: put\nid: 7\ndata: a\ndata: b\n\n");
  EXPECT_EQ(sse_event("", "", ""), "data: \n\n");
}

}  // namespace
}  // namespace quorate::edge::http
