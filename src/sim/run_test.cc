// SPDX-License-Identifier: Apache-2.0
// The plans themselves: each holds, decides every register, and is the same run every time.
#include "sim/run.h"

#include <gtest/gtest.h>

namespace quorate::sim {
namespace {

TEST(run, a_seed_of_every_plan_holds_and_leaves_no_register_undecided) {
  const Result<std::vector<Plan>> plans = load_plans();
  ASSERT_TRUE(plans.ok()) << plans.status().to_string();
  for (const Plan& plan : *plans) {
    const Report report = run(plan, 1);
    EXPECT_EQ(report.failure, "") << plan.name;
    EXPECT_EQ(report.undecided, 0u) << plan.name;
    EXPECT_GT(report.answered, 0u) << plan.name;
  }
}

TEST(run, a_seed_is_the_same_run_every_time) {
  const Result<std::vector<Plan>> plans = load_plans();
  ASSERT_TRUE(plans.ok());
  for (const Plan& plan : *plans) {
    if (plan.name == "placement" || plan.name == "crashes") {
      EXPECT_EQ(run(plan, 2).hash, run(plan, 2).hash) << plan.name;
    }
  }
}

}  // namespace
}  // namespace quorate::sim
