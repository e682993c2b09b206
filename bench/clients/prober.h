// SPDX-License-Identifier: Apache-2.0
// A client that looks for pauses: reads and writes of one key each, due at even distances, whether
// or not those before them were answered; and a client that stores many keys as fast as it can.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "base/time.h"
#include "bench/clients/standstills.h"
#include "os/clock.h"

namespace quorate::bench {

// One command of the Redis protocol.
[[nodiscard]] std::string command_of(const std::vector<std::string>& words);

struct Probe {
  Instant due;
  Duration took;  // from when it was due, not from when it could be sent
  bool writes = false;
};

// What probes that were due within some time saw.
struct Seen {
  size_t probes = 0;
  Duration p50;
  Duration p999;
  Duration longest_read;
  Duration longest_write;
  [[nodiscard]] Duration longest() const { return std::max(longest_read, longest_write); }
};

// Reads and writes go over a connection each, so that none waits for the other's disk.
class Prober {
 public:
  struct Rates {
    uint32_t reads_per_second = 2'000;
    uint32_t writes_per_second = 200;
  };
  Prober(uint16_t port, Rates rates);
  ~Prober();
  Prober(const Prober&) = delete;
  Prober& operator=(const Prober&) = delete;

  // Ends the probing. Before: once, and before seen().
  void stop();
  // Less the time in which the machine stood still, if that was watched.
  [[nodiscard]] Seen seen(Instant begin, Instant end,
                          const Standstills* standstills = nullptr) const;
  [[nodiscard]] uint64_t failed() const { return failed_; }

 private:
  struct Link;
  void run();
  void ask_due(Link& link, Instant now);
  void hear(Link& link);

  const uint16_t port_;
  const Rates rates_;
  const os::Clock clock_;
  std::atomic<bool> ends_ = false;
  std::vector<Probe> probes_;
  uint64_t failed_ = 0;
  std::thread thread_;
};

// Sends commands and waits for their answers, up to a thousand at once. False if one was refused.
[[nodiscard]] bool store_many(uint16_t port, size_t begin, size_t end,
                              const std::function<std::string(size_t number)>& command);
// The number that a command is answered with; -1 if it is none.
[[nodiscard]] int64_t ask_number(uint16_t port, const std::string& command);

}  // namespace quorate::bench
