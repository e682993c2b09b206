// SPDX-License-Identifier: Apache-2.0
// Archive: a directory with backups ("bases") and what changed since, in numbered files.
//
//   base-00000001.qb       a backup as of backup_file.h
//   changes-00000002.ql    header, then the changes of groups, each block with where it begins
//
// Every block of changes says after which revision of its group it begins and how far it goes, so
// what belongs together follows from revisions and from no list of files: a file may be cut off
// anywhere (an archiver that was killed begins a new one), and whatever is missing or damaged shows
// as a gap, unless another file has the same changes.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/status.h"
#include "cli/backup/backup_file.h"

namespace quorate::cli {

// By group.
using Revisions = std::map<uint64_t, uint64_t>;

// All that a base says but its entries.
struct Contents {
  std::string path;
  std::string cluster;
  uint64_t groups = 0;
  uint64_t end_ms = 0;  // nothing in it is younger; 0: one of before says none
  std::vector<boost::json::object> keyspaces;
  std::vector<boost::json::object> indexes;
  std::map<uint64_t, size_t> begins;  // of each group: the block where its last copy begins
  Revisions complete;
  std::map<uint64_t, uint64_t> times;             // of each group: when it was so
  std::map<uint64_t, std::set<uint64_t>> places;  // the groups in which keys of a keyspace are
  uint64_t entries = 0;
};

// Reads all of it once, so that nothing is restored of a file that is not whole.
[[nodiscard]] Result<Contents> read_contents(const std::string& path);

// What a block of changes says of itself.
struct Stretch {
  uint64_t group = 0;
  uint64_t after = 0;
  uint64_t through = 0;
  uint64_t to_ms = 0;  // every change up to this time is in it or before it
};

class Archive {
 public:
  struct ChangeFile {
    uint64_t number = 0;
    std::string path;
  };
  struct Base {
    uint64_t number = 0;
    std::string path;
  };

  // kNotFound if there is no such directory. An empty one is an empty archive.
  [[nodiscard]] static Result<Archive> open(const std::string& directory);

  [[nodiscard]] const std::vector<Base>& bases() const { return bases_; }
  [[nodiscard]] const std::vector<ChangeFile>& changes() const { return changes_; }
  [[nodiscard]] uint64_t last_number() const { return last_number_; }
  [[nodiscard]] std::string base_path(uint64_t number) const;
  [[nodiscard]] std::string change_path(uint64_t number) const;

  // The first file of changes that matters to who has these revisions.
  [[nodiscard]] size_t first_after(const Revisions& known) const;
  // Where an archiver goes on: the revisions up to which everything is here, and the times, of the
  // groups for which that can be said.
  struct End {
    Revisions revisions;
    std::map<uint64_t, uint64_t> times;
    std::string cluster;
  };
  [[nodiscard]] Result<End> end() const;

 private:
  std::string directory_;
  std::vector<Base> bases_;          // in order of number
  std::vector<ChangeFile> changes_;  // likewise
  uint64_t last_number_ = 0;
};

// The header of a file of changes; nothing if it is cut off before its end.
[[nodiscard]] std::optional<boost::json::object> read_header(const std::string& path);
[[nodiscard]] Revisions revisions_of(const boost::json::object& header);

// Shows the blocks in order. kCorrupted, naming file and byte, if one is damaged;
// what came before it was shown.
using SeeBlock = std::function<Status(BlockKind kind, const boost::json::object& body)>;
[[nodiscard]] Status read_changes(const std::string& path, const SeeBlock& see);
[[nodiscard]] Stretch stretch_of(const boost::json::object& body);
// The stretches that a header or a block of times says: of groups in which nothing was changed.
[[nodiscard]] std::vector<Stretch> stretches_of(const boost::json::object& body);

}  // namespace quorate::cli
