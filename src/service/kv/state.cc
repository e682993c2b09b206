// SPDX-License-Identifier: Apache-2.0
// Commands on keys. Queries, buckets and snapshots stand in state_query.cc, state_rate.cc and
// state_image.cc.
#include "service/kv/state.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/assert.h"
#include "base/limits.h"
#include "base/mutant.h"

namespace quorate::service::kv {
namespace {

Status check_condition(const Condition& condition, const Item& item) {
  switch (condition.kind) {
    case Condition::Kind::kNone: break;
    case Condition::Kind::kAbsent:
      return item.found() ? Status(Code::kAlreadyExists, "the key exists") : Status();
    case Condition::Kind::kPresent:
      return item.found() ? Status() : Status(Code::kNotFound, "no such key");
    case Condition::Kind::kVersion:
      return item.version == condition.number
                 ? Status()
                 : Status(Code::kPreconditionFailed, "the key has another version");
    case Condition::Kind::kModified:
      return item.modified.value() == condition.number
                 ? Status()
                 : Status(Code::kPreconditionFailed, "the key was changed at another revision");
    case Condition::Kind::kValue:
      return item.found() && item.value == condition.value
                 ? Status()
                 : Status(Code::kPreconditionFailed, "the key has another value");
  }
  return {};
}

template <class T>
bool relates(Compare::Relation relation, const T& left, const T& right) {
  switch (relation) {
    case Compare::Relation::kEqual: return left == right;
    case Compare::Relation::kNotEqual: return left != right;
    case Compare::Relation::kLess: return left < right;
    case Compare::Relation::kGreater: return left > right;
  }
  return false;
}

bool touch_applies(Touch::When when, Stamp before, Stamp after) {
  switch (when) {
    case Touch::When::kAlways: return true;
    case Touch::When::kIfForever: return before == Stamp::never();
    case Touch::When::kIfEnding: return before != Stamp::never();
    case Touch::When::kIfLater: return after > before;
    case Touch::When::kIfSooner: return after < before;
  }
  return false;
}

// Decimal, without a plus sign, blanks or leading zeros: what an increment itself would write.
bool parse_integer(std::string_view text, int64_t& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    return false;
  }
  const bool is_negative = text.front() == '-';
  const std::string_view digits = text.substr(is_negative ? 1 : 0);
  return digits == "0" ? !is_negative : digits.front() != '0';
}

OpAnswer narrow(Answer answer) {
  OpAnswer narrowed;
  std::visit(
      [&narrowed](auto&& fields) {
        using T = std::decay_t<decltype(fields)>;
        if constexpr (std::is_constructible_v<OpAnswer, T>) {
          narrowed = std::move(fields);
        } else {
          ASSERT(false, "no operation of a transaction answers so");
        }
      },
      std::move(answer));
  return narrowed;
}

}  // namespace

State::State(const Options& options)
    : table_(options.hash_seed), history_(options.history_bytes_max) {}

Answer State::apply(const Command& command, const Moment& moment) {
  kept_.clear();
  kept_bytes_ = 0;
  return std::visit([&](const auto& fields) { return run(fields, moment); }, command);
}

// What has ended goes first, so that the write that follows finds nothing.
void State::look(Spot& spot, Stamp at) {
  spot.place = table_.locate(spot.key.view());
  if (!spot.place.found()) {
    return;
  }
  spot.item = item_of(table_.record(spot.place));
  if (spot.item.expires <= at && !MUTANT(ended_keys_are_found)) {
    remove(spot, Change::Kind::kExpire);
  }
}

Status State::check_room(size_t bytes) const {
  return table_.bytes() + bytes <= limits::kKvBytesMax
             ? Status::success()
             : Status(Code::kResourceExhausted, "the group holds as many bytes as it may");
}

// Before: `value` does not lie in the table. The spot shows the key as it was.
Written State::write(Spot& spot, std::string_view value, Stamp expires) {
  const Item& before = spot.item;
  ++revision_;
  const uint64_t version = before.version + 1;
  history_.append(spot.keyspace, {.kind = Change::Kind::kPut,
                                  .revision = revision_,
                                  .key = spot.name,
                                  .value = value,
                                  .version = version,
                                  .previous = before.value,
                                  .had_previous = before.found()});
  set_due(spot.key.view(), before.expires, expires);
  const auto grown = static_cast<int64_t>(value.size()) - static_cast<int64_t>(before.value_bytes);
  if (before.found()) {
    count(spot.keyspace, 0, grown);
  } else {
    count(spot.keyspace, 1, grown + static_cast<int64_t>(spot.name.size()));
  }
  const KeyHeader header(before.found() ? before.created : revision_, revision_, version, expires);
  table_.put(spot.place, {header.view(), value});
  return {.revision = revision_, .version = version, .value_bytes = value.size(), .previous = {}};
}

// After: the spot is empty.
void State::remove(Spot& spot, Change::Kind kind) {
  ASSERT(spot.place.found());
  ++revision_;
  history_.append(spot.keyspace, {.kind = kind,
                                  .revision = revision_,
                                  .key = spot.name,
                                  .value = {},
                                  .version = 0,
                                  .previous = spot.item.value,
                                  .had_previous = true});
  set_due(spot.key.view(), spot.item.expires, Stamp::never());
  count(spot.keyspace, -1, -static_cast<int64_t>(spot.name.size() + spot.item.value_bytes));
  table_.erase(spot.place);
  spot.item = {};
  spot.place = table_.locate(spot.key.view());
}

bool State::touch(Spot& spot, Stamp expires, Touch::When when) {
  const Item& item = spot.item;
  if (!touch_applies(when, item.expires, expires)) {
    return false;
  }
  if (item.expires == expires) {
    return expires != Stamp::never();   // nothing to persist is not a success
  }
  scratch_.assign(item.value);
  set_due(spot.key.view(), item.expires, expires);
  const KeyHeader header(item.created, item.modified, item.version, expires);
  table_.put(spot.place, {header.view(), scratch_});
  return true;
}

void State::set_due(std::string_view table_key, Stamp before, Stamp after) {
  if (before == after) {
    return;
  }
  if (before != Stamp::never()) {
    due_.remove(before, table_key);
  }
  if (after != Stamp::never()) {
    due_.add(after, table_key);
  }
}

void State::count(KeyspaceId keyspace, int keys, int64_t bytes) {
  KeyspaceUsage& usage = usage_[keyspace];
  usage.keys += static_cast<uint64_t>(static_cast<int64_t>(keys));
  usage.bytes += static_cast<uint64_t>(bytes);
  if (usage.keys == 0) {
    ASSERT(usage.bytes == 0);
    usage_.erase(keyspace);
  }
}

// A copy that outlives the changes which the rest of the command makes.
Status State::keep_item(Item item, Item& kept) {
  if (kept_bytes_ + item.value.size() > limits::kRequestBytesMax / 2) {
    return Status(Code::kTooLarge, "the answer would be over the limit of a request");
  }
  kept_bytes_ += item.value.size();
  item.value = kept_.emplace_back(item.value);
  kept = item;
  return Status::success();
}

Answer State::run(const Put& command, const Moment& moment) {
  Spot spot(command.keyspace, command.key);
  look(spot, moment.at);
  if (Status refusal = check_condition(command.condition, spot.item); !refusal.ok()) {
    return refusal;
  }
  if (Status refusal = check_room(command.key.size() + command.value.size()); !refusal.ok()) {
    return refusal;
  }
  Item previous;
  if (command.with_previous && spot.item.found()) {
    if (Status refusal = keep_item(spot.item, previous); !refusal.ok()) {
      return refusal;
    }
  }
  Written written =
      write(spot, command.value, command.lifetime.end(moment.at, spot.item.expires));
  written.previous = previous;
  return written;
}

Answer State::run(const Delete& command, const Moment& moment) {
  Spot spot(command.keyspace, command.key);
  look(spot, moment.at);
  if (Status refusal = check_condition(command.condition, spot.item); !refusal.ok()) {
    return refusal;
  }
  Removed removed;
  if (spot.item.found()) {
    if (command.with_previous) {
      if (Status refusal = keep_item(spot.item, removed.previous); !refusal.ok()) {
        return refusal;
      }
    }
    remove(spot, Change::Kind::kDelete);
    removed.count = 1;
  }
  removed.revision = revision_;
  return removed;
}

Answer State::run(const Touch& command, const Moment& moment) {
  Spot spot(command.keyspace, command.key);
  look(spot, moment.at);
  if (!spot.item.found()) {
    return Status(Code::kNotFound, "no such key");
  }
  const Stamp expires = command.lifetime.end(moment.at, spot.item.expires);
  const bool is_new = touch(spot, expires, command.when);
  return Touched{.count = is_new ? 1u : 0u, .expires = is_new ? expires : spot.item.expires};
}

Answer State::run(const Increment& command, const Moment& moment) {
  Spot spot(command.keyspace, command.key);
  look(spot, moment.at);
  int64_t value = 0;
  if (spot.item.found() && !parse_integer(spot.item.value, value)) {
    return Status(Code::kPreconditionFailed, "value is not an integer or out of range");
  }
  if (__builtin_add_overflow(value, command.delta, &value)) {
    return Status(Code::kPreconditionFailed, "increment or decrement would overflow");
  }
  char text[24];
  const auto end = std::to_chars(text, text + sizeof(text), value).ptr;
  const std::string_view digits(text, static_cast<size_t>(end - text));
  if (Status refusal = check_room(command.key.size() + digits.size()); !refusal.ok()) {
    return refusal;
  }
  const Stamp expires = command.lifetime.end(moment.at, spot.item.expires);
  const Written written = write(spot, digits, expires);
  return Counted{.value = value, .revision = written.revision, .version = written.version};
}

Answer State::run(const Append& command, const Moment& moment) {
  Spot spot(command.keyspace, command.key);
  look(spot, moment.at);
  if (command.value.size() > limits::kValueBytesMax - spot.item.value.size()) {
    return Status(Code::kTooLarge, "the value would be over its limit");
  }
  if (Status refusal = check_room(command.key.size() + command.value.size()); !refusal.ok()) {
    return refusal;
  }
  scratch_.assign(spot.item.value);
  scratch_.append(command.value);
  return write(spot, scratch_, spot.item.expires);
}

Answer State::run(const SetRange& command, const Moment& moment) {
  Spot spot(command.keyspace, command.key);
  look(spot, moment.at);
  const size_t end = static_cast<size_t>(command.offset) + command.value.size();
  ASSERT(end <= limits::kValueBytesMax);
  if (Status refusal = check_room(command.key.size() + end); !refusal.ok()) {
    return refusal;
  }
  scratch_.assign(spot.item.value);
  if (scratch_.size() < end) {
    scratch_.resize(end, '\0');
  }
  scratch_.replace(static_cast<size_t>(command.offset), command.value.size(), command.value);
  return write(spot, scratch_, spot.item.expires);
}

Answer State::run(const PutMany& command, const Moment& moment) {
  size_t bytes = 0;
  for (const PutMany::Item& item : command.items) {
    bytes += item.key.size() + item.value.size();
    if (command.if_all_absent) {
      Spot spot(command.keyspace, item.key);
      look(spot, moment.at);
      if (spot.item.found()) {
        return Status(Code::kAlreadyExists, "one of the keys exists");
      }
    }
  }
  if (Status refusal = check_room(bytes); !refusal.ok()) {
    return refusal;
  }
  const size_t count = command.items.size() - (MUTANT(batch_drops_its_last_item) ? 1 : 0);
  for (size_t at = 0; at < count; ++at) {
    const PutMany::Item& item = command.items[at];
    Spot spot(command.keyspace, item.key);
    look(spot, moment.at);
    write(spot, item.value, item.lifetime.end(moment.at, spot.item.expires));
  }
  return Stored{.count = command.items.size(), .revision = revision_};
}

Answer State::run(const DeleteMany& command, const Moment& moment) {
  Removed removed;
  for (const std::string_view key : command.keys) {
    Spot spot(command.keyspace, key);
    look(spot, moment.at);
    if (spot.item.found()) {
      remove(spot, Change::Kind::kDelete);
      ++removed.count;
    }
  }
  removed.revision = revision_;
  return removed;
}

Answer State::run(const TouchMany& command, const Moment& moment) {
  Touched touched;
  for (const std::string_view key : command.keys) {
    Spot spot(command.keyspace, key);
    look(spot, moment.at);
    if (spot.item.found()) {
      const Stamp expires = command.lifetime.end(moment.at, spot.item.expires);
      touched.count += touch(spot, expires, Touch::When::kAlways) ? 1 : 0;
      touched.expires = expires;
    }
  }
  return touched;
}

Answer State::run(const DeleteRange& command, const Moment& moment) {
  const uint64_t most = command.limit == 0
                            ? limits::kBatchItemsMax
                            : std::min<uint64_t>(command.limit, limits::kBatchItemsMax);
  const TableKey begin(command.keyspace, RecordKind::kKey, command.range.begin);
  Removed removed;
  for (uint64_t passed = 0;; ++passed) {
    const Table::Cursor first = table_.at_or_after(begin.view());
    if (!first.valid() || !first.key().starts_with(begin.prefix())) {
      break;
    }
    const std::string name(first.key().substr(begin.prefix().size()));
    if (!command.range.end.empty() && name >= command.range.end) {
      break;
    }
    if (passed == most) {
      removed.more = true;
      break;
    }
    Spot spot(command.keyspace, name);
    look(spot, moment.at);
    if (spot.item.found()) {
      remove(spot, Change::Kind::kDelete);
      ++removed.count;
    }
  }
  removed.revision = revision_;
  return removed;
}

bool State::holds(const Compare& compare, KeyspaceId keyspace, Stamp at) {
  Spot spot(keyspace, compare.key);
  look(spot, at);
  const Item& item = spot.item;
  switch (compare.what) {
    case Compare::What::kVersion: return relates(compare.relation, item.version, compare.number);
    case Compare::What::kCreated:
      return relates(compare.relation, item.created.value(), compare.number);
    case Compare::What::kModified:
      return relates(compare.relation, item.modified.value(), compare.number);
    case Compare::What::kValue: break;
  }
  return item.found() ? relates(compare.relation, item.value, compare.value)
                      : compare.relation == Compare::Relation::kNotEqual;
}

Answer State::run(const Txn& command, const Moment& moment) {
  TxnDone done;
  done.held = std::all_of(command.compares.begin(), command.compares.end(), [&](const auto& it) {
    return holds(it, command.keyspace, moment.at);
  });
  const std::vector<Txn::Op>& ops = done.held ? command.then : command.otherwise;
  done.answers.reserve(ops.size());
  for (const Txn::Op& op : ops) {
    done.answers.push_back(
        narrow(std::visit([&](const auto& fields) { return run(fields, moment); }, op)));
  }
  done.revision = revision_;
  return done;
}

// A read between the writes of a transaction.
Answer State::run(const Get& query, const Moment& moment) {
  Item item = get(query.keyspace, query.key, moment.at);
  if (!item.found()) {
    return Status(Code::kNotFound, "no such key");
  }
  if (!query.with_value) {
    item.value = {};
  }
  Found found;
  if (Status refusal = keep_item(item, found.item); !refusal.ok()) {
    return refusal;
  }
  return found;
}

Answer State::run(const ExpireDue& command, const Moment& moment) {
  const Stamp through = std::min(command.through, moment.at);
  const uint64_t most = std::min<uint64_t>(command.limit, limits::kExpireItemsMax);
  Expired expired;
  while (expired.count < most && !due_.empty() &&
         (due_.next() <= through || MUTANT(ttl_ignores_stamp_order))) {
    expire_first();
    ++expired.count;
  }
  return expired;
}

void State::expire_first() {
  const std::string key(due_.first_item());
  const TableKeyParts parts = parts_of(key);
  if (parts.kind == RecordKind::kBucket) {
    due_.remove_first();
    const bool was_there = table_.erase(key);
    ASSERT(was_there);
    return;
  }
  Spot spot(parts.keyspace, parts.name);
  spot.place = table_.locate(spot.key.view());
  ASSERT(spot.place.found());
  spot.item = item_of(table_.record(spot.place));
  remove(spot, Change::Kind::kExpire);
}

std::string State::due_command(Stamp now) const {
  std::string bytes;
  kv::encode(kv::Command(ExpireDue{now, limits::kExpireItemsMax}), bytes);
  return bytes;
}

}  // namespace quorate::service::kv
