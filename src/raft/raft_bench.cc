// SPDX-License-Identifier: Apache-2.0
// What the protocol alone costs: three replicas on one thread, messages handed over in memory,
// everything durable at once. Prints entries committed per second (an entry is a batch of commands
// in the node), and what an idle replica holds in memory.
//
//   raft_bench [seconds per row]
#include <malloc.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>

#include "raft/node.h"

namespace quorate::raft {
namespace {

Instant now() {
  return Instant::from_nanos(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                 std::chrono::steady_clock::now().time_since_epoch())
                                 .count());
}

class Trio {
 public:
  explicit Trio(Duration quiet_after = Duration()) {
    Restored restored;
    restored.snapshot.config.voters = {NodeId(1), NodeId(2), NodeId(3)};
    for (uint32_t id = 1; id <= 3; ++id) {
      Options options;
      options.id = NodeId(id);
      options.quiet_after = quiet_after;
      nodes_[id - 1] = std::make_unique<Node>(options, restored, at_);
    }
    leader().campaign(at_);
    settle();
  }

  [[nodiscard]] Node& leader() { return *nodes_[0]; }

  // Works until nobody has anything to say.
  void settle() {
    for (bool busy = true; busy;) {
      busy = false;
      for (const auto& node : nodes_) {
        if (node->has_ready()) {
          work(*node);
          busy = true;
        }
      }
      while (!network_.empty()) {
        Message message = std::move(network_.front());
        network_.pop_front();
        nodes_[message.to.value() - 1]->step(std::move(message), at_);
      }
    }
  }
  void pass(Duration span) {
    at_ = at_ + span;
    for (const auto& node : nodes_) {
      node->tick(at_);
    }
    settle();
  }
  // One turn of a loop: `count` entries, then all that follows from them.
  void turn(int count, const Buffer& payload) {
    for (int i = 0; i < count; ++i) {
      (void)leader().propose(EntryKind::kCommand, Stamp(), payload, at_);
    }
    settle();
  }

 private:
  void work(Node& node) {
    Ready ready = node.take_ready();
    for (Message& message : ready.messages) {
      network_.push_back(std::move(message));
    }
    if (ready.must_persist()) {
      node.on_persisted(ready.persist_through, at_);
      for (Message& message : ready.after_persist) {
        network_.push_back(std::move(message));
      }
    }
    node.on_applied(ready.commit);
  }

  Instant at_ = Instant::from_nanos(1'000'000'000);
  std::array<std::unique_ptr<Node>, 3> nodes_;
  std::deque<Message> network_;
};

void bench_commits(int per_turn, size_t bytes, double seconds) {
  Trio trio;
  const Buffer payload = Buffer::take(std::string(bytes, 'x'));
  const Instant begin = now();
  uint64_t entries = 0;
  double elapsed = 0;
  while (elapsed < seconds) {
    for (int i = 0; i < 64; ++i) {
      trio.turn(per_turn, payload);
      entries += static_cast<uint64_t>(per_turn);
    }
    elapsed = static_cast<double>((now() - begin).nanos()) / 1e9;
  }
  std::printf("%4d entries a turn, %5zu B: %10.0f committed/s\n", per_turn, bytes,
              static_cast<double>(entries) / elapsed);
}

void bench_lease_reads(double seconds) {
  Trio trio;
  trio.pass(Duration::millis(60));
  const Instant at = Instant::from_nanos(1'000'000'000 + 61'000'000);
  const Instant begin = now();
  uint64_t reads = 0;
  uint64_t served = 0;
  double elapsed = 0;
  while (elapsed < seconds) {
    for (int i = 0; i < 100'000; ++i) {
      served += trio.leader().lease_read(at).has_value() ? 1 : 0;
    }
    reads += 100'000;
    elapsed = static_cast<double>((now() - begin).nanos()) / 1e9;
  }
  std::printf("lease reads: %.0f/s, %.0f %% served\n", static_cast<double>(reads) / elapsed,
              100.0 * static_cast<double>(served) / static_cast<double>(reads));
}

void measure_memory() {
  constexpr size_t kGroups = 2000;
  constexpr size_t kQueueBytes = 640;  // of an empty std::deque
  std::vector<std::unique_ptr<Trio>> groups;
  groups.reserve(kGroups);
  const size_t before = mallinfo2().uordblks;
  const Buffer payload = Buffer::take(std::string(100, 'x'));
  for (size_t i = 0; i < kGroups; ++i) {
    groups.push_back(std::make_unique<Trio>(Duration::millis(100)));
    groups.back()->turn(1, payload);
    for (int tick = 0; tick < 8; ++tick) {
      groups.back()->pass(Duration::millis(50));
    }
  }
  const size_t after = mallinfo2().uordblks - kGroups * (sizeof(Trio) + kQueueBytes);
  std::printf("an idle replica (mean of leader and followers): %zu B, quiet: %s\n",
              (after - before) / (kGroups * 3), groups.back()->leader().quiet() ? "yes" : "no");
}

}  // namespace
}  // namespace quorate::raft

int main(int argc, char** argv) {
  const double seconds = argc > 1 ? std::atof(argv[1]) : 1.0;
  for (const int per_turn : {1, 16, 256}) {
    for (const size_t bytes : {size_t{16}, size_t{1024}}) {
      quorate::raft::bench_commits(per_turn, bytes, seconds);
    }
  }
  quorate::raft::bench_lease_reads(seconds);
  quorate::raft::measure_memory();
  return 0;
}
