// SPDX-License-Identifier: Apache-2.0
#include "service/value/ordered.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "base/limits.h"
#include "base/prng.h"

namespace quorate::service {
namespace {

std::optional<std::string> ordered(std::string_view json) {
  std::string bytes;
  if (!append_ordered(parse_scalar(json), bytes)) {
    return std::nullopt;
  }
  return bytes;
}

TEST(ordered, bytes_are_in_the_order_of_values) {
  const char* const rows[] = {"null",
                              "false",
                              "true",
                              "-1e29999",
                              "-123456789012345678901234567890",
                              "-10",
                              "-9.99",
                              "-9",
                              "-1.01",
                              "-1",
                              "-0.1",
                              "-0.09",
                              "-1e-9",
                              "0",
                              "1e-20",
                              "0.09",
                              "0.1",
                              "0.11",
                              "1",
                              "1.5",
                              "2",
                              "9",
                              "10",
                              "99",
                              "100",
                              "101",
                              "1e15",
                              "9007199254740993",
                              "1e16",
                              "1e300",
                              R"("")",
                              R"("\u0000")",
                              R"("\u0000a")",
                              R"("\u0001")",
                              R"("A")",
                              R"("a")",
                              R"("a\u0000")",
                              R"("aa")",
                              R"("b")",
                              R"("\u00e9")",
                              R"("\ud83d\ude00")"};
  std::string before;
  for (const char* const row : rows) {
    const std::optional<std::string> bytes = ordered(row);
    ASSERT_TRUE(bytes.has_value()) << row;
    EXPECT_LT(before, *bytes) << row;
    EXPECT_EQ(ordered_size(*bytes), bytes->size()) << row;
    EXPECT_EQ(ordered_size(*bytes + "key\xff"), bytes->size()) << row;
    EXPECT_LE(begin_of_kind(*bytes), *bytes);
    EXPECT_GT(end_of_kind(*bytes), *bytes);
    for (size_t cut = 0; cut < bytes->size(); ++cut) {
      EXPECT_EQ(ordered_size(std::string_view(*bytes).substr(0, cut)), 0u) << row;
    }
    before = *bytes;
  }
}

TEST(ordered, one_number_has_one_encoding) {
  for (const char* const row : {"100", "1e2", "1E+2", "100.00", "0.1e3", "1000e-1"}) {
    EXPECT_EQ(ordered(row), ordered("100")) << row;
  }
  for (const char* const row : {"0", "-0", "0.000", "0e99999999999999999999", "-0e-5"}) {
    EXPECT_EQ(ordered(row), ordered("0")) << row;
  }
  EXPECT_NE(ordered("0.1"), ordered("0.1000000000000000055511151231257827"));
}

TEST(ordered, what_does_not_fit_is_none) {
  EXPECT_FALSE(ordered("1e30000").has_value());
  EXPECT_FALSE(ordered("-1e99999999999999999999").has_value());
  EXPECT_FALSE(ordered("1e-30002").has_value());
  EXPECT_FALSE(ordered("[1]").has_value());
  EXPECT_FALSE(ordered("1 2").has_value());
  const std::string most(limits::kKvIndexedBytesMax - 3, 'x');
  EXPECT_TRUE(ordered('"' + most + '"').has_value());
  EXPECT_FALSE(ordered('"' + most + "x\"").has_value());
  EXPECT_FALSE(ordered('"' + std::string(100'000, 'x') + '"').has_value());
}

TEST(ordered, integers_of_any_size_keep_their_order) {
  Prng prng(1);
  std::vector<int64_t> numbers;
  for (int at = 0; at < 2'000; ++at) {
    const auto bits = static_cast<int64_t>(prng.next());
    numbers.push_back(bits >> prng.below(64));
  }
  std::vector<std::pair<std::string, int64_t>> pairs;
  for (const int64_t number : numbers) {
    pairs.emplace_back(ordered(std::to_string(number)).value(), number);
  }
  std::sort(pairs.begin(), pairs.end());
  EXPECT_TRUE(std::is_sorted(pairs.begin(), pairs.end(), [](const auto& left, const auto& right) {
    return left.second < right.second;
  }));
}

TEST(ordered, any_bytes_do_no_harm) {
  Prng prng(2);
  for (int round = 0; round < 100'000; ++round) {
    std::string bytes(prng.below(12), 0);
    for (char& byte : bytes) {
      byte = static_cast<char>(prng.chance(1, 2) ? prng.below(0x50) : 0xff - prng.below(16));
    }
    ASSERT_LE(ordered_size(bytes), bytes.size());
  }
}

}  // namespace
}  // namespace quorate::service
