// SPDX-License-Identifier: Apache-2.0
// Commands on keys. Queries, keyspaces and buckets, indexes, and snapshots stand in state_query.cc,
// state_space.cc, state_index.cc and state_image.cc.
#include "service/kv/state.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/assert.h"
#include "base/limits.h"
#include "base/mutant.h"
#include "service/decimal.h"
#include "service/value/hash_value.h"
#include "service/value/packed.h"

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
    case Condition::Kind::kPresentNoHash:
      if (!item.found()) {
        return Status(Code::kNotFound, "no such key");
      }
      [[fallthrough]];
    case Condition::Kind::kNoHash: return is_hash(item.value) ? wrong_kind() : Status();
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
    case Touch::When::kAlways:
    case Touch::When::kIfNoHash: return true;
    case Touch::When::kIfForever: return before == Stamp::never();
    case Touch::When::kIfEnding: return before != Stamp::never();
    case Touch::When::kIfLater: return after > before;
    case Touch::When::kIfSooner: return after < before;
    case Touch::When::kIfEndingSooner: return before != Stamp::never() && after < before;
  }
  return false;
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
    : table_(options.hash_seed),
      history_(options.history_bytes_max),
      tend_items_(options.tend_items) {}

void State::begin(const Moment& moment) {
  kept_.clear();
  kept_bytes_ = 0;
  at_ = moment.at;
}

Answer State::apply(const Command& command, const Moment& moment) {
  begin(moment);
  return std::visit([&](const auto& fields) { return run(fields, moment); }, command);
}

// A Put goes from bytes to state without the variants of all commands: to make, move and destroy
// those costs as much as the table.
bool State::apply_quickly(std::string_view bytes, const Moment& moment, std::string* answer) {
  Put put;
  if (!decode(bytes, put)) {
    return false;
  }
  begin(moment);
  const Answer said = run(put, moment);
  if (answer != nullptr) {
    kv::encode(said, *answer);
  }
  return true;
}

void State::look(Spot& spot, Stamp at) {
  find(spot, at);
  open(spot);
}

// What has ended goes first, so that the write that follows finds nothing.
void State::find(Spot& spot, Stamp at) {
  if (has_quota_ && due_.next() <= at) {
    make_room(spot.keyspace, at);
  }
  spot.place = table_.locate(spot.key.view());
  if (!spot.place.found()) {
    return;
  }
  read(spot);
  if (spot.item.expires <= at && !MUTANT(ended_keys_are_found)) {
    remove(spot, Change::Kind::kExpire);
  }
}

// Before: something is at the spot's place.
void State::read(Spot& spot) {
  const KeyRecord record = key_record_of(table_.record(spot.place));
  spot.item = record.item;
  spot.stored = record.stored;
  spot.is_packed = record.is_packed;
}

void State::open(Spot& spot) {
  if (spot.is_packed && spot.unpacked.empty()) {
    spot.item = opened({spot.item, spot.stored, spot.is_packed}, spot.unpacked);
  }
}

Item State::opened(const KeyRecord& record, std::string& unpacked) {
  Item item = record.item;
  if (record.is_packed) {
    unpacked.clear();
    const bool is_whole = unpack(record.stored, static_cast<size_t>(item.value_bytes), unpacked);
    ASSERT(is_whole, "write() has packed it");
    item.value = unpacked;
  }
  return item;
}

// Whether the value shall be kept packed; then that is in packed_.
bool State::packs(KeyspaceId keyspace, std::string_view value) {
  const auto space = spaces_.find(keyspace);
  const uint64_t above = space == spaces_.end() ? limits::kKvCompressAboveDefault
                                                : space->second.record.compress_above;
  // A hash changes field by field, and would be packed anew each time.
  return above > 0 && value.size() >= above && value.size() <= limits::kKvCompressBytesMax &&
         !is_hash(value) && pack(value, packed_);
}

int64_t State::saved_by(const Spot& spot) {
  return spot.is_packed ? static_cast<int64_t>(spot.item.value_bytes - spot.stored.size()) : 0;
}

// Before: `value` does not lie in the table. The spot shows the key as it was.
Written State::write(Spot& spot, std::string_view value, Stamp expires) {
  const Item& before = spot.item;
  ++revision_;
  const uint64_t version = before.version + 1;
  const bool is_packed = packs(spot.keyspace, value);
  const std::string_view stored = is_packed ? packed_ : value;
  history_.append(
      {.keyspace = spot.keyspace,
       .change = {.kind = Change::Kind::kPut,
                  .revision = revision_,
                  .key = spot.name,
                  .value = stored,
                  .version = version,
                  .previous = spot.stored,
                  .had_previous = before.found()},
       .packed = {is_packed ? value.size() : 0, spot.is_packed ? before.value_bytes : 0},
       .at = at_,
       .expires = expires});
  set_due(spot.key.view(), before.expires, expires);
  const auto grown = static_cast<int64_t>(value.size()) - static_cast<int64_t>(before.value_bytes);
  const auto saved = static_cast<int64_t>(value.size() - stored.size()) - saved_by(spot);
  if (before.found()) {
    count(spot.keyspace, {0, grown, saved});
  } else {
    count(spot.keyspace, {1, grown + static_cast<int64_t>(spot.name.size()), saved});
  }
  KeyHeader header(before.found() ? before.created : revision_, revision_, version, expires);
  if (is_packed) {
    header.set_packed(value.size());
  }
  plan_entries(spot, value);
  table_.put(spot.place, {header.view(), stored});
  keep_entries();
  return {.revision = revision_, .version = version, .value_bytes = value.size(), .previous = {}};
}

// After: the spot is empty.
void State::remove(Spot& spot, Change::Kind kind) {
  ASSERT(spot.place.found());
  ++revision_;
  history_.append({.keyspace = spot.keyspace,
                   .change = {.kind = kind,
                              .revision = revision_,
                              .key = spot.name,
                              .previous = spot.stored,
                              .had_previous = true},
                   .packed = {0, spot.is_packed ? spot.item.value_bytes : 0},
                   .at = at_});
  set_due(spot.key.view(), spot.item.expires, Stamp::never());
  count(spot.keyspace,
        {-1, -static_cast<int64_t>(spot.name.size() + spot.item.value_bytes), -saved_by(spot)});
  plan_entries(spot, std::nullopt);
  table_.erase(spot.place);
  keep_entries();
  spot.item = {};
  spot.stored = {};
  spot.is_packed = false;
  spot.unpacked.clear();
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
  scratch_.assign(spot.stored);
  set_due(spot.key.view(), item.expires, expires);
  KeyHeader header(item.created, item.modified, item.version, expires);
  if (spot.is_packed) {
    header.set_packed(item.value_bytes);
  }
  table_.put(spot.place, {header.view(), scratch_});
  note(spot.keyspace, {.kind = Change::Kind::kTouch, .key = spot.name, .version = item.version},
       expires);
  return true;
}

void State::note(KeyspaceId keyspace, Change change, Stamp expires) {
  change.revision = ++revision_;
  history_.append({.keyspace = keyspace, .change = change, .at = at_, .expires = expires});
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
  find(spot, moment.at);
  if (command.with_previous || command.condition.kind >= Condition::Kind::kValue) {
    open(spot);
  }
  if (Status refusal = check_condition(command.condition, spot.item); !refusal.ok()) {
    return refusal;
  }
  if (Status refusal = check_write(spot, command.value, moment.at); !refusal.ok()) {
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
  find(spot, moment.at);
  if (command.with_previous || command.condition.kind >= Condition::Kind::kValue) {
    open(spot);
  }
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
  find(spot, moment.at);
  if (!spot.item.found()) {
    return Status(Code::kNotFound, "no such key");
  }
  if (command.when == Touch::When::kIfNoHash) {
    open(spot);
    RETURN_IF_ERROR(is_hash(spot.item.value) ? wrong_kind() : Status());
  }
  const Stamp expires = command.lifetime.end(moment.at, spot.item.expires);
  const bool is_new = touch(spot, expires, command.when);
  return Touched{.count = is_new ? 1u : 0u, .expires = is_new ? expires : spot.item.expires};
}

Answer State::run(const Increment& command, const Moment& moment) {
  Spot spot(command.keyspace, command.key);
  RETURN_IF_ERROR(look_no_hash(spot, moment.at));
  int64_t value = 0;
  if (spot.item.found() && !parse_whole(spot.item.value, value)) {
    return Status(Code::kPreconditionFailed, "value is not an integer or out of range");
  }
  if (__builtin_add_overflow(value, command.delta, &value)) {
    return Status(Code::kPreconditionFailed, "increment or decrement would overflow");
  }
  char text[24];
  const auto end = std::to_chars(text, text + sizeof(text), value).ptr;
  const std::string_view digits(text, static_cast<size_t>(end - text));
  if (Status refusal = check_write(spot, digits, moment.at); !refusal.ok()) {
    return refusal;
  }
  const Stamp expires = command.lifetime.end(moment.at, spot.item.expires);
  const Written written = write(spot, digits, expires);
  return Counted{.value = value, .revision = written.revision, .version = written.version};
}

Answer State::run(const Append& command, const Moment& moment) {
  Spot spot(command.keyspace, command.key);
  RETURN_IF_ERROR(look_no_hash(spot, moment.at));
  if (command.value.size() > limits::kValueBytesMax - spot.item.value.size()) {
    return Status(Code::kTooLarge, "the value would be over its limit");
  }
  scratch_.assign(spot.item.value);
  scratch_.append(command.value);
  return write_grown(spot, moment.at);
}

Answer State::run(const SetRange& command, const Moment& moment) {
  Spot spot(command.keyspace, command.key);
  RETURN_IF_ERROR(look_no_hash(spot, moment.at));
  const size_t end = static_cast<size_t>(command.offset) + command.value.size();
  ASSERT(end <= limits::kValueBytesMax);
  scratch_.assign(spot.item.value);
  if (scratch_.size() < end) {
    scratch_.resize(end, '\0');
  }
  scratch_.replace(static_cast<size_t>(command.offset), command.value.size(), command.value);
  return write_grown(spot, moment.at);
}

Answer State::run(const AddDecimal& command, const Moment& moment) {
  Spot spot(command.keyspace, command.key);
  RETURN_IF_ERROR(look_no_hash(spot, moment.at));
  Decimal value;
  Decimal delta;
  const bool is_number = Decimal::parse(command.delta, delta);
  ASSERT(is_number, "validate() has read it");
  if (spot.item.found() && !Decimal::parse(spot.item.value, value)) {
    return Status(Code::kPreconditionFailed, "value is not a valid float");
  }
  if (!value.add(delta)) {
    return Status(Code::kPreconditionFailed, "increment would produce NaN or Infinity");
  }
  const std::string text = value.text();
  if (Status refusal = check_write(spot, text, moment.at); !refusal.ok()) {
    return refusal;
  }
  const Item before = spot.item;
  const Written written = write(spot, text, before.expires);
  Found found;
  const Item now{.key = {},
                 .value = text,
                 .version = written.version,
                 .created = before.found() ? before.created : written.revision,
                 .modified = written.revision,
                 .expires = before.expires,
                 .value_bytes = text.size()};
  if (Status refusal = keep_item(now, found.item); !refusal.ok()) {
    return refusal;
  }
  return found;
}

Answer State::run(const Copy& command, const Moment& moment) {
  // In this order: to remove an ended target may move the record that the source's value lies in.
  Spot target(command.keyspace, command.target);
  find(target, moment.at);
  Spot source(command.keyspace, command.key);
  look(source, moment.at);
  if (!source.item.found()) {
    return Status(Code::kNotFound, "no such key");
  }
  if (target.item.found() && command.if_absent) {
    return Status(Code::kAlreadyExists, "the target exists");
  }
  if (command.key == command.target) {
    return Written{.revision = revision_,
                   .version = source.item.version,
                   .value_bytes = source.item.value_bytes,
                   .previous = {}};
  }
  scratch_.assign(source.item.value);  // the table moves what lies in it
  const std::string_view leaves = command.moves ? command.key : std::string_view();
  if (Status refusal = check_write(target, scratch_, moment.at, leaves); !refusal.ok()) {
    return refusal;
  }
  const Written written = write(target, scratch_, source.item.expires);
  if (command.moves) {
    Spot moved(command.keyspace, command.key);
    find(moved, moment.at);
    remove(moved, Change::Kind::kDelete);
  }
  return written;
}

Answer State::run(const PutMany& command, const Moment& moment) {
  if (Status refusal = check_many(command, moment.at); !refusal.ok()) {
    return refusal;
  }
  const size_t count = command.items.size() - (MUTANT(batch_drops_its_last_item) ? 1 : 0);
  for (size_t at = 0; at < count; ++at) {
    const PutMany::Item& item = command.items[at];
    Spot spot(command.keyspace, item.key);
    find(spot, moment.at);
    write(spot, item.value, item.lifetime.end(moment.at, spot.item.expires));
  }
  return Stored{.count = command.items.size(), .revision = revision_};
}

Answer State::run(const DeleteMany& command, const Moment& moment) {
  Removed removed;
  for (const std::string_view key : command.keys) {
    Spot spot(command.keyspace, key);
    find(spot, moment.at);
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
    find(spot, moment.at);
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
    find(spot, moment.at);
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
  find(spot, at);
  const Item& item = spot.item;
  switch (compare.what) {
    case Compare::What::kVersion: return relates(compare.relation, item.version, compare.number);
    case Compare::What::kCreated:
      return relates(compare.relation, item.created.value(), compare.number);
    case Compare::What::kModified:
      return relates(compare.relation, item.modified.value(), compare.number);
    case Compare::What::kValue: open(spot); break;
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
  const KeyRecord record = find_key(query.keyspace, query.key, moment.at);
  if (!record.item.found()) {
    return Status(Code::kNotFound, "no such key");
  }
  std::string unpacked;
  Item item = query.with_value ? opened(record, unpacked) : record.item;
  if (!query.with_value) {
    item.value = {};
  }
  Found found;
  if (Status refusal = keep_item(item, found.item); !refusal.ok()) {
    return refusal;
  }
  return found;
}

}  // namespace quorate::service::kv
