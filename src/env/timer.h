// SPDX-License-Identifier: Apache-2.0
// Timer: how code on a shard asks to run later. One loop per shard; all callbacks run on it.
#pragma once

#include <cstdint>

#include "base/function.h"
#include "base/time.h"

namespace quorate::env {

enum class TimerId : uint64_t { kNone = 0 };

class Timer {
 public:
  using Callback = UniqueFunction<void()>;
  virtual ~Timer() = default;

  // Runs once at or after `when`.
  virtual TimerId start(Instant when, Callback callback) = 0;
  // Harmless for a timer that has fired or was cancelled.
  virtual void cancel(TimerId id) = 0;
  // Runs once when the input at hand (sockets, disk, posts, timers) has been taken in and before
  // the loop blocks: the "turn" in which a shard steps its groups with all that has arrived.
  // A callback that defers again runs in the next turn, after new input was looked for.
  virtual void defer(Callback callback) = 0;
  // Runs once on this loop; the only member that another thread may call.
  virtual void post(Callback callback) = 0;
};

}  // namespace quorate::env
