// SPDX-License-Identifier: Apache-2.0
// Replay: the meaning of each item, batch after batch. Every item says how long ago the group was
// spoken of before, so a lost item of a group is noticed at the group's next one, whichever batch
// it was lost with; only a group that is never spoken of again stays in doubt.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "wal/recovery.h"
#include "wal/scan.h"

namespace quorate::wal {

struct BatchCheck {
  std::vector<std::string> bad;  // one sentence per entry whose payload fails
  bool lost_items = false;
  bool repaired = false;
  bool rotted = false;  // not whole, but each bad payload is off by a single bit
  [[nodiscard]] bool whole() const { return bad.empty() && !lost_items; }
};

[[nodiscard]] BatchCheck check_batch(const SegmentBytes& segment, const FoundBatch& batch);

class Replay {
 public:
  explicit Replay(std::vector<uint8_t> kinds_kept) : kinds_kept_(std::move(kinds_kept)) {}

  // The replay begins at this batch; what was before was given up, and is not missed.
  void begin(uint64_t batch) { begin_ = batch; }
  // What `check` says is good is not verified again.
  void apply(const SegmentBytes& segment, const FoundBatch& batch, const BatchCheck& check);
  // Batch `first` (or a part of it) and maybe more are lost: no group's end is certain until its
  // next item.
  void lose_batches(uint64_t first);
  [[nodiscard]] std::map<GroupId, RebuiltGroup> take_groups();

 private:
  // Which item of which batch.
  struct Source {
    uint64_t batch;
    uint32_t item;
    uint32_t item_bytes;
  };

  void apply_item(const Item& item, Source source, const BatchScan& scan);
  RebuiltGroup& group_of(const Item& item, uint64_t batch);
  void doubt(RebuiltGroup& group, Index last, Term term);
  static void cut_guesses(RebuiltGroup& group);
  static void cut_before(RebuiltGroup& group, Index first);
  void apply_append(RebuiltGroup& group, const Item& item, Source source);
  void apply_records(RebuiltGroup& group, const Item& item, const BatchScan& scan);

  std::vector<uint8_t> kinds_kept_;
  bool verify_ = true;           // the batch at hand has a bad payload
  uint64_t begin_ = 1;
  std::map<GroupId, RebuiltGroup> groups_;
};

}  // namespace quorate::wal
