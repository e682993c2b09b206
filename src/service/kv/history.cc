// SPDX-License-Identifier: Apache-2.0
#include "service/kv/history.h"

#include <algorithm>

#include "base/assert.h"
#include "service/value/packed.h"
#include "service/verb/fields.h"

namespace quorate::service::kv {
namespace {

constexpr uint8_t kHadPrevious = 1;
constexpr uint8_t kValueIsPacked = 2;
constexpr uint8_t kPreviousIsPacked = 4;
constexpr uint8_t kHasEnd = 8;
constexpr unsigned kKindShift = 4;

// The fields between two strings.
using Fields = ShortWriter<64>;

void write_value(Fields& fields, std::string_view value, uint64_t packed_from, std::string& out) {
  if (packed_from > 0) {
    fields.varint(packed_from);
  }
  fields.varint(value.size());
  fields.move_to(out);
  out.append(value);
}

void unpack_into(uint64_t size, std::string_view& value, std::deque<std::string>& unpacked) {
  if (size == 0) {
    return;
  }
  std::string& bytes = unpacked.emplace_back();
  const bool is_whole = unpack(value, static_cast<size_t>(size), bytes);
  ASSERT(is_whole, "the machine packed it");
  value = bytes;
}

}  // namespace

// A change without its revision, which follows from its place in the block; and with its distance
// in time from the one before.
void History::write(const Entry& entry, Stamp before, std::string& out) {
  Fields writer;
  const Change& change = entry.change;
  const bool has_end = entry.expires != Stamp::never();
  unsigned tag = static_cast<unsigned>(change.kind) << kKindShift;
  tag |= change.had_previous ? kHadPrevious : 0u;
  tag |= entry.packed.value > 0 ? kValueIsPacked : 0u;
  tag |= entry.packed.previous > 0 ? kPreviousIsPacked : 0u;
  tag |= has_end ? kHasEnd : 0u;
  writer.u8(static_cast<uint8_t>(tag));
  write_signed(writer, (entry.at - before).micros());
  writer.id(entry.keyspace);
  write_value(writer, change.key, 0, out);
  write_value(writer, change.value, entry.packed.value, out);
  writer.varint(change.version);
  if (change.had_previous) {
    write_value(writer, change.previous, entry.packed.previous, out);
  }
  if (has_end) {
    writer.u64(static_cast<uint64_t>(entry.expires.micros()));
  }
  writer.move_to(out);
}

History::Entry History::read_one(Reader& reader, Stamp before) {
  Entry entry;
  const uint8_t tag = reader.u8();
  entry.change.kind = static_cast<Change::Kind>(tag >> kKindShift);
  entry.change.had_previous = (tag & kHadPrevious) != 0;
  entry.at = before + Duration::micros(read_signed(reader));
  entry.keyspace = reader.id<KeyspaceId>();
  entry.change.key = reader.bytes();
  entry.packed.value = (tag & kValueIsPacked) != 0 ? reader.varint() : 0;
  entry.change.value = reader.bytes();
  entry.change.version = reader.varint();
  if (entry.change.had_previous) {
    entry.packed.previous = (tag & kPreviousIsPacked) != 0 ? reader.varint() : 0;
    entry.change.previous = reader.bytes();
  }
  if ((tag & kHasEnd) != 0) {
    entry.expires = reader.stamp();
  }
  ASSERT(reader.ok());
  return entry;
}

void History::append(const Entry& entry) {
  ASSERT(entry.change.revision == end_.next());
  if (blocks_.empty() || blocks_.back().bytes.size() >= kBlockBytes) {
    blocks_.push_back({end_, entry.at, {}});
    blocks_.back().bytes.reserve(std::min(kBlockBytes, bytes_max_) + 1'024);
    last_ = entry.at;
  }
  std::string& bytes = blocks_.back().bytes;
  const size_t before = bytes.size();
  write(entry, last_, bytes);
  bytes_ += bytes.size() - before;
  end_ = entry.change.revision;
  last_ = entry.at;
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

void History::visit(Revision after, const std::function<bool(Entry&)>& see) const {
  ASSERT(begin_ <= after);
  auto block = std::upper_bound(blocks_.begin(), blocks_.end(), after,
                                [](Revision it, const Block& at) { return it < at.before; });
  if (block != blocks_.begin()) {
    --block;
  }
  for (; block != blocks_.end(); ++block) {
    Reader reader(block->bytes);
    Revision revision = block->before;
    Stamp at = block->begin;
    while (reader.left() > 0) {
      Entry entry = read_one(reader, at);
      at = entry.at;
      entry.change.revision = ++revision;
      if (revision > after && !see(entry)) {
        return;
      }
    }
  }
}

void History::open(Entry& entry, std::deque<std::string>& unpacked) {
  unpack_into(entry.packed.value, entry.change.value, unpacked);
}

void History::read(const Changes& query, ChangeList& list,
                   std::deque<std::string>& unpacked) const {
  const uint64_t most = query.limit == 0 ? limits::kScanItemsMax
                                         : std::min<uint64_t>(query.limit, limits::kScanItemsMax);
  size_t taken = 0;
  list.through = query.after;
  visit(query.after, [&](Entry& entry) {
    if (list.changes.size() == most || taken >= limits::kScanBytesMax) {
      return false;
    }
    Change& change = entry.change;
    list.through = change.revision;
    if (entry.keyspace == query.keyspace && change.kind <= Change::Kind::kExpire &&
        change.key.starts_with(query.prefix)) {
      open(entry, unpacked);
      unpack_into(entry.packed.previous, change.previous, unpacked);
      taken += change.key.size() + change.value.size() + change.previous.size();
      list.changes.push_back(change);
    }
    return true;
  });
}

}  // namespace quorate::service::kv
