// SPDX-License-Identifier: Apache-2.0
// Test support: a loop that turns, and a clock that moves, when the test says so.
#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <utility>

#include "env/clock.h"
#include "env/timer.h"

namespace quorate::wal {

class ManualLoop final : public env::Clock, public env::Timer {
 public:
  [[nodiscard]] Instant now() const override { return now_; }
  [[nodiscard]] Stamp wall() const override {
    return Stamp::from_micros(1'700'000'000'000'000 + now_.nanos() / 1000);
  }
  env::TimerId start(Instant when, Callback callback) override {
    timers_.emplace(std::pair(when, ++last_), std::move(callback));
    return static_cast<env::TimerId>(last_);
  }
  void cancel(env::TimerId id) override {
    std::erase_if(timers_,
                  [&](const auto& each) { return each.first.second == static_cast<uint64_t>(id); });
  }
  void defer(Callback callback) override { queue_.push_back(std::move(callback)); }
  void post(Callback callback) override { queue_.push_back(std::move(callback)); }

  // Until nothing is left to do but timers that are not due.
  void run() {
    while (step()) {
    }
  }
  bool step() {
    if (!queue_.empty()) {
      Callback callback = std::move(queue_.front());
      queue_.pop_front();
      callback();
      return true;
    }
    if (!timers_.empty() && timers_.begin()->first.first <= now_) {
      Callback callback = std::move(timers_.extract(timers_.begin()).mapped());
      callback();
      return true;
    }
    return false;
  }
  void advance(Duration duration) {
    const Instant end = now_ + duration;
    run();
    while (!timers_.empty() && timers_.begin()->first.first <= end) {
      now_ = std::max(now_, timers_.begin()->first.first);
      run();
    }
    now_ = end;
  }
  // A process that dies takes its callbacks along.
  void forget() {
    queue_.clear();
    timers_.clear();
  }

 private:
  Instant now_ = Instant::from_nanos(1'000'000'000);
  uint64_t last_ = 0;
  std::deque<Callback> queue_;
  std::map<std::pair<Instant, uint64_t>, Callback> timers_;
};

}  // namespace quorate::wal
