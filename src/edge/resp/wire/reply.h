// SPDX-License-Identifier: Apache-2.0
// Reply: answers as bytes, in RESP2 or RESP3. Pure.
//
// The kinds of RESP3 that RESP2 lacks become what Redis sends to an old client in their place: a
// map is an array of twice as many, a null the null bulk string, a boolean an integer, a double a
// bulk string. An array or map announces its size, and exactly so many elements follow.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace quorate::edge::resp {

class Reply {
 public:
  // Appends to `out`.
  Reply(std::string& out, int protocol) : out_(out), protocol_(protocol) {}

  void ok() { out_.append("+OK\r\n"); }
  // A word or two without line ends.
  void simple(std::string_view text);
  // "ERR something is wrong"; line ends become blanks.
  void error(std::string_view text);
  void integer(int64_t value);
  void bulk(std::string_view bytes);
  void null();
  void null_array();
  void boolean(bool value);
  void number(double value);
  // Text for people, as INFO gives it.
  void verbatim(std::string_view text);
  void array(size_t size) { head('*', size); }
  void map(size_t pairs);
  void set(size_t size);

  [[nodiscard]] int protocol() const { return protocol_; }
  [[nodiscard]] std::string& out() { return out_; }

 private:
  void head(char kind, size_t size);

  std::string& out_;
  const int protocol_;
};

}  // namespace quorate::edge::resp
