// SPDX-License-Identifier: Apache-2.0
// SnapshotStore: snapshots of groups as checksummed files, written and received in chunks.
//
// A snapshot is written under a temporary name, synced, renamed and the directory synced; only then
// does it count. Each chunk and the whole carry CRC32C. A half-received snapshot survives a restart
// and is resumed at the offset it had reached. Format: docs/formats/snapshot.md.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/function.h"
#include "base/ids.h"
#include "base/status.h"
#include "env/disk.h"

namespace quorate::wal {

struct SnapshotInfo {
  GroupId group;
  Index index;
  Term term;
  std::string header;  // the owner's: configuration, stamps
  uint64_t bytes = 0;  // of the body
};

// Writes one snapshot; dropping it without finish() leaves nothing behind.
class SnapshotWriter {
 public:
  using Done = UniqueFunction<void(Status)>;
  virtual ~SnapshotWriter() = default;
  // One chunk at a time: the next after `done`. The store copies the bytes.
  virtual void write(std::string_view chunk, Done done) = 0;
  // Makes it durable and the newest of its group.
  virtual void finish(Done done) = 0;
};

class SnapshotReader {
 public:
  virtual ~SnapshotReader() = default;
  [[nodiscard]] virtual const SnapshotInfo& info() const = 0;
  // Body bytes from `offset`, verified; empty at the end.
  [[nodiscard]] virtual Result<std::string> read(uint64_t offset, size_t bytes_max) = 0;
};

class SnapshotStore {
 public:
  virtual ~SnapshotStore() = default;
  [[nodiscard]] static Result<std::unique_ptr<SnapshotStore>> open(env::Disk& disk,
                                                                   const std::string& directory);
  // The newest whole snapshot of each group that passes its checksums.
  [[nodiscard]] virtual std::vector<SnapshotInfo> list() const = 0;
  [[nodiscard]] virtual Result<std::unique_ptr<SnapshotReader>> newest(GroupId group) = 0;
  [[nodiscard]] virtual Result<std::unique_ptr<SnapshotWriter>> create(SnapshotInfo info) = 0;

  // Receiving: pieces arrive in order; a piece at offset 0 starts over. received() tells where an
  // interrupted transfer of this very snapshot may go on.
  [[nodiscard]] virtual uint64_t received(GroupId group, Index index, Term term) const = 0;
  [[nodiscard]] virtual Status receive(const SnapshotInfo& info, uint64_t offset,
                                       std::string_view bytes) = 0;
  [[nodiscard]] virtual Status receive_finish(const SnapshotInfo& info) = 0;

  // Removes what is older than the newest, when no reader holds it.
  virtual void prune(GroupId group) = 0;
  virtual void remove_group(GroupId group) = 0;
};

}  // namespace quorate::wal
