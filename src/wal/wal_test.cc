// SPDX-License-Identifier: Apache-2.0
// What the log promises while nothing goes wrong, and that it costs what it should.
#include "wal/wal.h"

#include <gtest/gtest.h>

#include "wal/log_fixture_test.h"

namespace quorate::wal {
namespace {

TEST(wal, what_was_flushed_is_there_after_a_restart) {
  LogFixture log;
  log.append(1, 1, {"a", "b", "c"});
  log.state(1, {Term(3), NodeId(2), Index(1)});
  ASSERT_TRUE(log.flush().ok());
  log.restart();
  ASSERT_EQ(log.groups.size(), 1u);
  const RecoveredGroup& group = log.groups[0];
  EXPECT_EQ(group.last, Index(3));
  EXPECT_EQ(group.state, (State{Term(3), NodeId(2), Index(1)}));
  EXPECT_TRUE(group.holes.empty());
  EXPECT_FALSE(group.tail_suspect);
  EXPECT_EQ(log.contents(1), "1:a 2:b 3:c");
}

TEST(wal, read_answers_from_what_is_not_flushed_yet) {
  LogFixture log;
  log.append(1, 1, {"a", std::string(10'000, 'x')});
  EXPECT_EQ(log.contents(1), "1:a 2:x*10000");
  log.wal->flush([](Status) {});
  log.append(1, 3, {"c"});
  EXPECT_EQ(log.contents(1), "1:a 2:x*10000 3:c");
  log.loop.run();
  ASSERT_TRUE(log.flush().ok());
  EXPECT_EQ(log.contents(1), "1:a 2:x*10000 3:c");
}

TEST(wal, an_append_below_the_end_replaces_what_follows) {
  LogFixture log;
  log.append(1, 1, {"a", "b", "c", "d"}, 1);
  ASSERT_TRUE(log.flush().ok());
  log.append(1, 3, {"C"}, 2);
  ASSERT_TRUE(log.flush().ok());
  EXPECT_EQ(log.contents(1), "1:a 2:b 3:C");
  log.restart();
  EXPECT_EQ(log.contents(1), "1:a 2:b 3:C");
  ASSERT_EQ(log.groups[0].terms.size(), 3u);  // of nothing, of 1..2, of 3
  EXPECT_EQ(log.groups[0].terms[2].first, Index(3));
  EXPECT_EQ(log.groups[0].terms[2].term, Term(2));
}

TEST(wal, a_compaction_beyond_the_end_empties_the_log) {
  LogFixture log;
  log.append(1, 1, {"a", "b"});
  log.wal->compact(GroupId(1), Index(10), Term(4));
  log.append(1, 11, {"k"}, 4);
  ASSERT_TRUE(log.flush().ok());
  log.restart();
  EXPECT_EQ(log.groups[0].compacted, Index(10));
  EXPECT_EQ(log.groups[0].compacted_term, Term(4));
  EXPECT_EQ(log.contents(1), "11:k");
  EXPECT_EQ(log.wal->read(GroupId(1), Index(10), Index(11), 100).status().code(), Code::kNotFound);
}

TEST(wal, a_removed_group_does_not_come_back) {
  LogFixture log;
  log.append(1, 1, {"a"});
  log.append(2, 1, {"b"});
  ASSERT_TRUE(log.flush().ok());
  log.wal->remove_group(GroupId(1));
  ASSERT_TRUE(log.flush().ok());
  log.restart();
  ASSERT_EQ(log.groups.size(), 1u);
  EXPECT_EQ(log.groups[0].group, GroupId(2));
  log.append(1, 1, {"new"});
  ASSERT_TRUE(log.flush().ok());
  log.restart();
  EXPECT_EQ(log.contents(1), "1:new");
  EXPECT_FALSE(log.groups[0].tail_suspect);
}

TEST(wal, reads_stop_at_the_byte_limit_but_give_one_entry_at_least) {
  LogFixture log;
  log.append(1, 1, {std::string(100, 'a'), std::string(100, 'b'), std::string(100, 'c')});
  ASSERT_TRUE(log.flush().ok());
  EXPECT_EQ(log.wal->read(GroupId(1), Index(1), Index(3), 250)->size(), 2u);
  EXPECT_EQ(log.wal->read(GroupId(1), Index(1), Index(3), 1)->size(), 1u);
  EXPECT_EQ(log.wal->read(GroupId(1), Index(2), Index(3), 300)->size(), 2u);
}

TEST(wal, records_of_kept_kinds_come_back_whole) {
  LogFixture log;
  log.options.kinds_kept = {2};
  log.restart();
  log.append(1, 1, {"a", "config", "b"}, 1, {0, 2, 0});
  log.append(1, 4, {"gone"}, 1, {2});
  log.append(1, 4, {"stays"}, 2, {2});
  ASSERT_TRUE(log.flush().ok());
  log.restart();
  ASSERT_EQ(log.groups[0].marked.size(), 2u);
  EXPECT_EQ(log.groups[0].marked[0].payload.view(), "config");
  EXPECT_EQ(log.groups[0].marked[1].payload.view(), "stays");
}

TEST(wal, flushes_that_overlap_share_a_sync_and_complete_in_order) {
  LogFixture log;
  std::string order;
  const uint64_t syncs = log.disk.syncs();
  for (int i = 0; i < 5; ++i) {
    log.append(1, static_cast<uint64_t>(i) + 1, {"x"});
    log.wal->flush([&order, i](Status status) { order += status.ok() ? char('0' + i) : '!'; });
    EXPECT_EQ(order, "");
  }
  log.loop.run();
  EXPECT_EQ(order, "01234");
  EXPECT_EQ(log.disk.syncs() - syncs, 2u);
}

TEST(wal, a_flush_of_nothing_is_answered_from_the_loop) {
  LogFixture log;
  bool done = false;
  log.wal->flush([&](Status status) { done = status.ok(); });
  EXPECT_FALSE(done);
  log.loop.run();
  EXPECT_TRUE(done);
}

TEST(wal, segments_are_freed_and_recycled_once_compacted) {
  LogFixture log;
  log.options.segment_bytes = 4096;
  log.restart();
  log.state(2, {Term(1), NodeId(1), Index(0)});
  for (uint64_t i = 1; i <= 400; ++i) {
    log.append(1, i, {std::string(100, 'x')});
    if (i > 20) {
      log.wal->compact(GroupId(1), Index(i - 10), Term(1));
    }
    ASSERT_TRUE(log.flush().ok());
  }
  EXPECT_LE(log.wal->stats().segments, 4u);
  EXPECT_LE(log.disk.names().size(), 8u);
  log.restart();
  EXPECT_EQ(log.notes, "");
  ASSERT_EQ(log.groups.size(), 2u);
  EXPECT_EQ(log.groups[0].last, Index(400));
  EXPECT_EQ(log.groups[0].compacted, Index(390));
  EXPECT_TRUE(log.groups[0].holes.empty());
  EXPECT_EQ(log.groups[1].state, (State{Term(1), NodeId(1), Index(0)}))
      << "the newest state of an idle group outlives its segment";
}

TEST(wal, a_log_that_is_needed_whole_is_not_rewritten_over_and_over) {
  LogFixture log;
  log.options.segment_bytes = 16 * 1024;
  log.options.rewrite_after_segments = 3;
  log.restart();
  constexpr uint64_t kEntries = 400;
  for (uint64_t i = 1; i <= kEntries; ++i) {
    log.append(1, i, {std::string(1000, 'x')});
    ASSERT_TRUE(log.flush().ok());
  }
  EXPECT_LT(log.wal->stats().rewritten_bytes, kEntries * 1000 / 4);
}

TEST(wal, a_group_that_lags_is_rewritten_forward) {
  LogFixture log;
  log.options.segment_bytes = 4096;
  log.options.rewrite_after_segments = 3;
  log.restart();
  log.append(2, 1, {"old", "older", std::string(3000, 'y')});
  for (uint64_t i = 1; i <= 600; ++i) {
    log.append(1, i, {std::string(100, 'x')});
    if (i > 20) {
      log.wal->compact(GroupId(1), Index(i - 10), Term(1));
    }
    ASSERT_TRUE(log.flush().ok());
  }
  EXPECT_LE(log.wal->stats().segments, 6u);
  EXPECT_GT(log.wal->stats().rewritten_bytes, 3000u);
  EXPECT_EQ(log.contents(2), "1:old 2:older 3:y*3000");
  log.append(2, 4, {"new"});
  ASSERT_TRUE(log.flush().ok());
  log.restart();
  EXPECT_EQ(log.contents(2), "1:old 2:older 3:y*3000 4:new");
  EXPECT_TRUE(log.groups[1].holes.empty());
}

TEST(wal, a_record_larger_than_a_segment_gets_one_of_its_own) {
  LogFixture log;
  log.options.segment_bytes = 4096;
  log.restart();
  log.append(1, 1, {"a", std::string(50'000, 'b'), "c"});
  ASSERT_TRUE(log.flush().ok());
  EXPECT_EQ(log.contents(1), "1:a 2:b*50000 3:c");
  log.restart();
  EXPECT_EQ(log.notes, "");
  EXPECT_EQ(log.contents(1), "1:a 2:b*50000 3:c");
}

TEST(wal, a_failed_sync_is_final) {
  LogFixture log;
  log.append(1, 1, {"a"});
  log.disk.fail_at(2);  // the write passes, its sync fails
  EXPECT_FALSE(log.flush().ok());
  log.disk.fail_never();
  log.append(1, 2, {"b"});
  EXPECT_FALSE(log.flush().ok()) << "what the disk holds is unknown; a later sync proves nothing";
}

TEST(wal, spare_segments_are_written_ahead_between_flushes) {
  LogFixture log;
  log.options.segment_bytes = 1024 * 1024;
  log.restart();
  log.loop.advance(Duration::millis(100));
  size_t spares = 0;
  for (const auto& [path, node] : log.disk.names()) {
    if (path.find("/spare-") != std::string::npos) {
      EXPECT_EQ(node->bytes.size(), 1024u * 1024);
      ++spares;
    }
  }
  EXPECT_EQ(spares, 2u);
}

TEST(wal, while_the_log_is_busy_a_second_spare_is_written_in_step_with_it) {
  LogFixture log;
  log.options.segment_bytes = 4 * 1024 * 1024;
  log.restart();
  const auto count = [&log](const std::string& part) {
    size_t found = 0;
    for (const auto& [path, node] : log.disk.names()) {
      found += path.find(part) != std::string::npos && !path.ends_with(".new") ? 1 : 0;
    }
    return found;
  };
  // The first spare takes the place of the segment that grows, the next one is at hand.
  const std::string payload(20'000, 'x');
  uint64_t index = 0;
  const auto write = [&](int flushes) {
    for (int i = 0; i < flushes; ++i) {
      log.append(1, ++index, {payload});
      ASSERT_TRUE(log.flush().ok());
      log.loop.advance(Duration::millis(2));
    }
  };
  write(90);
  EXPECT_EQ(count("/segment-"), 2u);
  EXPECT_EQ(count("/spare-"), 1u) << "the second half of the segment has not begun";
  write(100);
  EXPECT_EQ(count("/segment-"), 2u);
  write(40);
  EXPECT_EQ(count("/segment-"), 3u);
  EXPECT_EQ(count("/spare-"), 1u) << "one was taken, and the other was ready";
  log.loop.advance(Duration::millis(50));
  EXPECT_EQ(count("/spare-"), 2u) << "the log is still";
}

TEST(wal, the_weaker_policies_sync_as_often_as_they_say) {
  for (const SyncPolicy policy : {SyncPolicy::kInterval, SyncPolicy::kNever}) {
    LogFixture log;
    log.options.sync = policy;
    log.restart();
    log.loop.advance(Duration::seconds(1));  // spares are there
    log.append(1, 1, {"x"});
    ASSERT_TRUE(log.flush().ok());
    log.loop.advance(Duration::seconds(1));  // and the one that was taken has its successor
    const uint64_t syncs = log.disk.syncs();
    for (uint64_t i = 2; i <= 50; ++i) {
      log.append(1, i, {"x"});
      ASSERT_TRUE(log.flush().ok());
    }
    EXPECT_EQ(log.disk.syncs(), syncs);
    log.loop.advance(Duration::millis(150));
    EXPECT_EQ(log.disk.syncs() - syncs, policy == SyncPolicy::kInterval ? 1u : 0u);
    EXPECT_EQ(log.contents(1).substr(0, 7), "1:x 2:x");
  }
}

TEST(wal, bytes_of_is_what_the_entries_cost) {
  LogFixture log;
  EXPECT_EQ(log.wal->bytes_of(GroupId(1)), 0u);
  log.append(1, 1, {std::string(1000, 'a')});
  log.append(1, 2, {std::string(1000, 'b')});
  EXPECT_GT(log.wal->bytes_of(GroupId(1)), 2000u);
  log.wal->compact(GroupId(1), Index(1), Term(1));
  EXPECT_LT(log.wal->bytes_of(GroupId(1)), 1500u);
  log.wal->compact(GroupId(1), Index(2), Term(1));
  EXPECT_EQ(log.wal->bytes_of(GroupId(1)), 0u);
}

}  // namespace
}  // namespace quorate::wal
