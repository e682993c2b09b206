// SPDX-License-Identifier: Apache-2.0
#include "edge/resp/wire/parser.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "base/assert.h"

namespace quorate::edge::resp {
namespace {

// A command of this many arguments is common enough to keep their places for the next one.
constexpr size_t kPiecesKept = 1'024;

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\0'; }

int hex_digit(char c) {
  if (c >= '0' && c <= '9') {
    return c - '0';
  }
  if (c >= 'a' && c <= 'f') {
    return c - 'a' + 10;
  }
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

char escaped(char c) {
  switch (c) {
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'b': return '\b';
    case 'a': return '\a';
    default: return c;
  }
}

// One word of an inline command; quotes may stand only around a whole one.
class WordReader {
 public:
  explicit WordReader(std::string_view line) : line_(line) {}

  bool skip_blanks() {
    while (at_ < line_.size() && is_blank(line_[at_])) {
      ++at_;
    }
    return at_ < line_.size();
  }

  // False if its quotes are not balanced.
  bool read(std::string& word) {
    while (at_ < line_.size() && !is_blank(line_[at_])) {
      const char c = line_[at_++];
      if (c == '"' || c == '\'') {
        if (!read_quoted(c, word)) {
          return false;
        }
        return at_ == line_.size() || is_blank(line_[at_]);
      }
      word += c;
    }
    return true;
  }

 private:
  bool read_quoted(char quote, std::string& word) {
    while (at_ < line_.size()) {
      const char c = line_[at_++];
      if (c == quote) {
        return true;
      }
      if (c == '\\' && at_ < line_.size()) {
        read_escape(quote, word);
      } else {
        word += c;
      }
    }
    return false;
  }

  // Behind a backslash. Single quotes know only the escape of themselves.
  void read_escape(char quote, std::string& word) {
    if (quote == '\'') {
      word += line_[at_] == '\'' ? line_[at_++] : '\\';
      return;
    }
    const bool is_hex = line_[at_] == 'x' && at_ + 2 < line_.size() &&
                        hex_digit(line_[at_ + 1]) >= 0 && hex_digit(line_[at_ + 2]) >= 0;
    if (is_hex) {
      word += static_cast<char>(hex_digit(line_[at_ + 1]) * 16 + hex_digit(line_[at_ + 2]));
      at_ += 3;
    } else {
      word += escaped(line_[at_++]);
    }
  }

  std::string_view line_;
  size_t at_ = 0;
};

}  // namespace

bool parse_integer(std::string_view text, int64_t& value) {
  if (text.empty() || text.size() > 20) {
    return false;
  }
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    return false;
  }
  const bool is_negative = text.front() == '-';
  const char first = text[is_negative ? 1 : 0];
  return first != '0' || text.size() == 1;
}

Parser::Outcome Parser::next(std::string_view input) {
  if (done_) {
    done_ = false;
    at_ = 0;
    scanned_ = 0;
    left_ = -1;
    piece_bytes_ = -1;
    pieces_.clear();
    arguments_.clear();
  }
  if (left_ < 0) {
    if (input.empty()) {
      return more(1);
    }
    if (input.front() != '*') {
      return next_inline(input);
    }
    if (const Outcome outcome = read_count(input); outcome != Outcome::kCommand) {
      return outcome;
    }
  }
  while (left_ > 0) {
    if (const Outcome outcome = read_piece(input); outcome != Outcome::kCommand) {
      return outcome;
    }
  }
  for (const Piece& piece : pieces_) {
    arguments_.push_back(input.substr(piece.begin, piece.size));
  }
  return end(pieces_.empty() ? Outcome::kNothing : Outcome::kCommand);
}

Parser::Outcome Parser::end(Outcome outcome) {
  done_ = true;
  return outcome;
}

Parser::Outcome Parser::fail(std::string text) {
  error_ = "Protocol error: " + std::move(text);
  return Outcome::kError;
}

Parser::Outcome Parser::more(size_t wanted) {
  wanted_ = wanted;
  return Outcome::kMore;
}

// The text from at_ to the next CRLF; then at_ stands behind that.
Parser::Line Parser::find_line(std::string_view input, std::string_view& line) {
  scanned_ = scanned_ > at_ ? scanned_ : at_;
  const size_t end = input.find('\r', scanned_);
  if (end != std::string_view::npos && end - at_ > bounds_.inline_bytes) {
    return Line::kTooLong;
  }
  if (end == std::string_view::npos || end + 1 >= input.size()) {
    scanned_ = end == std::string_view::npos ? input.size() : end;
    return input.size() - at_ > bounds_.inline_bytes ? Line::kTooLong : Line::kMore;
  }
  line = input.substr(at_, end - at_);
  at_ = end + 2;  // the second byte is taken for a line feed, as Redis does
  return Line::kWhole;
}

// A count or length of one to four digits, as nearly all are, without a search for the end of its
// line; at_ stands behind it. -1: it is another, is wrong, or has not arrived whole.
int64_t Parser::read_short(std::string_view input, char kind, int64_t most) {
  constexpr size_t kDigitsMax = 4;
  const std::string_view text = input.substr(at_);
  if (text.size() < 4 || text.front() != kind) {
    return -1;
  }
  int64_t value = 0;
  size_t end = 1;
  const size_t last = std::min(1 + kDigitsMax, text.size() - 2);
  for (; end < last && text[end] >= '0' && text[end] <= '9'; ++end) {
    value = value * 10 + (text[end] - '0');
  }
  const bool has_zero_first = text[1] == '0' && end > 2;
  if (end == 1 || text[end] != '\r' || has_zero_first || value > most) {
    return -1;
  }
  at_ += end + 2;
  return value;
}

Parser::Outcome Parser::read_count(std::string_view input) {
  left_ = read_short(input, '*', bounds_.arguments);
  if (left_ >= 0) {
    return Outcome::kCommand;
  }
  std::string_view line;
  const Line found = find_line(input, line);
  if (found != Line::kWhole) {
    return found == Line::kMore ? more(input.size() + 1) : fail("too big mbulk count string");
  }
  int64_t count = 0;
  if (!parse_integer(line.substr(1), count) || count > bounds_.arguments) {
    return fail("invalid multibulk length");
  }
  left_ = count > 0 ? count : 0;
  return Outcome::kCommand;
}

Parser::Outcome Parser::read_length(std::string_view input) {
  std::string_view line;
  const Line found = find_line(input, line);
  if (found != Line::kWhole) {
    return found == Line::kMore ? more(input.size() + 1) : fail("too big bulk count string");
  }
  if (line.empty() || line.front() != '$') {
    const char got = line.empty() ? '\r' : line.front();
    const bool is_shown = static_cast<uint8_t>(got) >= 0x20 && static_cast<uint8_t>(got) < 0x7f;
    return fail(std::string("expected '$', got '") + (is_shown ? got : '?') + "'");
  }
  int64_t bytes = 0;
  if (!parse_integer(line.substr(1), bytes) || bytes < 0 ||
      static_cast<uint64_t>(bytes) > bounds_.request_bytes) {
    return fail("invalid bulk length");
  }
  piece_bytes_ = bytes;
  return Outcome::kCommand;
}

Parser::Outcome Parser::read_piece(std::string_view input) {
  if (piece_bytes_ < 0) {
    piece_bytes_ = read_short(input, '$', static_cast<int64_t>(bounds_.request_bytes));
    if (piece_bytes_ < 0) {
      if (const Outcome outcome = read_length(input); outcome != Outcome::kCommand) {
        return outcome;
      }
    }
    if (at_ + static_cast<size_t>(piece_bytes_) + 2 > bounds_.request_bytes) {
      return fail("the request is over " + std::to_string(bounds_.request_bytes) + " bytes");
    }
  }
  const auto size = static_cast<size_t>(piece_bytes_);
  if (input.size() - at_ < size + 2) {
    return more(at_ + size + 2);
  }
  pieces_.push_back({at_, size});
  at_ += size + 2;
  piece_bytes_ = -1;
  --left_;
  return Outcome::kCommand;
}

Parser::Outcome Parser::next_inline(std::string_view input) {
  scanned_ = scanned_ > at_ ? scanned_ : at_;
  const size_t line_end = input.find('\n', scanned_);
  const size_t known = line_end == std::string_view::npos ? input.size() : line_end;
  if (known - at_ > bounds_.inline_bytes) {
    return fail("too big inline request");
  }
  if (line_end == std::string_view::npos) {
    scanned_ = input.size();
    return more(input.size() + 1);
  }
  if (!split_words(input.substr(at_, line_end - at_))) {
    return fail("unbalanced quotes in request");
  }
  at_ = line_end + 1;
  arguments_.assign(words_.begin(), words_.end());
  return end(words_.empty() ? Outcome::kNothing : Outcome::kCommand);
}

bool Parser::split_words(std::string_view line) {
  words_.clear();
  WordReader reader(line);
  while (reader.skip_blanks()) {
    if (!reader.read(words_.emplace_back())) {
      return false;
    }
  }
  return true;
}

void Parser::shrink() {
  ASSERT(done_, "a command in the making needs what it has");
  if (pieces_.capacity() > kPiecesKept) {
    pieces_ = {};
    arguments_ = {};
  }
  words_ = {};
}

}  // namespace quorate::edge::resp
