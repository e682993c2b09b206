// SPDX-License-Identifier: Apache-2.0
// Wire: the bytes between two nodes, below the frames' content. docs/formats/rpc.md has the page.
//
//   hello = magic u32, version u16, zero u16, cluster u64, process u64, from u32, to u32, crc u32
//   frame = size u32, crc u32, bytes[size]
//
// Both sides send a hello as soon as the connection stands (inside TLS, where that is on), then
// frames. The crc of a hello covers what stands before it; that of a frame covers the size and the
// bytes. A frame of size 0 is a sign of life. All is little-endian.
//
// Pure: bytes in, frames out.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/ids.h"

namespace quorate::os {

inline constexpr uint32_t kHelloMagic = 0x45545251;  // "QRTE"
inline constexpr uint16_t kWireVersion = 1;
inline constexpr size_t kHelloBytes = 36;
inline constexpr size_t kFrameHeaderBytes = 8;

struct Hello {
  uint16_t version = kWireVersion;
  uint64_t cluster = 0;  // 0: the sender is new and does not know it yet
  uint64_t process = 0;  // differs between two processes of one node
  NodeId from;
  NodeId to;
  bool operator==(const Hello&) const = default;
};

[[nodiscard]] std::string encode(const Hello& hello);
// False if no hello begins like this.
[[nodiscard]] bool may_be_hello(std::string_view bytes);
// Nothing if the bytes are not a hello. Before: at least kHelloBytes.
[[nodiscard]] std::optional<Hello> decode_hello(std::string_view bytes);

using FrameHeader = std::array<char, kFrameHeaderBytes>;
// Before: at most limits::kFrameBytesMax.
[[nodiscard]] FrameHeader frame_header(std::string_view bytes);

// Receives a stream of bytes in place and cuts it into frames, without a copy. Memory follows what
// has arrived, not what a size field promises.
class FrameBuffer {
 public:
  enum class Step : uint8_t { kFrame, kMore, kOversized, kCorrupt };

  FrameBuffer();

  // Where the next bytes go; never empty. Invalidates frames that were given out.
  [[nodiscard]] std::span<char> space();
  void filled(size_t size);
  // The bytes that wait, for what precedes the frames; take() drops some of them.
  [[nodiscard]] std::string_view waiting() const { return {bytes_.get() + begin_, end_ - begin_}; }
  void take(size_t size);

  // With kFrame, `frame` is valid until space(). After kOversized and kCorrupt the stream has lost
  // its step for good.
  [[nodiscard]] Step next(std::string_view& frame);

 private:
  void make_room();

  std::unique_ptr<char[]> bytes_;
  size_t capacity_;
  size_t begin_ = 0;
  size_t end_ = 0;
};

}  // namespace quorate::os
