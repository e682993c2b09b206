// SPDX-License-Identifier: Apache-2.0
// Metrics as a node tells them, read for people: the Prometheus text, summed over labels.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace quorate::cli {

using MetricSums = std::map<std::string, double, std::less<>>;

// Lines that cannot be read are skipped.
[[nodiscard]] MetricSums sum_metrics(std::string_view text);

}  // namespace quorate::cli
