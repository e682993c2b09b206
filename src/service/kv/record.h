// SPDX-License-Identifier: Apache-2.0
// What the machine keeps in its table, byte by byte.
//
//   table key = (keyspace number * 4 + kind) varint, name        kind: 0 key, 1 bucket, 2 space,
//                                                                3 index
//   key       = flags u8, modified varint, modified - created varint, version varint,
//               [end stamp, if flag 1], [value bytes varint, if flag 2], value; packed if flag 2
//               (service/value/packed.h)
//   bucket    = end stamp, filled at stamp, micro-tokens varint, remainder varint
//   space     = fate u8 (0 lives, 1 is being removed, 2 removed; 4 more if the last two are there),
//               revision varint, greatest keys varint, greatest bytes varint, [revision of the
//               compression varint, least bytes of a packed value varint]; its name is "quota"
//   fence     = the mark of a lock (service/verb/fence.h), of kind 2; its name is 0x00, the mark's
//   index     = number varint, stage u8, unique u8, path bytes, cursor bytes; its name is 0x00, the
//               name of the index
//   entry     = no bytes; its name is 0x01, number of the index u16 big-endian, value in order
//               (service/value/ordered.h), key
//
// A varint is prefix-free, so the keys of one keyspace stand together, in the order of their names.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "base/codec.h"
#include "base/limits.h"
#include "service/kv/answers.h"
#include "service/kv/commands.h"

namespace quorate::service::kv {

enum class RecordKind : uint8_t { kKey = 0, kBucket = 1, kSpace = 2, kIndex = 3 };
inline constexpr unsigned kKindBits = 2;

// A table key, built in place: the hot path must not allocate one.
class TableKey {
 public:
  TableKey(KeyspaceId keyspace, RecordKind kind, std::string_view name) {
    ASSERT(name.size() <= kNameBytesMax);
    uint64_t prefix = uint64_t{keyspace.value()} << kKindBits | static_cast<uint64_t>(kind);
    while (prefix >= 0x80) {
      bytes_[prefix_bytes_++] = static_cast<char>(prefix | 0x80);
      prefix >>= 7;
    }
    bytes_[prefix_bytes_++] = static_cast<char>(prefix);
    if (!name.empty()) {
      std::memcpy(bytes_ + prefix_bytes_, name.data(), name.size());
    }
    size_ = prefix_bytes_ + name.size();
  }

  [[nodiscard]] std::string_view view() const { return {bytes_, size_}; }
  [[nodiscard]] std::string_view prefix() const { return {bytes_, prefix_bytes_}; }

 private:
  // A name, or the end of a range just behind one.
  static constexpr size_t kNameBytesMax = limits::kKeyBytesMax + 1;
  static constexpr size_t kPrefixBytesMax = 5;
  size_t size_ = 0;
  size_t prefix_bytes_ = 0;
  char bytes_[kNameBytesMax + kPrefixBytesMax];
};

// What the name of an index's entry has besides a key.
inline constexpr size_t kEntryOverheadBytesMax = 1 + sizeof(uint16_t) + limits::kKvIndexedBytesMax;

struct TableKeyParts {
  KeyspaceId keyspace = {};
  RecordKind kind = RecordKind::kKey;
  std::string_view name = {};
};

// The parse_... take bytes of an image, which are not verified yet: false if no State wrote them.
[[nodiscard]] inline bool parse_key(std::string_view key, TableKeyParts& parts) {
  Reader reader(key);
  const uint64_t prefix = reader.varint();
  const uint64_t kind = prefix & ((1u << kKindBits) - 1);
  parts.keyspace = KeyspaceId(static_cast<uint32_t>(prefix >> kKindBits));
  parts.kind = static_cast<RecordKind>(kind);
  parts.name = reader.rest();
  const size_t name_bytes_max =
      limits::kKeyBytesMax + (parts.kind == RecordKind::kIndex ? kEntryOverheadBytesMax : 0);
  return reader.ok() && prefix >> kKindBits <= limits::kKeyspacesMax && !parts.name.empty() &&
         parts.name.size() <= name_bytes_max;
}

// Before: `key` was made by TableKey.
[[nodiscard]] inline TableKeyParts parts_of(std::string_view key) {
  TableKeyParts parts;
  const bool is_key = parse_key(key, parts);
  ASSERT(is_key);
  return parts;
}

// The part of a key's record before its value.
class KeyHeader {
 public:
  KeyHeader(Revision created, Revision modified, uint64_t version, Stamp expires) {
    const bool has_end = expires != Stamp::never();
    bytes_[size_++] = has_end ? kHasEnd : 0;
    append(modified.value());
    append(modified - created);
    append(version);
    if (has_end) {
      const auto micros = static_cast<uint64_t>(expires.micros());
      std::memcpy(bytes_ + size_, &micros, sizeof(micros));
      size_ += sizeof(micros);
    }
  }

  // The value that follows is packed, and has so many bytes when it is not.
  void set_packed(uint64_t value_bytes) {
    bytes_[0] = static_cast<char>(bytes_[0] | kIsPacked);
    append(value_bytes);
  }

  [[nodiscard]] std::string_view view() const { return {bytes_, size_}; }

  static constexpr char kHasEnd = 1;
  static constexpr char kIsPacked = 2;

 private:
  void append(uint64_t value) {
    while (value >= 0x80) {
      bytes_[size_++] = static_cast<char>(value | 0x80);
      value >>= 7;
    }
    bytes_[size_++] = static_cast<char>(value);
  }

  size_t size_ = 0;
  char bytes_[1 + 4 * 10 + 8];
};

// A key's record, taken apart.
struct KeyRecord {
  Item item = {};                // without key; without value if that is packed
  std::string_view stored = {};  // the value as it lies in the record
  bool is_packed = false;
};

[[nodiscard]] inline bool parse_key_record(std::string_view bytes, KeyRecord& record) {
  constexpr auto kHasEnd = static_cast<uint8_t>(KeyHeader::kHasEnd);
  constexpr auto kIsPacked = static_cast<uint8_t>(KeyHeader::kIsPacked);
  Reader reader(bytes);
  Item& item = record.item;
  const uint8_t flags = reader.u8();
  item.modified = reader.id<Revision>();
  const uint64_t age = reader.varint();
  item.created = item.modified - age;
  item.version = reader.varint();
  if ((flags & kHasEnd) != 0) {
    item.expires = reader.stamp();
  }
  record.is_packed = (flags & kIsPacked) != 0;
  const uint64_t value_bytes = record.is_packed ? reader.varint() : 0;
  record.stored = reader.rest();
  item.value = record.is_packed ? std::string_view() : record.stored;
  item.value_bytes = record.is_packed ? value_bytes : record.stored.size();
  return reader.ok() && flags <= (kHasEnd | kIsPacked) && age <= item.modified.value() &&
         item.found() && item.value_bytes <= limits::kValueBytesMax &&
         (!record.is_packed || record.stored.size() < value_bytes);
}

// Before: `bytes` were put together from a KeyHeader and a value.
[[nodiscard]] inline KeyRecord key_record_of(std::string_view bytes) {
  KeyRecord record;
  const bool is_record = parse_key_record(bytes, record);
  ASSERT(is_record);
  return record;
}

struct Bucket {
  Stamp end;                   // full by then, so the record says nothing more
  Stamp filled_at;
  uint64_t micro_tokens = 0;
  uint64_t remainder = 0;      // of the refill, in parts of (1 / period) micro-tokens
};

[[nodiscard]] inline std::string encode_bucket(const Bucket& bucket) {
  std::string bytes;
  Writer writer(bytes);
  writer.stamp(bucket.end);
  writer.stamp(bucket.filled_at);
  writer.varint(bucket.micro_tokens);
  writer.varint(bucket.remainder);
  return bytes;
}

[[nodiscard]] inline bool parse_bucket(std::string_view record, Bucket& bucket) {
  Reader reader(record);
  bucket.end = reader.stamp();
  bucket.filled_at = reader.stamp();
  bucket.micro_tokens = reader.varint();
  bucket.remainder = reader.varint();
  return reader.done();
}

// Before: `record` was made by encode_bucket().
[[nodiscard]] inline Bucket bucket_of(std::string_view record) {
  Bucket bucket;
  const bool is_bucket = parse_bucket(record, bucket);
  ASSERT(is_bucket);
  return bucket;
}

// What is known of a keyspace; one that was never spoken of lives and has no quota.
struct SpaceRecord {
  enum class Fate : uint8_t { kLives = 0, kIsRemoved = 1, kRemoved = 2 };
  Fate fate = Fate::kLives;
  uint64_t revision = 0;
  uint64_t keys_max = 0;
  uint64_t bytes_max = 0;
  uint64_t compress_revision = 0;                             // 0: nobody has said anything
  uint64_t compress_above = limits::kKvCompressAboveDefault;  // 0: never
};
inline constexpr std::string_view kSpaceName = "quota";
inline constexpr char kMark = 0;  // opens the names of what kind 2 keeps besides
inline constexpr uint8_t kSaysCompression = 4;

[[nodiscard]] inline std::string encode_space(const SpaceRecord& space) {
  std::string bytes;
  Writer writer(bytes);
  const bool says_compression = space.compress_revision > 0;
  writer.u8(static_cast<uint8_t>(static_cast<uint8_t>(space.fate) |
                                 (says_compression ? kSaysCompression : 0)));
  writer.varint(space.revision);
  writer.varint(space.keys_max);
  writer.varint(space.bytes_max);
  if (says_compression) {
    writer.varint(space.compress_revision);
    writer.varint(space.compress_above);
  }
  return bytes;
}

[[nodiscard]] inline bool is_mark(const TableKeyParts& parts) {
  return parts.kind == RecordKind::kSpace && parts.name.front() == kMark;
}

[[nodiscard]] inline bool parse_space(std::string_view record, SpaceRecord& space) {
  Reader reader(record);
  const uint8_t flags = reader.u8();
  const uint8_t fate = flags & static_cast<uint8_t>(~kSaysCompression);
  space.fate = static_cast<SpaceRecord::Fate>(fate);
  space.revision = reader.varint();
  space.keys_max = reader.varint();
  space.bytes_max = reader.varint();
  if ((flags & kSaysCompression) != 0) {
    space.compress_revision = reader.varint();
    space.compress_above = reader.varint();
  }
  return reader.done() && fate <= static_cast<uint8_t>(SpaceRecord::Fate::kRemoved);
}

// A secondary index. While it is built, `cursor` is the last key that was looked at; if it has
// failed, the key whose value another one has too.
struct IndexRecord {
  uint16_t number = 0;
  IndexStage stage = IndexStage::kBuilding;
  bool unique = false;
  std::string path;
  std::string cursor;
};
inline constexpr char kDefinition = 0;
inline constexpr char kEntry = 1;

[[nodiscard]] inline std::string encode_index(const IndexRecord& index) {
  std::string bytes;
  Writer writer(bytes);
  writer.varint(index.number);
  writer.u8(static_cast<uint8_t>(index.stage));
  writer.boolean(index.unique);
  writer.bytes(index.path);
  writer.bytes(index.cursor);
  return bytes;
}

[[nodiscard]] inline bool parse_index(std::string_view record, IndexRecord& index) {
  Reader reader(record);
  const uint64_t number = reader.varint();
  const uint8_t stage = reader.u8();
  index.number = static_cast<uint16_t>(number);
  index.stage = static_cast<IndexStage>(stage);
  index.unique = reader.boolean();
  index.path = reader.bytes();
  index.cursor = reader.bytes();
  return reader.done() && number <= UINT16_MAX &&
         stage <= static_cast<uint8_t>(IndexStage::kDropping) &&
         index.path.size() <= limits::kKvIndexPathBytesMax &&
         index.cursor.size() <= limits::kKeyBytesMax;
}

[[nodiscard]] inline std::string definition_key(KeyspaceId keyspace, std::string_view name) {
  std::string key(TableKey(keyspace, RecordKind::kIndex, {}).view());
  key.push_back(kDefinition);
  return key.append(name);
}

// Of the entries of one index; behind it, a value in order and a key.
[[nodiscard]] inline std::string entry_prefix(KeyspaceId keyspace, uint16_t number) {
  std::string key(TableKey(keyspace, RecordKind::kIndex, {}).view());
  key.push_back(kEntry);
  key.push_back(static_cast<char>(number >> 8));
  key.push_back(static_cast<char>(number & 0xff));
  return key;
}

struct EntryName {
  uint16_t number = 0;
  std::string_view place = {};  // value in order, key
};

// Of the name of a record of kind kIndex; false if it is no entry.
[[nodiscard]] inline bool parse_entry(std::string_view name, EntryName& entry) {
  constexpr size_t kBegin = 1 + sizeof(uint16_t);
  if (name.size() <= kBegin || name.front() != kEntry) {
    return false;
  }
  entry.number =
      static_cast<uint16_t>(static_cast<uint8_t>(name[1]) << 8 | static_cast<uint8_t>(name[2]));
  entry.place = name.substr(kBegin);
  return true;
}

}  // namespace quorate::service::kv
