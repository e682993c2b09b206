// SPDX-License-Identifier: Apache-2.0
// Hashes with fixed values: they decide placement and digests, so they may never change.
#pragma once

#include <cstdint>
#include <string_view>

namespace quorate {

// CRC16 (XMODEM), as Redis Cluster routes by it.
[[nodiscard]] uint16_t crc16(std::string_view bytes);

inline constexpr uint32_t kSlots = 16384;

// The slots are shared out in order and as evenly as can be: which share a slot is in, and the
// first slot of a share (of the one behind the last: kSlots). Before: slot < kSlots, and no more
// shares than slots.
[[nodiscard]] constexpr uint32_t share_of_slot(uint32_t slot, uint32_t shares) {
  return static_cast<uint32_t>(uint64_t{slot} * shares / kSlots);
}
[[nodiscard]] constexpr uint32_t first_slot_of(uint32_t share, uint32_t shares) {
  return static_cast<uint32_t>((uint64_t{share} * kSlots + shares - 1) / shares);
}

// The slot of a key: of the text between the first '{' and the next '}' if there is any there.
[[nodiscard]] uint16_t slot_of(std::string_view key);

// A fast 64-bit hash of bytes for tables and digests (not for secrets, not against an attacker who
// knows the seed; tables that hold keys of strangers pass a random seed).
[[nodiscard]] uint64_t hash64(std::string_view bytes, uint64_t seed = 0);

}  // namespace quorate
