// SPDX-License-Identifier: Apache-2.0
// The root token: a secret of the machine's own, in a file that only its owner may read.
#pragma once

#include <string>

#include "base/status.h"

namespace quorate::server {

// Empty if no file is named. Refuses a file that others may read, and a token that is too short.
[[nodiscard]] Result<std::string> read_root_token(const std::string& path);

}  // namespace quorate::server
