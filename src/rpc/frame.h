// SPDX-License-Identifier: Apache-2.0
// Frames: what two nodes say to each other in one turn, all groups together.
//
//   frame = version u8 (1), item*
//   item  = kind u8, group varint, size u32, bytes[size]
//
// The transport below checks the bytes (CRC32C) and keeps frames whole, so a frame that does not
// parse comes from a defect or from another version: the reader gives what stands before the
// damage, then says so. A kind that is not known is given to the caller, who skips it: a newer node
// may speak to an older one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "base/ids.h"

namespace quorate::rpc {

// The numbers are on the wire; append only.
enum class ItemKind : uint8_t {
  kRaft = 1,       // raft::Message of the group
  kRequest = 2,    // a request that the receiver shall answer (calls.h); group 0
  kAnswer = 3,     // its answer; group 0
  kHeartbeat = 4,  // the sender lives (heartbeat.h); group 0
  kFounding = 5,   // whether the sender has seen its cluster live: boolean u8; group 0
};

inline constexpr uint8_t kFrameVersion = 1;
inline constexpr size_t kFrameHeaderBytes = 1;

struct Item {
  ItemKind kind = ItemKind::kRaft;
  GroupId group;
  Buffer bytes;  // a slice of the frame
};

void begin_frame(std::string& frame);

// Appends the item's header; the caller appends the bytes, then passes the returned place to
// end_item, which fills in their size.
[[nodiscard]] size_t begin_item(std::string& frame, ItemKind kind, GroupId group);
void end_item(std::string& frame, size_t place);

class FrameReader {
 public:
  explicit FrameReader(Buffer frame);

  // False at the end of the frame and at the first damage.
  [[nodiscard]] bool next(Item& item);
  // After next() was false: the whole frame was read.
  [[nodiscard]] bool ok() const { return !damaged_; }

 private:
  Buffer frame_;
  size_t at_ = 0;
  bool damaged_ = false;
};

}  // namespace quorate::rpc
