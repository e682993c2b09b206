// SPDX-License-Identifier: Apache-2.0
// The known traps of the protocol, one test each, named by what must hold. The stories in testdata
// tell them at length; here each stands alone, as short as it can be. With QUORATE_MUTANT in the
// environment of a mutants build, the trap that the mutant falls into must spring.
#include <gtest/gtest.h>

#include <algorithm>

#include "raft/cluster_test.h"

namespace quorate::raft::testing {
namespace {

class traps : public ::testing::Test {
 protected:
  void SetUp() override {
    choose_mutant();
    build(3);
  }

  void build(uint32_t count, size_t append_bytes_max = 1 << 20) {
    cluster_ = std::make_unique<Cluster>();
    Config config;
    for (uint32_t id = 1; id <= count; ++id) {
      config.voters.push_back(NodeId(id));
    }
    for (uint32_t id = 1; id <= count; ++id) {
      Options options;
      options.id = NodeId(id);
      options.append_bytes_max = append_bytes_max;
      cluster_->add(options, config);
      cluster_->start(id);
    }
    node(1).campaign(cluster_->now);
    cluster_->drain(1);
    run(60);
  }

  Node& node(uint32_t id) { return cluster_->node(id); }
  void run(int64_t millis) {
    cluster_->settle();
    cluster_->advance(Duration::millis(millis), true);
  }
  // Time passes and every message is lost.
  void pause(int64_t millis) {
    cluster_->advance(Duration::millis(millis), false);
    cluster_->network.clear();
  }
  void propose(uint32_t id, const std::string& word) {
    ASSERT_TRUE(
        node(id).propose(EntryKind::kCommand, Stamp(), Buffer::copy(word), cluster_->now).ok());
    cluster_->drain(id);
  }
  void campaign(uint32_t id) {
    node(id).campaign(cluster_->now);
    cluster_->drain(id);
  }
  void isolate(uint32_t id) {
    for (const auto& [other, replica] : cluster_->replicas) {
      cluster_->cuts.insert({id, other});
      cluster_->cuts.insert({other, id});
    }
  }
  // 1 is down, 2 has lost an entry, 3 has it no more than in its snapshot.
  void leave_with_a_hole(uint64_t lost) {
    cluster_->take_snapshot(3, Index(lost));
    cluster_->crash(1);
    cluster_->crash(2);
    cluster_->at(2).durable.lost = {lost};
    cluster_->start(2);
    pause(310);
  }
  // Delivers what is on one link now.
  void deliver(uint32_t from, uint32_t to, size_t count = 1000) {
    std::deque<Message> others;
    std::deque<Message> chosen;
    for (Message& message : cluster_->network) {
      const bool match = message.from == NodeId(from) && message.to == NodeId(to);
      (match && chosen.size() < count ? chosen : others).push_back(std::move(message));
    }
    cluster_->network = std::move(others);
    for (Message& message : chosen) {
      cluster_->deliver(std::move(message));
    }
  }
  bool on_the_way(MessageKind kind) {
    return std::any_of(cluster_->network.begin(), cluster_->network.end(),
                       [&](const Message& message) { return message.kind == kind; });
  }

  std::unique_ptr<Cluster> cluster_;
};

TEST_F(traps, a_leader_keeps_in_memory_what_a_follower_lacks_and_little_else) {
  const std::string word(1'000, 'w');
  const size_t most = Options().cached_bytes_max;
  for (size_t bytes = 0; bytes < most; bytes += word.size()) {
    propose(1, word);
    cluster_->settle();
  }
  EXPECT_LE(node(1).cached_bytes(), most / 16);
  isolate(3);
  for (size_t bytes = 0; bytes < most / 2; bytes += word.size()) {
    propose(1, word);
    cluster_->settle();
  }
  EXPECT_GE(node(1).cached_bytes(), most / 2);
  EXPECT_LE(node(2).cached_bytes(), most / 16) << "a follower has nobody to send them to";
  for (size_t bytes = 0; bytes < most; bytes += word.size()) {
    propose(1, word);
    cluster_->settle();
  }
  EXPECT_LE(node(1).cached_bytes(), most);
  cluster_->cuts.clear();
  run(1'000);
  EXPECT_EQ(node(1).commit(), node(3).commit());
  propose(1, word);
  run(60);
  EXPECT_LE(node(1).cached_bytes(), most / 16);
}

TEST_F(traps, a_retried_read_index_never_answers_with_a_stale_one) {
  std::vector<ReadReady> answers;
  cluster_->on_read = [&](uint32_t, const ReadReady& read) { answers.push_back(read); };
  propose(1, "newer");
  ASSERT_TRUE(node(1).read(9, ReadKind::kQuorum, cluster_->now).ok());
  cluster_->drain(1);
  deliver(1, 2, 1);  // the append of before the read; the read's own round is lost
  cluster_->network.erase(
      std::remove_if(cluster_->network.begin(), cluster_->network.end(),
                     [](const Message& message) { return message.from == NodeId(1); }),
      cluster_->network.end());
  cluster_->settle();
  const Index committed = node(1).commit();
  ASSERT_EQ(committed, Index(2));
  ASSERT_TRUE(node(1).read(9, ReadKind::kQuorum, cluster_->now).ok());
  cluster_->drain(1);
  cluster_->settle();
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers.front().index, committed);
}

TEST_F(traps, a_vote_is_not_given_before_it_is_durable) {
  cluster_->crash(1);
  pause(310);
  cluster_->auto_persist = false;
  campaign(2);
  deliver(2, 3);
  deliver(3, 2);
  EXPECT_FALSE(on_the_way(MessageKind::kVote)) << "the candidate's own vote is not durable";
  cluster_->persist(2);
  deliver(2, 3);
  EXPECT_FALSE(on_the_way(MessageKind::kVoteAnswer));
  cluster_->persist(3);
  EXPECT_TRUE(on_the_way(MessageKind::kVoteAnswer));
}

TEST_F(traps, a_partially_sent_batch_counts_only_as_far_as_it_came) {
  build(3, 100);
  isolate(3);
  for (const char* word : {"a", "b", "c"}) {
    ASSERT_TRUE(
        node(1).propose(EntryKind::kCommand, Stamp(), Buffer::copy(word), cluster_->now).ok());
  }
  cluster_->drain(1);
  deliver(1, 2, 1);
  deliver(2, 1);
  EXPECT_EQ(node(1).commit(), Index(2));
  EXPECT_EQ(node(1).last_index(), Index(4));
}

TEST_F(traps, a_change_by_a_deposed_leader_and_one_by_its_successor_make_no_two_majorities) {
  build(4);
  isolate(1);
  ConfigChange change;
  change.changes = {{ChangeKind::kRemove, NodeId(4)}};
  ASSERT_TRUE(node(1).propose_config(change, Stamp(), cluster_->now).ok());
  cluster_->drain(1);
  cluster_->network.clear();
  pause(310);
  campaign(2);
  cluster_->settle();
  ASSERT_EQ(node(2).role(), Role::kLeader);
  change.changes = {{ChangeKind::kRemove, NodeId(1)}};
  ASSERT_TRUE(node(2).propose_config(change, Stamp(), cluster_->now).ok());
  cluster_->drain(2);
  cluster_->settle();
  EXPECT_EQ(node(2).commit(), node(2).last_index());
  EXPECT_EQ(node(2).config().voters, (std::vector{NodeId(2), NodeId(3), NodeId(4)}));
  EXPECT_EQ(node(1).commit(), Index(1)) << "its change went nowhere";
}

TEST_F(traps, a_new_leader_changes_nothing_before_it_committed_something_of_its_own) {
  cluster_->crash(1);
  pause(310);
  campaign(2);
  deliver(2, 3);
  deliver(3, 2);
  deliver(2, 3);
  deliver(3, 2);
  ASSERT_EQ(node(2).role(), Role::kLeader);
  ConfigChange change;
  change.changes = {{ChangeKind::kRemove, NodeId(1)}};
  EXPECT_EQ(node(2).propose_config(change, Stamp(), cluster_->now).status().code(),
            Code::kUnavailable);
}

TEST_F(traps, a_lease_does_not_outlive_the_pause_of_its_leader) {
  ASSERT_TRUE(node(1).lease_read(cluster_->now).has_value());
  isolate(1);
  cluster_->now = cluster_->now + Duration::millis(200);  // it does not even tick
  campaign(2);
  cluster_->settle();
  ASSERT_EQ(node(2).role(), Role::kLeader);
  ASSERT_EQ(node(1).role(), Role::kLeader);
  EXPECT_FALSE(node(1).lease_read(cluster_->now).has_value());
}

TEST_F(traps, a_lease_ends_when_leadership_is_handed_over) {
  ASSERT_TRUE(node(1).lease_read(cluster_->now).has_value());
  ASSERT_TRUE(node(1).transfer_leadership(NodeId(2), cluster_->now).ok());
  EXPECT_FALSE(node(1).lease_read(cluster_->now).has_value());
}

TEST_F(traps, a_replica_that_extended_a_lease_stays_loyal_through_a_restart) {
  cluster_->cuts = {{1, 3}, {3, 1}};
  run(160);
  cluster_->crash(2);
  cluster_->start(2);
  isolate(1);
  campaign(3);
  cluster_->settle();
  EXPECT_TRUE(node(1).lease_read(cluster_->now).has_value());
  EXPECT_NE(node(3).role(), Role::kLeader);
}

TEST_F(traps, a_snapshot_does_not_race_an_append) {
  isolate(3);
  for (const char* word : {"a", "b"}) {
    propose(1, word);
  }
  run(20);
  cluster_->take_snapshot(1, node(1).applied());
  cluster_->cuts.clear();
  cluster_->auto_io = false;
  node(1).on_link(NodeId(3), true, cluster_->now);
  cluster_->drain(1);
  deliver(1, 3);
  deliver(3, 1);
  ASSERT_TRUE(cluster_->io_one(1));
  cluster_->drain(1);
  deliver(1, 3);
  // The last piece is with the owner; a new leader, which has all entries, appends meanwhile.
  ASSERT_TRUE(node(1).transfer_leadership(NodeId(2), cluster_->now).ok());
  cluster_->drain(1);
  cluster_->settle();
  ASSERT_EQ(node(2).role(), Role::kLeader);
  run(60);
  EXPECT_EQ(cluster_->at(3).machine.applied, Index(1)) << "nothing is applied meanwhile";
  ASSERT_TRUE(cluster_->io_one(3));
  cluster_->auto_io = true;
  cluster_->drain(3);
  run(200);
  EXPECT_EQ(cluster_->at(3).machine.words, cluster_->at(2).machine.words);
}

TEST_F(traps, an_entry_of_an_older_term_is_not_committed_by_counting) {
  build(5, 100);
  propose(1, "two");
  deliver(1, 2);
  cluster_->network.clear();
  cluster_->crash(1);
  cluster_->start(1);
  pause(310);
  isolate(4);
  isolate(5);
  campaign(2);
  for (int round = 0; round < 2; ++round) {
    for (const uint32_t other : {1u, 3u}) {
      deliver(2, other);
    }
    for (const uint32_t other : {1u, 3u}) {
      deliver(other, 2);
    }
  }
  ASSERT_EQ(node(2).role(), Role::kLeader);
  deliver(2, 1);  // replica 1 has the old entry and takes the new one
  deliver(1, 2);
  // Replica 3 is asked where the logs part, then gets the old entry, and only that.
  deliver(2, 3);
  deliver(3, 2);
  deliver(2, 3, 1);
  deliver(3, 2);
  ASSERT_EQ(node(3).last_index(), Index(2));
  EXPECT_EQ(node(2).commit(), Index(1)) << "three of five have entry 2, of term 1";
  cluster_->settle();
  EXPECT_EQ(node(2).commit(), Index(3));
}

TEST_F(traps, an_acknowledgement_of_a_replaced_entry_is_not_one_of_its_successor) {
  isolate(1);
  cluster_->slow.insert(1);
  propose(1, "old");
  cluster_->network.clear();
  pause(200);
  cluster_->cuts.clear();
  campaign(2);
  cluster_->settle();
  ASSERT_EQ(node(2).role(), Role::kLeader);
  ASSERT_EQ(node(1).term_at(Index(2)), node(2).term());
  ASSERT_TRUE(cluster_->persist_one(1));
  cluster_->drain(1);
  EXPECT_FALSE(on_the_way(MessageKind::kAppendAnswer)) << "that was the old entry's completion";
  while (cluster_->persist_one(1)) {
    cluster_->drain(1);
  }
  EXPECT_TRUE(on_the_way(MessageKind::kAppendAnswer));
}

// Entry 2 is lost on replica 2, and the only peer that is up has it in its snapshot alone.
TEST_F(traps, a_replica_whose_last_entry_is_lost_neither_votes_nor_stands) {
  propose(1, "a");
  run(60);
  leave_with_a_hole(2);
  campaign(3);
  cluster_->settle();
  EXPECT_NE(node(3).role(), Role::kLeader);
  campaign(2);
  EXPECT_EQ(node(2).role(), Role::kFollower);
}

TEST_F(traps, a_replica_with_a_hole_before_its_end_votes_for_a_log_as_long_and_does_not_stand) {
  propose(1, "a");
  propose(1, "b");
  run(60);
  leave_with_a_hole(2);
  campaign(2);
  EXPECT_EQ(node(2).role(), Role::kFollower);
  campaign(3);
  cluster_->settle();
  EXPECT_EQ(node(3).role(), Role::kLeader);
}

TEST_F(traps, a_replica_with_a_hole_does_not_vote_for_a_log_that_ends_before_its_own) {
  propose(1, "a");
  run(60);
  isolate(3);
  propose(1, "b");
  run(20);
  cluster_->cuts.clear();
  leave_with_a_hole(2);
  campaign(3);
  cluster_->settle();
  EXPECT_NE(node(3).role(), Role::kLeader) << "b was acknowledged, and only 2 has it";
}

}  // namespace
}  // namespace quorate::raft::testing
