// SPDX-License-Identifier: Apache-2.0
// State: the key-value machine of one group.
//
// All keys and buckets stand in one Table (record.h), so that snapshot and digest hold all of them;
// what ends stands in a Due besides. Beyond the table there is one number, the revision: it grows
// by one with each change of a key's value, and each change knows its own.
//
//   1. A key whose end has come is absent: reads skip it, and a write removes it first (with a
//      change of its own), so that nothing depends on when the leader's expire command comes.
//   2. due_ holds exactly the (end, table key) of all records that end.
//   3. A refusal changes nothing, but for the removal of an ended key.
//   4. No answer is larger than a request may be.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"
#include "service/due.h"
#include "service/kv/answers.h"
#include "service/kv/commands.h"
#include "service/kv/history.h"
#include "service/kv/record.h"
#include "service/machine.h"
#include "service/registry.h"
#include "service/table.h"

namespace quorate::service::kv {

class State : private Table::RestoreObserver {
 public:
  using Command = kv::Command;
  using Query = kv::Query;
  using Answer = kv::Answer;

  struct Options {
    uint64_t hash_seed = 0;      // of the table; see Table
    size_t history_bytes_max = limits::kKvHistoryBytesMax;
  };
  State() : State(Options{}) {}
  explicit State(const Options& options);

  [[nodiscard]] static Result<Command> decode_command(std::string_view bytes) {
    return kv::decode_command(bytes);
  }
  [[nodiscard]] static Result<Query> decode_query(std::string_view bytes) {
    return kv::decode_query(bytes);
  }
  static void encode_answer(const Answer& answer, std::string& out) { kv::encode(answer, out); }

  // Before: the command passed validate(). The answer's views are good until the next apply().
  [[nodiscard]] Answer apply(const Command& command, const Moment& moment);
  // Before: the query passed validate().
  [[nodiscard]] Answer query(const Query& query, Stamp now) const;
  // The hot path of reads, without a variant. Not found() if there is no such key.
  [[nodiscard]] Item get(KeyspaceId keyspace, std::string_view key, Stamp now) const;

  [[nodiscard]] Revision revision() const { return revision_; }
  [[nodiscard]] const History& history() const { return history_; }

  [[nodiscard]] Stamp next_due() const { return due_.next(); }
  [[nodiscard]] std::string due_command(Stamp now) const;

  [[nodiscard]] std::unique_ptr<SnapshotSource> freeze();
  void restore_begin();
  [[nodiscard]] Status restore_piece(std::string_view piece);
  [[nodiscard]] Status restore_end();
  [[nodiscard]] uint64_t digest() const;
  void check_invariants() const;
  [[nodiscard]] size_t memory_bytes() const;

 private:
  // A key and what is there; ended keys are not.
  struct Spot {
    Spot(KeyspaceId space, std::string_view called)
        : keyspace(space), name(called), key(space, RecordKind::kKey, called) {}
    Spot(const Spot&) = delete;
    Spot& operator=(const Spot&) = delete;
    KeyspaceId keyspace;
    std::string_view name;
    TableKey key;
    Table::Place place;
    Item item;
  };
  struct KeyspaceUsage {
    uint64_t keys = 0;
    uint64_t bytes = 0;
  };

  Answer run(const Put& command, const Moment& moment);
  Answer run(const Delete& command, const Moment& moment);
  Answer run(const Touch& command, const Moment& moment);
  Answer run(const Increment& command, const Moment& moment);
  Answer run(const Append& command, const Moment& moment);
  Answer run(const SetRange& command, const Moment& moment);
  Answer run(const PutMany& command, const Moment& moment);
  Answer run(const DeleteMany& command, const Moment& moment);
  Answer run(const TouchMany& command, const Moment& moment);
  Answer run(const DeleteRange& command, const Moment& moment);
  Answer run(const Txn& command, const Moment& moment);
  Answer run(const RateLimit& command, const Moment& moment);
  Answer run(const ExpireDue& command, const Moment& moment);
  Answer run(const Get& query, const Moment& moment);

  Answer answer(const Get& query, Stamp now) const;
  Answer answer(const GetMany& query, Stamp now) const;
  Answer answer(const Scan& query, Stamp now) const;
  Answer answer(const Changes& query, Stamp now) const;
  Answer answer(const Stats& query, Stamp now) const;

  void look(Spot& spot, Stamp at);
  [[nodiscard]] Status check_room(size_t bytes) const;
  [[nodiscard]] bool holds(const Compare& compare, KeyspaceId keyspace, Stamp at);
  Written write(Spot& spot, std::string_view value, Stamp expires);
  void remove(Spot& spot, Change::Kind kind);
  [[nodiscard]] bool touch(Spot& spot, Stamp expires, Touch::When when);
  void set_due(std::string_view table_key, Stamp before, Stamp after);
  void expire_first();
  [[nodiscard]] Status keep_item(Item item, Item& kept);
  void count(KeyspaceId keyspace, int keys, int64_t bytes);
  bool on_restored(std::string_view key, std::string_view record) override;

  Table table_;
  Due due_;
  Revision revision_;
  History history_;
  std::map<KeyspaceId, KeyspaceUsage> usage_;   // derived
  std::string scratch_;                         // a value in the making
  std::deque<std::string> kept_;                // copies that the answer at hand points to
  size_t kept_bytes_ = 0;
  std::string restore_header_;
};

static_assert(Machine<State>);

}  // namespace quorate::service::kv
