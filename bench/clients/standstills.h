// SPDX-License-Identifier: Apache-2.0
// Standstills: when the machine itself stood still. The host of a virtual machine takes a core away
// for milliseconds, whatever the programs in it do. A thread for each core sleeps and wakes all the
// time, before every other program; when it wakes late, whatever else was on that core was late for
// the same reason. Without the right to real-time priorities nothing is watched.
#pragma once

#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

#include "base/time.h"
#include "os/clock.h"

namespace quorate::bench {

// Runs this thread before all that have no such rank; false if that is not permitted.
[[nodiscard]] bool take_rank(int rank);

class Standstills {
 public:
  Standstills();
  ~Standstills();
  Standstills(const Standstills&) = delete;
  Standstills& operator=(const Standstills&) = delete;

  // Ends the watch. Before: once, and before within().
  void stop();
  [[nodiscard]] bool watched() const { return watched_; }
  // How much of the time between some core stood still.
  [[nodiscard]] Duration within(Instant begin, Instant end) const;

 private:
  struct Span {
    Instant begin;
    Instant end;
  };

  void watch(unsigned core);

  const os::Clock clock_;
  std::atomic<bool> ends_ = false;
  std::atomic<bool> watched_ = true;
  std::mutex mutex_;
  std::vector<Span> spans_;  // once stopped: in order, none meets another
  std::vector<std::thread> threads_;
};

}  // namespace quorate::bench
