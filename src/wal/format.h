// SPDX-License-Identifier: Apache-2.0
// The bytes of the log: batches of items, one batch per flush. docs/formats/wal.md is the page.
//
//   | head 64 | directory | payloads | directory again | tail 64 |
//
// Who an entry is stands in the directory, what it carries stands among the payloads. Directory and
// header are there twice, before and after the payloads, so that no single damage can take the
// identity of an entry: a bad payload is pinned to one (group, index, term), a bad header or
// directory is read from its other copy.
//
// Each checksum is bound to the log and to the number of the batch, and a header names its segment:
// the bytes that a recycled segment still holds can never pass for new ones.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "wal/wal.h"

namespace quorate::wal {

inline constexpr size_t kHeaderBytes = 64;
inline constexpr uint32_t kFormatVersion = 1;
// One item's size stands in 16 bits; this many records stay well below it.
inline constexpr size_t kItemRecordsMax = 1024;
inline constexpr size_t kItemRecordBytesMax = 40;
// Checksum, size, kind, flags, and every varint of the fixed part at its longest.
inline constexpr size_t kItemFixedBytesMax = 6 + 2 + 14 * 10;
static_assert(kItemFixedBytesMax + kItemRecordsMax * kItemRecordBytesMax < 65'536);

enum class Edge : uint8_t { kHead, kTail };

struct BatchHeader {
  uint64_t log = 0;      // random, one per log
  uint64_t number = 0;   // 1, 2, 3, ... without a gap
  uint64_t durable = 0;  // every batch through this one was synced when this was written
  uint32_t segment = 0;
  uint32_t oldest = 0;  // segments before this one are not needed any more
  uint32_t ahead = 0;   // bytes the segment's file had when the segment was begun
  uint32_t directory_bytes = 0;
  uint32_t payload_bytes = 0;
  uint32_t items = 0;
  uint32_t depth = 0;  // how many batches, this one among them, are needed; 0: it does not say

  // The first batch of the oldest segment that is needed, or 0.
  [[nodiscard]] uint64_t needed_from() const { return depth == 0 ? 0 : number - depth + 1; }
  [[nodiscard]] uint64_t total_bytes() const {
    return 2 * (kHeaderBytes + uint64_t{directory_bytes}) + payload_bytes;
  }
  [[nodiscard]] uint64_t payloads_at() const { return kHeaderBytes + uint64_t{directory_bytes}; }
  [[nodiscard]] uint64_t directory_again_at() const { return payloads_at() + payload_bytes; }
  bool operator==(const BatchHeader&) const = default;
};

[[nodiscard]] std::string encode_header(const BatchHeader& header, Edge edge);
// Nothing if magic, version or checksum is wrong, or the sizes are not those of a batch.
[[nodiscard]] std::optional<BatchHeader> decode_header(std::string_view bytes, Edge edge);
// The first four bytes of a header, for those who search.
[[nodiscard]] std::string_view magic_of(Edge edge);

// The numbers are on disk; append only.
enum class ItemKind : uint8_t {
  kAppend = 1,   // state; entries that replace all from the first of them on
  kPut = 2,      // entries in their place, nothing else changes (rewritten forward, holes filled)
  kState = 3,    // state; the last entry
  kBounds = 4,   // what was compacted; state; the last entry: all there is to say but entries
  kMissing = 5,  // entries that were durable once and whose payloads are lost
  kRemove = 6,   // the group is gone
};
[[nodiscard]] std::string_view name_of(ItemKind kind);

struct ItemRecord {
  Term term;
  uint8_t kind = 0;
  Stamp at;
  uint32_t bytes = 0;
  uint32_t crc = 0;
  uint32_t offset = 0;  // among the payloads of the batch
  bool operator==(const ItemRecord&) const = default;
};

// One thing that a batch says about one group.
struct Item {
  ItemKind kind = ItemKind::kState;
  bool suspect = false;  // the writer could not vouch for the tail of this group's log
  GroupId group;
  uint16_t life = 0;  // which group of this number: one that was removed may be made again
  uint64_t back = 0;  // 1 + batches since the group's previous item; 0: there was none
  State state;        // kAppend, kState, kBounds
  Index last;         // kState, kBounds: the last entry
  Term last_term;
  Index compacted;  // kBounds
  Term compacted_term;
  Index first;         // kAppend, kPut, kMissing
  Term before_term;    // kAppend: term of the entry before the first
  uint64_t count = 0;  // kMissing; otherwise records.size()
  std::vector<ItemRecord> records;

  [[nodiscard]] bool has_records() const {
    return kind == ItemKind::kAppend || kind == ItemKind::kPut;
  }
  [[nodiscard]] bool has_state() const {
    return kind == ItemKind::kAppend || kind == ItemKind::kState || kind == ItemKind::kBounds;
  }
  bool operator==(const Item&) const = default;
};

// What every checksum of a batch's directory starts from.
[[nodiscard]] uint32_t seed_of(uint64_t log, uint64_t number);

// Appends the item to the directory.
void encode_item(const Item& item, uint32_t seed, std::string& directory);
// Reads the item at the start of `bytes`; its size, or 0 if it is not whole. `item` is reused.
[[nodiscard]] size_t decode_item(std::string_view bytes, uint32_t seed, Item& item);

// The item at `offset` of a directory kept twice: from the first copy that has it whole.
[[nodiscard]] size_t decode_item(std::span<const std::string_view> copies, size_t offset,
                                 uint32_t seed, Item& item);

}  // namespace quorate::wal
