// SPDX-License-Identifier: Apache-2.0
// Identity: who this data directory belongs to, in a small checksummed file and its copy: a node
// that cannot read it cannot start, so one flipped bit must not be enough. Loading mends what is
// damaged.
//
// A directory is newborn until the first log entries of its groups are durable, then established.
// A newborn node has never voted, so a start that was cut short may begin again; an established one
// never takes its groups from the options again, since replicas may have moved since.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/status.h"
#include "env/disk.h"

namespace quorate::node {

struct Identity {
  uint64_t cluster_id = 0;
  NodeId node;
  uint32_t groups = 0;
  bool established = false;
  // Replicas here that may lack what an earlier replica in their place had acknowledged: they vote
  // only when a leader has brought them up to date, whatever restarts come in between. Sorted.
  std::vector<GroupId> suspects;
  bool operator==(const Identity&) const = default;
};

[[nodiscard]] std::string encode(const Identity& identity);
[[nodiscard]] Result<Identity> decode_identity(std::string_view bytes);

// Nothing if the directory is new; kCorrupted if every copy is damaged.
[[nodiscard]] Result<std::optional<Identity>> load_identity(env::Disk& disk);
// Durable when it returns.
[[nodiscard]] Status store_identity(env::Disk& disk, const Identity& identity);

}  // namespace quorate::node
