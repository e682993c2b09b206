// SPDX-License-Identifier: Apache-2.0
// History: the recent changes of a group's keys, for watchers that resume from a revision.
//
// A queue of blocks of encoded changes, bounded in bytes; the oldest block goes first. It is memory
// and not state: no part of digest or snapshot. A replica that was restored begins with an empty
// history at the revision of its snapshot, and says so to whoever asks for more ("compacted").
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>

#include "base/codec.h"
#include "base/limits.h"
#include "service/kv/answers.h"
#include "service/kv/commands.h"
#include "service/slab.h"

namespace quorate::service::kv {

class History {
 public:
  explicit History(size_t bytes_max = limits::kKvHistoryBytesMax) : bytes_max_(bytes_max) {}

  // What a packed value has when it is not; 0: it is given as it is.
  struct Sizes {
    uint64_t value = 0;
    uint64_t previous = 0;
  };
  struct Entry {
    KeyspaceId keyspace = {};
    Change change = {};
    Sizes packed = {};
    Stamp at = {};                   // when it was done
    Stamp expires = Stamp::never();  // of a put or a touch
  };
  // Before: revisions grow by one.
  void append(const Entry& entry);
  // Forgets everything; the next change has the revision after `revision`.
  void reset(Revision revision);

  // Every change after this one is here.
  [[nodiscard]] Revision begin() const { return begin_; }
  // The last change that is here, or begin().
  [[nodiscard]] Revision end() const { return end_; }

  // Before: begin() <= query.after. Gives no more than a page's worth of bytes; `list.through` is
  // where to go on. The views are good until the next change, and as long as `unpacked`.
  void read(const Changes& query, ChangeList& list, std::deque<std::string>& unpacked) const;

  // Every change after a revision, of all keyspaces, until `see` returns false. Values lie as they
  // were given. Before: begin() <= after.
  void visit(Revision after, const std::function<bool(Entry& entry)>& see) const;
  // The value of an entry as it was before it was packed; good as long as `unpacked`.
  static void open(Entry& entry, std::deque<std::string>& unpacked);

  // For who appends soon, in two steps.
  void prefetch_block() const {
    if (!blocks_.empty()) {
      fetch_ahead(&blocks_.back());
    }
  }
  void prefetch_end() const {
    if (!blocks_.empty()) {
      const std::string& bytes = blocks_.back().bytes;
      fetch_ahead(bytes.data() + bytes.size(), kUsualBytes);
    }
  }

  [[nodiscard]] size_t memory_bytes() const { return bytes_ + blocks_.size() * sizeof(Block); }

 private:
  struct Block {
    Revision before;  // the change before the first of the block
    Stamp begin;      // its time
    std::string bytes;
  };
  static constexpr size_t kBlockBytes = 64 * 1024;
  static constexpr size_t kUsualBytes = 192;  // of an entry

  static void write(const Entry& entry, Stamp before, std::string& out);
  [[nodiscard]] static Entry read_one(Reader& reader, Stamp before);
  void make_room();

  const size_t bytes_max_;
  std::deque<Block> blocks_;
  size_t bytes_ = 0;
  Revision begin_;
  Revision end_;
  Stamp last_;  // of the change at end_
};

}  // namespace quorate::service::kv
