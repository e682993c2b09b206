// SPDX-License-Identifier: Apache-2.0
// Entry: one slot of the log. The payload is opaque here: the node packs a batch of commands in it.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/time.h"

namespace quorate::raft {

// The numbers are on disk and on the wire.
enum class EntryKind : uint8_t {
  kNoop = 0,     // a new leader's first entry; its commitment commits what came before
  kCommand = 1,
  kConfig = 2,   // payload: an encoded ConfigChange
};

struct Entry {
  Index index;
  Term term;
  EntryKind kind = EntryKind::kNoop;
  Stamp at;       // the leader's wall time, made monotonic within the group
  Buffer payload;
  bool operator==(const Entry&) const = default;
};

}  // namespace quorate::raft
