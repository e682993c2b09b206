// SPDX-License-Identifier: Apache-2.0
// Whole nodes in situations that a plan would have to wait long for.
#include "sim/cluster.h"

#include <gtest/gtest.h>

#include <map>

#include "service/kv/api.h"
#include "service/lock/api.h"
#include "sim/workloads/registers.h"
#include "sim/workloads/store_door.h"

namespace quorate::sim {
namespace {

class cluster : public ::testing::Test {
 protected:
  cluster() {
    for (const NodeId id : all.ids()) {
      all.start(id);
    }
    registers.start();
  }
  void run(Duration span) { world.run_until(world.now() + span); }

  Plan plan = parse_plan("test",
                         "nodes 3\ngroups 1\nthink 5ms\nsnapshot_log_bytes 8192\n"
                         "segment_bytes 65536\ncached_bytes 4096\nchunk_bytes 1024\n"
                         "keys 64\nvalue_bytes 300\nreads_percent 10\n")
                  .value();
  World world{7};
  Cluster all{world, plan};
  Registers registers{all};
  const NodeId late{3};
};

TEST_F(cluster, a_snapshot_that_cannot_be_read_while_it_is_installed_stops_the_node_in_good_order) {
  run(Duration::seconds(2));
  all.end(late, Cluster::End::kKill);
  run(Duration::seconds(4));  // long enough for the others' logs to be cut
  ASSERT_TRUE(all.start(late));
  DiskModel failing = plan.disk;
  failing.read_fails_ppm = 300'000;
  all.disk(late).set_model(failing);
  for (int i = 0; i < 20'000 && all.node(late)->failure().ok(); ++i) {
    run(Duration::millis(1));
  }
  const Status failure = all.node(late)->failure();
  ASSERT_FALSE(failure.ok());
  EXPECT_NE(failure.message().find("being installed"), std::string::npos) << failure.to_string();
  const service::LocalRead read = all.node(late)->read_here(GroupId(1), service::ServiceId::kCache,
                                                            {service::Consistency::kEventual, {}});
  EXPECT_EQ(read.machine, nullptr) << "half a machine answers nothing";

  all.disk(late).set_model(plan.disk);
  all.end(late, Cluster::End::kKill);
  run(Duration::seconds(4));  // what it has received whole is old by then
  ASSERT_TRUE(all.start(late));
  run(Duration::seconds(3));
  registers.stop();
  run(Duration::seconds(2));
  const node::Node* const leader = all.node(all.leader_of(GroupId(1)));
  EXPECT_EQ(all.node(late)->group(GroupId(1))->machine().digest(),
            leader->group(GroupId(1))->machine().digest());
  EXPECT_GT(all.node(late)->counters().snapshots_installed, 0u);
}

TEST_F(cluster, a_node_that_loses_power_while_it_recovers_starts_again) {
  run(Duration::seconds(2));
  for (uint64_t operations = 1; operations <= 60; ++operations) {
    all.end(late, Cluster::End::kKill);
    all.disk(late).arm_freeze(operations);
    (void)all.start(late);
    run(Duration::millis(600));
    all.disk(late).arm_freeze(0);
    if (!all.running(late)) {
      all.end(late, Cluster::End::kKill);
      ASSERT_TRUE(all.start(late)) << "after " << operations;
    }
    ASSERT_EQ(all.complaint(), "") << "after " << operations;
  }
}

// What a leader proposed while it was cut off another leader's entries displace. Nobody has to hear
// of that: its commands, and what came to the node meanwhile, follow in their order.
class displacement : public ::testing::Test {
 protected:
  displacement() {
    for (const NodeId id : all.ids()) {
      all.start(id);
    }
    run(Duration::seconds(2));
    old_leader = all.leader_of(kGroup);
  }
  void run(Duration span) { world.run_until(world.now() + span); }
  void cut_off() {
    for (const NodeId id : all.ids()) {
      if (id != old_leader) {
        all.network().cut(id, old_leader);
        all.network().cut(old_leader, id);
      }
    }
  }
  void put(NodeId at, const std::string& value) {
    all.store(at)->api().write(
        service::kv::Put{.keyspace = service::kv::KeyspaceId(1), .key = "k", .value = value},
        {.timeout = Duration::seconds(20)},
        [this, value](const Status& status, const service::kv::Written& written,
                      const service::Origin&) {
          heard[value] = status.ok() ? std::to_string(written.version)
                                     : std::string(row_of(status.code()).name);
        });
  }
  [[nodiscard]] uint64_t displaced() { return all.node(old_leader)->counters().displaced; }

  static constexpr GroupId kGroup{1};
  Plan plan = parse_plan("test", "nodes 3\ngroups 1\nstore_clients 1\n").value();
  World world{11};
  Cluster all{world, plan};
  NodeId old_leader;
  std::map<std::string, std::string> heard;
};

TEST_F(displacement, commands_of_displaced_entries_are_proposed_again_in_their_order) {
  cut_off();
  put(old_leader, "a");
  run(Duration::millis(5));
  put(old_leader, "b");
  run(Duration::millis(450));  // it has given up the lead, and the others have a leader
  ASSERT_FALSE(all.node(old_leader)->group(kGroup)->leads());
  put(old_leader, "c");
  const NodeId leader = all.leader_of(kGroup);
  ASSERT_NE(leader, old_leader);
  put(leader, "x");
  run(Duration::millis(100));
  EXPECT_EQ(heard, (std::map<std::string, std::string>{{"x", "1"}}));
  all.network().heal_all();
  run(Duration::seconds(3));
  EXPECT_EQ(heard,
            (std::map<std::string, std::string>{{"x", "1"}, {"a", "2"}, {"b", "3"}, {"c", "4"}}));
  EXPECT_EQ(displaced(), 2u);
}

TEST_F(displacement, commands_that_were_overtaken_are_not_proposed_again) {
  cut_off();
  put(old_leader, "a");
  run(Duration::millis(450));
  put(old_leader, "b");
  run(Duration::seconds(3));  // b has waited long enough, and leaves the node
  all.network().heal_all();
  run(Duration::seconds(3));
  EXPECT_EQ(heard["a"], "unavailable");
  EXPECT_EQ(heard["b"] == "1" || heard["b"] == "unknown_outcome", true) << heard["b"];
  EXPECT_EQ(displaced(), 0u);
}

// Seed 720101 of the plan lock_clocks: a leader that was elected a moment ago, whose clock is an
// hour ahead, finds a wait that is over, and in its log a grant that it has not applied yet.
class succession : public ::testing::Test {
 protected:
  succession() {
    for (const NodeId id : all.ids()) {
      all.start(id);
    }
    run(Duration::seconds(2));
    old_leader = all.leader_of(kGroup);
    for (const NodeId id : all.ids()) {
      if (id != old_leader) {
        (successor.none() ? successor : third) = id;
      }
    }
  }
  void run(Duration span) { world.run_until(world.now() + span); }
  void acquire(NodeId at, const std::string& owner, const std::string& name, Duration wait) {
    all.locks(at)->api().wait({kDomain, owner},
                              service::lock::Acquire{.who = {kDomain, owner},
                                                     .items = {{.name = name}},
                                                     .wait = wait,
                                                     .lease = Duration::seconds(10)},
                              {}, [this, owner](const Status& status, const auto&, const auto&) {
                                granted += status.ok() ? owner + " " : "";
                              });
  }
  void cut_off(NodeId alone) {
    for (const NodeId id : all.ids()) {
      if (id != alone) {
        all.network().cut(id, alone);
        all.network().cut(alone, id);
      }
    }
  }

  static constexpr GroupId kGroup{1};
  static constexpr service::lock::DomainId kDomain{0};
  Plan plan = parse_plan("test", "nodes 3\ngroups 1\nlock_clients 1\n").value();
  World world{5};
  Cluster all{world, plan};
  NodeId old_leader;
  NodeId successor;
  NodeId third;
  std::string granted;
};

TEST_F(succession, a_leader_whose_clock_is_ahead_ends_no_lease_that_it_has_not_seen_yet) {
  all.end(successor, Cluster::End::kKill);
  all.clock(successor).jump(Duration::seconds(3'600));
  ASSERT_TRUE(all.start(successor));
  run(Duration::seconds(1));
  acquire(old_leader, "first", "a", Duration());
  run(Duration::millis(100));
  acquire(old_leader, "waits", "a", Duration::seconds(600));
  run(Duration::seconds(1));
  cut_off(third);
  acquire(old_leader, "second", "b", Duration());
  while (granted != "first second ") {
    run(Duration::micros(50));
  }
  all.end(old_leader, Cluster::End::kKill);
  all.network().heal_all();
  run(Duration::seconds(2));
  ASSERT_EQ(all.leader_of(kGroup), successor);
  std::string holder;
  all.locks(successor)->api().read(
      kDomain, service::lock::Info{kDomain, "b"}, {},
      [&holder](const service::lock::Answer& answer, const service::Origin&) {
        const auto* const details = std::get_if<service::lock::LockDetails>(&answer);
        holder = details == nullptr ? "nobody" : std::string(details->holders.front().owner);
      });
  run(Duration::millis(100));
  EXPECT_EQ(holder, "second");
}

}  // namespace
}  // namespace quorate::sim
