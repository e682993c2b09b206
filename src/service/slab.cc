// SPDX-License-Identifier: Apache-2.0
#include "service/slab.h"

#include <bit>
#include <cstring>
#include <new>

#include "base/assert.h"

namespace quorate::service {
namespace {

constexpr size_t kFineBytesMax = 1024;   // classes in steps of 8 up to here
constexpr size_t kFineWidth = 11;        // bits of kFineBytesMax
constexpr size_t kFineClasses = kFineBytesMax / 8;
constexpr size_t kStepsPerDoubling = 16;
constexpr size_t kLargeRounding = 1024;

}  // namespace

Slab::~Slab() { clear(); }

uint16_t Slab::class_of(size_t bytes) {
  if (bytes <= kFineBytesMax) {
    return static_cast<uint16_t>((bytes + kUnit - 1) / kUnit);
  }
  if (bytes > kSmallBytesMax) {
    return kLargeClass;
  }
  const auto doubling = static_cast<size_t>(std::bit_width(bytes - 1)) - kFineWidth;
  const size_t floor = kFineBytesMax << doubling;
  const size_t step = floor / kStepsPerDoubling;
  return static_cast<uint16_t>(kFineClasses + doubling * kStepsPerDoubling +
                               (bytes - floor + step - 1) / step);
}

size_t Slab::bytes_of(uint16_t size_class) {
  if (size_class == kLargeClass) {
    return sizeof(char*);
  }
  if (size_class <= kFineClasses) {
    return size_class * kUnit;
  }
  const size_t beyond = size_class - kFineClasses - 1;
  const size_t floor = kFineBytesMax << (beyond / kStepsPerDoubling);
  return floor + floor / kStepsPerDoubling * (beyond % kStepsPerDoubling + 1);
}

size_t Slab::capacity(size_t bytes) {
  const uint16_t size_class = class_of(bytes);
  return size_class == kLargeClass ? (bytes + kLargeRounding - 1) / kLargeRounding * kLargeRounding
                                   : bytes_of(size_class);
}

char* Slab::large_at(const char* slot) {
  char* block = nullptr;
  std::memcpy(&block, slot, sizeof(block));
  return block;
}

bool Slab::is_full(const Chunk& chunk) {
  return chunk.free_head == kNoOffset &&
         chunk.fresh * kUnit + bytes_of(chunk.size_class) > kChunkBytes;
}

Slab::Ref Slab::allocate(size_t bytes) {
  ASSERT(bytes > 0);
  const uint16_t size_class = class_of(bytes);
  const uint32_t number = chunk_with_room(size_class);
  Chunk& chunk = chunks_[number];
  uint16_t offset = chunk.free_head;
  if (offset != kNoOffset) {
    std::memcpy(&chunk.free_head, chunk.base + offset * kUnit, sizeof(chunk.free_head));
  } else {
    offset = chunk.fresh;
    chunk.fresh = static_cast<uint16_t>(chunk.fresh + bytes_of(size_class) / kUnit);
  }
  ++chunk.live;
  if (is_full(chunk)) {
    unlink(number);
  }
  if (size_class == kLargeClass) {
    const size_t capacity_bytes = capacity(bytes);
    auto* const block = static_cast<char*>(::operator new(capacity_bytes));
    std::memcpy(chunk.base + offset * kUnit, &block, sizeof(block));
    large_bytes_ += capacity_bytes;
  }
  return number << kOffsetBits | offset;
}

void Slab::free(Ref ref, size_t bytes) {
  const uint32_t number = ref >> kOffsetBits;
  const auto offset = static_cast<uint16_t>(ref & kOffsetMask);
  ASSERT(number < chunks_.size());
  Chunk& chunk = chunks_[number];
  ASSERT(chunk.base != nullptr && chunk.live > 0 && chunk.size_class == class_of(bytes));
  char* const slot = chunk.base + offset * kUnit;
  if (chunk.size_class == kLargeClass) {
    ::operator delete(large_at(slot));
    large_bytes_ -= capacity(bytes);
  }
  const bool was_full = is_full(chunk);
  std::memcpy(slot, &chunk.free_head, sizeof(chunk.free_head));
  chunk.free_head = offset;
  --chunk.live;
  if (was_full) {
    link(number);
  }
  // The last chunk with room stays, or a class that comes and goes would thrash the heap.
  const bool is_only_one = chunk.next == kNoChunk && chunk.previous == kNoChunk;
  if (chunk.live == 0 && !is_only_one) {
    release(number);
  }
}

uint32_t Slab::chunk_with_room(uint16_t size_class) {
  if (with_room_.empty()) {
    with_room_.resize(kClasses);
  }
  if (with_room_[size_class] != 0) {
    return with_room_[size_class] - 1;
  }
  uint32_t number = static_cast<uint32_t>(chunks_.size());
  if (!free_numbers_.empty()) {
    number = free_numbers_.back();
    free_numbers_.pop_back();
  } else {
    ASSERT(number < kChunksMax, "the owner's quota keeps a table below 32 GiB");
    chunks_.emplace_back();
  }
  chunks_[number] = Chunk{};
  chunks_[number].base = static_cast<char*>(::operator new(kChunkBytes));
  chunks_[number].size_class = size_class;
  ++chunk_count_;
  link(number);
  return number;
}

void Slab::link(uint32_t number) {
  Chunk& chunk = chunks_[number];
  uint32_t& first = with_room_[chunk.size_class];
  chunk.previous = kNoChunk;
  chunk.next = first == 0 ? kNoChunk : first - 1;
  if (chunk.next != kNoChunk) {
    chunks_[chunk.next].previous = number;
  }
  first = number + 1;
}

void Slab::unlink(uint32_t number) {
  Chunk& chunk = chunks_[number];
  if (chunk.previous != kNoChunk) {
    chunks_[chunk.previous].next = chunk.next;
  } else {
    ASSERT(with_room_[chunk.size_class] == number + 1);
    with_room_[chunk.size_class] = chunk.next == kNoChunk ? 0 : chunk.next + 1;
  }
  if (chunk.next != kNoChunk) {
    chunks_[chunk.next].previous = chunk.previous;
  }
  chunk.previous = kNoChunk;
  chunk.next = kNoChunk;
}

void Slab::release(uint32_t number) {
  unlink(number);
  ::operator delete(chunks_[number].base);
  chunks_[number] = Chunk{};
  free_numbers_.push_back(number);
  --chunk_count_;
}

// A slot of a large chunk is in use unless the chain of freed slots names it.
void Slab::free_large_blocks(const Chunk& chunk) {
  std::vector<bool> is_free(chunk.fresh, false);
  for (uint16_t offset = chunk.free_head; offset != kNoOffset;) {
    is_free[offset] = true;
    std::memcpy(&offset, chunk.base + offset * kUnit, sizeof(offset));
  }
  for (uint16_t offset = 0; offset < chunk.fresh; ++offset) {
    if (!is_free[offset]) {
      ::operator delete(large_at(chunk.base + offset * kUnit));
    }
  }
}

void Slab::clear() {
  for (const Chunk& chunk : chunks_) {
    if (chunk.base != nullptr && chunk.size_class == kLargeClass) {
      free_large_blocks(chunk);
    }
    ::operator delete(chunk.base);
  }
  chunks_.clear();
  free_numbers_.clear();
  with_room_ = {};
  large_bytes_ = 0;
  chunk_count_ = 0;
}

size_t Slab::memory_bytes() const {
  return chunk_count_ * kChunkBytes + large_bytes_ + chunks_.capacity() * sizeof(Chunk) +
         (free_numbers_.capacity() + with_room_.capacity()) * sizeof(uint32_t);
}

void Slab::check_invariants() const {
  size_t count = 0;
  for (uint32_t number = 0; number < chunks_.size(); ++number) {
    const Chunk& chunk = chunks_[number];
    if (chunk.base == nullptr) {
      continue;
    }
    ++count;
    const size_t units = bytes_of(chunk.size_class) / kUnit;
    size_t freed = 0;
    for (uint16_t offset = chunk.free_head; offset != kNoOffset; ++freed) {
      ASSERT(offset < chunk.fresh && offset % units == 0);
      std::memcpy(&offset, chunk.base + offset * kUnit, sizeof(offset));
    }
    ASSERT(chunk.live + freed == chunk.fresh / units, "each used block is live or in the chain");
  }
  ASSERT(count == chunk_count_);
}

}  // namespace quorate::service
