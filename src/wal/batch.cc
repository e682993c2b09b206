// SPDX-License-Identifier: Apache-2.0
#include "wal/batch.h"

#include <algorithm>

#include "base/assert.h"

namespace quorate::wal {
namespace {

// Below this a copy is cheaper than a piece of its own in the write.
constexpr size_t kSmallPayloadBytes = 2 * 1024;
// A batch that grew beyond this was unusual; its memory goes back.
constexpr size_t kKeptBytes = 1024 * 1024;

void clear_and_trim(std::string& bytes) {
  bytes.clear();
  if (bytes.capacity() > kKeptBytes) {
    bytes.shrink_to_fit();
  }
}

}  // namespace

void Batch::reset(uint64_t log, uint64_t number) {
  number_ = number;
  seed_ = seed_of(log, number);
  items_ = 0;
  payload_bytes_ = 0;
  clear_and_trim(directory_);
  clear_and_trim(small_);
  pieces_.clear();
}

uint32_t Batch::add_payload(const Buffer& payload) {
  const auto offset = static_cast<uint32_t>(payload_bytes_);
  const auto bytes = static_cast<uint32_t>(payload.size());
  ASSERT(payload_bytes_ + bytes <= UINT32_MAX, "a batch is cut long before");
  payload_bytes_ += bytes;
  if (bytes > kSmallPayloadBytes) {
    pieces_.push_back({offset, bytes, 0, payload});
    return offset;
  }
  if (bytes > 0) {
    if (pieces_.empty() || !pieces_.back().buffer.empty()) {
      pieces_.push_back({offset, 0, small_.size(), Buffer()});
    }
    pieces_.back().bytes += bytes;
    small_.append(payload.view());
  }
  return offset;
}

uint32_t Batch::add_item(const Item& item) {
  const auto offset = static_cast<uint32_t>(directory_.size());
  encode_item(item, seed_, directory_);
  ++items_;
  return offset;
}

std::vector<std::string_view> Batch::seal(BatchHeader& header) {
  header.number = number_;
  header.directory_bytes = static_cast<uint32_t>(directory_.size());
  header.payload_bytes = static_cast<uint32_t>(payload_bytes_);
  header.items = items_;
  head_ = encode_header(header, Edge::kHead);
  tail_ = encode_header(header, Edge::kTail);
  std::vector<std::string_view> bytes;
  bytes.reserve(pieces_.size() + 4);
  bytes.emplace_back(head_);
  if (!directory_.empty()) {
    bytes.emplace_back(directory_);
  }
  for (const Piece& piece : pieces_) {
    bytes.push_back(piece.buffer.empty()
                        ? std::string_view(small_).substr(piece.small_at, piece.bytes)
                        : piece.buffer.view());
  }
  if (!directory_.empty()) {
    bytes.emplace_back(directory_);
  }
  bytes.emplace_back(tail_);
  return bytes;
}

size_t Batch::read_item(uint32_t offset, Item& item) const {
  return decode_item(std::string_view(directory_).substr(offset), seed_, item);
}

Buffer Batch::read_payload(uint32_t offset, uint32_t bytes) const {
  if (bytes == 0) {
    return {};
  }
  auto piece = std::upper_bound(pieces_.begin(), pieces_.end(), offset,
                                [](uint32_t at, const Piece& p) { return at < p.offset; });
  ASSERT(piece != pieces_.begin());
  --piece;
  const size_t skip = offset - piece->offset;
  ASSERT(skip + bytes <= piece->bytes, "a payload lies within one piece");
  if (!piece->buffer.empty()) {
    return piece->buffer.slice(skip, bytes);
  }
  return Buffer::copy(std::string_view(small_).substr(piece->small_at + skip, bytes));
}

}  // namespace quorate::wal
