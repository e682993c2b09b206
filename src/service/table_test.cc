// SPDX-License-Identifier: Apache-2.0
// The table and what it is made of, against a std::map that does the same.
#include "service/table.h"

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/prng.h"
#include "service/due.h"

namespace quorate::service {
namespace {

using Model = std::map<std::string, std::string>;
using KeyMaker = std::function<std::string(Prng&)>;

std::string bytes_of(Prng& prng, size_t size) {
  std::string bytes(size, 0);
  for (char& byte : bytes) {
    byte = static_cast<char>(prng.next());
  }
  return bytes;
}

// Keys that stress the ordered index: long common prefixes, zeros, one a prefix of the other.
std::vector<KeyMaker> key_makers() {
  return {
      [](Prng& prng) { return "key:" + std::to_string(100'000 + prng.below(3'000)); },
      [](Prng& prng) { return std::string(prng.below(40), '\0') + (prng.chance(1, 2) ? "a" : ""); },
      [](Prng& prng) { return bytes_of(prng, prng.below(3)); },
      [](Prng& prng) {
        return std::string(300, 'p') + bytes_of(prng, 1) + std::string(prng.below(9), 'q');
      },
      [](Prng& prng) { return bytes_of(prng, 16 + prng.below(2)); },
  };
}

size_t record_size(Prng& prng) {
  return prng.chance(1, 200) ? 5'000 + prng.below(20'000) : prng.below(200);
}

// One random change, done to both.
void change(Prng& prng, const KeyMaker& make_key, Table& table, Model& model) {
  const std::string key = make_key(prng);
  if (prng.chance(2, 5)) {
    EXPECT_EQ(table.erase(key), model.erase(key) == 1);
    return;
  }
  const std::string record = bytes_of(prng, record_size(prng));
  table.put(key, record);
  model[key] = record;
}

void expect_equal(const Table& table, const Model& model) {
  ASSERT_EQ(table.size(), model.size());
  Table::Cursor cursor = table.first();
  for (const auto& [key, record] : model) {
    ASSERT_TRUE(cursor.valid());
    ASSERT_EQ(cursor.key(), key);
    ASSERT_EQ(cursor.record(), record);
    ASSERT_EQ(table.find(key), record);
    cursor.next();
  }
  EXPECT_FALSE(cursor.valid());
}

std::string image_of(SnapshotSource& source, size_t piece) {
  std::string image;
  while (source.next(piece, image)) {
  }
  return image;
}

Status restore(Table& table, const std::string& image, Prng& prng) {
  table.restore_begin();
  for (size_t at = 0; at < image.size();) {
    const size_t size = std::min<size_t>(1 + prng.below(3'000), image.size() - at);
    RETURN_IF_ERROR(table.restore_piece(std::string_view(image).substr(at, size)));
    at += size;
  }
  return table.restore_end();
}

TEST(table, does_what_a_map_does) {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    for (const KeyMaker& make_key : key_makers()) {
      Prng prng(seed);
      Table table(seed);
      Model model;
      for (int step = 0; step < 4'000; ++step) {
        change(prng, make_key, table, model);
        if (step % 500 == 0) {
          table.check_invariants();
        }
      }
      table.check_invariants();
      expect_equal(table, model);
    }
  }
}

TEST(table, shrinks_to_nothing_when_all_is_erased) {
  Prng prng(7);
  Table table;
  Model model;
  for (int step = 0; step < 30'000; ++step) {
    const std::string key = bytes_of(prng, 12);
    table.put(key, "record");
    model[key] = "record";
  }
  const size_t full = table.memory_bytes();
  for (const auto& [key, record] : model) {
    EXPECT_TRUE(table.erase(key));
  }
  table.check_invariants();
  EXPECT_EQ(table.size(), 0u);
  EXPECT_EQ(table.bytes(), 0u);
  EXPECT_EQ(table.digest(), 0u);
  EXPECT_LT(table.memory_bytes(), full / 4);
}

TEST(table, walks_both_ways_from_any_key) {
  Prng prng(3);
  Table table;
  Model model;
  const KeyMaker make_key = key_makers()[0];
  for (int step = 0; step < 5'000; ++step) {
    change(prng, make_key, table, model);
  }
  for (int step = 0; step < 2'000; ++step) {
    const std::string key = make_key(prng);
    const auto after = model.lower_bound(key);
    const Table::Cursor forward = table.at_or_after(key);
    ASSERT_EQ(forward.valid(), after != model.end());
    if (forward.valid()) {
      ASSERT_EQ(forward.key(), after->first);
    }
    const Table::Cursor backward = table.before(key);
    ASSERT_EQ(backward.valid(), after != model.begin());
    if (backward.valid()) {
      ASSERT_EQ(backward.key(), std::prev(after)->first);
    }
  }
  auto expected = model.rbegin();
  for (Table::Cursor at = table.last(); at.valid(); at.previous(), ++expected) {
    ASSERT_EQ(at.key(), expected->first);
  }
  EXPECT_EQ(expected, model.rend());
}

// Of one leaf, and of many, whose outer nodes know what their own keys have in common.
TEST(table, a_search_may_be_for_what_no_key_begins_with) {
  for (const int count : {1, 2, 40, 5'000}) {
    Table table(1);
    Model model;
    const auto put = [&](std::string key) {
      table.put(key, "r");
      model[std::move(key)] = "r";
    };
    const auto expect_found = [&](const std::string& wanted) {
      const auto found = table.at_or_after(wanted);
      const auto expected = model.lower_bound(wanted);
      ASSERT_EQ(found.valid(), expected != model.end()) << wanted;
      if (found.valid()) {
        EXPECT_EQ(found.key(), expected->first) << wanted;
      }
    };
    for (int i = 0; i < count; ++i) {
      put("space/user:" + std::to_string(100'000 + i * 7));
    }
    const char* const wanted[] = {"",
                                  "a",
                                  "space",
                                  "space/user:",
                                  "space/users",
                                  "space/user:1",
                                  "space/user:100007",
                                  "space/user:9",
                                  "space/v",
                                  "t",
                                  "\xff"};
    for (const std::string key : wanted) {
      expect_found(key);
    }
    for (const std::string key : {"space/w", "space/user:100001x", "r", "", "z"}) {
      put(key);
      table.check_invariants();
      expect_equal(table, model);
    }
    for (const std::string key : wanted) {
      expect_found(key);
    }
  }
}

TEST(table, an_empty_table_has_no_ends) {
  const Table table;
  EXPECT_FALSE(table.first().valid());
  EXPECT_FALSE(table.last().valid());
  EXPECT_FALSE(table.before("a").valid());
  EXPECT_FALSE(table.at_or_after("").valid());
  EXPECT_FALSE(table.find("a").has_value());
}

TEST(table, the_digest_does_not_depend_on_the_way_there) {
  Prng prng(5);
  Table forth(1);
  Table back(2);
  Model model;
  for (int step = 0; step < 3'000; ++step) {
    change(prng, key_makers()[0], forth, model);
  }
  for (auto at = model.rbegin(); at != model.rend(); ++at) {
    back.put(at->first, at->second);
  }
  EXPECT_EQ(forth.digest(), back.digest());
  EXPECT_EQ(image_of(*forth.freeze(), 1'000), image_of(*back.freeze(), 77));
  back.put(model.begin()->first, model.begin()->second + "x");
  EXPECT_NE(forth.digest(), back.digest());
}

// The heart of it: the image is the state at freeze(), whatever changed while it was written.
TEST(table, an_image_shows_the_moment_of_the_freeze) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    Prng prng(seed);
    const KeyMaker make_key = key_makers()[seed % 5];
    Table table(seed);
    Model model;
    for (uint64_t step = prng.below(3'000); step > 0; --step) {
      change(prng, make_key, table, model);
    }
    const Model then = model;
    const uint64_t digest_then = table.digest();
    std::string image;
    {
      const std::unique_ptr<SnapshotSource> source = table.freeze();
      const size_t piece = 1 + prng.below(20'000);
      while (source->next(piece, image)) {
        for (uint64_t step = prng.below(40); step > 0; --step) {
          change(prng, make_key, table, model);
        }
      }
    }
    expect_equal(table, model);
    table.check_invariants();
    Table restored(seed + 1);
    ASSERT_TRUE(restore(restored, image, prng).ok());
    expect_equal(restored, then);
    restored.check_invariants();
    EXPECT_EQ(restored.digest(), digest_then);
  }
}

TEST(table, a_freeze_may_be_dropped_half_way_and_begun_again) {
  Prng prng(11);
  Table table;
  Model model;
  for (int round = 0; round < 20; ++round) {
    const std::unique_ptr<SnapshotSource> source = table.freeze();
    std::string piece;
    (void)source->next(500, piece);
    for (int step = 0; step < 300; ++step) {
      change(prng, key_makers()[0], table, model);
    }
  }
  Table restored;
  ASSERT_TRUE(restore(restored, image_of(*table.freeze(), 4'096), prng).ok());
  expect_equal(restored, model);
}

TEST(table, many_new_keys_do_not_make_one_piece_long) {
  Table table;
  table.put("zz", "last");
  const std::unique_ptr<SnapshotSource> source = table.freeze();
  for (int number = 0; number < 20'000; ++number) {
    table.put("k" + std::to_string(number), "new");
  }
  std::string image;
  size_t pieces = 1;
  while (source->next(1 << 20, image)) {
    ++pieces;
  }
  EXPECT_GE(pieces, 10u);
}

TEST(table, a_damaged_image_is_refused_and_leaves_nothing) {
  Prng prng(13);
  Table table;
  Model model;
  for (int step = 0; step < 200; ++step) {
    change(prng, key_makers()[0], table, model);
  }
  const std::string image = image_of(*table.freeze(), 1'000);
  Table restored;
  for (size_t cut = 0; cut < image.size(); cut += 7) {
    EXPECT_EQ(restore(restored, image.substr(0, cut), prng).code(), Code::kCorrupted) << cut;
    EXPECT_EQ(restored.size(), 0u);
  }
  for (int round = 0; round < 2'000; ++round) {
    std::string bad = image;
    bad[prng.below(bad.size())] ^= static_cast<char>(1 << prng.below(8));
    EXPECT_FALSE(restore(restored, bad, prng).ok());
    EXPECT_EQ(restored.size(), 0u);
  }
  EXPECT_FALSE(restore(restored, image + "x", prng).ok());
  EXPECT_TRUE(restore(restored, image, prng).ok());
}

TEST(table, any_bytes_restore_to_an_error) {
  Prng prng(17);
  Table table;
  for (int round = 0; round < 3'000; ++round) {
    EXPECT_FALSE(restore(table, bytes_of(prng, prng.below(200)), prng).ok());
  }
}

TEST(slab, references_stay_apart_and_chunks_return) {
  Prng prng(19);
  Slab slab;
  std::vector<std::pair<Slab::Ref, std::string>> blocks;
  for (int step = 0; step < 30'000; ++step) {
    if (prng.chance(1, 2) || blocks.empty()) {
      const std::string bytes = bytes_of(prng, 1 + prng.below(prng.chance(1, 50) ? 30'000 : 2'000));
      const Slab::Ref ref = slab.allocate(bytes.size());
      std::memcpy(slab.at(ref), bytes.data(), bytes.size());
      blocks.emplace_back(ref, bytes);
      continue;
    }
    const size_t at = prng.below(blocks.size());
    const auto& [ref, bytes] = blocks[at];
    ASSERT_EQ(std::string_view(slab.at(ref), bytes.size()), bytes);
    slab.free(ref, bytes.size());
    blocks[at] = blocks.back();
    blocks.pop_back();
  }
  slab.check_invariants();
  for (const auto& [ref, bytes] : blocks) {
    slab.free(ref, bytes.size());
  }
  slab.check_invariants();
  slab.clear();
  EXPECT_EQ(slab.allocate(8), 0u);
}

TEST(slab, a_capacity_holds_what_was_asked_for) {
  size_t before = 0;
  for (size_t bytes = 1; bytes <= 40'000; ++bytes) {
    const size_t capacity = Slab::capacity(bytes);
    ASSERT_GE(capacity, bytes);
    ASSERT_GE(capacity, before);
    ASSERT_EQ(Slab::capacity(capacity), capacity);
    before = capacity;
  }
}

TEST(due, comes_in_the_order_of_stamps_and_then_of_items) {
  Prng prng(23);
  Due due;
  std::map<std::pair<int64_t, std::string>, bool> model;
  for (int step = 0; step < 20'000; ++step) {
    const int64_t micros = static_cast<int64_t>(prng.below(2'000)) - 1'000;
    const std::string item = "i" + std::to_string(prng.below(50));
    const bool there = model.contains({micros, item});
    ASSERT_EQ(due.contains(Stamp::from_micros(micros), item), there);
    if (there) {
      due.remove(Stamp::from_micros(micros), item);
      model.erase({micros, item});
    } else {
      due.add(Stamp::from_micros(micros), item);
      model[{micros, item}] = true;
    }
    ASSERT_EQ(due.next(),
              model.empty() ? Stamp::never() : Stamp::from_micros(model.begin()->first.first));
  }
  due.check_invariants();
  for (const auto& [at_item, unused] : model) {
    ASSERT_EQ(due.next(), Stamp::from_micros(at_item.first));
    ASSERT_EQ(due.first_item(), at_item.second);
    due.remove_first();
  }
  EXPECT_TRUE(due.empty());
  EXPECT_EQ(due.next(), Stamp::never());
}

}  // namespace
}  // namespace quorate::service
