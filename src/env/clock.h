// SPDX-License-Identifier: Apache-2.0
// Clock: the only source of time. Real in os, virtual in sim (where it drifts and jumps).
#pragma once

#include "base/time.h"

namespace quorate::env {

class Clock {
 public:
  virtual ~Clock() = default;
  // Monotonic; may stand still while the process is paused, never goes back.
  [[nodiscard]] virtual Instant now() const = 0;
  // Wall time; may jump either way. Only a leader stamps with it, through env/steady_clock.h.
  [[nodiscard]] virtual Stamp wall() const = 0;
};

}  // namespace quorate::env
