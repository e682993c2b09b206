// SPDX-License-Identifier: Apache-2.0
#include "service/decimal.h"

#include <algorithm>
#include <charconv>
#include <cstdint>

namespace quorate::service {
namespace {

using Wide = unsigned __int128;

constexpr int kFractionDigits = 17;
// Of one number: what is longer is no number that anybody counts with.
constexpr size_t kTextBytesMax = 64;
constexpr int kExponentMax = 100;

constexpr Wide power_of_ten(int exponent) {
  Wide power = 1;
  for (; exponent > 0; --exponent) {
    power *= 10;
  }
  return power;
}

// 10^21 in units; far from the end of 128 bits, so that a sum of two never overflows.
constexpr Wide kUnitsMax = power_of_ten(21 + kFractionDigits) - 1;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// A number taken apart: its digits, and the place of the point.
struct Digits {
  char text[kTextBytesMax];
  int count = 0;
  int before_point = 0;
};

bool read_digits(std::string_view& text, Digits& digits) {
  bool point_seen = false;
  size_t at = 0;
  for (; at < text.size() && (is_digit(text[at]) || (text[at] == '.' && !point_seen)); ++at) {
    if (text[at] == '.') {
      point_seen = true;
    } else {
      digits.text[digits.count++] = text[at];
      digits.before_point += point_seen ? 0 : 1;
    }
  }
  text.remove_prefix(at);
  return digits.count > 0;
}

bool read_exponent(std::string_view text, int& exponent) {
  if (text.empty()) {
    return true;
  }
  if (text.front() != 'e' && text.front() != 'E') {
    return false;
  }
  text.remove_prefix(1);
  if (text.size() > 1 && text[0] == '+' && is_digit(text[1])) {
    text.remove_prefix(1);
  }
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), exponent);
  return error == std::errc() && end == text.data() + text.size() && exponent >= -kExponentMax &&
         exponent <= kExponentMax;
}

}  // namespace

bool Decimal::parse(std::string_view text, Decimal& value) {
  if (text.empty() || text.size() > kTextBytesMax) {
    return false;
  }
  const bool is_negative = text.front() == '-';
  text.remove_prefix(is_negative || text.front() == '+' ? 1 : 0);
  Digits digits;
  int exponent = 0;
  if (!read_digits(text, digits) || !read_exponent(text, exponent)) {
    return false;
  }
  // The first `wanted` digits, with zeros behind them if there are fewer, are the units.
  const int wanted = digits.before_point + exponent + kFractionDigits;
  Wide units = 0;
  for (int at = 0; at < wanted; ++at) {
    const int digit = at < digits.count ? digits.text[at] - '0' : 0;
    units = units * 10 + static_cast<Wide>(digit);
    if (units > kUnitsMax) {
      return false;
    }
  }
  value.units_ = is_negative ? -static_cast<Units>(units) : static_cast<Units>(units);
  return true;
}

std::string Decimal::text() const {
  const bool is_negative = units_ < 0;
  auto units = static_cast<Wide>(is_negative ? -units_ : units_);
  std::string reversed;
  for (int digit = 0; units > 0 || digit <= kFractionDigits; ++digit) {
    const char c = static_cast<char>('0' + static_cast<int>(units % 10));
    units /= 10;
    if (digit < kFractionDigits && reversed.empty() && c == '0') {
      continue;
    }
    if (digit == kFractionDigits && !reversed.empty()) {
      reversed += '.';
    }
    reversed += c;
  }
  reversed += is_negative ? "-" : "";
  std::reverse(reversed.begin(), reversed.end());
  return reversed;
}

bool Decimal::add(Decimal other) {
  const Units sum = units_ + other.units_;
  const auto size = static_cast<Wide>(sum < 0 ? -sum : sum);
  if (size > kUnitsMax) {
    return false;
  }
  units_ = sum;
  return true;
}

bool parse_whole(std::string_view text, int64_t& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    return false;
  }
  const bool is_negative = text.front() == '-';
  const std::string_view digits = text.substr(is_negative ? 1 : 0);
  return digits == "0" ? !is_negative : digits.front() != '0';
}

}  // namespace quorate::service
