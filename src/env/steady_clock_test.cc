// SPDX-License-Identifier: Apache-2.0
#include "env/steady_clock.h"

#include <gtest/gtest.h>

namespace quorate::env {
namespace {

class Machine final : public Clock {
 public:
  [[nodiscard]] Instant now() const override { return now_; }
  [[nodiscard]] Stamp wall() const override { return wall_; }

  void pass(Duration time) {
    now_ = now_ + time;
    wall_ = wall_ + time;
  }
  void set_forward(Duration by) { wall_ = wall_ + by; }
  void set_back(Duration by) { wall_ = wall_ - by; }

 private:
  Instant now_ = Instant::from_nanos(77'000'000'001);
  Stamp wall_ = Stamp::from_millis(1'790'000'000'000);
};

const Duration kHour = Duration::seconds(3600);

void ask(const SteadyClock& clock) { static_cast<void>(clock.wall()); }

// Asks as often as a node does.
Duration passed_in(Machine& machine, const SteadyClock& clock, Duration time) {
  const Stamp begin = clock.wall();
  for (Duration gone; gone < time; gone = gone + Duration::seconds(1)) {
    machine.pass(Duration::seconds(1));
    ask(clock);
  }
  return clock.wall() - begin;
}

TEST(steady_clock, tells_the_machines_time_while_nobody_sets_it) {
  Machine machine;
  const SteadyClock clock(machine);
  for (int i = 0; i < 1000; ++i) {
    machine.pass(Duration::nanos(1'234'567 * i));
    const Duration off = clock.wall() - machine.wall();
    ASSERT_LE(off, Duration::micros(1));
    ASSERT_GE(off, Duration::micros(-1));
  }
}

TEST(steady_clock, time_passes_an_eighth_faster_after_a_jump_forward) {
  Machine machine;
  const SteadyClock clock(machine);
  const Stamp before = clock.wall();
  machine.set_forward(kHour);
  EXPECT_EQ(clock.wall(), before);
  EXPECT_EQ(clock.behind(), kHour);
  EXPECT_EQ(passed_in(machine, clock, Duration::seconds(80)), Duration::seconds(90));
  EXPECT_EQ(clock.behind(), kHour - Duration::seconds(10));
}

TEST(steady_clock, time_passes_an_eighth_slower_after_a_jump_back_and_never_goes_back) {
  Machine machine;
  const SteadyClock clock(machine);
  const Stamp before = clock.wall();
  machine.set_back(kHour);
  EXPECT_EQ(clock.wall(), before);
  EXPECT_EQ(passed_in(machine, clock, Duration::seconds(80)), Duration::seconds(70));
}

TEST(steady_clock, agrees_with_the_machine_again_after_eight_times_the_jump) {
  for (const bool forward : {true, false}) {
    Machine machine;
    const SteadyClock clock(machine);
    forward ? machine.set_forward(kHour) : machine.set_back(kHour);
    passed_in(machine, clock, kHour * 7);
    EXPECT_NE(clock.wall(), machine.wall());
    passed_in(machine, clock, kHour * 2);
    EXPECT_LE(clock.wall() - machine.wall(), Duration::micros(1));
    EXPECT_GE(clock.wall() - machine.wall(), Duration::micros(-1));
    EXPECT_LE(clock.behind(), Duration::micros(1));
  }
}

TEST(steady_clock, follows_what_a_time_service_corrects) {
  Machine machine;
  const SteadyClock clock(machine);
  for (int i = 0; i < 1000; ++i) {
    machine.pass(Duration::millis(10));
    machine.set_forward(Duration::micros(5));  // 500 parts in a million
    ASSERT_LE(machine.wall() - clock.wall(), Duration::micros(1));
  }
}

TEST(steady_clock, counts_a_pause_as_time) {
  Machine machine;
  const SteadyClock clock(machine);
  const Stamp before = clock.wall();
  machine.pass(kHour);
  EXPECT_EQ(clock.wall() - before, kHour);
}

// Many askings within a microsecond lose nothing by rounding.
TEST(steady_clock, loses_nothing_however_often_it_is_asked) {
  Machine machine;
  const SteadyClock clock(machine);
  machine.set_forward(kHour);
  const Stamp before = clock.wall();
  for (int i = 0; i < 800'000; ++i) {
    machine.pass(Duration::nanos(1000));
    ask(clock);
  }
  EXPECT_EQ(clock.wall() - before, Duration::millis(900));
}

}  // namespace
}  // namespace quorate::env
