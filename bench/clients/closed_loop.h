// SPDX-License-Identifier: Apache-2.0
// Closed loop: clients with a connection each that ask, wait for the answer, and go on. The same
// program loads every server that is set beside another one, whatever protocol it speaks: then what
// the load costs the machine that it shares with the servers is the same on both sides.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace quorate::bench {

// What clients ask for, one thing after the other.
class Conversation {
 public:
  enum class Heard : uint8_t {
    kPart,   // the answer has not come whole
    kWhole,  // it was done
    kWrong,  // it was refused, or makes no sense
  };
  virtual ~Conversation() = default;
  // Good until the next call.
  [[nodiscard]] virtual std::string_view next(size_t client) = 0;
  // `answer`: all that has come since the client asked.
  [[nodiscard]] virtual Heard hear(size_t client, std::string_view answer) = 0;
};

// Operations per second of all clients together; zero if any of them failed. Client n is connected
// to ports[n % ports.size()].
[[nodiscard]] double closed_loop_per_second(const std::vector<uint16_t>& ports, uint32_t clients,
                                            uint64_t operations, Conversation& conversation);

}  // namespace quorate::bench
