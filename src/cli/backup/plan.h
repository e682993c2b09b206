// SPDX-License-Identifier: Apache-2.0
// Plan: what has to be put into a cluster so that it is as another one was at a moment: a base, the
// changes after it as far as the moment, keyspaces, indexes. Made by reading everything once, so
// that nothing is restored of files in which something is missing.
#pragma once

#include <boost/json/object.hpp>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "cli/backup/archive.h"
#include "cli/backup/moment.h"

namespace quorate::cli {

// A key by the number of its keyspace.
using PlacedKey = std::pair<uint64_t, std::string>;

class Plan {
 public:
  struct Wishes {
    Moment moment = {};
    std::optional<std::string> keyspace = {};  // this one alone
  };
  // A backup's file, or the directory of an archive. kCorrupted, naming the file, if what is needed
  // is damaged; precondition_failed if the moment is not in it, with what is.
  [[nodiscard]] static Result<Plan> make(const std::string& path, const Wishes& wishes);

  [[nodiscard]] const Contents& base() const { return base_; }
  // As they were, in the form of GET /v1/keyspaces.
  [[nodiscard]] std::vector<boost::json::object> keyspaces() const;
  struct IndexWish {
    uint64_t keyspace = 0;
    boost::json::object body;  // as POST /v1/kv:create_index takes it
  };
  [[nodiscard]] std::vector<IndexWish> indexes() const;
  // Up to where each group goes.
  [[nodiscard]] const Revisions& through() const { return through_; }
  // The youngest of what is in it.
  [[nodiscard]] uint64_t to_ms() const { return to_ms_; }
  // Every group is known up to then.
  [[nodiscard]] uint64_t known_ms() const;
  // Why nothing is known of later, if the last file is damaged or cut off.
  [[nodiscard]] const Status& damage() const { return damage_; }

  // Every entry in an order in which a later one of a key replaces an earlier one: with "key",
  // "value" and "expires_at_ms", or with "key" and "gone".
  using SeeEntry = std::function<Status(uint64_t keyspace, const boost::json::object& entry)>;
  [[nodiscard]] Status replay(const SeeEntry& see) const;

 private:
  struct Named {
    std::map<uint64_t, boost::json::object> by_revision;  // of its settings
    uint64_t revision = 0;                                // that it had
    bool exists = false;
  };
  struct Touched {
    uint64_t revision = 0;
    uint64_t expires_at_ms = 0;  // 0: never
  };

  [[nodiscard]] Status choose_base(const Archive& archive, const Moment& moment);
  [[nodiscard]] Status take_base(Contents contents);
  [[nodiscard]] Status read_trail(const Archive& archive, const Moment& moment);
  void take_stretch(const Stretch& stretch, const boost::json::object& body, const Moment& moment);
  void take_change(uint64_t group, const boost::json::object& change);
  [[nodiscard]] Status check_reached(const Moment& moment, const Status& damage) const;
  [[nodiscard]] bool has_reached(const Moment& moment, uint64_t group) const;
  [[nodiscard]] uint64_t time_of(uint64_t group) const;
  [[nodiscard]] Status choose_keyspace(const std::string& name, const Moment& moment);
  void name_keyspace(const boost::json::object& keyspace, bool exists);
  [[nodiscard]] bool is_wanted(uint64_t keyspace) const;
  [[nodiscard]] Status replay_base(const SeeEntry& see) const;
  [[nodiscard]] Status replay_changes(const std::string& path, Revisions& done,
                                      const SeeEntry& see) const;
  [[nodiscard]] boost::json::object with_end(uint64_t keyspace, boost::json::object entry,
                                             uint64_t revision) const;

  Contents base_;
  std::vector<std::string> changes_;  // files, in order
  Revisions through_;
  Revisions seen_;                        // up to which the files have no gap
  std::map<uint64_t, uint64_t> times_;    // up to when, by group
  std::map<uint64_t, std::string> gaps_;  // what ends the reading of a group
  std::map<uint64_t, bool> passed_;       // groups with a change beyond the moment
  uint64_t to_ms_ = 0;
  Status damage_;
  std::map<uint64_t, Named> keyspaces_;
  std::map<PlacedKey, boost::json::object> indexes_;
  std::map<PlacedKey, Touched> touched_;  // keys whose last change before the moment was a touch
  std::optional<uint64_t> only_;          // this keyspace
};

}  // namespace quorate::cli
