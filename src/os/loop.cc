// SPDX-License-Identifier: Apache-2.0
#include "os/loop.h"

#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <utility>

#include "base/assert.h"

namespace quorate::os {
namespace {

namespace asio = boost::asio;

// Sockets that always have more must not keep the groups from their step.
constexpr int kHandlersPerTurn = 512;
// A loop begins with, and never has more than, this much trust in spinning.
constexpr int kSpinLuckMax = 8;
// An unlucky loop tries again this rarely.
constexpr uint32_t kSpinRetryWaits = 64;

// Two spinning threads on two cores starve the syncs that they wait for: one at a time per process.
std::atomic_flag& spin_permit() {
  static std::atomic_flag taken;
  return taken;
}

int checked(int descriptor) {
  ASSERT(descriptor >= 0, "the kernel refused a descriptor that the loop cannot do without");
  return descriptor;
}

}  // namespace

struct Loop::Reactor {
  // The hint 1 promises one running thread; posts of handlers from others stay safe.
  asio::io_context context{1};
  asio::posix::stream_descriptor wake{context, checked(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC))};
  asio::posix::stream_descriptor alarm{
      context, checked(::timerfd_create(kInstantClock, TFD_NONBLOCK | TFD_CLOEXEC))};
  uint64_t wake_count = 0;
  uint64_t alarm_count = 0;
};

Loop::Loop(Options options)
    : options_(options), reactor_(std::make_unique<Reactor>()), spin_luck_(kSpinLuckMax) {
  listen_for_wake();
  listen_for_alarm();
}

Loop::~Loop() = default;

asio::io_context& Loop::context() { return reactor_->context; }

void Loop::run() {
  reactor_->context.restart();
  while (true) {
    turn();
    if (std::exchange(stop_, false)) {
      return;
    }
    if (idle()) {
      wait();
    }
  }
}

void Loop::stop() {
  // As a post, so that a sleeping loop wakes for it.
  post([this] { stop_ = true; });
}

void Loop::turn() {
  ++counters_.turns;
  take_in();
  run_phase(Phase::kStep);
  run_phase(Phase::kSend);
  run_phase(Phase::kDisk);
}

void Loop::take_in() {
  for (int i = 0; i < kHandlersPerTurn && reactor_->context.poll_one() > 0; ++i) {
    ++counters_.handlers;
  }
  fire_timers();
  run_posts();
}

void Loop::fire_timers() {
  if (timers_.size() == 0) {
    return;
  }
  const Instant now = clock_.now();
  // The count bounds the pass: a callback that starts a timer in the past runs in the next turn.
  for (size_t left = timers_.size(); left > 0; --left) {
    Callback callback = timers_.take_due(now);
    if (!callback) {
      return;
    }
    ++counters_.timers;
    callback();
  }
}

void Loop::run_posts() {
  {
    const std::lock_guard lock(mutex_);
    counters_.wakes = wakes_;
    if (posts_.empty()) {
      return;
    }
    running_.swap(posts_);
  }
  counters_.posts += running_.size();
  for (Callback& callback : running_) {
    callback();
  }
  running_.clear();
}

void Loop::run_phase(Phase phase) {
  std::vector<Callback>& deferred = deferred_[static_cast<size_t>(phase)];
  if (deferred.empty()) {
    return;
  }
  running_.swap(deferred);
  for (Callback& callback : running_) {
    callback();
  }
  running_.clear();
}

bool Loop::idle() const {
  for (const std::vector<Callback>& deferred : deferred_) {
    if (!deferred.empty()) {
      return false;
    }
  }
  return true;
}

void Loop::wait() {
  if (options_.spin > Duration() && worth_spinning() && spin()) {
    return;
  }
  arm_alarm();
  {
    const std::lock_guard lock(mutex_);
    if (!posts_.empty()) {
      return;
    }
    asleep_ = true;
  }
  ++counters_.waits;
  counters_.handlers += reactor_->context.run_one();
  const std::lock_guard lock(mutex_);
  asleep_ = false;
}

bool Loop::worth_spinning() {
  if (spin_luck_ > 0) {
    return true;
  }
  if (++spins_skipped_ < kSpinRetryWaits) {
    return false;
  }
  spins_skipped_ = 0;
  return true;
}

bool Loop::spin() {
  if (spin_permit().test_and_set(std::memory_order_acquire)) {
    return false;
  }
  ++counters_.spins;
  const Instant end = std::min(clock_.now() + options_.spin, timers_.next());
  bool found = false;
  do {
    const size_t handlers = reactor_->context.poll_one();
    counters_.handlers += handlers;
    found = handlers > 0 || anything_posted();
  } while (!found && clock_.now() < end);
  found = found || timers_.next() <= end;
  spin_permit().clear(std::memory_order_release);
  counters_.spins_found += found ? 1 : 0;
  spin_luck_ = found ? std::min(spin_luck_ + 1, kSpinLuckMax) : std::max(spin_luck_ - 1, 0);
  return found;
}

bool Loop::anything_posted() {
  const std::lock_guard lock(mutex_);
  return !posts_.empty();
}

env::TimerId Loop::start(Instant when, Callback callback) {
  return timers_.add(when, std::move(callback));
}

void Loop::cancel(env::TimerId id) { timers_.cancel(id); }

void Loop::post(Callback callback) {
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    posts_.push_back(std::move(callback));
    wake = std::exchange(asleep_, false);
    wakes_ += wake ? 1 : 0;
  }
  if (wake) {
    const uint64_t one = 1;
    const ssize_t written = ::write(reactor_->wake.native_handle(), &one, sizeof(one));
    ASSERT(written == sizeof(one), "an eventfd takes 2^64 - 2 wake-ups");
  }
}

// The kernel's timer is moved only when it would wake us too late. A wake-up that finds nothing due
// (the timer was cancelled) arms it anew; a hundred timers that come and go cost no system call.
void Loop::arm_alarm() {
  const Instant next = timers_.next();
  if (next >= alarm_) {
    return;
  }
  alarm_ = next;
  const int64_t nanos = std::max<int64_t>(next.nanos(), 1);  // zero would disarm
  itimerspec setting{};
  setting.it_value.tv_sec = nanos / 1'000'000'000;
  setting.it_value.tv_nsec = nanos % 1'000'000'000;
  const int rc =
      ::timerfd_settime(reactor_->alarm.native_handle(), TFD_TIMER_ABSTIME, &setting, nullptr);
  ASSERT(rc == 0, "a time in the range of the clock");
}

void Loop::listen_for_wake() {
  reactor_->wake.async_read_some(asio::buffer(&reactor_->wake_count, sizeof(uint64_t)),
                                 [this](boost::system::error_code error, size_t) {
                                   if (!error) {
                                     listen_for_wake();
                                   }
                                 });
}

void Loop::listen_for_alarm() {
  reactor_->alarm.async_read_some(asio::buffer(&reactor_->alarm_count, sizeof(uint64_t)),
                                  [this](boost::system::error_code error, size_t) {
                                    if (!error) {
                                      alarm_ = Instant::never();
                                      listen_for_alarm();
                                    }
                                  });
}

}  // namespace quorate::os
