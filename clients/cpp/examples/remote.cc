// SPDX-License-Identifier: Apache-2.0
// A program that talks to a cluster in other processes: one call after the other, many at once, and
// from a coroutine. Without an address it runs a node of its own to talk to.
//   remote DIRECTORY [HOST:PORT]
#include <quorate/client.h>
#include <quorate/database.h>

#include "clients/cpp/examples/example.h"

using quorate::Client;
using quorate::Duration;
using quorate::Pending;
using quorate::Task;

namespace {

// Moves from one counter to another: two calls, and no thread that waits.
Task<int64_t> move_one(Client& client, std::string from, std::string to) {
  const auto left = co_await client.increment(from, -1);
  const auto right = co_await client.increment(to, 1);
  co_return left.ok() && right.ok() ? *right : -1;
}

}  // namespace

int main(int count, char** arguments) {
  std::unique_ptr<quorate::Database> own;
  std::string address = count > 2 ? arguments[2] : "";
  if (address.empty()) {
    own = example::must(
        quorate::Database::open({.directory = count > 1 ? arguments[1] : "example-data",
                                 .settings = {{"resp.listen", "127.0.0.1:0"}}}),
        "open");
    example::check(own->wait_ready(Duration::seconds(30)).ok(), "the node becomes ready");
    address = "127.0.0.1:" + std::to_string(own->resp_port());
  }
  const auto client = example::must(Client::connect({.nodes = {address}}), "connect");

  const std::string key = example::fresh("greeting");
  example::must(client->set(key, "hello", {.ttl = Duration::seconds(60)}).wait(), "set");
  const auto value = example::must(client->get(key).wait(), "get");
  example::check(value == "hello", "what was set is there");
  example::check(!example::must(client->set(key, "other", {.if_absent = true}).wait(), "set"),
                 "a condition that does not hold is no failure");

  // All of them share packets and rounds of consensus.
  std::vector<Pending<int64_t>> visits;
  const std::string page = example::fresh("visits");
  for (int i = 0; i < 1000; ++i) {
    visits.push_back(client->increment(page));
  }
  for (Pending<int64_t>& visit : visits) {
    example::must(visit.wait(), "increment");
  }
  const int64_t moved = move_one(*client, page, page + "-moved").wait();
  example::check(moved == 1, "one was moved");
  example::check(example::must(client->get(page).wait(), "get") == "999", "each counted once");
  std::cout << "remote: ok\n";
  return 0;
}
