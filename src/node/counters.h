// SPDX-License-Identifier: Apache-2.0
// Counters of one node, plain integers on its shard; the metrics page and the benches read them.
#pragma once

#include <cstdint>

namespace quorate::node {

struct Counters {
  uint64_t turns = 0;
  uint64_t proposals = 0;
  uint64_t commands_applied = 0;
  uint64_t entries_applied = 0;
  uint64_t entries_proposed = 0;
  uint64_t messages_sent = 0;
  uint64_t messages_received = 0;
  uint64_t messages_bad = 0;
  uint64_t reads_local = 0;
  uint64_t reads_by_round = 0;
  uint64_t forwarded = 0;
  uint64_t forwarded_served = 0;
  uint64_t displaced = 0;  // commands whose entry another leader's displaced: once more
  uint64_t leader_changes = 0;
  uint64_t snapshots_taken = 0;
  uint64_t snapshots_sent = 0;
  uint64_t snapshots_installed = 0;
  uint64_t log_reads = 0;
  uint64_t holes_found = 0;
  uint64_t flush_failures = 0;
  uint64_t stalls = 0;  // ticks put off because the process had stood still
};

}  // namespace quorate::node
