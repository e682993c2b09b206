// SPDX-License-Identifier: Apache-2.0
// Placement in figures: how many replicas and leaders move, and how even the result is.
#include "service/meta/placement.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/prng.h"

namespace quorate::service::meta {
namespace {

PlacementRules rules_for(std::vector<uint32_t> nodes, uint32_t replication = 3, uint64_t seed = 1) {
  PlacementRules rules;
  rules.seed = seed;
  rules.replication = replication;
  for (const uint32_t node : nodes) {
    rules.nodes.push_back({NodeId(node), kWeightDefault, true});
  }
  return rules;
}

std::vector<uint32_t> first(uint32_t count) {
  std::vector<uint32_t> nodes;
  for (uint32_t node = 1; node <= count; ++node) {
    nodes.push_back(node);
  }
  return nodes;
}

std::map<uint32_t, int> loads(const PlacementRules& rules, const Placement& placement) {
  std::map<uint32_t, int> count;
  for (const Candidate& node : rules.nodes) {
    count[node.node.value()] = 0;
  }
  for (const auto& group : placement) {
    for (const Replica& replica : group) {
      ++count[replica.node.value()];
    }
  }
  return count;
}

std::map<uint32_t, int> loads(const PlacementRules& rules, const std::vector<NodeId>& leaders) {
  std::map<uint32_t, int> count;
  for (const Candidate& node : rules.nodes) {
    if (node.may_lead) {
      count[node.node.value()] = 0;
    }
  }
  for (const NodeId leader : leaders) {
    ++count[leader.value()];
  }
  return count;
}

int spread(const std::map<uint32_t, int>& count) {
  int least = count.begin()->second;
  int most = least;
  for (const auto& [node, load] : count) {
    least = std::min(least, load);
    most = std::max(most, load);
  }
  return most - least;
}

// Replicas that are somewhere where they were not before.
int moved(const Placement& before, const Placement& after) {
  int count = 0;
  for (size_t group = 0; group < after.size(); ++group) {
    for (const Replica& replica : after[group]) {
      count += group < before.size() && find_replica(before[group], replica.node) ? 0 : 1;
    }
  }
  return count;
}

int moved(const std::vector<NodeId>& before, const std::vector<NodeId>& after) {
  int count = 0;
  for (size_t group = 0; group < after.size(); ++group) {
    count += before[group] == after[group] ? 0 : 1;
  }
  return count;
}

void check(const PlacementRules& rules, const Placement& placement) {
  for (const auto& group : placement) {
    ASSERT_EQ(group.size(), std::min<size_t>(rules.replication, rules.nodes.size()));
    for (size_t i = 1; i < group.size(); ++i) {
      ASSERT_LT(group[i - 1].node, group[i].node) << "sorted, each node once";
    }
  }
}

struct ChangeRow {
  const char* what;
  uint32_t groups;
  std::vector<uint32_t> before;
  std::vector<uint32_t> after;
  int replicas_moved;  // the least that can be: the share of who came, or of who left
  int spread;          // most replicas on a node less the fewest
  int leaders_spread;
};

TEST(placement, a_change_of_nodes_moves_only_their_share_and_leaves_an_even_spread) {
  const ChangeRow rows[] = {
      {"3 -> 4", 12, {1, 2, 3}, {1, 2, 3, 4}, 9, 0, 0},
      {"4 -> 5", 12, {1, 2, 3, 4}, {1, 2, 3, 4, 5}, 7, 1, 1},
      {"5 -> 4", 12, {1, 2, 3, 4, 5}, {1, 2, 4, 5}, 7, 0, 0},
      {"8 -> 9", 12, {1, 2, 3, 4, 5, 6, 7, 8}, {1, 2, 3, 4, 5, 6, 7, 8, 9}, 4, 0, 1},
      {"9 -> 8", 12, {1, 2, 3, 4, 5, 6, 7, 8, 9}, {2, 3, 4, 5, 6, 7, 8, 9}, 4, 1, 1},
      {"3 -> 6", 12, {1, 2, 3}, {1, 2, 3, 4, 5, 6}, 18, 0, 0},
      {"3 -> 4, 400 groups", 400, {1, 2, 3}, {1, 2, 3, 4}, 300, 0, 0},
      {"9 -> 8, 400 groups", 400, first(9), first(8), 134, 0, 0},
      {"swap one of 5", 12, {1, 2, 3, 4, 5}, {1, 2, 3, 4, 6}, 7, 1, 1},
      {"1 -> 3, growing", 12, {1}, {1, 2, 3}, 24, 0, 0},
  };
  for (const ChangeRow& row : rows) {
    const PlacementRules old_rules = rules_for(row.before);
    const Placement before = place(old_rules, Placement(row.groups));
    const auto old_leaders = spread_leaders(old_rules, before, {});
    check(old_rules, before);
    const PlacementRules rules = rules_for(row.after);
    const Placement after = place(rules, before);
    check(rules, after);
    const auto leaders = spread_leaders(rules, after, old_leaders);
    EXPECT_EQ(moved(before, after), row.replicas_moved) << row.what;
    EXPECT_EQ(spread(loads(rules, after)), row.spread) << row.what;
    EXPECT_EQ(spread(loads(rules, leaders)), row.leaders_spread) << row.what;
    EXPECT_EQ(place(rules, after), after) << "doing it again moves nothing: " << row.what;
    EXPECT_EQ(spread_leaders(rules, after, leaders), leaders) << row.what;
  }
}

// Any seed, any size: within one of even, and exactly the share moves (a few more may have to make
// room when groups are few: the test states how many at most, over all seeds).
TEST(placement, many_random_histories_stay_even_and_move_little) {
  int extra_total = 0;
  int moves_total = 0;
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    Prng prng(seed);
    const auto groups = static_cast<size_t>(prng.between(1, 60));
    std::set<uint32_t> nodes = {1, 2, 3};
    uint32_t next = 4;
    Placement placement(groups);
    std::vector<NodeId> leaders(groups);
    for (int step = 0; step < 25; ++step) {
      const auto held = loads(rules_for({nodes.begin(), nodes.end()}), placement);
      int share = 0;  // of who leaves
      if (nodes.size() > 3 && prng.chance(1, 2)) {
        const auto gone = std::next(nodes.begin(), static_cast<int>(prng.below(nodes.size())));
        share = held.at(*gone);
        nodes.erase(gone);
      } else if (nodes.size() < 12) {
        nodes.insert(next++);
      }
      const PlacementRules rules = rules_for({nodes.begin(), nodes.end()}, 3, seed);
      const Placement after = place(rules, placement);
      check(rules, after);
      const auto count = loads(rules, after);
      ASSERT_LE(spread(count), 1) << seed;
      if (count.contains(next - 1) && !held.contains(next - 1)) {
        share = count.at(next - 1);
      }
      if (step > 0) {
        extra_total += moved(placement, after) - share;
        moves_total += share;
      }
      placement = after;
      const auto after_leaders = spread_leaders(rules, placement, leaders);
      ASSERT_LE(spread(loads(rules, after_leaders)), 1) << seed;
      leaders = after_leaders;
    }
  }
  EXPECT_GT(moves_total, 5'000);
  EXPECT_LE(extra_total * 100, moves_total * 2) << extra_total << " beyond " << moves_total;
}

TEST(placement, weights_are_followed_to_within_one) {
  PlacementRules rules = rules_for({1, 2, 3, 4, 5});
  rules.nodes[0].weight = 200;
  rules.nodes[4].weight = 50;
  const Placement placement = place(rules, Placement(110));
  // 330 replicas over a weight of 550: 120 (cut to 110, one per group), then 220 over 350.
  EXPECT_EQ(loads(rules, placement),
            (std::map<uint32_t, int>{{1, 110}, {2, 63}, {3, 63}, {4, 63}, {5, 31}}));
}

struct QuotaRow {
  std::vector<uint32_t> weights;
  uint32_t total;
  uint32_t cap;
  std::vector<uint32_t> held;
  std::vector<uint32_t> quota;
};

TEST(placement, quotas_are_shares_rounded_to_who_holds_more_then_to_who_lost_most) {
  const QuotaRow rows[] = {
      {{1, 1, 1}, 9, 9, {0, 0, 0}, {3, 3, 3}},      {{1, 1, 1}, 10, 9, {0, 0, 0}, {4, 3, 3}},
      {{1, 1, 1}, 10, 9, {3, 4, 0}, {3, 4, 3}},     {{3, 2, 2}, 10, 9, {0, 0, 0}, {4, 3, 3}},
      {{3, 2, 2}, 11, 9, {0, 0, 0}, {5, 3, 3}},     {{100, 1, 1}, 12, 6, {0, 0, 0}, {6, 3, 3}},
      {{100, 100, 1}, 12, 4, {0, 0, 0}, {4, 4, 4}}, {{1}, 0, 0, {0}, {0}},
  };
  for (const QuotaRow& row : rows) {
    std::vector<Candidate> nodes;
    for (const uint32_t weight : row.weights) {
      nodes.push_back({NodeId(static_cast<uint32_t>(nodes.size()) + 1), weight, true});
    }
    EXPECT_EQ(quotas(nodes, row.total, row.cap, row.held), row.quota);
  }
}

TEST(placement, each_group_has_one_witness_which_moves_as_one) {
  PlacementRules rules = rules_for({1, 2, 3, 4});
  rules.witness = true;
  const Placement before = place(rules, Placement(40));
  PlacementRules more = rules_for({1, 2, 3, 4, 5});
  more.witness = true;
  const Placement after = place(more, before);
  for (const Placement* placement : {&before, &after}) {
    for (const auto& group : *placement) {
      EXPECT_EQ(std::count_if(group.begin(), group.end(),
                              [](const Replica& r) { return r.role == Role::kWitness; }),
                1);
    }
  }
  for (size_t group = 0; group < after.size(); ++group) {
    for (const Replica& replica : after[group]) {
      const Replica* old = find_replica(before[group], replica.node);
      EXPECT_TRUE(old == nullptr || old->role == replica.role) << "a role never changes in place";
    }
  }
  for (size_t group = 0; group < after.size(); ++group) {
    const NodeId leader = spread_leaders(more, after, {})[group];
    EXPECT_EQ(find_replica(after[group], leader)->role, Role::kVoter);
  }
}

TEST(placement, two_nodes_have_no_witness_and_a_cut_to_two_lets_the_witness_go) {
  PlacementRules rules = rules_for({1, 2, 3});
  rules.witness = true;
  const Placement three = place(rules, Placement(9));
  rules.replication = 2;
  for (const Placement& placement : {place(rules, Placement(9)), place(rules, three)}) {
    for (const auto& group : placement) {
      for (const Replica& replica : group) {
        EXPECT_EQ(replica.role, Role::kVoter);
      }
    }
  }
}

TEST(placement, a_dead_node_leads_nothing_and_the_others_lead_evenly) {
  PlacementRules rules = rules_for({1, 2, 3});
  const Placement placement = place(rules, Placement(12));
  const auto before = spread_leaders(rules, placement, {});
  EXPECT_EQ(spread(loads(rules, before)), 0);
  rules.nodes[1].may_lead = false;
  const auto after = spread_leaders(rules, placement, before);
  EXPECT_EQ(loads(rules, after), (std::map<uint32_t, int>{{1, 6}, {3, 6}}));
  EXPECT_EQ(moved(before, after), 4) << "only the dead node's";
  rules.nodes[0].may_lead = false;
  rules.nodes[2].may_lead = false;
  for (const NodeId leader : spread_leaders(rules, placement, after)) {
    EXPECT_TRUE(leader.none());
  }
}

struct MetaRow {
  std::vector<uint32_t> nodes;
  std::vector<uint32_t> current;
  size_t voters;
};

TEST(placement, the_meta_group_has_an_odd_number_of_voters_and_keeps_those_it_has) {
  const MetaRow rows[] = {
      {{1}, {}, 1},
      {{1, 2}, {1}, 2},
      {{1, 2, 3}, {1, 2}, 3},
      {{1, 2, 3, 4}, {1, 2, 3}, 3},
      {{1, 2, 3, 4, 5}, {1, 2, 3}, 5},
      {{1, 2, 3, 4, 5, 6, 7, 8, 9}, {2, 4, 6, 8, 9}, 5},
      {{1, 2, 3, 4, 5}, {1, 2, 3, 8, 9}, 5},
  };
  for (const MetaRow& row : rows) {
    std::vector<NodeId> current;
    for (const uint32_t node : row.current) {
      current.emplace_back(node);
    }
    const auto voters = place_meta(rules_for(row.nodes), 5, current);
    EXPECT_EQ(voters.size(), row.voters);
    for (const NodeId node : current) {
      const bool there = std::count(row.nodes.begin(), row.nodes.end(), node.value()) > 0;
      EXPECT_EQ(contains(voters, node), there);
    }
  }
}

TEST(placement, another_cluster_places_differently) {
  EXPECT_NE(place(rules_for(first(6), 3, 1), Placement(24)),
            place(rules_for(first(6), 3, 2), Placement(24)));
}

}  // namespace
}  // namespace quorate::service::meta
