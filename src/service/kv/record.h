// SPDX-License-Identifier: Apache-2.0
// What the machine keeps in its table, byte by byte.
//
//   table key = (keyspace number * 2 + kind) varint, name        kind: 0 key, 1 bucket
//   key       = flags u8, modified varint, modified - created varint, version varint,
//               [end stamp, if flag 1], value
//   bucket    = end stamp, filled at stamp, micro-tokens varint, remainder varint
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

enum class RecordKind : uint8_t { kKey = 0, kBucket = 1 };

// A table key, built in place: the hot path must not allocate one.
class TableKey {
 public:
  TableKey(KeyspaceId keyspace, RecordKind kind, std::string_view name) {
    ASSERT(name.size() <= kNameBytesMax);
    uint64_t prefix = uint64_t{keyspace.value()} << 1 | static_cast<uint64_t>(kind);
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

struct TableKeyParts {
  KeyspaceId keyspace = {};
  RecordKind kind = RecordKind::kKey;
  std::string_view name = {};
};

// The parse_... take bytes of an image, which are not verified yet: false if no State wrote them.
[[nodiscard]] inline bool parse_key(std::string_view key, TableKeyParts& parts) {
  Reader reader(key);
  const uint64_t prefix = reader.varint();
  parts.keyspace = KeyspaceId(static_cast<uint32_t>(prefix >> 1));
  parts.kind = static_cast<RecordKind>(prefix & 1);
  parts.name = reader.rest();
  return reader.ok() && prefix >> 1 <= limits::kKeyspacesMax && !parts.name.empty() &&
         parts.name.size() <= limits::kKeyBytesMax;
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

  [[nodiscard]] std::string_view view() const { return {bytes_, size_}; }

  static constexpr char kHasEnd = 1;

 private:
  void append(uint64_t value) {
    while (value >= 0x80) {
      bytes_[size_++] = static_cast<char>(value | 0x80);
      value >>= 7;
    }
    bytes_[size_++] = static_cast<char>(value);
  }

  size_t size_ = 0;
  char bytes_[1 + 3 * 10 + 8];
};

[[nodiscard]] inline bool parse_item(std::string_view record, Item& item) {
  Reader reader(record);
  const uint8_t flags = reader.u8();
  item.modified = reader.id<Revision>();
  const uint64_t age = reader.varint();
  item.created = item.modified - age;
  item.version = reader.varint();
  if (flags == KeyHeader::kHasEnd) {
    item.expires = reader.stamp();
  }
  item.value = reader.rest();
  item.value_bytes = item.value.size();
  return reader.ok() && flags <= KeyHeader::kHasEnd && age <= item.modified.value() && item.found();
}

// Before: `record` was put together from a KeyHeader and a value. The key is left empty.
[[nodiscard]] inline Item item_of(std::string_view record) {
  Item item;
  const bool is_item = parse_item(record, item);
  ASSERT(is_item);
  return item;
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

}  // namespace quorate::service::kv
