// SPDX-License-Identifier: Apache-2.0
// Table: the state of a machine; an ordered map from byte keys to byte records, made for millions.
//
// Every service keeps its state in Tables, so that none writes its own snapshot, digest or figures:
//   - points through a hash index, ranges through an ordered index, both of 4-byte references;
//   - no step that takes longer as the table grows: indexes grow by a bucket or a node at a time;
//   - a snapshot in chunks while changes go on: before a change of an entry that the image has not
//     reached yet, its old record is set aside, so that the image shows the moment of freeze();
//   - a digest that is kept up to date with each change and cannot depend on their order.
//
//   1. digest() is the sum over all entries of a hash of key and record; 0 for an empty table.
//   2. The image holds the entries in ascending order of keys: equal tables give equal images.
//   3. While a freeze runs, every key past its cursor is either untouched since freeze() or stands
//      in the set-aside with what it was then (or that it was absent).
//
// Image: per entry (key length + 1) varint, record length varint, key, record; at the end 0 varint,
// the count varint, the digest u64.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/codec.h"
#include "base/status.h"
#include "service/entries.h"
#include "service/hash_index.h"
#include "service/machine.h"
#include "service/ordered_index.h"

namespace quorate::service {

class Table {
 public:
  static constexpr size_t kKeyBytesMax = Entries::kKeyBytesMax;

  // `seed` guards the hash index against chosen keys; any value gives the same state.
  explicit Table(uint64_t seed = 0);
  Table(const Table&) = delete;
  Table& operator=(const Table&) = delete;
  // Before: no snapshot source is alive.
  ~Table();

  // Where a key stands, or would stand. Good until the next change; holds a view of the key.
  class Place {
   public:
    [[nodiscard]] bool found() const { return ref_ != Slab::kNone; }
    [[nodiscard]] std::string_view key() const { return key_; }

   private:
    friend class Table;
    std::string_view key_;
    uint64_t hash_ = 0;
    Ref ref_ = Slab::kNone;
  };

  [[nodiscard]] Place locate(std::string_view key) const;
  // For batches: begins to fetch what locate() will look at first, and, given what that said and
  // some time later, the entry itself.
  [[nodiscard]] uint64_t prefetch(std::string_view key) const {
    const uint64_t hash = hash_.hash(key);
    hash_.prefetch(hash);
    return hash;
  }
  // For any change, in two steps.
  void prefetch_roots() const {
    entries_.prefetch_room();
    hash_.prefetch_root();
    order_.prefetch();
  }
  void prefetch_ends() const {
    entries_.prefetch_block();
    order_.prefetch_leaf();
  }
  void prefetch_entry(uint64_t hash) const {
    hash_.prefetch_entry(hash);
    order_.prefetch_first();
  }
  // Before: found(). The view is good until the next change.
  [[nodiscard]] std::string_view record(const Place& place) const;
  [[nodiscard]] std::optional<std::string_view> find(std::string_view key) const;

  // Inserts or replaces. The parts must not lie in the table.
  void put(const Place& place, const RecordParts& record);
  void put(std::string_view key, std::string_view record) { put(locate(key), {record, {}}); }
  // Before: found().
  void erase(const Place& place);
  // Whether it was there.
  bool erase(std::string_view key);
  // Before: no freeze runs.
  void clear();

  // A walk in the order of keys; any change of the table ends it.
  class Cursor {
   public:
    [[nodiscard]] bool valid() const { return at_.valid(); }
    [[nodiscard]] std::string_view key() const { return entries_->key(at_.ref()); }
    [[nodiscard]] std::string_view record() const { return entries_->record(at_.ref()); }
    void next() { at_.next(); }
    void previous() { at_.previous(); }

   private:
    friend class Table;
    Cursor(const Entries& entries, OrderedIndex::Cursor at) : entries_(&entries), at_(at) {}
    const Entries* entries_;
    OrderedIndex::Cursor at_;
  };
  [[nodiscard]] Cursor first() const { return {entries_, order_.first()}; }
  [[nodiscard]] Cursor last() const { return {entries_, order_.last()}; }
  [[nodiscard]] Cursor at_or_after(std::string_view key) const {
    return {entries_, order_.at_or_after(key)};
  }
  [[nodiscard]] Cursor before(std::string_view key) const { return {entries_, order_.before(key)}; }

  [[nodiscard]] size_t size() const { return order_.size(); }
  // Keys and records, without what it takes to hold them; the same on every replica.
  [[nodiscard]] uint64_t bytes() const { return bytes_; }
  [[nodiscard]] size_t memory_bytes() const;
  [[nodiscard]] uint64_t digest() const { return digest_; }

  // The image of now, written while the table changes. One at a time; it must not outlive the
  // table, nor a clear() or restore_begin().
  [[nodiscard]] std::unique_ptr<SnapshotSource> freeze();
  [[nodiscard]] bool is_frozen() const { return freeze_ != nullptr; }

  // Told of each entry that a restore brings, so that a machine can rebuild what it derives along
  // with the pieces and not in one long step at the end. The bytes are not verified yet: false
  // refuses an entry that the machine would not have written, and with it the image.
  class RestoreObserver {
   public:
    virtual ~RestoreObserver() = default;
    [[nodiscard]] virtual bool on_restored(std::string_view key, std::string_view record) = 0;
  };

  // restore_begin() empties the table; pieces of the image may be cut anywhere; restore_end() tells
  // whether they were the whole of it. After a failure the table is empty.
  void restore_begin();
  [[nodiscard]] Status restore_piece(std::string_view piece, RestoreObserver* observer = nullptr);
  [[nodiscard]] Status restore_end();

  void check_invariants() const;

 private:
  class Source;
  // What was changed since freeze(), past the cursor: the old record behind a 1, or 0: absent.
  struct Freeze {
    std::string cursor;  // last key that was written
    bool has_cursor = false;
    std::unique_ptr<Table> aside;
    uint64_t count = 0;
    uint64_t digest = 0;
  };
  struct Restore {
    std::string pending;
    std::string last_key;
    uint64_t count = 0;
    bool ended = false;
    RestoreObserver* observer = nullptr;  // of the piece at hand
  };

  static uint64_t digest_of(std::string_view key, std::string_view record);
  void keep_old(const Place& place);
  void insert(const Place& place, const RecordParts& record);
  void replace(const Place& place, const RecordParts& record);
  [[nodiscard]] Status restore_entries();
  [[nodiscard]] bool restore_one(Reader& reader, Status& failure);
  [[nodiscard]] Status restore_fail(std::string message);

  Entries entries_;
  HashIndex hash_;
  OrderedIndex order_;
  uint64_t bytes_ = 0;
  uint64_t digest_ = 0;
  std::unique_ptr<Freeze> freeze_;
  Restore restore_;
};

}  // namespace quorate::service
