// SPDX-License-Identifier: Apache-2.0
// Clock: the machine's clocks.
//
// now() is CLOCK_BOOTTIME, not CLOCK_MONOTONIC: the latter stands still while the machine sleeps,
// so a leader that was suspended for a minute would wake up in the belief that its lease still
// runs, and serve a stale read. BOOTTIME counts the sleep. See docs/decisions/030.
//
// Any thread may call it.
#pragma once

#include <ctime>

#include "base/time.h"
#include "env/clock.h"

namespace quorate::os {

inline constexpr clockid_t kInstantClock = CLOCK_BOOTTIME;

class Clock final : public env::Clock {
 public:
  [[nodiscard]] Instant now() const override { return Instant::from_nanos(read(kInstantClock)); }
  [[nodiscard]] Stamp wall() const override {
    return Stamp::from_micros(read(CLOCK_REALTIME) / 1'000);
  }

 private:
  static int64_t read(clockid_t clock) {
    timespec time;
    ::clock_gettime(clock, &time);
    return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
  }
};

}  // namespace quorate::os
