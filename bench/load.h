// SPDX-License-Identifier: Apache-2.0
// Load: closed-loop clients on the loop of the node that they talk to (the "embedded" clients of
// the table: code inside the leader's process, calling back without a thread in between).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/histogram.h"
#include "bench/host.h"

namespace quorate::bench {

struct LoadOptions {
  uint32_t clients = 1;  // each has one request in flight
  size_t value_bytes = 256;
  uint32_t batch = 1;       // items of one put_many; 1: put
  uint32_t keys = 100'000;  // drawn from evenly
  bool by_slot = true;      // a key goes to its slot's group; else client i to group i mod groups
};

struct LoadResult {
  uint64_t items = 0;  // keys written by acknowledged requests
  uint64_t requests = 0;
  uint64_t errors = 0;
  double seconds = 0;
  double cpu_seconds = 0;  // of all processes of the cluster, the load among them
  uint64_t syncs = 0;      // of the node with the load
  Histogram latency;       // ns per request

  [[nodiscard]] double per_second() const { return static_cast<double>(items) / seconds; }
  // p50, p99 and p99.9 in microseconds, CPU seconds per million items, syncs per item.
  [[nodiscard]] std::string note() const;
};

class Cluster;

// Runs for `duration` after a warm-up of a fifth of it, then waits for what is in flight.
[[nodiscard]] LoadResult run_load(Cluster& cluster, const LoadOptions& options, Duration duration);

// Nodes 2..n as processes, node 1 here, leading every group.
class Cluster {
 public:
  Cluster(const HostOptions& options, uint32_t members);
  [[nodiscard]] Host& host() { return *host_; }
  [[nodiscard]] bool ready() const { return ready_; }
  [[nodiscard]] double cpu_seconds() const;
  [[nodiscard]] std::vector<std::unique_ptr<Child>>& children() { return children_; }

 private:
  // True once every node has its spare segments.
  [[nodiscard]] static bool settled(const std::string& directory, uint32_t members);

  std::vector<std::unique_ptr<Child>> children_;
  std::unique_ptr<Host> host_;
  bool ready_ = false;
};

}  // namespace quorate::bench
