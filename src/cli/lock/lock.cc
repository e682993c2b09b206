// SPDX-License-Identifier: Apache-2.0
// quorate lock: the table of its commands.
#include <algorithm>

#include "base/limits.h"
#include "cli/commands.h"
#include "cli/lock/lock_commands.h"

namespace quorate::cli {
namespace {

constexpr Flag kDomain = {"--domain", "N", "names of another domain are other names (0)"};
constexpr Flag kShared = {"--shared", "", "together with others who share it"};
constexpr Flag kPermits = {"--permits", "N/LIMIT", "N permits of a semaphore that has LIMIT"};
constexpr Flag kOwner = {"--owner", "NAME", "who holds it (host, process and chance)"};

constexpr Flag kRunFlags[] = {
    kShared,
    kPermits,
    {"--wait", "DURATION", "wait at most so long (a day)"},
    {"--try", "", "do not wait"},
    {"--lease", "DURATION", "how soon a holder that fell silent has lost it (10s)"},
    {"--grace", "DURATION", "between TERM and KILL when the lock is lost (5s)"},
    kOwner,
    kDomain};
constexpr Flag kAcquireFlags[] = {kShared,
                                  kPermits,
                                  {"--wait", "DURATION", "wait at most so long (not at all)"},
                                  {"--lease", "DURATION", "how long it is held (30s)"},
                                  kOwner,
                                  kDomain};
constexpr Flag kReleaseFlags[] = {{"--token", "N", "only if this is the token of the hold"},
                                  {"--all", "", "however often it was entered"},
                                  kDomain};
constexpr Flag kBreakFlags[] = {{"--owner", "NAME", "only from this holder"}, kDomain};
constexpr Flag kWatchFlags[] = {{"--count", "N", "end after so many changes"}, kDomain};
constexpr Flag kDomainOnly[] = {kDomain};

constexpr size_t kWordsMax = limits::kBatchItemsMax;

const Command kCommands[] = {
    {"run", "NAME -- COMMAND...", "Run a command while holding a lock; 'run' may be left out.",
     "Waits for the lock, runs the command with QUORATE_LOCK_TOKEN, _NAME and _OWNER in its\n"
     "environment, keeps the lock alive, and gives it back at the end. If the lock is lost (this\n"
     "machine was cut off or stopped for longer than the lease), the command gets TERM, and KILL\n"
     "after a grace. Pass the token to what you write to: only there can late writes be refused.\n"
     "Ends with the command's own code, or 1: not free in time, 3: no cluster, 5: the lock was "
     "lost,"
     "\n126 and 127: the command does not run. Examples:\n"
     "  quorate lock backups/nightly -- ./backup.sh\n"
     "  quorate lock reports --shared --wait 30s -- make report\n"
     "  quorate lock builders --permits 1/4 -- make\n"
     "  quorate lock leader --try --lease 5s -- ./serve",
     kRunFlags, 2, kWordsMax, lock_run},
    {"acquire", "NAME", "Take a lock for so long as its lease; prints token and owner.",
     "For scripts; nobody keeps it alive. Ends with 1 if it is not free. Examples:\n"
     "  quorate lock acquire deploy --lease 10m --owner ci-42\n"
     "  quorate lock acquire report --shared --wait 5s",
     kAcquireFlags, 1, 1, lock_acquire},
    {"release", "NAME OWNER", "Give a lock back.", "Example:\n  quorate lock release deploy ci-42",
     kReleaseFlags, 2, 2, lock_release},
    {"ls", "[PREFIX]", "Locks in use: who holds them, how many wait, the token.",
     "Examples:\n  quorate lock ls\n  quorate lock ls backups/ --json", kDomainOnly, 0, 1,
     lock_list},
    {"info", "NAME", "Who holds a lock and who waits for it.",
     "Ends with 1 if nobody does. Example:\n  quorate lock info backups/nightly", kDomainOnly, 1, 1,
     lock_info},
    {"owner", "OWNER", "What an owner holds and waits for.", "Example:\n  quorate lock owner ci-42",
     kDomainOnly, 1, 1, lock_owner},
    {"break", "NAME", "Take a lock from its holders, who are not asked.",
     "For when you know that they are gone. A holder that is not may still act on it: only tokens\n"
     "keep it out. Examples:\n  quorate lock break deploy\n"
     "  quorate lock break report --owner ci-42",
     kBreakFlags, 1, 1, lock_break},
    {"watch", "[PREFIX]", "Print locks as they change: in use and how, or free.",
     "Tells states, not steps: what comes and goes at once may not be seen. Example:\n"
     "  quorate lock watch backups/ --json",
     kWatchFlags, 0, 1, lock_watch},
    {"stats", "", "Counts of locks, owners, grants, deadlocks.",
     "Example:\n  quorate lock stats --json", kDomainOnly, 0, 0, lock_stats},
};

bool is_command(const std::string& word) {
  return word == "help" || word == "--help" || word == "-h" ||
         std::any_of(std::begin(kCommands), std::end(kCommands),
                     [&word](const Command& command) { return command.name == word; });
}

}  // namespace

std::span<const Command> lock_commands() { return kCommands; }

// "lock NAME -- CMD" is "lock run NAME -- CMD", recognised by its "--".
Exit lock_main(const std::vector<std::string>& words, Io& io) {
  std::vector<std::string> all = words;
  const bool has_command = std::find(words.begin(), words.end(), "--") != words.end();
  if (!words.empty() && has_command && (words[0] != "run") && !is_command(words[0])) {
    all.insert(all.begin(), "run");
  }
  return run_command("lock", "Locks with leases, tokens and fair queues.", kCommands, all, io);
}

}  // namespace quorate::cli
