// SPDX-License-Identifier: Apache-2.0
// A fleet of programs that take turns, with a cluster in other processes: one at a time under a
// lock, some at a time under a semaphore, and one that leads. Without addresses it runs a node of
// its own.
//   remote_locks DIRECTORY [HTTP-HOST:PORT RESP-HOST:PORT]
#include <quorate/client.h>
#include <quorate/locks.h>

#include <atomic>
#include <thread>

#include "clients/cpp/examples/example.h"

using quorate::Client;
using quorate::Duration;
using quorate::LockSession;

namespace {

std::unique_ptr<LockSession> session_at(const std::string& address) {
  return example::must(LockSession::connect({.nodes = {address}}, {.lease = Duration::seconds(10)}),
                       "session");
}

// Each writes under the token of its turn, so whoever comes late is refused.
void take_turns(const std::string& http, Client& client) {
  const std::string name = example::fresh("report");
  std::vector<std::thread> workers;
  for (int n = 0; n < 4; ++n) {
    workers.emplace_back([&] {
      const auto session = session_at(http);
      for (int turn = 0; turn < 5; ++turn) {
        const auto held = example::must(session->acquire(name), "acquire");
        const quorate::Fence fence = held.fence();
        example::must(client.increment(name + "/turns", 1, &fence).wait(), "write");
      }
    });
  }
  for (std::thread& worker : workers) {
    worker.join();
  }
  const auto turns = example::must(client.get(name + "/turns").wait(), "get");
  example::check(turns == "20", "all had their turns");
}

void at_most_two(const std::string& http) {
  const std::string name = example::fresh("slots");
  std::atomic<int> inside = 0;
  std::vector<std::thread> workers;
  for (int n = 0; n < 4; ++n) {
    workers.emplace_back([&] {
      const auto session = session_at(http);
      const auto slot = example::must(quorate::Semaphore(*session, name, 2).acquire(), "slot");
      example::check(++inside <= 2, "no more than two at a time");
      --inside;
    });
  }
  for (std::thread& worker : workers) {
    worker.join();
  }
}

void one_leads(const std::string& http) {
  const std::string name = example::fresh("scheduler");
  const auto first = session_at(http);
  const auto second = session_at(http);
  quorate::Election one(*first, name);
  quorate::Election two(*second, name);
  const uint64_t term = example::must(one.campaign(), "campaign");
  example::check(two.leader()->first == first->owner(), "everybody sees who leads");
  one.resign();
  example::check(example::must(two.campaign(), "campaign") > term, "terms grow");
}

}  // namespace

int main(int count, char** arguments) {
  std::unique_ptr<quorate::Database> own;
  std::string http = count > 3 ? arguments[2] : "";
  std::string resp = count > 3 ? arguments[3] : "";
  if (http.empty()) {
    own = example::must(
        quorate::Database::open(
            {.directory = count > 1 ? arguments[1] : "example-data",
             .settings = {{"resp.listen", "127.0.0.1:0"}, {"http.listen", "127.0.0.1:0"}},
             .http = true}),
        "open");
    example::check(own->wait_ready(Duration::seconds(30)).ok(), "the node becomes ready");
    http = "127.0.0.1:" + std::to_string(own->http_port());
    resp = "127.0.0.1:" + std::to_string(own->resp_port());
  }
  const auto client = example::must(Client::connect({.nodes = {resp}}), "connect");
  take_turns(http, *client);
  at_most_two(http);
  one_leads(http);
  std::cout << "remote locks: ok\n";
  return 0;
}
