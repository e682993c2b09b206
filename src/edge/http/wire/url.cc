// SPDX-License-Identifier: Apache-2.0
#include "edge/http/wire/url.h"

#include "base/text.h"

namespace quorate::edge::http {
namespace {

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

// The absolute form, in which a client asks that takes this for a proxy; every server must take it
// (RFC 9112, 3.2.2). Whose name it bears does not matter here.
std::string_view without_authority(std::string_view text) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (text.starts_with(scheme)) {
      const size_t end = text.find_first_of("/?", scheme.size());
      return end == std::string_view::npos ? "/" : text.substr(end);
    }
  }
  return text;
}

}  // namespace

std::optional<Target> parse_target(std::string_view text) {
  text = without_authority(text);
  if (text.empty() || text.front() != '/') {
    return std::nullopt;
  }
  Target target;
  const size_t question = text.find('?');
  std::string_view path =
      text.substr(1, question == std::string_view::npos ? question : question - 1);
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
