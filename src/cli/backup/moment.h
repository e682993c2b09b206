// SPDX-License-Identifier: Apache-2.0
// Moment: what "--at" names: a time, or a revision in each group. Times are milliseconds since
// 1970.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace quorate::cli {

struct Moment {
  std::optional<uint64_t> at_ms = {};
  std::map<uint64_t, uint64_t> revisions = {};  // by group; {0, R}: of the only group there is
  [[nodiscard]] bool is_newest() const { return !at_ms.has_value() && revisions.empty(); }
};

// "2026-11-21T10:00:00.250Z" (or +01:00, or a blank for the T), "@1764000000.250" seconds since
// 1970, "3:120,4:7" as a watch says it, or one revision. kInvalidArgument for anything else.
[[nodiscard]] Result<Moment> parse_moment(std::string_view text);
[[nodiscard]] std::string time_text(uint64_t at_ms);
[[nodiscard]] uint64_t now_millis();
// "500ms", "30s", "10m", "2h", "7d"; in milliseconds.
[[nodiscard]] Result<uint64_t> parse_span(std::string_view text, std::string_view flag);

}  // namespace quorate::cli
