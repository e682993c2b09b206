// SPDX-License-Identifier: Apache-2.0
// Url: request targets taken apart. Percent-encoding (base/text.h) lets a key hold any byte.
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

struct Target {
  std::vector<std::string_view> segments;  // of the path, still encoded; views into the input
  std::vector<std::pair<std::string, std::string>> query;
};

// Nothing if the target is neither "/path?query" nor that behind "http://host", or its query is
// wrongly encoded.
[[nodiscard]] std::optional<Target> parse_target(std::string_view target);

}  // namespace quorate::edge::http
