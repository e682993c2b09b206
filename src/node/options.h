// SPDX-License-Identifier: Apache-2.0
// What a node is told when it starts. Everything has a default that suits three small machines.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "raft/types.h"
#include "wal/wal.h"

namespace quorate::node {

struct Peer {
  NodeId id;
  std::string address;       // "host:port" for node-to-node frames
  std::string http_address;  // told to clients; may be empty
  std::string resp_address;
};

struct Options {
  NodeId id;
  // The nodes that a new cluster is born with, this one among them. Ignored by a data directory
  // that already belongs to a cluster.
  std::vector<Peer> initial;
  // Instead of being born: ask these nodes to be taken into their cluster.
  std::vector<std::string> seeds;
  uint64_t cluster_id = 1;
  uint32_t groups = 12;
  uint32_t replication_factor = 3;
  raft::Options raft;  // id, priority and seed are set per group
  wal::Options wal;
  std::string snapshot_directory = "snapshots";
  // A group is snapshotted when its log has grown by this, or by the machine's size if that is
  // greater: the log that a restart replays is never much longer than the state it rebuilds.
  uint64_t snapshot_log_bytes = 64ull * 1024 * 1024;
  // How much of the machine's size the log must reach as well. The simulator says 0, so that small
  // machines are snapshotted often.
  uint64_t snapshot_machine_percent = 100;
  // Written or restored per step of the loop: bounds how long neighbours wait.
  size_t snapshot_step_bytes = 128 * 1024;
  // Applied per group and turn, for the same reason.
  size_t apply_step_bytes = 4 * 1024 * 1024;
  Duration tick = Duration::millis(5);
  uint64_t seed = 1;
};

}  // namespace quorate::node
