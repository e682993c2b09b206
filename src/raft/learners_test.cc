// SPDX-License-Identifier: Apache-2.0
// The meta group lets every node of the cluster learn, so learners have a bound of their own.
#include <gtest/gtest.h>

#include "base/codec.h"
#include "base/limits.h"
#include "raft/config_change.h"
#include "raft/message.h"

namespace quorate::raft {
namespace {

TEST(learners, as_many_may_learn_as_a_cluster_has_nodes_and_no_more) {
  Config config;
  config.voters = {NodeId(1)};
  for (uint32_t node = 2; node <= limits::kNodesMax + 1; ++node) {
    const ConfigChange one{{{ChangeKind::kAddLearner, NodeId(node)}}, false};
    const Result<Config> next = apply_change(config, one);
    ASSERT_TRUE(next.ok()) << node;
    config = *next;
  }
  std::string bytes;
  Writer writer(bytes);
  encode(config, writer);
  Reader reader(bytes);
  EXPECT_EQ(decode_config(reader), config);
  EXPECT_TRUE(reader.done());
  const ConfigChange more{{{ChangeKind::kAddLearner, NodeId(1'000)}}, false};
  EXPECT_EQ(apply_change(config, more).status().code(), Code::kTooLarge);
}

}  // namespace
}  // namespace quorate::raft
