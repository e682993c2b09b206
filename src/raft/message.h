// SPDX-License-Identifier: Apache-2.0
// Message: everything that replicas of one group say to each other. One flat struct; which fields
// a kind uses stands beside the kind. Fields that a kind does not use are zero and cost one bit on
// the wire.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/codec.h"
#include "base/ids.h"
#include "base/status.h"
#include "raft/types.h"

namespace quorate::raft {

// The numbers are on the wire.
enum class MessageKind : uint8_t {
  kPreVote = 1,           // index, log_term: the candidate's last entry; flag: forced by a transfer
  kPreVoteAnswer = 2,     // reject
  kVote = 3,              // as kPreVote
  kVoteAnswer = 4,        // reject
  kAppend = 5,            // index, log_term: entry before `entries`; commit; context: round
  kAppendAnswer = 6,      // index: match, or on reject the refused previous index; hint_index,
                          // hint_term: where to try next; context: round
  kHeartbeat = 7,         // commit; context: round (zero: no answer wanted); flag: go quiet;
                          // offset: the greatest priority among the other voters, zigzag
  kHeartbeatAnswer = 8,   // context: round; index: last durable entry; commit: last applied one;
                          // hint_index: our logs agree through here; offset: own priority, zigzag
  kReadIndex = 9,         // context: the asker's number (follower to leader); flag: by a round
  kReadIndexAnswer = 10,  // context; index: what must be applied; commit; reject
  kTimeoutNow = 11,       // transfer: start an election at once
  kSnapshot = 12,         // snapshot meta; offset, data, flag: last chunk
  kSnapshotAnswer = 13,   // index: of the snapshot; offset: what is wanted next; reject; flag: done
  kRepair = 14,           // index, hint_index: first and last entry that the sender lost
  kRepairAnswer = 15,     // entries, from any replica that has them at a committed index; commit
};

// A field that few messages carry: a pointer in all the others, which are made, moved and dropped
// by the hundred thousand.
template <class T>
class Boxed {
 public:
  Boxed() = default;
  Boxed(const Boxed& other) : box_(other.empty() ? nullptr : std::make_unique<T>(*other)) {}
  Boxed(Boxed&& other) noexcept = default;
  Boxed& operator=(Boxed other) noexcept {
    box_ = std::move(other.box_);
    return *this;
  }
  Boxed& operator=(T value) {
    box_ = std::make_unique<T>(std::move(value));
    return *this;
  }
  ~Boxed() = default;

  [[nodiscard]] bool empty() const { return box_ == nullptr; }
  // Before: not empty.
  [[nodiscard]] const T& operator*() const { return *box_; }
  [[nodiscard]] const T* operator->() const { return box_.get(); }
  // Made where there was none.
  [[nodiscard]] T& value() {
    if (empty()) {
      box_ = std::make_unique<T>();
    }
    return *box_;
  }

  bool operator==(const Boxed& other) const {
    return empty() || other.empty() ? empty() == other.empty() : *box_ == *other.box_;
  }

 private:
  std::unique_ptr<T> box_;
};

struct Message {
  MessageKind kind = MessageKind::kHeartbeat;
  NodeId from;
  NodeId to;
  Term term;
  Index index;
  Term log_term;
  Index commit;
  Index hint_index;
  Term hint_term;
  uint64_t context = 0;
  uint64_t offset = 0;
  bool reject = false;
  bool flag = false;
  Entries entries;
  Boxed<SnapshotMeta> snapshot;
  Buffer data;
};

// `from` and `to` are not encoded: the link knows them.
void encode(const Message& message, std::string& out);
// Payloads are slices of `frame`, not copies.
[[nodiscard]] Result<Message> decode_message(const Buffer& frame);

void encode(const Config& config, Writer& out);
[[nodiscard]] Config decode_config(Reader& in);
// The payload of a config entry: the change, and after it what it makes of the configuration, so
// that a replica that joins needs none of the history. (A founding entry is the change alone.)
[[nodiscard]] std::string encode(const ConfigChange& change);
[[nodiscard]] std::string encode(const ConfigChange& change, const Config& result);
[[nodiscard]] Result<ConfigChange> decode_config_change(std::string_view bytes);
// The second part, if it is there.
[[nodiscard]] std::optional<Config> decode_config_result(std::string_view bytes);

}  // namespace quorate::raft
