// SPDX-License-Identifier: Apache-2.0
// The limits of commands and queries, in one place: asked by the machine for each command that it
// decodes, and by the api before it sends one.
#include <limits>

#include "base/assert.h"
#include "base/limits.h"
#include "service/kv/commands.h"

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

Status check_value(std::string_view value) {
  return value.size() <= limits::kValueBytesMax
             ? Status::success()
             : Status(Code::kTooLarge, "a value is over its limit");
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
    }
  }
  return Status::success();
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

}  // namespace

Status validate(const Command& command) {
  return std::visit([](const auto& fields) { return check(fields); }, command);
}

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

}  // namespace quorate::service::kv
