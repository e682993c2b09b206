// SPDX-License-Identifier: Apache-2.0
// Load on etcd by its HTTP gateway, in a closed loop.
#pragma once

#include <cstdint>
#include <vector>

namespace quorate::bench {

// The clients are spread over the ports. Both give zero if any of them failed.
[[nodiscard]] double etcd_puts_per_second(const std::vector<uint16_t>& ports, uint32_t clients,
                                          uint64_t puts);
// Locks and unlocks per second, each client with a lock and a lease of its own; as its clients do
// it, by /v3/lock.
[[nodiscard]] double etcd_locks_per_second(const std::vector<uint16_t>& ports, uint32_t clients,
                                           uint64_t operations);

}  // namespace quorate::bench
