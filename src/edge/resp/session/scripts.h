// SPDX-License-Identifier: Apache-2.0
// Scripts: the few Lua scripts that lock libraries send to Redis, known by what they mean.
//
// The recipe "SET key token NX PX ms" needs a step that no command of Redis 7 has: delete, or
// prolong, only while the value is still mine. Libraries bring it as a script. No Lua runs here: a
// script is read as its words (blanks, comments, the kind of quotes and the case of command names
// do not count), and if these are those of a known script, its meaning is done by a transaction.
// Any other script is refused.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace quorate::edge::resp {

enum class Script : uint8_t {
  kDeleteIfValue,  // KEYS[1] if it is ARGV[1]: 1, else 0
  kExpireIfValue,  // KEYS[1] if it is ARGV[1] ends in ARGV[2] milliseconds: 1, else 0
  kExpireIfValueSeconds,
  // As redis-py prolongs a lock that has an end: to ARGV[2] milliseconds from now, or by as many
  // beyond its end if ARGV[3] is "0".
  kProlongIfValue,
};

// How many arguments behind the key it has.
[[nodiscard]] size_t arguments_of(Script script);

// Nothing if it is no known one.
[[nodiscard]] std::optional<Script> recognise(std::string_view text);

// 40 hexadecimal digits, as EVALSHA names a script.
[[nodiscard]] std::string digest_of(std::string_view text);

// Those that clients have loaded, by their digests; of one node, as in Redis.
class Scripts {
 public:
  // Before: `script` is what `text` means.
  std::string load(std::string_view text, Script script);
  [[nodiscard]] std::optional<Script> find(std::string_view digest) const;
  void clear() { loaded_.clear(); }

 private:
  std::map<std::string, Script, std::less<>> loaded_;
};

}  // namespace quorate::edge::resp
