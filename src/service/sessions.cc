// SPDX-License-Identifier: Apache-2.0
#include "service/sessions.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "base/assert.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/mutant.h"
#include "service/registry.h"

namespace quorate::service {
namespace {

constexpr std::string_view kCounterKey = "c";
constexpr char kSessionTag = 's';
constexpr char kAnswerTag = 'a';
constexpr char kKeyedTag = 'k';
constexpr uint8_t kTooLong = 0;
constexpr uint8_t kKept = 1;

// A key of the table, built in place: several are made per command.
class RecordKey {
 public:
  explicit RecordKey(char tag) { bytes_[0] = tag; }
  RecordKey& big_endian(uint64_t value) {
    const uint64_t word = __builtin_bswap64(value);
    return raw({reinterpret_cast<const char*>(&word), sizeof(word)});
  }
  RecordKey& raw(std::string_view bytes) {
    ASSERT(bytes.size() <= sizeof(bytes_) - size_);
    std::memcpy(bytes_ + size_, bytes.data(), bytes.size());
    size_ += bytes.size();
    return *this;
  }
  operator std::string_view() const { return {bytes_, size_}; }  // NOLINT: that is what it is

 private:
  size_t size_ = 1;
  char bytes_[1 + 2 * sizeof(uint64_t)];
};

uint64_t big_endian_at(std::string_view bytes, size_t offset) {
  uint64_t word = 0;
  ASSERT(bytes.size() >= offset + sizeof(word));
  std::memcpy(&word, bytes.data() + offset, sizeof(word));
  return __builtin_bswap64(word);
}

RecordKey session_key(SessionId id) { return RecordKey(kSessionTag).big_endian(id.value()); }

RecordKey answer_key(SessionId id, uint64_t sequence) {
  return RecordKey(kAnswerTag).big_endian(id.value()).big_endian(sequence);
}

RecordKey keyed_key(const CommandKey& key) { return RecordKey(kKeyedTag).raw(key.view()); }

// The same key with another request is a mistake of the client, not a retry.
uint64_t fingerprint_of(const BatchCommand& command) {
  return hash64(command.body, static_cast<uint64_t>(command.service));
}

uint64_t floor_of(uint64_t highest) {
  return highest > limits::kSessionAnswersMax ? highest - limits::kSessionAnswersMax : 0;
}

Sessions::Verdict refuse(Code code, std::string message) {
  return {Sessions::Gate::kRefuse, Status(code, std::move(message))};
}

// Gives the kept answer out, if it was kept.
Sessions::Verdict repeat(Reader kept, std::string& answer) {
  if (kept.u8() == kTooLong) {
    return refuse(Code::kUnknownOutcome, "done already; its answer was too long to be kept");
  }
  answer.append(kept.rest());
  return {Sessions::Gate::kRepeat, Status::success()};
}

void encode_lease(const SessionLease& lease, std::string& answer) {
  Writer writer(answer);
  writer.id(lease.id);
  writer.stamp(lease.end);
}

}  // namespace

std::string encode(const NodeCommand& command) {
  std::string bytes;
  Writer writer(bytes);
  writer.u8(static_cast<uint8_t>(command.index()));
  if (const auto* open = std::get_if<OpenSession>(&command)) {
    writer.varint(static_cast<uint64_t>(std::max<int64_t>(open->ttl.millis(), 0)));
  } else if (const auto* touch = std::get_if<TouchSession>(&command)) {
    writer.id(touch->id);
  } else if (const auto* close = std::get_if<CloseSession>(&command)) {
    writer.id(close->id);
  } else if (const auto* expire = std::get_if<ExpireSessions>(&command)) {
    writer.stamp(expire->through);
    writer.varint(expire->records_max);
  }
  return bytes;
}

Result<NodeCommand> decode_node_command(std::string_view bytes) {
  Reader reader(bytes);
  NodeCommand command;
  switch (reader.u8()) {
    case 0: break;
    case 1: {
      const uint64_t millis = reader.varint();
      const auto most = static_cast<uint64_t>(limits::kSessionTtlMillisMax);
      command = OpenSession{Duration::millis(static_cast<int64_t>(std::min(millis, most)))};
      break;
    }
    case 2: command = TouchSession{reader.id<SessionId>()}; break;
    case 3: command = CloseSession{reader.id<SessionId>()}; break;
    case 4: {
      const Stamp through = reader.stamp();
      command = ExpireSessions{through, reader.varint()};
      break;
    }
    default: reader.fail(); break;
  }
  if (!reader.done()) {
    return Status(Code::kInvalidArgument, "not a command of the node");
  }
  return command;
}

Result<SessionLease> decode_session_lease(std::string_view answer) {
  Reader reader(answer);
  RETURN_IF_ERROR(decode_status(reader));
  SessionLease lease;
  lease.id = reader.id<SessionId>();
  lease.end = reader.stamp();
  if (!reader.done()) {
    return Status(Code::kCorrupted, "not an answer about a session");
  }
  return lease;
}

Sessions::Verdict Sessions::admit(const BatchCommand& command, const Moment& moment,
                                  std::string& answer) {
  ASSERT(!command.session.none() || !command.key.none());
  if (!command.session.none()) {
    Verdict verdict = admit_session(command, moment, answer);
    if (verdict.gate != Gate::kRun || command.key.none()) {
      return verdict;
    }
  }
  return admit_key(command, answer);
}

Sessions::Verdict Sessions::admit_session(const BatchCommand& command, const Moment& moment,
                                          std::string& answer) {
  Session session;
  if (!load(command.session, session)) {
    return refuse(Code::kLeaseLost, "the session has expired or was never opened here");
  }
  if (command.sequence == 0) {
    return refuse(Code::kInvalidArgument, "sequences of a session begin at 1");
  }
  renew(command.session, session, moment.at);
  if (command.sequence <= floor_of(session.highest)) {
    return refuse(Code::kUnknownOutcome, "so old a sequence that its answer is no longer kept");
  }
  const auto kept = table_.find(answer_key(command.session, command.sequence));
  return kept.has_value() ? repeat(Reader(*kept), answer) : Verdict{};
}

Sessions::Verdict Sessions::admit_key(const BatchCommand& command, std::string& answer) const {
  const auto kept = table_.find(keyed_key(command.key));
  if (!kept.has_value()) {
    return {};
  }
  Reader reader(*kept);
  reader.stamp();
  if (reader.u64() != fingerprint_of(command)) {
    return refuse(Code::kInvalidArgument, "this idempotency key was used for another request");
  }
  return repeat(reader, answer);
}

void Sessions::keep(const BatchCommand& command, const Moment& moment, std::string_view answer) {
  // A command may close its own session; then there is nothing left to keep the answer in.
  if (!command.session.none() && is_open(command.session)) {
    keep_in_session(command, answer);
  }
  if (!command.key.none()) {
    keep_by_key(command, moment, answer);
  }
  make_room();
}

void Sessions::keep_in_session(const BatchCommand& command, std::string_view answer) {
  Session session;
  const bool found = load(command.session, session);
  ASSERT(found && command.sequence > floor_of(session.highest));
  const bool fits = answer.size() <= limits::kSessionAnswerBytesMax;
  const char mark = fits ? kKept : kTooLong;
  const RecordKey key = answer_key(command.session, command.sequence);
  table_.put(table_.locate(key), {{&mark, 1}, fits ? answer : std::string_view()});
  if (command.sequence > session.highest) {
    session.highest = command.sequence;
    forget_answers(command.session, floor_of(session.highest));
    store(command.session, session);
  }
}

void Sessions::keep_by_key(const BatchCommand& command, const Moment& moment,
                           std::string_view answer) {
  const bool fits = answer.size() <= limits::kSessionAnswerBytesMax;
  const Stamp due = moment.at + Duration::millis(limits::kKeyedAnswerMillis);
  std::string head;
  Writer writer(head);
  writer.stamp(due);
  writer.u64(fingerprint_of(command));
  writer.u8(fits ? kKept : kTooLong);
  const RecordKey key = keyed_key(command.key);
  const Table::Place place = table_.locate(key);
  ASSERT(!place.found(), "admit() gave its answer instead");
  table_.put(place, {head, fits ? answer : std::string_view()});
  due_.add(due, key);
  ++keyed_count_;
}

// What is due first goes first, whether or not it is due yet.
void Sessions::make_room() {
  while (!due_.empty() && (table_.bytes() > limits::kSessionBytesMax ||
                           keyed_count_ > limits::kKeyedAnswersMax)) {
    remove_first_due();
  }
}

void Sessions::apply(std::string_view body, const Moment& moment, std::string& answer) {
  const Result<NodeCommand> decoded = decode_node_command(body);
  if (!decoded.ok()) {
    encode_status(decoded.status(), answer);
    return;
  }
  Status status;
  std::optional<SessionLease> lease;
  if (const auto* open_command = std::get_if<OpenSession>(&*decoded)) {
    status = open(*open_command, moment, lease.emplace());
  } else if (const auto* touch_command = std::get_if<TouchSession>(&*decoded)) {
    status = touch(touch_command->id, moment, lease.emplace());
  } else if (const auto* close_command = std::get_if<CloseSession>(&*decoded)) {
    close(close_command->id);
  } else if (const auto* expire_command = std::get_if<ExpireSessions>(&*decoded)) {
    expire(*expire_command, moment);
  }
  encode_status(status, answer);
  if (status.ok() && lease.has_value()) {
    encode_lease(*lease, answer);
  }
}

Status Sessions::open(const OpenSession& command, const Moment& moment, SessionLease& lease) {
  if (command.ttl.millis() < limits::kSessionTtlMillisMin) {
    return Status(Code::kInvalidArgument, "a session lives at least a second");
  }
  while (open_count_ >= limits::kSessionsMax) {
    remove_first_due();
  }
  Session session;
  session.ttl_millis = command.ttl.millis();
  session.end = moment.at + command.ttl + command.ttl / 8;
  const SessionId id = next_id();
  store(id, session);
  due_.add(session.end, session_key(id));
  ++open_count_;
  lease = {id, session.end};
  return Status::success();
}

Status Sessions::touch(SessionId id, const Moment& moment, SessionLease& lease) {
  Session session;
  if (!load(id, session)) {
    return Status(Code::kLeaseLost, "the session has expired or was never opened here");
  }
  renew(id, session, moment.at);
  lease = {id, session.end};
  return Status::success();
}

// The lease runs an eighth longer than asked for, so that a busy session moves in the order of
// expiry once in a while and not with each command.
void Sessions::renew(SessionId id, Session& session, Stamp at) {
  const Duration ttl = Duration::millis(session.ttl_millis);
  if (session.end >= at + ttl) {
    return;
  }
  const RecordKey key = session_key(id);
  due_.remove(session.end, key);
  session.end = at + ttl + ttl / 8;
  due_.add(session.end, key);
  store(id, session);
}

void Sessions::close(SessionId id) {
  Session session;
  if (!load(id, session)) {
    return;
  }
  const RecordKey key = session_key(id);
  forget_answers(id, session.highest);
  due_.remove(session.end, key);
  table_.erase(key);
  --open_count_;
}

void Sessions::expire(const ExpireSessions& command, const Moment& moment) {
  const Stamp through = std::min(command.through, moment.at);
  const uint64_t most = std::min<uint64_t>(command.records_max, limits::kExpireItemsMax);
  for (uint64_t removed = 0; removed < most && due_.next() <= through;) {
    removed += remove_first_due();
  }
}

// How many records went.
size_t Sessions::remove_first_due() {
  const std::string key(due_.first_item());
  if (key.front() == kSessionTag) {
    const size_t before = table_.size();
    close(SessionId(big_endian_at(key, 1)));
    return before - table_.size();
  }
  ASSERT(key.front() == kKeyedTag);
  due_.remove_first();
  const bool was_there = table_.erase(key);
  ASSERT(was_there && keyed_count_ > 0);
  --keyed_count_;
  return 1;
}

std::string Sessions::due_command(Stamp now) const {
  return encode(ExpireSessions{now, limits::kExpireItemsMax});
}

size_t Sessions::forget_answers(SessionId id, uint64_t through) {
  size_t forgotten = 0;
  const RecordKey begin = answer_key(id, 0);
  const std::string_view prefix = std::string_view(begin).substr(0, 1 + sizeof(uint64_t));
  while (true) {
    const Table::Cursor first = table_.at_or_after(begin);
    if (!first.valid() || !first.key().starts_with(prefix) ||
        big_endian_at(first.key(), prefix.size()) > through) {
      return forgotten;
    }
    table_.erase(std::string(first.key()));
    ++forgotten;
  }
}

bool Sessions::is_open(SessionId id) const { return table_.find(session_key(id)).has_value(); }

bool Sessions::load(SessionId id, Session& session) const {
  const auto record = table_.find(session_key(id));
  if (!record.has_value()) {
    return false;
  }
  Reader reader(*record);
  session.ttl_millis = static_cast<int64_t>(reader.varint());
  session.end = reader.stamp();
  session.highest = reader.varint();
  ASSERT(reader.done());
  return true;
}

void Sessions::store(SessionId id, const Session& session) {
  std::string record;
  Writer writer(record);
  writer.varint(static_cast<uint64_t>(session.ttl_millis));
  writer.stamp(session.end);
  writer.varint(session.highest);
  table_.put(session_key(id), record);
}

// Never given twice, also after the session is gone: a late command of a dead session must not
// fall into a new one.
SessionId Sessions::next_id() {
  const auto record = table_.find(kCounterKey);
  const uint64_t last = record.has_value() ? Reader(*record).u64() : 0;
  std::string bytes;
  Writer(bytes).u64(last + 1);
  table_.put(kCounterKey, bytes);
  return SessionId(last + 1);
}

void Sessions::restore_begin() {
  table_.restore_begin();
  due_.clear();
  open_count_ = 0;
  keyed_count_ = 0;
}

Status Sessions::restore_piece(std::string_view piece) {
  return table_.restore_piece(piece, this);
}

Status Sessions::restore_end() { return table_.restore_end(); }

// The bytes are not verified yet, so nothing about them may be taken for granted.
bool Sessions::on_restored(std::string_view key, std::string_view record) {
  constexpr size_t kIdBytes = sizeof(uint64_t);
  Reader reader(record);
  if (key.size() == 1 + kIdBytes && key.front() == kSessionTag) {
    reader.varint();
    const Stamp end = reader.stamp();
    reader.varint();
    if (!reader.done() || end == Stamp::never()) {
      return false;
    }
    due_.add(end, key);
    ++open_count_;
    return true;
  }
  if (key.size() == 1 + CommandKey::kBytes && key.front() == kKeyedTag) {
    const Stamp due = reader.stamp();
    reader.u64();
    reader.u8();
    if (!reader.ok() || due == Stamp::never()) {
      return false;
    }
    due_.add(due, key);
    ++keyed_count_;
    return true;
  }
  const bool is_answer = key.size() == 1 + 2 * kIdBytes && key.front() == kAnswerTag;
  return (is_answer && !record.empty()) || (key == kCounterKey && record.size() == kIdBytes);
}

void Sessions::check_invariants() const {
  table_.check_invariants();
  due_.check_invariants();
  size_t sessions = 0;
  size_t keyed = 0;
  for (Table::Cursor at = table_.first(); at.valid(); at.next()) {
    Reader reader(at.record());
    if (at.key().front() == kSessionTag) {
      reader.varint();
      ASSERT(due_.contains(reader.stamp(), at.key()));
      ++sessions;
    } else if (at.key().front() == kKeyedTag) {
      ASSERT(due_.contains(reader.stamp(), at.key()));
      ++keyed;
    } else if (at.key().front() == kAnswerTag) {
      Session session;
      ASSERT(load(SessionId(big_endian_at(at.key(), 1)), session));
      const uint64_t sequence = big_endian_at(at.key(), 1 + sizeof(uint64_t));
      ASSERT(sequence > floor_of(session.highest) && sequence <= session.highest);
    }
  }
  ASSERT(sessions == open_count_ && keyed == keyed_count_ && due_.size() == sessions + keyed);
}

}  // namespace quorate::service
