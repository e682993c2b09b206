// SPDX-License-Identifier: Apache-2.0
// State: the key-value machine of one group.
//
// All keys and buckets stand in one Table (record.h), so that snapshot and digest hold all of them;
// what ends stands in a Due besides. Beyond the table there is one number, the revision: it grows
// by one with each change of a key's value or end, of a keyspace's settings and of its indexes, and
// each change knows its own.
//
//   1. A key whose end has come is absent: reads skip it, and a write removes it first (with a
//      change of its own), so that nothing depends on when the leader's expire command comes.
//   2. due_ holds exactly the (end, table key) of all records that end.
//   3. A refusal changes nothing, but for the removal of an ended key and what a fence has seen.
//   4. No answer is larger than a request may be.
//   5. An index that is ready has an entry for each key that has a value for it and no other entry.
//   6. No write makes a keyspace greater than its quota, and none reaches one that was dropped.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "service/due.h"
#include "service/kv/answers.h"
#include "service/kv/commands.h"
#include "service/kv/history.h"
#include "service/kv/record.h"
#include "service/machine.h"
#include "service/registry.h"
#include "service/table.h"
#include "service/value/hash_value.h"

namespace quorate::service::kv {

class State : private Table::RestoreObserver {
 public:
  using Command = kv::Command;
  using Query = kv::Query;
  using Answer = kv::Answer;

  struct Options {
    uint64_t hash_seed = 0;      // of the table; see Table
    size_t history_bytes_max = limits::kKvHistoryBytesMax;
    // Of a step that builds, clears or drops, as the leader asks for it.
    uint64_t tend_items = limits::kExpireItemsMax;
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
  // As decode, apply and encode, for a Put: most commands are one. See Quick in registry.h.
  [[nodiscard]] bool apply_quickly(std::string_view bytes, const Moment& moment,
                                   std::string* answer);
  // See Hosted.
  void prefetch_self(int step) const;
  // For commands on one key.
  [[nodiscard]] uint64_t prefetch(std::string_view bytes) const;
  void prefetch_more(uint64_t hint) const { table_.prefetch_entry(hint); }
  // Before: the query passed validate().
  [[nodiscard]] Answer query(const Query& query, Stamp now) const;
  // The hot path of reads, without a variant. Not found() if there is no such key. A packed value
  // is unpacked, and then good for at least one more call.
  [[nodiscard]] Item get(KeyspaceId keyspace, std::string_view key, Stamp now) const;
  // For a question that goes on: what was unpacked before stays good, up to the next get() or
  // query(). Without its value if that is not asked for.
  [[nodiscard]] Item get_more(const Get& query, Stamp now) const;
  // A string in its place is the refusal kWrongKind. The views are good until the next change, for
  // a hash is never packed.
  [[nodiscard]] OpAnswer read_hash(const HashRead& query, Stamp now) const;

  [[nodiscard]] Revision revision() const { return revision_; }
  [[nodiscard]] const History& history() const { return history_; }
  // What stands here of a keyspace; as the answer to Stats, without what is the whole group's.
  [[nodiscard]] Usage usage(KeyspaceId keyspace) const;

  [[nodiscard]] Stamp next_due() const { return tending_.empty() ? due_.next() : Stamp(); }
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
    Item item;                // a packed value is empty until open()
    std::string_view stored;  // in the table
    bool is_packed = false;
    std::string unpacked;
  };
  // Of keys and values; a packed value counts with what it was, and what that saves besides.
  struct Amount {
    int64_t keys = 0;
    int64_t bytes = 0;
    int64_t saved = 0;
  };
  struct Index {
    std::string name;
    IndexRecord record;
    uint64_t entries = 0;  // derived
  };
  struct Space {
    uint64_t keys = 0;  // derived
    uint64_t bytes = 0;
    uint64_t saved = 0;
    SpaceRecord record;
    bool has_record = false;
    std::vector<Index> indexes = {};  // in order of names
  };
  // An entry that comes or goes with a change of its key.
  struct IndexChange {
    Index* index;
    std::string entry;
    bool adds;
  };
  // Who else holds a value: entries with this prefix, but for those of two keys.
  struct Taken {
    KeyspaceId keyspace;
    std::string prefix;
    std::string_view key;
    std::string_view besides;
  };

  void begin(const Moment& moment);
  Answer run(const Put& command, const Moment& moment);
  Answer run(const Delete& command, const Moment& moment);
  Answer run(const Touch& command, const Moment& moment);
  Answer run(const Increment& command, const Moment& moment);
  Answer run(const Append& command, const Moment& moment);
  Answer run(const SetRange& command, const Moment& moment);
  Answer run(const Copy& command, const Moment& moment);
  Answer run(const AddDecimal& command, const Moment& moment);
  Answer run(const HashWrite& command, const Moment& moment);
  Answer run(const HashRead& query, const Moment& moment);
  Answer run(const PutMany& command, const Moment& moment);
  Answer run(const DeleteMany& command, const Moment& moment);
  Answer run(const TouchMany& command, const Moment& moment);
  Answer run(const DeleteRange& command, const Moment& moment);
  Answer run(const Txn& command, const Moment& moment);
  Answer run(const RateLimit& command, const Moment& moment);
  Answer run(const ExpireDue& command, const Moment& moment);
  Answer run(const SetKeyspace& command, const Moment& moment);
  Answer run(const DropKeyspace& command, const Moment& moment);
  Answer run(const Tend& command, const Moment& moment);
  Answer run(const SetCompression& command, const Moment& moment);
  Answer run(const CreateIndex& command, const Moment& moment);
  Answer run(const DropIndex& command, const Moment& moment);
  Answer run(const Fenced& command, const Moment& moment);
  Answer run(const Get& query, const Moment& moment);

  Answer answer(const Get& query, Stamp now) const;
  Answer answer(const GetMany& query, Stamp now) const;
  Answer answer(const Scan& query, Stamp now) const;
  Answer answer(const Changes& query, Stamp now) const;
  Answer answer(const Stats& query, Stamp now) const;
  Answer answer(const Dump& query, Stamp now) const;
  Answer answer(const Find& query, Stamp now) const;
  Answer answer(const Indexes& query, Stamp now) const;
  Answer answer(const HashRead& query, Stamp now) const;
  Answer answer(const Trail& query, Stamp now) const;
  [[nodiscard]] bool dump_changes(Stamp now, size_t bytes_max, Dumped& dumped) const;

  // With its value; find() is for who does not ask for it, or not always.
  void look(Spot& spot, Stamp at);
  void find(Spot& spot, Stamp at);
  [[nodiscard]] Status look_no_hash(Spot& spot, Stamp at);
  void read(Spot& spot);
  static void open(Spot& spot);
  [[nodiscard]] static Item opened(const KeyRecord& record, std::string& unpacked);
  [[nodiscard]] KeyRecord find_key(KeyspaceId keyspace, std::string_view key, Stamp now) const;
  // For an answer in the making.
  [[nodiscard]] Item shown(const KeyRecord& record, bool with_value) const;
  // Whether a keyspace may be written to, and may grow by so many keys and bytes.
  [[nodiscard]] Status check_room(KeyspaceId keyspace, uint64_t keys, int64_t bytes) const;
  [[nodiscard]] Status check_room(const Spot& spot, size_t value_bytes) const;
  // Room, and every unique index; `besides`: a key that gives its value up with the same command.
  [[nodiscard]] Status check_write(const Spot& spot, std::string_view value, Stamp at,
                                   std::string_view besides = {}) const;
  [[nodiscard]] Status check_many(const PutMany& command, Stamp at);
  void make_room(KeyspaceId keyspace, Stamp at);
  void find_quotas();
  void put_space(KeyspaceId keyspace, const SpaceRecord& record);
  [[nodiscard]] bool tend_dropped(KeyspaceId keyspace, uint64_t& left);
  [[nodiscard]] bool holds(const Compare& compare, KeyspaceId keyspace, Stamp at);
  Written write(Spot& spot, std::string_view value, Stamp expires);
  Answer write_grown(Spot& spot, Stamp at);  // what stands in scratch_
  // Hashes: state_hash.cc.
  Answer put_fields(Spot& spot, const std::vector<HashField>& fields, Stamp at);
  Answer erase_fields(Spot& spot, const std::vector<std::string_view>& names, Stamp at);
  Answer add_whole(Spot& spot, const HashWrite& command, Stamp at);
  Answer add_decimal(Spot& spot, const HashWrite& command, Stamp at);
  [[nodiscard]] bool packs(KeyspaceId keyspace, std::string_view value);
  void remove(Spot& spot, Change::Kind kind);
  [[nodiscard]] bool touch(Spot& spot, Stamp expires, Touch::When when);
  [[nodiscard]] Status pass_fence(KeyspaceId keyspace, const Fence& fence, Stamp at);
  // Indexes: state_index.cc.
  [[nodiscard]] Space* indexed_space(KeyspaceId keyspace);
  [[nodiscard]] const Space* indexed_space(KeyspaceId keyspace) const;
  [[nodiscard]] const Index* find_index(KeyspaceId keyspace, std::string_view name) const;
  void plan_entries(Spot& spot, std::optional<std::string_view> value);
  void keep_entries();
  void add_entry(Index& index, const std::string& entry);
  [[nodiscard]] bool is_taken(const Taken& wanted, Stamp at) const;
  [[nodiscard]] Status check_unique(const Spot& spot, std::string_view value, Stamp at,
                                    std::string_view besides) const;
  [[nodiscard]] Status check_unique(const PutMany& command, Stamp at) const;
  [[nodiscard]] static uint16_t free_number(const Space& space);
  void put_index(KeyspaceId keyspace, const Index& index);
  [[nodiscard]] bool tend_indexes(KeyspaceId keyspace, Stamp at, uint64_t& left);
  [[nodiscard]] bool build(KeyspaceId keyspace, Index& index, Stamp at, uint64_t& left);
  [[nodiscard]] bool clear(KeyspaceId keyspace, Index& index, uint64_t& left);
  [[nodiscard]] static bool has_work(const Space& space);
  [[nodiscard]] static Status check_ready(const Index* index);
  [[nodiscard]] bool on_restored_index(const TableKeyParts& parts, std::string_view record);
  void check_indexes(KeyspaceId keyspace, const Space& space) const;
  void find_indexes();
  void forget_if_empty(KeyspaceId keyspace);

  // A change that comes to no watcher.
  void note(KeyspaceId keyspace, Change change, Stamp expires = Stamp::never());
  // When a record of the table goes by itself.
  [[nodiscard]] static Stamp end_of(std::string_view table_key, std::string_view record);
  void set_due(std::string_view table_key, Stamp before, Stamp after);
  void expire_first();
  [[nodiscard]] Status keep_item(Item item, Item& kept);
  void count(KeyspaceId keyspace, const Amount& grown);
  static int64_t saved_by(const Spot& spot);
  bool on_restored(std::string_view key, std::string_view record) override;

  Table table_;
  Due due_;
  Revision revision_;
  Stamp at_;  // of the command at hand
  History history_;
  uint64_t tend_items_;  // not state: what the command says counts
  std::map<KeyspaceId, Space> spaces_;          // those with keys or a record; derived
  bool has_quota_ = false;                      // some space has; derived
  bool has_indexes_ = false;                    // likewise
  std::vector<IndexChange> index_changes_;      // of the write at hand
  std::set<KeyspaceId> tending_;                // those with work left; derived
  std::string scratch_;                         // a value in the making
  std::string packed_;                          // that of the write at hand
  std::deque<std::string> kept_;                // copies that the answer at hand points to
  size_t kept_bytes_ = 0;
  mutable std::deque<std::string> unpacked_;  // values that an answer to a query points to
  std::string restore_header_;
};

static_assert(Machine<State>);

}  // namespace quorate::service::kv
