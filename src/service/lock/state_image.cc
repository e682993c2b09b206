// SPDX-License-Identifier: Apache-2.0
// Snapshot, digest and invariants of the lock machine.
//
//   image = version u8 (1), eight numbers u64 (State::Numbers), image of the table (table.h)
#include <array>
#include <utility>

#include "base/assert.h"
#include "base/mutant.h"
#include "base/prng.h"
#include "service/lock/record.h"
#include "service/lock/state.h"

namespace quorate::service::lock {
namespace {

constexpr uint8_t kImageVersion = 1;
constexpr size_t kNumbers = 8;
constexpr size_t kImageHeaderBytes = sizeof(uint8_t) + kNumbers * sizeof(uint64_t);

class StateSource final : public SnapshotSource {
 public:
  StateSource(const std::array<uint64_t, kNumbers>& numbers,
              std::unique_ptr<SnapshotSource> table)
      : table_(std::move(table)) {
    Writer writer(header_);
    writer.u8(kImageVersion);
    for (const uint64_t number : numbers) {
      writer.u64(number);
    }
  }

  bool next(size_t bytes_target, std::string& out) override {
    out.append(std::exchange(header_, {}));
    return table_->next(bytes_target, out);
  }

 private:
  std::string header_;
  std::unique_ptr<SnapshotSource> table_;
};

// The kind and limit of a lock hold for all its holders and waiters.
bool is_kind(const Lock& lock, Mode mode, uint64_t limit) {
  return lock.limit == limit && (limit != 0) == (mode == Mode::kPermits);
}

}  // namespace

std::unique_ptr<SnapshotSource> State::freeze() {
  return std::make_unique<StateSource>(
      std::array<uint64_t, kNumbers>{numbers_.last_number, numbers_.last_token.value(),
                                     numbers_.grants, numbers_.queued, numbers_.timed_out,
                                     numbers_.leases_lost, numbers_.broken, numbers_.deadlocks},
      table_.freeze());
}

void State::restore_begin() {
  table_.restore_begin();
  due_.clear();
  owners_.clear();
  locks_.clear();
  holds_ = 0;
  waiting_.clear();
  waiting_names_.clear();
  ended_.clear();
  ++news_;
  numbers_ = {};
  restore_header_.clear();
}

Status State::restore_piece(std::string_view piece) {
  if (restore_header_.size() < kImageHeaderBytes) {
    const std::string_view part = piece.substr(0, kImageHeaderBytes - restore_header_.size());
    restore_header_.append(part);
    piece.remove_prefix(part.size());
  }
  if (piece.empty()) {
    return Status::success();
  }
  if (Status status = table_.restore_piece(piece, this); !status.ok()) {
    restore_begin();
    return status;
  }
  return Status::success();
}

Status State::restore_end() {
  Reader reader(restore_header_);
  const uint8_t version = reader.u8();
  Numbers numbers{.last_number = reader.u64(), .last_token = Token(reader.u64())};
  for (uint64_t* const number : {&numbers.grants, &numbers.queued, &numbers.timed_out,
                                 &numbers.leases_lost, &numbers.broken, &numbers.deadlocks}) {
    *number = reader.u64();
  }
  Status status = reader.done() && version == kImageVersion
                      ? table_.restore_end()
                      : Status(Code::kCorrupted, "not the image of a lock machine");
  if (!status.ok()) {
    restore_begin();
    return status;
  }
  numbers_ = numbers;
  if (MUTANT(lock_tokens_begin_anew)) {
    numbers_.last_token = Token();
  }
  restore_header_.clear();
  return Status::success();
}

bool State::on_restored(std::string_view key, std::string_view record) {
  KeyParts parts;
  if (!parse_key(key, parts)) {
    return false;
  }
  return parts.is_hold ? restore_hold(key, record) : restore_owner(key, record);
}

bool State::restore_owner(std::string_view key, std::string_view bytes) {
  KeyParts parts;
  OwnerRecord record;
  if (!parse_key(key, parts) || !parse_owner(bytes, record)) {
    return false;
  }
  const auto [place, is_new] =
      owners_.emplace(NameKey(parts.domain, parts.owner), Owner{.domain = parts.domain});
  Owner& owner = place->second;
  owner.name = place->first.second;
  owner.number = record.number;
  owner.lease = record.lease;
  owner.lease_end = record.lease_end;
  owner.is_transient = record.is_transient;
  owner.wait = std::move(record.wait);
  due_.add(owner.lease_end, due_item(DueKind::kLease, owner));
  return !owner.wait.is_waiting() || restore_wait(owner, record.items);
}

bool State::restore_wait(Owner& owner, const std::vector<ItemRecord>& items) {
  for (const ItemRecord& item : items) {
    Lock* lock = find_lock(owner.domain, item.name);
    lock = lock == nullptr ? &make_lock(owner.domain, item.name, item.limit) : lock;
    owner.wait.items.push_back({lock, item.mode, item.permits});
    if (!is_kind(*lock, item.mode, item.limit) || !enqueue(owner, owner.wait.items.back())) {
      return false;
    }
  }
  note_waiting(owner);
  due_.add(owner.wait.deadline, due_item(DueKind::kWait, owner));
  return true;
}

bool State::restore_hold(std::string_view key, std::string_view bytes) {
  KeyParts parts;
  HoldRecord record;
  if (!parse_key(key, parts) || !parse_hold(bytes, record)) {
    return false;
  }
  Owner* const owner = find_owner({parts.domain, parts.owner});
  Lock* lock = find_lock(parts.domain, parts.name);
  lock = lock == nullptr ? &make_lock(parts.domain, parts.name, record.limit) : lock;
  if (owner == nullptr || !is_kind(*lock, record.mode, record.limit)) {
    return false;
  }
  const auto [place, is_new] = lock->holds.try_emplace(
      owner->number, Hold{owner, record.mode, record.count, record.token, record.since});
  lock->used += record.mode == Mode::kPermits ? record.count : 0;
  owner->held.emplace(lock->name, lock);
  ++holds_;
  return is_new;
}

// Equal numbers and tables give equal digests; of a machine that was never used it is 0.
uint64_t State::digest() const {
  uint64_t digest = table_.digest();
  uint64_t salt = 0;
  for (const uint64_t number : {numbers_.last_number, numbers_.last_token.value(), numbers_.grants,
                                numbers_.queued, numbers_.timed_out, numbers_.leases_lost,
                                numbers_.broken, numbers_.deadlocks}) {
    ++salt;
    digest += number == 0 ? 0 : mix64(mix64(number) + salt);
  }
  return digest;
}

void State::check_invariants() const {
  table_.check_invariants();
  due_.check_invariants();
  ASSERT(touched_.empty());
  size_t holds = 0;
  size_t waits = 0;
  for (const auto& [key, owner] : owners_) {
    check_owner(owner);
    holds += owner.held.size();
    waits += owner.wait.is_waiting() ? 1 : 0;
  }
  ASSERT(holds == holds_ && waits == waiting_.size() && waits == waiting_names_.size());
  ASSERT(table_.size() == owners_.size() + holds_);
  ASSERT(due_.size() == owners_.size() + waiting_.size());
  size_t holders = 0;
  for (const auto& [key, lock] : locks_) {
    check_lock(lock);
    holders += lock.holds.size();
  }
  ASSERT(holders == holds_);
}

void State::check_owner(const Owner& owner) const {
  ASSERT(table_.find(owner_key(owner.domain, owner.name)) == encode_owner(owner));
  ASSERT(due_.contains(owner.lease_end, due_item(DueKind::kLease, owner)));
  ASSERT(owner.number.value() <= numbers_.last_number);
  for (const auto& [name, lock] : owner.held) {
    const Hold* const hold = find_hold(&owner, lock);
    ASSERT(hold != nullptr && hold->token <= numbers_.last_token);
    ASSERT(table_.find(hold_key(owner.domain, owner.name, name)) == encode_hold(*lock, *hold));
  }
  ASSERT(owner.wait.is_waiting() != owner.wait.items.empty());
  if (!owner.wait.is_waiting()) {
    return;
  }
  ASSERT(due_.contains(owner.wait.deadline, due_item(DueKind::kWait, owner)));
  ASSERT(waiting_.at(owner.wait.ticket) == &owner);
  ASSERT(owner.wait.ticket.value() <= numbers_.last_number);
  bool all_served = true;
  for (const WaitItem& item : owner.wait.items) {
    ASSERT(item.lock->queue.at(owner.wait.key()).owner == &owner);
    all_served = all_served && is_served(owner, item);
  }
  ASSERT(!all_served, "somebody waits who could be served");
  ASSERT(graph_.find_deadlock(owner).empty(), "somebody waits for itself");
}

void State::check_lock(const Lock& lock) const {
  ASSERT(!lock.is_touched && !(lock.holds.empty() && lock.queue.empty()));
  uint64_t used = 0;
  for (const auto& [number, hold] : lock.holds) {
    ASSERT(hold.owner->number == number && hold.owner->held.contains(lock.name));
    ASSERT((hold.mode == Mode::kPermits) == (lock.limit != 0));
    ASSERT(hold.mode != Mode::kExclusive || lock.holds.size() == 1);
    used += lock.limit != 0 ? hold.count : 0;
  }
  ASSERT(used == lock.used && used <= lock.limit);
  size_t exclusives = 0;
  for (const auto& [key, queued] : lock.queue) {
    ASSERT(queued.owner->wait.is_waiting() && queued.owner->wait.key() == key);
    exclusives += lock.exclusives.contains(key) ? 1 : 0;
    ASSERT(lock.exclusives.contains(key) == (queued.mode == Mode::kExclusive));
  }
  ASSERT(exclusives == lock.exclusives.size());
}

// What a node of a map takes beside its payload is an estimate.
size_t State::memory_bytes() const {
  constexpr size_t kNodeBytes = 64;
  return table_.memory_bytes() + due_.memory_bytes() +
         owners_.size() * (sizeof(Owner) + kNodeBytes) +
         locks_.size() * (sizeof(Lock) + kNodeBytes) +
         holds_ * (sizeof(Hold) + 2 * kNodeBytes) +
         waiting_.size() * (sizeof(Queued) + 4 * kNodeBytes);
}

}  // namespace quorate::service::lock
