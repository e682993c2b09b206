// SPDX-License-Identifier: Apache-2.0
#include "rpc/frame.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/prng.h"
#include "rpc/heartbeat.h"

namespace quorate::rpc {
namespace {

struct Sample {
  ItemKind kind;
  GroupId group;
  std::string bytes;
};

void append(std::string& frame, const Sample& sample) {
  const size_t place = begin_item(frame, sample.kind, sample.group);
  frame.append(sample.bytes);
  end_item(frame, place);
}

std::string random_bytes(Prng& prng, size_t size) {
  std::string bytes;
  for (size_t i = 0; i < size; ++i) {
    bytes.push_back(static_cast<char>(prng.below(256)));
  }
  return bytes;
}

TEST(Frame, the_bytes_of_an_item_stand_as_the_format_page_says) {
  std::string frame;
  begin_frame(frame);
  append(frame, {ItemKind::kRequest, GroupId(300), "hi"});
  EXPECT_EQ(frame, std::string("\x01"          // version
                               "\x02\xac\x02"  // kind, group
                               "\x02\x00\x00\x00hi",
                               10));
}

TEST(Frame, what_is_written_is_read) {
  Prng prng(1);
  for (int round = 0; round < 300; ++round) {
    std::vector<Sample> samples(prng.below(20));
    std::string frame;
    begin_frame(frame);
    for (Sample& sample : samples) {
      sample = {static_cast<ItemKind>(prng.below(256)),
                GroupId(static_cast<uint32_t>(prng.next() >> prng.between(32, 63))),
                random_bytes(prng, prng.below(300))};
      append(frame, sample);
    }
    FrameReader reader(Buffer::take(frame));
    Item item;
    for (const Sample& sample : samples) {
      ASSERT_TRUE(reader.next(item));
      EXPECT_EQ(item.kind, sample.kind);
      EXPECT_EQ(item.group, sample.group);
      EXPECT_EQ(item.bytes.view(), sample.bytes);
    }
    EXPECT_FALSE(reader.next(item));
    EXPECT_TRUE(reader.ok());
  }
}

TEST(Frame, items_share_the_frame_and_outlive_the_reader) {
  std::string frame;
  begin_frame(frame);
  append(frame, {ItemKind::kRaft, GroupId(1), "payload"});
  Item item;
  {
    FrameReader reader(Buffer::take(std::move(frame)));
    ASSERT_TRUE(reader.next(item));
  }
  EXPECT_EQ(item.bytes.view(), "payload");
}

TEST(Frame, a_frame_that_is_cut_anywhere_gives_its_whole_items_and_then_says_so) {
  std::string frame;
  begin_frame(frame);
  append(frame, {ItemKind::kRaft, GroupId(1), "first"});
  const size_t second = frame.size();
  append(frame, {ItemKind::kRaft, GroupId(2), "second"});
  for (size_t cut = 0; cut <= frame.size(); ++cut) {
    FrameReader reader(Buffer::copy(frame.substr(0, cut)));
    Item item;
    size_t items = 0;
    while (reader.next(item)) {
      ++items;
    }
    EXPECT_EQ(items, cut == frame.size() ? 2u : cut >= second ? 1u : 0u) << cut;
    EXPECT_EQ(reader.ok(), cut == 1 || cut == second || cut == frame.size()) << cut;
  }
}

TEST(Frame, another_version_is_not_read) {
  FrameReader reader(Buffer::copy("\x02\x01\x01\x00\x00\x00\x00"));
  Item item;
  EXPECT_FALSE(reader.next(item));
  EXPECT_FALSE(reader.ok());
}

TEST(Frame, any_bytes_are_read_within_their_bounds) {
  Prng prng(2);
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes = random_bytes(prng, prng.below(60));
    if (!bytes.empty() && prng.chance(9, 10)) {
      bytes[0] = static_cast<char>(kFrameVersion);
    }
    if (bytes.size() > 6 && prng.chance(1, 2)) {
      bytes.replace(3, 3, 3, '\0');  // sizes that fit are rare otherwise
    }
    const size_t size = bytes.size();
    FrameReader reader(Buffer::take(std::move(bytes)));
    Item item;
    size_t total = 0;
    while (reader.next(item)) {
      total += item.bytes.size() + 6;
    }
    EXPECT_LE(total, size);
    EXPECT_FALSE(reader.next(item));
  }
}

// ---- liveness ----

Instant at(int64_t ms) { return Instant::from_nanos(ms * 1'000'000); }

std::string beat(uint64_t incarnation) {
  std::string bytes;
  Liveness(Duration(), incarnation).write_beat(bytes);
  return bytes;
}

TEST(Liveness, a_peer_is_alive_from_its_first_beat_until_the_timeout_after_its_last) {
  const NodeId peer(2);
  Liveness liveness(Duration::millis(100), 1);
  EXPECT_FALSE(liveness.alive(peer, at(0)));
  struct Row {
    int64_t ms;
    uint64_t incarnation;  // 0: no beat
    Heard heard;
    bool alive;
    size_t lost;
  };
  const Row rows[] = {
      {10, 7, Heard::kReturned, true, 0},  {60, 7, Heard::kSame, true, 0},
      {160, 0, Heard::kSame, true, 0},     {161, 0, Heard::kSame, false, 1},
      {170, 0, Heard::kSame, false, 0},    {180, 7, Heard::kReturned, true, 0},
      {281, 7, Heard::kReturned, true, 0}, {290, 8, Heard::kRestarted, true, 0},
      {500, 0, Heard::kSame, false, 1},    {510, 9, Heard::kRestarted, true, 0},
  };
  for (const Row& row : rows) {
    if (row.incarnation != 0) {
      EXPECT_EQ(liveness.on_beat(peer, beat(row.incarnation), at(row.ms)), row.heard) << row.ms;
      EXPECT_EQ(liveness.incarnation_of(peer), row.incarnation);
      EXPECT_EQ(liveness.last_heard(peer), at(row.ms));
    }
    EXPECT_EQ(liveness.alive(peer, at(row.ms)), row.alive) << row.ms;
    EXPECT_EQ(liveness.take_lost(at(row.ms)).size(), row.lost) << row.ms;
  }
}

TEST(Liveness, any_word_keeps_a_peer_alive_but_does_not_revive_it) {
  const NodeId peer(2);
  Liveness liveness(Duration::millis(100), 1);
  liveness.on_word(peer, at(0));
  EXPECT_FALSE(liveness.alive(peer, at(0))) << "its incarnation is not known yet";
  EXPECT_EQ(liveness.on_beat(peer, beat(1), at(0)), Heard::kReturned);
  liveness.on_word(peer, at(90));
  EXPECT_TRUE(liveness.alive(peer, at(190)));
  liveness.on_word(peer, at(191));
  EXPECT_FALSE(liveness.alive(peer, at(191)));
}

TEST(Liveness, a_beat_that_does_not_parse_changes_nothing) {
  Liveness liveness(Duration::millis(100), 1);
  EXPECT_EQ(liveness.on_beat(NodeId(2), "short", at(0)), Heard::kMalformed);
  EXPECT_FALSE(liveness.alive(NodeId(2), at(0)));
  EXPECT_EQ(liveness.on_beat(NodeId(2), beat(5) + "more of a later version", at(0)),
            Heard::kReturned);
}

TEST(Liveness, a_forgotten_peer_is_not_reported_as_lost) {
  Liveness liveness(Duration::millis(100), 1);
  EXPECT_EQ(liveness.on_beat(NodeId(2), beat(5), at(0)), Heard::kReturned);
  EXPECT_EQ(liveness.on_beat(NodeId(3), beat(5), at(0)), Heard::kReturned);
  liveness.forget(NodeId(2));
  EXPECT_EQ(liveness.take_lost(at(1000)), (std::vector<NodeId>{NodeId(3)}));
}

}  // namespace
}  // namespace quorate::rpc
