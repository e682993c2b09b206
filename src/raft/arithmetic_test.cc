// SPDX-License-Identifier: Apache-2.0
// Tables for the arithmetic: quorums, progress, configurations, reads.
#include <gtest/gtest.h>

#include "raft/config_change.h"
#include "raft/message.h"
#include "raft/progress.h"
#include "raft/quorum.h"
#include "raft/read_index.h"

namespace quorate::raft {
namespace {

std::vector<NodeId> nodes(const std::vector<uint32_t>& ids) {
  std::vector<NodeId> out;
  for (const uint32_t id : ids) {
    out.push_back(NodeId(id));
  }
  return out;
}

// ---- quorum ------------------------------------------------------------------------------------

TEST(quorum, a_majority_has_reached_the_middle_value) {
  struct Row {
    std::vector<uint64_t> values;
    uint64_t reached;
  };
  const Row rows[] = {
      {{}, UINT64_MAX},     {{7}, 7},           {{7, 0}, 0},       {{7, 9}, 7},
      {{1, 2, 3}, 2},       {{3, 3, 0}, 3},     {{0, 0, 9}, 0},    {{5, 4, 3, 2}, 3},
      {{9, 9, 1, 1}, 1},    {{1, 2, 3, 4, 5}, 3}, {{9, 9, 9, 0, 0}, 9},
  };
  for (const Row& row : rows) {
    std::vector<uint64_t> values = row.values;
    EXPECT_EQ(majority_reached(std::span(values)), row.reached);
  }
}

TEST(quorum, a_joint_configuration_has_reached_what_both_halves_have) {
  struct Row {
    std::vector<uint32_t> voters;
    std::vector<uint32_t> outgoing;
    uint64_t reached;  // node n has reached 10 * n
  };
  const Row rows[] = {
      {{1, 2, 3}, {}, 20},        {{1, 2, 3}, {1, 2, 3}, 20}, {{4, 5, 6}, {1, 2, 3}, 20},
      {{1, 2, 3}, {4, 5, 6}, 20}, {{9}, {1}, 10},             {{1, 5, 9}, {2, 6, 8}, 50},
  };
  for (const Row& row : rows) {
    Config config;
    config.voters = nodes(row.voters);
    config.outgoing = nodes(row.outgoing);
    EXPECT_EQ(quorum_reached(config, [](NodeId node) { return uint64_t{10} * node.value(); }),
              row.reached);
  }
}

TEST(quorum, votes_are_won_by_more_than_half_and_lost_when_that_is_out_of_reach) {
  struct Row {
    size_t voters;
    size_t yes;
    size_t no;
    Tally tally;
  };
  const Row rows[] = {
      {0, 0, 0, Tally::kWon},     {1, 0, 0, Tally::kPending}, {1, 1, 0, Tally::kWon},
      {1, 0, 1, Tally::kLost},    {2, 1, 0, Tally::kPending}, {2, 1, 1, Tally::kLost},
      {3, 1, 1, Tally::kPending}, {3, 2, 0, Tally::kWon},     {3, 0, 2, Tally::kLost},
      {4, 2, 1, Tally::kPending}, {4, 2, 2, Tally::kLost},    {4, 3, 0, Tally::kWon},
      {5, 2, 2, Tally::kPending}, {5, 3, 2, Tally::kWon},     {5, 2, 3, Tally::kLost},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(tally_of(row.voters, row.yes, row.no), row.tally);
  }
  EXPECT_EQ(both(Tally::kWon, Tally::kWon), Tally::kWon);
  EXPECT_EQ(both(Tally::kWon, Tally::kPending), Tally::kPending);
  EXPECT_EQ(both(Tally::kLost, Tally::kPending), Tally::kLost);
  EXPECT_EQ(both(Tally::kPending, Tally::kLost), Tally::kLost);
}

TEST(quorum, any_two_quorums_of_neighbouring_configurations_meet) {
  // Every pair of majorities of {1..n} and of {1..n+1} shares a node: the ground of one-by-one
  // changes. Counted over all subsets.
  for (uint32_t n = 1; n <= 6; ++n) {
    for (uint32_t a = 0; a < (1u << n); ++a) {
      for (uint32_t b = 0; b < (1u << (n + 1)); ++b) {
        const auto size = [](uint32_t set) { return static_cast<size_t>(std::popcount(set)); };
        if (tally_of(n, size(a), 0) == Tally::kWon &&
            tally_of(n + 1, size(b), 0) == Tally::kWon) {
          ASSERT_NE(a & b, 0u);
        }
      }
    }
  }
}

// ---- progress ----------------------------------------------------------------------------------

TEST(progress, a_refusal_moves_next_to_where_the_logs_may_agree) {
  struct Row {
    const char* what;
    Flow flow;
    uint64_t match;
    uint64_t next;
    uint64_t previous;  // refused
    uint64_t hint;
    bool acted;
    uint64_t match_after;
    uint64_t next_after;
  };
  const Row rows[] = {
      {"probe, hint far back", Flow::kProbe, 0, 10, 9, 3, true, 0, 4},
      {"probe, hint at zero", Flow::kProbe, 0, 10, 9, 0, true, 0, 1},
      {"probe, an answer to an older probe", Flow::kProbe, 0, 5, 9, 3, false, 0, 5},
      {"probe, never below match", Flow::kProbe, 4, 10, 9, 4, true, 4, 5},
      {"replicate, a gap", Flow::kReplicate, 4, 10, 8, 6, true, 4, 7},
      {"replicate, the follower lost what it had", Flow::kReplicate, 6, 10, 8, 2, true, 2, 3},
      {"replicate, refused at match itself", Flow::kReplicate, 6, 10, 6, 6, true, 5, 6},
      {"snapshot, nothing to do", Flow::kSnapshot, 0, 10, 9, 3, false, 0, 10},
  };
  for (const Row& row : rows) {
    Progress peer;
    peer.flow = row.flow;
    peer.match = Index(row.match);
    peer.next = Index(row.next);
    EXPECT_EQ(peer.refuse(Index(row.previous), Index(row.hint)), row.acted) << row.what;
    EXPECT_EQ(peer.match.value(), row.match_after) << row.what;
    EXPECT_EQ(peer.next.value(), row.next_after) << row.what;
    if (row.acted) {
      EXPECT_EQ(peer.flow, Flow::kProbe) << row.what;
    }
  }
}

TEST(progress, an_answer_frees_the_window_up_to_its_index) {
  Options options;
  options.inflight_messages_max = 3;
  options.inflight_bytes_max = 100;
  Progress peer;
  peer.match = Index(1);
  peer.next = Index(2);
  peer.become_replicate();
  peer.sent(Index(3), 40);
  peer.sent(Index(5), 40);
  EXPECT_TRUE(peer.may_append(options));
  peer.sent(Index(6), 40);
  EXPECT_FALSE(peer.may_append(options));
  EXPECT_EQ(peer.next, Index(7));
  EXPECT_TRUE(peer.acknowledge(Index(5)));
  EXPECT_EQ(peer.inflight.messages(), 1u);
  EXPECT_EQ(peer.inflight.bytes(), 40u);
  EXPECT_TRUE(peer.may_append(options));
  EXPECT_FALSE(peer.acknowledge(Index(4)));
  EXPECT_EQ(peer.match, Index(5));
  EXPECT_TRUE(peer.acknowledge(Index(6)));
  EXPECT_EQ(peer.inflight.bytes(), 0u);
}

TEST(progress, a_probe_waits_for_its_answer_and_then_replicates) {
  Progress peer;
  peer.match = Index(0);
  peer.next = Index(5);
  EXPECT_TRUE(peer.may_append(Options()));
  peer.sent(Index(7), 10);
  EXPECT_FALSE(peer.may_append(Options()));
  EXPECT_EQ(peer.next, Index(5));
  EXPECT_TRUE(peer.acknowledge(Index(7)));
  EXPECT_EQ(peer.flow, Flow::kReplicate);
  EXPECT_EQ(peer.next, Index(8));
}

TEST(progress, a_long_pipeline_keeps_its_sums) {
  Inflight inflight;
  size_t bytes = 0;
  for (uint64_t i = 1; i <= 1000; ++i) {
    inflight.add(Index(i), i);
    bytes += i;
    if (i % 3 == 0) {
      inflight.free_through(Index(i - 2));
      bytes = (i - 1) + i;
    }
    ASSERT_EQ(inflight.bytes(), bytes);
  }
}

// ---- configurations ----------------------------------------------------------------------------

Change change(ChangeKind kind, uint32_t node) { return {kind, NodeId(node)}; }
constexpr ChangeKind kVoter = ChangeKind::kAddVoter;
constexpr ChangeKind kLearner = ChangeKind::kAddLearner;
constexpr ChangeKind kGone = ChangeKind::kRemove;
constexpr ChangeKind kWitness = ChangeKind::kAddWitness;

struct ConfigRow {
  const char* what;
  Config before;
  ConfigChange change;
  Code code;
  Config after;
};

Config make(const std::vector<uint32_t>& voters, const std::vector<uint32_t>& outgoing = {},
            const std::vector<uint32_t>& learners = {},
            const std::vector<uint32_t>& learners_next = {},
            const std::vector<uint32_t>& witnesses = {}) {
  return {nodes(voters), nodes(outgoing), nodes(learners), nodes(learners_next),
          nodes(witnesses)};
}

void check_rows(const std::vector<ConfigRow>& rows) {
  for (const ConfigRow& row : rows) {
    const Result<Config> after = apply_change(row.before, row.change);
    EXPECT_EQ(after.ok() ? Code::kOk : after.status().code(), row.code) << row.what;
    if (after.ok() && row.code == Code::kOk) {
      EXPECT_EQ(*after, row.after) << row.what;
      EXPECT_TRUE(well_formed(*after)) << row.what;
    }
  }
}

TEST(config_change, what_a_change_makes_of_a_configuration) {
  check_rows({
      {"one voter more", make({1, 2, 3}), {{change(kVoter, 4)}}, Code::kOk, make({1, 2, 3, 4})},
      {"one less", make({1, 2, 3}), {{change(kGone, 2)}}, Code::kOk, make({1, 3})},
      {"a learner", make({1}), {{change(kLearner, 2)}}, Code::kOk, make({1}, {}, {2})},
      {"promoted", make({1}, {}, {2}), {{change(kVoter, 2)}}, Code::kOk, make({1, 2})},
      {"demoted", make({1, 2}), {{change(kLearner, 2)}}, Code::kOk, make({1}, {}, {2})},
      {"learner gone", make({1}, {}, {2}), {{change(kGone, 2)}}, Code::kOk, make({1})},
      {"a witness", make({1, 2}), {{change(kWitness, 3)}}, Code::kOk,
       make({1, 2, 3}, {}, {}, {}, {3})},
      {"a witness gone", make({1, 2, 3}, {}, {}, {}, {3}), {{change(kGone, 3)}}, Code::kOk,
       make({1, 2})},
      {"two at once are joint", make({1, 2, 3}), {{change(kVoter, 4), change(kVoter, 5)}},
       Code::kOk, make({1, 2, 3, 4, 5}, {1, 2, 3})},
      {"a swap is joint", make({1, 2, 3}), {{change(kVoter, 4), change(kGone, 1)}}, Code::kOk,
       make({2, 3, 4}, {1, 2, 3})},
      {"joint on request", make({1}), {{change(kVoter, 2)}, true}, Code::kOk, make({1, 2}, {1})},
      {"a demotion waits for the end of joint", make({1, 2, 3}),
       {{change(kLearner, 3), change(kVoter, 4)}}, Code::kOk,
       make({1, 2, 4}, {1, 2, 3}, {}, {3})},
      {"a witness keeps its vote in the old half", make({1, 2, 3}, {}, {}, {}, {3}),
       {{change(kGone, 3), change(kVoter, 4)}}, Code::kOk,
       make({1, 2, 4}, {1, 2, 3}, {}, {}, {3})},
      {"leaving", make({1, 2, 4}, {1, 2, 3}, {}, {3}), {}, Code::kOk, make({1, 2, 4}, {}, {3})},
      {"leaving forgets old witnesses", make({1, 2, 4}, {1, 2, 3}, {}, {}, {3}), {}, Code::kOk,
       make({1, 2, 4})},
      {"founding", make({}), {{change(kVoter, 1), change(kVoter, 2)}}, Code::kOk, make({1, 2})},
  });
}

TEST(config_change, what_makes_no_sense_is_refused) {
  const Config joint = make({1, 2}, {1, 3});
  const Config witnessed = make({1, 2, 3}, {}, {}, {}, {3});
  check_rows({
      {"a voter again", make({1}), {{change(kVoter, 1)}}, Code::kAlreadyExists, {}},
      {"a learner again", make({1}, {}, {2}), {{change(kLearner, 2)}}, Code::kAlreadyExists, {}},
      {"a stranger gone", make({1}), {{change(kGone, 9)}}, Code::kNotFound, {}},
      {"the last voter", make({1}), {{change(kGone, 1)}}, Code::kInvalidArgument, {}},
      {"only witnesses", make({1}), {{change(kWitness, 2), change(kGone, 1)}},
       Code::kInvalidArgument, {}},
      {"twice the same", make({1}), {{change(kVoter, 2), change(kGone, 2)}},
       Code::kInvalidArgument, {}},
      {"voter to witness", make({1, 2}), {{change(kWitness, 2)}}, Code::kInvalidArgument, {}},
      {"witness to voter", witnessed, {{change(kVoter, 3)}}, Code::kInvalidArgument, {}},
      {"witness to learner", witnessed, {{change(kLearner, 3)}}, Code::kInvalidArgument, {}},
      {"nobody", make({1}), {{change(kVoter, 0)}}, Code::kInvalidArgument, {}},
      {"while joint", joint, {{change(kVoter, 4)}}, Code::kPreconditionFailed, {}},
      {"leaving what is not joint", make({1}), {}, Code::kPreconditionFailed, {}},
      {"too many", make({1, 2, 3, 4, 5, 6, 7, 8, 9}), {{change(kVoter, 10)}}, Code::kTooLarge, {}},
  });
}

Entry config_entry(uint64_t index, const ConfigChange& change) {
  return {Index(index), Term(1), EntryKind::kConfig, Stamp(), Buffer::take(encode(change))};
}

TEST(configs, the_newest_is_in_effect_and_goes_with_its_entry) {
  Configs configs(Index(0), make({1}));
  configs.add(config_entry(3, {{change(kVoter, 2)}}));
  configs.add(config_entry(5, {{change(kVoter, 3)}}));
  EXPECT_EQ(configs.newest(), make({1, 2, 3}));
  EXPECT_EQ(configs.at(Index(4)), make({1, 2}));
  EXPECT_EQ(configs.at(Index(2)), make({1}));
  EXPECT_FALSE(configs.truncate(Index(5)));
  EXPECT_TRUE(configs.truncate(Index(4)));
  EXPECT_EQ(configs.newest(), make({1, 2}));
  EXPECT_EQ(configs.newest_index(), Index(3));
  configs.compact(Index(4));
  EXPECT_EQ(configs.at(Index(4)), make({1, 2}));
  EXPECT_FALSE(configs.truncate(Index(4)));
}

TEST(configs, an_entry_found_again_takes_its_place_in_the_middle) {
  Configs configs(Index(0), make({1}));
  configs.add(config_entry(5, {{change(kVoter, 3)}}));
  EXPECT_EQ(configs.newest(), make({1, 3}));
  configs.add(config_entry(3, {{change(kVoter, 2)}}));
  EXPECT_EQ(configs.newest(), make({1, 2, 3}));
  configs.add(config_entry(3, {{change(kVoter, 2)}}));
  EXPECT_EQ(configs.newest(), make({1, 2, 3}));
}

TEST(configs, an_entry_that_states_its_result_needs_no_history) {
  Configs configs(Index(0), Config());
  Entry entry = config_entry(7, {});
  entry.payload = Buffer::take(encode({{change(kVoter, 4)}}, make({1, 2, 3, 4})));
  configs.add(entry);
  EXPECT_EQ(configs.newest(), make({1, 2, 3, 4}));
}

TEST(configs, a_payload_that_does_not_decode_changes_nothing) {
  Configs configs(Index(0), make({1}));
  Entry entry = config_entry(1, {});
  entry.payload = Buffer::copy("\x07garbage");
  configs.add(entry);
  EXPECT_EQ(configs.newest(), make({1}));
}

// ---- reads -------------------------------------------------------------------------------------

TEST(rounds, grow_even_within_one_instant_and_never_claim_to_be_later_than_they_were) {
  Rounds rounds;
  const Instant now = Instant::from_nanos(5000);
  const uint64_t first = rounds.begin(now);
  const uint64_t second = rounds.begin(now);
  const uint64_t third = rounds.begin(Instant::from_nanos(4000));
  EXPECT_LT(first, second);
  EXPECT_LT(second, third);
  EXPECT_LE(rounds.sent_at(second), now);
  EXPECT_LE(rounds.sent_at(third), Instant::from_nanos(4000));
}

TEST(read_queue, a_read_is_confirmed_by_its_own_round_or_a_later_one) {
  ReadQueue queue;
  EXPECT_TRUE(queue.add(1, NodeId(), Index(5)));
  EXPECT_TRUE(queue.wants_round());
  queue.assign(10);
  EXPECT_TRUE(queue.add(2, NodeId(), Index(6)));
  EXPECT_TRUE(queue.confirmed(9).empty());
  EXPECT_EQ(queue.confirmed(10).size(), 1u);
  EXPECT_TRUE(queue.confirmed(100).empty()) << "it has no round yet";
  queue.assign(20);
  const std::vector<PendingRead> done = queue.confirmed(30);
  ASSERT_EQ(done.size(), 1u);
  EXPECT_EQ(done.front().context, 2u);
  EXPECT_TRUE(queue.empty());
}

TEST(read_queue, a_read_asked_again_is_no_longer_answered_for_the_first_time) {
  ReadQueue queue;
  EXPECT_TRUE(queue.add(1, NodeId(), Index(5)));
  queue.assign(10);
  queue.forget(1);
  EXPECT_TRUE(queue.add(1, NodeId(), Index(8)));
  queue.forget(9);
  queue.assign(11);
  const std::vector<PendingRead> done = queue.confirmed(11);
  ASSERT_EQ(done.size(), 1u);
  EXPECT_EQ(done.front().index, Index(8));
}

}  // namespace
}  // namespace quorate::raft
