// SPDX-License-Identifier: Apache-2.0
// The meta machine and the planner together, in a model of a cluster: nodes come, go, die and are
// replaced at random while every group's leader takes one step at a time from what it sees. However
// it goes, no group loses its majority by a step of ours, no replica is destroyed that the group
// still counts on, and when the faults end all becomes as wanted.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/prng.h"
#include "service/meta/plan.h"
#include "service/meta/state.h"

namespace quorate::service::meta {
namespace {

constexpr uint32_t kGroups = 8;
constexpr uint32_t kMovesMax = 2;

struct ModelGroup {
  Members config;
  Index config_index = Index(1);
  Term term = Term(1);
  NodeId leader;
  std::set<NodeId> caught_up;
  std::map<NodeId, Index> known;  // the newest configuration in each replica's log
  int learners_added = 0;
};

class Cluster {
 public:
  explicit Cluster(uint64_t seed) : prng_(seed) {
    Bootstrap bootstrap;
    bootstrap.settings.cluster_id = seed;
    bootstrap.groups = kGroups;
    for (uint32_t n = 1; n <= 3; ++n) {
      NodeSpec spec;
      spec.id = NodeId(n);
      spec.addresses.raft = "h" + std::to_string(n);
      bootstrap.nodes.push_back(spec);
      up_.insert(spec.id);
    }
    apply(bootstrap);
    for (const Group& group : map().groups) {
      ModelGroup model;
      for (const Replica& replica : group.birth) {
        model.config.voters.push_back(replica.node);
        model.caught_up.insert(replica.node);
        local_[replica.node].insert(group.id);
      }
      groups_.push_back(model);
    }
  }

  [[nodiscard]] const Map& map() const { return state_.map(); }
  [[nodiscard]] const std::vector<ModelGroup>& groups() const { return groups_; }
  Prng& prng() { return prng_; }

  bool apply(const Command& command) {
    const bool ok = state_.apply(command, {Stamp(), Index(++index_)}).ok();
    state_.check_invariants();
    return ok;
  }

  void add_node(NodeId replaces = NodeId()) {
    AddNode command;
    command.node.addresses.raft = "h" + std::to_string(++hosts_ + 100);
    command.replaces = replaces;
    const Answer answer = state_.apply(command, {Stamp(), Index(++index_)});
    if (answer.ok()) {
      up_.insert(std::get<Added>(*answer).node);
    }
  }

  // Takes a node down unless some group would lose its majority by it.
  void crash(NodeId node) {
    std::set<NodeId> left = up_;
    left.erase(node);
    for (const ModelGroup& group : groups_) {
      if (!majority_in(group.config.voters, left)) {
        return;
      }
    }
    up_ = left;
    for (ModelGroup& group : groups_) {
      group.caught_up.erase(node);
      group.leader = group.leader == node ? NodeId() : group.leader;
    }
  }
  void restart(NodeId node) { up_.insert(node); }
  [[nodiscard]] bool is_up(NodeId node) const { return up_.contains(node); }

  // One round: liveness is noticed, logs are copied, leaders take a step and report.
  void round() {
    for (const Node& node : std::vector<Node>(map().nodes)) {
      if (node.state == NodeState::kRemoved) {
        continue;
      }
      if (prng_.chance(1, 2)) {
        apply(SetNodeDead{node.id, !is_up(node.id)});
      }
      if (node.state == NodeState::kJoining && is_up(node.id) && learns_map(node.id)) {
        apply(ActivateNode{node.id});
      }
      if (is_up(node.id)) {
        keep_replicas(node.id);
      }
    }
    const std::vector<GroupId> admitted = turns(map(), kMovesMax);
    for (uint32_t number = 0; number <= kGroups; ++number) {
      catch_up(number);
      elect(number);
      step(number, std::count(admitted.begin(), admitted.end(), GroupId(number)) > 0);
      report(number);
    }
  }

  [[nodiscard]] std::string unfinished() const {
    for (const Group& group : map().groups) {
      const ModelGroup& model = groups_[group.id.value()];
      std::vector<NodeId> wanted;
      for (const Replica& replica : group.wanted) {
        wanted.push_back(replica.node);
      }
      const std::string name = "group " + std::to_string(group.id.value());
      if (model.config.voters != wanted || model.config.learners != group.learners) {
        return name + " is not where it is wanted";
      }
      if (!group.preferred.none() && model.leader != group.preferred) {
        return name + " is led by another";
      }
    }
    for (const Node& node : map().nodes) {
      if (node.state == NodeState::kJoining) {
        return "node " + std::to_string(node.id.value()) + " has not joined";
      }
      if (node.leaving && node.state != NodeState::kRemoved) {
        return "node " + std::to_string(node.id.value()) + " has not left";
      }
      if (node.state != NodeState::kRemoved && is_up(node.id)) {
        std::set<GroupId> wanted;
        for (const Group& group : map().groups) {
          if (find_replica(group.wanted, node.id) != nullptr || contains(group.learners, node.id)) {
            wanted.insert(group.id);
          }
        }
        if (local_.at(node.id) != wanted) {
          return "node " + std::to_string(node.id.value()) + " has other replicas than it should";
        }
      }
    }
    return "";
  }

  [[nodiscard]] int learners_added() const {
    int count = 0;
    for (size_t i = 1; i < groups_.size(); ++i) {
      count += groups_[i].learners_added;
    }
    return count;
  }

 private:
  static bool majority_in(const std::vector<NodeId>& voters, const std::set<NodeId>& alive) {
    const auto count = std::count_if(voters.begin(), voters.end(),
                                     [&](NodeId node) { return alive.contains(node); });
    return static_cast<size_t>(count) > voters.size() / 2;
  }

  [[nodiscard]] bool learns_map(NodeId node) const { return groups_[0].caught_up.contains(node); }

  void keep_replicas(NodeId node) {
    std::set<GroupId>& held = local_[node];
    std::vector<LocalReplica> local;
    for (const GroupId group : held) {
      local.push_back({group, groups_[group.value()].known[node]});
    }
    const ReplicaWork work = replica_work(map(), node, local);
    for (const GroupId group : work.create) {
      held.insert(group);
    }
    for (const GroupId group : work.destroy) {
      ModelGroup& model = groups_[group.value()];
      ASSERT_FALSE(contains(model.config.voters, node)) << "destroyed a replica that votes";
      ASSERT_FALSE(contains(model.config.learners, node) && model.caught_up.contains(node));
      held.erase(group);
      model.known.erase(node);
      model.caught_up.erase(node);
    }
  }

  void catch_up(uint32_t number) {
    ModelGroup& model = groups_[number];
    for (const std::vector<NodeId>* members : {&model.config.voters, &model.config.learners}) {
      for (const NodeId node : *members) {
        if (is_up(node) && local_[node].contains(GroupId(number)) && prng_.chance(1, 3)) {
          model.caught_up.insert(node);
          model.known[node] = model.config_index;
        }
      }
    }
  }

  void elect(uint32_t number) {
    ModelGroup& model = groups_[number];
    ASSERT_TRUE(majority_in(model.config.voters, up_)) << "group " << number;
    if (!model.leader.none()) {
      return;
    }
    for (const NodeId node : model.config.voters) {
      if (is_up(node) && model.caught_up.contains(node)) {
        model.leader = node;
        ++model.term;
        return;
      }
    }
  }

  void step(uint32_t number, bool has_turn) {
    ModelGroup& model = groups_[number];
    if (model.leader.none()) {
      return;
    }
    LeaderView view;
    view.self = model.leader;
    view.config = model.config;
    view.settled = true;
    view.has_turn = has_turn;
    view.may_balance = prng_.chance(1, 3);
    for (const Node& node : map().nodes) {
      if (node.id != model.leader && is_up(node.id)) {
        view.peers.push_back({node.id, true, model.caught_up.contains(node.id)});
      }
    }
    const Step step = next_step(map().groups[number], view);
    if (step.kind == StepKind::kTransfer) {
      ASSERT_TRUE(contains(model.config.voters, step.target) && is_up(step.target));
      model.leader = step.target;
      ++model.term;
    } else if (step.kind == StepKind::kChange) {
      change(model, step);
    }
  }

  void change(ModelGroup& model, const Step& step) {
    const std::vector<NodeId> before = model.config.voters;
    for (const MemberChange& one : step.changes) {
      std::erase(model.config.voters, one.node);
      std::erase(model.config.learners, one.node);
      if (one.kind == MemberKind::kVoter) {
        ASSERT_TRUE(model.caught_up.contains(one.node));
        model.config.voters.push_back(one.node);
      } else if (one.kind == MemberKind::kLearner) {
        model.learners_added += contains(before, one.node) ? 0 : 1;
        model.config.learners.push_back(one.node);
      } else {
        ASSERT_NE(one.node, model.leader);
        model.caught_up.erase(one.node);
      }
    }
    std::sort(model.config.voters.begin(), model.config.voters.end());
    std::sort(model.config.learners.begin(), model.config.learners.end());
    ++model.config_index;
    ASSERT_TRUE(majority_in(before, up_) && majority_in(model.config.voters, up_));
  }

  void report(uint32_t number) {
    const ModelGroup& model = groups_[number];
    if (!model.leader.none() && prng_.chance(1, 2)) {
      apply(ReportGroups{
          {{GroupId(number), {model.term, model.leader, model.config_index, model.config}}}});
    }
  }

  Prng prng_;
  State state_;
  uint64_t index_ = 0;
  uint32_t hosts_ = 0;
  std::set<NodeId> up_;
  std::vector<ModelGroup> groups_;
  std::map<NodeId, std::set<GroupId>> local_;
};

NodeId random_node(Cluster& cluster) {
  const auto& nodes = cluster.map().nodes;
  return nodes[cluster.prng().below(nodes.size())].id;
}

size_t present(const Cluster& cluster) {
  const auto& nodes = cluster.map().nodes;
  return static_cast<size_t>(std::count_if(nodes.begin(), nodes.end(), [](const Node& node) {
    return node.state != NodeState::kRemoved;
  }));
}

void disturb(Cluster& cluster) {
  switch (cluster.prng().below(12)) {
    case 0:
    case 1:
      if (present(cluster) < 8) {
        cluster.add_node();
      }
      break;
    case 2: cluster.apply(DrainNode{random_node(cluster), true}); break;
    case 3: cluster.apply(DrainNode{random_node(cluster), false}); break;
    case 4: cluster.apply(ResumeNode{random_node(cluster)}); break;
    case 5:
      if (present(cluster) < 9) {
        cluster.add_node(random_node(cluster));
      }
      break;
    case 6:
      cluster.apply(SetReplication{static_cast<uint32_t>(1 + 2 * cluster.prng().below(3))});
      break;
    case 7:
      cluster.apply(SetNodeWeight{random_node(cluster),
                                  static_cast<uint32_t>(50 * (1 + cluster.prng().below(4)))});
      break;
    case 8:
    case 9: cluster.crash(random_node(cluster)); break;
    default: cluster.restart(random_node(cluster)); break;
  }
}

// Rounds until all is as wanted; -1 if it does not come to that.
int settle(Cluster& cluster) {
  for (int round = 0; round < 600; ++round) {
    if (cluster.unfinished().empty()) {
      return round;
    }
    cluster.round();
    if (::testing::Test::HasFatalFailure()) {
      return -1;
    }
  }
  return -1;
}

TEST(convergence, after_any_disturbance_all_becomes_as_wanted_and_no_majority_is_lost) {
  for (uint64_t seed = 1; seed <= 150; ++seed) {
    Cluster cluster(seed);
    for (int round = 0; round < 150; ++round) {
      if (cluster.prng().chance(1, 3)) {
        disturb(cluster);
      }
      cluster.round();
      ASSERT_FALSE(HasFatalFailure()) << "seed " << seed << " round " << round;
    }
    for (const Node& node : std::vector<Node>(cluster.map().nodes)) {
      cluster.restart(node.id);
    }
    ASSERT_GE(settle(cluster), 0) << "seed " << seed << ": " << cluster.unfinished();
  }
}

TEST(convergence, a_node_that_joins_receives_its_share_and_no_other_replica_moves) {
  Cluster cluster(5);
  ASSERT_GE(settle(cluster), 0);
  EXPECT_EQ(cluster.learners_added(), 0);
  cluster.add_node();
  ASSERT_GE(settle(cluster), 0) << cluster.unfinished();
  EXPECT_EQ(cluster.learners_added(), 6) << "8 groups x 3 replicas / 4 nodes";
  for (const ModelGroup& group : cluster.groups()) {
    EXPECT_EQ(group.config.voters.size(), 3u);
  }
}

TEST(convergence, a_dead_node_that_is_replaced_gives_exactly_its_share_to_the_new_one) {
  Cluster cluster(6);
  cluster.add_node();
  ASSERT_GE(settle(cluster), 0);
  const int before = cluster.learners_added();
  cluster.crash(NodeId(2));
  cluster.add_node(NodeId(2));
  ASSERT_GE(settle(cluster), 0) << cluster.unfinished();
  EXPECT_EQ(cluster.learners_added() - before, 6);
  EXPECT_EQ(cluster.map().node(NodeId(2))->state, NodeState::kRemoved);
}

}  // namespace
}  // namespace quorate::service::meta
