// SPDX-License-Identifier: Apache-2.0
// A connection of a bench's client to a node on this machine.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace quorate::bench {

// A descriptor, or -1.
[[nodiscard]] int connect_to(uint16_t port);
[[nodiscard]] bool send_all(int descriptor, std::string_view bytes);
// A word as the Redis protocol has it.
[[nodiscard]] std::string bulk(std::string_view word);

}  // namespace quorate::bench
