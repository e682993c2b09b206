// SPDX-License-Identifier: Apache-2.0
// Membership arithmetic: what a change makes of a configuration, and the history of configurations
// in the log.
//
//   voters {1 2 3} --add 4--> {1 2 3 4}                            one voter: at once
//   voters {1 2 3} --add 4, remove 1--> {2 3 4} & {1 2 3} --leave--> {2 3 4}     through joint
//
// A configuration is in effect from the moment its entry is appended, so a truncated entry takes
// its configuration with it: Configs keeps one per entry that can still be undone.
#pragma once

#include <vector>

#include "base/status.h"
#include "raft/types.h"

namespace quorate::raft {

// Refuses what makes no sense: kInvalidArgument, kAlreadyExists, kNotFound, kPreconditionFailed
// (a change while joint, leaving while not), kTooLarge.
[[nodiscard]] Result<Config> apply_change(const Config& config, const ConfigChange& change);

[[nodiscard]] bool contains(const std::vector<NodeId>& sorted, NodeId node);
// Of either half.
[[nodiscard]] bool is_voter(const Config& config, NodeId node);
[[nodiscard]] bool is_member(const Config& config, NodeId node);
[[nodiscard]] bool is_witness(const Config& config, NodeId node);
// Everybody who receives the log, sorted.
[[nodiscard]] std::vector<NodeId> members(const Config& config);
// Sorted, distinct, within limits, with subsets where they belong: what may come from a disk or a
// socket and be used.
[[nodiscard]] bool well_formed(const Config& config);

// The configurations of the log, oldest first. Never empty: the first is the snapshot's.
class Configs {
 public:
  Configs(Index base, Config config);

  // An entry of kind kConfig was appended (or a lost one was found again: then in the middle). A
  // payload that does not decode or does not apply changes nothing, alike on every replica.
  void add(const Entry& entry);
  // Entries after `last` are gone. True if the newest configuration changed.
  bool truncate(Index last);
  // Everything through `base` is in a snapshot.
  void compact(Index base);
  // A snapshot from elsewhere covers `base`; later entries stay.
  void rebase(Index base, Config config);
  // The log starts anew after a snapshot.
  void reset(Index base, Config config);

  [[nodiscard]] const Config& newest() const { return all_.back().config; }
  [[nodiscard]] Index newest_index() const { return all_.back().index; }
  [[nodiscard]] const Config& at(Index index) const;

 private:
  struct Step {
    Index index;
    ConfigChange change;
    Config config;
    bool stated = false;  // the entry says what the configuration is; else the change is applied
  };
  // Computes the configurations from step `first` on.
  void replay(size_t first);

  std::vector<Step> all_;
};

}  // namespace quorate::raft
