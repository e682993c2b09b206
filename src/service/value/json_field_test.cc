// SPDX-License-Identifier: Apache-2.0
#include "service/value/json_field.h"

#include <gtest/gtest.h>

#include <string>

#include "base/limits.h"
#include "base/prng.h"

namespace quorate::service {
namespace {

using Kind = JsonScalar::Kind;

struct FieldRow {
  const char* json;
  const char* path;
  Kind kind;
  const char* text;
};

TEST(json_field, a_scalar_is_found_by_its_path) {
  const FieldRow rows[] = {
      {R"({"a":1})", "a", Kind::kNumber, "1"},
      {R"( { "a" : -1.50e+3 } )", "a", Kind::kNumber, "-1.50e+3"},
      {R"({"a":"x\"y"})", "a", Kind::kString, R"(x\"y)"},
      {R"({"a":true,"b":false,"c":null})", "b", Kind::kFalse, ""},
      {R"({"a":true,"b":false,"c":null})", "c", Kind::kNull, ""},
      {R"({"a":{"b":{"c":7}}})", "a.b.c", Kind::kNumber, "7"},
      {R"({"b":9,"a":{"b":1}})", "a.b", Kind::kNumber, "1"},
      {R"({"a":1,"a":2})", "a", Kind::kNumber, "2"},
      {R"({"a":{"b":1},"a":{}})", "a.b", Kind::kNone, ""},
      {R"({"\u0061":3})", "a", Kind::kNumber, "3"},
      {R"({"a":[1,2]})", "a", Kind::kNone, ""},
      {R"({"a":[{"b":1}]})", "a.b", Kind::kNone, ""},
      {R"({"a":{}})", "a", Kind::kNone, ""},
      {R"({"ab":1})", "a", Kind::kNone, ""},
      {R"([1])", "a", Kind::kNone, ""},
      {R"("a")", "a", Kind::kNone, ""},
  };
  for (const FieldRow& row : rows) {
    const JsonScalar found = find_field(row.json, row.path);
    EXPECT_EQ(found.kind, row.kind) << row.json;
    EXPECT_EQ(found.text, row.text) << row.json;
  }
}

TEST(json_field, what_is_no_json_has_no_fields) {
  const char* const rows[] = {"",
                              R"({"a":1)",
                              R"({"a":1}})",
                              R"({"a":1,})",
                              R"({a:1})",
                              R"({"a":})",
                              R"({"a":01})",
                              R"({"a":1.})",
                              R"({"a":.5})",
                              R"({"a":+1})",
                              R"({"a":-})",
                              R"({"a":1e})",
                              R"({"a":tru})",
                              R"({"a":1 "b":2})",
                              "{\"a\":1,\"b\":\"\n\"}",
                              R"({"a":1,"b":"\x"})",
                              R"({"a":1,"b":"\u12g4"})",
                              R"({"a":1,"b":[1,]})",
                              R"({"a":1} x)",
                              R"({"a":NaN})",
                              R"({"a":1,"b")",
                              R"({"a":1,"b":"\)"};
  for (const char* const json : rows) {
    EXPECT_EQ(find_field(json, "a").kind, Kind::kNone) << json;
  }
}

TEST(json_field, what_is_too_deep_is_not_read) {
  const auto nested = [](size_t depth) {
    return "{\"a\":1,\"b\":" + std::string(depth, '[') + std::string(depth, ']') + "}";
  };
  EXPECT_EQ(find_field(nested(limits::kJsonDepthMax), "a").kind, Kind::kNumber);
  EXPECT_EQ(find_field(nested(limits::kJsonDepthMax + 1), "a").kind, Kind::kNone);
  EXPECT_EQ(find_field(nested(1'000'000), "a").kind, Kind::kNone);
}

TEST(json_field, escapes_become_utf8) {
  EXPECT_EQ(unescape(R"(a\n\t\"\\\/)"), "a\n\t\"\\/");
  EXPECT_EQ(unescape(R"(\u0041\u00e9\u20ac)"), "A\xc3\xa9\xe2\x82\xac");
  EXPECT_EQ(unescape(R"(\ud83d\ude00)"), "\xf0\x9f\x98\x80");
  EXPECT_EQ(unescape(R"(\ud83dx)"), "\xef\xbf\xbdx");
  EXPECT_EQ(unescape(R"(\ude00\ud83d\u0041)"),
            "\xef\xbf\xbd\xef\xbf\xbd"
            "A");
}

TEST(json_field, any_bytes_do_no_harm) {
  constexpr std::string_view kBytes = "{}[]\":,\\u0dtrfalsn-1.e+ \n";
  Prng prng(1);
  size_t found = 0;
  for (int round = 0; round < 200'000; ++round) {
    std::string json = R"({"a":"x\u0041y","b":[1,{"c":-2.5e3}],"d":null})";
    for (uint64_t changes = prng.below(4); changes > 0; --changes) {
      json[prng.below(json.size())] = kBytes[prng.below(kBytes.size())];
    }
    const JsonScalar scalar = find_field(json, "a");
    if (scalar.kind == Kind::kString) {
      (void)unescape(scalar.text);
      ++found;
    }
    (void)parse_scalar(std::string_view(json).substr(prng.below(json.size())));
  }
  EXPECT_GT(found, 1'000u);
}

TEST(json_field, a_path_has_no_empty_names) {
  for (const char* const path : {"a", "a.b", "a b.\xc3\xa9"}) {
    EXPECT_TRUE(check_path(path).ok()) << path;
  }
  for (const char* const path : {"", ".", "a.", ".a", "a..b"}) {
    EXPECT_FALSE(check_path(path).ok()) << path;
  }
  EXPECT_FALSE(check_path(std::string(limits::kKvIndexPathBytesMax + 1, 'a')).ok());
}

}  // namespace
}  // namespace quorate::service
