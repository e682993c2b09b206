// SPDX-License-Identifier: Apache-2.0
// The commands and queries of the key-value machine: plain structs and their bytes.
//
//   command = version (2 bits) | verb (6 bits), fields
//
// The verb is the position in the variant below, so alternatives are only ever added at the end;
// a field that is added to one raises the version. Everything decoded is a view of the bytes given.
// decode_... also validates: what it returns is within the limits, so the machine need not ask.
//
// A keyspace is a number here; its name is the catalogue's. 0 is the default keyspace.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "base/status.h"
#include "base/time.h"

namespace quorate::service::kv {

using KeyspaceId = Strong<struct KeyspaceTag, uint32_t>;

// How long a key shall live, from the stamp of the command that says so.
class Lifetime {
 public:
  enum class Kind : uint8_t { kForever = 0, kKeep = 1, kFor = 2, kUntil = 3 };

  constexpr Lifetime() = default;
  // As it was; for a new key: for ever.
  [[nodiscard]] static constexpr Lifetime keep() { return {Kind::kKeep, 0}; }
  [[nodiscard]] static constexpr Lifetime lasting(Duration ttl) {
    return {Kind::kFor, ttl.micros()};
  }
  [[nodiscard]] static constexpr Lifetime until(Stamp end) { return {Kind::kUntil, end.micros()}; }
  constexpr Lifetime(Kind kind, int64_t micros) : kind_(kind), micros_(micros) {}

  [[nodiscard]] constexpr Kind kind() const { return kind_; }
  [[nodiscard]] constexpr int64_t micros() const { return micros_; }
  // When it ends if it begins at `at` and would have ended at `current`.
  [[nodiscard]] Stamp end(Stamp at, Stamp current) const;
  bool operator==(const Lifetime&) const = default;

 private:
  Kind kind_ = Kind::kForever;
  int64_t micros_ = 0;
};

// What must hold of a key before a write; else the write is refused.
struct Condition {
  enum class Kind : uint8_t {
    kNone = 0,
    kAbsent = 1,     // else already_exists
    kPresent = 2,    // else not_found
    kVersion = 3,    // else precondition_failed, as the next two
    kModified = 4,   // the revision of its last change
    kValue = 5,
  };
  Kind kind = Kind::kNone;
  uint64_t number = 0;
  std::string_view value = {};
  bool operator==(const Condition&) const = default;
};

struct Get {
  KeyspaceId keyspace = {};
  std::string_view key = {};
  bool with_value = true;
  bool operator==(const Get&) const = default;
};

struct Put {
  KeyspaceId keyspace = {};
  std::string_view key = {};
  std::string_view value = {};
  Lifetime lifetime = {};
  Condition condition = {};
  bool with_previous = false;
  bool operator==(const Put&) const = default;
};

struct Delete {
  KeyspaceId keyspace = {};
  std::string_view key = {};
  Condition condition = {};
  bool with_previous = false;
  bool operator==(const Delete&) const = default;
};

// Sets when a key ends; leaves its value, version and revisions as they are.
struct Touch {
  enum class When : uint8_t {
    kAlways = 0,
    kIfForever = 1,
    kIfEnding = 2,
    kIfLater = 3,
    kIfSooner = 4,
  };
  KeyspaceId keyspace = {};
  std::string_view key = {};
  Lifetime lifetime = {};    // for ever: persist
  When when = When::kAlways;
  bool operator==(const Touch&) const = default;
};

// Adds to a number that is kept as decimal text; an absent key counts as 0.
struct Increment {
  KeyspaceId keyspace = {};
  std::string_view key = {};
  int64_t delta = 1;
  Lifetime lifetime = Lifetime::keep();
  bool operator==(const Increment&) const = default;
};

struct Append {
  KeyspaceId keyspace = {};
  std::string_view key = {};
  std::string_view value = {};
  bool operator==(const Append&) const = default;
};

// Overwrites a part of the value; what lies between its end and the offset becomes zeros.
struct SetRange {
  KeyspaceId keyspace = {};
  std::string_view key = {};
  uint64_t offset = 0;
  std::string_view value = {};
  bool operator==(const SetRange&) const = default;
};

struct PutMany {
  struct Item {
    std::string_view key = {};
    std::string_view value = {};
    Lifetime lifetime = {};
    bool operator==(const Item&) const = default;
  };
  KeyspaceId keyspace = {};
  bool if_all_absent = false;
  std::vector<Item> items = {};
  bool operator==(const PutMany&) const = default;
};

struct DeleteMany {
  KeyspaceId keyspace = {};
  std::vector<std::string_view> keys = {};
  bool operator==(const DeleteMany&) const = default;
};

struct TouchMany {
  KeyspaceId keyspace = {};
  Lifetime lifetime = {};
  std::vector<std::string_view> keys = {};
  bool operator==(const TouchMany&) const = default;
};

// Keys k with begin <= k < end; an empty end is the end of the keyspace.
struct Range {
  std::string_view begin = {};
  std::string_view end = {};
  bool operator==(const Range&) const = default;
};

// Removes at most `limit` keys from the front of the range; the answer says if more are left.
struct DeleteRange {
  KeyspaceId keyspace = {};
  Range range = {};
  uint64_t limit = 0;        // 0: the greatest batch
  bool operator==(const DeleteRange&) const = default;
};

struct Compare {
  enum class What : uint8_t { kVersion = 0, kCreated = 1, kModified = 2, kValue = 3 };
  enum class Relation : uint8_t { kEqual = 0, kNotEqual = 1, kLess = 2, kGreater = 3 };
  std::string_view key = {};
  What what = What::kVersion;   // of an absent key all numbers are 0, and a value equals nothing
  Relation relation = Relation::kEqual;
  uint64_t number = 0;
  std::string_view value = {};
  bool operator==(const Compare&) const = default;
};

// All compares hold: `then` is done, else `otherwise`; in order, with nothing in between. An
// operation that is refused changes nothing; those before and after it stand.
struct Txn {
  using Op = std::variant<Get, Put, Delete, Touch, Increment, Append, SetRange>;
  KeyspaceId keyspace = {};     // of the compares
  std::vector<Compare> compares = {};
  std::vector<Op> then = {};
  std::vector<Op> otherwise = {};
  bool operator==(const Txn&) const = default;
};

// Takes `cost` tokens from a bucket that holds at most `burst` and gains `tokens` per `period`, if
// so many are there. An absent bucket is full.
struct RateLimit {
  KeyspaceId keyspace = {};
  std::string_view name = {};
  uint64_t burst = 1;
  uint64_t tokens = 1;
  Duration period = Duration::seconds(1);
  uint64_t cost = 1;
  bool operator==(const RateLimit&) const = default;
};

// Removes what has ended by `through`; proposed by the leader.
struct ExpireDue {
  Stamp through = {};
  uint64_t limit = 0;
  bool operator==(const ExpireDue&) const = default;
};

using Command = std::variant<Put, Delete, Touch, Increment, Append, SetRange, PutMany, DeleteMany,
                             TouchMany, DeleteRange, Txn, RateLimit, ExpireDue>;

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

using Query = std::variant<Get, GetMany, Scan, Changes, Stats>;

void encode(const Command& command, std::string& out);
void encode(const Query& query, std::string& out);
// Of the hot path: the same bytes without the variant.
void encode(const Put& put, std::string& out);
void encode(const Get& get, std::string& out);

// kInvalidArgument or kTooLarge if the bytes are no command, or one over the limits.
[[nodiscard]] Result<Command> decode_command(std::string_view bytes);
[[nodiscard]] Result<Query> decode_query(std::string_view bytes);

// What decode_... checks, for callers that want to know before they send.
[[nodiscard]] Status validate(const Command& command);
[[nodiscard]] Status validate(const Query& query);

// The end of the range of keys that begin with `prefix`; empty if there is none.
[[nodiscard]] std::string prefix_end(std::string_view prefix);

}  // namespace quorate::service::kv
