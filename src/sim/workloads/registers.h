// SPDX-License-Identifier: Apache-2.0
// Registers: random clients on the RegisterMachine, through the node's Proposer, as an edge would.
//
//   run     each client does one operation at a time on a random register, by a random node. Writes
//           go through a session of the register's group, most of them: whatever is not known to
//           have failed is sent again with the same number, by another node, until it is answered
//           or the client gives up. Some writes carry no session, and are never sent twice.
//   finish  every register is read once more, when the cluster has healed.
//   check   per register: linearizable, with unknown outcomes. Bounded reads are part of it, their
//           start moved back by their bound. Eventual reads: a value that was written, and per node
//           process an applied index that never goes back.
//
// Even registers hold values that are written once only; odd ones are counters.
#pragma once

#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "sim/check/linearizable.h"
#include "sim/cluster.h"

namespace quorate::sim {

class Registers {
 public:
  explicit Registers(Cluster& cluster);

  void start();
  // No new operations; those under way end as they may.
  void stop() { stopped_ = true; }
  // Reads every register once; done() when all have their answer.
  void finish();
  [[nodiscard]] bool idle() const;
  [[nodiscard]] std::string unfinished() const;
  // "" or what was wrong with an answer by itself; the run is stopped at once.
  [[nodiscard]] const std::string& complaint() const { return complaint_; }
  // "" or the story of the first violation.
  [[nodiscard]] std::string check();
  [[nodiscard]] uint64_t operations() const { return operations_; }
  [[nodiscard]] uint64_t unknown() const { return unknown_; }
  [[nodiscard]] uint64_t undecided() const { return undecided_; }
  [[nodiscard]] uint64_t answered() const { return answered_; }

 private:
  enum class Stage : uint8_t { kResting, kBusy };
  struct Session {
    SessionId id;
    uint64_t sequence = 0;
  };
  struct Client {
    uint32_t number = 0;
    Stage stage = Stage::kResting;
    NodeId node;                        // asked last
    std::map<GroupId, Session> sessions;
    // The operation at hand.
    uint64_t operation = 0;             // grows: answers to earlier ones are not heard
    uint64_t attempt = 0;               // grows: nor those to earlier attempts
    Operation op;
    uint32_t key = 0;
    service::ReadMode mode;
    bool with_session = false;
    bool may_have_happened = false;     // some attempt's outcome is not known
    bool final_read = false;
    Instant give_up;
    std::string body;
  };

  // Which attempt an answer belongs to.
  struct Asked {
    uint64_t attempt = 0;
    NodeId node;
  };

  [[nodiscard]] GroupId group_of(uint32_t key) const {
    return GroupId(1 + key % static_cast<uint32_t>(cluster_.plan().groups));
  }
  void rest(Client& client);
  void begin(Client& client);
  void choose_write(Client& client);
  void choose_read(Client& client);
  void launch(Client& client);
  void attempt(Client& client);
  void send(Client& client, node::Node& node);
  void send_open(Client& client, node::Node& node);
  void retry(Client& client);
  void on_answer(Client& client, const Asked& asked, const Status& status, std::string_view answer,
                 const service::Origin& origin);
  void on_failure(Client& client, const Status& status);
  void on_value(Client& client, NodeId asked, std::string_view answer,
                const service::Origin& origin);
  void on_opened(Client& client, uint64_t attempt, const Status& status, std::string_view answer);
  void conclude(Client& client, bool known);
  void check_eventual(const Client& client, NodeId asked, const service::Origin& origin);
  void complain(const std::string& text);
  [[nodiscard]] bool by_session(const Client& client) const {
    return client.with_session && client.op.kind != OpKind::kRead;
  }

  Cluster& cluster_;
  World& world_;
  Prng prng_;
  std::vector<Client> clients_;
  std::vector<std::vector<Operation>> histories_;   // by register
  std::map<int64_t, Instant> written_;              // when the write of a value began
  // By process, group, and which of its replicas there.
  std::map<std::tuple<LifeId, GroupId, uint64_t>, Index> seen_index_;
  std::vector<uint32_t> to_read_;                   // registers left to finish()
  std::string padding_;
  std::string complaint_;
  int64_t next_value_ = 1;
  bool stopped_ = false;
  bool finishing_ = false;
  uint64_t operations_ = 0;
  uint64_t answered_ = 0;
  uint64_t unknown_ = 0;
  uint64_t undecided_ = 0;
};

}  // namespace quorate::sim
