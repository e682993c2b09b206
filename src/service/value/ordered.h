// SPDX-License-Identifier: Apache-2.0
// Ordered: JSON scalars as bytes whose order is that of the values, for the keys of an index.
//
//   null     0x10
//   false    0x20
//   true     0x21
//   number   0x31 negative | 0x32 zero | 0x33 positive, then of a number 0.DDD... * 10^n without
//            zeros at either end: n + 32,768 u16 big-endian, each digit + 1, 0x00; each of these
//            bytes inverted in a negative one
//   string   0x40, bytes with 0x00 as 0x00 0xff, 0x00 0x01
//
// Numbers are exact: 1, 1.0 and 10e-1 are one value, and 0.1 is 0.1. Each encoding shows its own
// end, so no value is the beginning of another, and what follows it does not disturb the order.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "service/value/json_field.h"

namespace quorate::service {

// Appends; false, and `out` as it was, for none, for an exponent beyond 30,000, and for what takes
// more than limits::kKvIndexedBytesMax.
[[nodiscard]] bool append_ordered(const JsonScalar& scalar, std::string& out);

// How many of the first bytes are an encoding; 0 if none is.
[[nodiscard]] size_t ordered_size(std::string_view bytes);

// The least bytes behind all values of the kind that `ordered` is of: numbers, strings, booleans,
// null. Before: it is an encoding.
[[nodiscard]] std::string end_of_kind(std::string_view ordered);
// The least bytes that a value of its kind may have.
[[nodiscard]] std::string begin_of_kind(std::string_view ordered);

}  // namespace quorate::service
