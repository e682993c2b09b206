// SPDX-License-Identifier: Apache-2.0
// The bytes: round trips, rejection of anything altered, and the golden files of version 1.
#include "wal/format.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "base/crc.h"
#include "base/prng.h"
#include "wal/log_fixture_test.h"
#include "wal/scan.h"
#include "wal/segments.h"
#include "wal/snapshot_file.h"

namespace quorate::wal {
namespace {

BatchHeader some_header() {
  BatchHeader header;
  header.log = 0x1122334455667788;
  header.number = 42;
  header.durable = 41;
  header.segment = 7;
  header.oldest = 5;
  header.ahead = 65536;
  header.directory_bytes = 100;
  header.payload_bytes = 1000;
  header.items = 3;
  header.depth = 17;
  return header;
}

Item some_item(Prng& prng, ItemKind kind) {
  Item item;
  item.kind = kind;
  item.suspect = prng.chance(1, 2);
  item.group = GroupId(static_cast<uint32_t>(prng.next()));
  item.life = static_cast<uint16_t>(prng.next());
  item.back = prng.next() >> prng.below(64);
  if (item.has_state()) {
    item.state = {Term(prng.next()), NodeId(static_cast<uint32_t>(prng.next())),
                  Index(prng.next())};
  }
  if (kind == ItemKind::kBounds) {
    item.compacted = Index(prng.next());
    item.compacted_term = Term(prng.next());
  }
  if (kind == ItemKind::kState || kind == ItemKind::kBounds || kind == ItemKind::kMissing) {
    item.last_term = Term(prng.next());
  }
  if (kind == ItemKind::kState || kind == ItemKind::kBounds) {
    item.last = Index(prng.next());
  }
  if (kind == ItemKind::kMissing) {
    item.first = Index(prng.next());
    item.count = prng.next();
  }
  if (item.has_records()) {
    item.first = Index(prng.next());
    item.before_term = Term(prng.next());
    auto offset = static_cast<uint32_t>(prng.below(1000));
    item.count = 1 + prng.below(kItemRecordsMax);
    for (uint64_t i = 0; i < item.count; ++i) {
      ItemRecord record{Term(prng.next()),
                        static_cast<uint8_t>(prng.next()),
                        Stamp::from_micros(static_cast<int64_t>(prng.next())),
                        static_cast<uint32_t>(prng.below(1000)),
                        static_cast<uint32_t>(prng.next()),
                        offset};
      offset += record.bytes;
      item.records.push_back(record);
    }
  }
  return item;
}

constexpr ItemKind kKinds[] = {ItemKind::kAppend, ItemKind::kPut,     ItemKind::kState,
                               ItemKind::kBounds, ItemKind::kMissing, ItemKind::kRemove};

TEST(wal_format, a_header_comes_back_and_no_altered_one_does) {
  const BatchHeader header = some_header();
  for (const Edge edge : {Edge::kHead, Edge::kTail}) {
    const std::string bytes = encode_header(header, edge);
    EXPECT_EQ(decode_header(bytes, edge), header);
    EXPECT_EQ(decode_header(bytes, edge == Edge::kHead ? Edge::kTail : Edge::kHead), std::nullopt);
    for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
      std::string flipped = bytes;
      flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
      EXPECT_EQ(decode_header(flipped, edge), std::nullopt) << bit;
    }
    for (size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_EQ(decode_header(std::string_view(bytes).substr(0, size), edge), std::nullopt);
    }
  }
}

TEST(wal_format, items_of_every_kind_come_back) {
  Prng prng(1);
  Item read;
  for (int i = 0; i < 600; ++i) {
    const Item item = some_item(prng, kKinds[i % 6]);
    std::string bytes;
    encode_item(item, 99, bytes);
    ASSERT_EQ(decode_item(bytes, 99, read), bytes.size());
    EXPECT_EQ(read, item);
    EXPECT_EQ(decode_item(bytes, 98, read), 0u) << "an item of another batch";
  }
}

TEST(wal_format, no_altered_item_is_taken) {
  Prng prng(2);
  Item read;
  for (const ItemKind kind : kKinds) {
    Item item = some_item(prng, kind);
    if (item.has_records()) {
      item.records.resize(2);
    }
    std::string bytes;
    encode_item(item, 7, bytes);
    for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
      std::string flipped = bytes;
      flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
      EXPECT_EQ(decode_item(flipped, 7, read), 0u);
    }
  }
}

TEST(wal_format, any_bytes_are_survived) {
  Prng prng(3);
  Item read;
  for (int i = 0; i < 20'000; ++i) {
    SegmentBytes segment;
    segment.number = 1;
    segment.bytes.resize(prng.below(300));
    for (char& byte : segment.bytes) {
      byte = prng.chance(1, 2) ? '\xff' : static_cast<char>(prng.next());
    }
    (void)decode_item(segment.bytes, 1, read);
    (void)next_batch(segment, 0, 0);
  }
}

TEST(wal_format, one_flipped_bit_is_told_from_a_torn_write) {
  std::string bytes(5000, 'x');
  const uint32_t crc = crc32c(bytes);
  EXPECT_FALSE(one_bit_off(bytes, crc));
  for (const size_t bit : {size_t{0}, size_t{7}, size_t{20'000}, size_t{39'999}}) {
    std::string flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_TRUE(one_bit_off(flipped, crc)) << bit;
  }
  std::string torn = bytes;
  torn.replace(4096, 904, 904, '\0');
  EXPECT_FALSE(one_bit_off(torn, crc));
}

// ---- the golden files --------------------------------------------------------------------------

std::string golden_path(const std::string& name) {
  return std::string(QUORATE_TESTDATA) + "/golden_v1/" + name;
}

std::string golden(const std::string& name, const std::string& bytes) {
  if (std::getenv("QUORATE_REWRITE") != nullptr) {
    std::ofstream(golden_path(name), std::ios::binary) << bytes;
  }
  std::ifstream in(golden_path(name), std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

void write_story(LogFixture& log) {
  log.append(1, 1, {"one", "two", "three"});
  log.state(1, {Term(1), NodeId(2), Index(2)});
  log.append(2, 1, {"uno"});
  EXPECT_TRUE(log.flush().ok());
  log.append(1, 3, {"THREE"}, 2);
  log.wal->compact(GroupId(1), Index(1), Term(1));
  log.append(2, 2, {std::string(40, 'z')});
  log.append(3, 1, {"tri"});
  EXPECT_TRUE(log.flush().ok());
  log.wal->remove_group(GroupId(3));
  EXPECT_TRUE(log.flush().ok());
}

TEST(wal_format, the_bytes_of_version_1_are_what_they_were) {
  LogFixture log;
  write_story(log);
  const std::string bytes = log.disk.node("wal/" + segment_name(1)).bytes;
  EXPECT_TRUE(bytes == golden(segment_name(1), bytes))
      << "the bytes on disk have changed: a new version, or a mistake";
}

// The shallow one is of the time before headers said a depth.
TEST(wal_format, the_golden_logs_are_read) {
  for (const std::string& name : {segment_name(1), segment_name(1) + ".shallow"}) {
    SCOPED_TRACE(name);
    LogFixture log;
    log.crash(Crash::kLose);
    std::ifstream in(golden_path(name), std::ios::binary);
    std::ostringstream bytes;
    bytes << in.rdbuf();
    log.disk.restore({{"wal/" + segment_name(1), bytes.str()}});
    log.open();
    ASSERT_TRUE(log.opened.ok());
    EXPECT_EQ(log.notes, "");
    ASSERT_EQ(log.groups.size(), 2u);
    EXPECT_EQ(log.groups[0].state, (State{Term(1), NodeId(2), Index(2)}));
    EXPECT_EQ(log.groups[0].compacted, Index(1));
    EXPECT_EQ(log.contents(1), "2:two 3:THREE");
    EXPECT_EQ(log.contents(2), "1:uno 2:z*40");
  }
}

TEST(wal_format, the_bytes_of_a_snapshot_are_what_they_were) {
  SnapshotInfo info{GroupId(1), Index(10), Term(2), "config", 0};
  std::string bytes = encode_snapshot_head(info);
  const std::string body = "the state of a machine";
  encode_block(body, 0, seed_of(info), bytes);
  info.bytes = body.size();
  bytes += encode_snapshot_foot(info, crc32c(body));
  EXPECT_TRUE(bytes == golden("snapshot-1-10-2", bytes));
}

}  // namespace
}  // namespace quorate::wal
