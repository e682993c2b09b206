// SPDX-License-Identifier: Apache-2.0
// The limits of commands and queries, in one place: asked by the machine for each command that it
// decodes, and by the api before it sends one.
#include <limits>

#include "base/assert.h"
#include "base/limits.h"
#include "service/decimal.h"
#include "service/kv/commands.h"
#include "service/value/hash_value.h"
#include "service/value/json_field.h"
#include "service/verb/fields.h"

namespace quorate::service::kv {
namespace {

constexpr int64_t kTtlMicrosMax = limits::kTtlMillisMax * 1'000;
// The greatest bucket whose micro-tokens, and their refill over the longest period, fit 128 bits.
constexpr uint64_t kTokensMax = 1'000'000'000'000;

Status invalid(const char* message) { return Status(Code::kInvalidArgument, message); }

Status check_keyspace(KeyspaceId keyspace) {
  return keyspace.value() <= limits::kKeyspacesMax ? Status::success()
                                                   : invalid("a keyspace number is too great");
}

Status check_key(std::string_view key) {
  if (key.empty()) {
    return invalid("a key is not empty");
  }
  if (key.size() > limits::kKeyBytesMax) {
    return Status(Code::kTooLarge, "a key is over its limit");
  }
  return Status::success();
}

// An image may be put where it was taken from a backup; nothing else begins as one.
Status check_value(std::string_view value) {
  if (value.size() > limits::kValueBytesMax) {
    return Status(Code::kTooLarge, "a value is over its limit");
  }
  return !is_hash(value) || (value.size() <= limits::kKvHashBytesMax && is_hash_image(value))
             ? Status::success()
             : invalid("the value begins as the image of a hash, and is none");
}

Status check_lifetime(const Lifetime& lifetime) {
  if (lifetime.kind() == Lifetime::Kind::kFor &&
      (lifetime.micros() <= 0 || lifetime.micros() > kTtlMicrosMax)) {
    return invalid("a time to live is positive and no longer than a hundred years");
  }
  if (lifetime.kind() == Lifetime::Kind::kUntil &&
      (lifetime.micros() < 0 || lifetime.micros() == Stamp::never().micros())) {
    return invalid("an end is a time since 1970");
  }
  return Status::success();
}

Status check_batch(size_t items) {
  if (items == 0) {
    return invalid("a batch is not empty");
  }
  return items <= limits::kBatchItemsMax ? Status::success()
                                         : Status(Code::kTooLarge, "a batch is over its limit");
}

Status check_keys(const std::vector<std::string_view>& keys) {
  RETURN_IF_ERROR(check_batch(keys.size()));
  for (const std::string_view key : keys) {
    RETURN_IF_ERROR(check_key(key));
  }
  return Status::success();
}

Status check_range(const Range& range) {
  constexpr size_t kMost = limits::kKeyBytesMax + 1;   // a walk goes on just behind a key
  if (range.begin.size() > kMost || range.end.size() > kMost) {
    return Status(Code::kTooLarge, "the end of a range is over the limit of a key");
  }
  return Status::success();
}

template <class Single>
Status check_single(const Single& single) {
  RETURN_IF_ERROR(check_keyspace(single.keyspace));
  return check_key(single.key);
}

Status check(const Get& get) { return check_single(get); }

Status check(const Put& put) {
  RETURN_IF_ERROR(check_single(put));
  RETURN_IF_ERROR(check_value(put.value));
  return check_lifetime(put.lifetime);
}

Status check(const Delete& command) { return check_single(command); }

Status check(const Touch& touch) {
  RETURN_IF_ERROR(check_single(touch));
  return check_lifetime(touch.lifetime);
}

Status check(const Increment& increment) {
  RETURN_IF_ERROR(check_single(increment));
  return check_lifetime(increment.lifetime);
}

Status check(const Append& append) {
  RETURN_IF_ERROR(check_single(append));
  return check_value(append.value);
}

Status check(const SetRange& command) {
  RETURN_IF_ERROR(check_single(command));
  if (command.offset > limits::kValueBytesMax ||
      command.value.size() > limits::kValueBytesMax - command.offset) {
    return Status(Code::kTooLarge, "a value is over its limit");
  }
  return Status::success();
}

Status check(const Copy& command) {
  RETURN_IF_ERROR(check_single(command));
  return check_key(command.target);
}

Status check(const AddDecimal& command) {
  Decimal delta;
  RETURN_IF_ERROR(check_single(command));
  return Decimal::parse(command.delta, delta) ? Status::success()
                                              : invalid("value is not a valid float");
}

Status check_words(const std::vector<std::string_view>& words) {
  size_t bytes = 0;
  for (const std::string_view word : words) {
    bytes += word.size();
  }
  return bytes <= limits::kKvHashBytesMax ? Status::success()
                                          : Status(Code::kTooLarge, "a hash is over its limit");
}

Status check(const HashRead& query) {
  RETURN_IF_ERROR(check_single(query));
  RETURN_IF_ERROR(check_words(query.words));
  if (query.verb == HashRead::Verb::kMatching) {
    return query.words.size() == 1 && query.words[0].size() <= limits::kKvHashPatternBytesMax
               ? Status::success()
               : Status(Code::kTooLarge, "a pattern of fields is over its limit");
  }
  return query.words.empty() == (query.verb != HashRead::Verb::kFields)
             ? Status::success()
             : invalid("the fields that are asked for have names");
}

Status check(const HashWrite& command) {
  using Verb = HashWrite::Verb;
  RETURN_IF_ERROR(check_single(command));
  RETURN_IF_ERROR(check_words(command.words));
  const size_t count = command.words.size();
  const bool is_list = command.verb == Verb::kDelete;
  const bool is_any_pairs = command.verb == Verb::kPut && count % 2 == 0;
  if (count == 0 || (!is_list && !is_any_pairs && count != 2)) {
    return invalid("fields of a hash come with a value each");
  }
  int64_t whole = 0;
  Decimal decimal;
  if (command.verb == Verb::kAdd && !parse_whole(command.words[1], whole)) {
    return invalid("value is not an integer or out of range");
  }
  if (command.verb == Verb::kAddDecimal && !Decimal::parse(command.words[1], decimal)) {
    return invalid("value is not a valid float");
  }
  return Status::success();
}

Status check(const PutMany& command) {
  RETURN_IF_ERROR(check_keyspace(command.keyspace));
  RETURN_IF_ERROR(check_batch(command.items.size()));
  for (const PutMany::Item& item : command.items) {
    RETURN_IF_ERROR(check_key(item.key));
    RETURN_IF_ERROR(check_value(item.value));
    RETURN_IF_ERROR(check_lifetime(item.lifetime));
  }
  return Status::success();
}

Status check(const DeleteMany& command) {
  RETURN_IF_ERROR(check_keyspace(command.keyspace));
  return check_keys(command.keys);
}

Status check(const TouchMany& command) {
  RETURN_IF_ERROR(check_keyspace(command.keyspace));
  RETURN_IF_ERROR(check_lifetime(command.lifetime));
  return check_keys(command.keys);
}

Status check(const DeleteRange& command) {
  RETURN_IF_ERROR(check_keyspace(command.keyspace));
  return check_range(command.range);
}

Status check(const Txn& txn) {
  RETURN_IF_ERROR(check_keyspace(txn.keyspace));
  RETURN_IF_ERROR(check_batch(txn.compares.size() + txn.then.size() + txn.otherwise.size()));
  for (const Compare& compare : txn.compares) {
    RETURN_IF_ERROR(check_key(compare.key));
  }
  for (const auto* ops : {&txn.then, &txn.otherwise}) {
    for (const Txn::Op& op : *ops) {
      RETURN_IF_ERROR(std::visit([](const auto& fields) { return check(fields); }, op));
      if (std::visit([](const auto& fields) { return fields.keyspace; }, op) != txn.keyspace) {
        return invalid("the operations of a transaction are of its keyspace");
      }
    }
  }
  return Status::success();
}

Status check(const Fenced& command) {
  RETURN_IF_ERROR(check_fence(command.fence));
  return std::visit([](const auto& fields) { return check(fields); }, command.op);
}

Status check(const RateLimit& command) {
  RETURN_IF_ERROR(check_keyspace(command.keyspace));
  RETURN_IF_ERROR(check_key(command.name));
  if (command.period.micros() <= 0 || command.period.millis() > limits::kTtlMillisMax) {
    return invalid("the period of a bucket is positive and no longer than a hundred years");
  }
  if (command.burst == 0 || command.tokens == 0 || command.burst > kTokensMax ||
      command.tokens > kTokensMax) {
    return invalid("a bucket holds and gains between one and 10^12 tokens");
  }
  if (command.cost > command.burst) {
    return invalid("a bucket never holds as many tokens as are asked for");
  }
  return Status::success();
}

Status check(const ExpireDue&) { return Status::success(); }
Status check(const Tend&) { return Status::success(); }
Status check(const SetKeyspace& command) { return check_keyspace(command.keyspace); }

Status check(const SetCompression& command) {
  return command.revision == 0 ? invalid("the revisions of settings begin with 1")
                               : check_keyspace(command.keyspace);
}

Status check(const DropKeyspace& command) {
  return command.keyspace.none() ? invalid("the default keyspace stays")
                                 : check_keyspace(command.keyspace);
}

Status check_index_name(std::string_view name) {
  return !name.empty() && name.size() <= limits::kNameBytesMax
             ? Status::success()
             : invalid("the name of an index has 1 to 255 bytes");
}

Status check(const CreateIndex& command) {
  RETURN_IF_ERROR(check_keyspace(command.keyspace));
  RETURN_IF_ERROR(check_index_name(command.index));
  return check_path(command.path);
}

Status check(const DropIndex& command) {
  RETURN_IF_ERROR(check_keyspace(command.keyspace));
  return check_index_name(command.index);
}

Status check(const Find& query) {
  constexpr size_t kPlaceBytesMax = limits::kKvIndexedBytesMax + limits::kKeyBytesMax + 1;
  RETURN_IF_ERROR(check_keyspace(query.keyspace));
  RETURN_IF_ERROR(check_index_name(query.index));
  for (const std::string_view place : {query.begin, query.end, query.after}) {
    if (place.size() > kPlaceBytesMax) {
      return Status(Code::kTooLarge, "a place in an index is over its limit");
    }
  }
  return Status::success();
}

Status check(const Indexes& query) { return check_keyspace(query.keyspace); }

Status check(const GetMany& query) {
  RETURN_IF_ERROR(check_keyspace(query.keyspace));
  return check_keys(query.keys);
}

Status check(const Scan& scan) {
  RETURN_IF_ERROR(check_keyspace(scan.keyspace));
  return check_range(scan.range);
}

Status check(const Changes& query) {
  RETURN_IF_ERROR(check_keyspace(query.keyspace));
  return query.prefix.size() <= limits::kKeyBytesMax
             ? Status::success()
             : Status(Code::kTooLarge, "a prefix is over the limit of a key");
}

Status check(const Stats& query) { return check_keyspace(query.keyspace); }

Status check(const Trail&) { return Status::success(); }

Status check(const Dump& query) {
  constexpr size_t kTableKeyBytesMax = limits::kKeyBytesMax + limits::kKvIndexedBytesMax + 16;
  return query.after.size() <= kTableKeyBytesMax ? Status::success()
                                                 : invalid("this is where no page ended");
}

constexpr size_t kSinglesCount = 6;  // Put to SetRange: they begin with keyspace and key
static_assert(std::is_same_v<std::variant_alternative_t<0, Command>, Put>);
static_assert(std::is_same_v<std::variant_alternative_t<kSinglesCount - 1, Command>, SetRange>);

}  // namespace

Status validate(const Command& command) {
  return std::visit([](const auto& fields) { return check(fields); }, command);
}

Status validate(const Put& put) { return check(put); }

Status validate(const Query& query) {
  return std::visit([](const auto& fields) { return check(fields); }, query);
}

Stamp Lifetime::end(Stamp at, Stamp current) const {
  switch (kind_) {
    case Kind::kForever: return Stamp::never();
    case Kind::kKeep: return current;
    case Kind::kUntil: return Stamp::from_micros(micros_);
    case Kind::kFor: break;
  }
  const int64_t most = Stamp::never().micros() - 1 - micros_;
  return Stamp::from_micros(std::min(at.micros(), most) + micros_);
}

std::string prefix_end(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && static_cast<uint8_t>(end.back()) == 0xff) {
    end.pop_back();
  }
  if (!end.empty()) {
    end.back() = static_cast<char>(static_cast<uint8_t>(end.back()) + 1);
  }
  return end;
}

bool decode(std::string_view bytes, Put& put) {
  Reader reader(bytes);
  if (reader.u8() != kVerbVersion << kVerbBits) {
    return false;
  }
  read_fields(reader, put);
  return reader.done() && validate(put).ok();
}

bool decode_key(std::string_view bytes, KeyspaceId& keyspace, std::string_view& key) {
  Reader reader(bytes);
  const uint8_t tag = reader.u8();
  if (tag >> kVerbBits != kVerbVersion || (tag & kVerbMask) >= kSinglesCount) {
    return false;
  }
  keyspace = reader.id<KeyspaceId>();
  key = reader.bytes();
  return reader.ok() && key.size() <= limits::kKeyBytesMax;
}

}  // namespace quorate::service::kv
