// SPDX-License-Identifier: Apache-2.0
// bench core: what the consensus core does, end to end: real nodes, their own log files, loopback
// TCP, a sync for every commit. One function per row of the table.
#include "bench/core.h"

#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "bench/bare.h"
#include "bench/core_bench.h"
#include "service/kv/commands.h"
#include "service/kv/state.h"

namespace quorate::bench {

HostOptions CoreBench::fresh(uint32_t groups) {
  HostOptions options;
  options.groups = groups;
  options.directory = directory_ + "/cluster" + std::to_string(++clusters_);
  options.port = static_cast<uint16_t>(20'000 + (getpid() * 37 + clusters_ * 101) % 12'000);
  return options;
}

void CoreBench::put1() {
  const int rounds = quick_ ? 500 : 5000;
  const Latency sync = measure_bare_sync(directory_, rounds);
  const Latency bare = measure_bare_round(directory_, rounds);
  Cluster cluster(fresh(1), 3);
  LoadOptions options;
  options.clients = 1;
  const LoadResult result = run_load(cluster, options, span(5000, 900));
  const Latency after = measure_bare_sync(directory_, rounds);
  const double base = (sync.p50_us + after.p50_us) / 2;
  const double p50 = static_cast<double>(result.latency.quantile(500'000)) / 1000.0;
  char text[160];
  std::snprintf(text, sizeof(text), "; fdatasync p50 %.0f p99 %.0f us; bare round %.0f us = %.2f x",
                base, sync.p99_us, bare.p50_us, base > 0 ? bare.p50_us / base : 0);
  add({"put1_p50_x", "one client, durable put, 3 nodes, p50 over the fdatasync of the run",
       base > 0 ? p50 / base : 0, "x", 2.4, Better::kLower, result.note() + text});
}

LoadResult CoreBench::load64(uint32_t members, uint32_t groups) {
  Cluster cluster(fresh(groups), members);
  LoadOptions options;
  options.clients = 64;
  return run_load(cluster, options, span(6000, 1200));
}

void CoreBench::put64() {
  const LoadResult result = load64(3, 12);
  put64_ = result.per_second();
  add({"put64", "64 clients in the leader's process, 256 B, 3 nodes", result.per_second(), "op/s",
       120'000, Better::kHigher, result.note()});
}

void CoreBench::bulk(uint32_t members) {
  HostOptions host = fresh(4);
  host.snapshot_mb = 512;
  Cluster cluster(host, members);
  LoadOptions many;
  many.clients = 16;
  many.batch = 500;
  many.value_bytes = 16;
  const LoadResult result = run_load(cluster, many, span(5000, 800));
  LoadOptions piped;
  piped.clients = 4096;
  piped.value_bytes = 16;
  const LoadResult pipelined = run_load(cluster, piped, span(4000, 400));
  char text[160];
  std::snprintf(text, sizeof(text), "; single puts, 4096 in flight: %.0f op/s, ",
                pipelined.per_second());
  add({members == 1 ? "bulk1" : "bulk3",
       members == 1 ? "put_many of 500, 16 B values, 1 node"
                    : "put_many of 500, 16 B values, 3 nodes",
       result.per_second(), "op/s", members == 1 ? 1.5e6 : 3e5, Better::kHigher,
       result.note() + text + pipelined.note()});
}

void CoreBench::lease_reads() {
  HostOptions host_options = fresh(12);
  host_options.settle = false;  // what is measured writes nothing
  Cluster cluster(host_options, 3);
  LoadOptions fill;
  fill.clients = 64;
  fill.keys = 10'000;
  (void)run_load(cluster, fill, span(1500, 500));
  Host& host = cluster.host();
  std::vector<std::string> keys;
  for (int i = 0; i < 10'000; ++i) {
    char key[24];
    std::snprintf(key, sizeof(key), "key%09d", i);
    keys.push_back(key);
  }
  const Instant end = host.clock.now() + span(3000, 500);
  const Instant begun = host.clock.now();
  uint64_t reads = 0;
  uint64_t found = 0;
  uint64_t refused = 0;
  // Reads go in slices of a millisecond, so that the node's loop keeps its lease alive in between.
  while (host.clock.now() < end) {
    for (int i = 0; i < 2000; ++i) {
      const std::string& key = keys[reads++ % keys.size()];
      const service::LocalRead here =
          host.node->read_here(host.node->group_of_slot(slot_of(key)), service::ServiceId::kKv, {});
      const auto* state = service::typed<service::kv::State>(here.machine);
      if (state == nullptr) {
        ++refused;
        continue;
      }
      found += state->get({}, key, here.now).found() ? 1 : 0;
    }
    host.loop.turn();
  }
  const double seconds = static_cast<double>((host.clock.now() - begun).micros()) / 1e6;
  char text[120];
  std::snprintf(text, sizeof(text), "found %.1f %%, lease not at hand %.2f %%",
                100.0 * static_cast<double>(found) / static_cast<double>(reads),
                100.0 * static_cast<double>(refused) / static_cast<double>(reads));
  add({"lease_reads", "linearizable gets by lease, in the leader's process, slot lookup included",
       static_cast<double>(reads - refused) / seconds, "op/s", 3'000'000, Better::kHigher, text});
}

void CoreBench::scale() {
  // In a quick run the figure of the row before serves as the base.
  const double three = quick_ && put64_ > 0 ? put64_ : load64(3, 12).per_second();
  const LoadResult five = load64(5, 12);
  const LoadResult seven = load64(7, 12);
  add({"scale5", "put64 with 5 nodes against 3 nodes", five.per_second() / three, "x", 0.55,
       Better::kHigher, five.note()});
  add({"scale7", "put64 with 7 nodes against 3 nodes", seven.per_second() / three, "x", 0.4,
       Better::kHigher, seven.note()});
}

double CoreBench::groups_throughput(uint32_t groups, std::string& note) {
  HostOptions host = fresh(groups);
  host.settle = !quick_;
  Cluster cluster(host, 3);
  LoadOptions options;
  options.clients = 4096;
  options.value_bytes = 128;
  options.by_slot = false;
  const LoadResult result = run_load(cluster, options, span(6000, 1500));
  note = result.note();
  return result.per_second();
}

void CoreBench::many_groups() {
  std::string few_note;
  std::string many_note;
  const double few = groups_throughput(48, few_note);
  const double many = groups_throughput(4096, many_note);
  char text[120];
  std::snprintf(text, sizeof(text), "48: %.0f op/s, 4096: %.0f op/s; ", few, many);
  add({"groups4096_x", "4096 clients, 128 B: throughput of 48 groups over that of 4096",
       many > 0 ? few / many : 99, "x", 2, Better::kLower, text + many_note});
}

namespace {

// What one function measures, under the ids of its rows.
struct Part {
  std::vector<std::string_view> ids;
  void (CoreBench::*run)();

  [[nodiscard]] bool has(std::string_view id) const {
    return std::find(ids.begin(), ids.end(), id) != ids.end();
  }
};

const std::vector<Part>& parts() {
  static const std::vector<Part> all = {
      {{"put1_p50_x"}, &CoreBench::put1},
      {{"put64"}, &CoreBench::put64},
      {{"bulk3"}, &CoreBench::bulk3},
      {{"bulk1"}, &CoreBench::bulk1},
      {{"lease_reads"}, &CoreBench::lease_reads},
      {{"scale5", "scale7"}, &CoreBench::scale},
      {{"failover_p50", "failover_p99"}, &CoreBench::failover},
      {{"groups4096_x"}, &CoreBench::many_groups},
      {{"idle_groups_cpu", "idle_groups_mb"}, &CoreBench::idle_groups},
      {{"restart_s"}, &CoreBench::restart},
      {{"catchup_s"}, &CoreBench::catch_up},
      {{"idle_mb"}, &CoreBench::idle},
  };
  return all;
}

// False, and says what there is, if there is no such row.
bool check_only(const std::string& only) {
  std::string known;
  for (const Part& part : parts()) {
    if (only.empty() || part.has(only)) {
      return true;
    }
    for (const std::string_view id : part.ids) {
      known.append(" ").append(id);
    }
  }
  std::fprintf(stderr, "bench core: there is no row %s; the rows are:%s\n", only.c_str(),
               known.c_str());
  return false;
}

// How long each part took, set-up included: where the time of a run goes.
void run_parts(CoreBench& bench, const std::string& only) {
  const os::Clock clock;
  const Instant begun = clock.now();
  std::string times;
  for (const Part& part : parts()) {
    if (!only.empty() && !part.has(only)) {
      continue;
    }
    const Instant at = clock.now();
    (bench.*part.run)();
    char text[64];
    std::snprintf(text, sizeof(text), " %s %.1f", std::string(part.ids.front()).c_str(),
                  static_cast<double>((clock.now() - at).micros()) / 1e6);
    times += text;
  }
  std::printf("\ntook %.1f s:%s\n", static_cast<double>((clock.now() - begun).micros()) / 1e6,
              times.c_str());
}

}  // namespace

int run_core(const Arguments& arguments) {
  if (!check_only(arguments.only)) {
    return 2;
  }
  return run_bench(arguments,
                   "nodes are processes with their own logs, over loopback TCP; the load runs\n"
                   "in the leader's process unless a row says otherwise",
                   [&arguments](Report& report, const std::string& directory) {
                     const Latency sync =
                         measure_bare_sync(directory, arguments.quick ? 600 : 3000);
                     report.fact("fdatasync_p50_us", std::to_string(sync.p50_us));
                     report.fact("fdatasync_p99_us", std::to_string(sync.p99_us));
                     report.header();
                     CoreBench bench(report, arguments, directory);
                     run_parts(bench, arguments.only);
                   });
}

}  // namespace quorate::bench
