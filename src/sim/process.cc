// SPDX-License-Identifier: Apache-2.0
#include "sim/process.h"

#include <algorithm>

namespace quorate::sim {
namespace {

// 2026-01-01T00:00:00Z: any plausible date does.
constexpr int64_t kWallMicrosAtStart = 1'767'225'600'000'000;
constexpr __int128 kMillion = 1'000'000;

}  // namespace

void ClockModel::boot(Prng& prng) {
  base_world_ = world_.now();
  base_local_ = Instant::from_nanos(prng.between(1'000'000'000, 1'000'000'000'000'000));
}

void ClockModel::set_drift(int64_t parts_per_million) {
  ASSERT(parts_per_million > -500'000 && parts_per_million < 500'000);
  base_local_ = local();
  base_world_ = world_.now();
  drift_ = parts_per_million;
}

Instant ClockModel::local() const {
  const __int128 elapsed = (world_.now() - base_world_).nanos();
  return base_local_ + Duration::nanos(static_cast<int64_t>(elapsed * (kMillion + drift_) /
                                                            kMillion));
}

Stamp ClockModel::wall() const {
  return Stamp::from_micros(kWallMicrosAtStart) + (world_.now() - Instant()) + wall_offset_;
}

Instant ClockModel::world_time_of(Instant when) const {
  const int64_t wait = (when - local()).nanos();
  if (wait <= 0) {
    return world_.now();
  }
  const __int128 scaled = static_cast<__int128>(wait) * kMillion / (kMillion + drift_);
  return world_.now() + Duration::nanos(static_cast<int64_t>(scaled) + 1);
}

env::TimerId Timer::start(Instant when, Callback callback) {
  const uint64_t id = next_id_++;
  timers_.emplace(id, Pending{when, std::move(callback)});
  arm(id, when);
  return static_cast<env::TimerId>(id);
}

void Timer::arm(uint64_t id, Instant when) {
  if (when == Instant::never()) {
    return;
  }
  world_.at(life_, clock_.world_time_of(when), [this, id] { fire(id); });
}

void Timer::fire(uint64_t id) {
  const auto it = timers_.find(id);
  if (it == timers_.end()) {
    return;
  }
  // The clock may run slower than it did when the timer was started.
  if (clock_.local() < it->second.when) {
    arm(id, it->second.when);
    return;
  }
  Callback callback = std::move(it->second.callback);
  timers_.erase(it);
  callback();
}

void Timer::cancel(env::TimerId id) { timers_.erase(static_cast<uint64_t>(id)); }

void Timer::defer(Callback callback) {
  deferred_.push_back(std::move(callback));
  if (!turn_pending_) {
    turn_pending_ = true;
    const Duration delay = Duration::nanos(prng_.between(0, kTurnDelayMax.nanos()));
    world_.after(life_, delay, [this] { turn(); });
  }
}

void Timer::turn() {
  turn_pending_ = false;
  std::vector<Callback> callbacks = std::move(deferred_);
  deferred_.clear();
  for (Callback& callback : callbacks) {
    callback();
  }
}

void Timer::post(Callback callback) {
  const uint64_t id = next_id_++;
  timers_.emplace(id, Pending{clock_.local(), std::move(callback)});
  world_.after(life_, Duration(), [this, id] { fire(id); });
}

}  // namespace quorate::sim
