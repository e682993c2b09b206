// SPDX-License-Identifier: Apache-2.0
#include "service/batch.h"

#include <cstring>
#include <utility>

#include "base/assert.h"
#include "base/hash.h"

namespace quorate::service {
namespace {

constexpr uint8_t kVersion = 1;
constexpr uint8_t kServiceMask = 0x0f;
constexpr uint8_t kHasSession = 0x10;
constexpr uint8_t kHasKey = 0x20;
constexpr uint8_t kKnownBits = kServiceMask | kHasSession | kHasKey;
static_assert(kServicesMax == kServiceMask + 1);

}  // namespace

CommandKey CommandKey::of(std::string_view text) {
  constexpr uint64_t kFirstSeed = 0x71756f7261746531;
  constexpr uint64_t kSecondSeed = 0x71756f7261746532;
  const uint64_t words[2] = {hash64(text, kFirstSeed), hash64(text, kSecondSeed) | 1};
  CommandKey key;
  std::memcpy(key.bytes_.data(), words, kBytes);
  ASSERT(!key.none());
  return key;
}

CommandKey CommandKey::from_bytes(std::string_view bytes) {
  ASSERT(bytes.size() == kBytes);
  CommandKey key;
  std::memcpy(key.bytes_.data(), bytes.data(), kBytes);
  return key;
}

void BatchWriter::add(const BatchCommand& command) {
  const auto service = static_cast<uint8_t>(command.service);
  ASSERT(service < kServicesMax);
  ShortWriter<1 + kHeaderBytesMax> writer;
  if (count_++ == 0) {
    writer.u8(kVersion);
  }
  const bool has_session = !command.session.none();
  const bool has_key = !command.key.none();
  writer.u8(
      static_cast<uint8_t>(service | (has_session ? kHasSession : 0) | (has_key ? kHasKey : 0)));
  if (has_session) {
    writer.id(command.session);
    writer.varint(command.sequence);
  }
  if (has_key) {
    writer.move_to(payload_);
    payload_.append(command.key.view());
  }
  writer.varint(command.body.size());
  writer.move_to(payload_);
  payload_.append(command.body);
}

std::string BatchWriter::take() {
  count_ = 0;
  return std::exchange(payload_, {});
}

BatchReader::BatchReader(std::string_view payload) : reader_(payload) {
  if (reader_.u8() != kVersion) {
    reader_.fail();
  }
}

bool BatchReader::next(BatchCommand& command) {
  if (reader_.left() == 0) {
    return false;
  }
  const uint8_t tag = reader_.u8();
  if ((tag & ~kKnownBits) != 0) {
    reader_.fail();
    return false;
  }
  command = {};
  command.service = static_cast<ServiceId>(tag & kServiceMask);
  if ((tag & kHasSession) != 0) {
    command.session = reader_.id<SessionId>();
    command.sequence = reader_.varint();
    if (command.session.none()) {
      reader_.fail();
    }
  }
  if ((tag & kHasKey) != 0) {
    const std::string_view key = reader_.raw(CommandKey::kBytes);
    if (key.size() == CommandKey::kBytes) {
      command.key = CommandKey::from_bytes(key);
    }
    if (command.key.none()) {
      reader_.fail();
    }
  }
  command.body = reader_.bytes();
  return reader_.ok();
}

}  // namespace quorate::service
