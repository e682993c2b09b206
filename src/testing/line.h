// SPDX-License-Identifier: Apache-2.0
// Line: one input line of a transcript, taken apart.
//
//   put "a key" x=1 ttl=10s fast
//   verb ^   ^ args[0]      ^ args[1]; options: x -> "1", ttl -> "10s"
//
// Words are separated by blanks. Double quotes keep blanks together and allow \" \\ \n \r \t \0
// and \xHH; a word that starts with a quote is never an option. An option is key=value with a key
// of letters, digits, '_', '-' and '.'; its value may be quoted: key="two words".
#pragma once

#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace quorate::testing {

// A script that cannot be understood. The runner prints it as the output of the line
// ("error: ..."), so that it shows in the diff. Test-only code may throw; it never leaves here.
class ScriptError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct Line {
  std::string raw;                             // the whole line as it stands in the file
  int number = 0;                              // in the file, from 1
  std::string verb;                            // the first word
  std::vector<std::string> args;               // the other words, in order
  std::map<std::string, std::string> options;  // the key=value words

  [[nodiscard]] bool has_arg(size_t position) const { return position < args.size(); }
  [[nodiscard]] bool has(std::string_view option) const;

  // These throw ScriptError if the word is missing (and has no fallback) or is not a number.
  [[nodiscard]] const std::string& arg(size_t position) const;
  [[nodiscard]] uint64_t arg_number(size_t position) const;
  [[nodiscard]] const std::string& option(std::string_view name) const;
  [[nodiscard]] std::string option(std::string_view name, std::string_view fallback) const;
  [[nodiscard]] uint64_t option_number(std::string_view name) const;
  [[nodiscard]] uint64_t option_number(std::string_view name, uint64_t fallback) const;
};

// Throws ScriptError on a quote that does not end, a bad escape, or an option given twice.
[[nodiscard]] Line parse_line(std::string_view raw, int number);

// The whole word as a decimal number; throws ScriptError otherwise.
[[nodiscard]] uint64_t parse_number(std::string_view word);

// A count with unit (us, ms, s, m, h) in microseconds: "10s" is 10'000'000. Throws ScriptError.
[[nodiscard]] int64_t parse_duration_micros(std::string_view word);

}  // namespace quorate::testing
