// SPDX-License-Identifier: Apache-2.0
// Token buckets, in integers: a token is a million micro-tokens, and what a refill leaves over in
// its division is carried, so that a bucket asked a million times a second gains exactly as much as
// one asked once. A refused request changes nothing: the refill counts from the last grant.
#include <algorithm>

#include "base/assert.h"
#include "base/limits.h"
#include "service/kv/state.h"

namespace quorate::service::kv {
namespace {

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

Answer State::run(const RateLimit& command, const Moment& moment) {
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
  if (!rated.allowed || cost == 0) {
    return rated;
  }
  const std::string_view name = command.name;
  if (Status refusal = check_room(name.size() + sizeof(Bucket)); !refusal.ok()) {
    return refusal;
  }
  bucket.end = rounded_up(moment.at + rated.full_after);
  set_due(key.view(), place.found() ? before.end : Stamp::never(), bucket.end);
  table_.put(place, {encode_bucket(bucket), {}});
  return rated;
}

}  // namespace quorate::service::kv
