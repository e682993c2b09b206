// SPDX-License-Identifier: Apache-2.0
#include "bench/clients/standstills.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <chrono>

namespace quorate::bench {
namespace {

// Before the prober.
constexpr int kRank = 2;
constexpr Duration kSleep = Duration::micros(200);
// A wake-up on a core that is free takes a tenth of this.
constexpr Duration kLate = Duration::micros(300);

bool stay_on(unsigned core) {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  CPU_SET(core, &cores);
  return pthread_setaffinity_np(pthread_self(), sizeof(cores), &cores) == 0;
}

}  // namespace

bool take_rank(int rank) {
  sched_param wanted{};
  wanted.sched_priority = rank;
  return pthread_setschedparam(pthread_self(), SCHED_FIFO, &wanted) == 0;
}

Standstills::Standstills() {
  for (unsigned core = 0; core < std::thread::hardware_concurrency(); ++core) {
    threads_.emplace_back([this, core] { watch(core); });
  }
}

Standstills::~Standstills() { stop(); }

void Standstills::watch(unsigned core) {
  if (!stay_on(core) || !take_rank(kRank)) {
    watched_ = false;
    return;
  }
  while (!ends_) {
    const Instant due = clock_.now() + kSleep;
    std::this_thread::sleep_for(std::chrono::nanoseconds(kSleep.nanos()));
    const Instant now = clock_.now();
    if (now - due > kLate) {
      const std::lock_guard lock(mutex_);
      spans_.push_back({due, now});
    }
  }
}

void Standstills::stop() {
  ends_ = true;
  for (std::thread& thread : threads_) {
    thread.join();
  }
  threads_.clear();
  std::sort(spans_.begin(), spans_.end(),
            [](const Span& a, const Span& b) { return a.begin < b.begin; });
  std::vector<Span> merged;
  for (const Span& span : spans_) {
    if (merged.empty() || merged.back().end < span.begin) {
      merged.push_back(span);
    } else {
      merged.back().end = std::max(merged.back().end, span.end);
    }
  }
  spans_ = std::move(merged);
}

Duration Standstills::within(Instant begin, Instant end) const {
  Duration total;
  auto at = std::lower_bound(spans_.begin(), spans_.end(), begin,
                             [](const Span& span, Instant when) { return span.end < when; });
  for (; at != spans_.end() && at->begin < end; ++at) {
    total = total + (std::min(at->end, end) - std::max(at->begin, begin));
  }
  return total;
}

}  // namespace quorate::bench
