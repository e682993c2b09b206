// SPDX-License-Identifier: Apache-2.0
// The documentation that the tables of routes already contain: /openapi.json for programs, /docs
// for people, and / as the way to both. Self-contained: no file, no foreign asset.
#pragma once

#include <string>
#include <string_view>

#include "edge/http/wire/router.h"

namespace quorate::edge::http {

[[nodiscard]] std::string openapi_document(const Router& router, std::string_view version);
[[nodiscard]] std::string docs_page(const Router& router, std::string_view version);

// Adds the three pages; call it last, for they show what was added before.
void bind_docs(Router& router, std::string_view version);

}  // namespace quorate::edge::http
