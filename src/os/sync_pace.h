// SPDX-License-Identifier: Apache-2.0
// SyncPace: decides whether a sync may hold up the loop.
//
// A sync beside the loop (io_uring) wakes a worker of the kernel and then the loop again: two
// wake-ups that cost more CPU, and on a virtual machine a third of the time that a fast disk needs
// for the sync itself. A sync in the loop costs neither, but while it lasts nothing else is served.
// So a sync is done in the loop only when it is expected to be short: a small batch, on a disk
// whose last syncs have all been fast. One slow sync ends that for a while, so a disk that begins
// to stall holds up the loop once.
//
// Pure: durations enter as data.
#pragma once

#include <cstddef>

#include "base/time.h"

namespace quorate::os {

class SyncPace {
 public:
  // A batch of this size is written in the time of an empty one.
  static constexpr size_t kSmallBytesMax = 32 * 1024;
  // As long as handling a few hundred requests.
  static constexpr Duration kFastMax = Duration::micros(400);
  // Fast syncs in a row before the disk is trusted, at first and after a slow one.
  static constexpr int kProofs = 32;

  [[nodiscard]] static constexpr bool small(size_t batch_bytes) {
    return batch_bytes <= kSmallBytesMax;
  }
  [[nodiscard]] bool may_block(size_t batch_bytes) const {
    return proofs_ >= kProofs && small(batch_bytes);
  }
  // How long the sync of a small batch took. What a large one takes says nothing about the next
  // small one.
  void took(Duration duration) {
    if (duration > kFastMax) {
      proofs_ = 0;
    } else if (proofs_ < kProofs) {
      ++proofs_;
    }
  }

 private:
  int proofs_ = 0;
};

}  // namespace quorate::os
