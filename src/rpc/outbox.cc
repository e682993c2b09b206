// SPDX-License-Identifier: Apache-2.0
#include "rpc/outbox.h"

#include <algorithm>

#include "base/assert.h"
#include "base/limits.h"

namespace quorate::rpc {
namespace {

// A string that grows from nothing each turn copies its bytes several times; one that keeps the
// largest size ever seen wastes memory per queued frame.
constexpr size_t kReserveBytesMax = 64 * 1024;

}  // namespace

Outbox::Open& Outbox::open_of(NodeId peer) {
  if (last_ >= peers_.size() || peers_[last_].peer != peer) {
    const auto place =
        std::lower_bound(peers_.begin(), peers_.end(), peer,
                         [](const Open& open, NodeId wanted) { return open.peer < wanted; });
    last_ = static_cast<size_t>(place - peers_.begin());
    if (place == peers_.end() || place->peer != peer) {
      peers_.insert(place, Open{peer, {}, 1, 0, 0});
    }
  }
  Open& open = peers_[last_];
  if (open.frame.empty()) {
    open.frame.reserve(std::min(open.usual_bytes, kReserveBytesMax));
    begin_frame(open.frame);
  }
  return open;
}

uint64_t Outbox::added(Open& open, size_t start) {
  const size_t item_bytes = open.frame.size() - start;
  if (kFrameHeaderBytes + item_bytes > limits::kFrameBytesMax) {
    open.frame.resize(start);
    --open.items;
    ++counters_.items_oversized;
    return 0;
  }
  if (open.frame.size() > limits::kFrameBytesMax) {
    const std::string item = open.frame.substr(start);
    open.frame.resize(start);
    --open.items;
    send(open);
    begin_frame(open.frame);
    open.frame.append(item);
    open.items = 1;
  }
  const uint64_t number = open.number;
  if (open.frame.size() >= limits::kFrameBytesTarget) {
    send(open);
  }
  return number;
}

void Outbox::flush() {
  for (Open& open : peers_) {
    if (open.items > 0) {
      send(open);
    }
  }
}

void Outbox::send(Open& open) {
  ASSERT(open.items > 0 && open.frame.size() <= limits::kFrameBytesMax);
  open.usual_bytes = std::max(open.frame.size(), open.usual_bytes - open.usual_bytes / 8);
  ++counters_.frames;
  counters_.items += std::exchange(open.items, 0);
  counters_.bytes += open.frame.size();
  const uint64_t number = open.number++;
  std::string frame = std::exchange(open.frame, std::string());
  if (!net_.send(open.peer, std::move(frame))) {
    ++counters_.frames_dropped;
    if (on_drop_) {
      on_drop_(open.peer, number);
    }
  }
}

}  // namespace quorate::rpc
