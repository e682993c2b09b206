// SPDX-License-Identifier: Apache-2.0
// The virtual clock and timer of one process.
//
// ClockModel belongs to the machine: its monotonic clock runs a little fast or slow (drift, in
// parts per million, which may change while it runs) and its wall clock jumps. Clock and Timer are
// what a node sees of it. A timer is due by the node's own monotonic clock.
//
// defer() runs a little after the instant at hand: between nothing and kTurnDelayMax later, so that
// the batch of inputs that one turn takes in varies from seed to seed.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "env/clock.h"
#include "env/timer.h"
#include "sim/world.h"

namespace quorate::sim {

inline constexpr Duration kTurnDelayMax = Duration::micros(40);

class ClockModel {
 public:
  explicit ClockModel(World& world) : world_(world) {}

  // A new boot: the monotonic clock begins anywhere.
  void boot(Prng& prng);
  void set_drift(int64_t parts_per_million);
  // Moves the wall clock; the monotonic clock does not notice.
  void jump(Duration by) { wall_offset_ = wall_offset_ + by; }

  [[nodiscard]] Instant local() const;
  [[nodiscard]] Stamp wall() const;
  // The world's time at which the local clock will have reached `when`, never in the past.
  [[nodiscard]] Instant world_time_of(Instant when) const;
  [[nodiscard]] int64_t drift() const { return drift_; }

 private:
  World& world_;
  Instant base_world_;
  Instant base_local_;
  int64_t drift_ = 0;
  Duration wall_offset_;
};

class Clock : public env::Clock {
 public:
  explicit Clock(const ClockModel& model) : model_(model) {}
  [[nodiscard]] Instant now() const override { return model_.local(); }
  [[nodiscard]] Stamp wall() const override { return model_.wall(); }

 private:
  const ClockModel& model_;
};

class Timer : public env::Timer {
 public:
  Timer(World& world, const ClockModel& clock, LifeId life)
      : world_(world), clock_(clock), life_(life), prng_(world.fork_prng()) {}

  env::TimerId start(Instant when, Callback callback) override;
  void cancel(env::TimerId id) override;
  void defer(Callback callback) override;
  void post(Callback callback) override;

 private:
  struct Pending {
    Instant when;
    Callback callback;
  };

  void arm(uint64_t id, Instant when);
  void fire(uint64_t id);
  void turn();

  World& world_;
  const ClockModel& clock_;
  LifeId life_;
  Prng prng_;
  uint64_t next_id_ = 1;
  std::map<uint64_t, Pending> timers_;
  std::vector<Callback> deferred_;
  bool turn_pending_ = false;
};

}  // namespace quorate::sim
