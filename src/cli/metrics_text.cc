// SPDX-License-Identifier: Apache-2.0
#include "cli/metrics_text.h"

#include <charconv>

namespace quorate::cli {

MetricSums sum_metrics(std::string_view text) {
  MetricSums sums;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    const size_t space = line.rfind(' ');
    if (line.empty() || line.front() == '#' || space == std::string_view::npos) {
      continue;
    }
    double value = 0;
    const char* const last = line.data() + line.size();
    const auto [stop, error] = std::from_chars(line.data() + space + 1, last, value);
    if (error == std::errc() && stop == last) {
      const std::string_view name = line.substr(0, line.find_first_of("{ "));
      sums[std::string(name)] += value;
    }
  }
  return sums;
}

}  // namespace quorate::cli
