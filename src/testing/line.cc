// SPDX-License-Identifier: Apache-2.0
#include "testing/line.h"

#include <cctype>
#include <charconv>
#include <limits>
#include <optional>
#include <utility>

namespace quorate::testing {
namespace {

[[noreturn]] void fail(const std::string& what) { throw ScriptError(what); }

std::string quoted(std::string_view word) { return "\"" + std::string(word) + "\""; }

bool is_blank(char c) { return c == ' ' || c == '\t'; }

bool is_key_char(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-' || c == '.';
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  fail("\\x needs two hexadecimal digits");
}

class Words {
 public:
  explicit Words(std::string_view text) : text_(text) {}

  struct Word {
    std::optional<std::string> key;
    std::string value;
  };

  [[nodiscard]] bool next(Word& word) {
    while (position_ < text_.size() && is_blank(text_[position_])) ++position_;
    if (position_ == text_.size()) return false;
    word = Word{};
    take_key(word);
    word.value = take_value();
    return true;
  }

 private:
  void take_key(Word& word) {
    size_t end = position_;
    while (end < text_.size() && is_key_char(text_[end])) ++end;
    if (end == position_ || end == text_.size() || text_[end] != '=') return;
    word.key = text_.substr(position_, end - position_);
    position_ = end + 1;
  }

  std::string take_value() {
    std::string value;
    bool in_quotes = false;
    for (; position_ < text_.size(); ++position_) {
      const char c = text_[position_];
      if (c == '"') {
        in_quotes = !in_quotes;
      } else if (in_quotes && c == '\\') {
        value += take_escape();
      } else if (!in_quotes && is_blank(c)) {
        break;
      } else {
        value += c;
      }
    }
    if (in_quotes) fail("a quote does not end");
    return value;
  }

  // Called on the backslash; leaves the position on the last character of the escape.
  char take_escape() {
    if (++position_ == text_.size()) fail("a quote does not end");
    switch (text_[position_]) {
      case 'n': return '\n';
      case 'r': return '\r';
      case 't': return '\t';
      case '0': return '\0';
      case '"': return '"';
      case '\\': return '\\';
      case 'x': break;
      default: fail(std::string("no such escape: \\") + text_[position_]);
    }
    if (position_ + 2 >= text_.size()) fail("\\x needs two hexadecimal digits");
    const int value = hex_digit(text_[position_ + 1]) * 16 + hex_digit(text_[position_ + 2]);
    position_ += 2;
    return static_cast<char>(value);
  }

  std::string_view text_;
  size_t position_ = 0;
};

int64_t unit_micros(std::string_view unit) {
  if (unit == "us") return 1;
  if (unit == "ms") return 1'000;
  if (unit == "s") return 1'000'000;
  if (unit == "m") return 60'000'000;
  if (unit == "h") return 3'600'000'000;
  fail("no such unit of time: " + quoted(unit));
}

}  // namespace

bool Line::has(std::string_view option) const { return options.contains(std::string(option)); }

const std::string& Line::arg(size_t position) const {
  if (!has_arg(position)) {
    fail(verb + ": argument " + std::to_string(position + 1) + " is missing");
  }
  return args[position];
}

uint64_t Line::arg_number(size_t position) const { return parse_number(arg(position)); }

const std::string& Line::option(std::string_view name) const {
  const auto found = options.find(std::string(name));
  if (found == options.end()) fail(verb + ": option " + std::string(name) + "= is missing");
  return found->second;
}

std::string Line::option(std::string_view name, std::string_view fallback) const {
  return has(name) ? option(name) : std::string(fallback);
}

uint64_t Line::option_number(std::string_view name) const { return parse_number(option(name)); }

uint64_t Line::option_number(std::string_view name, uint64_t fallback) const {
  return has(name) ? option_number(name) : fallback;
}

Line parse_line(std::string_view raw, int number) {
  Line line;
  line.raw = raw;
  line.number = number;
  Words words(raw);
  Words::Word word;
  if (!words.next(word)) fail("the line is empty");
  if (word.key.has_value()) fail("the line starts with an option");
  line.verb = word.value;
  while (words.next(word)) {
    if (!word.key.has_value()) {
      line.args.push_back(std::move(word.value));
    } else if (!line.options.emplace(*word.key, std::move(word.value)).second) {
      fail("option " + *word.key + "= is given twice");
    }
  }
  return line;
}

uint64_t parse_number(std::string_view word) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc{} || end != word.data() + word.size()) {
    fail("not a number: " + quoted(word));
  }
  return value;
}

int64_t parse_duration_micros(std::string_view word) {
  size_t digits = 0;
  while (digits < word.size() && word[digits] >= '0' && word[digits] <= '9') ++digits;
  const uint64_t count = parse_number(word.substr(0, digits));
  const int64_t unit = unit_micros(word.substr(digits));
  if (count > static_cast<uint64_t>(std::numeric_limits<int64_t>::max() / unit)) {
    fail("too long a time: " + quoted(word));
  }
  return static_cast<int64_t>(count) * unit;
}

}  // namespace quorate::testing
