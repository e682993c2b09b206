// SPDX-License-Identifier: Apache-2.0
#include "edge/http/url.h"

namespace quorate::edge::http {
namespace {

int hex_value(char c) {
  if (c >= '0' && c <= '9') {
    return c - '0';
  }
  if (c >= 'a' && c <= 'f') {
    return c - 'a' + 10;
  }
  if (c >= 'A' && c <= 'F') {
    return c - 'A' + 10;
  }
  return -1;
}

bool is_unreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

bool parse_query(std::string_view text, Target& target) {
  while (!text.empty()) {
    const size_t end = text.find('&');
    const std::string_view part = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    if (part.empty()) {
      continue;
    }
    const size_t equals = part.find('=');
    auto name = percent_decode(part.substr(0, equals), true);
    auto value = equals == std::string_view::npos ? std::optional<std::string>("")
                                                  : percent_decode(part.substr(equals + 1), true);
    if (!name || !value) {
      return false;
    }
    target.query.emplace_back(std::move(*name), std::move(*value));
  }
  return true;
}

}  // namespace

std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space) {
  std::string bytes;
  bytes.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plus_is_space) {
      bytes += ' ';
    } else if (text[i] != '%') {
      bytes += text[i];
    } else {
      const int high = i + 1 < text.size() ? hex_value(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? hex_value(text[i + 2]) : -1;
      if (high < 0 || low < 0) {
        return std::nullopt;
      }
      bytes += static_cast<char>(high * 16 + low);
      i += 2;
    }
  }
  return bytes;
}

std::string percent_encode(std::string_view bytes) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string text;
  text.reserve(bytes.size());
  for (const char c : bytes) {
    if (is_unreserved(c)) {
      text += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      text += '%';
      text += kHex[byte >> 4];
      text += kHex[byte & 15];
    }
  }
  return text;
}

std::optional<Target> parse_target(std::string_view text) {
  if (text.empty() || text.front() != '/') {
    return std::nullopt;
  }
  Target target;
  const size_t question = text.find('?');
  std::string_view path = text.substr(1, question == std::string_view::npos ? question
                                                                             : question - 1);
  if (question != std::string_view::npos && !parse_query(text.substr(question + 1), target)) {
    return std::nullopt;
  }
  while (true) {
    const size_t slash = path.find('/');
    target.segments.push_back(path.substr(0, slash));
    if (slash == std::string_view::npos) {
      return target;
    }
    path.remove_prefix(slash + 1);
  }
}

}  // namespace quorate::edge::http
