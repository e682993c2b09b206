// SPDX-License-Identifier: Apache-2.0
// Whole nodes on virtual machines: born, joined by others, drained, replaced, with leaders spread,
// while somebody writes; what was answered is there in the end.
#include "node/placement.h"

#include <gtest/gtest.h>

#include <functional>
#include <map>

#include "service/kv/api.h"
#include "service/registry.h"
#include "sim/disk.h"
#include "sim/net.h"
#include "sim/process.h"
#include "sim/world.h"

namespace quorate::node {
namespace {

namespace meta = service::meta;

constexpr uint32_t kGroups = 6;

struct Machine {
  explicit Machine(sim::World& world) : clock_model(world), image(world) {}

  sim::ClockModel clock_model;
  sim::DiskImage image;
  sim::LifeId life;
  std::unique_ptr<sim::Clock> clock;
  std::unique_ptr<sim::Timer> timer;
  std::unique_ptr<sim::Net> net;
  std::unique_ptr<sim::Disk> disk;
  std::unique_ptr<service::kv::Api> kv;
  std::unique_ptr<Node> node;
  std::unique_ptr<Placement> placement;
};

class TestCluster {
 public:
  explicit TestCluster(uint64_t seed = 17) : world_(seed) {
    registry_.add(service::ServiceId::kMeta, [] { return service::host<meta::State>(); });
    registry_.add(service::ServiceId::kKv, [] { return service::host<service::kv::State>(); });
    for (uint32_t id = 1; id <= 3; ++id) {
      start(NodeId(id));
    }
  }
  ~TestCluster() {
    for (auto& [id, machine] : machines_) {
      stop(id);
    }
  }

  void start(NodeId id) {
    auto& machine = machines_[id];
    if (machine == nullptr) {
      machine = std::make_unique<Machine>(world_);
    }
    machine->life = world_.begin_life();
    machine->clock = std::make_unique<sim::Clock>(machine->clock_model);
    machine->timer =
        std::make_unique<sim::Timer>(world_, machine->clock_model, machine->life);
    machine->net = std::make_unique<sim::Net>(network_, id, machine->life);
    machine->disk = std::make_unique<sim::Disk>(machine->image, machine->life);
    Options options;
    options.id = id;
    options.groups = kGroups;
    options.seed = id.value();
    options.wal.segment_bytes = 256 * 1024;
    options.snapshot_log_bytes = 16 * 1024;  // so that who comes late needs a snapshot
    if (id.value() <= 3) {
      for (uint32_t n = 1; n <= 3; ++n) {
        options.initial.push_back({NodeId(n), sim::Network::address_of(NodeId(n)), "", ""});
      }
    }
    Result<std::unique_ptr<Node>> opened = Node::open(
        {*machine->clock, *machine->timer, *machine->disk, *machine->net, registry_}, options);
    ASSERT_TRUE(opened.ok()) << opened.status().to_string();
    machine->node = std::move(*opened);
    machine->kv = std::make_unique<service::kv::Api>(*machine->node);
    PlacementOptions placement;
    placement.dead_after = Duration::seconds(2);
    placement.balance_after = Duration::seconds(1);
    placement.destroy_after = Duration::seconds(1);
    machine->placement = std::make_unique<Placement>(*machine->node, *machine->clock,
                                                     *machine->timer, placement);
  }

  void stop(NodeId id) {
    Machine& machine = *machines_.at(id);
    if (machine.node == nullptr) {
      return;
    }
    world_.end_life(machine.life);
    machine.net->silence();
    machine.placement.reset();
    machine.node.reset();
    machine.kv.reset();
    machine.net.reset();
    machine.timer.reset();
    machine.disk.reset();
    machine.image.process_exit();
  }

  [[nodiscard]] bool runs(NodeId id) const {
    const auto found = machines_.find(id);
    return found != machines_.end() && found->second->node != nullptr;
  }

  bool run_until(Duration patience, const std::function<bool()>& reached) {
    const Instant end = world_.now() + patience;
    while (world_.now() < end) {
      for (int i = 0; i < 5; ++i) {
        world_.run_until(world_.now() + Duration::millis(20));
        write();
      }
      for (const auto& [id, machine] : machines_) {
        if (machine->node != nullptr) {
          machine->node->check_invariants();
        }
      }
      if (reached()) {
        return true;
      }
    }
    return false;
  }

  // One more key, through whichever node; counted when it is answered.
  void write() {
    std::vector<NodeId> running;
    for (const auto& [id, machine] : machines_) {
      if (machine->node != nullptr && !removed_.contains(id)) {
        running.push_back(id);
      }
    }
    if (!writing_) {
      return;
    }
    const NodeId at = running[world_.prng().below(running.size())];
    const std::string key = "key" + std::to_string(++written_);
    service::kv::Put put;
    put.key = key;
    put.value = std::string_view("0123456789012345678901234567890123456789").substr(0, 32);
    machines_.at(at)->kv->write(put, {}, [this, key](const Status& status, const auto&,
                                                     const service::Origin&) {
      if (status.ok()) {
        answered_.push_back(key);
      }
    });
  }

  // Everything that was answered is there, asked of `at`.
  [[nodiscard]] std::string lost(NodeId at) {
    writing_ = false;
    size_t asked = 0;
    std::string missing;
    const std::vector<std::string> keys = answered_;
    for (const std::string& key : keys) {
      machines_.at(at)->kv->get({.key = key}, {},
                                [&, key](const Status& status, const auto&, const auto&) {
                                  ++asked;
                                  missing += status.ok() ? "" : key + " ";
                                });
    }
    run_until(Duration::seconds(15), [&] { return asked == keys.size(); });
    writing_ = true;
    return asked == keys.size() ? missing : "not all reads were answered";
  }

  meta::Answer command(NodeId at, const meta::Command& command) {
    std::optional<meta::Answer> answer;
    machines_.at(at)->placement->propose(
        command, [&](meta::Answer given) { answer.emplace(std::move(given)); });
    run_until(Duration::seconds(5), [&] { return answer.has_value(); });
    return answer ? *answer : meta::Answer(Status(Code::kTimeout, "no answer"));
  }

  [[nodiscard]] const meta::Map* map(NodeId id) const {
    return machines_.at(id)->placement->map();
  }

  // Every running node that belongs to the cluster sees the same, all of it as wanted, and holds
  // what it should.
  [[nodiscard]] std::string unfinished() const {
    const meta::Map* first = nullptr;
    for (const auto& [id, machine] : machines_) {
      if (machine->node == nullptr || removed_.contains(id)) {
        continue;
      }
      const meta::Map* seen = machine->placement->map();
      const std::string who = "node " + std::to_string(id.value());
      if (seen == nullptr) {
        return who + " has no map";
      }
      if (first != nullptr && !(*seen == *first)) {
        return who + " sees another map";
      }
      first = seen;
      for (const meta::Group& group : seen->groups) {
        const bool wanted = meta::find_replica(group.wanted, id) != nullptr ||
                            meta::contains(group.learners, id);
        if (wanted != (machine->node->group(group.id) != nullptr)) {
          return who + " and group " + std::to_string(group.id.value());
        }
      }
    }
    for (const meta::Group& group : first->groups) {
      std::vector<NodeId> wanted;
      for (const meta::Replica& replica : group.wanted) {
        wanted.push_back(replica.node);
      }
      const std::string what = "group " + std::to_string(group.id.value());
      if (group.reported.members.voters != wanted ||
          group.reported.members.learners != group.learners) {
        return what + " is not where it is wanted";
      }
      if (!group.preferred.none() && group.reported.leader != group.preferred) {
        return what + " is led by another";
      }
    }
    return "";
  }

  bool settles(Duration patience) {
    return run_until(patience, [this] { return unfinished().empty(); });
  }

  sim::World world_;
  sim::Network network_{world_};
  service::Registry registry_;
  std::map<NodeId, std::unique_ptr<Machine>> machines_;
  std::set<NodeId> removed_;
  bool writing_ = true;
  uint64_t written_ = 0;
  std::vector<std::string> answered_;
};

class PlacementTest : public ::testing::Test, protected TestCluster {};

meta::AddNode joining(uint32_t id, uint32_t replaces = 0) {
  meta::AddNode add;
  add.node.id = NodeId(id);
  add.node.addresses.raft = sim::Network::address_of(NodeId(id));
  add.replaces = NodeId(replaces);
  return add;
}

TEST_F(PlacementTest, a_new_cluster_founds_its_map_and_spreads_its_leaders) {
  ASSERT_TRUE(settles(Duration::seconds(15))) << unfinished();
  std::map<NodeId, int> leaders;
  for (uint32_t g = 1; g <= kGroups; ++g) {
    ++leaders[map(NodeId(1))->groups[g].reported.leader];
  }
  EXPECT_EQ(leaders, (std::map<NodeId, int>{{NodeId(1), 2}, {NodeId(2), 2}, {NodeId(3), 2}}));
}

TEST_F(PlacementTest, a_node_that_joins_gets_its_share_and_the_old_replicas_go) {
  ASSERT_TRUE(settles(Duration::seconds(15))) << unfinished();
  start(NodeId(4));
  ASSERT_TRUE(command(NodeId(2), joining(4)).ok());
  ASSERT_TRUE(run_until(Duration::seconds(10), [this] {
    return map(NodeId(1))->node(NodeId(4))->state == meta::NodeState::kActive;
  }));
  ASSERT_TRUE(settles(Duration::seconds(40))) << unfinished();
  EXPECT_EQ(lost(NodeId(4)), "");
  EXPECT_GT(answered_.size() * 10, written_ * 9) << "hardly a write fails meanwhile";
  EXPECT_EQ(machines_.at(NodeId(4))->node->group_ids().size(), 1u + 4u) << "18 / 4, rounded";
}

TEST_F(PlacementTest, a_node_is_drained_and_leaves_while_the_others_take_over) {
  ASSERT_TRUE(settles(Duration::seconds(15))) << unfinished();
  start(NodeId(4));
  ASSERT_TRUE(command(NodeId(1), joining(4)).ok());
  ASSERT_TRUE(run_until(Duration::seconds(10), [this] {
    return map(NodeId(1))->node(NodeId(4))->state == meta::NodeState::kActive;
  }));
  ASSERT_TRUE(settles(Duration::seconds(40))) << unfinished();
  ASSERT_TRUE(command(NodeId(4), meta::DrainNode{NodeId(1), true}).ok());
  removed_.insert(NodeId(1));
  ASSERT_TRUE(run_until(Duration::seconds(60), [this] {
    return map(NodeId(2))->node(NodeId(1))->state == meta::NodeState::kRemoved;
  }));
  ASSERT_TRUE(settles(Duration::seconds(40))) << unfinished();
  EXPECT_EQ(lost(NodeId(2)), "");
}

TEST_F(PlacementTest, a_dead_node_is_shown_leads_nothing_and_is_replaced_on_request) {
  ASSERT_TRUE(settles(Duration::seconds(15))) << unfinished();
  stop(NodeId(3));
  ASSERT_TRUE(run_until(Duration::seconds(10),
                        [this] { return map(NodeId(1))->node(NodeId(3))->dead; }));
  start(NodeId(5));
  ASSERT_TRUE(command(NodeId(1), joining(5, 3)).ok());
  removed_.insert(NodeId(3));
  ASSERT_TRUE(run_until(Duration::seconds(60), [this] {
    return map(NodeId(1))->node(NodeId(3))->state == meta::NodeState::kRemoved;
  })) << unfinished();
  ASSERT_TRUE(settles(Duration::seconds(40))) << unfinished();
  EXPECT_EQ(machines_.at(NodeId(5))->node->group_ids().size(), 1u + kGroups);
  EXPECT_EQ(lost(NodeId(5)), "");
}

TEST_F(PlacementTest, a_node_that_was_away_is_dead_and_alive_again_with_its_leaders) {
  ASSERT_TRUE(settles(Duration::seconds(15))) << unfinished();
  stop(NodeId(2));
  ASSERT_TRUE(run_until(Duration::seconds(10),
                        [this] { return map(NodeId(1))->node(NodeId(2))->dead; }));
  start(NodeId(2));
  ASSERT_TRUE(run_until(Duration::seconds(10),
                        [this] { return !map(NodeId(1))->node(NodeId(2))->dead; }));
  ASSERT_TRUE(settles(Duration::seconds(30))) << unfinished();
}

TEST_F(PlacementTest, a_node_whose_directory_was_lost_votes_only_when_it_has_been_rebuilt) {
  ASSERT_TRUE(settles(Duration::seconds(15))) << unfinished();
  stop(NodeId(2));
  run_until(Duration::seconds(3), [] { return false; });  // nodes 1 and 3 alone have these
  stop(NodeId(1));
  stop(NodeId(3));
  machines_.erase(NodeId(3));
  start(NodeId(2));
  start(NodeId(3));
  const size_t answered = answered_.size();
  run_until(Duration::seconds(5), [] { return false; });
  EXPECT_EQ(answered_.size(), answered) << "a majority without what was acknowledged took writes";
  start(NodeId(1));
  ASSERT_TRUE(settles(Duration::seconds(40))) << unfinished();
  ASSERT_TRUE(run_until(Duration::seconds(5), [this] {
    return machines_.at(NodeId(3))->node->identity().suspects.empty();
  })) << "rebuilt, it votes again";
  EXPECT_EQ(lost(NodeId(3)), "");
}

TEST_F(PlacementTest, a_lost_directory_is_rebuilt_though_all_its_fellow_founders_were_replaced) {
  ASSERT_TRUE(settles(Duration::seconds(15))) << unfinished();
  for (const uint32_t gone : {1u, 2u}) {
    stop(NodeId(gone));
    start(NodeId(gone + 3));
    while (!command(NodeId(3), joining(gone + 3, gone)).ok()) {
    }
    removed_.insert(NodeId(gone));
    ASSERT_TRUE(run_until(Duration::seconds(60), [&] {
      return map(NodeId(3))->node(NodeId(gone))->state == meta::NodeState::kRemoved;
    })) << unfinished();
    ASSERT_TRUE(settles(Duration::seconds(40))) << unfinished();
  }
  stop(NodeId(3));
  machines_.erase(NodeId(3));
  start(NodeId(3));
  ASSERT_TRUE(settles(Duration::seconds(40))) << unfinished();
  EXPECT_EQ(machines_.at(NodeId(3))->node->group_ids().size(), 1u + kGroups);
  EXPECT_EQ(lost(NodeId(3)), "");
}

TEST_F(PlacementTest, a_suspect_replica_stays_suspect_over_a_restart) {
  ASSERT_TRUE(settles(Duration::seconds(15))) << unfinished();
  stop(NodeId(1));
  stop(NodeId(2));
  stop(NodeId(3));
  machines_.erase(NodeId(3));
  start(NodeId(3));
  start(NodeId(2));
  ASSERT_TRUE(run_until(Duration::seconds(2), [this] {
    return !machines_.at(NodeId(3))->node->identity().suspects.empty();
  }));
  stop(NodeId(3));
  start(NodeId(3));
  EXPECT_FALSE(machines_.at(NodeId(3))->node->identity().suspects.empty());
  EXPECT_TRUE(machines_.at(NodeId(3))->node->group(GroupId(0))->raft().suspect());
}

TEST_F(PlacementTest, at_rest_nothing_is_said) {
  ASSERT_TRUE(settles(Duration::seconds(15))) << unfinished();
  run_until(Duration::seconds(5), [] { return false; });
  const uint64_t generation = map(NodeId(1))->generation;
  for (const auto& [id, machine] : machines_) {
    EXPECT_TRUE(machine->placement->at_rest()) << id.value();
  }
  run_until(Duration::seconds(20), [] { return false; });
  EXPECT_EQ(map(NodeId(1))->generation, generation);
}

// Nodes come, go, crash and come back in any order while somebody writes.
void disturb(TestCluster& cluster, std::set<NodeId>& down, uint32_t& next) {
  Prng& prng = cluster.world_.prng();
  const meta::Map* map = cluster.map(NodeId(1));
  if (map == nullptr) {
    return;
  }
  const NodeId some = map->nodes[prng.below(map->nodes.size())].id;
  switch (prng.below(6)) {
    case 0:
      if (next <= 6 && !down.contains(NodeId(1))) {
        cluster.start(NodeId(next));
        while (!cluster.command(NodeId(1), joining(next)).ok()) {
        }
        ++next;
      }
      break;
    case 1:
      if (some != NodeId(1) && down.empty()) {
        (void)cluster.command(NodeId(1), meta::DrainNode{some, false});
      }
      break;
    case 2: (void)cluster.command(NodeId(1), meta::ResumeNode{some}); break;
    case 3:
    case 4:
      if (down.empty() && some != NodeId(1) && cluster.runs(some)) {
        cluster.stop(some);
        down.insert(some);
      }
      break;
    default:
      for (const NodeId node : down) {
        cluster.start(node);
      }
      down.clear();
      break;
  }
}

TEST(placement_at_random, one_node_down_at_a_time_loses_nothing_and_all_becomes_as_wanted) {
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    TestCluster cluster(seed);
    std::set<NodeId> down;
    uint32_t next = 4;
    ASSERT_TRUE(cluster.settles(Duration::seconds(15))) << seed << " " << cluster.unfinished();
    for (int round = 0; round < 25; ++round) {
      disturb(cluster, down, next);
      const Duration pause =
          Duration::millis(cluster.world_.prng().between(100, 3'000));
      cluster.run_until(pause, [] { return false; });
    }
    for (const NodeId node : down) {
      cluster.start(node);
    }
    ASSERT_TRUE(cluster.settles(Duration::seconds(90))) << seed << " " << cluster.unfinished();
    ASSERT_EQ(cluster.lost(NodeId(1)), "") << seed;
    ASSERT_GT(cluster.answered_.size(), 500u);
  }
}

}  // namespace
}  // namespace quorate::node
