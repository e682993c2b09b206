// SPDX-License-Identifier: Apache-2.0
// quorate-sim: the command line of the simulator.
#include <charconv>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "base/mutant.h"
#include "sim/mutants.h"
#include "sim/runner.h"

namespace quorate::sim {
namespace {

constexpr std::string_view kUsage =
    "quorate-sim --seeds N [--first S] [--plan P] [--jobs J]   N seeds over all plans, or one\n"
    "quorate-sim --seed S --plan P [--quiet] [--mutant M]      replays one, printing its timeline\n"
    "quorate-sim --mutants [--mutant M]                       the mutation table (preset mutants)\n"
    "quorate-sim --list                                        the plans\n";

struct Arguments {
  RunnerOptions runner;
  uint64_t seed = 0;
  bool replay = false;
  bool mutants = false;
  bool list = false;
  bool quiet = false;
};

bool number(std::string_view text, uint64_t& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

bool parse(const std::vector<std::string_view>& words, Arguments& out) {
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string_view word = words[i];
    if (word == "--mutants" || word == "--list" || word == "--quiet") {
      (word == "--mutants" ? out.mutants : word == "--list" ? out.list : out.quiet) = true;
      continue;
    }
    if (++i == words.size()) {
      return false;
    }
    const std::string_view value = words[i];
    uint64_t jobs = 0;
    if (word == "--plan") {
      out.runner.plan = value;
    } else if (word == "--mutant") {
      out.runner.mutant = value;
    } else if (word == "--seed" && number(value, out.seed)) {
      out.replay = true;
    } else if (word == "--jobs" && number(value, jobs) && jobs > 0) {
      out.runner.jobs = jobs;
    } else if (!(word == "--seeds" && number(value, out.runner.seeds)) &&
               !(word == "--first" && number(value, out.runner.first))) {
      return false;
    }
  }
  return true;
}

const Plan* find(const std::vector<Plan>& plans, const std::string& name) {
  for (const Plan& plan : plans) {
    if (plan.name == name) {
      return &plan;
    }
  }
  return nullptr;
}

int replay(const std::vector<Plan>& plans, const Arguments& arguments) {
  const Plan* plan = arguments.runner.plan.empty() ? &plans[arguments.seed % plans.size()]
                                                   : find(plans, arguments.runner.plan);
  if (plan == nullptr) {
    std::printf("no such plan: %s\n", arguments.runner.plan.c_str());
    return 2;
  }
  set_mutant(arguments.runner.mutant);
  RunOptions options;
  options.print_timeline = !arguments.quiet;
  const Report report = run(*plan, arguments.seed, options);
  for (const auto& [path, times] : report.counts) {
    std::printf("  %-24s %llu\n", path.c_str(), static_cast<unsigned long long>(times));
  }
  std::printf("seed %llu plan %s: %s, %llu events, %llu operations (%llu unknown), %llu entries, "
              "%llu faults, %s simulated, hash %016llx\n",
              static_cast<unsigned long long>(report.seed), report.plan.c_str(),
              report.failure.empty() ? "ok" : report.failure.c_str(),
              static_cast<unsigned long long>(report.events),
              static_cast<unsigned long long>(report.operations),
              static_cast<unsigned long long>(report.unknown),
              static_cast<unsigned long long>(report.committed),
              static_cast<unsigned long long>(report.faults), show(report.simulated).c_str(),
              static_cast<unsigned long long>(report.hash));
  return report.failure.empty() ? 0 : 1;
}

int many(const std::vector<Plan>& plans, const Arguments& arguments) {
  const Totals totals = run_many(plans, arguments.runner);
  for (const std::string& path : totals.unreached) {
    std::printf("NEVER REACHED %s\n", path.c_str());
  }
  std::printf("%llu seeds over %zu plans: %.1f simulated hours, %llu events, %llu operations "
              "(%llu unknown outcomes, %llu undecided registers), %llu faults, %llu failures, "
              "%zu paths not reached, %.0f s\n",
              static_cast<unsigned long long>(totals.seeds),
              arguments.runner.plan.empty() ? plans.size() : size_t{1}, totals.simulated_hours,
              static_cast<unsigned long long>(totals.events),
              static_cast<unsigned long long>(totals.operations),
              static_cast<unsigned long long>(totals.unknown),
              static_cast<unsigned long long>(totals.undecided),
              static_cast<unsigned long long>(totals.faults),
              static_cast<unsigned long long>(totals.failures), totals.unreached.size(),
              totals.wall_seconds);
  return totals.failures == 0 && totals.unreached.empty() && totals.seeds > 0 ? 0 : 1;
}

int main_of(const std::vector<std::string_view>& words) {
  Arguments arguments;
  if (words.empty() || !parse(words, arguments)) {
    std::fputs(std::string(kUsage).c_str(), stdout);
    return 2;
  }
  const Result<std::vector<Plan>> plans = load_plans();
  if (!plans.ok()) {
    std::printf("%s\n", plans.status().to_string().c_str());
    return 2;
  }
  if (arguments.list) {
    for (const Plan& plan : *plans) {
      std::printf("%s\n", plan.name.c_str());
    }
    return 0;
  }
  if (arguments.mutants) {
#ifdef QUORATE_MUTANTS
    return run_mutants(*plans, arguments.runner.mutant, arguments.runner.jobs) == 0 ? 0 : 1;
#else
    std::puts("this build has no mutants: use the preset mutants");
    return 2;
#endif
  }
  return arguments.replay ? replay(*plans, arguments) : many(*plans, arguments);
}

}  // namespace
}  // namespace quorate::sim

int main(int argc, char** argv) {
  return quorate::sim::main_of(std::vector<std::string_view>(argv + 1, argv + argc));
}
