// SPDX-License-Identifier: Apache-2.0
// Credentials from the Authorization header: "Bearer TOKEN", or "Basic" with user and password.
#pragma once

#include <string_view>

#include "base/status.h"
#include "edge/gate.h"

namespace quorate::edge::http {

// None for an empty header. Unauthenticated for any other scheme, or what cannot be read.
[[nodiscard]] Result<Credentials> read_credentials(std::string_view header);

}  // namespace quorate::edge::http
