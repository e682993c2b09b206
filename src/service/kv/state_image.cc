// SPDX-License-Identifier: Apache-2.0
// Snapshot, digest and invariants of the key-value machine.
//
//   image = version u8 (2), revision u64, image of the table (table.h)
#include <utility>

#include "base/assert.h"
#include "base/mutant.h"
#include "base/prng.h"
#include "service/kv/state.h"

namespace quorate::service::kv {
namespace {

constexpr uint8_t kImageVersion = 2;
constexpr size_t kImageHeaderBytes = sizeof(uint8_t) + sizeof(uint64_t);

class StateSource final : public SnapshotSource {
 public:
  StateSource(Revision revision, std::unique_ptr<SnapshotSource> table)
      : table_(std::move(table)) {
    Writer writer(header_);
    writer.u8(kImageVersion);
    writer.u64(revision.value());
  }

  bool next(size_t bytes_target, std::string& out) override {
    out.append(std::exchange(header_, {}));
    return table_->next(bytes_target, out);
  }

 private:
  std::string header_;
  std::unique_ptr<SnapshotSource> table_;
};

}  // namespace

std::unique_ptr<SnapshotSource> State::freeze() {
  return std::make_unique<StateSource>(revision_, table_.freeze());
}

void State::restore_begin() {
  table_.restore_begin();
  due_.clear();
  spaces_.clear();
  tending_.clear();
  has_quota_ = false;
  has_indexes_ = false;
  restore_header_.clear();
  revision_ = {};
  history_.reset(revision_);
}

Status State::restore_piece(std::string_view piece) {
  if (restore_header_.size() < kImageHeaderBytes) {
    const std::string_view part = piece.substr(0, kImageHeaderBytes - restore_header_.size());
    restore_header_.append(part);
    piece.remove_prefix(part.size());
  }
  if (piece.empty()) {
    return Status::success();
  }
  if (Status status = table_.restore_piece(piece, this); !status.ok()) {
    restore_begin();
    return status;
  }
  return Status::success();
}

Status State::restore_end() {
  Reader reader(restore_header_);
  const uint8_t version = reader.u8();
  const Revision revision(reader.u64());
  Status status = reader.done() && version == kImageVersion
                      ? table_.restore_end()
                      : Status(Code::kCorrupted, "not the image of a key-value machine");
  if (!status.ok()) {
    restore_begin();
    return status;
  }
  revision_ = revision;
  history_.reset(revision_);
  find_quotas();
  find_indexes();
  restore_header_.clear();
  return Status::success();
}

bool State::on_restored(std::string_view key, std::string_view record) {
  TableKeyParts parts;
  if (!parse_key(key, parts)) {
    return false;
  }
  if (parts.kind == RecordKind::kBucket) {
    Bucket bucket;
    if (!parse_bucket(record, bucket)) {
      return false;
    }
    set_due(key, Stamp::never(), bucket.end);
    return true;
  }
  if (is_mark(parts)) {
    FenceMark mark;
    if (!parse_mark(record, mark)) {
      return false;
    }
    set_due(key, Stamp::never(), MUTANT(fences_forgotten_in_snapshot) ? Stamp() : mark.end);
    return true;
  }
  if (parts.kind == RecordKind::kSpace) {
    Space& space = spaces_[parts.keyspace];
    space.has_record = true;
    if (!parse_space(record, space.record)) {
      return false;
    }
    if (space.record.fate == SpaceRecord::Fate::kIsRemoved) {
      tending_.insert(parts.keyspace);
    }
    return parts.name == kSpaceName;
  }
  if (parts.kind == RecordKind::kIndex) {
    return on_restored_index(parts, record);
  }
  KeyRecord found;
  if (parts.name.size() > limits::kKeyBytesMax || !parse_key_record(record, found)) {
    return false;
  }
  set_due(key, Stamp::never(), found.item.expires);
  const uint64_t saved = found.is_packed ? found.item.value_bytes - found.stored.size() : 0;
  count(parts.keyspace, {1, static_cast<int64_t>(parts.name.size() + found.item.value_bytes),
                         static_cast<int64_t>(saved)});
  return true;
}

uint64_t State::digest() const {
  return revision_.none() ? table_.digest() : table_.digest() + mix64(revision_.value());
}

Stamp State::end_of(std::string_view table_key, std::string_view record) {
  const TableKeyParts parts = parts_of(table_key);
  switch (parts.kind) {
    case RecordKind::kKey: return key_record_of(record).item.expires;
    case RecordKind::kBucket: return bucket_of(record).end;
    case RecordKind::kSpace: return is_mark(parts) ? mark_of(record).end : Stamp::never();
    case RecordKind::kIndex: break;
  }
  return Stamp::never();
}

void State::check_invariants() const {
  table_.check_invariants();
  due_.check_invariants();
  std::map<KeyspaceId, Space> spaces;
  size_t ending = 0;
  for (Table::Cursor at = table_.first(); at.valid(); at.next()) {
    const TableKeyParts parts = parts_of(at.key());
    const Stamp end = end_of(at.key(), at.record());
    if (end != Stamp::never()) {
      ASSERT(due_.contains(end, at.key()));
      ++ending;
    }
    if (parts.kind == RecordKind::kKey) {
      const KeyRecord record = key_record_of(at.record());
      std::string unpacked;
      const Item item = opened(record, unpacked);
      ASSERT(item.created <= item.modified && item.modified <= revision_);
      ASSERT(item.value.size() == item.value_bytes);
      Space& space = spaces[parts.keyspace];
      space.keys += 1;
      space.bytes += parts.name.size() + item.value_bytes;
      space.saved += item.value_bytes - record.stored.size();
    } else if (parts.kind == RecordKind::kSpace && !is_mark(parts)) {
      spaces[parts.keyspace].has_record = true;
    } else if (parts.kind == RecordKind::kIndex) {
      (void)spaces[parts.keyspace];
    }
  }
  ASSERT(ending == due_.size());
  ASSERT(spaces.size() == spaces_.size());
  for (const auto& [keyspace, expected] : spaces) {
    const Space& kept = spaces_.at(keyspace);
    ASSERT(kept.keys == expected.keys && kept.bytes == expected.bytes);
    ASSERT(kept.saved == expected.saved);
    ASSERT(kept.has_record == expected.has_record);
    ASSERT(kept.record.fate != SpaceRecord::Fate::kRemoved || kept.keys == 0);
    ASSERT((kept.record.fate == SpaceRecord::Fate::kIsRemoved || has_work(kept)) ==
           tending_.contains(keyspace));
    if (kept.record.fate == SpaceRecord::Fate::kLives) {
      check_indexes(keyspace, kept);
    }
  }
  ASSERT(history_.end() == revision_);
}

size_t State::memory_bytes() const {
  return table_.memory_bytes() + due_.memory_bytes() + history_.memory_bytes() +
         scratch_.capacity() + packed_.capacity() + kept_bytes_;
}

}  // namespace quorate::service::kv
