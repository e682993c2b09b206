// SPDX-License-Identifier: Apache-2.0
// Observer: looks at all replicas after each event and compares them with all that was ever seen.
//
//   1. election safety       at most one node leads a group in a term
//   2. log matching          committed entries of equal index and term are equal everywhere
//   3. leader completeness   a leader has every entry that was committed in an earlier term (not in
//                            a later one: a process that slept through its election wakes to lead,
//                            for a moment, a term that is over)
//   4. committed prefix      what is committed at an index never differs and never changes
//   5. state machine safety  machines that applied as far have equal digests
//   6. monotony              term and commit of a process never go back
//   7. leases                nobody begins to lead while the lease of an earlier term still runs
//   8. promises              a vote and an acknowledgement outlive the process that gave them
//   9. configurations        the newest in a replica's log is in effect, committed or not
// A breach ends the run; its text says who, where and what.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "sim/check/promises.h"
#include "sim/cluster.h"

namespace quorate::sim {

class Observer {
 public:
  explicit Observer(Cluster& cluster);

  // After an event of this node's process.
  void look(NodeId id);
  // Every running replica of each group applied as far, and equal; "" or who differs.
  [[nodiscard]] std::string differences();
  [[nodiscard]] const std::string& breach() const { return breach_; }
  [[nodiscard]] uint64_t committed() const;

 private:
  struct Committed {
    Term term;
    Term committed_in;  // of the leader that committed it
    uint64_t hash = 0;  // zero: nobody showed it yet
    NodeId first_seen_at;
  };
  // What is known of a group, over all nodes and times.
  struct History {
    std::map<Term, NodeId> leaders;
    std::vector<Committed> entries;  // by index; slot 0 is unused
    std::map<Index, uint64_t> digests;
  };
  // What was seen last of one replica of one process.
  struct Seen {
    LifeId life;
    uint64_t birth = 0;
    raft::Role role = raft::Role::kFollower;
    Term term;
    Index commit;
    Index applied;
    Index last;
    Term last_term;
    bool holes = false;
    bool quiet = false;
  };

  void look(NodeId id, const node::Group& group, Seen& seen);
  void look_at_role(NodeId id, const node::Group& group, Seen& seen);
  void look_at_commit(NodeId id, const node::Group& group, Seen& seen);
  void look_at_config(NodeId id, const node::Group& group, Seen& seen);
  void look_at_digest(NodeId id, const node::Group& group, Seen& seen);
  void check_leader(NodeId id, const node::Group& group, const History& history);
  void check_leases(NodeId id, const node::Group& group);
  void breach(NodeId id, const std::string& what);
  void report(NodeId id, const node::Group& group, const std::string& what);

  Cluster& cluster_;
  World& world_;
  std::map<GroupId, History> histories_;
  std::map<std::pair<NodeId, GroupId>, Seen> seen_;
  Promises promises_;
  std::string breach_;
};

}  // namespace quorate::sim
