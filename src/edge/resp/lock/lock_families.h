// SPDX-License-Identifier: Apache-2.0
// The families of commands for locks: LOCK.*, and the scripts that lock libraries bring.
#pragma once

#include <span>

#include "edge/resp/session/command.h"

namespace quorate::edge::resp {

[[nodiscard]] std::span<const Row> lock_rows();
[[nodiscard]] std::span<const Row> script_rows();

}  // namespace quorate::edge::resp
