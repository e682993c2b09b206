// SPDX-License-Identifier: Apache-2.0
#include "node/forward.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/codec.h"
#include "base/limits.h"

namespace quorate::node {
namespace {

constexpr uint8_t kVersion = 1;
constexpr Duration kRetryPause = Duration::millis(20);
constexpr uint32_t kImmediateRetries = 3;
// An election and a round of replication, with some room.
constexpr Duration kTrialPatience = Duration::millis(600);
// What a new leader committed is known here about as soon.
constexpr Duration kOutcomePatience = kTrialPatience;
// Who does not lead answers at once, so its silence means a lost frame and not a slow round.
constexpr Duration kStrayPatience = Duration::millis(50);

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
  const bool sane = version_known && kind >= 1 && kind <= 3 && service < service::kServicesMax &&
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
  if (parked() >= limits::kPendingRequestsMax) {
    end(*request, Status(Code::kResourceExhausted, "too many requests wait for a leader"));
  } else if (request->kind == ForwardKind::kCommand &&
             (has_line(request->group) || routes_.outcome_open(request->group))) {
    stand_in_line(std::move(request), false);
  } else {
    attempt(std::move(request));
  }
}

void Forwarder::take_back(std::unique_ptr<Forwarded> request, bool first) {
  const GroupId group = request->group;
  stand_in_line(std::move(request), first);
  if (!first) {
    try_first(group);
  }
}

Forwarder::Tried Forwarder::attempt_once(std::unique_ptr<Forwarded>& request) {
  ++request->attempts;
  if (routes_.serve_here(*request)) {
    return Tried::kTaken;
  }
  const Instant now = routes_.now();
  const NodeId target = target_of(*request);
  if (target.none() || target == self_) {
    return Tried::kNobody;
  }
  if (request->kind == ForwardKind::kCommand) {
    routes_.overtake(request->group);
  }
  const Duration left = request->deadline - now;
  std::string bytes = encode_request(*request, left);
  ++sent_;
  if (on_trial(*request)) {
    const bool is_leader = target == routes_.leader_of(request->group);
    lines_.at(request->group).guessed = is_leader ? NodeId() : target;
  }
  // The request moves into the callback, so that it lives exactly as long as the call.
  routes_.call(target, std::move(bytes), left,
               [this, alive = alive_, held = std::move(request), target](
                   const Status& status, std::string_view answer) mutable {
                 if (*alive) {
                   answered(std::move(held), target, status, answer);
                 }
               });
  return Tried::kSent;
}

void Forwarder::attempt(std::unique_ptr<Forwarded> request) {
  switch (attempt_once(request)) {
    case Tried::kTaken:
      if (end_trial(*request)) {
        follow(request->group);
      }
      break;
    case Tried::kSent: break;
    case Tried::kNobody: park(std::move(request)); break;
  }
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
                            request->kind != ForwardKind::kCommand || deduplicated(*request);
    repeatable ? park(std::move(request)) : end(*request, status);
    return;
  }
  const Result<ForwardAnswer> answer = decode_answer(bytes);
  if (!answer.ok()) {
    end(*request, Status(Code::kUnknownOutcome, answer.status().message()));
    return;
  }
  if (may_try_again(answer->status.code())) {
    // Who takes us for the leader knows less than we do: a hint to ourselves would never be tried,
    // and so never be found wrong.
    if (answer->leader.none() || answer->leader == target || answer->leader == self_) {
      hints_.erase(request->group);
    } else if (hints_.size() < limits::kGroupsMax) {
      hints_[request->group] = answer->leader;
    }
    const bool at_once = !answer->leader.none() && request->attempts < kImmediateRetries;
    // Behind others that wait it may not be tried before them.
    const bool may_pass = on_trial(*request) || !has_line(request->group);
    at_once&& may_pass ? attempt(std::move(request)) : park(std::move(request));
    return;
  }
  request->done(answer->status, answer->answer, answer->origin);
  if (end_trial(*request)) {
    follow(request->group);
  }
}

void Forwarder::park(std::unique_ptr<Forwarded> request) {
  if (request->kind != ForwardKind::kCommand) {
    parked_.push_back(std::move(request));
  } else {
    const bool first = end_trial(*request);
    request->trial = 0;
    stand_in_line(std::move(request), first);
  }
}

// `first`: it was the first of the line, and is again.
void Forwarder::stand_in_line(std::unique_ptr<Forwarded> request, bool first) {
  Line& line = lines_[request->group];
  ++in_lines_;
  if (first) {
    line.waiting.push_front(std::move(request));
  } else {
    line.waiting.push_back(std::move(request));
  }
}

void Forwarder::try_first(GroupId group) {
  const auto at = lines_.find(group);
  if (at == lines_.end() || at->second.trial != 0) {
    return;
  }
  Line& line = at->second;
  if (line.waiting.empty()) {
    lines_.erase(at);
    return;
  }
  if (holds(group, line)) {
    return;
  }
  std::unique_ptr<Forwarded> first = std::move(line.waiting.front());
  line.waiting.pop_front();
  --in_lines_;
  line.trial = first->trial = ++trials_;
  line.tried_at = routes_.now();
  attempt(std::move(first));
}

bool Forwarder::holds(GroupId group, Line& line) {
  if (!routes_.outcome_open(group)) {
    line.held_since = Instant::never();
    return false;
  }
  line.held_since = std::min(line.held_since, routes_.now());
  return routes_.now() - line.held_since < kOutcomePatience;
}

// The first of the line was taken. The line stands until the last of it is on its way, so that
// nobody who comes meanwhile passes it.
void Forwarder::follow(GroupId group) {
  const auto at = lines_.find(group);
  ASSERT(at != lines_.end() && at->second.trial == 0);
  at->second.trial = ++trials_;  // nobody is tried meanwhile
  for (size_t left = at->second.waiting.size(); left > 0; --left) {
    std::unique_ptr<Forwarded> next = std::move(at->second.waiting.front());
    at->second.waiting.pop_front();
    --in_lines_;
    attempt(std::move(next));
  }
  at->second.trial = 0;
  if (at->second.waiting.empty()) {
    lines_.erase(at);
  }
}

void Forwarder::tick(Instant now) {
  if ((parked_.empty() && lines_.empty()) || now < retry_at_) {
    return;
  }
  retry_at_ = now + kRetryPause;
  end_late(parked_, now);
  Requests again = std::move(parked_);
  parked_.clear();
  for (std::unique_ptr<Forwarded>& request : again) {
    attempt(std::move(request));
  }
  std::vector<GroupId> groups;
  for (auto& [group, line] : lines_) {
    groups.push_back(group);
  }
  for (const GroupId group : groups) {
    tend_line(group, now);
  }
}

// What comes while late ones end stands behind those that stay.
void Forwarder::tend_line(GroupId group, Instant now) {
  const auto at = lines_.find(group);
  if (at == lines_.end()) {
    return;
  }
  in_lines_ -= at->second.waiting.size();
  Requests waiting = std::move(at->second.waiting);
  at->second.waiting.clear();
  end_late(waiting, now);
  Line& line = lines_[group];
  in_lines_ += waiting.size();
  line.waiting.insert(line.waiting.begin(), std::make_move_iterator(waiting.begin()),
                      std::make_move_iterator(waiting.end()));
  if (line.trial != 0 && now - line.tried_at >= patience_with(group, line)) {
    line.trial = 0;
  }
  try_first(group);
}

Duration Forwarder::patience_with(GroupId group, const Line& line) {
  const NodeId leader = routes_.leader_of(group);
  const bool is_astray = !line.guessed.none() && !leader.none() && leader != line.guessed;
  return is_astray ? kStrayPatience : kTrialPatience;
}

bool Forwarder::on_trial(const Forwarded& request) const {
  const auto at = lines_.find(request.group);
  return request.trial != 0 && at != lines_.end() && at->second.trial == request.trial;
}

bool Forwarder::end_trial(const Forwarded& request) {
  if (!on_trial(request)) {
    return false;
  }
  lines_.at(request.group).trial = 0;
  return true;
}

// Those whose time is up end; the others stay in their order.
void Forwarder::end_late(Requests& requests, Instant now) {
  Requests late;
  Requests kept;
  for (std::unique_ptr<Forwarded>& request : requests) {
    (request->deadline <= now ? late : kept).push_back(std::move(request));
  }
  requests = std::move(kept);
  for (const std::unique_ptr<Forwarded>& request : late) {
    // It was sent at least once with a session, and no answer is known; or never sent at all.
    const bool unknown = request->kind == ForwardKind::kCommand && deduplicated(*request);
    request->done(unknown ? Status(Code::kUnknownOutcome, "no answer from the leader in time")
                          : Status(Code::kUnavailable, "no leader for the group in time"),
                  {}, service::Origin{request->group, {}, {}, self_});
  }
}

// The outcome says nothing of a leader: the next of its line is tried alone.
void Forwarder::end(Forwarded& request, const Status& status) {
  const GroupId group = request.group;
  request.done(status, {}, service::Origin{group, {}, {}, self_});
  if (end_trial(request)) {
    try_first(group);
  }
}

}  // namespace quorate::node
