// SPDX-License-Identifier: Apache-2.0
// The bytes of a snapshot file. docs/formats/snapshot.md is the page.
//
//   | head 40 + owner's header | block | block | ... | last, shorter block | foot 32 |
//
// A block is a checksum and up to 64 KiB of the body, so a piece at any offset is found without an
// index and verified alone. The checksum of a block is bound to the snapshot and to its place.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "env/disk.h"
#include "wal/snapshot_store.h"

namespace quorate::wal {

inline constexpr size_t kBlockBytes = 64 * 1024;
inline constexpr size_t kBlockHeadBytes = 4;
inline constexpr size_t kSnapshotHeadBytes = 40;
inline constexpr size_t kSnapshotFootBytes = 32;

// Where things stand, given the length of the owner's header.
struct SnapshotLayout {
  uint64_t header_bytes = 0;
  [[nodiscard]] uint64_t block_at(uint64_t block) const {
    return kSnapshotHeadBytes + header_bytes + block * (kBlockHeadBytes + kBlockBytes);
  }
  [[nodiscard]] static uint64_t blocks_of(uint64_t body_bytes) {
    return (body_bytes + kBlockBytes - 1) / kBlockBytes;
  }
  [[nodiscard]] uint64_t foot_at(uint64_t body_bytes) const {
    return kSnapshotHeadBytes + header_bytes + body_bytes + blocks_of(body_bytes) * kBlockHeadBytes;
  }
};

// What the checksums of this snapshot's blocks and foot start from.
[[nodiscard]] uint32_t seed_of(const SnapshotInfo& info);
[[nodiscard]] std::string encode_snapshot_head(const SnapshotInfo& info);
void encode_block(std::string_view body, uint64_t block, uint32_t seed, std::string& out);
[[nodiscard]] bool block_good(std::string_view framed, uint64_t block, uint32_t seed);
// `body_crc` is that of the whole body.
[[nodiscard]] std::string encode_snapshot_foot(const SnapshotInfo& info, uint32_t body_crc);

// The head of a file; `bytes` of the info is 0, only the foot knows it.
[[nodiscard]] Result<SnapshotInfo> read_snapshot_head(env::File& file);
// How much of the body stands there in full blocks that are good, from the start, and its checksum.
struct GoodPart {
  uint64_t bytes = 0;
  uint32_t crc = 0;
};
[[nodiscard]] Result<GoodPart> read_good_part(env::File& file, const SnapshotInfo& info);
// Reads and verifies all of a finished file.
[[nodiscard]] Result<SnapshotInfo> verify_snapshot(env::File& file);
// Body bytes from `offset`, verified.
[[nodiscard]] Result<std::string> read_body(env::File& file, const SnapshotInfo& info,
                                            uint64_t offset, size_t bytes_max);

}  // namespace quorate::wal
