// SPDX-License-Identifier: Apache-2.0
#include "raft/read_index.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/limits.h"

namespace quorate::raft {

uint64_t Rounds::begin(Instant now) {
  const auto at = static_cast<uint64_t>(std::max<int64_t>(now.nanos(), 1));
  newest_ = std::max(at, newest_ + 1);
  ahead_ = std::max(ahead_, newest_ - at);
  return newest_;
}

Instant Rounds::sent_at(uint64_t round) const {
  ASSERT(round <= newest_);
  return Instant::from_nanos(static_cast<int64_t>(round) - static_cast<int64_t>(ahead_));
}

bool ReadQueue::add(uint64_t context, NodeId from, Index index) {
  if (reads_.size() >= limits::kPendingRequestsMax) {
    return false;
  }
  reads_.push_back({context, from, index, 0});
  ++unassigned_;
  return true;
}

void ReadQueue::forget(uint64_t context) {
  const auto retried = std::find_if(reads_.begin(), reads_.end(), [&](const PendingRead& read) {
    return read.from.none() && read.context == context;
  });
  if (retried != reads_.end()) {
    unassigned_ -= retried->round == 0 ? 1 : 0;
    reads_.erase(retried);
  }
}

void ReadQueue::assign(uint64_t round) {
  ASSERT(unassigned_ <= reads_.size());
  for (size_t i = reads_.size() - unassigned_; i < reads_.size(); ++i) {
    reads_[i].round = round;
  }
  unassigned_ = 0;
}

std::vector<PendingRead> ReadQueue::confirmed(uint64_t round) {
  const size_t assigned = reads_.size() - unassigned_;
  size_t count = 0;
  while (count < assigned && reads_[count].round <= round) {
    ++count;
  }
  if (count == reads_.size()) {
    return take_all();
  }
  const auto end = reads_.begin() + static_cast<std::ptrdiff_t>(count);
  std::vector<PendingRead> done(reads_.begin(), end);
  reads_.erase(reads_.begin(), end);
  return done;
}

std::vector<PendingRead> ReadQueue::take_all() {
  unassigned_ = 0;
  return std::exchange(reads_, {});
}

}  // namespace quorate::raft
