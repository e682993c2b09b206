// SPDX-License-Identifier: Apache-2.0
// Command: a row of the table of commands, from which parsing, COMMAND, COMMAND DOCS and the guide
// all come.
//
// Most commands are a few operations on keys and a way to tell their answers. Such a row builds
// operations of a kv transaction and names a teller; it neither sends nor waits. So the same row
// serves alone, in a pipeline and in a MULTI, and is atomic in each of them:
//
//   GETEX k PERSIST   build:  { Get k, Touch k for ever }      tell:  answer 0 as a bulk string
//
// The rest is done at once (run), or on its own against the cluster (start).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "edge/resp/wire/connection.h"
#include "edge/resp/wire/parser.h"
#include "edge/resp/wire/reply.h"
#include "service/kv/answers.h"
#include "service/kv/commands.h"

namespace quorate::edge::resp {

class Client;

using Ops = std::vector<service::kv::Txn::Op>;

// What a teller needs; small, for it travels inside the callback of each command in flight.
struct Form;
struct Told {
  const Form& form;
  std::span<const service::kv::OpAnswer> answers;  // one per operation that was built
  Stamp now;
};
struct Form {
  using Tell = void (*)(const Told& told, Reply& reply);
  Tell tell = nullptr;
  int64_t first = 0;  // whatever the builder left for the teller
  int64_t second = 0;
};

struct Task {
  Ops& ops;             // empty at first; views of the arguments
  uint64_t chance = 0;  // differs from task to task
  Form form = {};
};

// The text of an error, or nothing.
using Build = std::string (*)(Arguments arguments, Task& task);
using Run = void (*)(Client& client, Arguments arguments, Reply& reply);
using Start = void (*)(Client& client, Arguments arguments, Ticket ticket);

// Flags, as COMMAND names them.
enum Flag : uint32_t {
  kWrite = 1u << 0,
  kReadOnly = 1u << 1,
  kDenyOom = 1u << 2,
  kFast = 1u << 3,
  kAdmin = 1u << 4,
  kNoAuth = 1u << 5,
  kLoading = 1u << 6,
  kStale = 1u << 7,
  kNoScript = 1u << 8,
  kNoMulti = 1u << 9,  // not allowed inside a MULTI
  kAllowBusy = 1u << 10,
  kOwnInMulti = 1u << 11,  // done at once also inside a MULTI: EXEC, DISCARD, WATCH, QUIT, RESET
  kPrefix = 1u << 12,      // stands before another command: ONCE, FENCE
  kInternalMask = kOwnInMulti | kPrefix,
};

struct Row {
  std::string_view name;  // lower case
  int arity;              // with the name; negative: at least so many
  uint32_t flags;
  int first_key;  // position of the first key, 0: none
  int last_key;   // negative: counted from the end
  int key_step;
  std::string_view group;  // "string", as COMMAND DOCS has it
  std::string_view since;  // the version of Redis that brought it
  std::string_view summary;
  Build build = nullptr;  // exactly one of the three, or subcommands
  Run run = nullptr;
  Start start = nullptr;
  std::span<const Row> subcommands = {};
};

// MULTI, EXEC and their like; the other families stand in edge/resp/families.h.
[[nodiscard]] std::span<const Row> transaction_rows();

// ---- texts and words that several families need -------------------------------------------------
inline constexpr char kSyntaxError[] = "ERR syntax error";
inline constexpr char kNotAnInteger[] = "ERR value is not an integer or out of range";
inline constexpr char kWrongType[] =
    "WRONGTYPE Operation against a key holding the wrong kind of value";
inline constexpr char kCrossSlot[] = "CROSSSLOT Keys in request don't hash to the same slot";

// `lower` is in lower case.
[[nodiscard]] bool is_word(std::string_view argument, std::string_view lower);
[[nodiscard]] std::string lower_case(std::string_view text);
[[nodiscard]] std::string upper_case(std::string_view text);
// A refusal or the weather, in the words of the code table where Redis has none of its own.
void tell_failure(const Status& status, Reply& reply);
// Of a transaction as a whole, whose conditions are no numbers: what a fence refuses has a word of
// its own.
void tell_refusal(const Status& status, Reply& reply);

}  // namespace quorate::edge::resp
