// SPDX-License-Identifier: Apache-2.0
// The rows of bench core in which processes die. The client stays outside: a gateway node that
// holds nothing forwards its requests, as any node of a larger cluster would.
#include <functional>

#include "bench/bare.h"
#include "bench/core_bench.h"
#include "service/kv/commands.h"

namespace quorate::bench {

struct CoreBench::Outside {
  explicit Outside(HostOptions options) {
    options.members = 3;
    for (uint32_t n = 1; n <= 3; ++n) {
      options.id = n;
      nodes.push_back(std::make_unique<Child>(options));
    }
    options.id = 9;
    options.members = 0;
    options.known = 3;
    host = std::make_unique<Host>(options);
  }

  // One durable put; who answered it.
  NodeId write(Duration limit) {
    bool done = false;
    NodeId answered;
    service::kv::Put put;
    put.key = "failover";
    put.value = "v";
    std::string body;
    service::kv::encode(put, body);
    service::Command command;
    command.group = GroupId(1);
    command.body = body;
    command.timeout = limit;
    host->node->propose(command,
                        [&](const Status& status, std::string_view, const service::Origin& origin) {
                          done = true;
                          answered = status.ok() ? origin.node : NodeId();
                        });
    (void)host->run_until([&] { return done; }, limit + Duration::seconds(2));
    return answered;
  }
  NodeId write_until_done() {
    NodeId answered;
    while (answered.none()) {
      answered = write(Duration::seconds(5));
    }
    return answered;
  }

  // Writes `keys` keys of 100 B, 500 at a time, 32 batches in flight.
  void fill(uint32_t keys) {
    uint32_t next = 0;
    uint32_t open = 0;
    (void)host->run_until(
        [&] {
          for (; open < 32 && next < keys; next += 500) {
            put_batch(next, open);
          }
          return next >= keys && open == 0;
        },
        Duration::seconds(120));
  }
  void put_batch(uint32_t first, uint32_t& open) {
    const std::string value(100, 'v');
    std::vector<std::string> names;
    for (uint32_t i = 0; i < 500; ++i) {
      names.push_back("key" + std::to_string(first + i));
    }
    service::kv::PutMany many;
    for (const std::string& name : names) {
      many.items.push_back({name, value, {}});
    }
    std::string body;
    service::kv::encode(service::kv::Command(std::move(many)), body);
    service::Command command;
    command.group = GroupId(1 + (first / 500) % host->node->groups());
    command.body = body;
    command.timeout = Duration::seconds(60);
    ++open;
    host->node->propose(
        command, [&open](const Status&, std::string_view, const service::Origin&) { --open; });
  }

  // Until every group has answered a linearizable read; false if that takes over a minute.
  bool read_all_groups() {
    uint32_t served = 0;
    service::kv::Get get;
    get.key = "key1";
    std::string body;
    service::kv::encode(get, body);
    for (uint32_t g = 1; g <= host->node->groups(); ++g) {
      service::Query query;
      query.group = GroupId(g);
      query.body = body;
      query.timeout = Duration::seconds(60);
      host->node->query(query,
                        [&served](const Status& status, std::string_view, const service::Origin&) {
                          served += status.ok() ? 1 : 0;
                        });
    }
    return host->run_until([&] { return served == host->node->groups(); }, Duration::seconds(61));
  }

  std::vector<std::unique_ptr<Child>> nodes;
  std::unique_ptr<Host> host;
};

// The leader is killed; the time until the first write begun after the kill is acknowledged.
void CoreBench::failover() {
  Outside cluster(fresh(1));
  Host& host = *cluster.host;
  std::vector<double> micros;
  const int kills = quick_ ? 8 : 50;
  for (int i = 0; i < kills; ++i) {
    const NodeId leader = cluster.write_until_done();
    host.run_for(Duration::millis(700));
    Child& victim = *cluster.nodes[leader.value() - 1];
    const Instant killed = host.clock.now();
    victim.kill();
    (void)cluster.write_until_done();
    micros.push_back(static_cast<double>((host.clock.now() - killed).micros()));
    victim.start();
    host.run_for(Duration::millis(800));
  }
  const Latency latency = latency_of(micros);
  const std::string note = std::to_string(kills) + " kills, election 150-300 ms";
  add({"failover_p50", "leader killed (-9), until the client's first committed write, p50",
       latency.p50_us / 1000, "ms", 450, Better::kLower, note});
  add({"failover_p99", "the same, p99", latency.p99_us / 1000, "ms", 1000, Better::kLower, note});
}

void CoreBench::restart() {
  const uint32_t keys = quick_ ? 200'000 : 1'000'000;
  Outside cluster(fresh(12));
  (void)cluster.write_until_done();
  cluster.fill(keys);
  for (auto& child : cluster.nodes) {
    child->kill();
  }
  const Instant begun = cluster.host->clock.now();
  for (auto& child : cluster.nodes) {
    child->start();
  }
  const bool served = cluster.read_all_groups();
  const double seconds = static_cast<double>((cluster.host->clock.now() - begun).micros()) / 1e6;
  add({"restart_s", "all 3 nodes killed and started: until every group answers a linearizable read",
       served ? seconds : 999, "s", 2, Better::kLower, std::to_string(keys) + " keys of 100 B"});
}

}  // namespace quorate::bench
