// SPDX-License-Identifier: Apache-2.0
// What the machine keeps in its table, byte by byte.
//
//   key of an owner = (domain number * 2) varint, owner
//   owner           = number varint, lease varint, lease end stamp, transient u8, wait state u8,
//                     [upgrade u8, ticket varint, token varint, since stamp, deadline stamp, items
//                      or the cycle of a deadlock]
//   item            = name bytes, mode u8, permits varint, limit varint
//   key of a hold   = (domain number * 2 + 1) varint, owner bytes, name
//   hold            = mode u8, count varint, token varint, since stamp, limit varint
//
// A varint is prefix-free, so the owners of one domain stand together, and before all of its holds:
// whoever reads an image in order knows the owner when a hold comes. The items are there only while
// the owner waits.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.h"
#include "service/lock/book.h"
#include "service/verb/fields.h"

namespace quorate::service::lock {

[[nodiscard]] inline std::string owner_key(DomainId domain, std::string_view owner) {
  std::string key;
  Writer writer(key);
  writer.varint(uint64_t{domain.value()} << 1);
  writer.raw(owner);
  return key;
}

[[nodiscard]] inline std::string hold_key(DomainId domain, std::string_view owner,
                                          std::string_view name) {
  std::string key;
  Writer writer(key);
  writer.varint(uint64_t{domain.value()} << 1 | 1);
  writer.bytes(owner);
  writer.raw(name);
  return key;
}

struct KeyParts {
  DomainId domain = {};
  bool is_hold = false;
  std::string_view owner = {};
  std::string_view name = {};      // of a hold
};

struct ItemRecord {
  std::string_view name = {};
  Mode mode = Mode::kShared;
  uint64_t permits = 0;
  uint64_t limit = 0;
};

struct OwnerRecord {
  OwnerNumber number = {};
  Duration lease = {};
  Stamp lease_end = {};
  bool is_transient = false;
  Wait wait = {};                          // without its items, and whole otherwise
  std::vector<ItemRecord> items = {};
};

struct HoldRecord {
  Mode mode = Mode::kShared;
  uint64_t count = 0;
  Token token = {};
  Stamp since = {};
  uint64_t limit = 0;
};

[[nodiscard]] std::string encode_owner(const Owner& owner);
[[nodiscard]] std::string encode_hold(const Lock& lock, const Hold& hold);

// These take bytes of an image, which are not verified yet: false if no State wrote them.
[[nodiscard]] bool parse_key(std::string_view key, KeyParts& parts);
[[nodiscard]] bool parse_owner(std::string_view record, OwnerRecord& owner);
[[nodiscard]] bool parse_hold(std::string_view record, HoldRecord& hold);

}  // namespace quorate::service::lock
