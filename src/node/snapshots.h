// SPDX-License-Identifier: Apache-2.0
// The three jobs around snapshots of one group, each in small steps between turns of the loop so
// that neighbours never wait for more than one step.
//
//   SnapshotTaker      freezes the machine, writes the image, then lets the log before it go
//   SnapshotSender     reads pieces of the newest snapshot for followers that need one
//   SnapshotInstaller  stores pieces that arrive, then restores the machine from the whole
//
// The body of a snapshot is 8 bytes of the group's stamp, then the machine's image.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/ids.h"
#include "raft/ready.h"
#include "service/machine.h"
#include "wal/snapshot_store.h"

namespace quorate::node {

class Group;

[[nodiscard]] wal::SnapshotInfo info_of(GroupId group, const raft::SnapshotMeta& meta);
[[nodiscard]] Result<raft::SnapshotMeta> meta_of(const wal::SnapshotInfo& info);

class SnapshotTaker {
 public:
  explicit SnapshotTaker(Group& group) : group_(group) {}
  ~SnapshotTaker();
  [[nodiscard]] bool busy() const { return source_ != nullptr; }
  // Starts unless one is under way, or the node already writes another group's.
  void start();
  // Gives up an image under way, because the machine is about to be replaced.
  void abandon() { stop(); }
  // The log before the newest snapshot may go now, or must (it has grown too long).
  void release_log();

 private:
  void step();
  void written(Status status);
  void finished(Status status);
  void stop();

  Group& group_;
  raft::SnapshotMeta meta_;
  std::unique_ptr<service::SnapshotSource> source_;
  std::unique_ptr<wal::SnapshotWriter> writer_;
  std::string chunk_;
  std::optional<raft::SnapshotMeta> releasable_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

class SnapshotSender {
 public:
  explicit SnapshotSender(Group& group) : group_(group) {}
  void serve(const raft::SnapshotRead& read, Instant now);
  // Readers that no follower asks any more.
  void drop(NodeId peer) { readers_.erase(peer); }

 private:
  Group& group_;
  // A handful at most: one per follower that is being caught up.
  std::map<NodeId, std::unique_ptr<wal::SnapshotReader>> readers_;
};

class SnapshotInstaller {
 public:
  explicit SnapshotInstaller(Group& group) : group_(group) {}
  ~SnapshotInstaller();
  void store(const raft::SnapshotWrite& write, Instant now);
  // While the machine is being rebuilt it answers nothing and applies nothing; nor does it ever
  // again if the disk cannot be read, which fails the node.
  [[nodiscard]] bool busy() const { return reader_ != nullptr; }

 private:
  // False if the snapshot is not there any more.
  [[nodiscard]] bool begin_restore(const raft::SnapshotMeta& meta);
  void step();
  void finish();

  Group& group_;
  raft::SnapshotMeta meta_;
  std::unique_ptr<wal::SnapshotReader> reader_;
  uint64_t offset_ = 0;
  int attempts_ = 0;
  std::string stamp_bytes_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace quorate::node
