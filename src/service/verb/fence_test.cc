// SPDX-License-Identifier: Apache-2.0
#include "service/verb/fence.h"

#include <gtest/gtest.h>

#include <string>

#include "base/limits.h"

namespace quorate::service {
namespace {

constexpr Stamp kNow = Stamp::from_millis(1'000'000);
constexpr Duration kWeek = kFenceKept;

Fence with(uint64_t token) { return {DomainId(), "report", Token(token)}; }

TEST(fence, refuses_whoever_is_older_than_somebody_who_came) {
  const FenceMark mark{Token(7), kNow + kWeek};
  const struct {
    const char* what;
    uint64_t token;
    FenceMark before;
    bool passes;
    FenceMark after;
  } kRows[] = {
      {"the first", 5, {}, true, {Token(5), kNow + kWeek}},
      {"an older one", 6, mark, false, {}},
      {"the same again", 7, mark, true, mark},
      {"a newer one", 8, mark, true, {Token(8), kNow + kWeek}},
      {"an older one, at the end", 1, {Token(7), kNow}, true, {Token(1), kNow + kWeek}},
      {"an older one, just before", 1, {Token(7), kNow + Duration::micros(1)}, false, {}},
      {"the same, long after", 7, {Token(7), kNow + kWeek / 2}, true, {Token(7), kNow + kWeek}},
      {"stamps never shorten it",
       8,
       {Token(7), kNow + kWeek * 2},
       true,
       {Token(8), kNow + kWeek * 2}},
  };
  for (const auto& row : kRows) {
    const Result<FenceMark> after = pass(with(row.token), row.before, kNow);
    ASSERT_EQ(after.ok(), row.passes) << row.what;
    if (row.passes) {
      EXPECT_EQ(*after, row.after) << row.what;
    } else {
      EXPECT_EQ(after.status().code(), Code::kPreconditionFailed) << row.what;
    }
  }
}

TEST(fence, names_both_tokens) {
  const Status refusal = pass(with(6), {Token(7), kNow + kWeek}, kNow).status();
  EXPECT_EQ(refusal.message(),
            "fenced off: the token 6 of the lock 'report' is older than 7, which has come since");
}

TEST(fence, names_a_lock_and_a_token) {
  const std::string longest(limits::kLockNameBytesMax, 'x');
  const std::string longer = longest + "x";
  EXPECT_TRUE(check_fence({{}, longest, Token(1)}).ok());
  EXPECT_EQ(check_fence({{}, longer, Token(1)}).code(), Code::kTooLarge);
  EXPECT_EQ(check_fence({{}, "", Token(1)}).code(), Code::kInvalidArgument);
  EXPECT_EQ(check_fence({{}, "x", Token()}).code(), Code::kInvalidArgument);
  EXPECT_TRUE(Fence().none());
  EXPECT_FALSE((Fence{{}, "x", {}}).none());
}

TEST(fence, survives_its_bytes_and_a_cut_is_seen) {
  const Fence fence{DomainId(300), "report", Token(1u << 20)};
  std::string bytes;
  Writer writer(bytes);
  write_fields(writer, fence);
  Reader reader(bytes);
  Fence back;
  read_fields(reader, back);
  EXPECT_TRUE(reader.done());
  EXPECT_EQ(back, fence);

  const FenceMark mark{Token(300), kNow};
  const std::string record = encode_mark(mark);
  FenceMark parsed;
  ASSERT_TRUE(parse_mark(record, parsed));
  EXPECT_EQ(parsed, mark);
  for (size_t cut = 0; cut < record.size(); ++cut) {
    EXPECT_FALSE(parse_mark(std::string_view(record).substr(0, cut), parsed)) << cut;
  }
  EXPECT_FALSE(parse_mark(record + "x", parsed));
}

TEST(fence, the_same_name_in_two_domains_has_two_marks) {
  EXPECT_NE(mark_name({DomainId(1), "x", Token(1)}), mark_name({DomainId(2), "x", Token(1)}));
  EXPECT_EQ(mark_name({DomainId(1), "x", Token(1)}), mark_name({DomainId(1), "x", Token(2)}));
}

}  // namespace
}  // namespace quorate::service
