// SPDX-License-Identifier: Apache-2.0
// Finding batches among the bytes of a segment, whole or damaged, and telling what is wrong with
// them. Shared by recovery and by the dump tool; no decision is taken here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "env/disk.h"
#include "wal/format.h"

namespace quorate::wal {

struct SegmentBytes {
  uint32_t number = 0;
  std::string bytes;
  size_t unreadable_bytes = 0;  // the disk refused them; they stand as zeros
};

// Reads a whole segment; what the disk refuses to read becomes zeros, in the smallest pieces.
// `memory` is used for the bytes: filling fresh pages costs more than reading into old ones.
[[nodiscard]] Result<SegmentBytes> load_segment(env::File& file, uint32_t number,
                                                std::string memory = {});

struct FoundBatch {
  BatchHeader header;
  uint64_t at = 0;
  bool head_damaged = false;
  bool tail_damaged = false;
  [[nodiscard]] uint64_t end() const { return at + header.total_bytes(); }
};

// The first batch that begins at `from` or after it, known by either of its headers. `log` 0: of
// whatever log. Bytes of other segments or logs are passed over.
[[nodiscard]] std::optional<FoundBatch> next_batch(const SegmentBytes& segment, uint64_t log,
                                                   uint64_t from);

// Walks the items of a found batch.
class BatchScan {
 public:
  BatchScan(const SegmentBytes& segment, const FoundBatch& batch);

  // The next item, or false at the end, which is early if both copies of an item are damaged.
  bool next(Item& item);
  // The directory offset of the item that next() gave.
  [[nodiscard]] uint32_t item_at() const { return item_at_; }
  [[nodiscard]] uint32_t item_bytes() const { return next_at_ - item_at_; }
  [[nodiscard]] bool payload_good(const ItemRecord& record) const;
  [[nodiscard]] std::string_view payload(const ItemRecord& record) const;
  // Items remain that neither copy of the directory has.
  [[nodiscard]] bool lost_items() const { return ended_ && next_at_ < directory_bytes_; }
  // One copy of some item had to be passed over.
  [[nodiscard]] bool repaired() const { return repaired_; }

 private:
  std::string_view copies_[2];
  std::string_view payloads_;
  uint32_t directory_bytes_;
  uint32_t seed_;
  uint32_t item_at_ = 0;
  uint32_t next_at_ = 0;
  bool ended_ = false;
  bool repaired_ = false;
};

// True if flipping one bit of `bytes` would give them this checksum: then they were written whole
// and rotted, for a torn write differs by whole sectors.
[[nodiscard]] bool one_bit_off(std::string_view bytes, uint32_t crc);

}  // namespace quorate::wal
