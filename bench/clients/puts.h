// SPDX-License-Identifier: Apache-2.0
// Puts by the Redis protocol on a cluster, in a closed loop: for setting beside other stores'.
#pragma once

#include <cstdint>
#include <vector>

namespace quorate::bench {

// SETs of 100 B per second, of keys spread over all slots; zero if any of them failed.
// `ports_by_slot`: where the leader of each of the 16,384 slots serves Redis clients. As with a
// client of Redis Cluster, what is sent on a connection goes to slots that are led at its other
// end: the clients are spread evenly over the nodes, and ask for keys of their node's.
[[nodiscard]] double puts_per_second(const std::vector<uint16_t>& ports_by_slot, uint32_t clients,
                                     uint64_t puts);

}  // namespace quorate::bench
