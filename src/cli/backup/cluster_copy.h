// SPDX-License-Identifier: Apache-2.0
// ClusterCopy: all keys, keyspaces and indexes of a cluster into the file of a backup, page by
// page, while the cluster serves; and what else is asked of a cluster for backups.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <map>
#include <string>
#include <vector>

#include "cli/backup/backup_file.h"
#include "cli/session.h"

namespace quorate::cli {

struct ClusterShape {
  std::string cluster;  // its identity
  uint64_t groups = 0;  // that hold keys: 1, 2, ...
};

[[nodiscard]] Result<boost::json::object> ask(Session& session, client::Call call);
[[nodiscard]] boost::json::array list_at(const boost::json::object& object, const char* name);
[[nodiscard]] Result<ClusterShape> shape_of(Session& session);
// As GET /v1/keyspaces shows them, those that are being dropped too.
[[nodiscard]] Result<std::vector<boost::json::object>> keyspaces_of(Session& session);
// As GET /v1/kv:indexes shows them, without those that have failed.
[[nodiscard]] Result<std::vector<boost::json::object>> indexes_of(Session& session,
                                                                  const std::string& keyspace);

class ClusterCopy {
 public:
  // The group as it was at a revision, and nothing that is younger than the time.
  struct Copied {
    uint64_t revision = 0;
    uint64_t at_ms = 0;
  };

  ClusterCopy(Session& session, BackupWriter file, ClusterShape shape)
      : session_(session), file_(std::move(file)), shape_(std::move(shape)) {}

  // The next page, or what comes before and after all pages. True once the file is whole. A failure
  // that may be repeated leaves it where it was.
  [[nodiscard]] Result<bool> step();

  [[nodiscard]] uint64_t entries() const { return entries_; }
  [[nodiscard]] const std::map<uint64_t, Copied>& complete() const { return complete_; }
  [[nodiscard]] uint64_t end_ms() const { return end_ms_; }
  [[nodiscard]] const std::string& path() const { return file_.path(); }

 private:
  [[nodiscard]] Status begin_group();
  [[nodiscard]] Status copy_page();
  [[nodiscard]] Status take_page(const boost::json::object& page);
  [[nodiscard]] Status take_time();
  [[nodiscard]] Status finish();
  [[nodiscard]] Status write(BlockKind kind, const boost::json::object& body);

  Session& session_;
  BackupWriter file_;
  const ClusterShape shape_;
  uint64_t group_ = 0;  // that is being copied; 0: none was yet
  std::string cursor_;  // in it
  bool in_group_ = false;
  int tries_ = 0;  // of the group
  uint64_t entries_ = 0;
  uint64_t end_ms_ = 0;
  std::map<uint64_t, Copied> complete_;
};

}  // namespace quorate::cli
