// SPDX-License-Identifier: Apache-2.0
// Rounds: when the groups of a node propose what waits for them.
//
// A round of replication costs the same syncs, frames and wake-ups on every replica whether it
// carries one command or a thousand. Where a round is short, commands that arrive while one is
// under way are worth more in the next one than in another beside it: all groups of the node wait
// for its end together, so that their next entries share one frame and one sync everywhere. Where
// it is long (a distant replica, a slow disk), waiting would cost more than it saves, and rounds
// overlap as they come.
//
//   turn n      groups 1, 2, 5 propose      the round begins, with three members
//   ...         commands for 2 and 7        wait
//   turn n + k  1, 2, 5 have applied        the round ends
//   turn next   2, 7 propose                the next one
//
// A group without a quorum ends no round: after kWorthWaiting the others go on without it.
//
// Pure: time enters as data.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/time.h"

namespace quorate::node {

class Rounds {
 public:
  // A few times what a round takes on one machine room's network and disks.
  static constexpr Duration kWorthWaiting = Duration::millis(1);

  // A turn of the node begins: what joined until now is on its way.
  void begin_turn(Instant now) {
    now_ = now;
    gathering_ = false;
    just_ended_ = false;
  }
  // True if proposals should wait, in this turn. After the end of a round they wait for the next
  // turn, in which all groups can take part.
  [[nodiscard]] bool holds() const {
    return usual_ < kWorthWaiting && (just_ended_ || (!gathering_ && under_way(now_)));
  }
  // Between turns: the same for the turn that comes next.
  [[nodiscard]] bool will_hold(Instant now) const {
    return usual_ < kWorthWaiting && under_way(now);
  }

  // A group proposes in this turn. The number of the round that it is a member of; zero if an
  // earlier one is still measured.
  [[nodiscard]] uint64_t join() {
    if (!gathering_ && under_way(now_)) {
      return 0;
    }
    if (!gathering_) {
      if (members_ > 0) {
        took(now_ - began_);  // given up
      }
      gathering_ = true;
      members_ = 0;
      began_ = now_;
      ++number_;
    }
    ++members_;
    return number_;
  }
  // What the member proposed is applied, or never will be.
  void leave(uint64_t number) {
    if (number == number_ && members_ > 0 && --members_ == 0) {
      took(now_ - began_);
      gathering_ = false;
      just_ended_ = true;
    }
  }

 private:
  [[nodiscard]] bool under_way(Instant now) const {
    return members_ > 0 && now - began_ < kWorthWaiting;
  }
  void took(Duration duration) {
    usual_ = (usual_ * 7 + std::min(duration, kWorthWaiting * 4)) / 8;
  }

  uint64_t number_ = 0;
  size_t members_ = 0;       // that have not left
  bool gathering_ = false;   // the round began in this turn
  bool just_ended_ = false;  // ... or ended in it
  Instant now_;
  Instant began_;
  Duration usual_;  // of recent rounds, smoothed
};

}  // namespace quorate::node
