// SPDX-License-Identifier: Apache-2.0
// The answers of the key-value machine and their bytes.
//
//   answer = status (registry.h), then if ok: version (2 bits) | kind (6 bits), fields
//
// Inside the machine the views of an answer point into its table; decoded, into the bytes given.
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

// A key with its value and what is known about it.
struct Item {
  std::string_view key = {};          // empty where the question named it
  std::string_view value = {};        // empty where it was not asked for
  uint64_t version = 0;          // changes since it was created; 0: there is no such key
  Revision created = {};
  Revision modified = {};
  Stamp expires = Stamp::never();
  uint64_t value_bytes = 0;
  [[nodiscard]] bool found() const { return version != 0; }
  bool operator==(const Item&) const = default;
};

struct Found {                   // get; not_found is a refusal
  Item item = {};
  bool operator==(const Found&) const = default;
};

struct Written {                 // put, append, set_range
  Revision revision = {};
  uint64_t version = 0;
  uint64_t value_bytes = 0;
  Item previous = {};                 // if asked for and there was one
  bool operator==(const Written&) const = default;
};

struct Removed {                 // delete, delete_many, delete_range
  uint64_t count = 0;
  Revision revision = {};             // of the last change of the group
  bool more = false;             // delete_range stopped at its limit
  Item previous = {};
  bool operator==(const Removed&) const = default;
};

struct Touched {                 // touch, touch_many
  uint64_t count = 0;            // keys that end as asked; not those that never did, of a persist
  Stamp expires = Stamp::never();
  bool operator==(const Touched&) const = default;
};

struct Counted {                 // increment
  int64_t value = 0;
  Revision revision = {};
  uint64_t version = 0;
  bool operator==(const Counted&) const = default;
};

struct Stored {                  // put_many
  uint64_t count = 0;
  Revision revision = {};
  bool operator==(const Stored&) const = default;
};

struct Items {                   // get_many: in the order of the question, absent ones not found()
  std::vector<Item> items = {};
  bool operator==(const Items&) const = default;
};

struct Page {                    // scan
  std::vector<Item> items = {};
  std::string_view resume = {};       // the last key looked at: go on behind it; empty: this is all
  Revision revision = {};             // of the group when the page was made
  bool operator==(const Page&) const = default;
};

struct Hashed {  // of a hash: read, and written
  struct Entry {
    std::string_view name = {};  // empty where the question named it
    std::string_view value = {};
    bool is_there = true;
    bool operator==(const Entry&) const = default;
  };
  int64_t number = 0;               // fields there are, that came or that went; or the sum
  Revision revision = {};           // of a write that changed something
  std::vector<Entry> entries = {};  // those asked for; or the sum, if it is decimal
  bool operator==(const Hashed&) const = default;
};

using OpAnswer = std::variant<Status, Found, Written, Removed, Touched, Counted, Hashed>;

struct TxnDone {
  bool held = false;             // the compares held: `then` was done
  Revision revision = {};
  std::vector<OpAnswer> answers = {};
  bool operator==(const TxnDone&) const = default;
};

struct Rated {                   // rate_limit
  bool allowed = false;
  uint64_t tokens_left = 0;      // whole ones
  Duration retry_after = {};          // until the cost would be there; zero if allowed
  Duration full_after = {};           // until the bucket is full
  bool operator==(const Rated&) const = default;
};

struct Change {
  // Watchers hear of the first three; the others change no value.
  enum class Kind : uint8_t {
    kPut = 0,
    kDelete = 1,
    kExpire = 2,
    kTouch = 3,   // the key ends at another time
    kSettle = 4,  // of the keyspace, as the next three: it has settings of the revision `version`
    kDrop = 5,
    kIndex = 6,  // `key` is the name of an index, `value` its path, `version` 1 if it is unique
    kUnindex = 7,
  };
  Kind kind = Kind::kPut;
  Revision revision = {};
  std::string_view key = {};
  std::string_view value = {};
  uint64_t version = 0;  // of a put or a touch
  std::string_view previous = {};
  bool had_previous = false;
  bool operator==(const Change&) const = default;
};

struct ChangeList {
  std::vector<Change> changes = {};
  Revision through = {};              // everything up to here was looked at: go on after it
  Revision revision = {};             // of the group
  bool operator==(const ChangeList&) const = default;
};

struct Usage {                   // stats
  uint64_t keys = 0;
  uint64_t bytes = 0;            // of keys and values
  uint64_t expiring = 0;         // keys with an end, of all keyspaces
  Revision revision = {};
  Revision history_begin = {};        // changes after this one can still be asked for
  uint64_t keys_max = 0;              // of the quota; 0: none
  uint64_t bytes_max = 0;
  uint64_t saved_bytes = 0;  // by compression: `bytes` counts values as they were given
  bool operator==(const Usage&) const = default;
};

struct Expired {
  uint64_t count = 0;
  bool operator==(const Expired&) const = default;
};

struct Settled {       // set_keyspace, drop_keyspace, tend
  uint64_t steps = 0;  // that were done
  bool operator==(const Settled&) const = default;
};

enum class IndexStage : uint8_t {
  kBuilding = 0,
  kReady = 1,
  kClearing = 2,  // it was found to be not unique, and its entries go
  kFailed = 3,    // none is left
  kDropping = 4,
};

struct IndexList {  // indexes
  struct Index {
    std::string_view name = {};
    std::string_view path = {};
    bool unique = false;
    IndexStage stage = IndexStage::kBuilding;
    uint64_t entries = 0;
    std::string_view cursor = {};  // see IndexRecord
    bool operator==(const Index&) const = default;
  };
  std::vector<Index> indexes = {};  // in order of names
  bool operator==(const IndexList&) const = default;
};

// An item found by a value, and its place in the index: the value in order, then the key.
struct Hit {
  std::string_view place = {};
  Item item = {};
  bool operator==(const Hit&) const = default;
};

struct Hits {  // find
  std::vector<Hit> hits = {};
  std::string_view resume = {};  // as of Page, a place
  Revision revision = {};
  bool operator==(const Hits&) const = default;
};

struct Dumped {                  // dump
  struct Entry {
    KeyspaceId keyspace = {};
    std::string_view key = {};
    Item item = {};              // not found(): it is there no more
    bool operator==(const Entry&) const = default;
  };
  std::vector<Entry> entries = {};
  std::string_view after = {};   // where to go on, and
  bool is_done = false;          // whether all keys were given
  Revision since = {};           // the changes up to here are in
  Revision revision = {};        // complete if done and since == revision
  Stamp at = {};                 // when the question was answered
  bool operator==(const Dumped&) const = default;
};

struct Trailed {  // trail
  struct Entry {
    KeyspaceId keyspace = {};
    Change change = {};  // without what was there before
    Stamp at = {};       // when it was done
    Stamp expires = Stamp::never();
    bool operator==(const Entry&) const = default;
  };
  std::vector<Entry> entries = {};
  Revision through = {};   // go on after it
  Revision revision = {};  // of the group
  Stamp at = {};           // when the question was answered
  bool operator==(const Trailed&) const = default;
};

// A refusal, or one kind per verb.
using Answer =
    std::variant<Status, Found, Written, Removed, Touched, Counted, Stored, Items, Page, TxnDone,
                 Rated, ChangeList, Usage, Expired, Settled, Dumped, Hits, IndexList, Hashed,
                 Trailed>;

// What is said of a value that is a hash to who wants none, and the other way round.
inline constexpr char kWrongKind[] = "the key holds a value of another kind";
[[nodiscard]] inline Status wrong_kind() { return Status(Code::kPreconditionFailed, kWrongKind); }

void encode(const Answer& answer, std::string& out);
// Status is the refusal, or kCorrupted if the bytes are no answer.
[[nodiscard]] Answer decode_answer(std::string_view bytes);

}  // namespace quorate::service::kv
