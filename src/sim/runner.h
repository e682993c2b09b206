// SPDX-License-Identifier: Apache-2.0
// Runner: many seeds over many plans, in processes of their own, so that an ASSERT of the code
// under test is one failed seed and not the end of the run.
//
// Seed i runs plan i mod count, or the one plan that was asked for. Each failure is printed with
// the command that replays it. A plan's must_reach counters are summed over its seeds.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/run.h"

namespace quorate::sim {

struct RunnerOptions {
  uint64_t first = 1;
  uint64_t seeds = 0;
  std::string plan;            // empty: all
  std::string mutant;          // the deliberate bug to run with; empty: none
  size_t jobs = 2;
  bool stop_at_failure = false;
  bool quiet = false;          // print nothing
  uint64_t seconds_max = 20;  // of processor time, then it is killed: a loop without end
};

struct Totals {
  uint64_t seeds = 0;
  uint64_t failures = 0;
  uint64_t events = 0;
  uint64_t operations = 0;
  uint64_t unknown = 0;
  uint64_t undecided = 0;
  uint64_t faults = 0;
  double simulated_hours = 0;
  double wall_seconds = 0;
  std::vector<std::string> unreached;    // "plan: counter"
  std::string first_failure_plan;
  std::string first_failure;
  uint64_t seeds_until_failure = 0;      // seeds started up to and with the first failure
};

[[nodiscard]] Totals run_many(const std::vector<Plan>& plans, const RunnerOptions& options);

// One seed in a child process: what it reported, or how it died.
[[nodiscard]] Report run_isolated(const Plan& plan, uint64_t seed, const RunnerOptions& options);

}  // namespace quorate::sim
