// SPDX-License-Identifier: Apache-2.0
// The groups of commands that talk to a running cluster; main dispatches to them.
#pragma once

#include <string>
#include <vector>

#include "cli/session.h"

namespace quorate::cli {

[[nodiscard]] Exit kv_main(const std::vector<std::string>& words, Io& io);
[[nodiscard]] Exit lock_main(const std::vector<std::string>& words, Io& io);
[[nodiscard]] Exit backup_main(const std::vector<std::string>& words, Io& io);
[[nodiscard]] Exit restore_main(const std::vector<std::string>& words, Io& io);
[[nodiscard]] Exit keyspace_main(const std::vector<std::string>& words, Io& io);
[[nodiscard]] Exit cluster_main(const std::vector<std::string>& words, Io& io);
[[nodiscard]] Exit top_main(const std::vector<std::string>& words, Io& io);
[[nodiscard]] Exit user_main(const std::vector<std::string>& words, Io& io);
[[nodiscard]] Exit token_main(const std::vector<std::string>& words, Io& io);

[[nodiscard]] std::span<const Command> kv_commands();
[[nodiscard]] std::span<const Command> lock_commands();
[[nodiscard]] std::span<const Command> keyspace_commands();
[[nodiscard]] std::span<const Command> backup_commands();
[[nodiscard]] std::span<const Command> cluster_commands();
[[nodiscard]] std::span<const Command> user_commands();
[[nodiscard]] std::span<const Command> token_commands();
[[nodiscard]] std::span<const Flag> top_flags();

// Standard input and output.
[[nodiscard]] Io standard_io();

}  // namespace quorate::cli
