// SPDX-License-Identifier: Apache-2.0
// Buffer: immutable bytes with a shared owner, cut into slices without a copy.
//
// A payload is read from a socket once, then stands in the log, in appends to several followers, in
// the write-ahead log's batch and in the machine's hand; a Buffer lets all of them hold it.
// The count is plain, not atomic: a Buffer never leaves the shard that made it. To cross shards,
// move a std::string.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/assert.h"

namespace quorate {

class Buffer {
 public:
  Buffer() = default;
  [[nodiscard]] static Buffer copy(std::string_view bytes) { return take(std::string(bytes)); }
  [[nodiscard]] static Buffer take(std::string bytes) {
    Buffer buffer;
    if (!bytes.empty()) {
      buffer.block_ = new Block{1, std::move(bytes)};
      buffer.view_ = buffer.block_->bytes;
    }
    return buffer;
  }

  Buffer(const Buffer& other) : block_(other.block_), view_(other.view_) { hold(); }
  Buffer(Buffer&& other) noexcept
      : block_(std::exchange(other.block_, nullptr)), view_(std::exchange(other.view_, {})) {}
  Buffer& operator=(Buffer other) noexcept {
    std::swap(block_, other.block_);
    std::swap(view_, other.view_);
    return *this;
  }
  ~Buffer() { release(); }

  // Before: offset + size <= this->size(). The slice keeps the whole block alive.
  [[nodiscard]] Buffer slice(size_t offset, size_t size) const {
    ASSERT(offset <= view_.size() && size <= view_.size() - offset);
    Buffer part(*this);
    part.view_ = view_.substr(offset, size);
    return part;
  }

  [[nodiscard]] std::string_view view() const { return view_; }
  [[nodiscard]] size_t size() const { return view_.size(); }
  [[nodiscard]] bool empty() const { return view_.empty(); }
  bool operator==(const Buffer& other) const { return view_ == other.view_; }

 private:
  struct Block {
    uint32_t owners;
    std::string bytes;
  };

  void hold() {
    if (block_ != nullptr) {
      ++block_->owners;
    }
  }
  void release() {
    if (block_ != nullptr && --block_->owners == 0) {
      delete block_;
    }
  }

  Block* block_ = nullptr;
  std::string_view view_;
};

}  // namespace quorate
