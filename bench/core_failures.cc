// SPDX-License-Identifier: Apache-2.0
// The rows of bench core whose nodes are all processes of their own, most of them because processes
// die. The client stays outside: a gateway node that holds nothing forwards its requests, as any
// node of a larger cluster would.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>

#include "bench/bare.h"
#include "bench/core_bench.h"
#include "service/kv/commands.h"
#include "service/meta/commands.h"

namespace quorate::bench {

struct CoreBench::Outside {
  explicit Outside(HostOptions options, uint32_t members = 3) {
    options.members = members;
    const uint32_t leader = options.prefer;
    for (uint32_t n = 1; n <= members; ++n) {
      options.id = n;
      options.prefer = n == leader ? 0 : leader;
      options.priority = n == leader ? 10 : 0;
      nodes.push_back(std::make_unique<Child>(options));
    }
    options.id = 9;
    options.members = 0;
    options.known = members;
    options.places = false;
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
  // Who answered it. Ends the process if nobody does for a minute: there is nothing to measure.
  NodeId write_until_done() {
    const Instant end = host->clock.now() + Duration::seconds(60);
    NodeId answered;
    while (answered.none()) {
      if (host->clock.now() >= end) {
        std::fprintf(stderr, "bench: no write was acknowledged for 60 s\n");
        std::_Exit(1);
      }
      answered = write(Duration::seconds(5));
    }
    return answered;
  }

  // Writes `keys` keys with values of so many bytes, 500 at a time, 32 batches in flight.
  void fill(uint32_t keys, size_t bytes) {
    value.assign(bytes, 'v');
    uint32_t next = 0;
    uint32_t open = 0;
    (void)host->run_until(
        [&] {
          for (; open < 32 && next < keys; next += 500) {
            put_batch(next, open);
          }
          return next >= keys && open == 0;
        },
        Duration::seconds(240));
  }
  void put_batch(uint32_t first, uint32_t& open) {
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
  std::string value;
};

namespace {

// One put after the other, through a gateway, and how long each took.
class SteadyWriter {
 public:
  explicit SteadyWriter(Host& host) : host_(host) {}

  void go_on() {
    if (open_ || stopping_) {
      return;
    }
    service::kv::Put put;
    put.key = "steady";
    put.value = "v";
    std::string body;
    service::kv::encode(put, body);
    service::Command command;
    command.group = GroupId(1 + writes_ % host_.node->groups());
    command.body = body;
    open_ = true;
    const Instant begun = host_.clock.now();
    host_.node->propose(
        command, [this, begun](const Status& status, std::string_view, const service::Origin&) {
          open_ = false;
          ++writes_;
          errors_ += status.ok() ? 0 : 1;
          latency_.record(host_.clock.now() - begun);
        });
  }
  // False if a write failed, or there were none.
  [[nodiscard]] bool finish() {
    stopping_ = true;
    const bool ended = host_.run_until([this] { return !open_; }, Duration::seconds(15));
    return ended && writes_ > 0 && errors_ == 0;
  }
  [[nodiscard]] std::string note() const {
    const auto millis = [this](uint32_t ppm) {
      return std::to_string(latency_.quantile(ppm) / 1'000'000);
    };
    return std::to_string(writes_) + " puts one by one, p50 " + millis(500'000) + " p99 " +
           millis(990'000) + " ms, " + std::to_string(errors_) + " errors";
  }

 private:
  Host& host_;
  bool open_ = false;
  bool stopping_ = false;
  uint64_t writes_ = 0;
  uint64_t errors_ = 0;
  Histogram latency_;
};

void announce(Host& joining, const HostOptions& options) {
  service::meta::AddNode knock;
  knock.node.id = joining.node->id();
  knock.node.addresses.raft = address_of(options, options.id);
  joining.placement->propose(knock, [](const service::meta::Answer&) {});
}

// A voter of every group, with all that is committed as far as it knows applied.
bool holds_everything(Host& host) {
  for (uint32_t g = 1; g <= host.node->groups(); ++g) {
    const node::Group* const group = host.node->group(GroupId(g));
    if (group == nullptr) {
      return false;
    }
    const std::vector<NodeId>& voters = group->raft().config().voters;
    const bool votes = std::find(voters.begin(), voters.end(), host.node->id()) != voters.end();
    if (!votes || group->raft().leader().none() || group->applied() < group->raft().commit()) {
      return false;
    }
  }
  return true;
}

}  // namespace

// The leader is killed; the time until the first write begun after the kill is acknowledged.
void CoreBench::failover() {
  Outside cluster(fresh(1));
  Host& host = *cluster.host;
  std::vector<double> micros;
  const int kills = quick_ ? 3 : 50;
  for (int i = 0; i < kills; ++i) {
    const NodeId leader = cluster.write_until_done();
    host.run_for(span(700, 300));
    Child& victim = *cluster.nodes[leader.value() - 1];
    const Instant killed = host.clock.now();
    victim.kill();
    (void)cluster.write_until_done();
    micros.push_back(static_cast<double>((host.clock.now() - killed).micros()));
    victim.start();
    host.run_for(span(800, 300));
  }
  const Latency latency = latency_of(micros);
  const std::string note = std::to_string(kills) + " kills, election 150-300 ms";
  add({"failover_p50", "leader killed (-9), until the client's first committed write, p50",
       latency.p50_us / 1000, "ms", 450, Better::kLower, note});
  add({"failover_p99", "the same, p99", latency.p99_us / 1000, "ms", 1000, Better::kLower, note});
}

// Every node in a process of its own: this one still has the memory of the rows before.
void CoreBench::idle_groups() {
  HostOptions options = fresh(quick_ ? 1'000 : 10'000);
  options.quiet_after_ms = 1000;
  options.prefer = 1;
  Outside cluster(options);
  const bool serving = cluster.read_all_groups();
  cluster.host->run_for(span(10'000, 2200));
  const auto cpu = [&cluster] {
    double total = 0;
    for (const std::unique_ptr<Child>& child : cluster.nodes) {
      total += child->cpu_seconds();
    }
    return total;
  };
  const double before = cpu();
  const Duration measured = span(10'000, 1200);
  cluster.host->run_for(measured);
  const double used = (cpu() - before) / 3 / (static_cast<double>(measured.micros()) / 1e6);
  double greatest = 0;
  for (const std::unique_ptr<Child>& child : cluster.nodes) {
    greatest = std::max(greatest, child->resident_mb());
  }
  char note[96];
  std::snprintf(note, sizeof(note), "%u groups; the node that should lead all %.0f MB%s",
                options.groups, cluster.nodes[0]->resident_mb(), serving ? "" : "; NOT SERVING");
  add({"idle_groups_cpu", "idle groups, share of one core per node", serving ? used * 100 : 999,
       "%", 2, Better::kLower, note});
  add({"idle_groups_mb", "idle groups, resident memory of the largest node", greatest, "MB", 100,
       Better::kLower, note});
}

void CoreBench::idle() {
  Outside cluster(fresh(12));
  const bool serving = cluster.read_all_groups();
  cluster.host->run_for(span(2000, 300));
  double greatest = 0;
  for (const std::unique_ptr<Child>& child : cluster.nodes) {
    greatest = std::max(greatest, child->resident_mb());
  }
  add({"idle_mb", "idle node, 12 groups, resident", serving ? greatest : 999, "MB", 30,
       Better::kLower, ""});
}

void CoreBench::restart() {
  const uint32_t keys = quick_ ? 100'000 : 1'000'000;
  Outside cluster(fresh(12));
  (void)cluster.write_until_done();
  cluster.fill(keys, 100);
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

// A node joins a cluster of two as a server does: it is announced, gets the meta group, then by
// placement a replica of everything, while a client outside goes on writing, one put at a time.
void CoreBench::catch_up() {
  const uint32_t megabytes = quick_ ? 96 : 1024;
  HostOptions options = fresh(12);
  options.places = true;
  Outside cluster(options, 2);
  (void)cluster.write_until_done();
  cluster.fill(megabytes * 1000, 1000);
  options.id = 3;
  options.members = 0;
  options.known = 2;
  Host joining(options);
  const Instant begun = joining.clock.now();
  announce(joining, options);
  SteadyWriter writer(*cluster.host);
  const bool whole = joining.run_until(
      [&] {
        cluster.host->loop.turn();
        writer.go_on();
        return holds_everything(joining);
      },
      Duration::seconds(120));
  const double seconds = static_cast<double>((joining.clock.now() - begun).micros()) / 1e6;
  const bool kept = writer.finish();
  uint64_t held = 0;
  for (const GroupId id : joining.node->group_ids()) {
    held += joining.node->group(id)->view().machine_bytes;
  }
  char note[200];
  std::snprintf(note, sizeof(note), "%.0f MB held; meanwhile %s%s", static_cast<double>(held) / 1e6,
                writer.note().c_str(), kept ? "" : " AND WRITES FAILED");
  const double bar = 15.0 * megabytes / 1024;
  add({"catchup_s",
       "a node joins 2 others and holds all of " + std::to_string(megabytes) +
           " MB as a voter of every group (bar: 15 s for 1,024 MB, in proportion)",
       whole && kept ? seconds : 999, "s", bar, Better::kLower, note});
}

}  // namespace quorate::bench
