// SPDX-License-Identifier: Apache-2.0
// Outbox: gathers what all groups of a node say to each peer, and sends one frame per peer and
// turn.
//
//   group 3 --add--+
//   group 7 --add--+--> frame for node 2 --flush--> env::Net
//   group 9 --add--+
//
// A frame leaves early when it reaches limits::kFrameBytesTarget. Frames are best effort: one that
// the network refuses is dropped, counted, and told to the drop handler, by its number.
//
// Invariant: no frame exceeds limits::kFrameBytesMax. An item that would make it so moves to a
// frame of its own; an item that is too large by itself (over kItemBytesMax) is dropped.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/function.h"
#include "base/limits.h"
#include "env/net.h"
#include "rpc/frame.h"

namespace quorate::rpc {

// What surely fits into one frame.
inline constexpr size_t kItemBytesMax = limits::kFrameBytesMax - 64;

class Outbox {
 public:
  struct Counters {
    uint64_t frames = 0;
    uint64_t items = 0;
    uint64_t bytes = 0;
    uint64_t frames_dropped = 0;   // refused by the network
    uint64_t items_oversized = 0;  // larger than any frame may be
  };
  // Runs inside add() or flush(): it must not use the outbox.
  using DropHandler = UniqueFunction<void(NodeId peer, uint64_t frame)>;

  explicit Outbox(env::Net& net) : net_(net) {}
  Outbox(const Outbox&) = delete;
  Outbox& operator=(const Outbox&) = delete;

  // `write` appends the item's bytes to the std::string& it is given, and no more. The number of
  // the frame that the item travels in, from 1 and rising per peer; 0 if it is too large for any.
  template <class Write>
  uint64_t add(NodeId peer, GroupId group, ItemKind kind, Write&& write) {
    Open& open = open_of(peer);
    const size_t start = open.frame.size();
    const size_t place = begin_item(open.frame, kind, group);
    std::forward<Write>(write)(open.frame);
    end_item(open.frame, place);
    ++open.items;
    return added(open, start);
  }
  // Sends what is gathered.
  void flush();

  // Nothing was gathered since the last flush.
  [[nodiscard]] bool empty() const {
    return std::none_of(peers_.begin(), peers_.end(),
                        [](const Open& open) { return open.items > 0; });
  }
  // What add() gathers for this peer now would travel in a frame of this number.
  [[nodiscard]] uint64_t open_frame(NodeId peer) { return open_of(peer).number; }
  void set_drop_handler(DropHandler handler) { on_drop_ = std::move(handler); }
  [[nodiscard]] const Counters& counters() const { return counters_; }

 private:
  struct Open {
    NodeId peer;
    std::string frame;  // empty or begun
    uint64_t number = 1;
    uint64_t items = 0;
    size_t usual_bytes = 0;  // of recent frames: what to reserve
  };

  // With a begun frame. The reference holds until the next call for another peer.
  [[nodiscard]] Open& open_of(NodeId peer);
  // Keeps the frame within its bounds after an item was appended at `start`.
  uint64_t added(Open& open, size_t start);
  void send(Open& open);

  env::Net& net_;
  std::vector<Open> peers_;  // sorted by peer
  size_t last_ = 0;          // where the last search ended
  DropHandler on_drop_;
  Counters counters_;
};

}  // namespace quorate::rpc
