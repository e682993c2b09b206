// SPDX-License-Identifier: Apache-2.0
// The inside of a LockSession: its door to the cluster, and the thread that keeps its owner alive.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

#include "clients/cpp/locks/door.h"
#include "quorate/locks.h"

namespace quorate {

struct LockSession::State {
  using Clock = std::chrono::steady_clock;

  State(std::unique_ptr<locks::Door> the_door, LockSessionOptions the_options)
      : door(std::move(the_door)), options(std::move(the_options)) {}
  ~State() { stop(); }

  [[nodiscard]] static Result<std::unique_ptr<LockSession>> open(std::unique_ptr<State> state);
  // Nobody is told of what ends from now on.
  void stop();
  void keep();
  [[nodiscard]] bool is_lost() const { return lost || Clock::now() >= good_until.load(); }

  std::unique_ptr<locks::Door> door;
  LockSessionOptions options;
  std::atomic<Clock::time_point> good_until = Clock::time_point();
  std::atomic<bool> lost = false;
  std::mutex mutex;
  std::condition_variable wake;
  bool ends = false;  // guarded by mutex
  std::thread keeper;
};

}  // namespace quorate
