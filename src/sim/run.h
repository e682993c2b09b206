// SPDX-License-Identifier: Apache-2.0
// run: one plan, one seed, from an empty cluster to a verdict.
//
//   faults and load      for the plan's duration; the observer looks after each event
//   healing              no faults, no load: within the plan's time every group has a leader, every
//                        member has applied everything, and their digests are equal
//   last reads           every register once; then the histories are checked
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "sim/plan.h"

namespace quorate::sim {

struct Report {
  std::string plan;
  uint64_t seed = 0;
  std::string failure;              // "" or what was broken
  uint64_t hash = 0;
  uint64_t events = 0;
  uint64_t operations = 0;
  uint64_t answered = 0;
  uint64_t unknown = 0;
  uint64_t undecided = 0;
  uint64_t faults = 0;
  uint64_t committed = 0;
  Duration simulated;
  std::map<std::string, uint64_t> counts;
  std::vector<std::string> timeline;   // its end, of a failed run
};

struct RunOptions {
  bool print_timeline = false;
  size_t keep_lines = 0;
};

[[nodiscard]] Report run(const Plan& plan, uint64_t seed, const RunOptions& options = {});

// One line, for the pipe between the runner and its workers; timeline excluded.
[[nodiscard]] std::string encode(const Report& report);
[[nodiscard]] bool decode(const std::string& line, Report& report);

}  // namespace quorate::sim
