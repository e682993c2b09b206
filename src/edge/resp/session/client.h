// SPDX-License-Identifier: Apache-2.0
// Client: what a connection means to the commands: its name, its MULTI, its WATCH, and the order of
// its commands.
//
// A pipeline behaves as if its commands were done one after the other, though many are in flight:
//   1. reads wait for the writes before them and writes for the reads before them; what is neither
//      waits for all (running_);
//   2. writes of one group take effect in the order in which its leader gets them. To a leader
//      elsewhere a command may have to be sent twice and so come late; hence a write waits while
//      one to a slot of its keys is on its way to another node (forwarded_).
// Where access is controlled, a client is nobody until AUTH or HELLO; what it showed is looked at
// again each second, so that a user who is deleted or changed is so for open connections too.
//
// Writes to different groups may become visible in either order, as on the nodes of Redis Cluster.
#pragma once

#include <bitset>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/hash.h"
#include "edge/resp/session/context.h"
#include "edge/resp/wire/connection.h"
#include "edge/resp/wire/session.h"

namespace quorate::edge::resp {

class Client final : public Session {
 public:
  Client(Context& context, Connection& connection) : context_(context), connection_(connection) {}

  [[nodiscard]] Taken take(Arguments arguments) override;
  void on_gone() override;

  // ---- for the rows ---------------------------------------------------------------------------
  [[nodiscard]] Context& context() { return context_; }
  [[nodiscard]] Connection& connection() { return connection_; }

  void multi(Reply& reply);
  void discard(Reply& reply);
  void exec(Ticket ticket);
  void watch(Arguments keys, Ticket ticket);
  void unwatch();
  void reset();
  // A command waits, perhaps for long, and `give_up` answers it if the peer goes first.
  void begin_wait(UniqueFunction<void()> give_up) { give_up_ = std::move(give_up); }
  void end_wait() { give_up_ = nullptr; }
  // Who the client is from now on; as before if the credentials stand for nobody.
  void admit(const Credentials& credentials, UniqueFunction<void(const Status&)> done);
  [[nodiscard]] const Caller* caller() const { return caller_.get(); }

  // Flags and words of CLIENT LIST.
  std::string name;
  std::string library_name;
  std::string library_version;
  bool read_only = false;
  bool no_evict = false;
  bool no_touch = false;
  [[nodiscard]] int64_t queued() const;  // -1: no MULTI
  [[nodiscard]] size_t watched() const { return watched_.size(); }
  [[nodiscard]] std::string_view last_command() const;
  [[nodiscard]] uint64_t commands() const { return commands_; }

 private:
  enum class Running : uint8_t { kReads, kWrites, kAlone };
  using Slots = std::bitset<kSlots>;

  // A command of a MULTI; its arguments are views of the Multi's own bytes.
  struct Queued {
    const Table::Entry* entry;
    std::vector<std::string_view> arguments;
  };
  struct Multi {
    std::deque<std::string> bytes;
    std::vector<Queued> commands;
    size_t size = 0;
    bool broken = false;  // a command could not be queued: EXEC refuses
  };
  struct Watched {
    std::string key;
    Revision modified;  // zero: it was absent
  };
  // One MULTI on its way: what its operations mean to which command.
  struct Exec;

  [[nodiscard]] std::string_view turned_away(const Table::Entry& entry);
  void admit_again();
  [[nodiscard]] Table::Entry* find(Arguments arguments, std::string& error);
  void refuse(std::string_view error);
  // At its place in the order of replies, whatever is in flight before it.
  template <class Write>
  void answer(Write&& write) {
    if (connection_.in_flight() == 0) {
      Reply reply = connection_.reply();
      write(reply);
    } else {
      connection_.finish(connection_.begin(nullptr), std::forward<Write>(write));
    }
  }
  void queue(Table::Entry& entry, Arguments arguments);
  [[nodiscard]] Taken once(Arguments arguments);
  [[nodiscard]] Taken fence(Arguments arguments);
  [[nodiscard]] Taken alone(Table::Entry& entry, Arguments arguments);

  // keyed.cc
  [[nodiscard]] Taken on_keys(Table::Entry& entry, Arguments arguments);
  [[nodiscard]] Taken read(Table::Entry& entry, GroupId group, const Form& form);
  void read_elsewhere(Ticket ticket, const Form& form);
  [[nodiscard]] Taken write(Table::Entry& entry, GroupId group, const Form& form);
  void send(Ticket ticket, GroupId group, const Form& form);
  [[nodiscard]] bool may_send(GroupId group);
  [[nodiscard]] bool read_here(GroupId group, Stamp& now);
  template <class Op>
  [[nodiscard]] service::kv::OpAnswer look(const service::kv::State& state, const Op& query,
                                           Stamp now) const;

  // transaction.cc
  [[nodiscard]] std::shared_ptr<Exec> build_exec();
  void run_exec(const std::shared_ptr<Exec>& exec, Ticket ticket);
  void tell_exec(const Exec& exec, std::span<const service::kv::OpAnswer> answers, Stamp now,
                 Reply& reply);

  Context& context_;
  Connection& connection_;
  Table::Entry* last_ = nullptr;  // of the command before, which is often the same
  std::string last_name_;
  uint64_t commands_ = 0;
  Running running_ = Running::kAlone;
  Ops ops_;  // of the command at hand; kept for its capacity
  std::vector<service::kv::OpAnswer> answers_;
  std::unique_ptr<Slots> forwarded_;  // slots with a write on its way to another node
  std::vector<uint16_t> forwarded_list_;
  service::CommandKey once_;  // of the command at hand; none unless ONCE stands before it
  service::Fence fence_;      // likewise, of FENCE
  CallerRef caller_;
  Credentials credentials_;  // that were admitted
  Instant admitted_at_;
  std::unique_ptr<Multi> multi_;
  std::vector<Watched> watched_;
  UniqueFunction<void()> give_up_;  // of the command that waits; it holds the connection
};

// The group of all keys of the operations; nothing if there are several. Before: not empty.
[[nodiscard]] std::optional<GroupId> common_group(const service::kv::Api& kv, const Ops& ops);
// What is wrong with keys or values of the operations, or nothing.
[[nodiscard]] std::string check(const Ops& ops);
[[nodiscard]] bool reads_only(const Ops& ops);
[[nodiscard]] std::string_view key_of(const service::kv::Txn::Op& op);

}  // namespace quorate::edge::resp
