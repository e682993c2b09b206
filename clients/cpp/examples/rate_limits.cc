// SPDX-License-Identifier: Apache-2.0
// Rate limits over a fleet: every server asks before it serves, and together they never let one
// request too many through, however they race.
//   rate_limits [DIRECTORY]
#include <atomic>
#include <thread>

#include "clients/cpp/examples/example.h"

using quorate::Database;
using quorate::Duration;

int main(int count, char** arguments) {
  const example::Cluster cluster = example::open_cluster(count, arguments);
  // Twenty at once, and then one an hour.
  const quorate::RateLimit limit = {.burst = 20, .tokens = 1, .period = Duration::seconds(3600)};

  const std::string user = example::fresh("user:7");
  std::atomic<int> served = 0;
  std::atomic<int> refused = 0;
  std::vector<std::thread> servers;
  for (size_t n = 0; n < 12; ++n) {
    servers.emplace_back([&, n] {
      Database& database = *cluster[n % cluster.size()];
      for (int request = 0; request < 10; ++request) {
        const quorate::Rated rated = example::must(database.rate_limit(user, limit), "rate limit");
        ++(rated.allowed ? served : refused);
        example::check(rated.allowed || rated.retry_after > Duration(), "told when to come back");
      }
    });
  }
  for (std::thread& server : servers) {
    server.join();
  }
  std::cout << "rate limits: " << served << " served, " << refused << " refused\n";
  example::check(served == 20 && refused == 100, "exactly what the bucket held");

  const int64_t hits = example::must(cluster[0]->increment(user + ":hits", served), "count");
  example::check(hits == 20, "counted");
  std::cout << "rate limits: ok\n";
  return 0;
}
