// SPDX-License-Identifier: Apache-2.0
#include "raft/progress.h"

#include <algorithm>

#include "base/assert.h"

namespace quorate::raft {

void Inflight::add(Index last, size_t bytes) {
  ASSERT(messages() == 0 || sent_.back().last < last);
  sent_.push_back({last, bytes});
  bytes_ += bytes;
}

void Inflight::free_through(Index index) {
  while (head_ < sent_.size() && sent_[head_].last <= index) {
    bytes_ -= sent_[head_].bytes;
    ++head_;
  }
  if (head_ * 2 >= sent_.size()) {
    sent_.erase(sent_.begin(), sent_.begin() + static_cast<std::ptrdiff_t>(head_));
    head_ = 0;
  }
}

void Inflight::clear() {
  sent_.clear();
  head_ = 0;
  bytes_ = 0;
}

bool Inflight::full(const Options& options) const {
  return messages() >= options.inflight_messages_max || bytes_ >= options.inflight_bytes_max;
}

bool Progress::acknowledge(Index index) {
  const bool news = index > match;
  match = std::max(match, index);
  next = std::max(next, index.next());
  inflight.free_through(index);
  if (flow == Flow::kProbe && index.next() >= next) {
    become_replicate();
  }
  return news;
}

bool Progress::refuse(Index previous, Index hint) {
  // An append after an index that it had acknowledged is refused only by a follower that lost
  // entries. (Or the answer is an old one: then sending them again costs little.)
  if (previous <= match || hint < match) {
    lose_after(std::min(hint, previous.none() ? previous : previous.previous()));
    return true;
  }
  if (flow == Flow::kSnapshot || (flow == Flow::kProbe && next.previous() != previous)) {
    return false;
  }
  become_probe();
  next = std::max(match.next(), std::min(previous, hint.next()));
  return true;
}

void Progress::lose_after(Index index) {
  match = std::min(match, index);
  if (flow != Flow::kSnapshot) {
    become_probe();
  }
}

void Progress::become_probe() {
  flow = Flow::kProbe;
  waiting = false;
  next = match.next();
  inflight.clear();
  snapshot_index = Index();
  snapshot_offset = 0;
}

void Progress::become_replicate() {
  flow = Flow::kReplicate;
  waiting = false;
  next = std::max(next, match.next());
  ASSERT(inflight.messages() == 0);
}

void Progress::become_snapshot() {
  flow = Flow::kSnapshot;
  waiting = false;
  inflight.clear();
  snapshot_index = Index();
  snapshot_offset = 0;
}

void Progress::sent(Index last, size_t bytes) {
  if (flow == Flow::kProbe) {
    waiting = true;
    return;
  }
  ASSERT(flow == Flow::kReplicate && last >= next);
  next = last.next();
  inflight.add(last, bytes);
}

bool Progress::may_append(const Options& options) const {
  switch (flow) {
    case Flow::kProbe: return !waiting && !reading;
    case Flow::kReplicate: return !reading && !inflight.full(options);
    case Flow::kSnapshot: return false;
  }
  return false;
}

}  // namespace quorate::raft
