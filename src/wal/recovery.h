// SPDX-License-Identifier: Apache-2.0
// Recovery: from the segments of a directory to the groups they hold, and what of them is damaged.
//
// Two passes. The first finds the newest evidence: the greatest batch number that some header calls
// durable (all through it had been synced, whatever it looks like now), and the oldest segment that
// still counts. The second replays the batches in order:
//   - a batch that is whole is taken;
//   - a damaged one that had been synced is taken without its damaged parts, which become holes;
//     if even its directory is lost, every group that cannot be shown to be untouched is suspect;
//   - a damaged one that nothing calls synced was never acknowledged: the log ends before it. Only
//     if each of its damaged payloads is off by a single bit it had been written whole, and rotted:
//     then it is taken like a synced one.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "env/disk.h"
#include "wal/group_log.h"
#include "wal/scan.h"
#include "wal/segments.h"
#include "wal/wal.h"

namespace quorate::wal {

struct RebuiltGroup {
  explicit RebuiltGroup(GroupId group) : log(group) {}

  GroupLog log;
  uint16_t life = 0;
  uint64_t last_batch = 0;    // that spoke of the group
  uint64_t state_batch = 0;   // that has its newest state
  uint64_t bounds_batch = 0;  // that has its newest bounds
  std::vector<Index> marked;  // of the kinds that the owner wants back
  bool suspect = false;       // as the log itself says
  bool uncertain = false;     // batches were lost since the group's last item
  bool missed = false;        // an item of the group was lost, and none since says where it stands
  Hole guessed;               // lost entries in here may be of an older term than the log says
  [[nodiscard]] bool tail_suspect() const { return suspect || uncertain || missed; }
};

struct Recovered {
  uint64_t log = 0;  // 0: there was none
  uint64_t next_batch = 1;
  uint64_t durable = 0;  // what the evidence says; the rest up to next_batch is to be synced
  uint32_t next_segment = 1;
  uint32_t oldest = 1;
  uint64_t needed_from = 0;  // the first batch of that segment; 0: no header says
  std::vector<Segment> segments;
  std::vector<std::string> garbage;  // files to remove: freed long ago, or beyond the end
  std::vector<std::string> spares;
  std::map<GroupId, RebuiltGroup> groups;
  std::vector<std::string> notes;
  bool groups_unknown = false;
};

[[nodiscard]] Result<Recovered> recover(env::Disk& disk, const Options& options);

}  // namespace quorate::wal
