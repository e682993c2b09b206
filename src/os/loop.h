// SPDX-License-Identifier: Apache-2.0
// Loop: the event loop of one shard. It implements env::Timer and shares its Asio context with the
// edges, so that sockets, disk, timers and posts of a shard meet in one thread.
//
// One turn:
//
//   take in      ready sockets and descriptors (a bounded number), due timers, posts
//   step         what env::Timer::defer() asked for: one generation
//   send         what the network queued in this turn: one system call per peer
//   disk         what the disk queued in this turn: one submission, or one write and one sync
//   wait         only if nothing is due; first by polling for Options::spin, then in the kernel
//
// The order of the last three is the point of the phases: frames leave before a blocking sync
// starts, whatever order the callers worked in, and all writes of a turn share one sync.
//
// Thread rule: run(), turn() and every callback on one thread. post() and stop() on any thread.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "base/time.h"
#include "env/timer.h"
#include "os/clock.h"
#include "os/timer_queue.h"

namespace boost::asio {
class io_context;
}

namespace quorate::os {

class Loop final : public env::Timer {
 public:
  enum class Phase : uint8_t { kStep, kSend, kDisk };

  struct Options {
    // Poll this long before sleeping in the kernel: a wake-up from sleep costs tens of microseconds
    // on a virtual machine. At most one loop of a process spins at a time, and a loop whose spins
    // find nothing does so rarely. With several processes on one small machine, set it in one.
    Duration spin;
  };

  struct Counters {
    uint64_t turns = 0;
    uint64_t waits = 0;        // turns that ended asleep in the kernel
    uint64_t spins = 0;        // turns that ended by polling
    uint64_t spins_found = 0;  // of these, the ones that found work
    uint64_t handlers = 0;     // of sockets and descriptors
    uint64_t timers = 0;
    uint64_t posts = 0;
    uint64_t wakes = 0;  // system calls by posts to wake a sleeping loop
  };

  Loop() : Loop(Options{}) {}
  explicit Loop(Options options);
  ~Loop() override;
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Turns until stop(). May be called again afterwards.
  void run();
  // One turn that never waits; for tests and for programs with a loop of their own.
  void turn();
  // Ends run() after the turn in progress.
  void stop();

  env::TimerId start(Instant when, Callback callback) override;
  void cancel(env::TimerId id) override;
  void defer(Callback callback) override { defer(Phase::kStep, std::move(callback)); }
  void post(Callback callback) override;
  // As defer, in a later phase of the same turn.
  void defer(Phase phase, Callback callback) {
    deferred_[static_cast<size_t>(phase)].push_back(std::move(callback));
  }

  [[nodiscard]] boost::asio::io_context& context();
  [[nodiscard]] const Clock& clock() const { return clock_; }
  [[nodiscard]] const Counters& counters() const { return counters_; }
  [[nodiscard]] size_t timers() const { return timers_.size(); }

 private:
  struct Reactor;

  void take_in();
  void fire_timers();
  void run_posts();
  void run_phase(Phase phase);
  [[nodiscard]] bool idle() const;
  // Waits for anything; returns when a turn is worth taking.
  void wait();
  [[nodiscard]] bool spin();
  [[nodiscard]] bool worth_spinning();
  void arm_alarm();
  void listen_for_wake();
  void listen_for_alarm();
  [[nodiscard]] bool anything_posted();

  const Options options_;
  const Clock clock_;
  std::unique_ptr<Reactor> reactor_;
  TimerQueue timers_;
  // When the kernel will wake us; it may be earlier than needed, never later.
  Instant alarm_ = Instant::never();
  std::array<std::vector<Callback>, 3> deferred_;
  std::vector<Callback> running_;  // the generation at work; kept for its capacity
  Counters counters_;
  int spin_luck_;
  uint32_t spins_skipped_ = 0;
  bool stop_ = false;

  std::mutex mutex_;  // guards what stands below, which other threads touch
  std::vector<Callback> posts_;
  uint64_t wakes_ = 0;
  bool asleep_ = false;  // a post must wake the loop, once
};

}  // namespace quorate::os
