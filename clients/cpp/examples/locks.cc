// SPDX-License-Identifier: Apache-2.0
// Locks over a fleet: one writer at a time, a leader and its successor, a barrier, and a late write
// that is refused because it shows an old token.
//   locks [DIRECTORY]
#include <quorate/locks.h>

#include <atomic>
#include <future>
#include <thread>

#include "clients/cpp/examples/example.h"

using quorate::Database;
using quorate::Duration;
using quorate::Held;
using quorate::LockSession;

namespace {

std::unique_ptr<LockSession> session_at(Database& database) {
  return example::must(LockSession::open(database, {.lease = Duration::seconds(10)}), "session");
}

// Twelve threads at three nodes add to a number that they read and write back.
void one_writer_at_a_time(const example::Cluster& cluster) {
  const std::string name = example::fresh("stock");
  std::atomic<uint64_t> number = 0;  // read and written in two steps, as a file would be
  std::vector<std::thread> workers;
  for (size_t n = 0; n < 12; ++n) {
    workers.emplace_back([&, n] {
      const auto session = session_at(*cluster[n % cluster.size()]);
      uint64_t last = 0;
      for (int turn = 0; turn < 5; ++turn) {
        const Held held = example::must(session->acquire(name), "acquire");
        example::check(held.token() > last, "tokens grow");
        last = held.token();
        const uint64_t seen = number;
        std::this_thread::yield();
        number = seen + 1;
      }
    });
  }
  for (std::thread& worker : workers) {
    worker.join();
  }
  example::check(number == 60, "no addition was lost");
  std::cout << "locks: " << number << " additions under a lock\n";
}

void a_leader_and_its_successor(const example::Cluster& cluster) {
  const std::string name = example::fresh("leader");
  const auto first = session_at(*cluster[0]);
  quorate::Election one(*first, name);
  const uint64_t term = example::must(one.campaign(), "campaign");
  std::promise<void> seen;
  std::thread successor([&] {
    const auto second = session_at(*cluster[1]);
    quorate::Election two(*second, name);
    example::check(two.leader()->first == first->owner(), "everybody sees who leads");
    seen.set_value();
    example::check(example::must(two.campaign(), "campaign") > term, "terms grow");
    example::check(two.leads(), "the successor leads");
  });
  seen.get_future().wait();
  std::this_thread::sleep_for(std::chrono::milliseconds(50));  // it waits for its turn by now
  one.resign();
  successor.join();
}

void a_barrier(const example::Cluster& cluster) {
  const std::string name = example::fresh("barrier");
  std::atomic<int> came = 0;
  std::vector<std::thread> parties;
  for (const auto& node : cluster) {
    parties.emplace_back([&came, &node, &name] {
      quorate::Barrier barrier(*node, name, 3);
      ++came;
      example::must(barrier.wait(Duration::seconds(30)), "barrier");
      example::check(came == 3, "nobody went on before all had come");
    });
  }
  for (std::thread& party : parties) {
    party.join();
  }
}

// The store that a lock guards takes no token that is smaller than one it has seen.
class Store {
 public:
  bool write(uint64_t token) {
    if (token < newest_) {
      return false;
    }
    newest_ = token;
    return true;
  }

 private:
  uint64_t newest_ = 0;
};

void a_late_write_is_refused(const example::Cluster& cluster) {
  const std::string name = example::fresh("report");
  Store store;
  uint64_t old = 0;
  {
    const auto session = session_at(*cluster[0]);
    const Held held = example::must(session->acquire(name), "acquire");
    old = held.token();
    example::check(store.write(old), "the holder writes");
  }
  const auto session = session_at(*cluster[2]);
  const Held held = example::must(session->acquire(name), "acquire");
  example::check(store.write(held.token()), "the next holder writes");
  example::check(!store.write(old), "who comes late is refused");
}

}  // namespace

int main(int count, char** arguments) {
  const example::Cluster cluster = example::open_cluster(count, arguments);
  one_writer_at_a_time(cluster);
  a_leader_and_its_successor(cluster);
  a_barrier(cluster);
  a_late_write_is_refused(cluster);
  std::cout << "locks: ok\n";
  return 0;
}
