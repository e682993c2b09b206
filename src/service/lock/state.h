// SPDX-License-Identifier: Apache-2.0
// State: the lock machine of one group.
//
// A Table keeps a record of each owner and of each lock that it holds (record.h); snapshot and
// digest are the table's. Beside it stands what is derived, the objects of book.h, and a few
// numbers that only grow: of owners and tickets, of tokens, of what has happened. Tokens are the
// group's and not a lock's, so a lock needs no record to remember the last of them.
//
//   1. The invariants of book.h hold after each command.
//   2. A grant's token is greater than all tokens before it, of all locks of the group.
//   3. due_ holds exactly the lease ends of all owners and the deadlines of all waits.
//   4. A refusal changes nothing, but that a deadlock is counted.
//   5. A lease ends by the leader's command alone. A wait that is over is never granted, whenever
//      the command comes.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "service/due.h"
#include "service/lock/answers.h"
#include "service/lock/book.h"
#include "service/lock/commands.h"
#include "service/lock/wait_graph.h"
#include "service/machine.h"
#include "service/registry.h"
#include "service/table.h"

namespace quorate::service::lock {

struct ItemRecord;

class State : private Table::RestoreObserver {
 public:
  using Command = lock::Command;
  using Query = lock::Query;
  using Answer = lock::Answer;

  struct Options {
    uint64_t hash_seed = 0;      // of the table; see Table
  };
  State() : State(Options{}) {}
  explicit State(const Options& options) : table_(options.hash_seed) {}

  [[nodiscard]] static Result<Command> decode_command(std::string_view bytes) {
    return lock::decode_command(bytes);
  }
  [[nodiscard]] static Result<Query> decode_query(std::string_view bytes) {
    return lock::decode_query(bytes);
  }
  static void encode_answer(const Answer& answer, std::string& out) { lock::encode(answer, out); }

  // Before: the command passed validate().
  [[nodiscard]] Answer apply(const Command& command, const Moment& moment);
  // Before: the query passed validate(). The answer's views are good until the next apply().
  [[nodiscard]] Answer query(const Query& query, Stamp now) const;
  // The hot path of whoever waits, without a variant; false if there is no such owner.
  [[nodiscard]] bool wait_of(const OwnerRef& who, WaitStatus& status) const;
  // Grows whenever a wait ends: as long as it stays, nobody need ask wait_of(). Of this process
  // alone; not state.
  [[nodiscard]] uint64_t news() const { return news_; }
  // The waits that ended since news() was `news`, the newest last; false if that is not known any
  // more: any wait may have ended.
  [[nodiscard]] bool ended_since(uint64_t news, std::vector<Ticket>& tickets) const;

  // ---- what the search for deadlocks through several groups looks at (detector.h)
  [[nodiscard]] bool has_waits() const { return !waiting_.empty(); }
  // Who waits with a ticket after this one, in their order.
  void tickets_after(Ticket ticket, std::vector<Ticket>& tickets) const;
  // Of who waits with this ticket; false if nobody does.
  [[nodiscard]] bool edges_of(Ticket ticket, WaitEdges& edges) const;

  [[nodiscard]] Stamp next_due() const { return due_.next(); }
  [[nodiscard]] std::string due_command(Stamp now) const;
  [[nodiscard]] DueStep due_step(Stamp now, const Heard& heard) const;
  void subjects(const Query& query, std::vector<std::string>& out) const;
  [[nodiscard]] bool has_subject(std::string_view subject) const;

  [[nodiscard]] std::unique_ptr<SnapshotSource> freeze();
  void restore_begin();
  [[nodiscard]] Status restore_piece(std::string_view piece);
  [[nodiscard]] Status restore_end();
  [[nodiscard]] uint64_t digest() const;
  void check_invariants() const;
  [[nodiscard]] size_t memory_bytes() const;

 private:
  // What the image has before the table.
  struct Numbers {
    uint64_t last_number = 0;      // of owners and tickets
    Token last_token = {};
    uint64_t grants = 0;
    uint64_t queued = 0;
    uint64_t timed_out = 0;
    uint64_t leases_lost = 0;
    uint64_t broken = 0;
    uint64_t deadlocks = 0;
  };

  Answer run(const Open& command, const Moment& moment);
  Answer run(const Renew& command, const Moment& moment);
  Answer run(const Close& command, const Moment& moment);
  Answer run(const Acquire& command, const Moment& moment);
  Answer run(const Upgrade& command, const Moment& moment);
  Answer run(const Downgrade& command, const Moment& moment);
  Answer run(const Release& command, const Moment& moment);
  Answer run(const Cancel& command, const Moment& moment);
  Answer run(const Break& command, const Moment& moment);
  Answer run(const ExpireDue& command, const Moment& moment);
  Answer run(const Resolve& command, const Moment& moment);

  Answer answer(const WaitOf& query) const;
  Answer answer(const Info& query) const;
  Answer answer(const List& query) const;
  Answer answer(const OwnerOf& query) const;
  Answer answer(const Stats& query) const;
  Answer answer(const Heartbeat& query, Stamp now = Stamp()) const;
  Answer answer(const Edges& query) const;
  [[nodiscard]] static WaitEdges edges_of(const Owner& owner);

  enum class DueKind : char { kLease = 'e', kWait = 'w' };
  [[nodiscard]] static std::string due_item(DueKind kind, const Owner& owner);

  // state_owner.cc: owners, their leases and their ends.
  [[nodiscard]] Owner* find_owner(const OwnerRef& who);
  [[nodiscard]] const Owner* find_owner(const OwnerRef& who) const;
  Owner& open_owner(const OwnerRef& who, Duration lease, Stamp at);
  void close_owner(Owner& owner);
  static void lengthen(Owner& owner, Duration lease);
  void renew(Owner& owner, Stamp at);
  void begin_lease(Owner& owner, Stamp at);
  void cover(Owner& owner, Stamp deadline);
  void move_lease_end(Owner& owner, Stamp end);
  void save(const Owner& owner);
  void close_if_idle(Owner& owner);
  [[nodiscard]] const Owner& owner_of_due(std::string_view item) const;
  using HeardOwners = std::map<NameView, Duration>;
  void expire_first(Stamp at, const HeardOwners& heard, Expired& expired);

  // state_hold.cc: locks, holds, and who is served when.
  [[nodiscard]] Lock* find_lock(DomainId domain, std::string_view name);
  [[nodiscard]] const Lock* find_lock(DomainId domain, std::string_view name) const;
  Lock& make_lock(DomainId domain, std::string_view name, uint64_t limit);
  [[nodiscard]] static const Hold* find_hold(const Owner* owner, const Lock* lock);
  [[nodiscard]] static bool is_waited_with(const Owner& owner, const Lock& lock);
  void hold(Owner& owner, const WaitItem& item, Token token, Stamp at);
  void raise(Owner& owner, Lock& lock, Stamp at);
  void take_hold(Owner& owner, Lock& lock);
  void save(const Owner& owner, const Lock& lock);
  bool enqueue(Owner& owner, const WaitItem& item);
  void dequeue(Owner& owner);
  void note_waiting(Owner& owner);
  void note_ended(const Owner& owner);
  void end_wait(Owner& owner, WaitState state);
  [[nodiscard]] static bool is_served(const Owner& owner, const WaitItem& item);
  void grant_wait(Owner& owner, Stamp at);
  void touch(Lock& lock);
  void drop_if_unused(const Lock& lock);
  void settle(Stamp at);
  void settle(Lock& lock, Stamp at);

  // state.cc
  [[nodiscard]] Status check_acquire(const Acquire& command, const Owner* owner) const;
  [[nodiscard]] static Status check_item(const Acquire::Item& item, const Owner* owner,
                                         const Lock* lock);
  [[nodiscard]] Status check_queues(const Acquire& command) const;
  [[nodiscard]] bool is_free(const Acquire& command, const Owner* owner) const;
  [[nodiscard]] Answer grant(Owner& owner, const Acquire& command, Stamp at);
  // Before: `wait` has items and the time it began; it is refused if it would close a cycle.
  [[nodiscard]] Answer begin_wait(Owner& owner, Wait wait, Duration lease);
  [[nodiscard]] static Answer queued(const Owner& owner);
  [[nodiscard]] static uint64_t ahead_of(const Owner& owner);

  bool on_restored(std::string_view key, std::string_view record) override;
  [[nodiscard]] bool restore_owner(std::string_view key, std::string_view record);
  [[nodiscard]] bool restore_wait(Owner& owner, const std::vector<ItemRecord>& items);
  [[nodiscard]] bool restore_hold(std::string_view key, std::string_view record);
  void check_owner(const Owner& owner) const;
  void check_lock(const Lock& lock) const;

  Table table_;
  Numbers numbers_;
  Due due_;                            // derived, as all below
  Owners owners_;
  Locks locks_;
  size_t holds_ = 0;
  std::map<Ticket, Owner*> waiting_;
  std::multimap<std::string_view, Owner*> waiting_names_;   // of all domains
  uint64_t news_ = 0;
  std::deque<Ticket> ended_;           // of the waits that made the last of the news
  std::vector<Lock*> touched_;         // of the command at hand
  mutable WaitGraph graph_;
  std::string restore_header_;
};

static_assert(Machine<State>);

}  // namespace quorate::service::lock
