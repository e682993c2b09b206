// SPDX-License-Identifier: Apache-2.0
#include "service/value/json_field.h"

#include <utility>

#include "base/assert.h"
#include "base/limits.h"

namespace quorate::service {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

int hex_value(char c) {
  if (is_digit(c)) {
    return c - '0';
  }
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// Before: four hex digits stand at `at`.
uint32_t code_unit(std::string_view text, size_t at) {
  uint32_t unit = 0;
  for (size_t end = at + 4; at < end; ++at) {
    unit = unit << 4 | static_cast<uint32_t>(hex_value(text[at]));
  }
  return unit;
}

// Walks a JSON text once. Every function stands at the first byte of what it reads and leaves
// behind the last; false: this is no JSON.
class Walk {
 public:
  explicit Walk(std::string_view json) : left_(json) {}

  bool run(std::string_view path) {
    skip_blanks();
    if (!value(path, !path.empty(), 0)) {
      return false;
    }
    skip_blanks();
    return left_.empty();
  }
  [[nodiscard]] JsonScalar found() const { return found_; }
  // A scalar that is the whole text.
  bool run_scalar() {
    skip_blanks();
    is_wanted_ = true;
    if (left_.empty() || left_.front() == '{' || left_.front() == '[' || !scalar()) {
      return false;
    }
    skip_blanks();
    return left_.empty();
  }

 private:
  // `path` is what is left of it, if the value lies on it.
  bool value(std::string_view path, bool is_on_path, size_t depth) {
    if (left_.empty() || depth > limits::kJsonDepthMax) {
      return false;
    }
    if (left_.front() == '{') {
      return object(is_on_path ? path : std::string_view(), depth);
    }
    if (left_.front() == '[') {
      return array(depth);
    }
    is_wanted_ = is_on_path && path.empty();
    return scalar();
  }

  bool object(std::string_view path, size_t depth) {
    const size_t dot = path.find('.');
    const std::string_view name = path.substr(0, dot);
    const std::string_view rest = dot == std::string_view::npos ? "" : path.substr(dot + 1);
    (void)take('{');
    skip_blanks();
    if (take('}')) {
      return true;
    }
    do {
      skip_blanks();
      is_wanted_ = false;
      std::string_view key;
      if (!string(key)) {
        return false;
      }
      const bool is_it = !path.empty() && is_named(key, name);
      if (is_it) {
        found_ = {};
      }
      skip_blanks();
      if (!take(':')) {
        return false;
      }
      skip_blanks();
      if (!value(rest, is_it, depth + 1)) {
        return false;
      }
      skip_blanks();
    } while (take(','));
    return take('}');
  }

  bool array(size_t depth) {
    (void)take('[');
    skip_blanks();
    if (take(']')) {
      return true;
    }
    do {
      skip_blanks();
      if (!value({}, false, depth + 1)) {
        return false;
      }
      skip_blanks();
    } while (take(','));
    return take(']');
  }

  bool scalar() {
    JsonScalar it;
    switch (left_.front()) {
      case '"': it.kind = JsonScalar::Kind::kString; break;
      case 't': it.kind = JsonScalar::Kind::kTrue; break;
      case 'f': it.kind = JsonScalar::Kind::kFalse; break;
      case 'n': it.kind = JsonScalar::Kind::kNull; break;
      default: it.kind = JsonScalar::Kind::kNumber; break;
    }
    bool is_good = false;
    switch (it.kind) {
      case JsonScalar::Kind::kString: is_good = string(it.text); break;
      case JsonScalar::Kind::kTrue: is_good = word("true"); break;
      case JsonScalar::Kind::kFalse: is_good = word("false"); break;
      case JsonScalar::Kind::kNull: is_good = word("null"); break;
      default: is_good = number(it.text); break;
    }
    if (is_good && is_wanted_) {
      found_ = it;
    }
    return is_good;
  }

  bool string(std::string_view& text) {
    if (!take('"')) {
      return false;
    }
    size_t at = 0;
    while (at < left_.size() && left_[at] != '"') {
      if (static_cast<unsigned char>(left_[at]) < 0x20) {
        return false;
      }
      const size_t length = left_[at] == '\\' ? escape(at) : 1;
      if (length == 0) {
        return false;
      }
      at += length;
    }
    if (at >= left_.size()) {
      return false;
    }
    text = left_.substr(0, at);
    left_.remove_prefix(at + 1);
    return true;
  }

  // The length of the escape at `at`, 0 if it is none.
  [[nodiscard]] size_t escape(size_t at) const {
    const char c = at + 1 < left_.size() ? left_[at + 1] : '\0';
    if (c != 'u') {
      return std::string_view("\"\\/bfnrt").find(c) == std::string_view::npos ? 0 : 2;
    }
    if (at + 6 > left_.size()) {
      return 0;
    }
    for (size_t digit = at + 2; digit < at + 6; ++digit) {
      if (hex_value(left_[digit]) < 0) {
        return 0;
      }
    }
    return 6;
  }

  bool number(std::string_view& text) {
    const std::string_view all = left_;
    (void)take('-');
    if (!take('0') && !digits()) {
      return false;
    }
    if (take('.') && !digits()) {
      return false;
    }
    if (take('e') || take('E')) {
      (void)(take('+') || take('-'));
      if (!digits()) {
        return false;
      }
    }
    text = all.substr(0, all.size() - left_.size());
    return true;
  }

  bool digits() {
    size_t count = 0;
    while (count < left_.size() && is_digit(left_[count])) {
      ++count;
    }
    left_.remove_prefix(count);
    return count > 0;
  }

  bool word(std::string_view expected) {
    const bool is_it = left_.starts_with(expected);
    left_.remove_prefix(is_it ? expected.size() : 0);
    return is_it;
  }

  bool take(char c) {
    const bool is_it = !left_.empty() && left_.front() == c;
    left_.remove_prefix(is_it ? 1 : 0);
    return is_it;
  }

  void skip_blanks() {
    while (!left_.empty() && (left_.front() == ' ' || left_.front() == '\t' ||
                              left_.front() == '\n' || left_.front() == '\r')) {
      left_.remove_prefix(1);
    }
  }

  static bool is_named(std::string_view key, std::string_view name) {
    return key.find('\\') == std::string_view::npos ? key == name : unescape(key) == name;
  }

  std::string_view left_;
  JsonScalar found_;
  bool is_wanted_ = false;  // the scalar that comes is the one at the path
};

void append_utf8(uint32_t point, std::string& out) {
  const auto tail = [&](unsigned shift) {
    out.push_back(static_cast<char>(0x80 | (point >> shift & 0x3f)));
  };
  if (point < 0x80) {
    out.push_back(static_cast<char>(point));
  } else if (point < 0x800) {
    out.push_back(static_cast<char>(0xc0 | point >> 6));
    tail(0);
  } else if (point < 0x10000) {
    out.push_back(static_cast<char>(0xe0 | point >> 12));
    tail(6);
    tail(0);
  } else {
    out.push_back(static_cast<char>(0xf0 | point >> 18));
    tail(12);
    tail(6);
    tail(0);
  }
}

// Reads \uXXXX, or two of them that are one character, at `at`; returns where it ends.
size_t append_escaped(std::string_view text, size_t at, std::string& out) {
  constexpr uint32_t kReplacement = 0xfffd;
  const uint32_t unit = code_unit(text, at + 2);
  at += 6;
  const bool is_high = unit >= 0xd800 && unit < 0xdc00;
  if (is_high && text.substr(at).starts_with("\\u")) {
    const uint32_t low = code_unit(text, at + 2);
    if (low >= 0xdc00 && low < 0xe000) {
      append_utf8(0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00), out);
      return at + 6;
    }
  }
  append_utf8(unit >= 0xd800 && unit < 0xe000 ? kReplacement : unit, out);
  return at;
}

}  // namespace

JsonScalar find_field(std::string_view json, std::string_view path) {
  Walk walk(json);
  return walk.run(path) ? walk.found() : JsonScalar();
}

JsonScalar parse_scalar(std::string_view json) {
  Walk walk(json);
  return walk.run_scalar() ? walk.found() : JsonScalar();
}

std::string unescape(std::string_view text) {
  constexpr std::string_view kLetters = "\"\\/bfnrt";
  constexpr std::string_view kMeant = "\"\\/\b\f\n\r\t";
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    if (text[at] != '\\') {
      out.push_back(text[at++]);
    } else if (text[at + 1] == 'u') {
      at = append_escaped(text, at, out);
    } else {
      const size_t letter = kLetters.find(text[at + 1]);
      ASSERT(letter != std::string_view::npos, "the walk has seen it");
      out.push_back(kMeant[letter]);
      at += 2;
    }
  }
  return out;
}

Status check_path(std::string_view path) {
  const bool has_empty_name = path.empty() || path.front() == '.' || path.back() == '.' ||
                              path.find("..") != std::string_view::npos;
  return has_empty_name || path.size() > limits::kKvIndexPathBytesMax
             ? Status(Code::kInvalidArgument,
                      "a path is names of fields with dots between them, of at most " +
                          std::to_string(limits::kKvIndexPathBytesMax) + " bytes")
             : Status::success();
}

}  // namespace quorate::service
