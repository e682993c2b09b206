// SPDX-License-Identifier: Apache-2.0
// Decimal: numbers with a fraction, exactly, in integers: what floating point would round
// differently on another machine has no place in replicated state.
//
// A value is so many 10^-17, in 128 bits: 17 digits behind the point and 21 before it. That is what
// Redis prints of its own numbers; a sum that is exact in decimal is exact here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace quorate::service {

class Decimal {
 public:
  constexpr Decimal() = default;

  // "12", "-0.5", "1.5e3", "+7"; digits behind the seventeenth are cut off. False for anything
  // else, and for what is out of range.
  [[nodiscard]] static bool parse(std::string_view text, Decimal& value);
  // Without an exponent and without zeros at the end; parse() gives the same value again.
  [[nodiscard]] std::string text() const;
  // False if the sum is out of range; then it is not changed.
  [[nodiscard]] bool add(Decimal other);

  bool operator==(const Decimal&) const = default;

 private:
  using Units = __int128;
  Units units_ = 0;
};

// A whole number as it is written by itself: without a plus sign, blanks or leading zeros. False
// for anything else, and for what is out of range.
[[nodiscard]] bool parse_whole(std::string_view text, int64_t& value);

}  // namespace quorate::service
