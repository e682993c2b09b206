// SPDX-License-Identifier: Apache-2.0
#include "os/loop.h"

#include <gtest/gtest.h>
#include <sys/types.h>

#include <csignal>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "base/prng.h"
#include "os/probe.h"
#include "os/signals.h"

namespace quorate::os {
namespace {

using Phase = Loop::Phase;

// Ends a loop that waits for something that never comes, so that a defect fails and does not hang.
void stop_after(Loop& loop, Duration limit) {
  loop.start(loop.clock().now() + limit, [&loop] { loop.stop(); });
}

TEST(Loop, phases_of_a_turn_run_in_order_whatever_the_order_of_the_requests) {
  Loop loop;
  std::string order;
  loop.defer(Phase::kDisk, [&] { order += "disk "; });
  loop.defer(Phase::kSend, [&] { order += "send "; });
  loop.defer([&] {
    order += "step ";
    loop.defer(Phase::kDisk, [&] { order += "late-disk "; });
  });
  loop.post([&] { order += "post "; });
  loop.start(loop.clock().now(), [&] { order += "timer "; });
  loop.turn();
  EXPECT_EQ(order, "timer post step send disk late-disk ");
}

TEST(Loop, a_callback_that_defers_again_runs_in_the_next_turn_after_new_input) {
  Loop loop;
  std::string order;
  loop.defer([&] {
    order += "first ";
    loop.post([&] { order += "input "; });
    loop.defer([&] { order += "second "; });
  });
  loop.turn();
  EXPECT_EQ(order, "first ");
  loop.turn();
  EXPECT_EQ(order, "first input second ");
}

TEST(Loop, deferred_work_keeps_the_loop_from_sleeping) {
  Loop loop;
  int rounds = 0;
  std::function<void()> again = [&] {
    if (++rounds == 1000) {
      loop.stop();
      return;
    }
    loop.defer([&] { again(); });
  };
  again();
  loop.run();
  EXPECT_EQ(rounds, 1000);
  EXPECT_LE(loop.counters().waits, 1u);
}

TEST(Loop, posts_of_several_threads_all_run_and_each_thread_s_in_its_order) {
  constexpr int kThreads = 4;
  constexpr int kPosts = 2000;
  Loop loop;
  std::vector<int> next(kThreads);
  int total = 0;
  const auto arrived = [&](int thread, int number) {
    EXPECT_EQ(next[thread]++, number);
    if (++total == kThreads * kPosts) {
      loop.stop();
    }
  };
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kPosts; ++i) {
        loop.post([&, t, i] { arrived(t, i); });
      }
    });
  }
  stop_after(loop, Duration::seconds(30));
  loop.run();
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(total, kThreads * kPosts);
  EXPECT_LE(loop.counters().wakes, loop.counters().waits);
}

TEST(Loop, a_post_wakes_a_sleeping_loop_and_so_does_stop) {
  Loop loop;
  bool ran = false;
  std::thread other([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    loop.post([&] { ran = true; });
    loop.stop();
  });
  loop.run();
  other.join();
  EXPECT_TRUE(ran);
}

TEST(Loop, a_loop_runs_again_after_a_stop) {
  Loop loop;
  int runs = 0;
  for (int i = 0; i < 3; ++i) {
    loop.post([&] {
      ++runs;
      loop.stop();
    });
    loop.run();
  }
  EXPECT_EQ(runs, 3);
}

TEST(Loop, timers_fire_in_the_order_of_their_instants_and_not_early) {
  Loop loop;
  const Instant begin = loop.clock().now();
  std::vector<int> order;
  for (const int ms : {9, 3, 6, 3, 0}) {
    loop.start(begin + Duration::millis(ms), [&, ms] {
      EXPECT_GE(loop.clock().now(), begin + Duration::millis(ms));
      order.push_back(ms);
      if (order.size() == 5) {
        loop.stop();
      }
    });
  }
  loop.run();
  EXPECT_EQ(order, (std::vector<int>{0, 3, 3, 6, 9}));
}

TEST(Loop, a_timer_that_is_set_while_an_earlier_one_is_cancelled_still_fires) {
  Loop loop;
  const Instant begin = loop.clock().now();
  const env::TimerId early = loop.start(begin + Duration::millis(5), [] { FAIL(); });
  bool fired = false;
  loop.start(begin + Duration::millis(1), [&] {
    loop.cancel(early);
    loop.start(begin + Duration::millis(20), [&] {
      fired = true;
      loop.stop();
    });
  });
  loop.run();
  EXPECT_TRUE(fired);
  EXPECT_GE(loop.clock().now() - begin, Duration::millis(20));
}

TEST(Loop, a_timer_in_the_past_that_restarts_itself_does_not_starve_the_rest) {
  Loop loop;
  int fired = 0;
  std::function<void()> again = [&] {
    ++fired;
    loop.start(Instant(), [&] { again(); });
  };
  again();
  loop.post([&] { loop.stop(); });
  loop.run();
  EXPECT_LE(fired, 3);
}

TEST(Loop, a_spinning_loop_serves_posts_and_timers) {
  Loop loop(Loop::Options{.spin = Duration::micros(200)});
  int done = 0;
  std::thread other([&] {
    for (int i = 0; i < 50; ++i) {
      std::this_thread::sleep_for(std::chrono::microseconds(100));
      loop.post([&] { ++done; });
    }
    loop.stop();
  });
  loop.run();
  other.join();
  EXPECT_EQ(done, 50);
  EXPECT_GT(loop.counters().spins, 0u);
}

TEST(Loop, signals_arrive_as_callbacks_on_the_loop) {
  Loop loop;
  std::vector<int> seen;
  {
    const Signals signals(loop, {SIGUSR1}, [&](int signal) {
      seen.push_back(signal);
      if (seen.size() == 2) {
        loop.stop();
      } else {
        ::raise(SIGUSR1);
      }
    });
    ::raise(SIGUSR1);
    stop_after(loop, Duration::seconds(20));
    loop.run();
  }
  loop.turn();
  EXPECT_EQ(seen, (std::vector<int>{SIGUSR1, SIGUSR1}));
}

TEST(TimerQueue, agrees_with_an_ordered_map_under_random_use) {
  Prng prng(7);
  TimerQueue queue;
  std::map<std::pair<Instant, int>, env::TimerId> expected;
  std::vector<std::pair<std::pair<Instant, int>, env::TimerId>> known;
  std::vector<int> fired;
  Instant now;
  for (int i = 0; i < 20000; ++i) {
    const uint64_t dice = prng.below(10);
    if (dice < 5) {
      const Instant when = now + Duration::nanos(prng.between(-5, 300));
      const env::TimerId id = queue.add(when, [&fired, i] { fired.push_back(i); });
      expected[{when, i}] = id;
      known.push_back({{when, i}, id});
    } else if (dice < 8 && !known.empty()) {
      const auto& [key, id] = known[prng.below(known.size())];
      EXPECT_EQ(queue.cancel(id), expected.erase(key) == 1);
    } else {
      now = now + Duration::nanos(prng.between(0, 60));
      while (TimerQueue::Callback callback = queue.take_due(now)) {
        ASSERT_FALSE(expected.empty());
        callback();
        EXPECT_EQ(fired.back(), expected.begin()->first.second);
        expected.erase(expected.begin());
      }
    }
    ASSERT_EQ(queue.size(), expected.size());
    ASSERT_EQ(queue.next(), expected.empty() ? Instant::never() : expected.begin()->first.first);
  }
  EXPECT_GT(fired.size(), 1000u);
}

TEST(Probe, the_usage_of_this_process_is_plausible) {
  const ProcessUsage usage = process_usage();
  EXPECT_GT(usage.pid, 0);
  EXPECT_GT(usage.resident_bytes, 1024u * 1024u);
  EXPECT_GE(usage.descriptors, 3u);
}

TEST(Probe, a_sync_takes_time_and_its_percentiles_are_ordered) {
  const Result<SyncProbe> probe = measure_sync(::testing::TempDir(), 20);
  ASSERT_TRUE(probe.ok()) << probe.status().to_string();
  EXPECT_EQ(probe->samples, 20);
  EXPECT_GT(probe->p50, Duration());
  EXPECT_LE(probe->p50, probe->p90);
  EXPECT_LE(probe->p90, probe->p99);
  EXPECT_FALSE(measure_sync("/nowhere/at/all", 1).ok());
}

}  // namespace
}  // namespace quorate::os
