// SPDX-License-Identifier: Apache-2.0
// Batch: the payload of a command entry, a run of commands for the services of one group.
//
//   payload  = version u8 (1), command...            to the end of the payload
//   command  = tag u8, [session varint, sequence varint], [key 16 bytes], length varint, body
//   tag      = service (low four bits) | 0x10 session present | 0x20 key present
//
// There is no count in front, so that the leader can go on appending until it closes the batch. A
// payload that does not decode was not written by a leader of this version: it is corruption, and
// the reader says so instead of guessing.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/codec.h"
#include "base/ids.h"
#include "service/machine.h"

namespace quorate::service {

// Names one request for all time, so that its retry is recognised without a session. Made from the
// client's own text (HTTP's Idempotency-Key) and whatever scopes it: user, method, path.
class CommandKey {
 public:
  static constexpr size_t kBytes = 16;

  constexpr CommandKey() = default;
  [[nodiscard]] static CommandKey of(std::string_view text);
  // Before: bytes.size() == kBytes.
  [[nodiscard]] static CommandKey from_bytes(std::string_view bytes);

  // All zero is no key; of() never gives it.
  [[nodiscard]] bool none() const { return bytes_ == std::array<char, kBytes>{}; }
  [[nodiscard]] std::string_view view() const { return {bytes_.data(), bytes_.size()}; }
  auto operator<=>(const CommandKey&) const = default;

 private:
  std::array<char, kBytes> bytes_{};
};

struct BatchCommand {
  ServiceId service = ServiceId::kNode;
  SessionId session = {};   // zero: not deduplicated by session
  uint64_t sequence = 0;
  CommandKey key = {};      // none: not deduplicated by key
  std::string_view body = {};
};

class BatchWriter {
 public:
  void add(const BatchCommand& command);

  [[nodiscard]] size_t count() const { return count_; }
  [[nodiscard]] size_t bytes() const { return payload_.size(); }
  [[nodiscard]] bool empty() const { return count_ == 0; }
  // The payload; the writer is empty afterwards and may be used again.
  [[nodiscard]] std::string take();
  // At most this many bytes are added to a body by its command's header.
  static constexpr size_t kHeaderBytesMax = 1 + 10 + 10 + CommandKey::kBytes + 10;

 private:
  std::string payload_;
  size_t count_ = 0;
};

class BatchReader {
 public:
  explicit BatchReader(std::string_view payload);
  // False at the end, and for good after a failure; ask ok() which it was.
  [[nodiscard]] bool next(BatchCommand& command);
  [[nodiscard]] bool ok() const { return reader_.ok(); }

 private:
  Reader reader_;
};

}  // namespace quorate::service
