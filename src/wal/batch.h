// SPDX-License-Identifier: Apache-2.0
// Batch: what was appended since the last flush, as it will stand on disk, collected without a
// copy of any large payload.
//
// Small payloads are gathered in one string; a large one stays in its Buffer, which the batch keeps
// alive until its write is done. Meanwhile reads are answered from here.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "wal/format.h"

namespace quorate::wal {

class Batch {
 public:
  Batch(uint64_t log, uint64_t number) { reset(log, number); }
  // Empty again, under a new number; memory of ordinary size is kept for the next use.
  void reset(uint64_t log, uint64_t number);

  // Where the payload stands among the payloads. The offsets of an item follow each other.
  uint32_t add_payload(const Buffer& payload);
  // Where the item stands in the directory.
  uint32_t add_item(const Item& item);

  // The two headers and the pieces between them; valid until reset().
  // Fills in what the batch knows of itself.
  [[nodiscard]] std::vector<std::string_view> seal(BatchHeader& header);

  [[nodiscard]] size_t read_item(uint32_t offset, Item& item) const;
  [[nodiscard]] Buffer read_payload(uint32_t offset, uint32_t bytes) const;

  [[nodiscard]] uint64_t number() const { return number_; }
  [[nodiscard]] bool empty() const { return items_ == 0; }
  [[nodiscard]] uint32_t items() const { return items_; }
  // On disk, headers included.
  [[nodiscard]] uint64_t bytes() const {
    return 2 * (kHeaderBytes + directory_.size()) + payload_bytes_;
  }

 private:
  struct Piece {
    uint32_t offset;  // among the payloads
    uint32_t bytes;
    size_t small_at;  // in small_, if the buffer is empty
    Buffer buffer;
  };

  uint64_t number_ = 0;
  uint32_t seed_ = 0;
  uint32_t items_ = 0;
  uint64_t payload_bytes_ = 0;
  std::string directory_;
  std::string small_;
  std::vector<Piece> pieces_;
  std::string head_;
  std::string tail_;
};

}  // namespace quorate::wal
