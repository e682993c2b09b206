// SPDX-License-Identifier: Apache-2.0
// Progress: what the leader knows of one follower, and what it may send next.
//
//            answer                    refused, link down
//   probe ----------> replicate  --------------------------> probe
//     |                   |
//     +---- entries are compacted away ----> snapshot ---- installed, failed ----> probe
//
//   probe      one append at a time, until the follower agrees where the logs part
//   replicate  a pipeline: `next` runs ahead of what is acknowledged, within a window
//   snapshot   one chunk at a time; no appends
//
// Invariants: match < next; the window is empty outside replicate.
#pragma once

#include <cstdint>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "raft/types.h"

namespace quorate::raft {

enum class Flow : uint8_t { kProbe, kReplicate, kSnapshot };

// The appends on their way to one follower, by their last index and bytes, oldest first. An answer
// for an index frees everything up to it: answers may be lost or merged.
class Inflight {
 public:
  void add(Index last, size_t bytes);
  void free_through(Index index);
  void clear();
  [[nodiscard]] bool full(const Options& options) const;
  [[nodiscard]] size_t messages() const { return sent_.size() - head_; }
  [[nodiscard]] size_t bytes() const { return bytes_; }

 private:
  struct Sent {
    Index last;
    size_t bytes;
  };
  std::vector<Sent> sent_;  // from head_ on: a queue in a vector
  size_t head_ = 0;
  size_t bytes_ = 0;
};

struct Progress {
  NodeId node;
  Flow flow = Flow::kProbe;
  bool waiting = false;      // a probe or a chunk is on its way, or the owner reads for us
  bool reading = false;      // the owner reads entries from the log
  int priority = 0;
  Index match;               // durable there, as far as we know
  Index next;                // the next entry to send
  Index applied;             // as the follower last said
  Index commit_sent;         // the newest commit index that it was told
  Index heartbeat_match;     // match at the last heartbeat answer: standing still means trouble
  Instant heard;             // of its last word in this term
  uint64_t round = 0;        // the newest round that it answered
  Index snapshot_index;      // zero: not yet chosen by the owner
  uint64_t snapshot_offset = 0;
  Instant chunk_at;          // when the chunk on its way was sent
  Inflight inflight;

  // The follower has everything through `index`. True if that is news.
  bool acknowledge(Index index);
  // The follower refused an append after `previous`; `hint` is where our logs may still agree.
  // False if that answers something that no longer matters.
  bool refuse(Index previous, Index hint);
  // The follower says that it holds less than it acknowledged: it no longer counts.
  void lose_after(Index index);
  void become_probe();
  void become_replicate();
  void become_snapshot();
  // An append of entries through `last` was sent.
  void sent(Index last, size_t bytes);
  [[nodiscard]] bool may_append(const Options& options) const;
};

}  // namespace quorate::raft
