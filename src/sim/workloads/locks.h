// SPDX-License-Identifier: Apache-2.0
// Locks: random clients of the lock service, by random nodes, as an edge would.
//
// A client has one session after the other. In each it is a new owner, which takes locks of several
// domains one after the other (shared, exclusive, two at once, permits; upgrades some), uses them,
// and gives them back; keeps its lease alive by heartbeats meanwhile; waits, gives up waits, meets
// deadlocks; and now and then falls silent for good, or goes on with what it has lost.
//
// A client believes that it holds a lock from the answer until it gives it back, but no longer than
// its lease after the last request that was answered. What is checked:
//
//   exclusion   no two believe in holds that exclude each other; and a token is greater than every
//               token of that lock that anybody had been told when it was asked for, so that a
//               resource which remembers the greatest refuses all who have lost the lock
//   once        no token is given twice; to an owner that enters what it still has it is told once
//               more (given.h)
//   fencing     what is written to keys under these tokens is in their order, however late it comes
//               (fenced.h)
//   fairness    who stood in a queue is granted before whoever asked for the same later
//   no loss     nobody stands in a queue for what is free
//   deadlocks   within a domain none ever; through several, each ends in time (in plans without
//               faults), and nobody is refused as a victim who was in none
//   no leak     when the clients are gone and their leases over, there is nothing left
//
// The truth about queues is read from the replica of each group that has applied most.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "service/lock/knot.h"
#include "sim/cluster.h"
#include "sim/lock_door.h"
#include "sim/workloads/fenced.h"
#include "sim/workloads/given.h"

namespace quorate::sim {

class Locks {
 public:
  explicit Locks(Cluster& cluster);

  void start();
  void stop() { stopped_ = true; }
  // Of a process that runs: a deadlock may come and be broken between two regular looks.
  void after_event(NodeId id);
  // Every client gives back what it has; idle() when nothing is left of them in the machines.
  [[nodiscard]] bool idle();
  [[nodiscard]] std::string unfinished();
  [[nodiscard]] const std::string& complaint() const { return complaint_; }

 private:
  using LockKey = Fenced::LockKey;
  struct Held {
    LockKey key;
    service::lock::Mode mode = service::lock::Mode::kExclusive;
    Token token;
  };
  struct Client {
    uint32_t number = 0;
    uint64_t session = 0;  // grows: answers to earlier ones are not heard
    uint64_t step = 0;     // grows: nor those to earlier steps
    std::string owner;
    NodeId node;
    Duration lease;
    int steps_left = 0;
    bool silent = false;  // it sends no heartbeats
    bool resting = true;
    std::map<uint32_t, Instant> valid;  // until when it believes, by domain
    std::vector<Held> held;
    std::set<LockKey> parted;  // given back in this session, and not asked for again
    // The acquire or upgrade at hand.
    service::lock::Acquire asked;
    std::vector<std::string> names;  // what `asked` views
    bool is_upgrade = false;
    Instant sent;
    std::map<LockKey, Token> floors;                     // greatest token told by then
    Instant queued;                                      // seen in the queue first; never: not seen
    std::vector<std::pair<uint32_t, Token>> overtakers;  // asked later, by client and token
  };
  struct Told {
    Token greatest;
  };

  void rest(Client& client);
  void begin(Client& client);
  void beat(Client& client, uint64_t session);
  void on_beat(Client& client, uint32_t domain, Instant sent, const service::lock::Answer& answer);
  void renew(Client& client, uint32_t domain, Instant sent);
  void step(Client& client);
  void use(Client& client);
  void write(Client& client);
  void part_with_one(Client& client);
  void go_on(Client& client);
  void choose(Client& client);
  void ask(Client& client, Duration wait);
  void on_answer(Client& client, const Status& status, const service::lock::Acquired& acquired);
  void granted(Client& client, Token token);
  void give_back(Client& client);
  void abandon(Client& client);
  [[nodiscard]] LockDoor* door(Client& client);

  void look();
  void look_at(GroupId group, const service::lock::State& state, service::lock::Knot& knot);
  void look_at(const service::lock::Knot& knot);
  [[nodiscard]] const service::lock::State* newest(GroupId group);
  void check_belief(const Client& client, const Held& held);
  [[nodiscard]] bool is_given_first(const Client& client, Token token);
  void check_fair(const Client& client, Token token);
  [[nodiscard]] bool believes(const Client& client, const Held& held) const;
  [[nodiscard]] GroupId group_of(uint32_t domain) const;
  [[nodiscard]] bool has_fault(std::string_view kind) const;
  void complain(const std::string& text);

  Cluster& cluster_;
  World& world_;
  Prng prng_;
  Fenced fenced_;
  std::vector<Client> clients_;
  std::map<LockKey, Told> told_;
  Given given_;
  std::map<std::pair<std::string, uint32_t>, Instant> stuck_since_;
  std::set<std::string> ever_stuck_;    // owners
  std::map<NodeId, uint64_t> applied_;  // entries of all groups, when last seen
  std::string complaint_;
  bool stopped_ = false;
};

}  // namespace quorate::sim
