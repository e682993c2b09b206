// SPDX-License-Identifier: Apache-2.0
#include "node/forward.h"

#include <algorithm>

#include "base/codec.h"
#include "base/limits.h"

namespace quorate::node {
namespace {

constexpr uint8_t kVersion = 1;
constexpr Duration kRetryPause = Duration::millis(20);
constexpr uint32_t kImmediateRetries = 3;

// A group's answer that only means "ask elsewhere or a little later"; nothing was done.
bool may_try_again(Code code) { return code == Code::kNotLeader || code == Code::kUnavailable; }

// The group answers a repeat of it from its table.
bool deduplicated(const Forwarded& request) {
  return !request.session.none() || !request.key.none();
}

}  // namespace

std::string encode_request(const Forwarded& request, Duration left) {
  std::string bytes;
  bytes.reserve(request.body.size() + 40);
  Writer writer(bytes);
  writer.u8(kVersion);
  writer.u8(static_cast<uint8_t>(request.kind));
  writer.id(request.group);
  writer.u8(static_cast<uint8_t>(request.service));
  writer.id(request.session);
  writer.varint(request.sequence);
  writer.raw(request.key.view());
  writer.u8(static_cast<uint8_t>(request.mode.consistency));
  writer.varint(static_cast<uint64_t>(request.mode.bound.micros()));
  writer.varint(static_cast<uint64_t>(std::max<int64_t>(left.micros(), 1)));
  writer.bytes(request.body);
  return bytes;
}

Result<Forwarded> decode_request(std::string_view bytes, Instant now) {
  constexpr uint64_t kMicrosMax = uint64_t{24} * 3600 * 1'000'000;
  Reader reader(bytes);
  Forwarded request;
  const bool version_known = reader.u8() == kVersion;
  const uint8_t kind = reader.u8();
  request.kind = static_cast<ForwardKind>(kind);
  request.group = reader.id<GroupId>();
  const uint8_t service = reader.u8();
  request.service = static_cast<service::ServiceId>(service);
  request.session = reader.id<SessionId>();
  request.sequence = reader.varint();
  const std::string_view key = reader.raw(service::CommandKey::kBytes);
  const uint8_t consistency = reader.u8();
  request.mode.consistency = static_cast<service::Consistency>(consistency);
  const uint64_t bound = reader.varint();
  const uint64_t left = reader.varint();
  request.body = std::string(reader.bytes());
  const bool sane = version_known && (kind == 1 || kind == 2) && service < service::kServicesMax &&
                    consistency <= static_cast<uint8_t>(service::Consistency::kEventual) &&
                    bound <= kMicrosMax && left <= kMicrosMax;
  if (!reader.done() || !sane) {
    return Status(Code::kCorrupted, "a forwarded request cannot be read");
  }
  request.key = service::CommandKey::from_bytes(key);
  request.mode.bound = Duration::micros(static_cast<int64_t>(bound));
  request.deadline = now + Duration::micros(static_cast<int64_t>(left));
  return request;
}

std::string encode_answer(const ForwardAnswer& answer) {
  std::string bytes;
  bytes.reserve(answer.answer.size() + answer.status.message().size() + 40);
  Writer writer(bytes);
  writer.u8(kVersion);
  writer.u8(static_cast<uint8_t>(answer.status.code()));
  writer.bytes(answer.status.message());
  writer.id(answer.leader);
  writer.id(answer.origin.group);
  writer.id(answer.origin.index);
  writer.varint(static_cast<uint64_t>(answer.origin.staleness.nanos()));
  writer.id(answer.origin.node);
  writer.bytes(answer.answer);
  return bytes;
}

Result<ForwardAnswer> decode_answer(std::string_view bytes) {
  Reader reader(bytes);
  ForwardAnswer answer;
  const bool version_known = reader.u8() == kVersion;
  const std::optional<Code> code = code_from_number(reader.u8());
  std::string message(reader.bytes());
  answer.leader = reader.id<NodeId>();
  answer.origin.group = reader.id<GroupId>();
  answer.origin.index = reader.id<Index>();
  answer.origin.staleness = Duration::nanos(static_cast<int64_t>(reader.varint()));
  answer.origin.node = reader.id<NodeId>();
  answer.answer = reader.bytes();
  if (!reader.done() || !version_known || !code.has_value()) {
    return Status(Code::kCorrupted, "the answer to a forwarded request cannot be read");
  }
  if (*code != Code::kOk) {
    answer.status = Status(*code, std::move(message));
  }
  return answer;
}

void Forwarder::start(std::unique_ptr<Forwarded> request) {
  if (parked_.size() >= limits::kPendingRequestsMax) {
    end(*request, Status(Code::kResourceExhausted, "too many requests wait for a leader"));
    return;
  }
  attempt(std::move(request));
}

void Forwarder::attempt(std::unique_ptr<Forwarded> request) {
  ++request->attempts;
  if (routes_.serve_here(*request)) {
    return;
  }
  const Instant now = routes_.now();
  const NodeId target = target_of(*request);
  if (target.none() || target == self_) {
    park(std::move(request));
    return;
  }
  const Duration left = request->deadline - now;
  std::string bytes = encode_request(*request, left);
  ++sent_;
  // The request moves into the callback, so that it lives exactly as long as the call.
  routes_.call(target, std::move(bytes), left,
               [this, alive = alive_, held = std::move(request), target](
                   const Status& status, std::string_view answer) mutable {
                 if (*alive) {
                   answered(std::move(held), target, status, answer);
                 }
               });
}

NodeId Forwarder::target_of(const Forwarded& request) {
  const NodeId leader = routes_.leader_of(request.group);
  if (!leader.none() && leader != self_) {
    return leader;
  }
  if (const auto hint = hints_.find(request.group); hint != hints_.end()) {
    return hint->second;
  }
  std::vector<NodeId> holders = routes_.holders_of(request.group);
  std::erase(holders, self_);
  return holders.empty() ? NodeId() : holders[request.attempts % holders.size()];
}

void Forwarder::answered(std::unique_ptr<Forwarded> request, NodeId target, const Status& status,
                         std::string_view bytes) {
  if (!status.ok()) {
    hints_.erase(request->group);
    const bool repeatable = status.code() == Code::kUnavailable ||
                            request->kind == ForwardKind::kQuery || deduplicated(*request);
    if (repeatable) {
      park(std::move(request));
    } else {
      end(*request, status);
    }
    return;
  }
  const Result<ForwardAnswer> answer = decode_answer(bytes);
  if (!answer.ok()) {
    end(*request, Status(Code::kUnknownOutcome, answer.status().message()));
    return;
  }
  if (may_try_again(answer->status.code())) {
    if (answer->leader.none() || answer->leader == target) {
      hints_.erase(request->group);
    } else if (hints_.size() < limits::kGroupsMax) {
      hints_[request->group] = answer->leader;
    }
    const bool at_once = !answer->leader.none() && request->attempts < kImmediateRetries;
    at_once ? attempt(std::move(request)) : park(std::move(request));
    return;
  }
  request->done(answer->status, answer->answer, answer->origin);
}

void Forwarder::park(std::unique_ptr<Forwarded> request) { parked_.push_back(std::move(request)); }

void Forwarder::tick(Instant now) {
  if (parked_.empty() || now < retry_at_) {
    return;
  }
  retry_at_ = now + kRetryPause;
  std::deque<std::unique_ptr<Forwarded>> again = std::move(parked_);
  parked_.clear();
  for (std::unique_ptr<Forwarded>& request : again) {
    if (request->deadline <= now) {
      // It was sent at least once with a session, and no answer is known; or never sent at all.
      const bool unknown = request->kind == ForwardKind::kCommand && deduplicated(*request);
      end(*request, unknown ? Status(Code::kUnknownOutcome, "no answer from the leader in time")
                            : Status(Code::kUnavailable, "no leader for the group in time"));
    } else {
      attempt(std::move(request));
    }
  }
}

void Forwarder::end(Forwarded& request, const Status& status) {
  request.done(status, {}, service::Origin{request.group, {}, {}, self_});
}

}  // namespace quorate::node
