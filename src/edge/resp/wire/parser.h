// SPDX-License-Identifier: Apache-2.0
// Parser: commands out of the bytes that a Redis client sends. Pure, and incremental: it may be
// asked after any byte, and never looks twice at what it has understood.
//
//   command = "*" count CRLF, count times ("$" length CRLF bytes CRLF)     as every client sends it
//           | words CRLF                                                   as a person types it
//
// The caller keeps the bytes: next() is given all that has arrived and is not consumed, and the
// arguments are views of it. Nothing is reserved by a number that the peer has claimed; only bytes
// that have arrived cost memory, and a command is never over Bounds::request_bytes.
//
// The texts of errors are those of Redis, since clients and people know them. After an error the
// beginning of the next command cannot be known, so the connection has to end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.h"

namespace quorate::edge::resp {

using Arguments = std::span<const std::string_view>;

class Parser {
 public:
  struct Bounds {
    size_t request_bytes = limits::kRequestBytesMax;
    size_t inline_bytes = limits::kRespInlineBytesMax;
    int64_t arguments = limits::kRespArgumentsMax;
  };
  enum class Outcome : uint8_t {
    kCommand,  // arguments() and consumed() are good
    kNothing,  // consumed() is good: an empty line, or a command without a single word
    kMore,     // ask again with the same bytes and more behind them
    kError,    // error() says what is wrong
  };

  Parser() : Parser(Bounds{}) {}
  explicit Parser(const Bounds& bounds) : bounds_(bounds) {}

  // `input` begins where the last command ended; after kMore, with the same bytes as before.
  [[nodiscard]] Outcome next(std::string_view input);

  // At least one argument; views of `input`, or of the parser until the next call of next().
  [[nodiscard]] Arguments arguments() const { return arguments_; }
  // What the command took from the front of the input.
  [[nodiscard]] size_t consumed() const { return at_; }
  // After kMore: the least size of the input that can bring anything new.
  [[nodiscard]] size_t wanted() const { return wanted_; }
  [[nodiscard]] const std::string& error() const { return error_; }
  // Gives back memory that an unusual command took.
  void shrink();

 private:
  struct Piece {
    size_t begin;
    size_t size;
  };
  enum class Line : uint8_t { kWhole, kMore, kTooLong };

  Outcome next_inline(std::string_view input);
  Outcome read_count(std::string_view input);
  [[nodiscard]] int64_t read_short(std::string_view input, char kind, int64_t most);
  Outcome read_length(std::string_view input);
  Outcome read_piece(std::string_view input);
  Outcome end(Outcome outcome);
  Outcome fail(std::string text);
  Outcome more(size_t wanted);
  [[nodiscard]] Line find_line(std::string_view input, std::string_view& line);
  [[nodiscard]] bool split_words(std::string_view line);

  const Bounds bounds_;
  size_t at_ = 0;       // everything before it is understood
  size_t scanned_ = 0;  // no end of a line before it
  size_t wanted_ = 0;
  int64_t left_ = -1;         // arguments to come; -1: no count was read yet
  int64_t piece_bytes_ = -1;  // of the argument whose length was read; -1: none
  bool done_ = true;          // the last call came to an end: begin anew
  std::vector<Piece> pieces_;
  std::vector<std::string_view> arguments_;
  std::vector<std::string> words_;  // of an inline command, without their quotes
  std::string error_;
};

// Decimal, without a plus sign, blanks or leading zeros, as Redis reads its integers.
[[nodiscard]] bool parse_integer(std::string_view text, int64_t& value);

}  // namespace quorate::edge::resp
