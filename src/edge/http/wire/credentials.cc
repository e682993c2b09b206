// SPDX-License-Identifier: Apache-2.0
#include "edge/http/wire/credentials.h"

#include "base/text.h"

namespace quorate::edge::http {
namespace {

// The rest of the header, if it begins with this scheme, whatever its case.
std::optional<std::string_view> after_scheme(std::string_view header, std::string_view scheme) {
  if (header.size() <= scheme.size() || header[scheme.size()] != ' ') {
    return std::nullopt;
  }
  for (size_t at = 0; at < scheme.size(); ++at) {
    if ((header[at] | 0x20) != scheme[at]) {
      return std::nullopt;
    }
  }
  std::string_view rest = header.substr(scheme.size());
  rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
  return rest;
}

}  // namespace

Result<Credentials> read_credentials(std::string_view header) {
  if (header.empty()) {
    return Credentials();
  }
  const Status unreadable(Code::kUnauthenticated, "the Authorization header cannot be read");
  if (const auto token = after_scheme(header, "bearer")) {
    return token->empty() ? Result<Credentials>(unreadable) : Credentials{"", std::string(*token)};
  }
  const auto encoded = after_scheme(header, "basic");
  const auto pair = encoded ? base64_decode(*encoded) : std::nullopt;
  const size_t colon = pair ? pair->find(':') : std::string::npos;
  if (colon == std::string::npos || colon == 0) {
    return unreadable;
  }
  return Credentials{pair->substr(0, colon), pair->substr(colon + 1)};
}

}  // namespace quorate::edge::http
