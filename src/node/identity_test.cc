// SPDX-License-Identifier: Apache-2.0
// The identity file: its bytes, and what becomes of it when they rot.
#include "node/identity.h"

#include <gtest/gtest.h>

#include "sim/disk.h"
#include "sim/world.h"

namespace quorate::node {
namespace {

const Identity kIdentity{77, NodeId(3), 12, true, {GroupId(0), GroupId(700)}};

TEST(identity, survives_and_every_damaged_byte_is_noticed) {
  const std::string bytes = encode(kIdentity);
  ASSERT_TRUE(decode_identity(bytes).ok());
  EXPECT_EQ(*decode_identity(bytes), kIdentity);
  for (size_t i = 0; i < bytes.size() * 8; ++i) {
    std::string bad = bytes;
    bad[i / 8] = static_cast<char>(bad[i / 8] ^ (1 << (i % 8)));
    EXPECT_FALSE(decode_identity(bad).ok()) << i;
  }
}

TEST(identity, one_flipped_bit_at_a_time_is_mended_from_the_copy) {
  sim::World world(5);
  sim::DiskImage image(world);
  sim::Disk disk(image, world.begin_life());
  EXPECT_FALSE(load_identity(disk)->has_value()) << "a new directory";
  ASSERT_TRUE(store_identity(disk, kIdentity).ok());
  for (int i = 0; i < 50; ++i) {
    ASSERT_NE(image.rot("identity"), "");
    const Result<std::optional<Identity>> loaded = load_identity(disk);
    ASSERT_TRUE(loaded.ok()) << loaded.status().to_string();
    EXPECT_EQ(**loaded, kIdentity);
  }
}

TEST(identity, damage_to_both_copies_is_told_and_not_taken_for_a_new_directory) {
  sim::World world(6);
  sim::DiskImage image(world);
  sim::Disk disk(image, world.begin_life());
  ASSERT_TRUE(store_identity(disk, kIdentity).ok());
  for (int i = 0; i < 50; ++i) {
    (void)image.rot("identity");
  }
  EXPECT_EQ(load_identity(disk).status().code(), Code::kCorrupted);
}

}  // namespace
}  // namespace quorate::node
