// SPDX-License-Identifier: Apache-2.0
// Plan: from what is wanted to the next step there. Pure; node/placement drives it.
//
// Every group's leader walks by itself, one step at a time, looking again after each:
//
//   wanted 1 2 4, has {1 2 3}            add learner 4                    (when it is its turn)
//   {1 2 3} learner 4, catching up       wait
//   {1 2 3} learner 4, caught up         one joint change: 4 votes, 3 goes
//   leader 3 itself is to go             hand leadership to one that stays, first
//   {1 2 4}, wanted by the placement     done; leadership to the preferred one
//
// Rules that hold at every step:
//   1. nobody votes before it has caught up;
//   2. no change is begun unless a majority of the old and of the new voters is alive;
//   3. there are never fewer voters than the lesser of what was there and what is wanted;
//   4. who leads does not leave, and a witness is never asked to lead;
//   5. a replica is destroyed only when the group itself has said that it is no member.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "service/meta/types.h"

namespace quorate::service::meta {

struct PeerState {
  NodeId node;
  bool live = false;        // answered lately
  bool caught_up = false;   // lacks so little that it would not delay a commit
};

// What the leader of a group sees.
struct LeaderView {
  NodeId self;
  Members config;                // the newest
  bool settled = false;          // it is committed and not joint
  std::vector<PeerState> peers;  // of the configuration, and nodes that shall enter it
  bool has_turn = false;         // see turns()
  bool may_balance = false;      // leadership may move just for balance
};

// As raft::ChangeKind numbers them.
enum class MemberKind : uint8_t { kVoter = 1, kLearner = 2, kRemove = 3, kWitness = 4 };

struct MemberChange {
  MemberKind kind = MemberKind::kVoter;
  NodeId node;
  bool operator==(const MemberChange&) const = default;
};

enum class StepKind : uint8_t { kNone, kChange, kTransfer };

enum class Reason : uint8_t {
  kAsWanted,        // nothing to do
  kChanging,        // a change is on its way
  kNoTurn,          // other groups move first
  kTargetDown,      // a node that shall enter does not answer
  kCatchingUp,      // a learner is not there yet
  kNoQuorum,        // a change now could leave the group without a majority
  kNobodyToLead,    // the leader is to go, and none that stays can take over yet
  kLearners,        // learners enter, or those that nobody wants go
  kSwap,            // voters enter and leave
  kHandOver,        // the leader is to go
  kBalance,         // another one is preferred
};

struct Step {
  StepKind kind = StepKind::kNone;
  std::vector<MemberChange> changes;
  NodeId target;
  Reason reason = Reason::kAsWanted;
};

[[nodiscard]] Step next_step(const Group& group, const LeaderView& view);
[[nodiscard]] std::string_view name_of(Reason reason);

// The groups that may move replicas now, ascending: those that differ from what is wanted, in order
// of number, as long as no node receives or gives up more than `per_node_max` at once. Everybody
// computes the same from the same map, so nobody has to ask. A group that cannot move (no living
// majority, or only dead targets) holds up nobody. The meta group always may.
[[nodiscard]] std::vector<GroupId> turns(const Map& map, uint32_t per_node_max);

struct LocalReplica {
  GroupId group;
  Index config_index;       // of the newest configuration that it knows to be committed
};

struct ReplicaWork {
  std::vector<GroupId> create;
  std::vector<GroupId> destroy;
};

// What a node has to create and may destroy. `local` ascends by group.
[[nodiscard]] ReplicaWork replica_work(const Map& map, NodeId self,
                                       const std::vector<LocalReplica>& local);

}  // namespace quorate::service::meta
