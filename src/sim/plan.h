// SPDX-License-Identifier: Apache-2.0
// Plan: which cluster, which load and which faults, as a small text.
//
//   # One line a thing; a comment from '#' on.
//   nodes 3                          machines that the cluster is born with
//   fault crash every 4s for 1s      a kind of fault, its mean interval, its mean length
//   must_reach leader_change         counters that must have moved once the plan ran enough seeds
//
// All settings with their defaults stand in the table of plan.cc, and in docs/internals/sim.md.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "base/time.h"
#include "sim/disk.h"
#include "sim/net.h"

namespace quorate::sim {

struct FaultRule {
  std::string kind;
  Duration every;
  Duration length;
};

struct Plan {
  std::string name;
  // The cluster.
  uint64_t nodes = 3;
  uint64_t spares = 0;             // machines that membership changes may bring in
  uint64_t placement = 0;          // 1: node::Placement decides who holds what
  uint64_t groups = 2;
  uint64_t replication = 0;        // zero: all nodes
  Duration quiet_after;
  uint64_t snapshot_log_bytes = 256 * 1024;
  uint64_t segment_bytes = 256 * 1024;
  uint64_t append_bytes = 32 * 1024;
  uint64_t cached_bytes = 64 * 1024;
  uint64_t chunk_bytes = 4 * 1024;
  uint64_t lease_reads = 1;
  // The load.
  uint64_t clients = 8;
  uint64_t keys = 24;
  uint64_t value_bytes = 100;      // mean padding of a value
  Duration think = Duration::millis(20);
  uint64_t reads_percent = 40;
  uint64_t idle_percent = 0;       // share of the time in which all clients rest together
  uint64_t lock_clients = 0;       // of the locks; none: the service is not there
  uint64_t lock_domains = 3;
  uint64_t locks = 3;              // of each domain, beside a semaphore
  uint64_t document_clients = 0;   // of the store, under indexes; none: the service is not there
  uint64_t store_clients = 0;      // of the store, see workloads/store.h
  uint64_t tend_items = 1'000;     // keys of a step that builds an index, or takes one away
  Duration attempt = Duration::millis(1500);   // how long a client waits for one node's answer
  Duration duration = Duration::seconds(20);
  Duration heal = Duration::seconds(40);       // how long a cluster without faults may take
  // The world.
  LinkModel link;
  DiskModel disk;
  int64_t drift_ppm = 100;         // each clock is off by up to this
  std::vector<FaultRule> faults;
  // What it must have met after this many seeds.
  std::vector<std::string> must_reach;
  uint64_t reach_seeds = 8;
};

[[nodiscard]] Result<Plan> parse_plan(const std::string& name, std::string_view text);

// The files of plans/, built in.
struct EmbeddedPlan {
  std::string_view name;
  std::string_view text;
};
[[nodiscard]] std::span<const EmbeddedPlan> embedded_plans();
// All of them, parsed, in the order of their names.
[[nodiscard]] Result<std::vector<Plan>> load_plans();

// "20s", "150ms", "50us".
[[nodiscard]] Result<Duration> parse_duration(std::string_view text);

}  // namespace quorate::sim
