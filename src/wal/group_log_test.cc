// SPDX-License-Identifier: Apache-2.0
// The index of one group against a plain map from index to (run, term).
#include "wal/group_log.h"

#include <gtest/gtest.h>

#include <map>

#include "base/prng.h"

namespace quorate::wal {
namespace {

struct Expected {
  uint64_t compacted = 0;
  uint64_t last = 0;
  std::map<uint64_t, std::pair<uint64_t, uint64_t>> entries;  // batch (0: hole), term
};

void expect_same(const GroupLog& log, const Expected& expected) {
  log.check();
  ASSERT_EQ(log.compacted().value(), expected.compacted);
  ASSERT_EQ(log.last().value(), expected.last);
  for (uint64_t i = expected.compacted + 1; i <= expected.last; ++i) {
    const auto& [batch, term] = expected.entries.at(i);
    ASSERT_EQ(log.runs()[log.run_of(Index(i))].batch, batch) << "entry " << i;
    ASSERT_EQ(log.term_at(Index(i)).value(), term) << "entry " << i;
  }
  uint64_t holes = 0;
  for (const Hole& hole : log.holes()) {
    holes += hole.last - hole.first + 1;
  }
  const auto count = std::count_if(expected.entries.begin(), expected.entries.end(),
                                   [](const auto& entry) { return entry.second.first == 0; });
  ASSERT_EQ(holes, static_cast<uint64_t>(count));
}

class Player {
 public:
  explicit Player(uint64_t seed) : prng_(seed) {}

  void step() {
    const uint64_t batch = ++batch_;
    const uint64_t term = 1 + prng_.below(4);
    const uint64_t size = expected_.last - expected_.compacted;
    switch (prng_.below(size == 0 ? 2 : 5)) {
      case 0:
      case 1: append(batch, term); break;
      case 2: put(batch, term); break;
      case 3: put(0, term); break;
      default: compact(); break;
    }
    expect_same(log_, expected_);
  }

 private:
  void append(uint64_t batch, uint64_t term) {
    const uint64_t size = expected_.last - expected_.compacted;
    const uint64_t first = expected_.last + 1 - prng_.below(std::min<uint64_t>(size, 5) + 1);
    const uint64_t last = first + prng_.below(6);
    log_.append(Index(first), Index(last), {Index(first), batch, 1, 100});
    log_.set_term(Index(first), Index(last), Term(term));
    expected_.entries.erase(expected_.entries.lower_bound(first), expected_.entries.end());
    expected_.last = last;
    fill(first, last, batch, term);
  }
  void put(uint64_t batch, uint64_t term) {
    const uint64_t size = expected_.last - expected_.compacted;
    const uint64_t first = expected_.compacted + 1 + prng_.below(size + 1);
    const uint64_t last = first + prng_.below(6);
    log_.put(Index(first), Index(last), {Index(first), batch, 1, 100});
    log_.set_term(Index(first), Index(last), Term(term));
    fill(first, last, batch, term);
    expected_.last = std::max(expected_.last, last);
  }
  void compact() {
    const uint64_t index = expected_.compacted + prng_.below(12);
    log_.compact(Index(index), Term(1));
    expected_.entries.erase(expected_.entries.begin(), expected_.entries.upper_bound(index));
    expected_.compacted = std::max(expected_.compacted, index);
    expected_.last = std::max(expected_.last, index);
  }
  void fill(uint64_t first, uint64_t last, uint64_t batch, uint64_t term) {
    for (uint64_t i = first; i <= last; ++i) {
      expected_.entries[i] = {batch, term};
    }
  }

  Prng prng_;
  uint64_t batch_ = 0;
  GroupLog log_{GroupId(1)};
  Expected expected_;
};

TEST(group_log, agrees_with_a_map_over_random_steps) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Player player(seed);
    for (int i = 0; i < 200 && !::testing::Test::HasFailure(); ++i) {
      player.step();
    }
  }
}

TEST(group_log, bytes_are_those_of_the_runs_that_are_left) {
  GroupLog log(GroupId(1));
  log.append(Index(1), Index(10), {Index(1), 1, 0, 1000});
  log.append(Index(11), Index(20), {Index(11), 2, 0, 500});
  EXPECT_EQ(log.bytes(), 1500u);
  log.put(Index(3), Index(4), {Index(3), 3, 0, 70});
  EXPECT_EQ(log.bytes(), 1570u) << "a run that is cut in two counts once";
  log.put(Index(11), Index(20), {Index(11), 4, 0, 40});
  EXPECT_EQ(log.bytes(), 1110u);
  log.compact(Index(10), Term(1));
  EXPECT_EQ(log.bytes(), 40u);
  log.compact(Index(20), Term(1));
  EXPECT_EQ(log.bytes(), 0u);
}

TEST(group_log, a_gap_left_by_a_put_is_a_hole) {
  GroupLog log(GroupId(1));
  log.put(Index(5), Index(6), {Index(5), 1, 0, 10});
  log.check();
  ASSERT_EQ(log.holes().size(), 1u);
  EXPECT_EQ(log.holes()[0].first, Index(1));
  EXPECT_EQ(log.holes()[0].last, Index(4));
  log.set_last(Index(8), Term(3));
  ASSERT_EQ(log.holes().size(), 2u);
  EXPECT_EQ(log.term_at(Index(8)), Term(3));
  log.set_last(Index(4), Term(1));
  EXPECT_EQ(log.last(), Index(4));
}

}  // namespace
}  // namespace quorate::wal
