// SPDX-License-Identifier: Apache-2.0
// Slab: blocks of bytes behind 32-bit references, for tables of millions of small entries.
//
// A block from the general heap costs 8 bytes of header, 16 of rounding and an 8-byte pointer in
// every index that names it. Here a reference is 4 bytes and rounding is to 8. Blocks of one size
// class share chunks of 64 KiB; a chunk whose last block goes returns to the heap. Blocks over
// kSmallBytesMax stand alone on the heap, behind a slot of 8 bytes.
//
//   reference = chunk number (19 bits) | offset in the chunk in units of 8 bytes (13 bits)
//
// A block never moves. Which references are given out is no part of any replicated state.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace quorate::service {

// Asks the processor for memory that will be looked at soon.
inline void fetch_ahead(const void* at) {
  __builtin_prefetch(at);
  // A function with nothing but prefetches in it has no effect that GCC knows of, and it drops the
  // calls of such functions. This is an effect.
  asm volatile("" : : "r"(at));
}

// All lines of an object.
inline void fetch_ahead(const void* begin, size_t bytes) {
  constexpr size_t kLineBytes = 64;
  const auto* const at = static_cast<const char*>(begin);
  for (size_t skip = 0; skip < bytes; skip += kLineBytes) {
    fetch_ahead(at + skip);
  }
}

class Slab {
 public:
  using Ref = uint32_t;
  static constexpr Ref kNone = 0xffffffff;
  static constexpr size_t kSmallBytesMax = 8 * 1024;

  Slab() = default;
  Slab(const Slab&) = delete;
  Slab& operator=(const Slab&) = delete;
  ~Slab();

  // Before: bytes > 0. The block is not cleared.
  [[nodiscard]] Ref allocate(size_t bytes);
  // Before: `bytes` is what the block was allocated for, or of the same capacity.
  void free(Ref ref, size_t bytes);
  void clear();

  [[nodiscard]] char* at(Ref ref) {
    const Chunk& chunk = chunks_[ref >> kOffsetBits];
    char* const slot = chunk.base + size_t{ref & kOffsetMask} * kUnit;
    return chunk.size_class == kLargeClass ? large_at(slot) : slot;
  }
  [[nodiscard]] const char* at(Ref ref) const { return const_cast<Slab*>(this)->at(ref); }
  // The lines in which a small block lies whole, for the most part.
  void prefetch(Ref ref) const {
    const char* const at = chunks_[ref >> kOffsetBits].base + size_t{ref & kOffsetMask} * kUnit;
    fetch_ahead(at);
    fetch_ahead(at + 64);
    fetch_ahead(at + 128);
  }

  // What allocate() will look at where all blocks are of about one size: the newest chunk, and some
  // time later its next block.
  void prefetch_room() const {
    if (!chunks_.empty()) {
      fetch_ahead(&chunks_.back());
    }
  }
  void prefetch_block() const {
    if (!chunks_.empty() && chunks_.back().base != nullptr) {
      fetch_ahead(chunks_.back().base + chunks_.back().fresh * kUnit, kUsualBytes);
    }
  }

  // What a block of so many bytes really holds: a change of size within it needs no new block.
  [[nodiscard]] static size_t capacity(size_t bytes);
  // What was taken from the heap.
  [[nodiscard]] size_t memory_bytes() const;
  void check_invariants() const;

 private:
  static constexpr size_t kUsualBytes = 192;
  static constexpr uint32_t kOffsetBits = 13;
  static constexpr uint32_t kOffsetMask = (1u << kOffsetBits) - 1;
  static constexpr size_t kUnit = 8;
  static constexpr size_t kChunkBytes = kUnit << kOffsetBits;
  static constexpr uint32_t kChunksMax = (1u << (32 - kOffsetBits)) - 1;
  static constexpr uint32_t kNoChunk = 0xffffffff;
  static constexpr uint16_t kNoOffset = 0xffff;
  static constexpr uint16_t kLargeClass = 0;
  static constexpr size_t kClasses = 1 + 128 + 3 * 16;

  struct Chunk {
    char* base = nullptr;             // null: the number is free for reuse
    uint16_t size_class = 0;
    uint16_t free_head = kNoOffset;   // chain of freed blocks, by their offset in units
    uint16_t fresh = 0;               // offset of the first block that was never used, in units
    uint16_t live = 0;                // blocks in use
    uint32_t previous = kNoChunk;     // chunks of the class that have room, doubly linked
    uint32_t next = kNoChunk;
  };

  static uint16_t class_of(size_t bytes);
  static size_t bytes_of(uint16_t size_class);
  static char* large_at(const char* slot);

  uint32_t chunk_with_room(uint16_t size_class);
  void link(uint32_t number);
  void unlink(uint32_t number);
  void release(uint32_t number);
  void free_large_blocks(const Chunk& chunk);
  [[nodiscard]] static bool is_full(const Chunk& chunk);

  std::vector<Chunk> chunks_;
  std::vector<uint32_t> free_numbers_;
  // By class: the first chunk with room plus one; 0: none. Empty until the first block, since a
  // node may hold tens of thousands of tables that stay empty.
  std::vector<uint32_t> with_room_;
  size_t large_bytes_ = 0;
  size_t chunk_count_ = 0;
};

}  // namespace quorate::service
