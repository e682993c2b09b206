// SPDX-License-Identifier: Apache-2.0
// Tables and stories for the log: terms, truncation, durability, holes, recovery.
#include "raft/log.h"

#include <gtest/gtest.h>

#include "base/prng.h"

namespace quorate::raft {
namespace {

Entry entry(uint64_t index, uint64_t term, std::string_view payload = "x") {
  return {Index(index), Term(term), EntryKind::kCommand, Stamp(), Buffer::copy(payload)};
}

Log empty() { return Log(Restored()); }

// One entry per term given, from index 1 on.
Log with_terms(const std::vector<uint64_t>& terms) {
  Log log = empty();
  for (const uint64_t term : terms) {
    log.append(entry(log.last().value() + 1, term));
  }
  return log;
}

Entries take(Log& log, uint64_t number) {
  Entries entries;
  log.take(number, entries);
  return entries;
}

// Hands over and makes durable all that waits.
void persist(Log& log, uint64_t number) {
  (void)take(log, number);
  log.on_persisted(number);
}

TEST(log, knows_the_term_of_each_entry_without_the_entries) {
  Log log = with_terms({1, 1, 2, 2, 5});
  persist(log, 1);
  log.evict(Index(5), 0);
  EXPECT_EQ(log.find(Index(5)), nullptr);
  const uint64_t terms[] = {0, 1, 1, 2, 2, 5, 0};
  for (uint64_t i = 0; i < std::size(terms); ++i) {
    EXPECT_EQ(log.term_at(Index(i)), Term(terms[i])) << i;
  }
  log.check_invariants();
}

TEST(log, finds_the_last_entry_of_at_most_a_term) {
  Log log = with_terms({1, 1, 3, 3, 4});
  struct Row {
    uint64_t upto;
    uint64_t term;
    uint64_t found;
  };
  const Row rows[] = {{5, 4, 5}, {5, 3, 4}, {5, 2, 2}, {3, 3, 3}, {1, 9, 1},
                      {9, 9, 5}, {5, 0, 0}, {0, 1, 0}, {4, 1, 2}};
  for (const Row& row : rows) {
    EXPECT_EQ(log.last_with_term_at_most(Index(row.upto), Term(row.term)).value(), row.found)
        << row.upto << " " << row.term;
  }
  log.compact(Index(3));
  EXPECT_EQ(log.last_with_term_at_most(Index(5), Term(3)), Index(4));
  EXPECT_EQ(log.last_with_term_at_most(Index(5), Term(2)), Index());
}

TEST(log, compaction_keeps_the_term_of_its_base) {
  Log log = with_terms({1, 1, 2, 2, 3});
  persist(log, 1);
  for (uint64_t base = 1; base <= 5; ++base) {
    log.compact(Index(base));
    EXPECT_EQ(log.base(), Index(base));
    EXPECT_EQ(log.base_term(), Term(base <= 2 ? 1 : base <= 4 ? 2 : 3));
    EXPECT_EQ(log.term_at(Index(base - 1)), Term());
    EXPECT_EQ(log.last_term(), Term(3));
    log.check_invariants();
  }
}

TEST(log, copies_at_least_one_entry_and_as_many_as_fit) {
  Log log = empty();
  for (uint64_t i = 1; i <= 4; ++i) {
    log.append(entry(i, 1, std::string(100, 'x')));
  }
  const size_t each = cost_of(entry(1, 1, std::string(100, 'x')));
  EXPECT_EQ(log.copy(Index(1), 1).size(), 1u);
  EXPECT_EQ(log.copy(Index(1), each).size(), 1u);
  EXPECT_EQ(log.copy(Index(1), 2 * each).size(), 2u);
  EXPECT_EQ(log.copy(Index(3), 100 * each).size(), 2u);
}

TEST(log, hands_over_each_entry_once_and_is_durable_when_told) {
  Log log = with_terms({1, 1});
  EXPECT_EQ(take(log, 1).size(), 2u);
  EXPECT_FALSE(log.untaken());
  log.append(entry(3, 1));
  EXPECT_EQ(take(log, 2).size(), 1u);
  EXPECT_EQ(log.durable(), Index(0));
  log.on_persisted(1);
  EXPECT_EQ(log.durable(), Index(2));
  log.on_persisted(2);
  EXPECT_EQ(log.durable(), Index(3));
}

TEST(log, a_late_completion_does_not_acknowledge_an_entry_that_was_replaced) {
  Log log = with_terms({1, 1, 1});
  (void)take(log, 1);
  log.truncate(Index(1));
  log.append(entry(2, 2));
  log.append(entry(3, 2));
  (void)take(log, 2);
  log.on_persisted(1);
  EXPECT_EQ(log.durable(), Index(1));
  log.on_persisted(2);
  EXPECT_EQ(log.durable(), Index(3));
}

TEST(log, truncation_takes_back_what_was_durable) {
  Log log = with_terms({1, 1, 2});
  persist(log, 1);
  log.truncate(Index(1));
  EXPECT_EQ(log.durable(), Index(1));
  EXPECT_EQ(log.last_term(), Term(1));
  EXPECT_EQ(log.find(Index(2)), nullptr);
  log.check_invariants();
}

TEST(log, eviction_keeps_what_is_not_durable_or_not_applied) {
  Log log = with_terms({1, 1, 1, 1});
  (void)take(log, 1);
  log.evict(Index(4), 0);
  EXPECT_EQ(log.cached_from(), Index(1));
  log.on_persisted(1);
  log.evict(Index(2), 0);
  EXPECT_EQ(log.cached_from(), Index(3));
  log.evict(Index(4), 0);
  EXPECT_EQ(log.cached_from(), Index(5));
  EXPECT_EQ(log.cached_bytes(), 0u);
}

TEST(log, holes_bound_what_is_durable_until_they_are_filled_and_synced) {
  Log log = with_terms({1, 1, 2, 2, 2});
  persist(log, 1);
  log.lose({Index(2), Index(3)});
  EXPECT_EQ(log.durable(), Index(1));
  EXPECT_EQ(log.readable_after(Index(0)), Index(1));
  EXPECT_EQ(log.readable_after(Index(3)), Index(5)) << "what is applied is not needed";
  EXPECT_FALSE(log.fill(entry(3, 1))) << "another term is another entry";
  EXPECT_FALSE(log.fill(entry(4, 2))) << "nothing is lost there";
  EXPECT_TRUE(log.fill(entry(3, 2)));
  EXPECT_TRUE(log.fill(entry(2, 1)));
  EXPECT_TRUE(log.holes().empty());
  EXPECT_TRUE(log.has_holes()) << "found, and not yet durable";
  const Entries taken = take(log, 2);
  ASSERT_EQ(taken.size(), 2u);
  EXPECT_EQ(taken.front().index, Index(2));
  EXPECT_EQ(log.durable(), Index(1));
  log.on_persisted(2);
  EXPECT_FALSE(log.has_holes());
  EXPECT_EQ(log.durable(), Index(5));
}

TEST(log, fills_of_one_hole_go_alone_and_new_entries_after_them) {
  Log log = with_terms({1, 1, 1, 1});
  persist(log, 1);
  log.lose({Index(1), Index(1)});
  log.lose({Index(3), Index(3)});
  EXPECT_TRUE(log.fill(entry(3, 1)));
  EXPECT_TRUE(log.fill(entry(1, 1)));
  log.append(entry(5, 1));
  EXPECT_EQ(take(log, 2).front().index, Index(1));
  EXPECT_EQ(take(log, 3).front().index, Index(3));
  EXPECT_EQ(take(log, 4).front().index, Index(5));
  log.on_persisted(4);
  EXPECT_EQ(log.durable(), Index(5));
}

TEST(log, holes_that_touch_are_one) {
  Log log = with_terms({1, 1, 1, 1, 1, 1, 1, 1});
  persist(log, 1);
  log.lose({Index(6), Index(6)});
  log.lose({Index(2), Index(3)});
  EXPECT_EQ(log.holes().size(), 2u);
  log.lose({Index(4), Index(5)});
  ASSERT_EQ(log.holes().size(), 1u);
  EXPECT_EQ(log.holes().front(), (Hole{Index(2), Index(6)}));
  log.truncate(Index(4));
  EXPECT_EQ(log.holes().front(), (Hole{Index(2), Index(4)}));
  log.compact(Index(2));
  EXPECT_EQ(log.holes().front(), (Hole{Index(3), Index(4)}));
  log.compact(Index(4));
  EXPECT_FALSE(log.has_holes());
  log.check_invariants();
}

// ---- recovery ----------------------------------------------------------------------------------

struct MendedRow {
  const char* what;
  uint64_t snapshot;
  uint64_t snapshot_term;
  uint64_t commit;
  uint64_t last;
  std::vector<TermRun> terms;
  uint64_t last_after;
  uint64_t last_term_after;
  bool suspect;
};

TEST(recovery, what_was_found_is_made_consistent) {
  const auto run = [](uint64_t first, uint64_t term) { return TermRun{Index(first), Term(term)}; };
  const MendedRow rows[] = {
      {"nothing", 0, 0, 0, 0, {}, 0, 0, false},
      {"a log", 0, 0, 2, 5, {run(0, 0), run(1, 1), run(4, 2)}, 5, 2, false},
      {"a snapshot alone", 7, 3, 7, 7, {run(7, 3)}, 7, 3, false},
      {"a snapshot without runs", 7, 3, 7, 0, {}, 7, 3, false},
      {"a snapshot and a log", 7, 3, 8, 9, {run(7, 3), run(9, 4)}, 9, 4, false},
      {"a log that reaches back before the snapshot",
       7,
       3,
       8,
       9,
       {run(2, 1), run(5, 3)},
       9,
       3,
       false},
      {"the term changes right after the snapshot",
       7,
       3,
       8,
       9,
       {run(5, 3), run(8, 4)},
       9,
       4,
       false},
      {"remains of a replaced log", 7, 3, 7, 9, {run(2, 1), run(8, 2)}, 7, 3, false},
      {"a gap after the snapshot", 7, 3, 7, 12, {run(10, 3)}, 7, 3, true},
      {"a commit index beyond the end", 0, 0, 9, 5, {run(1, 1)}, 5, 1, true},
      {"runs beyond the end", 0, 0, 1, 2, {run(1, 1), run(3, 2)}, 2, 1, false},
  };
  for (const MendedRow& row : rows) {
    Restored restored;
    restored.snapshot.index = Index(row.snapshot);
    restored.snapshot.term = Term(row.snapshot_term);
    restored.hard_state.commit = Index(row.commit);
    restored.last = Index(row.last);
    restored.terms = row.terms;
    const Restored after = mended(restored);
    const Log log(after);
    log.check_invariants();
    EXPECT_EQ(log.last().value(), row.last_after) << row.what;
    EXPECT_EQ(log.last_term().value(), row.last_term_after) << row.what;
    EXPECT_EQ(after.tail_suspect, row.suspect) << row.what;
    EXPECT_LE(after.hard_state.commit, log.last()) << row.what;
  }
}

// ---- against a model ---------------------------------------------------------------------------

TEST(log, agrees_with_a_plain_vector_whatever_happens) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    Prng random(seed);
    Log log = empty();
    std::vector<uint64_t> model = {0};  // terms by index
    uint64_t base = 0;
    uint64_t number = 0;
    for (int step = 0; step < 200; ++step) {
      const uint64_t dice = random.below(10);
      if (dice < 5) {
        model.push_back(model.back() + random.below(2));
        log.append(entry(model.size() - 1, std::max<uint64_t>(model.back(), 1)));
        model.back() = std::max<uint64_t>(model.back(), 1);
      } else if (dice < 6) {
        const uint64_t keep = base + random.below(model.size() - base);
        model.resize(keep + 1);
        log.truncate(Index(keep));
      } else if (dice < 8) {
        (void)take(log, ++number);
      } else if (dice < 9) {
        log.on_persisted(random.below(number + 1));
      } else {
        base += random.below(log.durable().value() - base + 1);
        log.compact(Index(base));
        log.evict(log.durable(), random.below(500));
      }
      log.check_invariants();
      ASSERT_EQ(log.last().value(), model.size() - 1);
      for (uint64_t i = base; i < model.size(); ++i) {
        ASSERT_EQ(log.term_at(Index(i)).value(), model[i]);
      }
    }
  }
}

}  // namespace
}  // namespace quorate::raft
