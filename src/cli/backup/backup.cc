// SPDX-License-Identifier: Apache-2.0
// quorate backup: a cluster's keys, keyspaces and indexes to one file, or to an archive of every
// change, while it serves; and back.
#include <algorithm>
#include <boost/json/serialize.hpp>
#include <csignal>
#include <filesystem>

#include "cli/backup/cluster_copy.h"
#include "cli/backup/follower.h"
#include "cli/backup/plan.h"
#include "cli/backup/restore.h"
#include "cli/commands.h"
#include "cli/requests.h"

namespace quorate::cli {
namespace {

namespace json = boost::json;

// ---- create, follow ----------------------------------------------------------------------------

Result<uint64_t> copy_all(Session& session, const std::string& path) {
  Result<ClusterShape> shape = shape_of(session);
  RETURN_IF_ERROR(shape);
  Result<BackupWriter> file = BackupWriter::open(path);
  RETURN_IF_ERROR(file);
  ClusterCopy copy(session, std::move(*file), std::move(*shape));
  for (;;) {
    const Result<bool> whole = copy.step();
    RETURN_IF_ERROR(whole);
    if (*whole) {
      return copy.entries();
    }
  }
}

Exit create(Session& session) {
  const std::string& path = session.arguments().words[0];
  const Result<uint64_t> entries = copy_all(session, path);
  if (!entries.ok()) {
    return session.fail(entries.status());
  }
  session.print(session.json() ? "{\"entries\":" + std::to_string(*entries) + "}\n"
                               : "ok, " + std::to_string(*entries) + " entries in " + path + "\n");
  return Exit::kDone;
}

volatile bool stop_was_asked = false;

Result<Follower::Options> read_follow_options(const Arguments& arguments) {
  const Result<uint64_t> every =
      parse_span(arguments.value("--base-every").value_or("24h"), "--base-every");
  const Result<uint64_t> keep = parse_span(arguments.value("--keep").value_or("0s"), "--keep");
  RETURN_IF_ERROR(every);
  RETURN_IF_ERROR(keep);
  return Follower::Options{.directory = arguments.words[0],
                           .base_every_ms = *every,
                           .keep_ms = *keep,
                           .once = arguments.has("--once")};
}

// What it was asked to stop with ends it between two turns, so that it says how far it came.
Exit follow(Session& session) {
  const Result<Follower::Options> options = read_follow_options(session.arguments());
  if (!options.ok()) {
    return session.usage_error(options.status().message());
  }
  for (const int signal : {SIGINT, SIGTERM}) {
    (void)std::signal(signal, [](int) { stop_was_asked = true; });
  }
  Follower follower(session, *options);
  const Status status = follower.run(stop_was_asked);
  return status.ok() ? Exit::kDone : session.fail(status);
}

// ---- verify ------------------------------------------------------------------------------------

Exit verify_file(Session& session, const std::string& path) {
  const Result<Contents> contents = read_contents(path);
  if (!contents.ok()) {
    return session.fail(contents.status());
  }
  const json::object said = {{"groups", contents->begins.size()},
                             {"keyspaces", contents->keyspaces.size()},
                             {"indexes", contents->indexes.size()},
                             {"entries", contents->entries}};
  session.print(session.json() ? json::serialize(said) + "\n"
                               : "whole: " + std::to_string(contents->begins.size()) + " groups, " +
                                     std::to_string(contents->keyspaces.size()) + " keyspaces, " +
                                     std::to_string(contents->indexes.size()) + " indexes, " +
                                     std::to_string(contents->entries) + " entries\n");
  return Exit::kDone;
}

// From each base as far as the next one, and from the last to the end.
Result<json::object> check_stretch(const std::string& path, uint64_t begin, uint64_t end) {
  Plan::Wishes wishes;
  if (end != 0) {
    wishes.moment.at_ms = end;
  }
  const Result<Plan> plan = Plan::make(path, wishes);
  if (!plan.ok()) {
    return plan.status();
  }
  return json::object{{"from_ms", begin}, {"to_ms", end != 0 ? end : plan->known_ms()}};
}

Exit verify_archive(Session& session, const std::string& path) {
  const Result<Archive> archive = Archive::open(path);
  if (!archive.ok()) {
    return session.fail(archive.status());
  }
  std::vector<uint64_t> begins;
  Status problem =
      archive->bases().empty() ? Status(Code::kNotFound, "no base is in " + path) : Status();
  for (const Archive::Base& base : archive->bases()) {
    const Result<Contents> contents = read_contents(base.path);
    problem = contents.ok() ? problem : contents.status();
    if (contents.ok()) {
      begins.push_back(contents->end_ms);
    }
  }
  for (size_t number = 0; number < begins.size(); ++number) {
    const uint64_t end = number + 1 < begins.size() ? begins[number + 1] - 1 : 0;
    const Result<json::object> stretch = check_stretch(path, begins[number], end);
    if (!stretch.ok()) {
      problem = stretch.status();
      continue;
    }
    session.print(session.json() ? json::serialize(*stretch) + "\n"
                                 : "whole from " + time_text(begins[number]) + " to " +
                                       time_text(get_number(*stretch, "to_ms")) + "\n");
  }
  return problem.ok() ? Exit::kDone : session.fail(problem);
}

Exit verify(Session& session) {
  const std::string& path = session.arguments().words[0];
  return std::filesystem::is_directory(path) ? verify_archive(session, path)
                                             : verify_file(session, path);
}

// ---- the table ---------------------------------------------------------------------------------

constexpr Flag kFollowFlags[] = {
    {"--once", "", "end when all that there is now is in the archive"},
    {"--base-every", "TIME", "begin a new base so often (24h); a restore reads on from one"},
    {"--keep", "TIME", "remove what is not needed to restore any moment since so long ago"}};
constexpr Flag kRestoreFlags[] = {
    {"--at", "TIME|REVISION", "of an archive: as it was then, and not its newest"},
    {"--keyspace", "NAME", "this one alone"},
    {"--shift-ends", "", "keys that end live on as long as they had left then"},
    {"--force", "", "also into what is not empty"}};

const Command kCommands[] = {
    {"create",
     "FILE",
     "Write all keys, keyspaces and indexes to one file, while the cluster serves.",
     "Each group is copied as it was at one moment. The file appears when it is whole.\n"
     "'quorate backup FILE' is the same. Example:\n  quorate backup monday.qb",
     {},
     1,
     1,
     create},
    {"follow", "DIR", "Keep an archive: a backup, and every change since, as it comes.",
     "Any moment since the first base can be restored (quorate restore DIR --at ...). Kill it at\n"
     "any moment; started again it goes on where its files end. Ctrl-C ends it. Examples:\n"
     "  quorate backup follow /var/backups/quorate --keep 7d\n"
     "  quorate backup follow /var/backups/quorate --once    # from cron",
     kFollowFlags, 1, 1, follow},
    {"verify",
     "FILE|DIR",
     "Check every checksum of a backup or an archive, and that nothing is missing.",
     "Of an archive it prints from when to when every moment can be restored. Examples:\n"
     "  quorate backup verify monday.qb\n  quorate backup verify /var/backups/quorate",
     {},
     1,
     1,
     verify},
    {"restore", "FILE|DIR", "Put a backup, or an archive as of a moment, into a fresh cluster.",
     "Keys, values, ends, keyspaces and indexes come back, in a cluster of whatever size; "
     "versions\n"
     "and revisions begin anew. 'quorate restore FILE' is the same. Examples:\n"
     "  quorate restore monday.qb --node 10.0.0.1:8001\n"
     "  quorate restore /var/backups/quorate --at 2026-01-31T10:00:00Z\n"
     "  quorate restore /var/backups/quorate --at 3:120 --keyspace orders",
     kRestoreFlags, 1, 1, restore},
};

}  // namespace

std::span<const Command> backup_commands() { return kCommands; }

Exit backup_main(const std::vector<std::string>& words, Io& io) {
  constexpr std::string_view kIntro =
      "Backups of a running cluster: one file with checksums, or an archive of every change.";
  const auto is_known = [](const std::string& word) {
    return word.starts_with("-") || word == "help" ||
           std::any_of(std::begin(kCommands), std::end(kCommands),
                       [&word](const Command& command) { return command.name == word; });
  };
  if (words.empty() || is_known(words[0])) {
    return run_command("backup", kIntro, kCommands, words, io);
  }
  std::vector<std::string> whole = {"create"};
  whole.insert(whole.end(), words.begin(), words.end());
  return run_command("backup", kIntro, kCommands, whole, io);
}

Exit restore_main(const std::vector<std::string>& words, Io& io) {
  std::vector<std::string> whole = {"restore"};
  whole.insert(whole.end(), words.begin(), words.end());
  if (!words.empty() && words[0] == "help") {
    whole = {"help", "restore"};
  }
  return run_command("backup", "", kCommands, whole, io);
}

}  // namespace quorate::cli
