// SPDX-License-Identifier: Apache-2.0
// The commands of the key-value machine: plain structs, and their bytes with those of queries.h.
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
#include "service/kv/queries.h"
#include "service/verb/fence.h"

namespace quorate::service::kv {

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
    kAbsent = 1,    // else already_exists
    kPresent = 2,   // else not_found
    kVersion = 3,   // else precondition_failed, as the next two
    kModified = 4,  // the revision of its last change
    kValue = 5,
    kNoHash = 6,  // absent, or a value that is no hash; the next: and present
    kPresentNoHash = 7,
  };
  Kind kind = Kind::kNone;
  uint64_t number = 0;
  std::string_view value = {};
  bool operator==(const Condition&) const = default;
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
    kIfEndingSooner = 5,  // as kIfSooner, but not if it would never end
    kIfNoHash = 6,        // precondition_failed if the value is one
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

// Puts the value and the end of one key into another of the same group. Not_found if there is no
// such key, already_exists if there is a target that shall not be.
struct Copy {
  KeyspaceId keyspace = {};
  std::string_view key = {};
  std::string_view target = {};
  bool moves = false;           // the key goes; one that is its own target stays as it is
  bool if_absent = false;       // the target
  bool operator==(const Copy&) const = default;
};

// Adds to a number with a fraction (service/decimal.h); an absent key counts as 0, an end stays.
struct AddDecimal {
  KeyspaceId keyspace = {};
  std::string_view key = {};
  std::string_view delta = {};
  bool operator==(const AddDecimal&) const = default;
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

// Removes at most `limit` keys from the front of the range; the answer says if more are left.
struct DeleteRange {
  KeyspaceId keyspace = {};
  Range range = {};
  uint64_t limit = 0;        // 0: the greatest batch
  bool operator==(const DeleteRange&) const = default;
};

// Changes fields of a hash; the key comes with its first field and goes with its last. An end
// stays. Precondition_failed (kWrongKind) if the value is no hash.
struct HashWrite {
  enum class Verb : uint8_t {
    kPut = 0,          // words: name, value, name, value ...
    kPutIfAbsent = 1,  // name, value: a field that is there stays as it is
    kDelete = 2,       // names
    kAdd = 3,          // name, a whole number; an absent field counts as 0
    kAddDecimal = 4,   // name, a number as of AddDecimal
  };
  KeyspaceId keyspace = {};
  std::string_view key = {};
  Verb verb = Verb::kPut;
  static constexpr Verb kVerbMax = Verb::kAddDecimal;
  std::vector<std::string_view> words = {};
  bool operator==(const HashWrite&) const = default;
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
  using Op = std::variant<Get, Put, Delete, Touch, Increment, Append, SetRange, Copy, AddDecimal,
                          HashRead, HashWrite>;
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

// What a group has to know of a keyspace; `share` is what this group may hold of its quota.
struct SetKeyspace {
  KeyspaceId keyspace = {};
  uint64_t revision = 0;   // of the settings; an older one changes nothing
  uint64_t keys_max = 0;   // 0: as many as fit
  uint64_t bytes_max = 0;  // of keys and values; 0: as many as fit
  bool operator==(const SetKeyspace&) const = default;
};

// From which size on the values of a keyspace are kept packed, as far as that saves an eighth.
struct SetCompression {
  KeyspaceId keyspace = {};
  uint64_t revision = 0;  // as of SetKeyspace, but counted by itself; from 1
  uint64_t above = 0;     // bytes; 0: never
  bool operator==(const SetCompression&) const = default;
};

// Refuses every later write and removes all that is there, step by step. For good: a number is
// never used again.
struct DropKeyspace {
  KeyspaceId keyspace = {};
  bool operator==(const DropKeyspace&) const = default;
};

// An index over the keys whose values are JSON texts with a scalar at `path` (names of fields with
// dots between them). Already_exists if there is another one of that name.
struct CreateIndex {
  KeyspaceId keyspace = {};
  std::string_view index = {};
  std::string_view path = {};
  bool unique = false;  // a write that would give a value to a second key is refused
  bool operator==(const CreateIndex&) const = default;
};

// At once for who asks it, step by step in memory.
struct DropIndex {
  KeyspaceId keyspace = {};
  std::string_view index = {};
  bool operator==(const DropIndex&) const = default;
};

// Does at most `limit` steps of the work that other commands left behind; proposed by the leader.
struct Tend {
  uint64_t limit = 0;
  bool operator==(const Tend&) const = default;
};

// Removes what has ended by `through`; proposed by the leader.
struct ExpireDue {
  Stamp through = {};
  uint64_t limit = 0;
  bool operator==(const ExpireDue&) const = default;
};

// Does what a holder of a lock asks for, unless a later holder has written to this keyspace, in
// this group (fence.h): precondition_failed. From then on earlier ones are refused, also if the
// command itself is.
struct Fenced {
  // The first alternatives of Command, so that a command's own bytes may follow the fence.
  using Op = std::variant<Put, Delete, Touch, Increment, Append, SetRange, PutMany, DeleteMany,
                          TouchMany, DeleteRange, Txn>;
  Fence fence = {};
  Op op = {};
  bool operator==(const Fenced&) const = default;
};

using Command =
    std::variant<Put, Delete, Touch, Increment, Append, SetRange, PutMany, DeleteMany, TouchMany,
                 DeleteRange, Txn, RateLimit, ExpireDue, SetKeyspace, DropKeyspace, Tend, Copy,
                 AddDecimal, SetCompression, CreateIndex, DropIndex, HashWrite, Fenced>;

template <class Verb>
inline constexpr bool kMayBeFenced = std::is_constructible_v<Fenced::Op, const Verb&>;

void encode(const Command& command, std::string& out);
void encode(const Query& query, std::string& out);
// Of the hot path: the same bytes without the variant.
void encode(const Put& put, std::string& out);
void encode(const Get& get, std::string& out);

// What stands before the bytes of a Fenced::Op; the same bytes as of a Fenced with it.
void begin_fenced(const Fence& fence, std::string& out);

// kInvalidArgument or kTooLarge if the bytes are no command, or one over the limits.
[[nodiscard]] Result<Command> decode_command(std::string_view bytes);
[[nodiscard]] Result<Query> decode_query(std::string_view bytes);

// Of the hot path: false if the bytes are another command, or one that decode_command() refuses.
[[nodiscard]] bool decode(std::string_view bytes, Put& put);
// The keyspace and key of a command on one key; false if it is none.
[[nodiscard]] bool decode_key(std::string_view bytes, KeyspaceId& keyspace, std::string_view& key);
void read_fields(Reader& reader, Put& put);

// What decode_... checks, for callers that want to know before they send.
[[nodiscard]] Status validate(const Command& command);
[[nodiscard]] Status validate(const Put& put);
[[nodiscard]] Status validate(const Query& query);

// The end of the range of keys that begin with `prefix`; empty if there is none.
[[nodiscard]] std::string prefix_end(std::string_view prefix);

}  // namespace quorate::service::kv
