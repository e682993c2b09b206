// SPDX-License-Identifier: Apache-2.0
// The queries of the key-value machine: plain structs; their bytes are as those of commands.h.
#pragma once

#include <cstdint>
#include <string_view>
#include <variant>
#include <vector>

#include "base/ids.h"

namespace quorate::service::kv {

using KeyspaceId = Strong<struct KeyspaceTag, uint32_t>;

// Keys k with begin <= k < end; an empty end is the end of the keyspace.
struct Range {
  std::string_view begin = {};
  std::string_view end = {};
  bool operator==(const Range&) const = default;
};

struct Get {
  KeyspaceId keyspace = {};
  std::string_view key = {};
  bool with_value = true;
  bool operator==(const Get&) const = default;
};

struct GetMany {
  KeyspaceId keyspace = {};
  std::vector<std::string_view> keys = {};
  bool with_values = true;
  bool operator==(const GetMany&) const = default;
};

struct Scan {
  KeyspaceId keyspace = {};
  Range range = {};
  bool backwards = false;
  bool with_values = true;
  uint64_t limit = 0;          // keys; 0: the greatest page
  uint64_t bytes_max = 0;      // of the answer; 0: the greatest page
  bool operator==(const Scan&) const = default;
};

// The changes with a revision greater than `after`, in order.
struct Changes {
  KeyspaceId keyspace = {};
  std::string_view prefix = {};
  Revision after = {};
  uint64_t limit = 0;
  bool operator==(const Changes&) const = default;
};

struct Stats {
  KeyspaceId keyspace = {};
  bool operator==(const Stats&) const = default;
};

// A page of all that a group holds, for a backup: first what changed after `since` (as it is now),
// then, if all of that fitted, the keys behind `after`, a table key. Whoever asks again with what
// the answer says, until it is complete, has the group as it was at the answer's revision.
struct Dump {
  std::string_view after = {};
  bool is_behind = false;        // the keys up to `after` are known already
  bool is_done = false;          // all keys are; only changes are of interest
  Revision since = {};           // with is_behind
  uint64_t bytes_max = 0;        // 0: the greatest page
  bool operator==(const Dump&) const = default;
};

// All that changed after a revision, in every keyspace and in order, with what an archive needs.
struct Trail {
  Revision after = {};
  uint64_t limit = 0;      // changes; 0: the greatest page
  uint64_t bytes_max = 0;  // of the answer, or a little more; 0: the greatest page
  bool operator==(const Trail&) const = default;
};

// The keys of an index whose place p (value in order, key) is begin <= p < end, in that order.
// Bounds are bytes of service/value/ordered.h, or such bytes counted up by prefix_end().
struct Find {
  KeyspaceId keyspace = {};
  std::string_view index = {};
  std::string_view begin = {};
  std::string_view end = {};    // empty: the end of the index
  std::string_view after = {};  // where the page before ended; empty: the first page
  bool backwards = false;
  bool with_values = true;
  uint64_t limit = 0;  // as of Scan
  uint64_t bytes_max = 0;
  bool operator==(const Find&) const = default;
};

struct Indexes {
  KeyspaceId keyspace = {};
  bool operator==(const Indexes&) const = default;
};

// Fields of a value that is a hash (service/value/hash_value.h); of an absent key: of one without
// fields. Precondition_failed (kWrongKind) if the value is none.
struct HashRead {
  enum class Verb : uint8_t {
    kFields = 0,  // those that are named, in the order of the question
    kAll = 1,     // with their names
    kCount = 2,
    kMatching = 3,  // as kAll, whose names match the pattern in `words`
  };
  KeyspaceId keyspace = {};
  std::string_view key = {};
  Verb verb = Verb::kFields;
  static constexpr Verb kVerbMax = Verb::kMatching;
  std::vector<std::string_view> words = {};  // names; see Verb
  bool operator==(const HashRead&) const = default;
};

using Query =
    std::variant<Get, GetMany, Scan, Changes, Stats, Dump, Find, Indexes, HashRead, Trail>;

}  // namespace quorate::service::kv
