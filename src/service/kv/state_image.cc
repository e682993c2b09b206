// SPDX-License-Identifier: Apache-2.0
// Snapshot, digest and invariants of the key-value machine.
//
//   image = version u8 (1), revision u64, image of the table (table.h)
#include <utility>

#include "base/assert.h"
#include "base/prng.h"
#include "service/kv/state.h"

namespace quorate::service::kv {
namespace {

constexpr uint8_t kImageVersion = 1;
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

Stamp end_of(std::string_view key, std::string_view record) {
  const bool is_bucket = parts_of(key).kind == RecordKind::kBucket;
  return is_bucket ? bucket_of(record).end : item_of(record).expires;
}

}  // namespace

std::unique_ptr<SnapshotSource> State::freeze() {
  return std::make_unique<StateSource>(revision_, table_.freeze());
}

void State::restore_begin() {
  table_.restore_begin();
  due_.clear();
  usage_.clear();
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
  Item item;
  if (!parse_item(record, item)) {
    return false;
  }
  set_due(key, Stamp::never(), item.expires);
  count(parts.keyspace, 1, static_cast<int64_t>(parts.name.size() + item.value_bytes));
  return true;
}

uint64_t State::digest() const {
  return revision_.none() ? table_.digest() : table_.digest() + mix64(revision_.value());
}

void State::check_invariants() const {
  table_.check_invariants();
  due_.check_invariants();
  std::map<KeyspaceId, KeyspaceUsage> usage;
  size_t ending = 0;
  for (Table::Cursor at = table_.first(); at.valid(); at.next()) {
    const TableKeyParts parts = parts_of(at.key());
    const Stamp end = end_of(at.key(), at.record());
    if (end != Stamp::never()) {
      ASSERT(due_.contains(end, at.key()));
      ++ending;
    }
    if (parts.kind == RecordKind::kKey) {
      const Item item = item_of(at.record());
      ASSERT(item.created <= item.modified && item.modified <= revision_);
      usage[parts.keyspace].keys += 1;
      usage[parts.keyspace].bytes += parts.name.size() + item.value_bytes;
    }
  }
  ASSERT(ending == due_.size());
  ASSERT(usage.size() == usage_.size());
  for (const auto& [keyspace, expected] : usage) {
    const KeyspaceUsage& kept = usage_.at(keyspace);
    ASSERT(kept.keys == expected.keys && kept.bytes == expected.bytes);
  }
  ASSERT(history_.end() == revision_);
}

size_t State::memory_bytes() const {
  return table_.memory_bytes() + due_.memory_bytes() + history_.memory_bytes() +
         scratch_.capacity() + kept_bytes_;
}

}  // namespace quorate::service::kv
