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

using OpAnswer = std::variant<Status, Found, Written, Removed, Touched, Counted>;

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
  enum class Kind : uint8_t { kPut = 0, kDelete = 1, kExpire = 2 };
  Kind kind = Kind::kPut;
  Revision revision = {};
  std::string_view key = {};
  std::string_view value = {};
  uint64_t version = 0;          // of a put
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
  bool operator==(const Usage&) const = default;
};

struct Expired {
  uint64_t count = 0;
  bool operator==(const Expired&) const = default;
};

// A refusal, or one kind per verb.
using Answer = std::variant<Status, Found, Written, Removed, Touched, Counted, Stored, Items, Page,
                            TxnDone, Rated, ChangeList, Usage, Expired>;

void encode(const Answer& answer, std::string& out);
// Status is the refusal, or kCorrupted if the bytes are no answer.
[[nodiscard]] Answer decode_answer(std::string_view bytes);

}  // namespace quorate::service::kv
