// SPDX-License-Identifier: Apache-2.0
// Keyspaces: what they hold, what they may hold, and how they go; what ends in them; and the token
// buckets that stand in them beside the keys.
//
// Buckets count in integers: a token is a million micro-tokens, and what a refill leaves over in
// its division is carried, so that a bucket asked a million times a second gains exactly as much as
// one asked once. A refused request changes nothing: the refill counts from the last grant.
#include <algorithm>

#include "base/assert.h"
#include "base/limits.h"
#include "base/mutant.h"
#include "service/kv/state.h"

namespace quorate::service::kv {
namespace {

bool has_quota(const SpaceRecord& record) { return record.keys_max > 0 || record.bytes_max > 0; }

using Wide = unsigned __int128;
constexpr uint64_t kMicro = 1'000'000;
constexpr int64_t kWaitMicrosMax = limits::kTtlMillisMax * 1'000;
// Ends are rounded up to this, so that a busy bucket seldom moves in the order of expiry.
constexpr int64_t kEndStepMicros = 1'000'000;

uint64_t period_of(const RateLimit& command) {
  ASSERT(command.period.micros() > 0);
  return static_cast<uint64_t>(command.period.micros());
}

void refill(Bucket& bucket, const RateLimit& command, Stamp at) {
  const uint64_t full = command.burst * kMicro;
  const uint64_t period = period_of(command);
  const Duration elapsed = std::max(at - bucket.filled_at, Duration());
  const Wide carried = bucket.remainder < period ? bucket.remainder : 0;
  const Wide gained =
      static_cast<Wide>(elapsed.micros()) * (command.tokens * kMicro) + carried;
  const Wide sum = bucket.micro_tokens + gained / period;
  bucket.filled_at = std::max(at, bucket.filled_at);
  bucket.micro_tokens = static_cast<uint64_t>(std::min<Wide>(sum, full));
  bucket.remainder = sum >= full ? 0 : static_cast<uint64_t>(gained % period);
}

// How long until the bucket holds so much, rounded up.
Duration wait_for(const Bucket& bucket, const RateLimit& command, uint64_t micro_tokens) {
  if (bucket.micro_tokens >= micro_tokens) {
    return {};
  }
  const Wide lacking =
      static_cast<Wide>(micro_tokens - bucket.micro_tokens) * period_of(command) - bucket.remainder;
  const Wide per_micro = command.tokens * kMicro;
  const Wide micros = (lacking + per_micro - 1) / per_micro;
  return Duration::micros(static_cast<int64_t>(std::min<Wide>(micros, kWaitMicrosMax)));
}

Stamp rounded_up(Stamp end) {
  return Stamp::from_micros((end.micros() / kEndStepMicros + 1) * kEndStepMicros);
}

}  // namespace

void State::count(KeyspaceId keyspace, const Amount& grown) {
  Space& space = spaces_[keyspace];
  space.keys += static_cast<uint64_t>(grown.keys);
  space.bytes += static_cast<uint64_t>(grown.bytes);
  space.saved += static_cast<uint64_t>(grown.saved);
  if (space.keys == 0) {
    ASSERT(space.bytes == 0 && space.saved == 0);
    forget_if_empty(keyspace);
  }
}

void State::forget_if_empty(KeyspaceId keyspace) {
  const auto found = spaces_.find(keyspace);
  if (found != spaces_.end() && found->second.keys == 0 && !found->second.has_record &&
      found->second.indexes.empty()) {
    spaces_.erase(found);
  }
}

Status State::check_room(KeyspaceId keyspace, uint64_t keys, int64_t bytes) const {
  const uint64_t grown = bytes > 0 ? static_cast<uint64_t>(bytes) : 0;
  if (table_.bytes() + grown > limits::kKvBytesMax) {
    return Status(Code::kQuotaExceeded, "the group holds as many bytes as it may");
  }
  const auto found = spaces_.find(keyspace);
  if (found == spaces_.end() || !found->second.has_record) {
    return Status::success();
  }
  const Space& space = found->second;
  if (space.record.fate != SpaceRecord::Fate::kLives) {
    return Status(Code::kNotFound, "the keyspace was dropped");
  }
  const bool is_full = space.keys + keys > space.record.keys_max && !MUTANT(quota_of_keys_unasked);
  if (keys > 0 && space.record.keys_max > 0 && is_full) {
    return Status(Code::kQuotaExceeded, "the keyspace holds as many keys as it may");
  }
  if (grown > 0 && space.record.bytes_max > 0 && space.bytes + grown > space.record.bytes_max) {
    return Status(Code::kQuotaExceeded, "the keyspace holds as many bytes as it may");
  }
  return Status::success();
}

Status State::check_room(const Spot& spot, size_t value_bytes) const {
  const Item& item = spot.item;
  const auto grown = static_cast<int64_t>(value_bytes) - static_cast<int64_t>(item.value_bytes);
  return item.found()
             ? check_room(spot.keyspace, 0, grown)
             : check_room(spot.keyspace, 1, grown + static_cast<int64_t>(spot.name.size()));
}

Status State::check_write(const Spot& spot, std::string_view value, Stamp at,
                          std::string_view besides) const {
  RETURN_IF_ERROR(check_room(spot, value.size()));
  return check_unique(spot, value, at, besides);
}

// What has ended must not count against a quota, whenever the leader's command comes; as far as one
// command may do it.
void State::make_room(KeyspaceId keyspace, Stamp at) {
  const auto found = spaces_.find(keyspace);
  if (found == spaces_.end() || !has_quota(found->second.record)) {
    return;
  }
  for (size_t left = limits::kExpireItemsMax; left > 0 && due_.next() <= at; --left) {
    expire_first();
  }
}

void State::find_quotas() {
  has_quota_ = std::any_of(spaces_.begin(), spaces_.end(),
                           [](const auto& space) { return has_quota(space.second.record); });
}

// All or nothing, so everything is asked before anything is done. A key that stands twice in the
// batch counts twice, which only matters at the very edge of a quota.
Status State::check_many(const PutMany& command, Stamp at) {
  uint64_t keys = 0;
  int64_t bytes = 0;
  const bool looks = command.if_all_absent || spaces_.contains(command.keyspace);
  for (const PutMany::Item& item : command.items) {
    ++keys;
    bytes += static_cast<int64_t>(item.key.size() + item.value.size());
    if (!looks) {
      continue;
    }
    Spot spot(command.keyspace, item.key);
    find(spot, at);
    if (!spot.item.found()) {
      continue;
    }
    if (command.if_all_absent) {
      return Status(Code::kAlreadyExists, "one of the keys exists");
    }
    --keys;
    bytes -= static_cast<int64_t>(item.key.size() + spot.item.value_bytes);
  }
  RETURN_IF_ERROR(check_room(command.keyspace, keys, bytes));
  return check_unique(command, at);
}

void State::put_space(KeyspaceId keyspace, const SpaceRecord& record) {
  Space& space = spaces_[keyspace];
  space.has_record = true;
  space.record = record;
  table_.put(table_.locate(TableKey(keyspace, RecordKind::kSpace, kSpaceName).view()),
             {encode_space(record), {}});
  find_quotas();
}

// The same settings may come again and again, and late: whoever sets them out repeats itself until
// every group has answered.
Answer State::run(const SetKeyspace& command, const Moment&) {
  const auto found = spaces_.find(command.keyspace);
  const SpaceRecord before = found == spaces_.end() ? SpaceRecord{} : found->second.record;
  if (before.fate != SpaceRecord::Fate::kLives) {
    return Status(Code::kNotFound, "the keyspace was dropped");
  }
  if (command.revision <= before.revision) {
    return Settled{};
  }
  SpaceRecord record = before;
  record.revision = command.revision;
  record.keys_max = command.keys_max;
  record.bytes_max = command.bytes_max;
  put_space(command.keyspace, record);
  note(command.keyspace, {.kind = Change::Kind::kSettle, .version = command.revision});
  return Settled{1};
}

// Of the values that are written from now on; what lies there stays as it is.
Answer State::run(const SetCompression& command, const Moment&) {
  const auto found = spaces_.find(command.keyspace);
  SpaceRecord record = found == spaces_.end() ? SpaceRecord{} : found->second.record;
  if (record.fate != SpaceRecord::Fate::kLives) {
    return Status(Code::kNotFound, "the keyspace was dropped");
  }
  if (command.revision <= record.compress_revision) {
    return Settled{};
  }
  record.compress_revision = command.revision;
  record.compress_above = command.above;
  put_space(command.keyspace, record);
  note(command.keyspace, {.kind = Change::Kind::kSettle, .version = command.revision});
  return Settled{1};
}

// Its record stays for ever: a few bytes that refuse a write which was under way.
Answer State::run(const DropKeyspace& command, const Moment&) {
  const auto found = spaces_.find(command.keyspace);
  SpaceRecord record = found == spaces_.end() ? SpaceRecord{} : found->second.record;
  if (record.fate != SpaceRecord::Fate::kLives) {
    return Settled{};
  }
  record.fate = SpaceRecord::Fate::kIsRemoved;
  put_space(command.keyspace, record);
  for (Index& index : spaces_.at(command.keyspace).indexes) {
    index.record.stage = IndexStage::kDropping;  // no key takes care of its entries any more
    put_index(command.keyspace, index);
  }
  tending_.insert(command.keyspace);
  note(command.keyspace, {.kind = Change::Kind::kDrop});
  return Settled{1};
}

Answer State::run(const Tend& command, const Moment& moment) {
  const uint64_t most = std::min<uint64_t>(command.limit, limits::kExpireItemsMax);
  uint64_t left = most;
  while (left > 0 && !tending_.empty()) {
    const KeyspaceId keyspace = *tending_.begin();
    const auto found = spaces_.find(keyspace);
    const bool is_dropped =
        found != spaces_.end() && found->second.record.fate == SpaceRecord::Fate::kIsRemoved;
    if (is_dropped ? tend_dropped(keyspace, left) : tend_indexes(keyspace, moment.at, left)) {
      tending_.erase(keyspace);
    }
  }
  return Settled{most - left};
}

// Removes keys, buckets, fences and indexes of a keyspace; true if none is left.
bool State::tend_dropped(KeyspaceId keyspace, uint64_t& left) {
  const TableKey begins[] = {{keyspace, RecordKind::kKey, {}},
                             {keyspace, RecordKind::kBucket, {}},
                             {keyspace, RecordKind::kSpace, {&kMark, 1}},
                             {keyspace, RecordKind::kIndex, {}}};
  for (const TableKey& begin : begins) {
    for (;; --left) {
      const Table::Cursor first = table_.at_or_after(begin.view());
      if (!first.valid() || !first.key().starts_with(begin.view())) {
        break;
      }
      if (left == 0) {
        return false;
      }
      const std::string key(first.key());
      if (&begin != &begins[0]) {
        set_due(key, end_of(key, first.record()), Stamp::never());
        const bool was_there = table_.erase(key);
        ASSERT(was_there);
        continue;
      }
      Spot spot(keyspace, std::string_view(key).substr(begin.prefix().size()));
      spot.place = table_.locate(spot.key.view());
      read(spot);
      remove(spot, Change::Kind::kDelete);
    }
  }
  if (left == 0) {
    return false;  // the record below is a step of its own
  }
  --left;
  Space& space = spaces_.at(keyspace);
  space.indexes.clear();
  find_indexes();
  SpaceRecord record = space.record;
  record.fate = SpaceRecord::Fate::kRemoved;
  put_space(keyspace, record);
  return true;
}

// ---- ends ---------------------------------------------------------------------------------------

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
  if (parts.kind != RecordKind::kKey) {
    due_.remove_first();
    const bool was_there = table_.erase(key);
    ASSERT(was_there);
    return;
  }
  Spot spot(parts.keyspace, parts.name);
  spot.place = table_.locate(spot.key.view());
  ASSERT(spot.place.found());
  read(spot);
  remove(spot, Change::Kind::kExpire);
}

// Ends first: they were promised for a time, the rest only for soon.
std::string State::due_command(Stamp now) const {
  std::string bytes;
  if (due_.next() <= now || tending_.empty()) {
    kv::encode(kv::Command(ExpireDue{now, limits::kExpireItemsMax}), bytes);
  } else {
    kv::encode(kv::Command(Tend{tend_items_}), bytes);
  }
  return bytes;
}

// ---- buckets -----------------------------------------------------------------------------------

Answer State::run(const RateLimit& command, const Moment& moment) {
  if (Status refusal = check_room(command.keyspace, 0, 0); !refusal.ok()) {
    return refusal;
  }
  const TableKey key(command.keyspace, RecordKind::kBucket, command.name);
  const Table::Place place = table_.locate(key.view());
  const Bucket before = place.found() ? bucket_of(table_.record(place)) : Bucket{};
  Bucket bucket = before;
  if (place.found()) {
    refill(bucket, command, moment.at);
  } else {
    bucket = {Stamp::never(), moment.at, command.burst * kMicro, 0};
  }
  Rated rated;
  const uint64_t cost = command.cost * kMicro;
  rated.allowed = bucket.micro_tokens >= cost;
  if (rated.allowed) {
    bucket.micro_tokens -= cost;
  }
  rated.tokens_left = bucket.micro_tokens / kMicro;
  rated.retry_after = rated.allowed ? Duration() : wait_for(bucket, command, cost);
  rated.full_after = wait_for(bucket, command, command.burst * kMicro);
  if (!rated.allowed || cost == 0 || MUTANT(bucket_forgets)) {
    return rated;
  }
  bucket.end = rounded_up(moment.at + rated.full_after);
  set_due(key.view(), place.found() ? before.end : Stamp::never(), bucket.end);
  table_.put(place, {encode_bucket(bucket), {}});
  return rated;
}

}  // namespace quorate::service::kv
