// SPDX-License-Identifier: Apache-2.0
// SteadyClock: a node's clock, of which no jump of the machine's wall clock is felt.
//
// Somebody sets a machine's clock an hour forward: every lifetime and every lease that this node
// leads would be over at once, and keys that were to live for another 59 minutes are lost. So
// wall() goes on by the monotonic clock from where the machine's wall clock stood at the start,
// and draws near to it again by at most an eighth of the time that passes: lifetimes are never
// more than an eighth too short or too long, whatever is done to the clock, and after a jump of an
// hour the two agree again within eight. What ordinary time services correct, some hundred parts
// in a million, it follows at once. It never goes back. See docs/decisions/092.
//
// One loop; asking for wall() moves what is kept.
#pragma once

#include <algorithm>

#include "base/time.h"
#include "env/clock.h"

namespace quorate::env {

class SteadyClock final : public Clock {
 public:
  static constexpr int64_t kSlewShare = 8;

  explicit SteadyClock(const Clock& real)
      : real_(real), asked_(real.now()), offset_(offset_of(real.wall(), asked_)) {}

  [[nodiscard]] Instant now() const override { return real_.now(); }
  [[nodiscard]] Stamp wall() const override { return wall_at(real_.now()); }
  // For who has just asked for now().
  [[nodiscard]] Stamp wall_at(Instant now) const {
    now = std::max(now, asked_);
    const Duration reach = (now - asked_) / kSlewShare;
    asked_ = now;
    behind_ = offset_of(real_.wall(), now) - offset_;
    const Duration step = std::clamp(behind_, Duration() - reach, reach);
    offset_ = offset_ + step;
    behind_ = behind_ - step;
    return Stamp::from_micros(Duration::nanos((now + offset_).nanos()).micros());
  }
  // How far the machine's wall clock is ahead of wall(); what an operator should hear of.
  [[nodiscard]] Duration behind() const { return behind_; }

 private:
  static Duration offset_of(Stamp wall, Instant now) {
    return Duration::micros(wall.micros()) - Duration::nanos(now.nanos());
  }

  const Clock& real_;
  mutable Instant asked_;
  mutable Duration offset_;  // wall() minus now()
  mutable Duration behind_;
};

}  // namespace quorate::env
