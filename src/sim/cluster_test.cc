// SPDX-License-Identifier: Apache-2.0
// Whole nodes in situations that a plan would have to wait long for.
#include "sim/cluster.h"

#include <gtest/gtest.h>

#include "sim/workloads/registers.h"

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

}  // namespace
}  // namespace quorate::sim
