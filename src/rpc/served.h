// SPDX-License-Identifier: Apache-2.0
// Served: which requests of one peer were taken in, so that a frame that the network delivers twice
// serves its requests once. Raft bears a doubled message; a command without a session does not.
//
// A peer numbers its calls upwards from a random place, a new one for each of its processes. The
// last kWindow numbers are remembered; an older one is not served. A number from nowhere near means
// that the peer's process is a new one.
#pragma once

#include <bitset>
#include <cstdint>

namespace quorate::rpc {

class Served {
 public:
  // How far a doubled frame may lag behind the newest one.
  static constexpr uint64_t kWindow = 65'536;

  // True the first time that it is asked about a number.
  [[nodiscard]] bool take(uint64_t id) {
    const uint64_t ahead = id - newest_;
    const uint64_t behind = newest_ - id;
    if (!started_ || (ahead > kNear && behind > kNear)) {
      started_ = true;
      seen_.reset();
      newest_ = id;
    } else if (ahead <= kNear) {
      advance(id, ahead);
    } else if (behind >= kWindow) {
      return false;
    }
    if (seen_[id % kWindow]) {
      return false;
    }
    seen_.set(id % kWindow);
    return true;
  }

 private:
  // Within one process no two calls are further apart than this.
  static constexpr uint64_t kNear = uint64_t{1} << 48;

  void advance(uint64_t id, uint64_t ahead) {
    if (ahead >= kWindow) {
      seen_.reset();
    } else {
      for (uint64_t i = newest_ + 1; i != id + 1; ++i) {
        seen_.reset(i % kWindow);
      }
    }
    newest_ = id;
  }

  bool started_ = false;
  uint64_t newest_ = 0;
  std::bitset<kWindow> seen_;
};

}  // namespace quorate::rpc
