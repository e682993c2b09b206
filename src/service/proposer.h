// SPDX-License-Identifier: Apache-2.0
// Proposer: how a service's api reaches the cluster. node implements it; service never includes
// node. All of it runs on the shard's loop, and so do the callbacks; a callback may run inside the
// call (a read under a lease), so callers must be ready for it.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>

#include "base/function.h"
#include "base/ids.h"
#include "base/status.h"
#include "base/time.h"
#include "service/batch.h"
#include "service/machine.h"

namespace quorate::service {

// Where and how fresh an answer is; it goes out with every answer.
struct Origin {
  GroupId group;
  Index index;                       // applied when the answer was made
  Duration staleness;                // zero for linearizable answers
  NodeId node;                       // who answered
};

// `answer` is the machine's own encoding, valid during the call only; empty if status is not ok.
using Done = UniqueFunction<void(const Status& status, std::string_view answer, const Origin&)>;

struct Command {
  GroupId group;
  ServiceId service = ServiceId::kKv;
  SessionId session;                 // zero: not deduplicated
  uint64_t sequence = 0;             // grows within the session
  std::string_view body;             // copied before propose() returns
  Duration timeout = Duration::seconds(10);
  CommandKey key = {};               // none: not deduplicated by key
};

enum class Consistency : uint8_t {
  kLinearizable,   // leader's lease, else a round of a quorum
  kFollower,       // linearizable, served by this replica after asking the leader for the index
  kBounded,        // this replica, if provably no staler than `bound`; else as kLinearizable
  kEventual,       // this replica as it is
};

struct ReadMode {
  Consistency consistency = Consistency::kLinearizable;
  Duration bound;
};

struct Query {
  GroupId group;
  ServiceId service = ServiceId::kKv;
  ReadMode mode;
  std::string_view body;             // copied if it has to wait or travel
  Duration timeout = Duration::seconds(10);
};

// A machine that may be read in place, right now, on this thread.
struct LocalRead {
  const Hosted* machine = nullptr;   // null: not possible here and now; use query()
  Stamp now;
  Origin origin;
};

// Hears when a replica of this node has applied something.
class AppliedListener {
 public:
  virtual ~AppliedListener() = default;
  // At the end of a turn of the loop; may call the proposer.
  virtual void on_applied(GroupId group) = 0;
};

class Proposer {
 public:
  virtual ~Proposer() = default;
  virtual void propose(const Command& command, Done done) = 0;
  virtual void query(const Query& query, Done done) = 0;
  // A query that also says: those whom it names are alive. The leader answers it, and remembers it
  // in memory alone; an answer that is ok means that no leader will call them silent sooner than
  // their lease after this call.
  virtual void heartbeat(const Query& beat, Done done) { query(beat, std::move(done)); }
  // Before: it is not there; it takes itself away before it ends. Who is never called must poll.
  virtual void add_listener(AppliedListener&) {}
  virtual void remove_listener(AppliedListener&) {}
  // The fast way for reads: no copy, no callback.
  [[nodiscard]] virtual LocalRead read_here(GroupId group, ServiceId service, ReadMode mode) = 0;
  // Data groups are numbered 1..groups(); group 0 is the meta group.
  [[nodiscard]] virtual uint32_t groups() const = 0;
  [[nodiscard]] virtual GroupId group_of_slot(uint16_t slot) const = 0;
};

}  // namespace quorate::service
