// SPDX-License-Identifier: Apache-2.0
#include "node/reads.h"

#include <algorithm>

#include "base/assert.h"
#include "base/mutant.h"

namespace quorate::node {
namespace {

void move_late(std::vector<WaitingRead>& from, Instant now, std::vector<WaitingRead>& late) {
  const auto keep = std::stable_partition(
      from.begin(), from.end(), [now](const WaitingRead& read) { return read.deadline > now; });
  std::move(keep, from.end(), std::back_inserter(late));
  from.erase(keep, from.end());
}

void move_all(std::vector<WaitingRead>& from, std::vector<WaitingRead>& to) {
  std::move(from.begin(), from.end(), std::back_inserter(to));
  from.clear();
}

}  // namespace

size_t Reads::pending() const {
  size_t total = waiting_.size() + asked_.size();
  for (const Granted& granted : granted_) {
    total += granted.reads.size();
  }
  return total;
}

uint64_t Reads::begin_round(Instant now) {
  ASSERT(wants_round());
  asked_ = std::move(waiting_);
  waiting_.clear();
  round_ = ++last_round_;
  round_begun_ = now;
  return round_;
}

void Reads::round_failed(uint64_t context) {
  if (context != round_) {
    return;
  }
  round_ = 0;
  move_all(waiting_, asked_);  // the older ones stay first
  waiting_ = std::move(asked_);
  asked_.clear();
}

void Reads::round_granted(uint64_t context, Index index) {
  if (context != round_ && !MUTANT(stale_round_serves_reads)) {
    return;  // a round that was given up; its reads were asked for anew
  }
  round_ = 0;
  if (proven_.asked < round_begun_) {
    proven_ = {round_begun_, index};
  }
  // Points of one leader rise; after a change of leader a smaller one may come, and waiting for the
  // greater of the two is only ever safer.
  if (!granted_.empty()) {
    index = std::max(index, granted_.back().index);
  }
  granted_.push_back({index, std::move(asked_)});
  asked_.clear();
}

void Reads::expire_round(Instant now, Duration patience) {
  if (round_ != 0 && now - round_begun_ >= patience) {
    round_failed(round_);
  }
}

std::vector<WaitingRead> Reads::take_served(Index applied) {
  std::vector<WaitingRead> served;
  while (!granted_.empty() && granted_.front().index <= applied) {
    move_all(granted_.front().reads, served);
    granted_.erase(granted_.begin());
  }
  return served;
}

std::vector<WaitingRead> Reads::take_late(Instant now) {
  std::vector<WaitingRead> late;
  move_late(waiting_, now, late);
  move_late(asked_, now, late);
  for (Granted& granted : granted_) {
    move_late(granted.reads, now, late);
  }
  return late;
}

std::vector<WaitingRead> Reads::take_all() {
  std::vector<WaitingRead> all;
  for (Granted& granted : granted_) {
    move_all(granted.reads, all);
  }
  granted_.clear();
  move_all(asked_, all);
  move_all(waiting_, all);
  round_ = 0;
  return all;
}

std::optional<Freshness> Reads::freshness(Index applied) const {
  if (proven_.asked == Instant() || proven_.index > applied) {
    return std::nullopt;
  }
  return proven_;
}

}  // namespace quorate::node
