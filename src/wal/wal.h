// SPDX-License-Identifier: Apache-2.0
// Wal: the durable log of one shard, shared by its groups: one write and one sync for all that the
// groups of a turn have to say.
//
// append() collects; flush() starts one write of everything collected and one sync, and calls back
// when it is durable. Flushes complete in order. read() answers from what was appended, durable or
// not. The bytes of a segment, the meaning of each record and what recovery makes of every kind of
// damage stand in docs/formats/wal.md.
//
// Invariants:
//   1. after recovery, a group's log is what was durable at the crash, plus at most a prefix of
//      what was on its way; a record is never invented, reordered or altered.
//   2. damage to a record that was once synced is reported as a hole or a suspect tail, never cut.
//   3. a segment is freed only when no group needs a record of it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/function.h"
#include "base/ids.h"
#include "base/status.h"
#include "base/time.h"
#include "env/clock.h"
#include "env/disk.h"
#include "env/timer.h"

namespace quorate::wal {

// The WAL knows entries by position only; `kind` and `payload` are the owner's.
struct Record {
  Index index;
  Term term;
  uint8_t kind = 0;
  Stamp at;
  Buffer payload;
};

struct State {
  Term term;
  NodeId vote;
  Index commit;
  bool operator==(const State&) const = default;
};

struct TermRun {
  Index first;
  Term term;
};

struct Hole {
  Index first;
  Index last;
};

// One group as recovery found it.
struct RecoveredGroup {
  GroupId group;
  State state;
  Index compacted;  // entries through here were given up (a snapshot has them)
  Term compacted_term;
  Index last;                  // == compacted if the log is empty
  std::vector<TermRun> terms;  // from compacted on
  std::vector<Record> marked;  // records of kinds in Options::kinds_kept, in order
  std::vector<Hole> holes;
  bool tail_suspect = false;
};

enum class SyncPolicy : uint8_t { kAlways, kInterval, kNever };

struct Options {
  std::string directory = "wal";
  uint64_t segment_bytes = 64ull * 1024 * 1024;
  // Segments written ahead and kept for reuse; overwriting is faster than growing a file.
  size_t spare_segments = 2;
  SyncPolicy sync = SyncPolicy::kAlways;
  Duration sync_interval = Duration::millis(100);
  // Record kinds that recovery hands back whole (configurations).
  std::vector<uint8_t> kinds_kept;
  // A group whose oldest needed record is this many segments back is rewritten forward.
  size_t rewrite_after_segments = 8;
};

struct Stats {
  uint64_t flushes = 0;
  uint64_t syncs = 0;
  uint64_t records = 0;
  uint64_t bytes = 0;
  uint64_t segments = 0;
  uint64_t rewritten_bytes = 0;
};

class Wal {
 public:
  using FlushDone = UniqueFunction<void(Status)>;
  struct Opened {
    std::unique_ptr<Wal> wal;
    std::vector<RecoveredGroup> groups;
    std::vector<std::string> notes;  // one sentence per thing that recovery found odd
    // A synced batch could not be read at all, so a group that is not in `groups` may have lived
    // here: a replica that is made anew on this node must count as suspect.
    bool groups_unknown = false;
  };

  // Blocking: scans the segments. kCorrupted only for damage that cannot be pinned to groups.
  [[nodiscard]] static Result<Opened> open(env::Disk& disk, env::Clock& clock, env::Timer& timer,
                                           const Options& options);
  virtual ~Wal() = default;

  // Appends to the batch. Records are contiguous; a first index at or below the last one replaces
  // everything from there. Before: the first index is at most last + 1 (or it fills a hole).
  virtual void append(GroupId group, const State* state, std::span<const Record> records) = 0;
  // Everything through `index` may go: a durable snapshot covers it. With index > last, the log
  // is emptied and begins anew after `index` (an installed snapshot).
  virtual void compact(GroupId group, Index index, Term term) = 0;
  virtual void remove_group(GroupId group) = 0;
  // The owner has brought a suspect tail up to date with a leader and vouches for it from now on.
  // Until then each recovery reports the group as suspect again. Harmless for any other group.
  virtual void trust(GroupId group) = 0;
  // True if something was appended since the last flush.
  [[nodiscard]] virtual bool dirty() const = 0;
  // A failed flush is final for the node: what the disk holds is unknown until a restart.
  virtual void flush(FlushDone done) = 0;

  // Entries from `first` through `last`, as many as fit in `bytes_max` and at least one.
  // kNotFound if the first was compacted away, kCorrupted for a hole or a checksum that fails
  // (which becomes a hole).
  [[nodiscard]] virtual Result<std::vector<Record>> read(GroupId group, Index first, Index last,
                                                         size_t bytes_max) = 0;
  // Bytes of the log that a group keeps from being freed; the node compacts the greatest first.
  [[nodiscard]] virtual uint64_t bytes_of(GroupId group) const = 0;
  [[nodiscard]] virtual Stats stats() const = 0;
};

}  // namespace quorate::wal
