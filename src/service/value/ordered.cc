// SPDX-License-Identifier: Apache-2.0
#include "service/value/ordered.h"

#include <algorithm>
#include <charconv>
#include <cstdint>

#include "base/assert.h"
#include "base/limits.h"

namespace quorate::service {
namespace {

constexpr char kNull = 0x10;
constexpr char kFalse = 0x20;
constexpr char kTrue = 0x21;
constexpr char kNegative = 0x31;
constexpr char kZero = 0x32;
constexpr char kPositive = 0x33;
constexpr char kString = 0x40;
constexpr unsigned kKindMask = 0xf0;

constexpr int64_t kExponentMax = 30'000;
constexpr int64_t kExponentBias = 32'768;

struct Number {
  bool is_negative = false;
  std::string digits;    // neither the first nor the last is 0; empty: zero
  int64_t exponent = 0;  // 0.DDD * 10^exponent
};

// Before: `text` is a JSON number. False if the exponent is out of reach.
bool take_apart(std::string_view text, Number& number) {
  number.is_negative = text.front() == '-';
  text.remove_prefix(number.is_negative ? 1 : 0);
  const size_t mark = text.find_first_of("eE");
  int64_t exponent = 0;
  if (mark != std::string_view::npos) {
    std::string_view power = text.substr(mark + 1);
    power.remove_prefix(power.front() == '+' ? 1 : 0);
    const auto [end, error] = std::from_chars(power.data(), power.data() + power.size(), exponent);
    if (error != std::errc() || end != power.data() + power.size()) {
      exponent = kExponentMax * 1'000'000;  // of zero it does not matter
    }
  }
  const std::string_view mantissa = text.substr(0, mark);
  const size_t point = std::min(mantissa.find('.'), mantissa.size());
  number.digits = mantissa.substr(0, point);
  number.digits += point < mantissa.size() ? mantissa.substr(point + 1) : "";
  const size_t first = number.digits.find_first_not_of('0');
  if (first == std::string::npos) {
    number.digits.clear();
    return true;
  }
  number.digits.erase(number.digits.find_last_not_of('0') + 1);
  number.digits.erase(0, first);
  exponent = std::clamp(exponent, -1'000'000 * kExponentMax, 1'000'000 * kExponentMax);
  number.exponent = exponent + static_cast<int64_t>(point) - static_cast<int64_t>(first);
  return number.exponent >= -kExponentMax && number.exponent <= kExponentMax;
}

bool append_number(std::string_view text, std::string& out) {
  Number number;
  if (!take_apart(text, number)) {
    return false;
  }
  if (number.digits.empty()) {
    out.push_back(kZero);
    return true;
  }
  out.push_back(number.is_negative ? kNegative : kPositive);
  const size_t begin = out.size();
  const auto biased = static_cast<uint16_t>(number.exponent + kExponentBias);
  out.push_back(static_cast<char>(biased >> 8));
  out.push_back(static_cast<char>(biased & 0xff));
  for (const char digit : number.digits) {
    out.push_back(static_cast<char>(digit - '0' + 1));
  }
  out.push_back('\0');
  if (number.is_negative) {
    std::transform(out.begin() + static_cast<ptrdiff_t>(begin), out.end(),
                   out.begin() + static_cast<ptrdiff_t>(begin),
                   [](char byte) { return static_cast<char>(~byte); });
  }
  return true;
}

bool append_string(std::string_view text, std::string& out) {
  if (text.size() > 6 * limits::kKvIndexedBytesMax) {
    return false;  // no escape makes it fit
  }
  out.push_back(kString);
  for (const char byte : unescape(text)) {
    out.push_back(byte);
    if (byte == '\0') {
      out.push_back('\xff');
    }
  }
  out.append("\0\x01", 2);
  return true;
}

size_t number_size(std::string_view bytes, char end) {
  constexpr size_t kBegin = 1 + sizeof(uint16_t);
  const size_t at = bytes.size() < kBegin ? std::string_view::npos : bytes.find(end, kBegin);
  return at == std::string_view::npos || at == kBegin ? 0 : at + 1;
}

size_t string_size(std::string_view bytes) {
  size_t at = bytes.find('\0', 1);
  while (at != std::string_view::npos && at + 1 < bytes.size() && bytes[at + 1] == '\xff') {
    at = bytes.find('\0', at + 2);
  }
  return at == std::string_view::npos || at + 1 >= bytes.size() || bytes[at + 1] != 1 ? 0 : at + 2;
}

}  // namespace

bool append_ordered(const JsonScalar& scalar, std::string& out) {
  const size_t before = out.size();
  bool is_good = true;
  switch (scalar.kind) {
    case JsonScalar::Kind::kNone: return false;
    case JsonScalar::Kind::kNull: out.push_back(kNull); break;
    case JsonScalar::Kind::kFalse: out.push_back(kFalse); break;
    case JsonScalar::Kind::kTrue: out.push_back(kTrue); break;
    case JsonScalar::Kind::kNumber: is_good = append_number(scalar.text, out); break;
    case JsonScalar::Kind::kString: is_good = append_string(scalar.text, out); break;
  }
  if (!is_good || out.size() - before > limits::kKvIndexedBytesMax) {
    out.resize(before);
    return false;
  }
  ASSERT(ordered_size(std::string_view(out).substr(before)) == out.size() - before);
  return true;
}

size_t ordered_size(std::string_view bytes) {
  if (bytes.empty()) {
    return 0;
  }
  switch (bytes.front()) {
    case kNull:
    case kFalse:
    case kTrue:
    case kZero: return 1;
    case kNegative: return number_size(bytes, '\xff');
    case kPositive: return number_size(bytes, '\0');
    case kString: return string_size(bytes);
    default: return 0;
  }
}

std::string begin_of_kind(std::string_view ordered) {
  ASSERT(!ordered.empty());
  return std::string(1, static_cast<char>(static_cast<unsigned>(ordered.front()) & kKindMask));
}

std::string end_of_kind(std::string_view ordered) {
  std::string end = begin_of_kind(ordered);
  end.front() = static_cast<char>(end.front() + 0x10);
  return end;
}

}  // namespace quorate::service
