// SPDX-License-Identifier: Apache-2.0
#include "service/value/packed.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/hash.h"
#include "base/prng.h"

namespace quorate::service {
namespace {

std::string repeated(std::string_view part, size_t times) {
  std::string whole;
  for (; times > 0; --times) {
    whole += part;
  }
  return whole;
}

// Words, as of a text or a document: some repeat near, some far, some not at all.
std::string text_of(Prng& prng, size_t size) {
  static const std::vector<std::string> kWords = {"\"name\":", "\"sum\":", "quorum", "17", "{",
                                                  "},",        "lorem",    "a",      "  ", "\n"};
  std::string text;
  while (text.size() < size) {
    if (prng.chance(1, 8)) {
      text.push_back(static_cast<char>(prng.below(256)));
    }
    text += kWords[prng.below(kWords.size())];
  }
  text.resize(size);
  return text;
}

std::string noise_of(Prng& prng, size_t size) {
  std::string bytes(size, 0);
  for (char& byte : bytes) {
    byte = static_cast<char>(prng.below(256));
  }
  return bytes;
}

void expect_back(std::string_view value) {
  std::string packed;
  std::string back = "before";
  (void)pack(value, packed);
  ASSERT_TRUE(unpack(packed, value.size(), back)) << value.size();
  ASSERT_EQ(back, "before" + std::string(value));
}

TEST(packed, every_value_comes_back) {
  Prng prng(1);
  for (size_t size = 0; size < 600; ++size) {
    expect_back(text_of(prng, size));
    expect_back(noise_of(prng, size));
    expect_back(std::string(size, 'x'));
  }
  for (const size_t size : {65'535u, 65'536u, 65'551u, 200'000u, 1'000'003u}) {
    expect_back(text_of(prng, size));
    expect_back(noise_of(prng, size));
    expect_back(repeated("a longer part of a value; ", size / 26));
  }
}

TEST(packed, only_what_shrinks_by_an_eighth_is_packed) {
  Prng prng(2);
  std::string packed;
  EXPECT_FALSE(pack("", packed));
  EXPECT_FALSE(pack("short", packed));
  EXPECT_FALSE(pack(noise_of(prng, 10'000), packed));
  const std::string text = text_of(prng, 10'000);
  EXPECT_TRUE(pack(text, packed));
  EXPECT_LT(packed.size(), 7'000u);
  EXPECT_TRUE(pack(std::string(1'000'000, 'x'), packed));
  EXPECT_LT(packed.size(), 4'000u);
}

// These stand in snapshots and count in digests: another encoder is another function.
TEST(packed, the_bytes_stay) {
  std::string packed;
  EXPECT_TRUE(pack(std::string(40, 'a'), packed));
  EXPECT_EQ(packed, std::string("\x1f"
                                "a\x01\x00\x0f\x50"
                                "aaaaa",
                                11));
  EXPECT_TRUE(pack(repeated("abcdefgh", 8), packed));
  EXPECT_EQ(packed, std::string("\xdf"
                                "abcdefghabcde\x08\x00\x1bPdefgh",
                                23));
  Prng prng(3);
  const uint64_t sums[] = {3'774'693'728'733'258'074u, 8'449'586'118'158'627'928u,
                           14'361'130'310'544'139'420u};
  size_t at = 0;
  for (const size_t size : {1'024u, 70'000u, 300'000u}) {
    (void)pack(text_of(prng, size), packed);
    EXPECT_EQ(hash64(packed, 0), sums[at]) << size;
    ++at;
  }
}

TEST(packed, a_wrong_size_or_a_cut_is_seen) {
  Prng prng(4);
  const std::string value = text_of(prng, 2'000);
  std::string packed;
  ASSERT_TRUE(pack(value, packed));
  std::string out;
  EXPECT_FALSE(unpack(packed, value.size() - 1, out));
  EXPECT_FALSE(unpack(packed, value.size() + 1, out));
  for (size_t cut = 0; cut < packed.size(); ++cut) {
    out.clear();
    EXPECT_FALSE(unpack(std::string_view(packed).substr(0, cut), value.size(), out)) << cut;
  }
}

TEST(packed, any_bytes_do_no_harm) {
  Prng prng(5);
  std::string packed;
  ASSERT_TRUE(pack(text_of(prng, 500), packed));
  for (int round = 0; round < 200'000; ++round) {
    std::string bytes = packed;
    if (prng.chance(1, 2)) {
      bytes = noise_of(prng, prng.below(40));
    } else {
      bytes[prng.below(bytes.size())] = static_cast<char>(prng.below(256));
    }
    std::string out;
    const size_t size = prng.below(1'000);
    (void)unpack(bytes, size, out);
    ASSERT_LE(out.size(), size);
  }
}

}  // namespace
}  // namespace quorate::service
