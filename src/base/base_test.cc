// SPDX-License-Identifier: Apache-2.0
// The arithmetic that everything stands on: codec, checksum, hashes, status table, functions.
#include <gtest/gtest.h>

#include <bit>
#include <limits>
#include <memory>
#include <set>

#include "base/bytes.h"
#include "base/codec.h"
#include "base/crc.h"
#include "base/function.h"
#include "base/hash.h"
#include "base/prng.h"
#include "base/status.h"
#include "base/text.h"

namespace quorate {
namespace {

static_assert(std::endian::native == std::endian::little, "fixed integers are copied as they lie");

TEST(codec, what_is_written_is_read_back) {
  std::string out;
  Writer writer(out);
  writer.u8(200);
  writer.u16(65000);
  writer.u32(4'000'000'000);
  writer.u64(std::numeric_limits<uint64_t>::max());
  writer.boolean(true);
  writer.stamp(Stamp::from_micros(-5));
  writer.id(Index(300));
  writer.bytes("hello");
  Reader reader(out);
  EXPECT_EQ(reader.u8(), 200);
  EXPECT_EQ(reader.u16(), 65000);
  EXPECT_EQ(reader.u32(), 4'000'000'000);
  EXPECT_EQ(reader.u64(), std::numeric_limits<uint64_t>::max());
  EXPECT_TRUE(reader.boolean());
  EXPECT_EQ(reader.stamp(), Stamp::from_micros(-5));
  EXPECT_EQ(reader.id<Index>(), Index(300));
  EXPECT_EQ(reader.bytes(), "hello");
  EXPECT_TRUE(reader.done());
}

TEST(codec, a_short_writer_writes_the_same_bytes) {
  const auto write = [](auto& to, uint64_t value) {
    to.u8(7);
    to.u16(65000);
    to.u32(4'000'000'000);
    to.u64(value);
    to.varint(value);
    to.id(Index(value));
  };
  std::string expected;
  Writer writer(expected);
  std::string out = "before";
  ShortWriter<40> gathered;
  for (const uint64_t value : {uint64_t{0}, uint64_t{127}, uint64_t{128}, uint64_t{300},
                               std::numeric_limits<uint64_t>::max()}) {
    write(writer, value);
    write(gathered, value);
    gathered.move_to(out);
    EXPECT_TRUE(gathered.view().empty());
  }
  EXPECT_EQ(out, "before" + expected);
}

TEST(codec, varints_of_every_length_survive) {
  for (int bit = 0; bit < 64; ++bit) {
    for (const uint64_t value : {uint64_t{1} << bit, (uint64_t{1} << bit) - 1}) {
      std::string out;
      Writer(out).varint(value);
      Reader reader(out);
      EXPECT_EQ(reader.varint(), value);
      EXPECT_TRUE(reader.done());
    }
  }
}

struct BadVarint {
  std::string bytes;
  const char* why;
};

TEST(codec, a_bad_varint_fails_for_good) {
  const BadVarint rows[] = {
      {"", "nothing there"},
      {"\x80", "cut short"},
      {std::string(10, '\xff'), "does not fit 64 bits"},
      {std::string(9, '\xff') + "\x02", "one bit too many"},
      {std::string(11, '\x80'), "too long"},
  };
  for (const BadVarint& row : rows) {
    Reader reader(row.bytes);
    EXPECT_EQ(reader.varint(), 0u) << row.why;
    EXPECT_FALSE(reader.ok()) << row.why;
    EXPECT_EQ(reader.u8(), 0) << row.why;
    EXPECT_FALSE(reader.ok()) << row.why;
  }
}

TEST(codec, a_length_beyond_the_input_reads_nothing) {
  for (const uint64_t length : {uint64_t{3}, uint64_t{1} << 40, ~uint64_t{0}}) {
    std::string out;
    Writer writer(out);
    writer.varint(length);
    writer.raw("ab");
    Reader reader(out);
    EXPECT_EQ(reader.bytes(), "");
    EXPECT_FALSE(reader.ok());
  }
}

TEST(codec, a_count_that_cannot_fit_is_refused) {
  std::string out;
  Writer writer(out);
  writer.varint(1000);
  writer.raw("12345678");
  Reader reader(out);
  EXPECT_EQ(reader.count(1), 0u);
  EXPECT_FALSE(reader.ok());
}

TEST(codec, an_id_wider_than_its_type_is_refused) {
  std::string out;
  Writer(out).varint(uint64_t{1} << 32);
  Reader reader(out);
  EXPECT_EQ(reader.id<NodeId>(), NodeId());
  EXPECT_FALSE(reader.ok());
}

TEST(crc, both_ways_agree_with_the_published_values) {
  EXPECT_EQ(crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aau);
  Prng prng(1);
  for (size_t size = 0; size < 70; ++size) {
    std::string bytes(size, ' ');
    for (char& byte : bytes) {
      byte = static_cast<char>(prng.next());
    }
    EXPECT_EQ(crc32c(bytes), crc32c_by_table(bytes));
    EXPECT_EQ(crc32c(bytes.substr(size / 2), crc32c(bytes.substr(0, size / 2))), crc32c(bytes));
  }
}

TEST(hash, slots_are_those_of_redis_cluster) {
  EXPECT_EQ(crc16("123456789"), 0x31c3);
  EXPECT_EQ(slot_of("foo"), 12182);
  EXPECT_EQ(slot_of("{user1000}.following"), slot_of("{user1000}.followers"));
  EXPECT_EQ(slot_of("foo{}{bar}"), crc16("foo{}{bar}") % kSlots);
  EXPECT_EQ(slot_of("foo{{bar}}zap"), crc16("{bar") % kSlots);
  EXPECT_EQ(slot_of("foo{bar}{zap}"), crc16("bar") % kSlots);
}

TEST(hash, each_slot_lies_in_the_range_of_its_share) {
  for (const uint32_t shares : {1u, 2u, 3u, 7u, 12u, 1'000u, kSlots - 1, kSlots}) {
    EXPECT_EQ(first_slot_of(0, shares), 0u);
    EXPECT_EQ(first_slot_of(shares, shares), kSlots);
    for (uint32_t slot = 0; slot < kSlots; ++slot) {
      const uint32_t share = share_of_slot(slot, shares);
      ASSERT_TRUE(first_slot_of(share, shares) <= slot && slot < first_slot_of(share + 1, shares))
          << slot << " of " << shares;
    }
  }
}

TEST(hash, every_byte_and_the_length_count) {
  std::set<uint64_t> seen;
  for (size_t size = 0; size < 40; ++size) {
    EXPECT_TRUE(seen.insert(hash64(std::string(size, '\0'))).second);
    for (size_t at = 0; at < size; ++at) {
      std::string bytes(size, '\0');
      bytes[at] = 1;
      EXPECT_TRUE(seen.insert(hash64(bytes)).second) << size << " " << at;
    }
  }
}

TEST(prng, the_same_seed_gives_the_same_run) {
  Prng first(7);
  Prng second(7);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(first.next(), second.next());
  }
  for (int i = 0; i < 1000; ++i) {
    const int64_t drawn = first.between(-3, 3);
    EXPECT_GE(drawn, -3);
    EXPECT_LE(drawn, 3);
  }
}

TEST(status, each_code_has_its_row_and_its_own_name) {
  std::set<std::string_view> names;
  for (const CodeRow& row : code_table()) {
    EXPECT_EQ(&row_of(row.code), &row);
    EXPECT_TRUE(names.insert(row.name).second);
    EXPECT_EQ(code_from_number(static_cast<uint64_t>(row.code)), row.code);
  }
  EXPECT_EQ(code_from_number(code_table().size()), std::nullopt);
  EXPECT_EQ(Status(Code::kTimeout, "too slow").to_string(), "timeout: too slow");
}

TEST(bytes, a_slice_outlives_the_buffer_it_was_cut_from) {
  Buffer slice;
  {
    const Buffer whole = Buffer::copy("hello world");
    slice = whole.slice(6, 5);
  }
  const Buffer copy = slice;
  slice = Buffer();
  EXPECT_EQ(copy.view(), "world");
}

TEST(text, the_closest_word_is_found_if_any_is_close) {
  EXPECT_EQ(closest("serve", {"server", "dev"}), "server");
  EXPECT_EQ(closest("xyzzy", {"server", "dev"}), "");
}

TEST(function, small_and_large_captures_are_called_moved_and_destroyed_once) {
  auto counter = std::make_shared<int>(0);
  struct Large {
    std::shared_ptr<int> counter;
    char padding[100];
  };
  UniqueFunction<int(int)> small = [counter](int n) { return *counter += n; };
  UniqueFunction<int(int)> large = [held = Large{counter, {}}](int n) {
    return *held.counter += n;
  };
  UniqueFunction<int(int)> moved = std::move(large);
  EXPECT_EQ(small(2), 2);
  EXPECT_EQ(moved(3), 5);
  EXPECT_FALSE(static_cast<bool>(large));
  small.reset();
  moved = nullptr;
  EXPECT_EQ(counter.use_count(), 1);
}

}  // namespace
}  // namespace quorate
