// SPDX-License-Identifier: Apache-2.0
#include "os/wire.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "base/codec.h"
#include "base/crc.h"
#include "base/limits.h"

namespace quorate::os {
namespace {

// A round of many groups in one read.
constexpr size_t kUsualBytes = 256 * 1024;
// A buffer that grew beyond this for a large frame is given back after it.
constexpr size_t kKeptBytesMax = 2 * 1024 * 1024;
// Below this, waiting bytes are moved to the front rather than read in small pieces.
constexpr size_t kRoomBytesMin = 16 * 1024;

uint32_t frame_crc(std::string_view size_field, std::string_view bytes) {
  return crc32c(bytes, crc32c(size_field));
}

}  // namespace

std::string encode(const Hello& hello) {
  std::string bytes;
  Writer out(bytes);
  out.u32(kHelloMagic);
  out.u16(hello.version);
  out.u16(0);
  out.u64(hello.cluster);
  out.u64(hello.process);
  out.u32(hello.from.value());
  out.u32(hello.to.value());
  out.u32(crc32c(bytes));
  ASSERT(bytes.size() == kHelloBytes);
  return bytes;
}

bool may_be_hello(std::string_view bytes) {
  char magic[sizeof(kHelloMagic)];
  std::memcpy(magic, &kHelloMagic, sizeof(magic));
  const size_t size = std::min(bytes.size(), sizeof(magic));
  return bytes.substr(0, size) == std::string_view(magic, size);
}

std::optional<Hello> decode_hello(std::string_view bytes) {
  ASSERT(bytes.size() >= kHelloBytes);
  Reader in(bytes);
  const uint32_t magic = in.u32();
  Hello hello;
  hello.version = in.u16();
  in.u16();
  hello.cluster = in.u64();
  hello.process = in.u64();
  hello.from = NodeId(in.u32());
  hello.to = NodeId(in.u32());
  if (magic != kHelloMagic || in.u32() != crc32c(bytes.substr(0, kHelloBytes - 4))) {
    return std::nullopt;
  }
  return hello;
}

FrameHeader frame_header(std::string_view bytes) {
  ASSERT(bytes.size() <= limits::kFrameBytesMax);
  const auto size = static_cast<uint32_t>(bytes.size());
  FrameHeader header;
  std::memcpy(header.data(), &size, sizeof(size));
  const uint32_t crc = frame_crc({header.data(), sizeof(size)}, bytes);
  std::memcpy(header.data() + sizeof(size), &crc, sizeof(crc));
  return header;
}

FrameBuffer::FrameBuffer()
    : bytes_(std::make_unique_for_overwrite<char[]>(kUsualBytes)), capacity_(kUsualBytes) {}

std::span<char> FrameBuffer::space() {
  if (begin_ == end_) {
    begin_ = end_ = 0;
    if (capacity_ > kKeptBytesMax) {
      bytes_ = std::make_unique_for_overwrite<char[]>(kUsualBytes);
      capacity_ = kUsualBytes;
    }
  } else if (capacity_ - end_ < kRoomBytesMin) {
    make_room();
  }
  return {bytes_.get() + end_, capacity_ - end_};
}

void FrameBuffer::make_room() {
  const size_t held = end_ - begin_;
  if (capacity_ - held < std::max(kRoomBytesMin, capacity_ / 4)) {
    const size_t capacity = capacity_ * 2;
    auto grown = std::make_unique_for_overwrite<char[]>(capacity);
    std::memcpy(grown.get(), bytes_.get() + begin_, held);
    bytes_ = std::move(grown);
    capacity_ = capacity;
  } else {
    std::memmove(bytes_.get(), bytes_.get() + begin_, held);
  }
  begin_ = 0;
  end_ = held;
}

void FrameBuffer::filled(size_t size) {
  ASSERT(size <= capacity_ - end_);
  end_ += size;
}

void FrameBuffer::take(size_t size) {
  ASSERT(size <= end_ - begin_);
  begin_ += size;
}

FrameBuffer::Step FrameBuffer::next(std::string_view& frame) {
  while (end_ - begin_ >= kFrameHeaderBytes) {
    Reader in(waiting());
    const uint32_t size = in.u32();
    const uint32_t crc = in.u32();
    if (size > limits::kFrameBytesMax) {
      return Step::kOversized;
    }
    if (in.left() < size) {
      return Step::kMore;
    }
    const std::string_view bytes = in.raw(size);
    if (frame_crc(waiting().substr(0, sizeof(size)), bytes) != crc) {
      return Step::kCorrupt;
    }
    begin_ += kFrameHeaderBytes + size;
    if (size > 0) {
      frame = bytes;
      return Step::kFrame;
    }
  }
  return Step::kMore;
}

}  // namespace quorate::os
