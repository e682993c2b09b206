// SPDX-License-Identifier: Apache-2.0
// The codec of messages: round trips, sizes, and whatever bytes a stranger sends.
#include "raft/message.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "base/limits.h"
#include "base/prng.h"

namespace quorate::raft {
namespace {

uint64_t any_number(Prng& random) { return random.next() >> (2 + random.below(62)); }

std::vector<NodeId> some_nodes(Prng& random, uint32_t from) {
  std::vector<NodeId> nodes;
  for (uint32_t i = 0; i < random.below(4); ++i) {
    nodes.push_back(NodeId(from + i));
  }
  return nodes;
}

Entries some_entries(Prng& random) {
  Entries entries;
  Index index(1 + any_number(random) / 2);
  Term term(1 + any_number(random) / 2);
  for (uint64_t i = random.below(5); i > 0; --i) {
    term = term + random.below(2);
    entries.push_back({index, term, static_cast<EntryKind>(random.below(3)),
                       Stamp::from_micros(static_cast<int64_t>(random.next())),
                       Buffer::take(std::string(random.below(300), 'p'))});
    ++index;
  }
  return entries;
}

Message any_message(Prng& random) {
  Message message;
  message.kind = static_cast<MessageKind>(1 + random.below(15));
  const auto maybe = [&]() { return random.chance(1, 2) ? any_number(random) : 0; };
  message.term = Term(maybe());
  message.index = Index(maybe());
  message.log_term = Term(maybe());
  message.commit = Index(maybe());
  message.hint_index = Index(maybe());
  message.hint_term = Term(maybe());
  message.context = random.chance(1, 2) ? random.next() : 0;
  message.offset = random.chance(1, 2) ? random.next() : 0;
  message.reject = random.chance(1, 2);
  message.flag = random.chance(1, 2);
  message.entries = some_entries(random);
  if (random.chance(1, 3)) {
    message.snapshot.value().index = Index(maybe());
    message.snapshot.value().term = Term(maybe());
    message.snapshot.value().config.voters = some_nodes(random, 1);
    message.snapshot.value().config.learners = some_nodes(random, 10);
    message.data = Buffer::take(std::string(random.below(1000), 'd'));
  }
  return message;
}

void expect_equal(const Message& a, const Message& b) {
  EXPECT_EQ(a.kind, b.kind);
  EXPECT_EQ(a.term, b.term);
  EXPECT_EQ(a.index, b.index);
  EXPECT_EQ(a.log_term, b.log_term);
  EXPECT_EQ(a.commit, b.commit);
  EXPECT_EQ(a.hint_index, b.hint_index);
  EXPECT_EQ(a.hint_term, b.hint_term);
  EXPECT_EQ(a.context, b.context);
  EXPECT_EQ(a.offset, b.offset);
  EXPECT_EQ(a.reject, b.reject);
  EXPECT_EQ(a.flag, b.flag);
  EXPECT_EQ(a.entries, b.entries);
  EXPECT_EQ(a.snapshot, b.snapshot);
  EXPECT_EQ(a.data, b.data);
}

TEST(message_codec, what_is_encoded_is_decoded) {
  Prng random(1);
  for (int i = 0; i < 20'000; ++i) {
    const Message message = any_message(random);
    std::string bytes;
    encode(message, bytes);
    const Result<Message> decoded = decode_message(Buffer::take(bytes));
    ASSERT_TRUE(decoded.ok()) << decoded.status().to_string();
    expect_equal(message, *decoded);
  }
}

TEST(message_codec, a_heartbeat_is_small_and_an_entry_costs_little_beside_its_payload) {
  Message heartbeat;
  heartbeat.kind = MessageKind::kHeartbeat;
  heartbeat.term = Term(7);
  heartbeat.commit = Index(100'000);
  heartbeat.context = 1'700'000'000'000'000;
  std::string bytes;
  encode(heartbeat, bytes);
  EXPECT_LE(bytes.size(), 16u);

  Message append;
  append.kind = MessageKind::kAppend;
  append.term = append.log_term = Term(7);
  append.index = append.commit = Index(100'000);
  append.context = heartbeat.context;
  append.entries.push_back({Index(100'001), Term(7), EntryKind::kCommand,
                            Stamp::from_micros(1'700'000'000'000'000), Buffer::copy("0123456789")});
  bytes.clear();
  encode(append, bytes);
  EXPECT_LE(bytes.size(), 10u + 40u);
}

TEST(message_codec, payloads_are_slices_of_the_frame) {
  Message message;
  message.kind = MessageKind::kAppend;
  message.entries.push_back(
      {Index(1), Term(1), EntryKind::kCommand, Stamp(), Buffer::copy("payload")});
  std::string bytes;
  encode(message, bytes);
  const Buffer frame = Buffer::take(bytes);
  const Result<Message> decoded = decode_message(frame);
  ASSERT_TRUE(decoded.ok());
  const char* at = decoded->entries.front().payload.view().data();
  EXPECT_GE(at, frame.view().data());
  EXPECT_LT(at, frame.view().data() + frame.size());
}

TEST(message_codec, a_frame_cut_anywhere_is_refused) {
  Prng random(2);
  for (int i = 0; i < 300; ++i) {
    std::string bytes;
    encode(any_message(random), bytes);
    for (size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_FALSE(decode_message(Buffer::copy(bytes.substr(0, size))).ok());
    }
    EXPECT_FALSE(decode_message(Buffer::copy(bytes + "x")).ok());
  }
}

TEST(message_codec, any_bytes_neither_crash_nor_allocate_more_than_they_are_worth) {
  Prng random(3);
  for (int i = 0; i < 200'000; ++i) {
    std::string bytes;
    if (random.chance(1, 2)) {
      encode(any_message(random), bytes);
      for (uint64_t flips = 1 + random.below(4); flips > 0 && !bytes.empty(); --flips) {
        bytes[random.below(bytes.size())] = static_cast<char>(random.next());
      }
    } else {
      for (uint64_t size = random.below(64); size > 0; --size) {
        bytes.push_back(static_cast<char>(random.next()));
      }
    }
    const size_t size = bytes.size();
    const Result<Message> decoded = decode_message(Buffer::take(std::move(bytes)));
    if (decoded.ok()) {
      EXPECT_LE(decoded->entries.size(), size / 3);
      EXPECT_LE(decoded->entries.size(), limits::kAppendEntriesMax);
      // What decodes means something: it survives a round trip.
      std::string again;
      encode(*decoded, again);
      const Result<Message> twice = decode_message(Buffer::take(again));
      ASSERT_TRUE(twice.ok());
      expect_equal(*decoded, *twice);
    }
  }
}

TEST(message_codec, too_many_entries_are_refused) {
  Message message;
  message.kind = MessageKind::kAppend;
  for (uint64_t i = 1; i <= limits::kAppendEntriesMax + 1; ++i) {
    message.entries.push_back({Index(i), Term(1), EntryKind::kNoop, Stamp(), Buffer()});
  }
  std::string bytes;
  encode(message, bytes);
  EXPECT_FALSE(decode_message(Buffer::take(bytes)).ok());
}

TEST(config_codec, changes_and_results_survive_and_garbage_does_not) {
  ConfigChange change;
  change.joint = true;
  change.changes = {{ChangeKind::kAddVoter, NodeId(4)}, {ChangeKind::kRemove, NodeId(1)}};
  Config result;
  result.voters = {NodeId(2), NodeId(4)};
  result.outgoing = {NodeId(1), NodeId(2)};
  const std::string plain = encode(change);
  const std::string stated = encode(change, result);
  EXPECT_EQ(*decode_config_change(plain), change);
  EXPECT_EQ(decode_config_result(plain), std::nullopt);
  EXPECT_EQ(*decode_config_change(stated), change);
  EXPECT_EQ(decode_config_result(stated), result);
  EXPECT_FALSE(decode_config_change("").ok());
  EXPECT_FALSE(decode_config_change(stated + "x").ok());
  EXPECT_FALSE(decode_config_change(std::string("\x00\x01\x09\x01", 4)).ok());
  Prng random(4);
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes = stated;
    bytes[random.below(bytes.size())] = static_cast<char>(random.next());
    const Result<ConfigChange> decoded = decode_config_change(bytes);
    EXPECT_TRUE(!decoded.ok() || decoded->changes.size() < 20);
  }
}

// ---- the list of entries ------------------------------------------------------------------------

// Counts how many of it live.
struct Counted {
  explicit Counted(int value_in) : value(value_in) { ++living; }
  Counted(const Counted& other) : value(other.value) { ++living; }
  Counted(Counted&& other) noexcept : value(std::exchange(other.value, -1)) { ++living; }
  Counted& operator=(const Counted&) = default;
  Counted& operator=(Counted&& other) noexcept {
    value = std::exchange(other.value, -1);
    return *this;
  }
  ~Counted() { --living; }
  bool operator==(const Counted&) const = default;
  int value;
  static inline int living = 0;
};

std::vector<int> values_of(const Few<Counted, 2>& few) {
  std::vector<int> values;
  for (const Counted& each : few) {
    values.push_back(each.value);
  }
  return values;
}

TEST(few, holds_what_it_was_given_inside_and_outside) {
  {
    Few<Counted, 2> few;
    EXPECT_TRUE(few.empty());
    for (int i = 0; i < 9; ++i) {
      few.emplace_back(i);
      EXPECT_EQ(few.size(), static_cast<size_t>(i) + 1);
      EXPECT_EQ(few.front().value, 0);
      EXPECT_EQ(few.back().value, i);
    }
    EXPECT_EQ(values_of(few), (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8}));
    few.cut(20);
    EXPECT_EQ(few.size(), 9u);
    few.cut(1);
    EXPECT_EQ(values_of(few), (std::vector<int>{0}));
    few.clear();
    EXPECT_TRUE(few.empty());
    EXPECT_GE(few.capacity(), 9u);
  }
  EXPECT_EQ(Counted::living, 0);
}

TEST(few, is_copied_and_moved_whole_whatever_its_size) {
  for (int count = 0; count < 6; ++count) {
    for (int before = 0; before < 6; ++before) {
      Few<Counted, 2> source;
      std::vector<int> expected;
      for (int i = 0; i < count; ++i) {
        source.emplace_back(i);
        expected.push_back(i);
      }
      Few<Counted, 2> target;
      for (int i = 0; i < before; ++i) {
        target.emplace_back(100 + i);
      }
      const Few<Counted, 2> copied = source;
      EXPECT_EQ(values_of(copied), expected);
      EXPECT_TRUE(copied == source);
      target = copied;
      EXPECT_EQ(values_of(target), expected);
      target.emplace_back(9);
      EXPECT_FALSE(target == copied);
      target = std::move(source);
      EXPECT_EQ(values_of(target), expected);
      EXPECT_TRUE(source.empty());  // and may be used again
      source.emplace_back(5);
      const Few<Counted, 2> moved = std::move(target);
      EXPECT_EQ(values_of(moved), expected);
      EXPECT_EQ(values_of(source), (std::vector<int>{5}));
    }
  }
  EXPECT_EQ(Counted::living, 0);
}

}  // namespace
}  // namespace quorate::raft
