// SPDX-License-Identifier: Apache-2.0
// Watches over a cluster of four groups, with replicas here and without.
#include "service/kv/watches.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "service/kv/cluster_test.h"

namespace quorate::service::kv {
namespace {

using Positions = std::vector<Watches::Position>;

class Notes final : public Watches::Sink {
 public:
  [[nodiscard]] bool has_room() const override { return room; }
  [[nodiscard]] bool has_left() const override { return left; }
  void on_start(const Positions& started) override { positions = started; }
  void on_changes(GroupId group, const ChangeList& list) override {
    for (const Change& change : list.changes) {
      std::string text(change.key);
      text += change.kind == Change::Kind::kPut      ? "=" + std::string(change.value)
              : change.kind == Change::Kind::kDelete ? " deleted"
                                                     : " expired";
      text += change.had_previous ? " was " + std::string(change.previous) : "";
      said.push_back(text);
    }
    for (Watches::Position& at : positions) {
      at.after = at.group == group ? list.through : at.after;
    }
  }
  void on_end(const Status& status) override { end = status; }

  bool room = true;
  bool left = false;
  Positions positions;
  std::vector<std::string> said;
  Status end;
};

using Lines = std::vector<std::string>;

class WatchesTest : public ::testing::TestWithParam<bool> {
 protected:
  WatchesTest() { cluster.reads_here = GetParam(); }

  void put(std::string_view key, std::string_view value, Lifetime lifetime = {}) {
    api.write(Put{.key = key, .value = value, .lifetime = lifetime}, {},
              [](const Status& status, const Written&, const Origin&) {
                ASSERT_TRUE(status.ok()) << status.to_string();
              });
  }
  void remove(std::string_view key) {
    api.write(Delete{.key = key}, {}, [](const Status& status, const Removed&, const Origin&) {
      ASSERT_TRUE(status.ok());
    });
  }
  std::shared_ptr<Notes> watch(std::string prefix, Positions after = {}) {
    auto notes = std::make_shared<Notes>();
    last = watches.start({.prefix = std::move(prefix), .after = std::move(after)}, notes);
    return notes;
  }
  // As often as a group that is elsewhere needs.
  void poll() {
    for (int times = 0; times < 100; ++times) {
      watches.poll();
    }
  }

  Cluster cluster{{.history_bytes_max = 4'096}};
  Api api{cluster};
  Watches watches{api};
  uint64_t last = 0;
};

TEST_P(WatchesTest, changes_come_in_order_with_what_was_before) {
  put("{a}1", "old");
  const auto notes = watch("{a}");
  EXPECT_EQ(notes->positions.size(), 1u) << "a whole tag is one group";
  put("{a}1", "new");
  put("{b}1", "another prefix");
  put("{a}2", "x", Lifetime::lasting(Duration::seconds(1)));
  remove("{a}1");
  cluster.now = cluster.now + Duration::seconds(2);
  put("{a}2", "y");
  poll();
  EXPECT_EQ(notes->said, (Lines{"{a}1=new was old", "{a}2=x", "{a}1 deleted was new",
                                "{a}2 expired was x", "{a}2=y"}));
}

TEST_P(WatchesTest, a_prefix_without_a_tag_covers_all_groups) {
  const auto notes = watch("k");
  EXPECT_EQ(notes->positions.size(), kGroups);
  for (int number = 0; number < 20; ++number) {
    put("k" + std::to_string(number), "v");
  }
  poll();
  EXPECT_EQ(notes->said.size(), 20u);
}

TEST_P(WatchesTest, a_watch_goes_on_from_the_positions_of_another_one) {
  const auto first = watch("k");
  put("k1", "1");
  poll();
  watches.stop(last);
  put("k2", "2");
  put("k3", "3");
  poll();
  EXPECT_EQ(first->said, Lines{"k1=1"}) << "a stopped watch hears nothing";
  EXPECT_TRUE(watches.empty());
  const auto second = watch("k", first->positions);
  poll();
  std::sort(second->said.begin(), second->said.end());
  EXPECT_EQ(second->said, (Lines{"k2=2", "k3=3"}));
}

TEST_P(WatchesTest, a_reader_without_room_loses_nothing) {
  const auto notes = watch("{a}");
  notes->room = false;
  put("{a}1", "1");
  put("{a}1", "2");
  poll();
  EXPECT_EQ(notes->said, Lines{});
  notes->room = true;
  poll();
  EXPECT_EQ(notes->said, (Lines{"{a}1=1", "{a}1=2 was 1"}));
}

TEST_P(WatchesTest, a_reader_that_has_left_is_forgotten) {
  const auto notes = watch("{a}");
  notes->left = true;
  poll();
  EXPECT_TRUE(watches.empty());
  put("{a}1", "1");
  EXPECT_EQ(notes->said, Lines{});
}

TEST_P(WatchesTest, what_was_compacted_is_an_error_that_says_so) {
  const auto notes = watch("{a}");
  const Positions begun = notes->positions;
  notes->room = false;
  for (int number = 0; number < 40; ++number) {
    put("{a}1", std::string(1'000, 'x'));
  }
  notes->room = true;
  poll();
  EXPECT_EQ(notes->end.code(), Code::kPreconditionFailed);
  EXPECT_TRUE(notes->end.message().starts_with("compacted")) << notes->end.message();
  const auto late = watch("{a}", begun);
  EXPECT_EQ(late->end.code(), Code::kPreconditionFailed);
  EXPECT_TRUE(late->positions.empty()) << "it never began";
}

TEST_P(WatchesTest, positions_that_are_not_of_the_watch_are_refused) {
  put("{a}1", "1");
  const GroupId group = api.group_of("{a}1");
  EXPECT_EQ(watch("{a}", {{group, Revision(99)}})->end.code(), Code::kInvalidArgument);
  EXPECT_EQ(watch("{a}", {{GroupId(group.value() % kGroups + 1), {}}})->end.code(),
            Code::kInvalidArgument);
  EXPECT_TRUE(watch("{a}", {{group, {}}})->end.ok());
}

TEST_P(WatchesTest, weather_delays_a_watch_and_ends_only_its_start) {
  const auto notes = watch("{a}");
  const GroupId group = api.group_of("{a}1");
  put("{a}1", "1");
  cluster.weather[group] = Status(Code::kUnavailable, "no leader");
  poll();
  EXPECT_EQ(watch("{a}")->end.code(), Code::kUnavailable);
  cluster.weather.clear();
  poll();
  EXPECT_EQ(notes->said, Lines{"{a}1=1"});
}

INSTANTIATE_TEST_SUITE_P(replica, WatchesTest, ::testing::Values(true, false),
                         [](const auto& row) { return row.param ? "here" : "elsewhere"; });

}  // namespace
}  // namespace quorate::service::kv
