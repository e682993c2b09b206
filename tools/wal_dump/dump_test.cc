// SPDX-License-Identifier: Apache-2.0
// The dump of the golden files is golden itself: a change of the format, or of how it is shown,
// appears here. QUORATE_REWRITE=1 writes the expected output anew.
#include "tools/wal_dump/dump.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "wal/segments.h"

namespace quorate::wal {
namespace {

const std::string kGolden = QUORATE_GOLDEN;

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream bytes;
  bytes << in.rdbuf();
  return bytes.str();
}

void expect_file(const std::string& name, const std::string& text) {
  const std::string path = std::string(QUORATE_TESTDATA) + "/" + name;
  if (std::getenv("QUORATE_REWRITE") != nullptr) {
    std::ofstream(path, std::ios::binary) << text;
  }
  EXPECT_EQ(text, read_file(path)) << path;
}

TEST(wal_dump, shows_the_golden_log) {
  const auto dump = dump_path(kGolden, {.json = false, .payloads = true, .group = {}});
  ASSERT_TRUE(dump.ok());
  EXPECT_EQ(dump->damages, 0u);
  expect_file("golden_v1.out", dump->text);
}

TEST(wal_dump, shows_the_golden_log_as_json) {
  const auto dump = dump_path(kGolden, {.json = true, .payloads = true, .group = {}});
  ASSERT_TRUE(dump.ok());
  expect_file("golden_v1.jsonl", dump->text);
}

TEST(wal_dump, shows_one_group_alone) {
  const auto dump = dump_path(kGolden, {.json = false, .payloads = false, .group = GroupId(2)});
  ASSERT_TRUE(dump.ok());
  EXPECT_EQ(dump->text.find("group=1"), std::string::npos);
  EXPECT_NE(dump->text.find("group=2"), std::string::npos);
}

TEST(wal_dump, says_what_is_damaged_wherever_a_bit_flips) {
  SegmentBytes segment;
  segment.number = 1;
  segment.bytes = read_file(kGolden + "/" + segment_name(1));
  ASSERT_FALSE(segment.bytes.empty());
  for (size_t byte = 0; byte < segment.bytes.size(); ++byte) {
    SegmentBytes flipped = segment;
    flipped.bytes[byte] = static_cast<char>(flipped.bytes[byte] ^ 4);
    const Dump dump = dump_segment(flipped, {});
    EXPECT_GT(dump.damages, 0u) << "byte " << byte;
    EXPECT_NE(dump.text.find("DAMAGED"), std::string::npos);
  }
}

TEST(wal_dump, takes_any_bytes) {
  SegmentBytes segment;
  segment.number = 1;
  const std::string golden = read_file(kGolden + "/" + segment_name(1));
  for (size_t cut = 0; cut < golden.size(); ++cut) {
    segment.bytes = golden.substr(cut) + golden.substr(0, cut / 2);
    (void)dump_segment(segment, {.json = true, .payloads = true, .group = {}});
  }
}

}  // namespace
}  // namespace quorate::wal
