// SPDX-License-Identifier: Apache-2.0
// Crashes and damage, tried at every byte and at every operation.
#include <gtest/gtest.h>

#include <algorithm>

#include "wal/log_fixture_test.h"
#include "wal/scan.h"
#include "wal/segments.h"

namespace quorate::wal {
namespace {

// Where each batch of a segment's file begins and ends.
struct Span {
  uint64_t number;
  uint64_t begin;
  uint64_t end;
};

std::vector<Span> batches_of(FaultyDisk& disk, const std::string& path) {
  SegmentBytes segment;
  segment.number = static_cast<uint32_t>(std::stoul(path.substr(path.rfind('-') + 1)));
  segment.bytes = disk.node(path).bytes;
  std::vector<Span> spans;
  uint64_t at = 0;
  while (const auto found = next_batch(segment, 0, at)) {
    spans.push_back({found->header.number, found->at, found->end()});
    at = found->end();
  }
  return spans;
}

const std::string kFirst = "wal/segment-0000000001";
const State kVoted = {Term(7), NodeId(3), Index(2)};

// Three flushes of two groups; the last is known to be durable by a mark.
struct Written : LogFixture {
  Written() {
    options.spare_segments = 0;
    restart();
    names();
  }
  void names() {
    path = "wal/" + newest();
    append(1, 1, {"one", "two"});
    state(1, kVoted);
    EXPECT_TRUE(flush().ok());
    append(1, 3, {"three"});
    append(2, 1, {"uno", std::string(3000, 'z')});
    EXPECT_TRUE(flush().ok());
    append(1, 4, {"four"});
    EXPECT_TRUE(flush().ok());
  }
  std::string newest() {
    const auto names = disk.list("wal").value();
    return *std::max_element(names.begin(), names.end());
  }

  std::string path;
};

constexpr auto kOne = "1:one 2:two 3:three 4:four";
constexpr auto kTwo = "1:uno 2:z*3000";

TEST(wal_crash, a_write_torn_at_every_byte_is_cut_and_nothing_else_is) {
  Written log;
  log.append(1, 5, {"five", "six"});
  log.append(2, 3, {"tres"});
  const auto before = log.disk.image();
  ASSERT_TRUE(log.flush().ok());
  const auto after = log.disk.image();
  const std::string& file = after.at(log.path);
  const uint64_t begin = before.at(log.path).size();
  size_t kept = 0;
  for (uint64_t cut = begin; cut <= file.size(); ++cut) {
    auto image = before;
    image[log.path] = file.substr(0, cut) + std::string(file.size() - cut, '\0');
    log.crash(Crash::kLose);
    log.disk.restore(image);
    log.open();
    ASSERT_TRUE(log.opened.ok()) << log.opened.to_string();
    const std::string one = log.contents(1);
    if (one != kOne) {
      ++kept;
      ASSERT_EQ(one, std::string(kOne) + " 5:five 6:six") << "cut at " << cut;
      ASSERT_EQ(log.contents(2), std::string(kTwo) + " 3:tres");
    }
    for (const RecoveredGroup& group : log.groups) {
      ASSERT_TRUE(group.holes.empty() && !group.tail_suspect) << "cut at " << cut;
    }
  }
  EXPECT_GT(kept, 1u);
}

TEST(wal_crash, a_cut_batch_never_comes_back) {
  Written log;
  log.append(1, 5, {"five"});
  log.wal->flush([](Status) {});
  log.restart(Crash::kLose);
  ASSERT_EQ(log.contents(1), kOne);
  log.append(1, 5, {"FIVE"}, 2);
  ASSERT_TRUE(log.flush().ok());
  for (int i = 0; i < 3; ++i) {
    log.restart();
    EXPECT_EQ(log.contents(1), std::string(kOne) + " 5:FIVE");
    EXPECT_FALSE(log.groups[0].tail_suspect);
  }
}

// Everything that was acknowledged is either whole or reported.
void expect_nothing_lost(LogFixture& log, const std::string& where) {
  ASSERT_TRUE(log.opened.ok()) << where << log.opened.to_string();
  for (const uint32_t id : {1u, 2u}) {
    const RecoveredGroup* group = log.group(id);
    if (group == nullptr) {
      EXPECT_TRUE(log.groups_unknown) << where;
      continue;
    }
    const uint64_t last = id == 1 ? 4 : 2;
    EXPECT_TRUE(group->last == Index(last) || group->tail_suspect) << where << log.notes;
    EXPECT_TRUE(id != 1 || group->state == kVoted || group->tail_suspect) << where << log.notes;
    const std::string good = id == 1 ? kOne : kTwo;
    const std::string got = log.contents(id);
    std::vector<std::string> wanted;
    for (size_t at = 0; at < good.size();) {
      const size_t end = std::min(good.find(' ', at), good.size());
      wanted.push_back(good.substr(at, end - at));
      at = end + 1;
    }
    size_t holes = 0;
    for (size_t i = 0; i < group->last.value(); ++i) {
      const bool here = (" " + got + " ").find(" " + wanted[i] + " ") != std::string::npos;
      const bool hole =
          (" " + got + " ").find(" " + std::to_string(i + 1) + ":? ") != std::string::npos;
      EXPECT_TRUE(here != hole) << where << " " << got;
      holes += hole ? 1 : 0;
    }
    EXPECT_EQ(holes > 0, !group->holes.empty()) << where;
  }
}

// The entries that recovery reports as lost after this one bit was flipped.
size_t lost_by_flip(Written& log, const std::map<std::string, std::string>& image, uint64_t byte) {
  log.crash(Crash::kLose);
  log.disk.restore(image);
  log.disk.flip(log.path, byte, static_cast<int>(byte % 8));
  log.open();
  const std::string where = "byte " + std::to_string(byte) + " ";
  expect_nothing_lost(log, where);
  size_t lost = 0;
  for (const RecoveredGroup& group : log.groups) {
    EXPECT_FALSE(group.tail_suspect) << where << log.notes;
    for (const Hole& hole : group.holes) {
      lost += hole.last - hole.first + 1;
    }
  }
  EXPECT_LE(lost, 1u) << where;
  EXPECT_FALSE(log.notes.empty()) << where << "damage is never passed over in silence";
  return lost;
}

TEST(wal_crash, a_flipped_bit_in_a_synced_batch_costs_at_most_one_entry) {
  for (const bool marked : {true, false}) {
    Written log;
    if (marked) {
      log.mark();
    }
    const auto image = log.disk.image();
    // The opening batch says nothing, nor does the mark: the next segment shows that all is there.
    const auto spans = batches_of(log.disk, log.path);
    size_t holes = 0;
    for (uint64_t byte = spans[1].begin; byte < spans[3].end; ++byte) {
      holes += lost_by_flip(log, image, byte);
      ASSERT_FALSE(::testing::Test::HasFailure());
    }
    EXPECT_EQ(holes, 3u + 3 + 5 + 3 + 3000 + 4) << "each byte of each payload, and nothing else";
  }
}

TEST(wal_crash, a_destroyed_stretch_of_synced_bytes_is_reported_never_cut) {
  Written log;
  log.mark();
  const auto image = log.disk.image();
  const uint64_t size = batches_of(log.disk, log.path).back().begin;
  Prng prng(7);
  for (int i = 0; i < 600; ++i) {
    const uint64_t begin = prng.below(size);
    const uint64_t end = std::min(size, begin + 1 + prng.below(i % 2 == 0 ? 200 : 3000));
    auto damaged = image;
    std::fill_n(damaged[log.path].begin() + static_cast<ptrdiff_t>(begin), end - begin,
                i % 3 == 0 ? '\0' : '\x5a');
    log.crash(Crash::kLose);
    log.disk.restore(damaged);
    for (int again = 0; again < 2; ++again) {
      log.open();
      expect_nothing_lost(log, std::to_string(begin) + ".." + std::to_string(end) + " ");
      if (::testing::Test::HasFailure()) {
        return;
      }
      log.crash(Crash::kLose);
    }
  }
}

TEST(wal_crash, a_segment_cut_at_every_byte_loses_nothing_silently) {
  Written log;
  log.append(1, 5, {std::string(63'000, 'f')});  // does not fit: the next segment
  ASSERT_TRUE(log.flush().ok());
  ASSERT_NE("wal/" + log.newest(), log.path);
  const auto image = log.disk.image();
  const uint64_t size = image.at(log.path).size();
  for (uint64_t cut = 0; cut < size; cut += cut < 1000 ? 1 : 13) {
    log.crash(Crash::kLose);
    log.disk.restore(image);
    log.disk.cut(log.path, cut);
    log.open();
    ASSERT_TRUE(log.opened.ok());
    const RecoveredGroup* one = log.group(1);
    ASSERT_NE(one, nullptr);
    EXPECT_EQ(one->last, Index(5)) << cut;
    EXPECT_TRUE(log.groups_unknown || !one->holes.empty() || log.contents(1).starts_with(kOne))
        << cut;
    const RecoveredGroup* two = log.group(2);
    EXPECT_TRUE(two == nullptr || two->tail_suspect || two->last == Index(2)) << cut;
  }
}

TEST(wal_crash, a_file_shorter_than_it_was_made_makes_every_tail_suspect) {
  LogFixture log;
  log.loop.advance(Duration::seconds(1));  // spare segments appear
  log.restart(Crash::kKeep);
  log.append(1, 1, {"a", "b"});
  ASSERT_TRUE(log.flush().ok());
  const auto names = log.disk.list("wal").value();
  std::string newest;
  for (const std::string& name : names) {
    newest = name.starts_with("segment-") ? "wal/" + name : newest;
  }
  ASSERT_EQ(log.disk.node(newest).bytes.size(), log.options.segment_bytes);
  log.crash(Crash::kLose);
  log.disk.cut(newest, 4096);
  log.open();
  ASSERT_NE(log.group(1), nullptr);
  EXPECT_TRUE(log.group(1)->tail_suspect);
  EXPECT_TRUE(log.groups_unknown);
}

TEST(wal_crash, suspicion_ends_only_when_the_owner_vouches) {
  Written log;
  log.mark();
  const auto spans = batches_of(log.disk, log.path);
  const Span& second = spans[2];  // the opening batch is the first of all
  auto image = log.disk.image();
  std::fill_n(image[log.path].begin() + static_cast<ptrdiff_t>(second.begin),
              second.end - second.begin, '\0');
  log.crash(Crash::kLose);
  log.disk.restore(image);
  log.open();
  ASSERT_NE(log.group(1), nullptr);
  EXPECT_FALSE(log.group(1)->tail_suspect) << "its later item says where it stands";
  ASSERT_EQ(log.group(1)->holes.size(), 1u);
  EXPECT_EQ(log.group(1)->holes[0].first, Index(3));
  EXPECT_EQ(log.group(2), nullptr);
  EXPECT_TRUE(log.groups_unknown);

  // A group whose last word was lost: suspect, also after entries were added, until vouched for.
  image = log.disk.image();
  Written other;
  other.append(2, 3, {"tres"});
  ASSERT_TRUE(other.flush().ok());
  other.append(1, 5, {"five"});
  ASSERT_TRUE(other.flush().ok());
  const auto all = batches_of(other.disk, other.path);
  auto damaged = other.disk.image();
  std::fill_n(damaged[other.path].begin() + static_cast<ptrdiff_t>(all[4].begin),
              all[4].end - all[4].begin, '\0');
  other.crash(Crash::kLose);
  other.disk.restore(damaged);
  other.open();
  EXPECT_FALSE(other.group(1)->tail_suspect);
  EXPECT_TRUE(other.group(2)->tail_suspect);
  other.append(2, 3, {"tres"});
  ASSERT_TRUE(other.flush().ok());
  other.restart();
  EXPECT_TRUE(other.group(2)->tail_suspect) << "more entries prove nothing";
  other.wal->trust(GroupId(2));
  ASSERT_TRUE(other.flush().ok());
  other.restart();
  EXPECT_FALSE(other.group(2)->tail_suspect);
  EXPECT_EQ(other.contents(2), std::string(kTwo) + " 3:tres");
}

// Another leader's entry of term 1 at the same place was never committed; it must not fill the
// hole.
TEST(wal_crash, entries_lost_with_their_terms_are_given_the_term_that_follows) {
  LogFixture log;
  log.append(1, 1, {"one", "two"}, 1);
  log.state(1, {Term(1), NodeId(1), Index(1)});
  ASSERT_TRUE(log.flush().ok());
  log.append(1, 3, {"three", "four"}, 2);
  ASSERT_TRUE(log.flush().ok());
  log.append(1, 5, {"five"}, 3);
  ASSERT_TRUE(log.flush().ok());
  log.mark();
  const auto spans = batches_of(log.disk, kFirst);
  auto image = log.disk.image();
  std::fill_n(image[kFirst].begin() + static_cast<ptrdiff_t>(spans[2].begin),
              spans[2].end - spans[2].begin, '\0');
  log.crash(Crash::kLose);
  log.disk.restore(image);
  log.open();
  const RecoveredGroup& group = *log.group(1);
  EXPECT_EQ(log.contents(1), "1:one 2:? 3:? 4:? 5:five");
  std::string terms;
  for (const TermRun& run : group.terms) {
    terms += std::to_string(run.first.value()) + ":" + std::to_string(run.term.value()) + " ";
  }
  EXPECT_EQ(terms, "0:0 1:1 2:2 5:3 ");
}

TEST(wal_crash, a_hole_is_filled_by_a_repair_and_stays_filled) {
  Written log;
  log.mark();
  const std::string& bytes = log.disk.node(log.path).bytes;
  log.crash(Crash::kLose);
  log.disk.flip(log.path, bytes.find("two"), 1);
  log.open();
  EXPECT_EQ(log.contents(1), "1:one 2:? 3:three 4:four");
  log.append(1, 2, {"two"});
  EXPECT_EQ(log.contents(1), kOne);
  ASSERT_TRUE(log.flush().ok());
  log.restart();
  EXPECT_EQ(log.contents(1), kOne);
  EXPECT_TRUE(log.group(1)->holes.empty());
}

TEST(wal_crash, an_entry_of_another_term_in_a_hole_replaces_what_follows) {
  Written log;
  log.mark();
  const std::string& bytes = log.disk.node(log.path).bytes;
  log.crash(Crash::kLose);
  log.disk.flip(log.path, bytes.find("three"), 1);
  log.open();
  log.append(1, 3, {"THREE"}, 2);
  ASSERT_TRUE(log.flush().ok());
  log.restart();
  EXPECT_EQ(log.contents(1), "1:one 2:two 3:THREE");
}

TEST(wal_crash, rot_found_by_a_read_becomes_a_hole_that_lasts) {
  Written log;
  const std::string& bytes = log.disk.node(log.path).bytes;
  log.disk.flip(log.path, bytes.find("three"), 1);
  EXPECT_EQ(log.wal->read(GroupId(1), Index(3), Index(3), 100).status().code(), Code::kCorrupted);
  EXPECT_EQ(log.contents(1), "1:one 2:two 3:? 4:four");
  EXPECT_EQ(log.contents(2), kTwo);
}

TEST(wal_crash, a_hole_outlives_the_segment_that_shows_it) {
  LogFixture log;
  log.options.segment_bytes = 4096;
  log.options.rewrite_after_segments = 2;
  log.restart();
  log.append(2, 1, {"a", "DAMAGE", "c", "LAST"});
  ASSERT_TRUE(log.flush().ok());
  log.loop.advance(Duration::seconds(1));
  log.crash(Crash::kLose);
  for (auto& [path, node] : log.disk.names()) {
    for (const char* what : {"DAMAGE", "LAST"}) {
      if (const size_t at = node->bytes.find(what); at != std::string::npos) {
        log.disk.flip(path, at, 2);
      }
    }
  }
  log.open();
  ASSERT_EQ(log.contents(2), "1:a 2:? 3:c 4:?");
  for (uint64_t i = 1; i <= 300; ++i) {
    log.append(1, i, {std::string(100, 'x')});
    log.wal->compact(GroupId(1), Index(i - 1), Term(1));
    ASSERT_TRUE(log.flush().ok());
  }
  log.restart();
  EXPECT_EQ(log.contents(2), "1:a 2:? 3:c 4:?");
  EXPECT_EQ(log.group(2)->last, Index(4));
  EXPECT_EQ(log.group(2)->holes.size(), 2u);
}

TEST(wal_crash, every_failing_operation_keeps_what_was_acknowledged) {
  for (const bool for_good : {false, true}) {
    for (uint64_t operation = 1; operation < 120; ++operation) {
      LogFixture log;
      log.options.segment_bytes = 4096;
      log.options.spare_segments = 1;
      log.prng = Prng(operation);
      log.restart();
      log.disk.fail_at(operation, for_good);
      uint64_t acknowledged = 0;
      for (uint64_t i = 1; i <= 60; ++i) {
        log.append(1, i, {std::string(200, 'x')});
        if (i > 10) {
          log.wal->compact(GroupId(1), Index(i - 10), Term(1));
        }
        const Status status = log.flush();
        ASSERT_FALSE(acknowledged < i - 1 && status.ok()) << "acknowledged after a failure";
        acknowledged = status.ok() ? i : acknowledged;
        log.loop.advance(Duration::millis(2));
      }
      log.restart(operation % 3 == 0 ? Crash::kTear : Crash::kLose);
      ASSERT_TRUE(log.opened.ok()) << log.opened.to_string();
      if (acknowledged > 0) {
        ASSERT_EQ(log.groups.size(), 1u) << operation;
        EXPECT_GE(log.groups[0].last.value(), acknowledged) << operation;
        EXPECT_TRUE(log.groups[0].holes.empty()) << operation << log.notes;
        EXPECT_FALSE(log.groups[0].tail_suspect) << operation << log.notes;
      }
    }
  }
}

TEST(wal_crash, a_crash_at_every_step_of_recovery_changes_nothing) {
  Written log;
  log.append(1, 5, {"five"});
  log.wal->flush([](Status) {});
  log.crash(Crash::kTear);
  const auto image = log.disk.image();
  log.open();
  const std::string one = log.contents(1);
  for (const Crash mode : {Crash::kKeep, Crash::kLose, Crash::kTear}) {
    bool failed = true;
    for (uint64_t operation = 1; failed; ++operation) {
      log.crash(Crash::kLose);
      log.disk.restore(image);
      log.disk.fail_at(operation, true);
      log.open();
      failed = !log.opened.ok();
      log.restart(mode);
      ASSERT_TRUE(log.opened.ok()) << log.opened.to_string();
      EXPECT_EQ(log.contents(1), one) << "operation " << operation;
      EXPECT_EQ(log.contents(2), kTwo);
      EXPECT_TRUE(log.group(1)->holes.empty() && !log.group(1)->tail_suspect);
      ASSERT_LT(operation, 100u);
    }
  }
}

TEST(wal_crash, an_unreadable_sector_is_a_hole_not_a_failure) {
  Written log;
  log.mark();
  log.append(2, 3, {std::string(20'000, 'q')});
  ASSERT_TRUE(log.flush().ok());
  log.mark();
  log.crash(Crash::kKeep);
  log.disk.node(log.path).bad_sectors.insert(3);
  log.open();
  ASSERT_TRUE(log.opened.ok());
  EXPECT_NE(log.notes.find("refuses 4096 bytes"), std::string::npos) << log.notes;
  EXPECT_EQ(log.contents(1), kOne);
  EXPECT_EQ(log.contents(2), std::string(kTwo) + " 3:?");
}

TEST(wal_crash, a_log_of_which_nothing_can_be_read_is_refused) {
  Written log;
  log.crash(Crash::kLose);
  for (auto& [path, node] : log.disk.names()) {
    std::fill(node->bytes.begin(), node->bytes.end(), '\x11');
    node->durable = node->bytes;
  }
  log.open();
  EXPECT_EQ(log.opened.code(), Code::kCorrupted);
}

TEST(wal_crash, a_missing_segment_is_noticed) {
  LogFixture log;
  log.options.segment_bytes = 4096;
  log.restart();
  for (uint64_t i = 1; i <= 40; ++i) {
    log.append(1, i, {std::string(500, 'x')});
    ASSERT_TRUE(log.flush().ok());
  }
  log.crash(Crash::kLose);
  auto image = log.disk.image();
  ASSERT_GE(image.size(), 5u);
  auto middle = image.begin();
  std::advance(middle, 3);
  image.erase(middle);
  log.disk.restore(image);
  log.open();
  ASSERT_TRUE(log.opened.ok());
  EXPECT_TRUE(log.groups_unknown);
  EXPECT_EQ(log.groups[0].last, Index(40));
  EXPECT_FALSE(log.groups[0].holes.empty());
}

// A log that has given up its first segments. Group 2 has written nothing since: its entry and its
// bounds stand at the head of the oldest segment that is left, or were said anew in later ones.
struct Freed : LogFixture {
  Freed() {
    options.segment_bytes = 4096;
    options.rewrite_after_segments = 4;
    restart();
    append(2, 1, {"old"});
    for (uint64_t i = 1; i <= 200; ++i) {
      append(1, i, {std::string(500, 'x')});
      EXPECT_TRUE(flush().ok());
      wal->compact(GroupId(1), Index(i), Term(1));
    }
    mark();
    crash(Crash::kLose);
  }
  std::string oldest() const { return disk.image().begin()->first; }
};

TEST(wal_crash, what_the_log_began_with_is_missed_when_it_cannot_be_read) {
  bool hit = false;
  for (size_t sectors = 1; sectors <= 8; ++sectors) {
    SCOPED_TRACE(sectors);
    Freed log;
    ASSERT_NE(log.oldest(), "wal/" + segment_name(1));
    std::string& bytes = log.disk.node(log.oldest()).bytes;
    std::fill_n(bytes.begin(), std::min(bytes.size(), 512 * sectors), '\0');
    log.disk.node(log.oldest()).durable = bytes;
    log.open();
    ASSERT_TRUE(log.opened.ok());
    EXPECT_TRUE(log.groups_unknown || log.group(2) != nullptr) << log.notes;
    const RecoveredGroup* group = log.group(2);
    const bool whole = group != nullptr && log.contents(2) == "1:old";
    hit = hit || !whole;
    EXPECT_TRUE(whole || group == nullptr || group->tail_suspect) << log.contents(2);
  }
  EXPECT_TRUE(hit) << "the damage never reached the group";
}

TEST(wal_crash, the_oldest_segment_is_noticed_when_it_is_missing) {
  Freed log;
  auto image = log.disk.image();
  image.erase(image.begin());
  log.disk.restore(image);
  log.open();
  ASSERT_TRUE(log.opened.ok());
  EXPECT_TRUE(log.groups_unknown);
  EXPECT_NE(log.notes.find("cannot be read"), std::string::npos) << log.notes;
}

TEST(wal_crash, a_log_that_gave_up_segments_is_read_without_a_doubt) {
  Freed log;
  log.open();
  ASSERT_TRUE(log.opened.ok());
  EXPECT_FALSE(log.groups_unknown);
  EXPECT_EQ(log.notes, "");
  EXPECT_EQ(log.contents(2), "1:old");
  EXPECT_FALSE(log.group(2)->tail_suspect);
}

}  // namespace
}  // namespace quorate::wal
