// SPDX-License-Identifier: Apache-2.0
#include "edge/resp/wire/reply.h"

#include <algorithm>
#include <charconv>

namespace quorate::edge::resp {
namespace {

constexpr int kResp3 = 3;

}  // namespace

void Reply::head(char kind, size_t size) {
  char text[24];
  text[0] = kind;
  char* end = std::to_chars(text + 1, text + sizeof(text) - 2, size).ptr;
  *end++ = '\r';
  *end++ = '\n';
  out_.append(text, static_cast<size_t>(end - text));
}

void Reply::simple(std::string_view text) { out_.append("+").append(text).append("\r\n"); }

void Reply::error(std::string_view text) {
  out_ += '-';
  const size_t begin = out_.size();
  out_.append(text);
  std::replace_if(
      out_.begin() + static_cast<std::ptrdiff_t>(begin), out_.end(),
      [](char c) { return c == '\r' || c == '\n'; }, ' ');
  out_.append("\r\n");
}

void Reply::integer(int64_t value) {
  char text[24];
  text[0] = ':';
  char* end = std::to_chars(text + 1, text + sizeof(text) - 2, value).ptr;
  *end++ = '\r';
  *end++ = '\n';
  out_.append(text, static_cast<size_t>(end - text));
}

void Reply::bulk(std::string_view bytes) {
  head('$', bytes.size());
  out_.append(bytes).append("\r\n");
}

void Reply::null() { out_.append(protocol_ == kResp3 ? "_\r\n" : "$-1\r\n"); }

void Reply::null_array() { out_.append(protocol_ == kResp3 ? "_\r\n" : "*-1\r\n"); }

void Reply::boolean(bool value) {
  if (protocol_ == kResp3) {
    out_.append(value ? "#t\r\n" : "#f\r\n");
  } else {
    integer(value ? 1 : 0);
  }
}

void Reply::number(double value) {
  char text[40];
  const char* const end = std::to_chars(text, text + sizeof(text), value).ptr;
  const std::string_view digits(text, static_cast<size_t>(end - text));
  if (protocol_ == kResp3) {
    out_.append(",").append(digits).append("\r\n");
  } else {
    bulk(digits);
  }
}

void Reply::verbatim(std::string_view text) {
  if (protocol_ != kResp3) {
    bulk(text);
    return;
  }
  head('=', text.size() + 4);
  out_.append("txt:").append(text).append("\r\n");
}

void Reply::map(size_t pairs) {
  if (protocol_ == kResp3) {
    head('%', pairs);
  } else {
    head('*', pairs * 2);
  }
}

void Reply::set(size_t size) { head(protocol_ == kResp3 ? '~' : '*', size); }

}  // namespace quorate::edge::resp
