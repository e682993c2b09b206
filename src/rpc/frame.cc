// SPDX-License-Identifier: Apache-2.0
#include "rpc/frame.h"

#include <cstring>
#include <utility>

#include "base/assert.h"
#include "base/codec.h"

namespace quorate::rpc {

void begin_frame(std::string& frame) {
  ASSERT(frame.empty());
  frame.push_back(static_cast<char>(kFrameVersion));
}

size_t begin_item(std::string& frame, ItemKind kind, GroupId group) {
  ASSERT(frame.size() >= kFrameHeaderBytes);
  Writer out(frame);
  out.u8(static_cast<uint8_t>(kind));
  out.id(group);
  // The size comes last and has a fixed width: the writer of the bytes does not know it before.
  out.u32(0);
  return frame.size();
}

void end_item(std::string& frame, size_t place) {
  ASSERT(place >= sizeof(uint32_t) && place <= frame.size());
  const size_t size = frame.size() - place;
  ASSERT(size <= UINT32_MAX);
  const auto field = static_cast<uint32_t>(size);
  std::memcpy(frame.data() + place - sizeof(field), &field, sizeof(field));
}

FrameReader::FrameReader(Buffer frame) : frame_(std::move(frame)) {
  Reader in(frame_.view());
  damaged_ = in.u8() != kFrameVersion;
  at_ = kFrameHeaderBytes;
}

bool FrameReader::next(Item& item) {
  if (damaged_ || at_ == frame_.size()) {
    return false;
  }
  Reader in(frame_.view().substr(at_));
  item.kind = static_cast<ItemKind>(in.u8());
  item.group = in.id<GroupId>();
  const uint32_t size = in.u32();
  const size_t header = frame_.size() - at_ - in.left();
  if (!in.ok() || size > in.left()) {
    damaged_ = true;
    return false;
  }
  item.bytes = frame_.slice(at_ + header, size);
  at_ += header + size;
  return true;
}

}  // namespace quorate::rpc
