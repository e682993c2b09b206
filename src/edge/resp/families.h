// SPDX-License-Identifier: Apache-2.0
// Families: all commands but those of transactions, each beside its functions.
#pragma once

#include <span>
#include <string>

#include "base/ids.h"
#include "edge/resp/session/command.h"

namespace quorate::edge::resp {

[[nodiscard]] std::span<const Row> string_rows();
[[nodiscard]] std::span<const Row> hash_rows();
[[nodiscard]] std::span<const Row> key_rows();
[[nodiscard]] std::span<const Row> walk_rows();
[[nodiscard]] std::span<const Row> connection_rows();
[[nodiscard]] std::span<const Row> server_rows();
[[nodiscard]] std::span<const Row> cluster_rows();

// What CLUSTER NODES calls a node: 40 hexadecimal digits.
[[nodiscard]] std::string node_name(uint64_t cluster, NodeId node);

}  // namespace quorate::edge::resp
