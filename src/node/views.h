// SPDX-License-Identifier: Apache-2.0
// Views: what a node tells of itself, as plain values, for status pages, metrics and checkers.
#pragma once

#include <string>
#include <vector>

#include "base/ids.h"
#include "raft/node.h"
#include "raft/types.h"

namespace quorate::node {

struct GroupView {
  GroupId group;
  raft::Role role = raft::Role::kFollower;
  Term term;
  NodeId leader;
  Index commit;
  Index applied;
  Index last;
  Index first;
  uint64_t digest = 0;
  bool quiet = false;
  bool holes = false;
  size_t pending = 0;
  size_t machine_bytes = 0;
  raft::Config config;
  Index config_index;
  std::vector<raft::PeerView> peers;  // on the leader only
};

}  // namespace quorate::node
