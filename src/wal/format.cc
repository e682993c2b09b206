// SPDX-License-Identifier: Apache-2.0
#include "wal/format.h"

#include <cstring>

#include "base/assert.h"
#include "base/codec.h"
#include "base/crc.h"

namespace quorate::wal {
namespace {

constexpr std::string_view kHeadMagic = "qWh\x01";
constexpr std::string_view kTailMagic = "qWt\x01";
constexpr size_t kItemPrefixBytes = 6;  // u32 checksum, u16 size of the body
constexpr uint8_t kFlagSuspect = 1;

uint64_t zigzag(int64_t value) {
  return (static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63);
}

int64_t unzigzag(uint64_t value) {
  return static_cast<int64_t>(value >> 1) ^ -static_cast<int64_t>(value & 1);
}

// What an item says before its records, or one record.
using Fields = ShortWriter<128>;

void write_records(const Item& item, Fields& out, std::string& directory) {
  out.id(item.first);
  out.id(item.before_term);
  out.varint(item.records.size());
  out.varint(item.records.empty() ? 0 : item.records.front().offset);
  int64_t at = 0;
  for (const ItemRecord& record : item.records) {
    out.id(record.term);
    out.u8(record.kind);
    // Unsigned, so that the difference of two extreme stamps wraps instead of overflowing.
    out.varint(zigzag(static_cast<int64_t>(static_cast<uint64_t>(record.at.micros()) -
                                           static_cast<uint64_t>(at))));
    at = record.at.micros();
    out.varint(record.bytes);
    out.u32(record.crc);
    out.move_to(directory);
  }
}

void read_records(Reader& in, Item& item) {
  item.first = in.id<Index>();
  item.before_term = in.id<Term>();
  const uint64_t count = in.count(8);
  uint64_t offset = in.varint();
  int64_t at = 0;
  if (!in.ok() || count > kItemRecordsMax) {
    in.fail();
    return;
  }
  item.records.resize(count);
  item.count = count;
  for (ItemRecord& record : item.records) {
    record.term = in.id<Term>();
    record.kind = in.u8();
    at = static_cast<int64_t>(static_cast<uint64_t>(at) +
                              static_cast<uint64_t>(unzigzag(in.varint())));
    record.at = Stamp::from_micros(at);
    const uint64_t bytes = in.varint();
    record.crc = in.u32();
    if (bytes > UINT32_MAX || offset + bytes > UINT32_MAX) {
      in.fail();
      return;
    }
    record.bytes = static_cast<uint32_t>(bytes);
    record.offset = static_cast<uint32_t>(offset);
    offset += bytes;
  }
}

void write_state(const State& state, Fields& out) {
  out.id(state.term);
  out.id(state.vote);
  out.id(state.commit);
}

State read_state(Reader& in) {
  State state;
  state.term = in.id<Term>();
  state.vote = in.id<NodeId>();
  state.commit = in.id<Index>();
  return state;
}

void read_body(Reader& in, Item& item) {
  item.kind = static_cast<ItemKind>(in.u8());
  item.suspect = (in.u8() & kFlagSuspect) != 0;
  item.group = in.id<GroupId>();
  item.life = in.u16();
  item.back = in.varint();
  if (item.has_state()) {
    item.state = read_state(in);
  }
  switch (item.kind) {
    case ItemKind::kAppend:
    case ItemKind::kPut: read_records(in, item); return;
    case ItemKind::kBounds:
      item.compacted = in.id<Index>();
      item.compacted_term = in.id<Term>();
      [[fallthrough]];
    case ItemKind::kState:
      item.last = in.id<Index>();
      item.last_term = in.id<Term>();
      return;
    case ItemKind::kMissing:
      item.first = in.id<Index>();
      item.last_term = in.id<Term>();
      item.count = in.varint();
      return;
    case ItemKind::kRemove: return;
  }
  in.fail();
}

}  // namespace

std::string_view magic_of(Edge edge) { return edge == Edge::kHead ? kHeadMagic : kTailMagic; }

std::string encode_header(const BatchHeader& header, Edge edge) {
  std::string bytes(magic_of(edge));
  Writer out(bytes);
  out.u32(0);
  out.u32(kFormatVersion);
  out.u32(header.segment);
  out.u64(header.log);
  out.u64(header.number);
  out.u64(header.durable);
  out.u32(header.oldest);
  out.u32(header.ahead);
  out.u32(header.directory_bytes);
  out.u32(header.payload_bytes);
  out.u32(header.items);
  out.u32(header.depth);
  ASSERT(bytes.size() == kHeaderBytes);
  const uint32_t crc = crc32c(std::string_view(bytes).substr(8));
  std::memcpy(bytes.data() + 4, &crc, sizeof(crc));
  return bytes;
}

std::optional<BatchHeader> decode_header(std::string_view bytes, Edge edge) {
  if (bytes.size() < kHeaderBytes || bytes.substr(0, 4) != magic_of(edge)) {
    return std::nullopt;
  }
  Reader in(bytes.substr(4, kHeaderBytes - 4));
  const uint32_t crc = in.u32();
  if (crc != crc32c(bytes.substr(8, kHeaderBytes - 8)) || in.u32() != kFormatVersion) {
    return std::nullopt;
  }
  BatchHeader header;
  header.segment = in.u32();
  header.log = in.u64();
  header.number = in.u64();
  header.durable = in.u64();
  header.oldest = in.u32();
  header.ahead = in.u32();
  header.directory_bytes = in.u32();
  header.payload_bytes = in.u32();
  header.items = in.u32();
  header.depth = in.u32();
  if (header.number == 0 || header.segment == 0 || header.durable >= header.number ||
      header.depth > header.number) {
    return std::nullopt;
  }
  return header;
}

std::string_view name_of(ItemKind kind) {
  switch (kind) {
    case ItemKind::kAppend: return "append";
    case ItemKind::kPut: return "put";
    case ItemKind::kState: return "state";
    case ItemKind::kBounds: return "bounds";
    case ItemKind::kMissing: return "missing";
    case ItemKind::kRemove: return "remove";
  }
  return "?";
}

uint32_t seed_of(uint64_t log, uint64_t number) {
  char bytes[16];
  std::memcpy(bytes, &log, 8);
  std::memcpy(bytes + 8, &number, 8);
  return crc32c(std::string_view(bytes, sizeof(bytes)));
}

void encode_item(const Item& item, uint32_t seed, std::string& directory) {
  const size_t begin = directory.size();
  Fields out;
  out.u32(0);
  out.u16(0);
  out.u8(static_cast<uint8_t>(item.kind));
  out.u8(item.suspect ? kFlagSuspect : 0);
  out.id(item.group);
  out.u16(item.life);
  out.varint(item.back);
  if (item.has_state()) {
    write_state(item.state, out);
  }
  if (item.has_records()) {
    ASSERT(!item.records.empty() && item.records.size() <= kItemRecordsMax);
    write_records(item, out, directory);
  } else if (item.kind == ItemKind::kMissing) {
    out.id(item.first);
    out.id(item.last_term);
    out.varint(item.count);
  } else if (item.kind != ItemKind::kRemove) {
    if (item.kind == ItemKind::kBounds) {
      out.id(item.compacted);
      out.id(item.compacted_term);
    }
    out.id(item.last);
    out.id(item.last_term);
  }
  out.move_to(directory);
  const size_t body = directory.size() - begin - kItemPrefixBytes;
  ASSERT(body <= UINT16_MAX, "an item is too large for its size field");
  const auto size = static_cast<uint16_t>(body);
  std::memcpy(directory.data() + begin + 4, &size, sizeof(size));
  const uint32_t crc = crc32c(std::string_view(directory).substr(begin + 4), seed);
  std::memcpy(directory.data() + begin, &crc, sizeof(crc));
}

size_t decode_item(std::string_view bytes, uint32_t seed, Item& item) {
  Reader prefix(bytes);
  const uint32_t crc = prefix.u32();
  const size_t size = prefix.u16();
  if (!prefix.ok() || size > prefix.left() || crc != crc32c(bytes.substr(4, 2 + size), seed)) {
    return 0;
  }
  std::vector<ItemRecord> records = std::move(item.records);  // for its memory
  records.clear();
  item = Item{};
  item.records = std::move(records);
  Reader body(bytes.substr(kItemPrefixBytes, size));
  read_body(body, item);
  // The checksum holds, so a body that cannot be read was written by a later version or by a bug.
  return body.done() ? kItemPrefixBytes + size : 0;
}

size_t decode_item(std::span<const std::string_view> copies, size_t offset, uint32_t seed,
                   Item& item) {
  for (const std::string_view copy : copies) {
    if (offset >= copy.size()) {
      continue;
    }
    if (const size_t size = decode_item(copy.substr(offset), seed, item); size > 0) {
      return size;
    }
  }
  return 0;
}

}  // namespace quorate::wal
