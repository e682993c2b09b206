// SPDX-License-Identifier: Apache-2.0
#include "edge/http/wire/encoding.h"

#include <gtest/gtest.h>

#include <string>

#include "base/prng.h"

namespace quorate::edge::http {
namespace {

constexpr Coding kPacked[] = {Coding::kGzip, Coding::kZstd};

TEST(content_coding, the_best_liked_one_is_chosen) {
  struct Row {
    const char* header;
    Coding coding;
  };
  const Row rows[] = {
      {"", Coding::kIdentity},
      {"gzip", Coding::kGzip},
      {"GZip", Coding::kGzip},
      {"x-gzip", Coding::kGzip},
      {"deflate, gzip;q=0.5, br", Coding::kGzip},
      {"gzip;q=0", Coding::kIdentity},
      {"gzip; q=0.000, *", Coding::kIdentity},
      {"gzip;q=0.001", Coding::kGzip},
      {"*", Coding::kGzip},
      {"*;q=0", Coding::kIdentity},
      {"br, *;q=0.1", Coding::kGzip},
      {"identity", Coding::kIdentity},
      {"gzipped", Coding::kIdentity},
      {", ,", Coding::kIdentity},
      {"zstd", Coding::kZstd},
      {"gzip, deflate, br, zstd", Coding::kZstd},
      {"ZSTD, gzip", Coding::kZstd},
      {"gzip;q=1.0, zstd;q=0.9", Coding::kGzip},
      {"gzip;q=0.25, zstd;q=0.251", Coding::kZstd},
      {"zstd;q=0, gzip;q=0.1", Coding::kGzip},
      {"zstd;q=0", Coding::kIdentity},
      {"zstd, *;q=0.5", Coding::kZstd},
      {"zstd;q=0.4, *;q=0.5", Coding::kGzip},
      {"zstds", Coding::kIdentity},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(choose_coding(row.header), row.coding) << row.header;
  }
}

TEST(content_coding, what_a_body_is_in_is_known_by_name) {
  EXPECT_EQ(coding_of(""), Coding::kIdentity);
  EXPECT_EQ(coding_of("identity"), Coding::kIdentity);
  EXPECT_EQ(coding_of("X-GZIP"), Coding::kGzip);
  EXPECT_EQ(coding_of("zstd"), Coding::kZstd);
  EXPECT_EQ(coding_of("br"), std::nullopt);
  EXPECT_EQ(coding_of("gzip, zstd"), std::nullopt);
  for (const Coding coding : kPacked) {
    EXPECT_EQ(coding_of(name_of(coding)), coding);
  }
}

TEST(content_coding, what_is_packed_comes_back) {
  std::string packed;
  for (const Coding coding : kPacked) {
    for (const size_t size : {1'024u, 65'535u, 65'536u, 65'537u, 1'000'000u}) {
      std::string body;
      while (body.size() < size) {
        body += "{\"key\":" + std::to_string(body.size()) + "},";
      }
      body.resize(size);
      ASSERT_TRUE(pack(coding, body, packed));
      EXPECT_LT(packed.size(), size);
      const Result<std::string> back = unpack(coding, packed, size);
      ASSERT_TRUE(back.ok()) << back.status().to_string();
      EXPECT_EQ(*back, body);
      EXPECT_EQ(unpack(coding, packed, size - 1).status().code(), Code::kTooLarge);
      EXPECT_EQ(unpack(coding, packed + packed, 2 * size)->size(), 2 * size);
      EXPECT_EQ(unpack(coding, packed + packed, 2 * size - 1).status().code(), Code::kTooLarge);
    }
  }
}

TEST(content_coding, what_does_not_shrink_is_left) {
  Prng prng(1);
  std::string noise(10'000, 0);
  for (char& byte : noise) {
    byte = static_cast<char>(prng.below(256));
  }
  std::string packed;
  for (const Coding coding : kPacked) {
    EXPECT_FALSE(pack(coding, noise, packed));
    EXPECT_FALSE(pack(coding, "", packed));
  }
  EXPECT_FALSE(pack(Coding::kIdentity, std::string(10'000, 'x'), packed));
}

TEST(content_coding, a_bomb_is_cut_short) {
  std::string packed;
  for (const Coding coding : kPacked) {
    ASSERT_TRUE(pack(coding, std::string(100'000'000, '\0'), packed));
    EXPECT_LT(packed.size(), 1'000'000u);
    EXPECT_EQ(unpack(coding, packed, 1'000'000).status().code(), Code::kTooLarge);
  }
}

TEST(content_coding, a_window_beyond_the_bound_is_refused) {
  // A frame without a size whose head asks for 2 GiB of window; then one empty last block.
  const std::string head("\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00", 9);
  EXPECT_EQ(unpack(Coding::kZstd, head, 1'000).status().code(), Code::kInvalidArgument);
  const std::string modest("\x28\xb5\x2f\xfd\x00\x68\x01\x00\x00", 9);
  EXPECT_EQ(*unpack(Coding::kZstd, modest, 1'000), "");
}

TEST(content_coding, what_is_not_whole_is_refused) {
  for (const Coding coding : kPacked) {
    std::string packed;
    ASSERT_TRUE(pack(coding, std::string(5'000, 'x'), packed));
    for (size_t cut = 0; cut < packed.size(); ++cut) {
      const Result<std::string> body = unpack(coding, packed.substr(0, cut), 10'000);
      EXPECT_EQ(body.status().code(), Code::kInvalidArgument) << name_of(coding) << cut;
    }
    EXPECT_FALSE(unpack(coding, packed + "x", 10'000).ok());
    Prng prng(2);
    for (int round = 0; round < 20'000; ++round) {
      std::string bytes = packed;
      bytes[prng.below(bytes.size())] = static_cast<char>(prng.below(256));
      const Result<std::string> body = unpack(coding, bytes, 10'000);
      ASSERT_TRUE(!body.ok() || body->size() <= 10'000);
    }
  }
}

}  // namespace
}  // namespace quorate::edge::http
