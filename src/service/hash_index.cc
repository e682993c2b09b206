// SPDX-License-Identifier: Apache-2.0
#include "service/hash_index.h"

#include <bit>

#include "base/assert.h"

namespace quorate::service {
namespace {

constexpr uint64_t kLows = 0x0101010101010101;
constexpr uint64_t kSevens = 0x7f7f7f7f7f7f7f7f;

// The high bit of each byte of `word` that equals `tag`, and nothing else: a free slot, whose tag
// is 0, still holds the reference of an entry that is gone. (The shorter test for a zero byte also
// marks a byte of 1 above a match: with a tag of 1 that would be a free slot.)
uint64_t matches(uint64_t word, uint8_t tag) {
  const uint64_t differing = word ^ (kLows * tag);
  return ~(((differing & kSevens) + kSevens) | differing | kSevens);
}

}  // namespace

HashIndex::Bucket& HashIndex::Buckets::open(size_t number) {
  if (number / kPerSegment >= segments_.size()) {
    ASSERT(number / kPerSegment == segments_.size());
    segments_.emplace_back(new Bucket[kPerSegment]);
  }
  Bucket& bucket = at(number);
  std::memset(&bucket, 0, sizeof(bucket));
  return bucket;
}

void HashIndex::Buckets::shrink(size_t count) {
  while (segments_.size() * kPerSegment >= count + 2 * kPerSegment) {
    segments_.pop_back();
  }
}

// Buckets at or past the split point use one bit less, as their other half does not exist yet.
size_t HashIndex::address(uint64_t hash) const {
  const size_t mask = std::bit_ceil(bucket_count_) - 1;
  const size_t number = hash & mask;
  return number < bucket_count_ ? number : number & (mask >> 1);
}

Ref HashIndex::find(uint64_t hash, std::string_view key) const {
  if (size_ == 0) {
    return Slab::kNone;
  }
  const uint8_t tag = tag_of(hash);
  for (const Bucket* bucket = &buckets_.at(address(hash));;) {
    uint64_t low = 0;
    uint32_t high = 0;
    std::memcpy(&low, bucket->tags, sizeof(low));
    std::memcpy(&high, bucket->tags + sizeof(low), sizeof(high));
    for (uint64_t found = matches(low, tag); found != 0; found &= found - 1) {
      const Ref ref = bucket->refs[static_cast<size_t>(std::countr_zero(found)) / 8];
      if (entries_.key(ref) == key) {
        return ref;
      }
    }
    for (uint64_t found = matches(high, tag) & 0xffffffff; found != 0; found &= found - 1) {
      const Ref ref = bucket->refs[8 + static_cast<size_t>(std::countr_zero(found)) / 8];
      if (entries_.key(ref) == key) {
        return ref;
      }
    }
    if (bucket->overflow == 0) {
      return Slab::kNone;
    }
    bucket = &overflow_.at(bucket->overflow - 1);
  }
}

void HashIndex::prefetch_entry(uint64_t hash) const {
  if (bucket_count_ == 0) {
    return;
  }
  const uint8_t tag = tag_of(hash);
  const Bucket& bucket = buckets_.at(address(hash));
  for (size_t at = 0; at < kSlots; ++at) {
    if (bucket.tags[at] == tag) {
      entries_.prefetch(bucket.refs[at]);
    }
  }
}

size_t HashIndex::used(const Bucket& bucket) {
  size_t count = 0;
  while (count < kSlots && bucket.tags[count] != 0) {
    ++count;
  }
  return count;
}

void HashIndex::insert(uint64_t hash, Ref ref) {
  if (size_ >= bucket_count_ * kFill) {
    grow();
  }
  append(address(hash), tag_of(hash), ref);
  ++size_;
}

// After: all buckets of a chain but the last are full.
void HashIndex::append(size_t number, uint8_t tag, Ref ref) {
  Bucket* bucket = &buckets_.at(number);
  while (bucket->overflow != 0) {
    bucket = &overflow_.at(bucket->overflow - 1);
  }
  size_t at = used(*bucket);
  if (at == kSlots) {
    const uint32_t next = overflow_open();
    bucket->overflow = next + 1;
    bucket = &overflow_.at(next);
    at = 0;
  }
  bucket->refs[at] = ref;
  bucket->tags[at] = tag;
}

uint32_t HashIndex::overflow_open() {
  uint32_t number = static_cast<uint32_t>(overflow_count_);
  if (overflow_free_.empty()) {
    ++overflow_count_;
  } else {
    number = overflow_free_.back();
    overflow_free_.pop_back();
  }
  overflow_.open(number);
  return number;
}

HashIndex::Slot HashIndex::slot_of_ref(uint64_t hash, Ref ref) {
  Bucket* bucket = size_ == 0 ? nullptr : &buckets_.at(address(hash));
  while (bucket != nullptr) {
    const size_t count = used(*bucket);
    for (size_t at = 0; at < count; ++at) {
      if (bucket->refs[at] == ref) {
        return {bucket, at};
      }
    }
    bucket = bucket->overflow == 0 ? nullptr : &overflow_.at(bucket->overflow - 1);
  }
  ASSERT(false, "an entry that is not in the hash index");
  return {};
}

void HashIndex::erase(uint64_t hash, Ref ref) {
  const Slot hole = slot_of_ref(hash, ref);
  Bucket* last = hole.bucket;
  Bucket* before_last = nullptr;
  if (last != &buckets_.at(address(hash)) || last->overflow != 0) {
    last = &buckets_.at(address(hash));
    while (last->overflow != 0) {
      before_last = last;
      last = &overflow_.at(last->overflow - 1);
    }
  }
  const size_t tail = used(*last) - 1;
  hole.bucket->refs[hole.at] = last->refs[tail];
  hole.bucket->tags[hole.at] = last->tags[tail];
  last->tags[tail] = 0;
  if (tail == 0 && before_last != nullptr) {
    overflow_free_.push_back(before_last->overflow - 1);
    before_last->overflow = 0;
  }
  --size_;
  if (bucket_count_ > 1 && size_ * 3 < bucket_count_ * kFill) {
    shrink();
  }
}

void HashIndex::replace(uint64_t hash, Ref from, Ref to) {
  const Slot slot = slot_of_ref(hash, from);
  slot.bucket->refs[slot.at] = to;
}

// Moves what the chain holds to `refs`; the chain is empty afterwards.
void HashIndex::drain(size_t number, std::vector<Ref>& refs) {
  Bucket* bucket = &buckets_.at(number);
  while (true) {
    const size_t count = used(*bucket);
    for (size_t at = 0; at < count; ++at) {
      entries_.prefetch(bucket->refs[at]);
      refs.push_back(bucket->refs[at]);
    }
    std::memset(bucket->tags, 0, sizeof(bucket->tags));
    if (bucket->overflow == 0) {
      return;
    }
    const uint32_t next = bucket->overflow - 1;
    bucket->overflow = 0;
    overflow_free_.push_back(next);
    bucket = &overflow_.at(next);
  }
}

void HashIndex::spread(const std::vector<Ref>& refs) {
  for (const Ref ref : refs) {
    const uint64_t full = hash(entries_.key(ref));
    append(address(full), tag_of(full), ref);
  }
}

void HashIndex::grow() {
  const size_t added = bucket_count_;
  buckets_.open(added);
  if (added == 0) {
    bucket_count_ = 1;
    return;
  }
  moving_.clear();
  drain(added ^ std::bit_floor(added), moving_);
  ++bucket_count_;
  spread(moving_);
}

void HashIndex::shrink() {
  moving_.clear();
  drain(bucket_count_ - 1, moving_);
  --bucket_count_;
  spread(moving_);
  buckets_.shrink(bucket_count_);
}

void HashIndex::clear() {
  buckets_ = {};
  overflow_ = {};
  overflow_free_.clear();
  bucket_count_ = 0;
  overflow_count_ = 0;
  size_ = 0;
}

size_t HashIndex::memory_bytes() const {
  return buckets_.memory_bytes() + overflow_.memory_bytes() +
         overflow_free_.capacity() * sizeof(uint32_t) + moving_.capacity() * sizeof(Ref);
}

void HashIndex::check_invariants() const {
  size_t found = 0;
  for (size_t number = 0; number < bucket_count_; ++number) {
    const Bucket* bucket = &buckets_.at(number);
    while (bucket != nullptr) {
      const size_t count = used(*bucket);
      ASSERT(count == kSlots || bucket->overflow == 0, "only the last of a chain has room");
      for (size_t at = 0; at < count; ++at) {
        const uint64_t full = hash(entries_.key(bucket->refs[at]));
        ASSERT(address(full) == number && tag_of(full) == bucket->tags[at]);
      }
      found += count;
      bucket = bucket->overflow == 0 ? nullptr : &overflow_.at(bucket->overflow - 1);
    }
  }
  ASSERT(found == size_);
}

}  // namespace quorate::service
