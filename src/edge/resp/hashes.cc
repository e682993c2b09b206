// SPDX-License-Identifier: Apache-2.0
// The commands on hashes.
#include <algorithm>
#include <charconv>

#include "base/limits.h"
#include "base/prng.h"
#include "edge/resp/families.h"
#include "edge/resp/session/client.h"
#include "edge/resp/session/command.h"
#include "service/decimal.h"

namespace quorate::edge::resp {
namespace {

namespace kv = service::kv;
using Read = kv::HashRead::Verb;
using Write = kv::HashWrite::Verb;

// ---- tellers ------------------------------------------------------------------------------------

// Null if it was refused, which was then told.
const kv::Hashed* hashed_of(const Told& told, Reply& reply) {
  const auto* const hashed = std::get_if<kv::Hashed>(&told.answers[0]);
  if (hashed == nullptr) {
    tell_failure(std::get<Status>(told.answers[0]), reply);
  }
  return hashed;
}

void tell_entry(const kv::Hashed::Entry& entry, Reply& reply) {
  entry.is_there ? reply.bulk(entry.value) : reply.null();
}

void tell_number(const Told& told, Reply& reply) {
  if (const kv::Hashed* const hashed = hashed_of(told, reply)) {
    reply.integer(hashed->number);
  }
}

void tell_done(const Told& told, Reply& reply) {
  if (hashed_of(told, reply) != nullptr) {
    reply.ok();
  }
}

void tell_first(const Told& told, Reply& reply) {
  if (const kv::Hashed* const hashed = hashed_of(told, reply)) {
    tell_entry(hashed->entries[0], reply);
  }
}

void tell_each(const Told& told, Reply& reply) {
  if (const kv::Hashed* const hashed = hashed_of(told, reply)) {
    reply.array(hashed->entries.size());
    for (const kv::Hashed::Entry& entry : hashed->entries) {
      tell_entry(entry, reply);
    }
  }
}

void tell_is_there(const Told& told, Reply& reply) {
  if (const kv::Hashed* const hashed = hashed_of(told, reply)) {
    reply.integer(hashed->entries[0].is_there ? 1 : 0);
  }
}

void tell_size(const Told& told, Reply& reply) {
  if (const kv::Hashed* const hashed = hashed_of(told, reply)) {
    reply.integer(static_cast<int64_t>(hashed->entries[0].value.size()));
  }
}

void tell_pairs(const Told& told, Reply& reply) {
  if (const kv::Hashed* const hashed = hashed_of(told, reply)) {
    reply.map(hashed->entries.size());
    for (const kv::Hashed::Entry& entry : hashed->entries) {
      reply.bulk(entry.name);
      reply.bulk(entry.value);
    }
  }
}

template <std::string_view kv::Hashed::Entry::*part>
void tell_parts(const Told& told, Reply& reply) {
  if (const kv::Hashed* const hashed = hashed_of(told, reply)) {
    reply.array(hashed->entries.size());
    for (const kv::Hashed::Entry& entry : hashed->entries) {
      reply.bulk(entry.*part);
    }
  }
}

// A hash is given as a whole, so every walk ends with its first step.
void tell_scanned(const Told& told, Reply& reply) {
  if (const kv::Hashed* const hashed = hashed_of(told, reply)) {
    reply.array(2);
    reply.bulk("0");
    reply.array(hashed->entries.size() * 2);
    for (const kv::Hashed::Entry& entry : hashed->entries) {
      reply.bulk(entry.name);
      reply.bulk(entry.value);
    }
  }
}

// form.second: what chance gave.
void tell_random(const Told& told, Reply& reply) {
  const kv::Hashed* const hashed = hashed_of(told, reply);
  if (hashed != nullptr && hashed->entries.empty()) {
    reply.null();
  } else if (hashed != nullptr) {
    Prng prng(static_cast<uint64_t>(told.form.second));
    reply.bulk(hashed->entries[prng.below(hashed->entries.size())].name);
  }
}

// Which of `size` are chosen: -count with repetition, or count different ones; all, in their order,
// if there are no more.
std::vector<size_t> choose(size_t size, int64_t count, Prng prng) {
  std::vector<size_t> chosen;
  if (size == 0) {
    return chosen;
  }
  if (count < 0) {
    for (; count < 0; ++count) {
      chosen.push_back(prng.below(size));
    }
    return chosen;
  }
  for (size_t at = 0; at < size; ++at) {
    chosen.push_back(at);
  }
  const auto wanted = static_cast<size_t>(std::min<int64_t>(count, static_cast<int64_t>(size)));
  for (size_t at = 0; at < wanted && wanted < size; ++at) {
    std::swap(chosen[at], chosen[at + prng.below(size - at)]);
  }
  chosen.resize(wanted);
  return chosen;
}

// form.first: the count. In RESP3 a field and its value are an array of their own.
template <bool with_values>
void tell_some(const Told& told, Reply& reply) {
  const kv::Hashed* const hashed = hashed_of(told, reply);
  if (hashed == nullptr) {
    return;
  }
  const std::vector<size_t> chosen = choose(hashed->entries.size(), told.form.first,
                                            Prng(static_cast<uint64_t>(told.form.second)));
  const bool is_nested = with_values && reply.protocol() > 2;
  reply.array(chosen.size() * (with_values && !is_nested ? 2 : 1));
  for (const size_t at : chosen) {
    if (is_nested) {
      reply.array(2);
    }
    reply.bulk(hashed->entries[at].name);
    if (with_values) {
      reply.bulk(hashed->entries[at].value);
    }
  }
}

// ---- builders -----------------------------------------------------------------------------------

std::string write(Arguments arguments, Write verb, Form::Tell tell, Task& task) {
  task.ops.emplace_back(kv::HashWrite{
      .key = arguments[1], .verb = verb, .words = {arguments.begin() + 2, arguments.end()}});
  task.form.tell = tell;
  return {};
}

std::string read(Arguments arguments, Read verb, Form::Tell tell, Task& task) {
  kv::HashRead query{.key = arguments[1], .verb = verb, .words = {}};
  if (verb == Read::kFields) {
    query.words.assign(arguments.begin() + 2, arguments.end());
  }
  task.ops.emplace_back(std::move(query));
  task.form.tell = tell;
  return {};
}

template <Read verb, Form::Tell tell>
std::string build_read(Arguments arguments, Task& task) {
  return read(arguments, verb, tell, task);
}

template <Write verb, Form::Tell tell>
std::string build_write(Arguments arguments, Task& task) {
  return write(arguments, verb, tell, task);
}

template <Form::Tell tell>
std::string build_put(Arguments arguments, Task& task) {
  if (arguments.size() % 2 != 0) {
    return "ERR wrong number of arguments for '" + lower_case(arguments[0]) + "' command";
  }
  return write(arguments, Write::kPut, tell, task);
}

std::string build_add(Arguments arguments, Task& task) {
  int64_t delta = 0;
  return service::parse_whole(arguments[3], delta)
             ? write(arguments, Write::kAdd, tell_number, task)
             : kNotAnInteger;
}

std::string build_add_decimal(Arguments arguments, Task& task) {
  service::Decimal delta;
  return service::Decimal::parse(arguments[3], delta)
             ? write(arguments, Write::kAddDecimal, tell_first, task)
             : "ERR value is not a valid float";
}

std::string build_scan(Arguments arguments, Task& task) {
  uint64_t cursor = 0;
  const std::string_view text = arguments[2];
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), cursor);
  if (error != std::errc() || end != text.data() + text.size()) {
    return "ERR invalid cursor";
  }
  kv::HashRead query{.key = arguments[1], .verb = Read::kAll, .words = {}};
  for (size_t at = 3; at < arguments.size(); at += 2) {
    int64_t count = 0;
    if (at + 1 == arguments.size()) {
      return kSyntaxError;
    }
    if (is_word(arguments[at], "match")) {
      query.verb = Read::kMatching;
      query.words = {arguments[at + 1]};
    } else if (!is_word(arguments[at], "count")) {
      return kSyntaxError;
    } else if (!parse_integer(arguments[at + 1], count)) {
      return kNotAnInteger;
    } else if (count < 1) {
      return kSyntaxError;
    }
  }
  task.ops.emplace_back(std::move(query));
  task.form.tell = tell_scanned;
  return {};
}

std::string build_random(Arguments arguments, Task& task) {
  constexpr auto kMost = static_cast<int64_t>(limits::kBatchItemsMax);
  const bool with_values = arguments.size() == 4 && is_word(arguments[3], "withvalues");
  task.form.second = static_cast<int64_t>(task.chance);
  if (arguments.size() == 2) {
    return read(arguments, Read::kAll, tell_random, task);
  }
  if (!parse_integer(arguments[2], task.form.first)) {
    return kNotAnInteger;
  }
  if (arguments.size() > 4 || (arguments.size() == 4 && !with_values)) {
    return kSyntaxError;
  }
  if (task.form.first < -kMost) {
    return "TOOLARGE at most " + std::to_string(kMost) + " fields are chosen with repetition";
  }
  return read(arguments, Read::kAll, with_values ? tell_some<true> : tell_some<false>, task);
}

constexpr uint32_t kStore = kWrite | kDenyOom;
constexpr uint32_t kLook = kReadOnly;
constexpr auto kName = &kv::Hashed::Entry::name;
constexpr auto kValue = &kv::Hashed::Entry::value;

constexpr Row kRows[] = {
    {"hset", -4, kStore | kFast, 1, 1, 1, "hash", "2.0.0",
     "Sets fields of a hash and counts the new ones.", build_put<tell_number>},
    {"hmset", -4, kStore | kFast, 1, 1, 1, "hash", "2.0.0", "Sets fields of a hash.",
     build_put<tell_done>},
    {"hsetnx", 4, kStore | kFast, 1, 1, 1, "hash", "2.0.0",
     "Sets a field of a hash if there is none.", build_write<Write::kPutIfAbsent, tell_number>},
    {"hget", 3, kLook | kFast, 1, 1, 1, "hash", "2.0.0", "Gives the value of a field.",
     build_read<Read::kFields, tell_first>},
    {"hmget", -3, kLook | kFast, 1, 1, 1, "hash", "2.0.0", "Gives the values of fields.",
     build_read<Read::kFields, tell_each>},
    {"hgetall", 2, kLook, 1, 1, 1, "hash", "2.0.0", "Gives all fields with their values.",
     build_read<Read::kAll, tell_pairs>},
    {"hkeys", 2, kLook, 1, 1, 1, "hash", "2.0.0", "Gives the names of all fields.",
     build_read<Read::kAll, tell_parts<kName>>},
    {"hvals", 2, kLook, 1, 1, 1, "hash", "2.0.0", "Gives the values of all fields.",
     build_read<Read::kAll, tell_parts<kValue>>},
    {"hlen", 2, kLook | kFast, 1, 1, 1, "hash", "2.0.0", "Counts the fields of a hash.",
     build_read<Read::kCount, tell_number>},
    {"hexists", 3, kLook | kFast, 1, 1, 1, "hash", "2.0.0", "Whether a hash has a field.",
     build_read<Read::kFields, tell_is_there>},
    {"hstrlen", 3, kLook | kFast, 1, 1, 1, "hash", "3.2.0", "Counts the bytes of a field's value.",
     build_read<Read::kFields, tell_size>},
    {"hdel", -3, kWrite | kFast, 1, 1, 1, "hash", "2.0.0", "Deletes fields of a hash.",
     build_write<Write::kDelete, tell_number>},
    {"hincrby", 4, kStore | kFast, 1, 1, 1, "hash", "2.0.0", "Adds to the whole number of a field.",
     build_add},
    {"hincrbyfloat", 4, kStore | kFast, 1, 1, 1, "hash", "2.6.0", "Adds to the number of a field.",
     build_add_decimal},
    {"hscan", -3, kLook, 1, 1, 1, "hash", "2.8.0", "Goes through the fields of a hash.",
     build_scan},
    {"hrandfield", -2, kLook, 1, 1, 1, "hash", "6.2.0", "Gives some fields of a hash.",
     build_random},
};

}  // namespace

std::span<const Row> hash_rows() { return kRows; }

}  // namespace quorate::edge::resp
