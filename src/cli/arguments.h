// SPDX-License-Identifier: Apache-2.0
// Arguments: one command's words taken apart by its table of flags; and the help that the same
// table makes.
//
//   quorate kv put KEY VALUE --ttl 30s        flags anywhere, "--flag value" or "--flag=value"
//   quorate kv put -- --odd-key value         after "--" nothing is a flag
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace quorate::cli {

struct Flag {
  std::string_view name;          // "--ttl"
  std::string_view value;         // what it takes, for the help: "DURATION"; empty: nothing
  std::string_view help;
};

struct Arguments {
  std::vector<std::string> words;
  std::map<std::string, std::string, std::less<>> flags;

  [[nodiscard]] bool has(std::string_view flag) const { return flags.contains(flag); }
  [[nodiscard]] std::optional<std::string> value(std::string_view flag) const;
};

// `common` are known to every command.
[[nodiscard]] Result<Arguments> parse_arguments(const std::vector<std::string>& words,
                                                std::span<const Flag> own,
                                                std::span<const Flag> common);
[[nodiscard]] std::string describe_flags(std::span<const Flag> flags);

}  // namespace quorate::cli
