// SPDX-License-Identifier: Apache-2.0
// Api: the typed door to the locks of a cluster, for edges and the embedded node.
//
// It finds the group of a domain, encodes, proposes or reads, decodes, and gives every failure, of
// the machine or of the weather, as one Status. write() and read() answer as the machine does: an
// acquire that is queued says so. wait() goes on until the wait is over: when the replica of this
// node has applied something, the Api is told, and looks at those of its waits that have ended
// (decision 043). poll() does the same for all groups, and asks the leaders of those that have no
// replica here; it is called by who has a timer, every few milliseconds while there are waits.
// Nothing here owns a clock. Views in an answer are good during the call of `done` only, which may
// come before the verb returns. All on one loop, as Proposer, which outlives the Api; what is still
// under way when the Api ends is not answered.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/caller.h"
#include "base/function.h"
#include "service/batch.h"
#include "service/lock/answers.h"
#include "service/lock/commands.h"
#include "service/lock/state.h"
#include "service/proposer.h"

namespace quorate::service::lock {

struct WriteOptions {
  SessionId session = {};     // of the domain's group; with `sequence`
  uint64_t sequence = 0;
  CommandKey key = {};        // the other way to make a retry safe
  Duration timeout = Duration::seconds(10);
  const Caller* caller = nullptr;   // asked before the verb returns; null: may do everything
};

struct ReadOptions {
  ReadMode mode = {};
  Duration timeout = Duration::seconds(10);
  const Caller* caller = nullptr;   // as of WriteOptions
};

class Api final : private AppliedListener {
 public:
  using Done = UniqueFunction<void(const Answer&, const Origin&)>;
  using WaitDone = UniqueFunction<void(const Status&, const Acquired&, const Origin&)>;
  explicit Api(Proposer& proposer) : proposer_(proposer) { proposer_.add_listener(*this); }
  ~Api() override {
    *alive_ = false;
    proposer_.remove_listener(*this);
  }
  Api(const Api&) = delete;
  Api& operator=(const Api&) = delete;

  // Before: the command is of this domain.
  void write(DomainId domain, const Command& command, const WriteOptions& options, Done done);
  void read(DomainId domain, const Query& query, const ReadOptions& options, Done done);

  // The owner is alive: its lease begins anew at this call, without an entry in the log (decision
  // 047); Owned, or lease_lost. Those that come while a heartbeat is on its way to the group go
  // together with the next one. A Renew that is written goes this way too.
  void heartbeat(const OwnerRef& who, const Caller* caller, Done done);

  // Before: an Acquire or an Upgrade of this owner. Granted, or a failure: timeout if it did not
  // become free in time, lease_lost if the owner ended meanwhile, or a lock that it built on was
  // broken, precondition_failed if somebody cancelled the wait.
  uint64_t wait(const OwnerRef& who, const Command& command, const WriteOptions& options,
                WaitDone done);
  // Whoever waited has gone: its `done` is not called any more. The wait is cancelled. What it has
  // been granted unheard is given back, and what the owner held before stays as it was; unless the
  // acquire can be repeated, by its key or session: then whoever repeats it is told of the grant.
  void give_up(uint64_t wait);
  void poll();
  // `wake` is called when a wait begins while there was none: whoever polls may sleep until then.
  void on_first_wait(UniqueFunction<void()> wake) { wake_ = std::move(wake); }

  // What the replica of this node has applied; none if there is no replica here. As long as it
  // stays, nothing has changed here.
  [[nodiscard]] Index applied_here(DomainId domain) const;
  [[nodiscard]] size_t waiting() const { return waits_.size(); }
  // A domain lives where its number would, as a key.
  [[nodiscard]] GroupId group_of(DomainId domain) const;

 private:
  struct Waiting {
    DomainId domain = {};
    std::string owner;
    WaitDone done;
    Ticket ticket = {};          // none: the command is under way
    Index index = {};            // of the queued answer: a replica that is behind knows nothing yet
    std::map<std::string, uint64_t, std::less<>> takes;  // levels by name; if not repeatable
    bool asked = false;          // the leader, over the network
    uint64_t ask_again = 0;      // the poll in which
    [[nodiscard]] OwnerRef who() const { return {domain, owner}; }
  };
  using Kept = std::shared_ptr<Waiting>;

  // The waits in one group, but for those whose command is under way.
  struct GroupWaits {
    std::map<Ticket, uint64_t> ids;
    std::vector<uint64_t> unseen;  // no replica was looked at since they began
    uint64_t news = 0;             // State::news(), as of the last look
  };
  struct Beat {
    DomainId domain = {};
    std::string owner;
    Done done;
  };
  // Of one group: those that are on their way, and those that go next.
  struct Beats {
    std::vector<Beat> asked;
    std::vector<Beat> next;
  };

  void on_applied(GroupId group) override;
  void begin(uint64_t id, const Answer& answer, const Origin& origin);
  void leave(const Kept& waiting, const Answer& answer);
  void cancel(const Kept& waiting);
  void leave_ended(const Kept& waiting);
  // Of what the owner holds, by pages: the next is behind `after`.
  void give_back(const Kept& waiting, Token granted, std::string_view after = {});
  void release(const Waiting& waiting, Token granted, const std::vector<Held>& held);
  // False if there is no replica here.
  bool look(GroupId group, bool at_all);
  void look_at(uint64_t id, const State& state, const Origin& origin);
  void ask_leaders(GroupId group);
  void ask_leader(uint64_t id, Waiting& waiting);
  void on_leader(uint64_t id, const Answer& answer, const Origin& origin);
  void take(uint64_t id, const WaitStatus& status, const Origin& origin);
  void end(uint64_t id, const Status& status, const Acquired& acquired, const Origin& origin);
  Kept remove(uint64_t id);
  void send_beats(GroupId group);
  void take_beats(GroupId group, const Status& status, const Alive& alive, const Origin& origin);

  Proposer& proposer_;
  UniqueFunction<void()> wake_;
  std::map<uint64_t, Kept> waits_;
  std::map<uint64_t, Kept> leaving_;  // given up while the command was under way
  std::map<GroupId, GroupWaits> groups_;
  std::map<GroupId, Beats> beats_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  uint64_t last_id_ = 0;
  uint64_t polls_ = 0;
};

}  // namespace quorate::service::lock
