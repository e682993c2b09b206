// SPDX-License-Identifier: Apache-2.0
// Url: request targets taken apart, and percent-encoding, which lets a key hold any byte.
//
// A path is cut at its slashes before it is decoded, so that %2F is a slash inside a name and never
// a separator.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace quorate::edge::http {

// Nothing if a percent sign is not followed by two hex digits. In a query, '+' is a space.
[[nodiscard]] std::optional<std::string> percent_decode(std::string_view text,
                                                        bool plus_is_space = false);
// Everything but letters, digits and -._~ becomes %XX.
[[nodiscard]] std::string percent_encode(std::string_view bytes);

struct Target {
  std::vector<std::string_view> segments;  // of the path, still encoded; views into the input
  std::vector<std::pair<std::string, std::string>> query;
};

// Nothing if the target is not "/path?query" or its query is wrongly encoded.
[[nodiscard]] std::optional<Target> parse_target(std::string_view target);

}  // namespace quorate::edge::http
