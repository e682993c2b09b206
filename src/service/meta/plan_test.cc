// SPDX-License-Identifier: Apache-2.0
// The planner by table, and by every combination of small groups against the rules of plan.h.
#include "service/meta/plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace quorate::service::meta {
namespace {

std::vector<NodeId> nodes(const std::string& digits) {
  std::vector<NodeId> out;
  for (const char digit : digits) {
    out.emplace_back(static_cast<uint32_t>(digit - '0'));
  }
  return out;
}

std::vector<Replica> voters(const std::string& digits, const std::string& witnesses = "") {
  std::vector<Replica> out;
  for (const NodeId node : nodes(digits)) {
    out.push_back({node, contains(nodes(witnesses), node) ? Role::kWitness : Role::kVoter});
  }
  return out;
}

std::string say(const Step& step) {
  std::string out;
  if (step.kind == StepKind::kTransfer) {
    out = "transfer " + std::to_string(step.target.value()) + " ";
  }
  for (const MemberChange& change : step.changes) {
    constexpr const char* kVerbs[] = {"", "voter ", "learner ", "remove ", "witness "};
    out += kVerbs[static_cast<int>(change.kind)] + std::to_string(change.node.value()) + " ";
  }
  return out + "(" + std::string(name_of(step.reason)) + ")";
}

struct PlanRow {
  const char* what;
  std::string wanted;
  std::string voters;
  std::string learners;
  int leader;
  std::string live;  // besides the leader
  std::string caught;
  std::string expected;
};

LeaderView view_of(const PlanRow& row) {
  LeaderView view;
  view.self = NodeId(static_cast<uint32_t>(row.leader));
  view.config.voters = nodes(row.voters);
  view.config.learners = nodes(row.learners);
  view.settled = true;
  view.has_turn = true;
  view.may_balance = true;
  for (const NodeId node : nodes(row.live)) {
    view.peers.push_back({node, true, contains(nodes(row.caught), node)});
  }
  return view;
}

TEST(plan, one_step_at_a_time) {
  const PlanRow rows[] = {
      {"nothing to do", "123", "123", "", 1, "23", "23", "(as_wanted)"},
      {"a new node learns first", "124", "123", "", 1, "234", "23", "learner 4 (learners)"},
      {"until it has caught up", "124", "123", "4", 1, "234", "23", "(catching_up)"},
      {"then both at once", "124", "123", "4", 1, "234", "234", "voter 4 remove 3 (swap)"},
      {"a dead node is not even invited", "124", "123", "", 1, "23", "23", "(target_down)"},
      {"nor waited for once it learns", "1245", "123", "45", 1, "235", "235", "voter 5 (swap)"},
      {"two catch up: one change for both", "1245", "1239", "45", 1, "23459", "2359",
       "(catching_up)"},
      {"both", "1245", "1239", "45", 1, "23459", "23459",
       "voter 4 voter 5 remove 3 remove 9 (swap)"},
      {"a leader that is to go hands over first", "234", "123", "4", 1, "234", "234",
       "transfer 2 (hand_over)"},
      {"to one that has caught up", "234", "123", "4", 1, "234", "34", "transfer 3 (hand_over)"},
      {"nobody can take over yet", "23", "123", "", 1, "23", "", "(nobody_to_lead)"},
      {"the only voter makes room first", "2", "1", "2", 1, "2", "2", "voter 2 (swap)"},
      {"all are exchanged, the leader last", "456", "123", "456", 1, "23456", "23456",
       "voter 4 voter 5 voter 6 remove 2 remove 3 (swap)"},
      {"a dead member goes first", "145", "123", "4", 1, "24", "24", "voter 4 remove 3 (swap)"},
      {"fewer replicas", "123", "12345", "", 1, "2345", "2345", "remove 4 remove 5 (swap)"},
      {"not if those that stay are down", "123", "12345", "", 1, "45", "45", "(no_quorum)"},
      {"more replicas", "12345", "123", "45", 1, "2345", "2345", "voter 4 voter 5 (swap)"},
      {"a learner that nobody wants goes", "123", "123", "7", 1, "23", "23", "remove 7 (learners)"},
      {"in one change with one that comes", "124", "123", "7", 1, "234", "234",
       "learner 4 remove 7 (learners)"},
  };
  for (const PlanRow& row : rows) {
    Group group;
    group.id = GroupId(1);
    group.wanted = voters(row.wanted);
    EXPECT_EQ(say(next_step(group, view_of(row))), row.expected) << row.what;
  }
}

TEST(plan, leadership_moves_to_the_preferred_one_only_when_it_can_and_may) {
  Group group;
  group.id = GroupId(1);
  group.wanted = voters("123");
  group.preferred = NodeId(3);
  const PlanRow row{"", "123", "123", "", 1, "23", "23", ""};
  LeaderView view = view_of(row);
  EXPECT_EQ(say(next_step(group, view)), "transfer 3 (balance)");
  view.may_balance = false;
  EXPECT_EQ(say(next_step(group, view)), "(as_wanted)");
  view.may_balance = true;
  view.peers[1].caught_up = false;
  EXPECT_EQ(say(next_step(group, view)), "(as_wanted)");
  view.peers[1] = {NodeId(3), true, true};
  view.config.witnesses = nodes("3");
  EXPECT_EQ(say(next_step(group, view)), "(as_wanted)") << "a witness never leads";
  view.config.witnesses.clear();
  view.self = NodeId(3);
  EXPECT_EQ(say(next_step(group, view)), "(as_wanted)");
}

TEST(plan, without_its_turn_a_group_invites_nobody_but_finishes_what_it_began) {
  Group group;
  group.id = GroupId(1);
  group.wanted = voters("124");
  LeaderView view = view_of({"", "", "123", "", 1, "234", "234", ""});
  view.has_turn = false;
  EXPECT_EQ(say(next_step(group, view)), "(no_turn)");
  view.config.learners = nodes("4");
  EXPECT_EQ(say(next_step(group, view)), "voter 4 remove 3 (swap)");
  view.settled = false;
  EXPECT_EQ(say(next_step(group, view)), "(changing)");
}

TEST(plan, a_witness_enters_as_one) {
  Group group;
  group.id = GroupId(1);
  group.wanted = voters("124", "4");
  EXPECT_EQ(say(next_step(group, view_of({"", "", "123", "4", 1, "234", "234", ""}))),
            "witness 4 remove 3 (swap)");
}

TEST(plan, in_the_meta_group_all_others_learn_and_a_voter_that_yields_stays_as_learner) {
  Group group;
  group.id = kMetaGroup;
  group.wanted = voters("123");
  group.learners = nodes("45");
  EXPECT_EQ(say(next_step(group, view_of({"", "", "123", "", 1, "2345", "23", ""}))),
            "learner 4 learner 5 (learners)");
  EXPECT_EQ(say(next_step(group, view_of({"", "", "1234", "5", 1, "2345", "2345", ""}))),
            "learner 4 (swap)");
}

TEST(plan, a_wanted_learner_that_does_not_answer_yet_is_waited_for) {
  Group group;
  group.id = kMetaGroup;
  group.wanted = voters("123");
  group.learners = nodes("4");
  EXPECT_EQ(say(next_step(group, view_of({"", "", "123", "", 1, "23", "23", ""}))),
            "(target_down)");
  EXPECT_EQ(say(next_step(group, view_of({"", "", "123", "", 1, "234", "23", ""}))),
            "learner 4 (learners)");
  EXPECT_EQ(say(next_step(group, view_of({"", "", "123", "4", 1, "23", "23", ""}))), "(as_wanted)");
}

// ---- every combination --------------------------------------------------------------------------

constexpr int kNodes = 4;
constexpr int kPerNode = 18;  // 3 in the configuration x 2 wanted x 3 of health

struct Combination {
  Group group;
  LeaderView view;
};

Combination combination(int number, uint32_t leader) {
  Combination made;
  made.group.id = GroupId(1);
  made.view.self = NodeId(leader);
  made.view.settled = true;
  made.view.has_turn = true;
  for (uint32_t n = 1; n <= kNodes; ++n, number /= kPerNode) {
    const int code = number % kPerNode;
    const NodeId node(n);
    if (code % 3 == 1) {
      made.view.config.learners.push_back(node);
    } else if (code % 3 == 2) {
      made.view.config.voters.push_back(node);
    }
    if ((code / 3) % 2 == 1) {
      made.group.wanted.push_back({node, Role::kVoter});
    }
    if (n != leader) {
      made.view.peers.push_back({node, code / 6 > 0, code / 6 > 1});
    }
  }
  return made;
}

bool is_live(const LeaderView& view, NodeId node, bool caught) {
  return node == view.self ||
         std::any_of(view.peers.begin(), view.peers.end(), [&](const PeerState& peer) {
           return peer.node == node && peer.live && (peer.caught_up || !caught);
         });
}

bool quorum_lives(const LeaderView& view, const std::vector<NodeId>& voters) {
  const auto live = std::count_if(voters.begin(), voters.end(),
                                  [&](NodeId node) { return is_live(view, node, false); });
  return static_cast<size_t>(live) > voters.size() / 2;
}

void check_rules(const Combination& made, const Step& step) {
  const Members& old = made.view.config;
  std::vector<NodeId> after = old.voters;
  for (const MemberChange& change : step.changes) {
    if (change.kind == MemberKind::kVoter) {
      ASSERT_TRUE(contains(old.learners, change.node)) << "nobody votes before it has learnt";
      ASSERT_TRUE(is_live(made.view, change.node, true)) << "nor before it has caught up";
      ASSERT_NE(find_replica(made.group.wanted, change.node), nullptr);
      after.push_back(change.node);
    } else if (change.kind == MemberKind::kRemove) {
      ASSERT_NE(change.node, made.view.self) << "who leads does not leave";
      ASSERT_EQ(find_replica(made.group.wanted, change.node), nullptr);
      std::erase(after, change.node);
    }
  }
  if (after != old.voters) {
    ASSERT_TRUE(quorum_lives(made.view, old.voters) && quorum_lives(made.view, after));
    ASSERT_GE(after.size(), std::min(old.voters.size(), made.group.wanted.size()));
  }
  if (step.kind == StepKind::kTransfer) {
    ASSERT_TRUE(contains(old.voters, step.target) && is_live(made.view, step.target, true));
  }
}

TEST(plan, every_combination_of_four_nodes_keeps_the_rules) {
  int total = 1;
  for (int n = 0; n < kNodes; ++n) {
    total *= kPerNode;
  }
  int changes = 0;
  int stuck = 0;
  for (int number = 0; number < total; ++number) {
    for (uint32_t leader = 1; leader <= kNodes; ++leader) {
      const Combination made = combination(number, leader);
      if (!contains(made.view.config.voters, made.view.self) || made.group.wanted.empty()) {
        continue;
      }
      const Step step = next_step(made.group, made.view);
      check_rules(made, step);
      if (HasFatalFailure()) {
        FAIL() << number << " " << leader;
      }
      changes += step.kind == StepKind::kNone ? 0 : 1;
      // With everybody well there is always a next step until all is as wanted.
      const bool well = std::all_of(made.view.peers.begin(), made.view.peers.end(),
                                    [](const PeerState& peer) { return peer.caught_up; });
      stuck += well && step.kind == StepKind::kNone && step.reason != Reason::kAsWanted ? 1 : 0;
    }
  }
  EXPECT_GT(changes, 10'000);
  EXPECT_EQ(stuck, 0);
}

// ---- turns, replicas ----------------------------------------------------------------------------

Group moving(uint32_t id, const std::string& wanted, const std::string& has) {
  Group group;
  group.id = GroupId(id);
  group.wanted = voters(wanted);
  group.reported = {Term(1), NodeId(1), Index(10), {nodes(has), {}, {}, {}}};
  return group;
}

Map map_of(uint32_t node_count, std::vector<Group> groups) {
  Map map;
  for (uint32_t n = 1; n <= node_count; ++n) {
    Node node;
    node.id = NodeId(n);
    node.state = NodeState::kActive;
    map.nodes.push_back(node);
  }
  map.groups.push_back(moving(0, "123", "123"));
  map.groups.insert(map.groups.end(), groups.begin(), groups.end());
  return map;
}

std::vector<GroupId> groups(std::vector<uint32_t> numbers) {
  std::vector<GroupId> out;
  for (const uint32_t number : numbers) {
    out.emplace_back(number);
  }
  return out;
}

TEST(plan, turns_go_to_the_first_groups_that_load_no_node_beyond_the_limit) {
  Map map = map_of(6, {moving(1, "124", "123"), moving(2, "134", "123"), moving(3, "123", "123"),
                       moving(4, "125", "126"), moving(5, "234", "123")});
  EXPECT_EQ(turns(map, 1), groups({0, 1, 4})) << "2 and 5 would load node 4 too";
  EXPECT_EQ(turns(map, 2), groups({0, 1, 2, 4}));
  EXPECT_EQ(turns(map, 9), groups({0, 1, 2, 4, 5}));
}

TEST(plan, a_group_that_cannot_move_holds_up_nobody) {
  Map map = map_of(6, {moving(1, "124", "123"), moving(2, "134", "135")});
  map.node(NodeId(2))->dead = true;
  map.node(NodeId(3))->dead = true;
  EXPECT_EQ(turns(map, 1), groups({0, 2})) << "1 has lost its majority";
  map.node(NodeId(2))->dead = false;
  EXPECT_EQ(turns(map, 1), groups({0, 1}));
  map.node(NodeId(4))->dead = true;
  EXPECT_EQ(turns(map, 1), groups({0})) << "the target is dead";
}

TEST(plan, a_replica_is_created_where_it_is_wanted_and_destroyed_where_the_group_let_it_go) {
  Group unreported = moving(4, "124", "");
  unreported.reported = Reported();
  unreported.birth = voters("126");
  const Map map = map_of(
      6, {moving(1, "124", "123"), moving(2, "124", "124"), moving(3, "123", "126"), unreported});
  const auto work = [&](uint32_t node, const std::vector<LocalReplica>& local) {
    return replica_work(map, NodeId(node), local);
  };
  EXPECT_EQ(work(4, {}).create, groups({1, 2, 4}));
  EXPECT_EQ(work(6, {}).create, groups({3, 4})) << "named by the last configuration, or by birth";
  // Node 3: group 1 still names it; group 2 does not; of group 4 nothing is known.
  const auto local = [](uint32_t index) {
    return std::vector<LocalReplica>{{GroupId(0), Index(1)},
                                     {GroupId(1), Index(1)},
                                     {GroupId(2), Index(index)},
                                     {GroupId(3), Index(1)},
                                     {GroupId(4), Index(1)}};
  };
  EXPECT_EQ(work(3, local(10)).destroy, groups({2}));
  EXPECT_EQ(work(3, local(11)).destroy, groups({})) << "it knows better than the report";
  EXPECT_EQ(work(5, local(1)).destroy, groups({1, 2, 3})) << "never the meta group";
}

}  // namespace
}  // namespace quorate::service::meta
