// SPDX-License-Identifier: Apache-2.0
// Follower: the archiver. Copies a cluster into a base and writes all changes since beside it, as
// they come; it may be killed at any moment and goes on where its files end.
//
//   1. A block of changes is written only behind the one before it of its group, so that the files
//      have no gap but those that are said.
//   2. What was read from the cluster is on this machine's disk within a second.
//   3. If the cluster's history no longer reaches back to where the archive ends, a new base is
//      begun at once; what was between is told, and cannot be restored.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "cli/backup/archive.h"
#include "cli/backup/cluster_copy.h"
#include "cli/session.h"

namespace quorate::cli {

class Follower {
 public:
  struct Options {
    std::string directory;
    uint64_t base_every_ms = 0;
    uint64_t keep_ms = 0;  // 0: everything is kept
    bool once = false;     // until all that there is now is in the archive
  };

  Follower(Session& session, Options options) : session_(session), options_(std::move(options)) {}

  // Until `stop` says so; or a failure that waiting does not mend.
  [[nodiscard]] Status run(const bool volatile& stop);

 private:
  using Clock = std::chrono::steady_clock;

  [[nodiscard]] Status open();
  [[nodiscard]] Status check_cluster(const std::string& cluster) const;
  [[nodiscard]] Status take_up();
  [[nodiscard]] Status begin_file();
  [[nodiscard]] Status begin_base();
  [[nodiscard]] Status step_base();
  [[nodiscard]] Status prune();
  [[nodiscard]] Result<bool> poll_all();
  [[nodiscard]] Result<bool> poll(uint64_t group);
  [[nodiscard]] Status take_changes(uint64_t group, const boost::json::object& trail);
  [[nodiscard]] Status note_keyspaces(const boost::json::array& changes);
  [[nodiscard]] boost::json::array groups() const;
  [[nodiscard]] Status write_times();
  [[nodiscard]] Status turn(bool& idle);
  [[nodiscard]] bool is_done(bool idle) const;
  void say(const std::string& event, const std::string& text);

  Session& session_;
  const Options options_;
  File lock_;
  ClusterShape shape_;
  uint64_t last_number_ = 0;
  Archive archive_;
  std::optional<ChangeWriter> file_;
  std::unique_ptr<ClusterCopy> copy_;
  Revisions positions_;                     // of the groups that are followed
  std::map<uint64_t, uint64_t> times_;      // up to which a group is known
  std::map<uint64_t, uint64_t> keyspaces_;  // those that were noted, with their settings' revision
  uint64_t newest_base_ms_ = 0;             // by this machine's clock; 0: there is none
  bool has_base_ = false;
  Clock::time_point synced_at_;
};

}  // namespace quorate::cli
