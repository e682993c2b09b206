// SPDX-License-Identifier: Apache-2.0
#include "sim/mutants.h"

#include <cstdio>

#include "sim/runner.h"

namespace quorate::sim {
namespace {

constexpr MutantRow kTable[] = {
    // What is said before it is durable, or forgotten.
    {"ack_before_persist", "torn_writes", 20, "an append is acknowledged before it is durable"},
    {"flush_answers_before_sync", "torn_writes", 20, "the log answers before it has synced"},
    {"vote_before_persist", "torn_writes", 60, "a vote leaves before it is durable"},
    {"restart_forgets_vote", "crashes", 40, "a restart does not read the vote back"},
    {"restart_forgets_loyalty", "loyalty", 60, "after a restart the leader's lease is forgotten"},
    {"cut_damaged_synced_record", "bit_rot", 60,
     "damage to what was synced passes for a torn tail"},
    {"snapshot_counts_before_sync", "torn_snapshots", 60,
     "the log is cut before its snapshot is durable"},
    {"snapshot_counts_before_rename_sync", "torn_snapshots", 60, "... before its name is"},
    // What is committed.
    {"commit_old_term_by_counting", "figure_8", 100, "figure 8: counting an older term's entry"},
    {"partial_batch_counted_whole", "figure_8", 40, "a cut batch counts as replicated whole"},
    {"appends_without_agreeing", "figure_8", 20, "an append is taken without the entry before it"},
    {"truncate_committed", "partitions", 20, "a follower drops committed entries"},
    {"snapshot_index_off", "snapshots", 60, "a snapshot counts for one entry more than it has"},
    {"hole_votes", "lost_disks", 60, "a replica that lost its disk votes at once"},
    {"founds_without_asking", "lost_disks", 60, "an empty directory founds the cluster anew"},
    // Who is a member.
    {"joint_counts_one_majority", "membership", 200, "joint consensus asks one majority"},
    {"config_applied_late", "membership", 20, "a configuration counts from its commit"},
    {"config_survives_truncation", "membership", 60,
     "a configuration stays when its entry is replaced"},
    {"removed_leader_stays", "membership", 60, "a leader that was removed leads on"},
    {"destroys_members", "exodus", 20, "a replica goes before the group has let it go"},
    // What is read.
    {"skip_lease_check", "leases", 20, "a leader reads without looking at its lease"},
    {"lease_ignores_drift", "leases", 60, "the lease leaves no room for clocks that drift"},
    {"lease_from_the_answer", "leases", 60, "the lease begins when the answer comes"},
    {"transfer_keeps_lease", "handover", 20, "the lease is kept while leadership is handed over"},
    {"votes_while_led", "loyalty", 60, "a follower votes though it hears the leader"},
    {"reads_before_own_entry", "handover", 150,
     "a new leader reads before it knows what is committed"},
    {"follower_reads_without_asking", "leases", 20, "a follower reads without asking the leader"},
    {"stale_round_serves_reads", "late_answers", 60, "an old read index serves a newer read"},
    {"bounds_are_ignored", "leases", 20, "a bounded read is as old as it likes"},
    // What is applied and answered.
    {"forgotten_dedup_in_snapshot", "snapshots", 20, "the session table is not in the snapshot"},
    {"answers_are_not_kept", "crashes", 20, "a session's answers are forgotten"},
    {"snapshot_misses_changed_entry", "snapshots", 20, "what changes under a freeze is lost"},
    {"apply_twice_after_snapshot", "snapshots", 20,
     "the first entry after a snapshot is in it already"},
    // What an index gives, and a watch.
    {"index_keeps_old_entries", "documents", 20, "an index keeps the value that a key has lost"},
    {"index_lets_twins_in", "documents", 20, "a unique index lets a second key in"},
    {"index_builds_without_writers", "documents", 20,
     "while an index is built, changes of keys pass it by"},
    {"watch_ignores_compaction", "documents", 40, "a watch goes on behind what is forgotten"},
    {"watch_skips_what_is_left", "documents", 20, "a page that is cut counts as whole"},
    // What the store holds, finds and tells.
    {"unique_ignores_batches", "store", 20, "a batch is not held against a unique index"},
    {"quota_of_keys_unasked", "store", 20, "a keyspace grows beyond its quota"},
    {"bucket_forgets", "store_snapshots", 20, "what was taken from a bucket is not kept"},
    {"watch_begins_anew", "store", 20, "a watch goes on from now, not from where it was"},
    // Who holds what.
    {"lease_without_grace", "locks", 40, "a new leader ends leases that it has not heard of"},
    {"ends_what_it_has_not_seen", "lock_heirs", 60,
     "a new leader ends leases before it has applied what it found"},
    {"heartbeats_unheard", "locks", 20, "the leader answers heartbeats, and forgets them"},
    {"lock_tokens_stay", "locks", 20, "a grant to a waiter gets the last token again"},
    {"lock_tokens_begin_anew", "locks", 20, "the last token is not restored from a snapshot"},
    {"fences_are_ignored", "locks", 20, "a write comes late, with a token that is too small"},
    {"fences_forgotten_in_snapshot", "locks", 40,
     "the greatest token that came is not restored from a snapshot"},
    {"lock_readers_overtake", "lock_deadlocks", 40, "readers pass a writer who waits"},
    {"lock_release_for_anybody", "locks", 40, "a release does not ask who holds the lock"},
    {"lock_deadlocks_are_let_be", "lock_deadlocks", 20, "a wait that closes a cycle is let in"},
    {"lock_cycles_unsought", "lock_deadlocks", 20, "nobody looks for cycles through groups"},
    {"lock_cycles_unconfirmed", "lock_phantoms", 120, "a cycle is not read a second time"},
    {"lost_call_is_called_failed", "crashes", 60, "a broken link passes for a command not done"},
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
                static_cast<unsigned long long>(caught ? totals.seeds_until_failure : totals.seeds),
                static_cast<unsigned long long>(row.bound),
                caught ? how.substr(0, 120).c_str() : "SURVIVED");
    std::fflush(stdout);
  }
  return survivors;
}

}  // namespace quorate::sim
