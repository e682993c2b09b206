// SPDX-License-Identifier: Apache-2.0
// The groups of commands that talk to a running cluster; main dispatches to them.
#pragma once

#include <string>
#include <vector>

#include "cli/session.h"

namespace quorate::cli {

[[nodiscard]] Exit kv_main(const std::vector<std::string>& words, Io& io);
[[nodiscard]] Exit cluster_main(const std::vector<std::string>& words, Io& io);

// Standard input and output.
[[nodiscard]] Io standard_io();

}  // namespace quorate::cli
