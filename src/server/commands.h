// SPDX-License-Identifier: Apache-2.0
// The commands of the binary that start servers or speak of their configuration. Each takes the
// words behind its name and gives the exit code.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "server/config.h"

namespace quorate::server {

using Words = std::vector<std::string>;

[[nodiscard]] int server_main(const Words& words);
[[nodiscard]] int dev_main(const Words& words);
[[nodiscard]] int config_main(const Words& words);
[[nodiscard]] int certs_main(const Words& words);
[[nodiscard]] int audit_main(const Words& words);

// The file named by --config (taken out of the words), the environment, and the other words.
[[nodiscard]] Result<ConfigSources> read_sources(Words words);

}  // namespace quorate::server
