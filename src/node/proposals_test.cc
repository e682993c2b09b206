// SPDX-License-Identifier: Apache-2.0
// What becomes of a command between its proposal and its answer.
#include "node/proposals.h"

#include <gtest/gtest.h>

namespace quorate::node {
namespace {

constexpr Instant at(int64_t millis) { return Instant() + Duration::millis(millis); }

class ProposalsTest : public testing::Test {
 protected:
  void add(const std::string& name, int64_t deadline = 1000) {
    service::Command command;
    command.body = name;
    proposals.add(
        command,
        [this, name](const Status& status, std::string_view answer, const service::Origin&) {
          heard += name + "=" +
                   (status.ok() ? std::string(answer) : std::string(row_of(status.code()).name)) +
                   " ";
        },
        at(deadline));
  }
  void propose(uint64_t index, uint64_t term) {
    (void)proposals.take_batch();
    proposals.proposed(Index(index), Term(term));
  }
  // What was displaced, as it is given back: the last first.
  std::string take_back() {
    std::string back;
    proposals.give_back_displaced([&](const service::BatchCommand& command, service::Done done,
                                      Instant deadline) {
      back += std::string(command.body) + "@" + std::to_string((deadline - at(0)).millis()) + " ";
      done(Status::success(), "elsewhere", {});
    });
    return back;
  }
  // Applies an entry whose commands answer "1", "2", ...
  bool apply(uint64_t index, uint64_t term, size_t commands = 0) {
    const bool ours = proposals.begin_apply(Index(index), Term(term));
    for (size_t i = 0; ours && i < commands; ++i) {
      proposals.answer(i, Status::success(), std::to_string(i + 1), {});
    }
    if (ours) {
      proposals.finish();
    }
    return ours;
  }

  Proposals proposals{GroupId(1), NodeId(1)};
  std::string heard;
};

TEST_F(ProposalsTest, commands_of_one_batch_are_answered_in_order) {
  add("a");
  add("b");
  propose(5, 2);
  EXPECT_EQ(proposals.pending(), 2u);
  EXPECT_TRUE(apply(5, 2, 2));
  EXPECT_EQ(heard, "a=1 b=2 ");
  EXPECT_EQ(proposals.pending(), 0u);
}

TEST_F(ProposalsTest, an_open_batch_is_given_back_command_by_command) {
  add("a", 300);
  propose(5, 2);
  add("b", 100);
  add("c", 200);
  std::string back;
  proposals.give_back(
      [&](const service::BatchCommand& command, service::Done done, Instant deadline) {
        back += std::string(command.body) + "@" + std::to_string((deadline - at(0)).millis()) + " ";
        done(Status::success(), "elsewhere", {});
      });
  EXPECT_EQ(back, "b@100 c@200 ");
  EXPECT_EQ(heard, "b=elsewhere c=elsewhere ");
  EXPECT_EQ(proposals.pending(), 1u);
  EXPECT_FALSE(proposals.has_batch());
  EXPECT_TRUE(apply(5, 2, 1));
}

TEST_F(ProposalsTest, an_entry_of_another_term_at_our_index_means_it_never_happened) {
  add("a", 300);
  add("b", 400);
  propose(5, 2);
  EXPECT_TRUE(proposals.outcome_open());
  EXPECT_FALSE(apply(5, 3));
  EXPECT_EQ(heard, "") << "nobody has to know";
  EXPECT_TRUE(proposals.has_displaced());
  EXPECT_FALSE(proposals.outcome_open());
  EXPECT_EQ(take_back(), "b@400 a@300 ");
  EXPECT_FALSE(proposals.has_displaced());
  EXPECT_EQ(proposals.pending(), 0u);
}

TEST_F(ProposalsTest, a_later_term_ends_everything_proposed_beyond_it) {
  add("a");
  propose(7, 2);
  add("b");
  propose(8, 2);
  EXPECT_FALSE(apply(6, 3));
  EXPECT_EQ(take_back(), "b@1000 a@1000 ");
}

TEST_F(ProposalsTest, a_later_term_ends_older_ones_and_not_what_was_proposed_in_office_again) {
  add("a");
  propose(7, 2);
  add("b");
  propose(9, 4);
  EXPECT_FALSE(apply(6, 3));
  EXPECT_EQ(take_back(), "") << "b went before it";
  EXPECT_EQ(heard, "a=unavailable ");
  EXPECT_TRUE(apply(9, 4, 1));
  EXPECT_EQ(heard, "a=unavailable b=1 ");
}

TEST_F(ProposalsTest, what_a_later_command_has_overtaken_is_not_given_back) {
  add("a");
  propose(5, 2);
  proposals.overtake();
  EXPECT_FALSE(proposals.outcome_open());
  EXPECT_FALSE(apply(5, 3));
  EXPECT_EQ(take_back(), "");
  EXPECT_EQ(heard, "a=unavailable ");
}

TEST_F(ProposalsTest, who_has_been_answered_already_is_not_given_back) {
  add("a", 100);
  add("b", 900);
  add("c", 100);
  propose(5, 2);
  proposals.sweep(at(100));
  EXPECT_EQ(heard, "a=unknown_outcome c=unknown_outcome ");
  EXPECT_TRUE(proposals.outcome_open());
  EXPECT_FALSE(apply(5, 3));
  EXPECT_EQ(take_back(), "b@900 ");
  EXPECT_EQ(proposals.pending(), 0u);
}

TEST_F(ProposalsTest, an_outcome_that_nobody_waits_for_is_not_open) {
  add("a", 100);
  propose(5, 2);
  proposals.sweep(at(100));
  EXPECT_FALSE(proposals.outcome_open());
}

TEST_F(ProposalsTest, what_another_leader_cut_off_is_unknown_when_its_place_is_proposed_again) {
  add("a");
  propose(7, 2);
  add("b");
  propose(8, 2);
  add("c");
  propose(9, 2);
  add("d");
  propose(8, 4);  // its log ended at 7 when it came back into office
  EXPECT_EQ(heard, "c=unknown_outcome b=unknown_outcome ");
  EXPECT_EQ(proposals.pending(), 2u);
  EXPECT_TRUE(apply(7, 2, 1)) << "an entry below the cut may still be committed";
  EXPECT_TRUE(apply(8, 4, 1));
  EXPECT_EQ(heard, "c=unknown_outcome b=unknown_outcome a=1 d=1 ");
}

TEST_F(ProposalsTest, an_older_entry_below_ours_decides_nothing) {
  add("a");
  propose(7, 2);
  EXPECT_FALSE(apply(6, 2));
  EXPECT_EQ(heard, "");
  EXPECT_TRUE(apply(7, 2, 1));
  EXPECT_EQ(heard, "a=1 ");
}

TEST_F(ProposalsTest, a_late_answer_is_an_unknown_outcome_and_its_neighbours_wait_on) {
  add("a", 100);
  add("b", 900);
  propose(5, 2);
  proposals.sweep(at(99));
  EXPECT_EQ(heard, "");
  proposals.sweep(at(100));
  EXPECT_EQ(heard, "a=unknown_outcome ");
  EXPECT_TRUE(apply(5, 2, 2));
  EXPECT_EQ(heard, "a=unknown_outcome b=2 ");
}

TEST_F(ProposalsTest, what_was_never_proposed_times_out_without_effect) {
  add("a", 100);
  proposals.sweep(at(100));
  EXPECT_EQ(heard, "a=timeout ");
  EXPECT_FALSE(proposals.has_batch());
}

TEST_F(ProposalsTest, a_snapshot_over_the_index_leaves_the_outcome_unknown) {
  add("a");
  propose(5, 2);
  add("b");
  propose(6, 2);
  proposals.jumped_over(Index(5));
  EXPECT_EQ(heard, "a=unknown_outcome ");
  EXPECT_TRUE(apply(6, 2, 1));
}

TEST_F(ProposalsTest, a_refused_batch_fails_whole) {
  add("a");
  add("b");
  (void)proposals.take_batch();
  proposals.refused(Status(Code::kResourceExhausted, "full"));
  EXPECT_EQ(heard, "a=resource_exhausted b=resource_exhausted ");
}

TEST_F(ProposalsTest, a_callback_may_propose_again) {
  service::Command command;
  command.body = "x";
  proposals.add(
      command, [this](const Status&, std::string_view, const service::Origin&) { add("again"); },
      at(1000));
  propose(5, 2);
  EXPECT_TRUE(apply(5, 2, 1));
  EXPECT_TRUE(proposals.has_batch());
  propose(6, 2);
  EXPECT_TRUE(apply(6, 2, 1));
  EXPECT_EQ(heard, "again=1 ");
}

TEST_F(ProposalsTest, a_replica_that_goes_tells_everyone) {
  add("a");
  propose(5, 2);
  add("b");
  proposals.abandon();
  EXPECT_EQ(heard, "a=unknown_outcome b=unavailable ");
  EXPECT_EQ(proposals.pending(), 0u);
}

}  // namespace
}  // namespace quorate::node
