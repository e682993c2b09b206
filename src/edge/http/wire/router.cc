// SPDX-License-Identifier: Apache-2.0
#include "edge/http/wire/router.h"

#include <algorithm>

#include "base/assert.h"
#include "base/text.h"

namespace quorate::edge::http {
namespace {

using Segments = std::vector<std::string_view>;

bool is_parameter(std::string_view segment) {
  return segment.size() > 2 && segment.front() == '{' && segment.back() == '}';
}

bool takes_many(std::string_view segment) {
  return is_parameter(segment) && segment.ends_with("...}");
}

std::string_view parameter_name(std::string_view segment) {
  return segment.substr(1, segment.size() - (takes_many(segment) ? 5 : 2));
}

// How many literal segments fit, or -1. A parameter never takes an empty first segment, so that
// "/v1/kv/" is not the key "".
int count_literals(const Router::Route& route, const Segments& path) {
  const Segments& pattern = route.segments;
  if (route.takes_many ? path.size() < pattern.size() : path.size() != pattern.size()) {
    return -1;
  }
  // Most patterns begin alike ("/v1/...") and part at their last literal before a parameter.
  if (route.leading > 0 && path[route.leading - 1] != pattern[route.leading - 1]) {
    return -1;
  }
  const size_t extra = path.size() - pattern.size();
  int literals = 0;
  size_t at = 0;
  for (const std::string_view segment : pattern) {
    if (is_parameter(segment)) {
      if (path[at].empty() && !(takes_many(segment) && extra > 0)) {
        return -1;
      }
      at += takes_many(segment) ? extra + 1 : 1;
    } else if (path[at++] == segment) {
      ++literals;
    } else {
      return -1;
    }
  }
  return literals;
}

std::string join(const Segments& path, size_t begin, size_t count) {
  std::string text;
  for (size_t i = begin; i < begin + count; ++i) {
    text += i == begin ? "" : "/";
    text += path[i];
  }
  return text;
}

void read_parameters(const Segments& pattern, const Segments& path, Router::Match& match) {
  const size_t extra = path.size() - pattern.size();
  size_t at = 0;
  for (const std::string_view segment : pattern) {
    const size_t count = takes_many(segment) ? extra + 1 : 1;
    if (is_parameter(segment)) {
      std::optional<std::string> value = percent_decode(join(path, at, count));
      match.bad_encoding |= !value.has_value();
      match.parameters.emplace_back(parameter_name(segment), std::move(value).value_or(""));
    }
    at += count;
  }
}

}  // namespace

void Router::add(const RouteText& text, Handler handler) {
  const std::optional<Target> target = parse_target(text.pattern);
  ASSERT(target.has_value(), "a pattern begins with a slash");
  for (const Route& route : routes_) {
    ASSERT(route.text.method != text.method || route.text.pattern != text.pattern,
           "a row stands once");
  }
  const Segments& segments = target->segments;
  const auto first = std::find_if(segments.begin(), segments.end(), is_parameter);
  routes_.push_back({.text = text,
                     .segments = segments,
                     .leading = static_cast<size_t>(first - segments.begin()),
                     .takes_many = std::any_of(first, segments.end(), takes_many),
                     .handler = std::move(handler)});
}

Router::Match Router::find(Method method, const Target& target) {
  Match match;
  const Method wanted = method == Method::kHead ? Method::kGet : method;
  int best = -1;
  for (Route& route : routes_) {
    const int literals = count_literals(route, target.segments);
    if (literals < 0) {
      continue;
    }
    if (std::find(match.allowed.begin(), match.allowed.end(), route.text.method) ==
        match.allowed.end()) {
      match.allowed.push_back(route.text.method);
    }
    if (route.text.method == wanted && literals > best) {
      best = literals;
      match.route = &route;
    }
  }
  if (match.route != nullptr) {
    read_parameters(match.route->segments, target.segments, match);
  }
  return match;
}

}  // namespace quorate::edge::http
