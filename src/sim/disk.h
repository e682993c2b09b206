// SPDX-License-Identifier: Apache-2.0
// DiskImage: what a machine's disk holds, and Disk, what one process sees of it.
//
// The image keeps two truths about each file and about the directory tree: what a read sees now,
// and what a power cut leaves. Between them lie the changes that no completed sync covers. A crash
// decides each of them by chance, as env/disk.h permits: kept, lost, torn (a prefix, a suffix, or
// some of its sectors), in any order with its fellows. A failed sync leaves its changes in limbo:
// no later sync covers them (what Linux does with dirty pages that could not be written).
//
// Faults that are armed rather than drawn: a crash in the midst of an event. After `n` more
// operations the image freezes as a power cut at that moment would find it, every later operation
// of the process fails, and the owner kills the process when the event is over. So the steps
// of blocking sequences (write, sync, rename, sync the directory) are cut apart too.
//
// Latency: a file's asynchronous writes complete in order, files are independent of each other;
// blocking calls take no time.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "env/disk.h"
#include "sim/world.h"

namespace quorate::sim {

struct DiskModel {
  Duration write_min = Duration::micros(20);
  Duration write_max = Duration::micros(120);
  Duration sync_min = Duration::micros(80);
  Duration sync_max = Duration::micros(600);
  uint64_t bytes_per_second = 500'000'000;
  // Of asynchronous writes and of blocking ones alike.
  uint32_t write_fails_ppm = 0;
  uint32_t sync_fails_ppm = 0;
  uint32_t read_fails_ppm = 0;
  // Bytes of all files together; a write that would grow past it fails.
  uint64_t capacity_bytes = 4ull * 1024 * 1024 * 1024;
  // What a crash does to an unsynced write: kept, torn, else lost.
  uint32_t crash_keeps_per_mille = 400;
  uint32_t crash_tears_per_mille = 300;
};

struct DiskStats {
  uint64_t writes = 0;
  uint64_t syncs = 0;
  uint64_t failed = 0;
  uint64_t full = 0;
  uint64_t lost = 0;
  uint64_t torn = 0;
  uint64_t names_lost = 0;
  uint64_t bits_rotted = 0;
};

class DiskImage {
 public:
  explicit DiskImage(World& world) : world_(world), prng_(world.fork_prng()) {}

  void set_model(const DiskModel& model) { model_ = model; }
  [[nodiscard]] const DiskModel& model() const { return model_; }
  [[nodiscard]] const DiskStats& stats() const { return stats_; }

  // ---- faults ---------------------------------------------------------------------------------
  // Power cut: settles every unsynced change by chance. No process may be using the image.
  void crash();
  // The process alone dies: what it wrote stays in the machine's memory, and nothing is lost.
  void process_exit();
  // Freeze after `operations` more of them; see above.
  void arm_freeze(uint64_t operations) { freeze_after_ = operations; }
  [[nodiscard]] bool frozen() const { return frozen_; }
  // Flips one bit of a synced, non-zero stretch of a file whose path contains `part`. Returns
  // where, or "" if there is nothing to rot.
  std::string rot(const std::string& part);
  // Garbles some bytes of it, but for what the last syncs of the file covered: that its end was
  // synced stands in what is written next, so a log that lost more than a bit of its very end
  // cannot know it from a torn one.
  std::string garble(const std::string& part);
  void wipe();

  // ---- views ----------------------------------------------------------------------------------
  [[nodiscard]] uint64_t bytes() const { return bytes_; }

 private:
  friend class Disk;
  friend class File;

  struct Change {
    uint64_t offset = 0;
    std::string bytes;
    bool truncate = false;  // to `offset`
    uint64_t number = 0;    // of a write under way
  };
  struct Span {
    uint64_t first = 0;
    uint64_t end = 0;
  };
  struct Inode {
    std::string now;
    std::string durable;
    std::vector<Change> unsynced;   // done, not covered by a sync
    std::vector<Change> limbo;      // a sync of these has failed
    std::vector<Change> under_way;  // submitted, not done
    std::deque<Span> newest;        // what the last syncs covered
  };
  using InodeRef = std::shared_ptr<Inode>;
  enum class NameKind : uint8_t { kCreate, kRename, kRemove, kDirectory };
  struct NameChange {
    NameKind kind;
    std::string source;
    std::string target;  // of a rename
    InodeRef inode;
  };
  // A null inode is a directory.
  using Tree = std::map<std::string, InodeRef>;

  // Counts an operation; false once the image is frozen.
  bool admit();
  [[nodiscard]] Status check(bool sync);
  void settle();
  void settle(Inode& inode);
  void settle_names();
  void settle_change(Inode& inode, const Change& change);
  Status grow(Inode& inode, uint64_t size);
  Status change(Inode& inode, Change change);
  void cover(Inode& inode);
  std::string damage(const std::string& part, size_t bytes);
  [[nodiscard]] bool may_damage(const Inode& inode, Span span) const;
  static void put(std::string& content, const Change& change);
  static void apply(Tree& tree, const NameChange& change);
  void rename_change(NameChange change);

  World& world_;
  Prng prng_;
  DiskModel model_;
  DiskStats stats_;
  Tree now_;
  Tree durable_;
  std::vector<NameChange> names_unsynced_;
  uint64_t writes_begun_ = 0;
  uint64_t bytes_ = 0;
  uint64_t freeze_after_ = 0;
  bool frozen_ = false;
};

class Disk : public env::Disk {
 public:
  Disk(DiskImage& image, LifeId life) : image_(image), life_(life) {}

  [[nodiscard]] Status make_directory(const std::string& path) override;
  [[nodiscard]] Result<std::vector<std::string>> list(const std::string& path) override;
  [[nodiscard]] Result<std::unique_ptr<env::File>> open(const std::string& path,
                                                        env::OpenMode mode) override;
  [[nodiscard]] Status rename(const std::string& source, const std::string& target) override;
  [[nodiscard]] Status remove(const std::string& path) override;
  [[nodiscard]] Status sync_directory(const std::string& path) override;
  void rename_durably(const std::string& source, const std::string& target,
                      RenameDone done) override;

 private:
  DiskImage& image_;
  LifeId life_;
  // What is under way finds the disk by this; it dies with the disk.
  std::shared_ptr<int> token_ = std::make_shared<int>(0);
};

}  // namespace quorate::sim
