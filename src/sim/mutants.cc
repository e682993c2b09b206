// SPDX-License-Identifier: Apache-2.0
#include "sim/mutants.h"

#include <cstdio>

#include "sim/runner.h"

namespace quorate::sim {
namespace {

constexpr MutantRow kTable[] = {
    {"ack_before_persist", "torn_writes", 40, "an append is acknowledged before it is durable"},
    {"vote_before_persist", "torn_writes", 60, "a vote leaves before it is durable"},
    {"vote_twice_after_restart", "crashes", 60, "the vote is forgotten by a restart"},
    {"commit_old_term_by_counting", "partitions", 60, "figure 8: counting an older term's entry"},
    {"skip_lease_check", "pauses", 40, "a leader reads without looking at its lease"},
    {"transfer_keeps_lease", "transfer", 60, "the lease is kept while leadership is handed over"},
    {"partial_batch_counted_whole", "partitions", 40, "a cut batch counts as replicated whole"},
    {"stale_read_index_on_retry", "partitions", 60, "a retried read index gets the first answer"},
    {"config_applied_late", "membership", 60, "a configuration counts from its commit only"},
    {"joint_counts_one_majority", "membership", 60, "joint consensus asks one majority"},
    {"truncate_committed", "partitions", 40, "a follower drops committed entries"},
    {"hole_votes", "bit_rot", 80, "a replica with holes votes"},
    {"forgotten_dedup_in_snapshot", "snapshots", 40, "the session table is not in the snapshot"},
    {"answers_are_not_kept", "crashes", 40, "a session's answers are forgotten"},
    {"snapshot_misses_changed_entry", "snapshots", 40, "what changes under a freeze is lost"},
};

}  // namespace

std::span<const MutantRow> mutant_table() { return kTable; }

size_t run_mutants(const std::vector<Plan>& plans, std::string_view only, size_t jobs) {
  size_t survivors = 0;
  std::printf("%-32s %-14s %6s %6s  %s\n", "mutant", "plan", "seeds", "bound", "caught as");
  for (const MutantRow& row : kTable) {
    if (!only.empty() && only != row.name) {
      continue;
    }
    RunnerOptions options;
    options.seeds = row.bound;
    options.plan = row.plan;
    options.mutant = row.name;
    options.jobs = jobs;
    options.stop_at_failure = true;
    options.quiet = true;
    const Totals totals = run_many(plans, options);
    const bool caught = totals.failures > 0;
    survivors += caught ? 0 : 1;
    const std::string how = totals.first_failure.substr(0, totals.first_failure.find('\n'));
    std::printf("%-32s %-14s %6llu %6llu  %s\n", std::string(row.name).c_str(),
                std::string(row.plan).c_str(),
                static_cast<unsigned long long>(caught ? totals.seeds_until_failure
                                                       : totals.seeds),
                static_cast<unsigned long long>(row.bound),
                caught ? how.substr(0, 120).c_str() : "SURVIVED");
    std::fflush(stdout);
  }
  return survivors;
}

}  // namespace quorate::sim
