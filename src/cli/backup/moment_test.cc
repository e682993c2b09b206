// SPDX-License-Identifier: Apache-2.0
// What "--at" and spans of time say, and how times are shown.
#include "cli/backup/moment.h"

#include <gtest/gtest.h>

namespace quorate::cli {
namespace {

using Revisions = std::map<uint64_t, uint64_t>;

TEST(moment, a_time_or_a_revision) {
  struct Row {
    const char* text;
    std::optional<uint64_t> at_ms;
    Revisions revisions;
  };
  const Row rows[] = {
      {"1970-01-01T00:00:00Z", 0, {}},
      {"2026-01-31T10:00:00Z", 1'769'853'600'000, {}},
      {"2026-01-31T10:00:00.25Z", 1'769'853'600'250, {}},
      {"2026-01-31T10:00:00.250999Z", 1'769'853'600'250, {}},
      {"2026-01-31 11:30:00+01:30", 1'769'853'600'000, {}},
      {"2026-01-31t05:00:00-05:00", 1'769'853'600'000, {}},
      {"2024-02-29T00:00:00z", 1'709'164'800'000, {}},
      {"@1769853600", 1'769'853'600'000, {}},
      {"@1769853600.007", 1'769'853'600'007, {}},
      {"7", std::nullopt, {{0, 7}}},
      {"3:120", std::nullopt, {{3, 120}}},
      {"1:204,2:77", std::nullopt, {{1, 204}, {2, 77}}},
  };
  for (const Row& row : rows) {
    const Result<Moment> moment = parse_moment(row.text);
    ASSERT_TRUE(moment.ok()) << row.text;
    EXPECT_EQ(moment->at_ms, row.at_ms) << row.text;
    EXPECT_EQ(moment->revisions, row.revisions) << row.text;
  }
}

TEST(moment, anything_else_is_refused) {
  for (const char* const text : {"",
                                 "now",
                                 "@",
                                 "@x",
                                 "@1.",
                                 "2026-01-31",
                                 "2026-01-31T10:00:00",
                                 "2026-13-01T00:00:00Z",
                                 "2026-02-29T00:00:00Z",
                                 "2026-01-31T24:00:00Z",
                                 "2026-01-31T10:60:00Z",
                                 "2026-01-31T10:00:00Zx",
                                 "2026-01-31T10:00:00.Z",
                                 "2026-1-31T10:00:00Z",
                                 "1:",
                                 ":1",
                                 "1:2,",
                                 "1:2,1:3",
                                 "0:1",
                                 "1:2;3:4",
                                 "1 2",
                                 "-5",
                                 "99999999999999999999",
                                 "1969-12-31T00:00:00Z"}) {
    EXPECT_EQ(parse_moment(text).status().code(), Code::kInvalidArgument) << text;
  }
}

TEST(moment, a_time_is_shown_as_it_is_read) {
  for (const uint64_t at_ms : {uint64_t{0}, uint64_t{1'769'853'600'250}, uint64_t{951'827'696'789},
                               uint64_t{4'102'444'799'999}}) {
    EXPECT_EQ(parse_moment(time_text(at_ms))->at_ms, at_ms) << time_text(at_ms);
  }
  EXPECT_EQ(time_text(1'769'853'600'250), "2026-01-31T10:00:00.250Z");
}

TEST(moment, spans_have_units) {
  EXPECT_EQ(*parse_span("250ms", "--keep"), 250u);
  EXPECT_EQ(*parse_span("30s", "--keep"), 30'000u);
  EXPECT_EQ(*parse_span("10m", "--keep"), 600'000u);
  EXPECT_EQ(*parse_span("24h", "--keep"), 86'400'000u);
  EXPECT_EQ(*parse_span("7d", "--keep"), 604'800'000u);
  for (const char* const text : {"", "s", "7", "7 d", "-1s", "1y", "99999999999d"}) {
    EXPECT_EQ(parse_span(text, "--keep").status().code(), Code::kInvalidArgument) << text;
  }
}

}  // namespace
}  // namespace quorate::cli
