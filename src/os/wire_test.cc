// SPDX-License-Identifier: Apache-2.0
#include "os/wire.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "base/limits.h"
#include "base/prng.h"

namespace quorate::os {
namespace {

using Step = FrameBuffer::Step;

std::string random_bytes(Prng& prng, size_t size) {
  std::string bytes(size, '\0');
  for (char& byte : bytes) {
    byte = static_cast<char>(prng.below(256));
  }
  return bytes;
}

std::string framed(std::string_view bytes) {
  const FrameHeader header = frame_header(bytes);
  return std::string(header.data(), header.size()) + std::string(bytes);
}

// Copies as much as there is room for; how much that was.
size_t feed(FrameBuffer& buffer, std::string_view bytes) {
  const std::span<char> space = buffer.space();
  const size_t size = std::min(space.size(), bytes.size());
  std::copy_n(bytes.begin(), size, space.begin());
  buffer.filled(size);
  return size;
}

TEST(Wire, the_bytes_stand_as_the_format_page_says) {
  EXPECT_EQ(encode(Hello{1, 0x1122334455667788, 0x99, NodeId(7), NodeId(8)}),
            std::string("QRTE\x01\x00\x00\x00"
                        "\x88\x77\x66\x55\x44\x33\x22\x11"
                        "\x99\x00\x00\x00\x00\x00\x00\x00"
                        "\x07\x00\x00\x00\x08\x00\x00\x00"
                        "\xf2\x1f\xaa\x9e",
                        36));
  EXPECT_EQ(framed("hello"), std::string("\x05\x00\x00\x00\xa1\xb1\x17\x4e"
                                         "hello",
                                         13));
}

TEST(Wire, a_hello_is_read_as_it_was_written_and_any_changed_bit_is_seen) {
  const Hello hello{3, 0x1122334455667788, 0x99aabbccddeeff00, NodeId(7), NodeId(8)};
  const std::string bytes = encode(hello);
  ASSERT_EQ(bytes.size(), kHelloBytes);
  EXPECT_EQ(decode_hello(bytes + "frames follow"), hello);
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string damaged = bytes;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    EXPECT_FALSE(decode_hello(damaged).has_value()) << bit;
  }
}

TEST(Wire, what_cannot_become_a_hello_is_known_by_its_first_bytes) {
  const std::string bytes = encode(Hello{1, 2, 3, NodeId(7), NodeId(8)});
  for (size_t size = 0; size <= bytes.size(); ++size) {
    EXPECT_TRUE(may_be_hello(bytes.substr(0, size)));
  }
  EXPECT_FALSE(may_be_hello("GET"));
  EXPECT_FALSE(may_be_hello("QRTX"));
}

TEST(Wire, frames_come_out_whole_and_in_order_however_the_stream_is_cut) {
  Prng prng(3);
  for (int round = 0; round < 40; ++round) {
    std::vector<std::string> sent;
    std::string stream;
    for (uint64_t n = prng.below(30); n > 0; --n) {
      const size_t size_max = prng.chance(1, 10) ? 900'000 : 3'000;
      sent.push_back(random_bytes(prng, 1 + prng.below(size_max)));
      stream += framed(sent.back());
      if (prng.chance(1, 3)) {
        stream += framed("");  // a sign of life is not a frame
      }
    }
    FrameBuffer buffer;
    std::vector<std::string> received;
    const size_t cut_max = prng.chance(1, 2) ? 50'000 : 1'000'000;
    for (size_t at = 0; at < stream.size();) {
      at += feed(buffer, std::string_view(stream).substr(at, 1 + prng.below(cut_max)));
      std::string_view frame;
      while (buffer.next(frame) == Step::kFrame) {
        received.emplace_back(frame);
      }
    }
    EXPECT_EQ(received, sent);
  }
}

TEST(Wire, any_changed_bit_of_a_frame_is_seen) {
  const std::string bytes = framed("some payload");
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string damaged = bytes;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    FrameBuffer buffer;
    feed(buffer, damaged);
    std::string_view frame;
    EXPECT_NE(buffer.next(frame), Step::kFrame) << bit;
  }
}

TEST(Wire, a_promised_size_takes_no_memory_and_one_above_the_bound_is_refused) {
  FrameBuffer buffer;
  std::string header = framed(std::string(limits::kFrameBytesMax, 'x')).substr(0, 8);
  feed(buffer, header);
  std::string_view frame;
  EXPECT_EQ(buffer.next(frame), Step::kMore);
  EXPECT_LT(buffer.space().size(), 1024u * 1024u);
  FrameBuffer other;
  const auto size = static_cast<uint32_t>(limits::kFrameBytesMax + 1);
  std::memcpy(header.data(), &size, sizeof(size));
  feed(other, header);
  EXPECT_EQ(other.next(frame), Step::kOversized);
}

TEST(Wire, the_largest_frame_passes) {
  const std::string stream = framed(std::string(limits::kFrameBytesMax, 'x'));
  FrameBuffer buffer;
  std::string_view frame;
  for (size_t at = 0; at < stream.size();) {
    ASSERT_EQ(buffer.next(frame), Step::kMore);
    at += feed(buffer, std::string_view(stream).substr(at));
  }
  ASSERT_EQ(buffer.next(frame), Step::kFrame);
  EXPECT_EQ(frame.size(), limits::kFrameBytesMax);
  EXPECT_LT(buffer.space().size(), limits::kFrameBytesMax) << "the memory is given back";
}

TEST(Wire, any_bytes_are_taken_without_harm) {
  Prng prng(4);
  for (int round = 0; round < 2'000; ++round) {
    FrameBuffer buffer;
    std::string_view frame;
    Step step = Step::kMore;
    for (int i = 0; i < 10 && step == Step::kMore; ++i) {
      std::string bytes = random_bytes(prng, prng.below(40));
      std::fill(bytes.begin(), bytes.begin() + static_cast<long>(bytes.size() / 2), '\0');
      feed(buffer, bytes);
      step = buffer.next(frame);
    }
  }
}

}  // namespace
}  // namespace quorate::os
