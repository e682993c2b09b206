// SPDX-License-Identifier: Apache-2.0
// Upkeep: which segments are still needed, and making the oldest ones needless.
#include <algorithm>
#include <limits>

#include "base/assert.h"
#include "base/limits.h"
#include "wal/log.h"

namespace quorate::wal {

// Puts the group on the list of the oldest segment that it needs. What stands in a batch without a
// place yet pins nothing; the group is pinned when the batch gets its place.
void Log::pin(PinnedGroup& group) {
  constexpr uint64_t kNone = std::numeric_limits<uint64_t>::max();
  uint64_t by_entries = kNone;
  for (const Run& run : group.log.runs()) {
    if (!run.hole()) {
      by_entries = std::min(by_entries, run.batch);
    }
  }
  uint64_t by_state = group.state_batch == 0 ? kNone : group.state_batch;
  if (group.bounds_batch != 0) {
    by_state = std::min(by_state, group.bounds_batch);
  }
  Segment* segment = segments_.of_batch(std::min(by_entries, by_state));
  const uint32_t number = segment == nullptr ? 0 : segment->number;
  const bool entries = segment != nullptr && segments_.of_batch(by_entries) == segment;
  if (number == group.pin && entries == group.by_entries) {
    return;
  }
  unpin(group);
  if (segment == nullptr) {
    return;
  }
  group.pin = number;
  group.by_entries = entries;
  group.after = segment->pinned;
  if (group.after != nullptr) {
    group.after->before = &group;
  }
  segment->pinned = &group;
  segment->pinned_by_entries += entries ? 1 : 0;
}

void Log::unpin(PinnedGroup& group) {
  Segment* segment = segments_.of_number(group.pin);
  if (segment == nullptr) {
    return;
  }
  (group.before != nullptr ? group.before->after : segment->pinned) = group.after;
  if (group.after != nullptr) {
    group.after->before = group.before;
  }
  segment->pinned_by_entries -= group.by_entries ? 1 : 0;
  group.before = group.after = nullptr;
  group.pin = 0;
  group.by_entries = false;
}

// Called before a batch is closed, so that what it adds needs no flush of its own.
void Log::tend() {
  uint64_t budget = limits::kWalUpkeepBytesMax;
  for (size_t i = 0; i + 1 < segments_.size() && budget > 0; ++i) {
    Segment& segment = segments_.at(i);
    if (segment.number < oldest_) {
      continue;  // waits for a durable batch to say so
    }
    if (!tend_oldest(segment, budget)) {
      return;
    }
    // The batch that is open now is the last that holds anything this took.
    open_->oldest = oldest_ = segment.number + 1;
  }
}

// Groups are rewritten so that one that lags does not pin what the others have done with. Where all
// segments are full of what is needed, moving it forward frees nothing and only makes more of them,
// without end: the window is at least twice what the needed entries take.
uint64_t Log::window() {
  if (window_of_ != segments_.newest().number) {
    window_of_ = segments_.newest().number;
    uint64_t needed = 0;
    for (const auto& group : groups_) {
      needed += group == nullptr ? 0 : group->log.bytes();
    }
    window_ = std::max<uint64_t>(options_.rewrite_after_segments,
                                 2 * needed / options_.segment_bytes + 2);
  }
  return window_;
}

// True if no group needs the segment any more.
bool Log::tend_oldest(Segment& segment, uint64_t& budget) {
  const bool far_back = segments_.newest().number - segment.number >= window();
  while (segment.pinned != nullptr) {
    if (budget == 0 || (segment.pinned_by_entries > 0 && !far_back)) {
      return false;
    }
    PinnedGroup& group = *segment.pinned;
    pin(group);
    if (group.pin != segment.number) {
      budget -= std::min<uint64_t>(budget, 16);  // only looked at
      continue;
    }
    if (group.by_entries) {
      if (far_back && !rewrite(group, segment, budget)) {
        return false;
      }
      continue;
    }
    const uint64_t before = open_->batch.bytes();
    restate(group);
    const uint64_t now = open_->batch.bytes();
    budget -= std::min(budget, now > before ? now - before : kItemFixedBytesMax);
    pin(group);
  }
  return true;
}

// Copies the group's entries of this segment into the open batch, within the budget. False if some
// are left. An entry that cannot be read becomes a hole, which needs no segment.
bool Log::rewrite(PinnedGroup& group, Segment& segment, uint64_t& budget) {
  const auto in_segment = [&](const Run& run) {
    return !run.hole() && segments_.of_batch(run.batch) == &segment;
  };
  while (budget > 0) {
    const auto& runs = group.log.runs();
    const auto run = std::find_if(runs.begin(), runs.end(), in_segment);
    if (run == runs.end()) {
      pin(group);
      return true;
    }
    const Index last = group.log.end_of(static_cast<size_t>(run - runs.begin()));
    size_t bytes_left = std::max<uint64_t>(budget, 1);
    std::vector<Record> records;
    // A failure has made a hole of the entry; those before it are in `records`.
    (void)read_run(group, {run->first, last}, bytes_left, records);
    if (records.empty()) {
      continue;
    }
    append_records(group, ItemKind::kPut, records);
    uint64_t bytes = 0;
    for (const Record& record : records) {
      bytes += record.payload.size() + 2 * kItemRecordBytesMax;
    }
    stats_.rewritten_bytes += bytes;
    budget -= std::min(budget, bytes);
  }
  return false;
}

}  // namespace quorate::wal
