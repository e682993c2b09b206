// SPDX-License-Identifier: Apache-2.0
// Watches: who waits for changes of keys, and how far each of them has come.
//
// A watch covers the groups in which keys with its prefix may live, and has a position in each: the
// revision up to which everything was handed over. Changes come from this node's own replica, whose
// history is of committed changes only; where there is none, or its history does not reach back far
// enough, from the group's leader. So a watch outlives leaders, and may go on at another node with
// the positions it had.
//
//   1. The changes of one group are handed over in the order of their revisions, each once.
//   2. A position never goes back, and never beyond what was looked at.
//   3. A watch ends by stop(), has_left() or on_end(), and hears nothing afterwards.
//
// Nothing here waits or runs by itself: poll() is called by who has a timer, often. A poll costs
// one comparison per watch and group that has nothing new. All on one loop, as Api.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "service/kv/api.h"

namespace quorate::service::kv {

class Watches {
 public:
  struct Position {
    GroupId group = {};
    Revision after = {};
    bool operator==(const Position&) const = default;
  };
  struct Spec {
    KeyspaceId keyspace = {};
    std::string prefix = {};
    std::vector<Position> after = {};  // of every group that it covers; empty: from now on
  };

  class Sink {
   public:
    virtual ~Sink() = default;
    // False while what was handed over before still waits for its reader.
    [[nodiscard]] virtual bool has_room() const = 0;
    // The reader has gone: the watch ends without another word.
    [[nodiscard]] virtual bool has_left() const = 0;
    // Everything after these positions will be handed over.
    virtual void on_start(const std::vector<Position>& positions) = 0;
    // May be empty: then only the position is new. Views are good during the call.
    virtual void on_changes(GroupId group, const ChangeList& list) = 0;
    // precondition_failed if the history no longer reaches back ("compacted"), invalid_argument if
    // the positions are none of this watch; else the weather at its start.
    virtual void on_end(const Status& status) = 0;
  };

  explicit Watches(Api& api) : api_(api) {}
  Watches(const Watches&) = delete;
  Watches& operator=(const Watches&) = delete;

  // The sink may be called before this returns.
  uint64_t start(Spec spec, std::shared_ptr<Sink> sink);
  void stop(uint64_t id);
  void poll();

  [[nodiscard]] bool empty() const { return watches_.empty(); }
  [[nodiscard]] size_t size() const { return watches_.size(); }

 private:
  struct Place {
    Position at;
    bool asked = false;      // an answer of another node is under way
    uint64_t ask_again = 0;  // the poll in which
  };
  struct Watch {
    uint64_t id = 0;
    Spec spec;
    std::shared_ptr<Sink> sink;
    std::vector<Place> places;
    size_t starting = 0;  // groups that have not said yet where they are
    Status failure;       // of the start
    bool started = false;
    bool gone = false;
  };
  using Held = std::shared_ptr<Watch>;

  void ask_where(const Held& watch, size_t number);
  void take_where(const Held& watch, size_t number, const Usage& usage);
  void finish_start(const Held& watch);
  void poll_place(const Held& watch, size_t number);
  void ask_leader(const Held& watch, size_t number);
  void hand_over(const Held& watch, size_t number, const ChangeList& list);
  void end(const Held& watch, const Status& status);
  [[nodiscard]] const State* replica(GroupId group) const;

  Api& api_;
  std::map<uint64_t, Held> watches_;
  std::map<GroupId, const State*> replicas_;  // as found in the poll at hand
  uint64_t last_id_ = 0;
  uint64_t polls_ = 0;
};

}  // namespace quorate::service::kv
