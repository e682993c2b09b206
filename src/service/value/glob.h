// SPDX-License-Identifier: Apache-2.0
// Patterns of KEYS, SCAN and HSCAN MATCH and CONFIG GET: ? * [a-z] [^a] and a backslash before any
// of them.
#pragma once

#include <string>
#include <string_view>

namespace quorate::service {

// In time proportional to the product of both lengths at the worst.
[[nodiscard]] bool matches(std::string_view pattern, std::string_view text);
// What every text that matches begins with.
[[nodiscard]] std::string literal_prefix(std::string_view pattern);

}  // namespace quorate::service
