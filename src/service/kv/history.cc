// SPDX-License-Identifier: Apache-2.0
#include "service/kv/history.h"

#include <algorithm>

#include "base/assert.h"
#include "base/codec.h"

namespace quorate::service::kv {
namespace {

// A change without its revision: that follows from its place in the block.
void write(Writer& writer, KeyspaceId keyspace, const Change& change) {
  writer.u8(static_cast<uint8_t>(static_cast<unsigned>(change.kind) << 1 |
                                 (change.had_previous ? 1u : 0u)));
  writer.id(keyspace);
  writer.bytes(change.key);
  writer.bytes(change.value);
  writer.varint(change.version);
  if (change.had_previous) {
    writer.bytes(change.previous);
  }
}

KeyspaceId read_one(Reader& reader, Change& change) {
  const uint8_t tag = reader.u8();
  change.kind = static_cast<Change::Kind>(tag >> 1);
  change.had_previous = (tag & 1) != 0;
  const auto keyspace = reader.id<KeyspaceId>();
  change.key = reader.bytes();
  change.value = reader.bytes();
  change.version = reader.varint();
  if (change.had_previous) {
    change.previous = reader.bytes();
  }
  ASSERT(reader.ok());
  return keyspace;
}

}  // namespace

void History::append(KeyspaceId keyspace, const Change& change) {
  ASSERT(change.revision == end_.next());
  if (blocks_.empty() || blocks_.back().bytes.size() >= kBlockBytes) {
    blocks_.push_back({end_, {}});
    blocks_.back().bytes.reserve(std::min(kBlockBytes, bytes_max_) + 1'024);
  }
  std::string& bytes = blocks_.back().bytes;
  const size_t before = bytes.size();
  Writer writer(bytes);
  write(writer, keyspace, change);
  bytes_ += bytes.size() - before;
  end_ = change.revision;
  make_room();
}

void History::make_room() {
  while (bytes_ > bytes_max_ && !blocks_.empty()) {
    bytes_ -= blocks_.front().bytes.size();
    blocks_.pop_front();
    begin_ = blocks_.empty() ? end_ : blocks_.front().before;
  }
}

void History::reset(Revision revision) {
  blocks_.clear();
  bytes_ = 0;
  begin_ = revision;
  end_ = revision;
}

void History::read(const Changes& query, ChangeList& list) const {
  ASSERT(begin_ <= query.after);
  const uint64_t most = query.limit == 0 ? limits::kScanItemsMax
                                         : std::min<uint64_t>(query.limit, limits::kScanItemsMax);
  auto block = std::upper_bound(blocks_.begin(), blocks_.end(), query.after,
                                [](Revision after, const Block& it) { return after < it.before; });
  if (block != blocks_.begin()) {
    --block;
  }
  size_t taken = 0;
  list.through = query.after;
  for (; block != blocks_.end(); ++block) {
    Reader reader(block->bytes);
    Revision revision = block->before;
    while (reader.left() > 0) {
      if (list.changes.size() == most || taken >= limits::kScanBytesMax) {
        return;
      }
      Change change;
      const size_t left = reader.left();
      const KeyspaceId keyspace = read_one(reader, change);
      change.revision = ++revision;
      if (revision <= query.after) {
        continue;
      }
      list.through = revision;
      if (keyspace == query.keyspace && change.key.starts_with(query.prefix)) {
        taken += left - reader.left();
        list.changes.push_back(change);
      }
    }
  }
}

}  // namespace quorate::service::kv
