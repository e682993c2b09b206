// SPDX-License-Identifier: Apache-2.0
// CRC32C (Castagnoli), by the processor's own instruction where it has one.
#pragma once

#include <cstdint>
#include <string_view>

namespace quorate {

// The checksum of `bytes` appended to what `seed` is the checksum of; 0 is that of nothing.
[[nodiscard]] uint32_t crc32c(std::string_view bytes, uint32_t seed = 0);

// The same by table, for machines without the instruction; tested against the other.
[[nodiscard]] uint32_t crc32c_by_table(std::string_view bytes, uint32_t seed = 0);

}  // namespace quorate
