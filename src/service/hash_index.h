// SPDX-License-Identifier: Apache-2.0
// HashIndex: from the hash of a key to its entry, by linear hashing.
//
// A table that doubles stops the loop for as long as it takes to move everything. Linear hashing
// grows by one bucket at a time: the bucket that is due is split in two, and no insert ever costs
// more than one such step. Shrinking runs the same way back.
//
// A bucket is one cache line: twelve references, one byte of each hash to tell most strangers apart
// without looking at their keys, and the number of an overflow bucket. Buckets live in segments
// that never move.
//
// The hash is not kept; a split asks for it again, after fetching all entries of the bucket ahead.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "service/entries.h"

namespace quorate::service {

class HashIndex {
 public:
  // `entries` must outlive the index. `seed` guards against keys chosen to collide; it is no part
  // of the replicated state.
  HashIndex(const Entries& entries, uint64_t seed) : entries_(entries), seed_(seed) {}

  [[nodiscard]] uint64_t hash(std::string_view key) const { return hash64(key, seed_); }
  [[nodiscard]] Ref find(uint64_t hash, std::string_view key) const;
  // For what will be looked up soon.
  void prefetch(uint64_t hash) const {
    if (bucket_count_ != 0) {
      fetch_ahead(&buckets_.at(address(hash)));
    }
  }

  void prefetch_root() const { buckets_.prefetch(); }
  // The entries that may be meant, once their bucket is at hand.
  void prefetch_entry(uint64_t hash) const;

  // Before: no entry of this key is there.
  void insert(uint64_t hash, Ref ref);
  // Before: it is there.
  void erase(uint64_t hash, Ref ref);
  void replace(uint64_t hash, Ref from, Ref to);
  void clear();

  [[nodiscard]] size_t size() const { return size_; }
  [[nodiscard]] size_t memory_bytes() const;
  void check_invariants() const;

 private:
  static constexpr size_t kSlots = 12;
  // Mean entries per bucket: more saves memory, fewer saves overflow buckets.
  static constexpr size_t kFill = 8;

  struct alignas(64) Bucket {
    uint32_t refs[kSlots];
    uint8_t tags[kSlots];   // 0: the slot is free; used slots come first
    uint32_t overflow;      // number of the next bucket of the chain plus one
  };
  static_assert(sizeof(Bucket) == 64);

  // An array of buckets that grows without moving.
  class Buckets {
   public:
    Bucket& at(size_t number) { return segments_[number / kPerSegment][number % kPerSegment]; }
    const Bucket& at(size_t number) const {
      return segments_[number / kPerSegment][number % kPerSegment];
    }
    void prefetch() const { fetch_ahead(segments_.data()); }
    // Makes the bucket exist, and empty.
    Bucket& open(size_t number);
    // Gives back segments that hold nothing below `count`.
    void shrink(size_t count);
    [[nodiscard]] size_t memory_bytes() const { return segments_.size() * kPerSegment * 64; }

   private:
    static constexpr size_t kPerSegment = 512;
    std::vector<std::unique_ptr<Bucket[]>> segments_;
  };

  struct Slot {
    Bucket* bucket;
    size_t at;
  };

  [[nodiscard]] static uint8_t tag_of(uint64_t hash) {
    const auto tag = static_cast<uint8_t>(hash >> 56);
    return tag == 0 ? 1 : tag;
  }
  [[nodiscard]] size_t address(uint64_t hash) const;
  [[nodiscard]] static size_t used(const Bucket& bucket);
  [[nodiscard]] Slot slot_of_ref(uint64_t hash, Ref ref);
  void append(size_t number, uint8_t tag, Ref ref);
  void drain(size_t number, std::vector<Ref>& refs);
  void spread(const std::vector<Ref>& refs);
  void grow();
  void shrink();
  uint32_t overflow_open();

  const Entries& entries_;
  const uint64_t seed_;
  Buckets buckets_;
  Buckets overflow_;
  std::vector<uint32_t> overflow_free_;
  std::vector<Ref> moving_;    // of the split at hand; kept for its capacity
  size_t bucket_count_ = 0;
  size_t overflow_count_ = 0;
  size_t size_ = 0;
};

}  // namespace quorate::service
