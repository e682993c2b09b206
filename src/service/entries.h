// SPDX-License-Identifier: Apache-2.0
// Entries: a key and a record in one block of a Slab; what the indexes of a Table point to.
//
//   entry = key length u16, record length u32, key, record
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

#include "base/assert.h"
#include "service/slab.h"

namespace quorate::service {

using Ref = Slab::Ref;

// A record in two parts, so that a machine's own header need not be joined with a value first.
struct RecordParts {
  std::string_view head;
  std::string_view body;
  [[nodiscard]] size_t size() const { return head.size() + body.size(); }
};

class Entries {
 public:
  static constexpr size_t kKeyBytesMax = 0xffff;

  [[nodiscard]] Ref make(std::string_view key, const RecordParts& record) {
    ASSERT(key.size() <= kKeyBytesMax);
    const Ref ref = slab_.allocate(kHeaderBytes + key.size() + record.size());
    char* const at = slab_.at(ref);
    const auto key_bytes = static_cast<uint16_t>(key.size());
    std::memcpy(at, &key_bytes, sizeof(key_bytes));
    copy(at + kHeaderBytes, key);
    fill(at, key_bytes, record);
    return ref;
  }

  // Replaces the record in its block if it fits there; false if it needs another block. Before: the
  // parts do not lie in this entry.
  [[nodiscard]] bool assign(Ref ref, const RecordParts& record) {
    char* const at = slab_.at(ref);
    const Sizes sizes = sizes_at(at);
    const size_t now = kHeaderBytes + sizes.key + sizes.record;
    const size_t then = kHeaderBytes + sizes.key + record.size();
    if (now != then && Slab::capacity(now) != Slab::capacity(then)) {
      return false;
    }
    fill(at, sizes.key, record);
    return true;
  }

  void free(Ref ref) {
    const Sizes sizes = sizes_at(slab_.at(ref));
    slab_.free(ref, kHeaderBytes + sizes.key + sizes.record);
  }
  void clear() { slab_.clear(); }

  [[nodiscard]] std::string_view key(Ref ref) const {
    const char* const at = slab_.at(ref);
    uint16_t key_bytes = 0;
    std::memcpy(&key_bytes, at, sizeof(key_bytes));
    return {at + kHeaderBytes, key_bytes};
  }
  [[nodiscard]] std::string_view record(Ref ref) const {
    const char* const at = slab_.at(ref);
    const Sizes sizes = sizes_at(at);
    return {at + kHeaderBytes + sizes.key, sizes.record};
  }
  void prefetch(Ref ref) const { slab_.prefetch(ref); }
  void prefetch_room() const { slab_.prefetch_room(); }
  void prefetch_block() const { slab_.prefetch_block(); }
  [[nodiscard]] size_t memory_bytes() const { return slab_.memory_bytes(); }
  void check_invariants() const { slab_.check_invariants(); }

 private:
  static constexpr size_t kHeaderBytes = sizeof(uint16_t) + sizeof(uint32_t);
  struct Sizes {
    uint16_t key;
    uint32_t record;
  };

  static Sizes sizes_at(const char* at) {
    Sizes sizes{};
    std::memcpy(&sizes.key, at, sizeof(sizes.key));
    std::memcpy(&sizes.record, at + sizeof(sizes.key), sizeof(sizes.record));
    return sizes;
  }
  static void copy(char* to, std::string_view bytes) {
    if (!bytes.empty()) {
      std::memcpy(to, bytes.data(), bytes.size());
    }
  }
  static void fill(char* at, uint16_t key_bytes, const RecordParts& record) {
    const auto record_bytes = static_cast<uint32_t>(record.size());
    ASSERT(record_bytes == record.size());
    std::memcpy(at + sizeof(key_bytes), &record_bytes, sizeof(record_bytes));
    char* const to = at + kHeaderBytes + key_bytes;
    copy(to, record.head);
    copy(to + record.head.size(), record.body);
  }

  Slab slab_;
};

}  // namespace quorate::service
