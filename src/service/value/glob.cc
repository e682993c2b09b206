// SPDX-License-Identifier: Apache-2.0
#include "service/value/glob.h"

#include <cstdint>
#include <utility>

namespace quorate::service {
namespace {

// One element of a pattern against one byte. `at` moves behind the element.
bool match_class(std::string_view pattern, size_t& at, char byte) {
  ++at;
  const bool is_negated = at < pattern.size() && pattern[at] == '^';
  at += is_negated ? 1 : 0;
  bool found = false;
  const auto value = static_cast<uint8_t>(byte);
  while (at < pattern.size() && pattern[at] != ']') {
    if (pattern[at] == '\\' && at + 1 < pattern.size()) {
      ++at;
      found = found || pattern[at] == byte;
    } else if (at + 2 < pattern.size() && pattern[at + 1] == '-') {
      auto low = static_cast<uint8_t>(pattern[at]);
      auto high = static_cast<uint8_t>(pattern[at + 2]);
      if (low > high) {
        std::swap(low, high);
      }
      found = found || (value >= low && value <= high);
      at += 2;
    } else {
      found = found || pattern[at] == byte;
    }
    ++at;
  }
  at += at < pattern.size() ? 1 : 0;  // a class that is not closed ends with the pattern
  return found != is_negated;
}

bool match_one(std::string_view pattern, size_t& at, char byte) {
  switch (pattern[at]) {
    case '?': ++at; return true;
    case '[': return match_class(pattern, at, byte);
    case '\\':
      if (at + 1 < pattern.size()) {
        ++at;
      }
      break;
    default: break;
  }
  return pattern[at++] == byte;
}

}  // namespace

// Only the last star is ever tried again: what an earlier one took cannot help a later one.
bool matches(std::string_view pattern, std::string_view text) {
  size_t at = 0;
  size_t star = std::string_view::npos;
  size_t star_text = 0;
  size_t done = 0;
  while (done < text.size()) {
    if (at < pattern.size() && pattern[at] == '*') {
      star = at++;
      star_text = done;
      continue;
    }
    if (at < pattern.size() && match_one(pattern, at, text[done])) {
      ++done;
      continue;
    }
    if (star == std::string_view::npos) {
      return false;
    }
    at = star + 1;
    done = ++star_text;
  }
  while (at < pattern.size() && pattern[at] == '*') {
    ++at;
  }
  return at == pattern.size();
}

std::string literal_prefix(std::string_view pattern) {
  std::string prefix;
  for (size_t at = 0; at < pattern.size(); ++at) {
    if (pattern[at] == '*' || pattern[at] == '?' || pattern[at] == '[') {
      break;
    }
    if (pattern[at] == '\\' && at + 1 < pattern.size()) {
      ++at;
    }
    prefix += pattern[at];
  }
  return prefix;
}

}  // namespace quorate::service
