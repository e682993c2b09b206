// SPDX-License-Identifier: Apache-2.0
#include "service/decimal.h"

#include <gtest/gtest.h>

#include "base/prng.h"

namespace quorate::service {
namespace {

std::string sum(std::string_view left, std::string_view right) {
  Decimal value;
  Decimal other;
  if (!Decimal::parse(left, value) || !Decimal::parse(right, other)) {
    return "no number";
  }
  return value.add(other) ? value.text() : "out of range";
}

TEST(decimal, sums_are_exact) {
  const struct {
    const char* left;
    const char* right;
    const char* expected;
  } rows[] = {
      {"0", "0", "0"},
      {"10.50", "0.1", "10.6"},
      {"0.1", "0.2", "0.3"},
      {"5.0e3", "2.0e2", "5200"},
      {"3", "-3", "0"},
      {"-0", "0", "0"},
      {"1", "-1.5", "-0.5"},
      {"100", "0", "100"},
      {"+7", ".5", "7.5"},
      {"7.", "1E-2", "7.01"},
      {"0.00000000000000001", "0", "0.00000000000000001"},
      {"0.000000000000000019", "0", "0.00000000000000001"},
      {"1e-100", "1", "1"},
      {"999999999999999999999", "0.99999999999999999", "999999999999999999999.99999999999999999"},
      {"999999999999999999999", "1", "out of range"},
      {"-999999999999999999999", "-1", "out of range"},
      {"1e21", "0", "no number"},
      {"1e100", "0", "no number"},
      {"1e101", "0", "no number"},
      {"0e100", "1", "1"},
      {"", "0", "no number"},
      {"-", "0", "no number"},
      {".", "0", "no number"},
      {"1.2.3", "0", "no number"},
      {"1e", "0", "no number"},
      {"1e+-5", "0", "no number"},
      {"1e+", "0", "no number"},
      {" 1", "0", "no number"},
      {"1 ", "0", "no number"},
      {"nan", "0", "no number"},
      {"inf", "0", "no number"},
      {"0x10", "0", "no number"},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(sum(row.left, row.right), row.expected) << row.left << " + " << row.right;
  }
}

TEST(decimal, what_is_written_is_read_again_and_any_bytes_do_no_harm) {
  Prng random(3);
  constexpr std::string_view kAlphabet = "0123456789.eE+-";
  int numbers = 0;
  for (int round = 0; round < 100'000; ++round) {
    std::string text(random.below(70), ' ');
    for (char& byte : text) {
      byte = kAlphabet[random.below(round % 2 == 0 ? 11 : kAlphabet.size())];
    }
    Decimal value;
    if (!Decimal::parse(text, value)) {
      continue;
    }
    ++numbers;
    Decimal again;
    ASSERT_TRUE(Decimal::parse(value.text(), again)) << text << " -> " << value.text();
    ASSERT_EQ(again, value) << text;
  }
  EXPECT_GT(numbers, 1'000);
}

}  // namespace
}  // namespace quorate::service
