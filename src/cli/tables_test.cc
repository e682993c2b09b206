// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "cli/metrics_text.h"
#include "cli/table.h"

namespace quorate::cli {
namespace {

TEST(metrics_text, is_summed_over_labels) {
  const MetricSums sums = sum_metrics(
      "# HELP a Text 7\n"
      "# TYPE a counter\n"
      "a{x=\"1 2\",y=\"}\"} 3\n"
      "a{x=\"2\"} 4.5\n"
      "b 1e3\n"
      "c nonsense\n"
      "\n"
      "d");
  EXPECT_EQ(sums, (MetricSums{{"a", 7.5}, {"b", 1000}}));
}

TEST(table, columns_are_as_wide_as_their_widest_cell) {
  EXPECT_EQ(table({{"a", "bbb"}, {"cc", "d"}}), "a   bbb\ncc  d\n");
  EXPECT_EQ(table({{"a", "bbb"}, {"cc", "d"}}, 1), "a   bbb\ncc    d\n");
  EXPECT_EQ(table({}), "");
}

TEST(table, no_cell_speaks_to_the_terminal) {
  EXPECT_EQ(shown("a\tb\x1b[31m\x7f"), "a\\x09b\\x1b[31m\\x7f");
  EXPECT_EQ(shown("na\xc3\xafve"), "na\xc3\xafve");
  EXPECT_EQ(table({{"\n", "b"}, {"cccccc", "d"}}), "\\x0a    b\ncccccc  d\n");
}

}  // namespace
}  // namespace quorate::cli
