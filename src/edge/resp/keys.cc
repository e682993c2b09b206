// SPDX-License-Identifier: Apache-2.0
// The commands on keys whatever they hold: existence and ends.
#include "edge/resp/expiry.h"
#include "edge/resp/families.h"
#include "edge/resp/help.h"
#include "edge/resp/session/command.h"
#include "service/value/hash_value.h"

namespace quorate::edge::resp {
namespace {

namespace kv = service::kv;

constexpr int64_t kNoSuchKey = -2;
constexpr int64_t kNoEnd = -1;

// ---- tellers ------------------------------------------------------------------------------------

// How many of the operations found their key.
void tell_how_many(const Told& told, Reply& reply) {
  int64_t count = 0;
  for (const kv::OpAnswer& answer : told.answers) {
    if (const auto* removed = std::get_if<kv::Removed>(&answer)) {
      count += static_cast<int64_t>(removed->count);
    } else if (std::holds_alternative<kv::Found>(answer)) {
      ++count;
    } else if (const Status& status = std::get<Status>(answer); status.code() != Code::kNotFound) {
      tell_failure(status, reply);
      return;
    }
  }
  reply.integer(count);
}

void tell_touched(const Told& told, Reply& reply) {
  if (const auto* touched = std::get_if<kv::Touched>(&told.answers[0])) {
    reply.integer(static_cast<int64_t>(touched->count));
  } else if (const Status& status = std::get<Status>(told.answers[0]);
             status.code() == Code::kNotFound) {
    reply.integer(0);
  } else {
    tell_failure(status, reply);
  }
}

// Null if it was refused with another reason than that there is no such key, which was then told.
const kv::Item* found_item(const Told& told, Reply& reply) {
  static const kv::Item kNone;
  if (const auto* found = std::get_if<kv::Found>(&told.answers[0])) {
    return &found->item;
  }
  const Status& status = std::get<Status>(told.answers[0]);
  if (status.code() == Code::kNotFound) {
    return &kNone;
  }
  tell_failure(status, reply);
  return nullptr;
}

// form.first: the unit; form.second: the base.
void tell_end(const Told& told, Reply& reply) {
  const kv::Item* const item = found_item(told, reply);
  if (item == nullptr) {
    return;
  }
  if (!item->found() || item->expires == Stamp::never()) {
    reply.integer(item->found() ? kNoEnd : kNoSuchKey);
    return;
  }
  const bool from_now = told.form.second == static_cast<int64_t>(TimeBase::kFromNow);
  const int64_t micros = item->expires.micros() - (from_now ? told.now.micros() : 0);
  const int64_t millis = micros <= 0 ? 0 : micros / 1'000;
  const bool in_seconds = told.form.first == static_cast<int64_t>(TimeUnit::kSeconds);
  reply.integer(in_seconds ? (millis + 500) / 1'000 : millis);
}

// Of the number of its fields, which only a hash has.
void tell_type(const Told& told, Reply& reply) {
  if (const auto* hashed = std::get_if<kv::Hashed>(&told.answers[0])) {
    reply.simple(hashed->number > 0 ? "hash" : "none");
  } else if (const Status& status = std::get<Status>(told.answers[0]);
             status.message() == kv::kWrongKind) {
    reply.simple("string");
  } else {
    tell_failure(status, reply);
  }
}

// Up to so many fields of so many bytes Redis keeps a hash as a list.
std::string_view hash_encoding(std::string_view image) {
  constexpr size_t kListFieldsMax = 128;
  constexpr size_t kListBytesMax = 64;
  service::HashReader reader(image);
  bool is_list = reader.size() <= kListFieldsMax;
  for (service::HashField field; is_list && reader.next(field);) {
    is_list = field.name.size() <= kListBytesMax && field.value.size() <= kListBytesMax;
  }
  return is_list ? "listpack" : "hashtable";
}

// As Redis would keep the value; clients that ask want to see "int" for a counter.
void tell_encoding(const Told& told, Reply& reply) {
  const kv::Item* const item = found_item(told, reply);
  if (item == nullptr) {
    return;
  }
  constexpr size_t kEmbeddedBytesMax = 44;
  int64_t number = 0;
  if (!item->found()) {
    reply.null();
  } else if (service::is_hash(item->value)) {
    reply.bulk(hash_encoding(item->value));
  } else if (parse_integer(item->value, number)) {
    reply.bulk("int");
  } else {
    reply.bulk(item->value.size() <= kEmbeddedBytesMax ? "embstr" : "raw");
  }
}

void tell_reference_count(const Told& told, Reply& reply) {
  if (const kv::Item* const item = found_item(told, reply)) {
    item->found() ? reply.integer(1) : reply.null();
  }
}

// The table's own overhead is 32 bytes at the most; form.first holds the bytes of the key.
void tell_memory(const Told& told, Reply& reply) {
  constexpr int64_t kOverheadBytes = 32;
  if (const kv::Item* const item = found_item(told, reply)) {
    item->found()
        ? reply.integer(static_cast<int64_t>(item->value_bytes) + told.form.first + kOverheadBytes)
        : reply.null();
  }
}

// form.first: an integer is the answer, for RENAMENX and COPY; else OK.
void tell_copied(const Told& told, Reply& reply) {
  const Status* const status = std::get_if<Status>(&told.answers[0]);
  const bool by_number = told.form.first != 0;
  const bool is_copy = told.form.second != 0;
  if (status == nullptr) {
    by_number ? reply.integer(1) : reply.ok();
  } else if (status->code() == Code::kAlreadyExists ||
             (status->code() == Code::kNotFound && is_copy)) {
    reply.integer(0);
  } else if (status->code() == Code::kNotFound) {
    reply.error("ERR no such key");
  } else {
    tell_failure(*status, reply);
  }
}

// ---- builders -----------------------------------------------------------------------------------

std::string build_delete(Arguments arguments, Task& task) {
  for (const std::string_view key : arguments.subspan(1)) {
    task.ops.emplace_back(kv::Delete{.key = key});
  }
  task.form.tell = tell_how_many;
  return {};
}

std::string build_exists(Arguments arguments, Task& task) {
  for (const std::string_view key : arguments.subspan(1)) {
    task.ops.emplace_back(kv::Get{.key = key, .with_value = false});
  }
  task.form.tell = tell_how_many;
  return {};
}

constexpr char kNxAndOthers[] =
    "ERR NX and XX, GT or LT options at the same time are not compatible";
constexpr char kGtAndLt[] = "ERR GT and LT options at the same time are not compatible";

std::string parse_when(Arguments words, kv::Touch::When& when) {
  bool nx = false;
  bool xx = false;
  bool gt = false;
  bool lt = false;
  for (const std::string_view word : words) {
    if (is_word(word, "nx")) {
      nx = true;
    } else if (is_word(word, "xx")) {
      xx = true;
    } else if (is_word(word, "gt")) {
      gt = true;
    } else if (is_word(word, "lt")) {
      lt = true;
    } else {
      return "ERR Unsupported option " + std::string(word);
    }
  }
  if (nx && (xx || gt || lt)) {
    return kNxAndOthers;
  }
  if (gt && lt) {
    return kGtAndLt;
  }
  using When = kv::Touch::When;
  // A key that never ends counts as one with the latest of ends: GT never holds for it.
  when = nx   ? When::kIfForever
         : gt ? When::kIfLater
         : lt ? (xx ? When::kIfEndingSooner : When::kIfSooner)
         : xx ? When::kIfEnding
              : When::kAlways;
  return {};
}

std::string build_touch(Arguments arguments, Task& task, TimeForm form) {
  kv::Touch touch{.key = arguments[1]};
  if (std::string error = parse_when(arguments.subspan(3), touch.when); !error.empty()) {
    return error;
  }
  int64_t number = 0;
  if (!parse_integer(arguments[2], number)) {
    return kNotAnInteger;
  }
  if (!lifetime_of(number, form, touch.lifetime)) {
    return invalid_expire_time(lower_case(arguments[0]));
  }
  task.ops.emplace_back(touch);
  task.form.tell = tell_touched;
  return {};
}

template <TimeUnit unit, TimeBase base>
std::string build_expire(Arguments arguments, Task& task) {
  return build_touch(arguments, task, {unit, base});
}

std::string build_persist(Arguments arguments, Task& task) {
  task.ops.emplace_back(kv::Touch{.key = arguments[1]});
  task.form.tell = tell_touched;
  return {};
}

std::string build_rename(Arguments arguments, Task& task) {
  task.ops.emplace_back(kv::Copy{.key = arguments[1], .target = arguments[2], .moves = true});
  task.form.tell = tell_copied;
  return {};
}

std::string build_renamenx(Arguments arguments, Task& task) {
  task.ops.emplace_back(
      kv::Copy{.key = arguments[1], .target = arguments[2], .moves = true, .if_absent = true});
  task.form.tell = tell_copied;
  task.form.first = 1;
  return {};
}

std::string build_copy(Arguments arguments, Task& task) {
  kv::Copy copy{.key = arguments[1], .target = arguments[2], .if_absent = true};
  for (size_t at = 3; at < arguments.size(); ++at) {
    int64_t database = 0;
    if (is_word(arguments[at], "replace")) {
      copy.if_absent = false;
    } else if (is_word(arguments[at], "db") && at + 1 < arguments.size()) {
      if (!parse_integer(arguments[++at], database)) {
        return kNotAnInteger;
      }
      if (database != 0) {
        return "ERR DB index is out of range";
      }
    } else {
      return kSyntaxError;
    }
  }
  if (copy.key == copy.target) {
    return "ERR source and destination objects are the same";
  }
  task.ops.emplace_back(copy);
  task.form = {tell_copied, 1, 1};
  return {};
}

void look_at(std::string_view key, bool with_value, Form::Tell tell, Task& task) {
  task.ops.emplace_back(kv::Get{.key = key, .with_value = with_value});
  task.form.tell = tell;
}

template <TimeUnit unit, TimeBase base>
std::string build_end(Arguments arguments, Task& task) {
  look_at(arguments[1], false, tell_end, task);
  task.form.first = static_cast<int64_t>(unit);
  task.form.second = static_cast<int64_t>(base);
  return {};
}

std::string build_type(Arguments arguments, Task& task) {
  task.ops.emplace_back(
      kv::HashRead{.key = arguments[1], .verb = kv::HashRead::Verb::kCount, .words = {}});
  task.form.tell = tell_type;
  return {};
}

std::string build_encoding(Arguments arguments, Task& task) {
  look_at(arguments[2], true, tell_encoding, task);
  return {};
}

std::string build_reference_count(Arguments arguments, Task& task) {
  look_at(arguments[2], false, tell_reference_count, task);
  return {};
}

std::string build_frequency(Arguments, Task&) {
  return "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note "
         "that when switching between policies at runtime LRU and LFU data will take some time to "
         "adjust.";
}

std::string build_idle_time(Arguments, Task&) {
  return "ERR the time of the last access is not kept, for a read changes nothing here";
}

std::string build_memory_usage(Arguments arguments, Task& task) {
  int64_t samples = 0;
  const bool is_plain = arguments.size() == 3;
  const bool has_samples = arguments.size() == 5 && is_word(arguments[3], "samples");
  if (!is_plain && !has_samples) {
    return kSyntaxError;
  }
  if (has_samples && (!parse_integer(arguments[4], samples) || samples < 0)) {
    return kNotAnInteger;
  }
  look_at(arguments[2], false, tell_memory, task);
  task.form.first = static_cast<int64_t>(arguments[2].size());
  return {};
}

constexpr auto kSec = TimeUnit::kSeconds;
constexpr auto kMs = TimeUnit::kMillis;
constexpr auto kNow = TimeBase::kFromNow;
constexpr auto kEpoch = TimeBase::kSinceEpoch;
constexpr uint32_t kChangeFast = kWrite | kFast;
constexpr uint32_t kLookFast = kReadOnly | kFast;

constexpr Row kObjectRows[] = {
    {"encoding", 3, kReadOnly, 2, 2, 1, "generic", "2.2.3", "How Redis would keep the value.",
     build_encoding},
    {"refcount", 3, kReadOnly, 2, 2, 1, "generic", "2.2.3", "Always one.", build_reference_count},
    {"freq", 3, kReadOnly, 2, 2, 1, "generic", "4.0.0", "Not kept: an error.", build_frequency},
    {"idletime", 3, kReadOnly, 2, 2, 1, "generic", "2.2.3", "Not kept: an error.", build_idle_time},
    {"help", 2, kLoading | kStale, 0, 0, 0, "generic", "6.2.0", "Lists the subcommands.", nullptr,
     run_help},
};

constexpr Row kMemoryRows[] = {
    {"usage", -3, kReadOnly, 2, 2, 1, "server", "4.0.0", "About how many bytes a key takes.",
     build_memory_usage},
    {"help", 2, kLoading | kStale, 0, 0, 0, "server", "4.0.0", "Lists the subcommands.", nullptr,
     run_help},
};

constexpr Row kRows[] = {
    {"del", -2, kWrite, 1, -1, 1, "generic", "1.0.0", "Deletes keys.", build_delete},
    {"unlink", -2, kChangeFast, 1, -1, 1, "generic", "4.0.0", "Deletes keys.", build_delete},
    {"exists", -2, kLookFast, 1, -1, 1, "generic", "1.0.0", "Counts the keys that exist.",
     build_exists},
    {"touch", -2, kLookFast, 1, -1, 1, "generic", "3.2.1", "Counts the keys that exist.",
     build_exists},
    {"expire", -3, kChangeFast, 1, 1, 1, "generic", "1.0.0", "Lets a key end after seconds.",
     build_expire<kSec, kNow>},
    {"pexpire", -3, kChangeFast, 1, 1, 1, "generic", "2.6.0", "Lets a key end after milliseconds.",
     build_expire<kMs, kNow>},
    {"expireat", -3, kChangeFast, 1, 1, 1, "generic", "1.2.0", "Lets a key end at a Unix second.",
     build_expire<kSec, kEpoch>},
    {"pexpireat", -3, kChangeFast, 1, 1, 1, "generic", "2.6.0",
     "Lets a key end at a Unix millisecond.", build_expire<kMs, kEpoch>},
    {"ttl", 2, kLookFast, 1, 1, 1, "generic", "1.0.0", "Seconds until a key ends.",
     build_end<kSec, kNow>},
    {"pttl", 2, kLookFast, 1, 1, 1, "generic", "2.6.0", "Milliseconds until a key ends.",
     build_end<kMs, kNow>},
    {"expiretime", 2, kLookFast, 1, 1, 1, "generic", "7.0.0", "The Unix second a key ends at.",
     build_end<kSec, kEpoch>},
    {"pexpiretime", 2, kLookFast, 1, 1, 1, "generic", "7.0.0",
     "The Unix millisecond a key ends at.", build_end<kMs, kEpoch>},
    {"persist", 2, kChangeFast, 1, 1, 1, "generic", "2.2.0", "Lets a key live for ever.",
     build_persist},
    {"rename", 3, kWrite, 1, 2, 1, "generic", "1.0.0", "Gives a key another name.", build_rename},
    {"renamenx", 3, kChangeFast, 1, 2, 1, "generic", "1.0.0",
     "Gives a key another name that is not taken.", build_renamenx},
    {"copy", -3, kWrite, 1, 2, 1, "generic", "6.2.0", "Copies a key with its end.", build_copy},
    {"type", 2, kLookFast, 1, 1, 1, "generic", "1.0.0", "What a key holds.", build_type},
    {"object", -2, kReadOnly, 0, 0, 0, "generic", "2.2.3", "What is known about a key.", nullptr,
     nullptr, nullptr, kObjectRows},
    {"memory", -2, kReadOnly, 0, 0, 0, "server", "4.0.0", "What memory holds.", nullptr, nullptr,
     nullptr, kMemoryRows},
};

}  // namespace

std::span<const Row> key_rows() { return kRows; }

}  // namespace quorate::edge::resp
