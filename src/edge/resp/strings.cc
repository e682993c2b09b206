// SPDX-License-Identifier: Apache-2.0
// The commands on strings.
#include <algorithm>

#include "base/limits.h"
#include "edge/resp/expiry.h"
#include "edge/resp/families.h"
#include "edge/resp/session/client.h"
#include "edge/resp/session/command.h"
#include "service/decimal.h"
#include "service/value/hash_value.h"

namespace quorate::edge::resp {
namespace {

namespace kv = service::kv;

constexpr char kTooLong[] = "ERR string exceeds maximum allowed size (proto-max-bulk-len)";

// ---- tellers ------------------------------------------------------------------------------------

const Status* refusal_of(const kv::OpAnswer& answer) { return std::get_if<Status>(&answer); }

bool is_refused(const kv::OpAnswer& answer, Code code) {
  const Status* const status = refusal_of(answer);
  return status != nullptr && status->code() == code;
}

void tell_item(const kv::Item& item, Reply& reply) {
  item.found() ? reply.bulk(item.value) : reply.null();
}

void tell_one(const kv::OpAnswer& answer, Reply& reply) {
  if (const auto* found = std::get_if<kv::Found>(&answer)) {
    service::is_hash(found->item.value) ? reply.error(kWrongType) : reply.bulk(found->item.value);
  } else if (is_refused(answer, Code::kNotFound)) {
    reply.null();
  } else {
    tell_failure(*refusal_of(answer), reply);
  }
}

void tell_value(const Told& told, Reply& reply) { tell_one(told.answers[0], reply); }

// OK, or null if a condition did not hold.
void tell_set(const Told& told, Reply& reply) {
  const Status* const status = refusal_of(told.answers[0]);
  if (status == nullptr) {
    reply.ok();
  } else if (status->code() == Code::kAlreadyExists || status->code() == Code::kNotFound) {
    reply.null();
  } else {
    tell_failure(*status, reply);
  }
}

void tell_previous(const Told& told, Reply& reply) {
  if (const auto* written = std::get_if<kv::Written>(&told.answers[0])) {
    tell_item(written->previous, reply);
  } else if (const auto* removed = std::get_if<kv::Removed>(&told.answers[0])) {
    tell_item(removed->previous, reply);
  } else {
    tell_failure(*refusal_of(told.answers[0]), reply);
  }
}

// A get, then a put whose condition may have refused it.
void tell_get_then_set(const Told& told, Reply& reply) {
  const Status* const status = refusal_of(told.answers[1]);
  if (status != nullptr && status->code() != Code::kAlreadyExists &&
      status->code() != Code::kNotFound) {
    tell_failure(*status, reply);
  } else {
    tell_value(told, reply);
  }
}

void tell_set_if_absent(const Told& told, Reply& reply) {
  const Status* const status = refusal_of(told.answers[0]);
  if (status == nullptr || status->code() == Code::kAlreadyExists) {
    reply.integer(status == nullptr ? 1 : 0);
  } else {
    tell_failure(*status, reply);
  }
}

void tell_all_set(const Told& told, Reply& reply) {
  for (const kv::OpAnswer& answer : told.answers) {
    if (const Status* const status = refusal_of(answer)) {
      tell_failure(*status, reply);
      return;
    }
  }
  reply.ok();
}

void tell_values(const Told& told, Reply& reply) {
  reply.array(told.answers.size());
  for (const kv::OpAnswer& answer : told.answers) {
    const auto* const found = std::get_if<kv::Found>(&answer);
    const bool is_other_kind = found != nullptr && service::is_hash(found->item.value);
    is_other_kind ? reply.null() : tell_one(answer, reply);
  }
}

void tell_count(const Told& told, Reply& reply) {
  if (const auto* counted = std::get_if<kv::Counted>(&told.answers[0])) {
    reply.integer(counted->value);
  } else {
    tell_failure(*refusal_of(told.answers[0]), reply);
  }
}

void tell_size(const Told& told, Reply& reply) {
  const kv::OpAnswer& answer = told.answers[0];
  if (const auto* written = std::get_if<kv::Written>(&answer)) {
    reply.integer(static_cast<int64_t>(written->value_bytes));
  } else if (const auto* found = std::get_if<kv::Found>(&answer)) {
    service::is_hash(found->item.value)
        ? reply.error(kWrongType)
        : reply.integer(static_cast<int64_t>(found->item.value_bytes));
  } else if (is_refused(answer, Code::kNotFound)) {
    reply.integer(0);
  } else if (is_refused(answer, Code::kTooLarge)) {
    reply.error(kTooLong);
  } else {
    tell_failure(*refusal_of(answer), reply);
  }
}

// Both ends are counted from the end if they are negative, and both belong to the range.
std::string_view part_of(std::string_view value, int64_t begin, int64_t end) {
  const auto size = static_cast<int64_t>(value.size());
  if (begin < 0 && end < 0 && begin > end) {
    return {};
  }
  begin = std::max<int64_t>(begin < 0 ? begin + size : begin, 0);
  end = std::min(std::max<int64_t>(end < 0 ? end + size : end, 0), size - 1);
  if (begin > end || size == 0) {
    return {};
  }
  return value.substr(static_cast<size_t>(begin), static_cast<size_t>(end - begin + 1));
}

void tell_part(const Told& told, Reply& reply) {
  const kv::OpAnswer& answer = told.answers[0];
  const auto* const found = std::get_if<kv::Found>(&answer);
  if (found != nullptr && service::is_hash(found->item.value)) {
    reply.error(kWrongType);
  } else if (found != nullptr) {
    reply.bulk(part_of(found->item.value, told.form.first, told.form.second));
  } else if (is_refused(answer, Code::kNotFound)) {
    reply.bulk("");
  } else {
    tell_failure(*refusal_of(answer), reply);
  }
}

// ---- builders -----------------------------------------------------------------------------------

std::string build_get(Arguments arguments, Task& task) {
  task.ops.emplace_back(kv::Get{.key = arguments[1]});
  task.form.tell = tell_value;
  return {};
}

struct SetWords {
  bool if_absent = false;
  bool if_present = false;
  bool with_previous = false;
  bool keeps_end = false;
  bool has_end = false;
};

// EX, PX, EXAT, PXAT with their number at `at`; false if there is none.
bool parse_end(Arguments arguments, size_t& at, kv::Lifetime& lifetime, std::string& error) {
  TimeForm form;
  if (!parse_time_word(arguments[at], form)) {
    return false;
  }
  int64_t number = 0;
  if (at + 1 == arguments.size()) {
    error = kSyntaxError;
  } else if (!parse_integer(arguments[++at], number)) {
    error = kNotAnInteger;
  } else if (number <= 0 || !lifetime_of(number, form, lifetime)) {
    error = invalid_expire_time(lower_case(arguments[0]));
  }
  return true;
}

// What is wrong with a number is said only if the words are right, as Redis does.
std::string parse_set_words(Arguments arguments, kv::Put& put, SetWords& words) {
  std::string error;
  for (size_t at = 3; at < arguments.size(); ++at) {
    const std::string_view word = arguments[at];
    if (is_word(word, "nx") && !words.if_present) {
      words.if_absent = true;
    } else if (is_word(word, "xx") && !words.if_absent) {
      words.if_present = true;
    } else if (is_word(word, "get")) {
      words.with_previous = true;
    } else if (is_word(word, "keepttl") && !words.has_end) {
      words.keeps_end = true;
      put.lifetime = kv::Lifetime::keep();
    } else if (!words.has_end && !words.keeps_end &&
               parse_end(arguments, at, put.lifetime, error)) {
      words.has_end = true;
    } else {
      return kSyntaxError;
    }
  }
  return error;
}

std::string build_set(Arguments arguments, Task& task) {
  kv::Put put{.key = arguments[1], .value = arguments[2]};
  task.form.tell = tell_set;
  if (arguments.size() == 3) {
    task.ops.emplace_back(put);
    return {};
  }
  SetWords words;
  if (std::string error = parse_set_words(arguments, put, words); !error.empty()) {
    return error;
  }
  const bool is_conditional = words.if_absent || words.if_present;
  if (is_conditional) {
    put.condition.kind =
        words.if_absent ? kv::Condition::Kind::kAbsent : kv::Condition::Kind::kPresent;
  }
  if (words.with_previous && is_conditional) {
    if (words.if_present) {
      put.condition.kind = kv::Condition::Kind::kPresentNoHash;
    }
    task.ops.emplace_back(kv::Get{.key = arguments[1]});
    task.form.tell = tell_get_then_set;
  } else if (words.with_previous) {
    put.with_previous = true;
    put.condition.kind = kv::Condition::Kind::kNoHash;
    task.form.tell = tell_previous;
  }
  task.ops.emplace_back(put);
  return {};
}

std::string build_set_if_absent(Arguments arguments, Task& task) {
  task.ops.emplace_back(kv::Put{.key = arguments[1],
                                .value = arguments[2],
                                .condition = {kv::Condition::Kind::kAbsent, 0, {}}});
  task.form.tell = tell_set_if_absent;
  return {};
}

std::string build_set_with_end(Arguments arguments, Task& task, TimeUnit unit) {
  int64_t number = 0;
  if (!parse_integer(arguments[2], number)) {
    return kNotAnInteger;
  }
  kv::Put put{.key = arguments[1], .value = arguments[3]};
  if (number <= 0 || !lifetime_of(number, {unit, TimeBase::kFromNow}, put.lifetime)) {
    return invalid_expire_time(lower_case(arguments[0]));
  }
  task.ops.emplace_back(put);
  task.form.tell = tell_set;
  return {};
}

std::string build_setex(Arguments arguments, Task& task) {
  return build_set_with_end(arguments, task, TimeUnit::kSeconds);
}

std::string build_psetex(Arguments arguments, Task& task) {
  return build_set_with_end(arguments, task, TimeUnit::kMillis);
}

std::string build_getset(Arguments arguments, Task& task) {
  task.ops.emplace_back(kv::Put{.key = arguments[1],
                                .value = arguments[2],
                                .condition = {kv::Condition::Kind::kNoHash, 0, {}},
                                .with_previous = true});
  task.form.tell = tell_previous;
  return {};
}

std::string build_getdel(Arguments arguments, Task& task) {
  task.ops.emplace_back(kv::Delete{.key = arguments[1],
                                   .condition = {kv::Condition::Kind::kNoHash, 0, {}},
                                   .with_previous = true});
  task.form.tell = tell_previous;
  return {};
}

std::string build_getex(Arguments arguments, Task& task) {
  task.ops.emplace_back(kv::Get{.key = arguments[1]});
  task.form.tell = tell_value;
  if (arguments.size() == 2) {
    return {};
  }
  kv::Touch touch{.key = arguments[1], .when = kv::Touch::When::kIfNoHash};
  size_t at = 2;
  std::string error;
  if (is_word(arguments[at], "persist")) {
    touch.lifetime = {};
  } else if (!parse_end(arguments, at, touch.lifetime, error)) {
    return kSyntaxError;
  }
  if (at + 1 != arguments.size()) {
    return kSyntaxError;
  }
  task.ops.emplace_back(touch);
  return error;
}

std::string build_mget(Arguments arguments, Task& task) {
  for (const std::string_view key : arguments.subspan(1)) {
    task.ops.emplace_back(kv::Get{.key = key});
  }
  task.form.tell = tell_values;
  return {};
}

std::string build_mset(Arguments arguments, Task& task) {
  if (arguments.size() % 2 == 0) {
    return "ERR wrong number of arguments for '" + lower_case(arguments[0]) + "' command";
  }
  for (size_t at = 1; at < arguments.size(); at += 2) {
    task.ops.emplace_back(kv::Put{.key = arguments[at], .value = arguments[at + 1]});
  }
  task.form.tell = tell_all_set;
  return {};
}

std::string build_increment(Arguments arguments, Task& task, int64_t delta) {
  task.ops.emplace_back(kv::Increment{.key = arguments[1], .delta = delta});
  task.form.tell = tell_count;
  return {};
}

std::string build_incr(Arguments arguments, Task& task) {
  return build_increment(arguments, task, 1);
}

std::string build_decr(Arguments arguments, Task& task) {
  return build_increment(arguments, task, -1);
}

std::string build_incrby(Arguments arguments, Task& task) {
  int64_t delta = 0;
  return parse_integer(arguments[2], delta) ? build_increment(arguments, task, delta)
                                            : kNotAnInteger;
}

std::string build_decrby(Arguments arguments, Task& task) {
  int64_t delta = 0;
  if (!parse_integer(arguments[2], delta)) {
    return kNotAnInteger;
  }
  return delta == INT64_MIN ? "ERR decrement would overflow"
                            : build_increment(arguments, task, -delta);
}

std::string build_incrbyfloat(Arguments arguments, Task& task) {
  const kv::AddDecimal add{.key = arguments[1], .delta = arguments[2]};
  service::Decimal delta;
  if (!service::Decimal::parse(add.delta, delta)) {
    return "ERR value is not a valid float";
  }
  task.ops.emplace_back(add);
  task.form.tell = tell_value;
  return {};
}

std::string build_append(Arguments arguments, Task& task) {
  task.ops.emplace_back(kv::Append{.key = arguments[1], .value = arguments[2]});
  task.form.tell = tell_size;
  return {};
}

std::string build_strlen(Arguments arguments, Task& task) {
  task.ops.emplace_back(kv::Get{.key = arguments[1]});  // with its value, which tells its kind
  task.form.tell = tell_size;
  return {};
}

std::string build_getrange(Arguments arguments, Task& task) {
  if (!parse_integer(arguments[2], task.form.first) ||
      !parse_integer(arguments[3], task.form.second)) {
    return kNotAnInteger;
  }
  task.ops.emplace_back(kv::Get{.key = arguments[1]});
  task.form.tell = tell_part;
  return {};
}

std::string build_setrange(Arguments arguments, Task& task) {
  int64_t offset = 0;
  if (!parse_integer(arguments[2], offset)) {
    return kNotAnInteger;
  }
  if (offset < 0) {
    return "ERR offset is out of range";
  }
  const std::string_view value = arguments[3];
  if (value.empty()) {  // changes nothing, and makes no key either
    return build_strlen(arguments, task);
  }
  if (static_cast<uint64_t>(offset) >
      limits::kValueBytesMax - std::min(value.size(), limits::kValueBytesMax)) {
    return kTooLong;
  }
  task.ops.emplace_back(
      kv::SetRange{.key = arguments[1], .offset = static_cast<uint64_t>(offset), .value = value});
  task.form.tell = tell_size;
  return {};
}

// Not an operation of a transaction, for it decides by several keys.
void start_msetnx(Client& client, Arguments arguments, Ticket ticket) {
  const auto owner = client.connection().shared_from_this();
  Ops ops;
  Task task{ops};
  std::string error = build_mset(arguments, task);
  error = error.empty() ? check(ops) : error;
  if (error.empty() && !common_group(client.context().kv, ops)) {
    error = kCrossSlot;
  }
  if (!error.empty()) {
    owner->finish(ticket, [&](Reply& reply) { reply.error(error); });
    return;
  }
  kv::PutMany many;
  many.if_all_absent = true;
  for (size_t at = 1; at < arguments.size(); at += 2) {
    many.items.push_back({arguments[at], arguments[at + 1], {}});
  }
  client.context().kv.put_many(
      many, {.caller = client.caller()},
      [ticket, owner](const Status& status, const kv::Stored&, const service::Origin&) {
        owner->finish(ticket, [&](Reply& reply) {
          const bool is_there = status.code() == Code::kAlreadyExists;
          status.ok() || is_there ? reply.integer(is_there ? 0 : 1) : tell_failure(status, reply);
        });
      });
}

constexpr uint32_t kStore = kWrite | kDenyOom;
constexpr uint32_t kStoreFast = kStore | kFast;
constexpr uint32_t kLookFast = kReadOnly | kFast;

constexpr Row kRows[] = {
    {"set", -3, kStore, 1, 1, 1, "string", "1.0.0",
     "Sets the value of a key, with conditions and an end as wanted.", build_set},
    {"get", 2, kLookFast, 1, 1, 1, "string", "1.0.0", "Gives the value of a key.", build_get},
    {"setnx", 3, kStoreFast, 1, 1, 1, "string", "1.0.0", "Sets a key if there is none.",
     build_set_if_absent},
    {"setex", 4, kStore, 1, 1, 1, "string", "2.0.0", "Sets a key that ends after seconds.",
     build_setex},
    {"psetex", 4, kStore, 1, 1, 1, "string", "2.6.0", "Sets a key that ends after milliseconds.",
     build_psetex},
    {"getset", 3, kStoreFast, 1, 1, 1, "string", "1.0.0",
     "Sets a key and gives the value that it had.", build_getset},
    {"getdel", 2, kWrite | kFast, 1, 1, 1, "string", "6.2.0",
     "Deletes a key and gives the value that it had.", build_getdel},
    {"getex", -2, kWrite | kFast, 1, 1, 1, "string", "6.2.0",
     "Gives the value of a key and sets when it ends.", build_getex},
    {"mget", -2, kLookFast, 1, -1, 1, "string", "1.0.0", "Gives the values of several keys.",
     build_mget},
    {"mset", -3, kStore, 1, -1, 2, "string", "1.0.1", "Sets several keys at once.", build_mset},
    {"incr", 2, kStoreFast, 1, 1, 1, "string", "1.0.0", "Adds one to an integer.", build_incr},
    {"decr", 2, kStoreFast, 1, 1, 1, "string", "1.0.0", "Takes one from an integer.", build_decr},
    {"incrby", 3, kStoreFast, 1, 1, 1, "string", "1.0.0", "Adds to an integer.", build_incrby},
    {"decrby", 3, kStoreFast, 1, 1, 1, "string", "1.0.0", "Takes from an integer.", build_decrby},
    {"incrbyfloat", 3, kStoreFast, 1, 1, 1, "string", "2.6.0", "Adds to a number, exactly.",
     build_incrbyfloat},
    {"msetnx", -3, kStore | kNoMulti, 1, -1, 2, "string", "1.0.1",
     "Sets several keys if none of them is there.", nullptr, nullptr, start_msetnx},
    {"append", 3, kStoreFast, 1, 1, 1, "string", "2.0.0", "Adds bytes to the end of a value.",
     build_append},
    {"strlen", 2, kLookFast, 1, 1, 1, "string", "2.2.0", "Gives the length of a value.",
     build_strlen},
    {"getrange", 4, kReadOnly, 1, 1, 1, "string", "2.4.0", "Gives a part of a value.",
     build_getrange},
    {"substr", 4, kReadOnly, 1, 1, 1, "string", "1.0.0", "Gives a part of a value.",
     build_getrange},
    {"setrange", 4, kStore, 1, 1, 1, "string", "2.2.0", "Overwrites a part of a value.",
     build_setrange},
};

}  // namespace

std::span<const Row> string_rows() { return kRows; }

}  // namespace quorate::edge::resp
