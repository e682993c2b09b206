// SPDX-License-Identifier: Apache-2.0
// The commands. Owners, holds, queries and snapshots stand in state_owner.cc, state_hold.cc,
// state_query.cc and state_image.cc.
#include "service/lock/state.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/limits.h"
#include "base/mutant.h"

namespace quorate::service::lock {
namespace {

Status not_free() { return Status(Code::kPreconditionFailed, std::string(kNotFree)); }
Status not_held() { return Status(Code::kNotFound, "this owner does not hold it"); }

Status waits_already() {
  return Status(Code::kPreconditionFailed, "this owner waits for something already");
}

Status deadlock(const std::vector<const Owner*>& cycle) {
  std::vector<CycleStep> steps;
  for (size_t at = 0; at < cycle.size(); ++at) {
    const Owner& blocker = *cycle[(at + 1) % cycle.size()];
    steps.push_back({cycle[at]->name, WaitGraph::lock_between(*cycle[at], blocker).name, {}});
  }
  return Status(Code::kDeadlock, text_of(steps));
}

bool is_same(const std::vector<WaitItem>& items, const std::vector<Acquire::Item>& asked) {
  return std::equal(items.begin(), items.end(), asked.begin(), asked.end(),
                    [](const WaitItem& item, const Acquire::Item& other) {
                      return item.lock->name == other.name && item.mode == other.mode &&
                             item.permits == other.permits && item.lock->limit == other.limit;
                    });
}

bool is_free_for_new(const Lock& lock, const Acquire::Item& item) {
  switch (item.mode) {
    case Mode::kShared:
      return (lock.exclusives.empty() || MUTANT(lock_readers_overtake)) &&
             (lock.holds.empty() || lock.holds.begin()->second.mode == Mode::kShared);
    case Mode::kExclusive: return lock.queue.empty() && lock.holds.empty();
    case Mode::kPermits: return lock.queue.empty() && lock.used + item.permits <= lock.limit;
  }
  return false;
}

}  // namespace

Answer State::apply(const Command& command, const Moment& moment) {
  Answer answer = std::visit([&](const auto& fields) { return run(fields, moment); }, command);
  settle(moment.at);
  return answer;
}

Answer State::run(const Open& command, const Moment& moment) {
  Owner* owner = find_owner(command.who);
  const bool is_new = owner == nullptr;
  if (is_new) {
    if (owners_.size() >= limits::kLockOwnersMax) {
      return Status(Code::kQuotaExceeded, "the group has as many owners as it may");
    }
    owner = &open_owner(command.who, command.lease, moment.at);
  } else {
    owner->lease = command.lease;
    owner->is_transient = false;
    renew(*owner, moment.at);
  }
  save(*owner);
  return Owned{owner->number, is_new, owner->lease_end};
}

Answer State::run(const Renew& command, const Moment& moment) {
  Owner* const owner = find_owner(command.who);
  if (owner == nullptr) {
    return Status(Code::kLeaseLost, "there is no such owner, or no more");
  }
  renew(*owner, moment.at);
  save(*owner);
  return Owned{owner->number, false, owner->lease_end};
}

Answer State::run(const Close& command, const Moment&) {
  Owner* const owner = find_owner(command.who);
  if (owner == nullptr) {
    return Closed{};
  }
  const uint64_t released = owner->held.size();
  close_owner(*owner);
  return Closed{released};
}

Answer State::run(const Acquire& command, const Moment& moment) {
  Owner* owner = find_owner(command.who);
  if (owner != nullptr && owner->wait.is_waiting()) {
    const bool is_repeated = !owner->wait.is_upgrade && is_same(owner->wait.items, command.items);
    return is_repeated ? queued(*owner) : Answer(waits_already());
  }
  if (owner == nullptr && command.lease == Duration()) {
    return Status(Code::kLeaseLost, "there is no such owner, or no more");
  }
  if (Status refusal = check_acquire(command, owner); !refusal.ok()) {
    return refusal;
  }
  const bool is_granted = is_free(command, owner);
  if (!is_granted && command.wait == Duration()) {
    return not_free();
  }
  if (Status refusal = is_granted ? Status() : check_queues(command); !refusal.ok()) {
    return refusal;
  }
  if (owner == nullptr) {
    owner = &open_owner(command.who, command.lease, moment.at);
    owner->is_transient = true;
  }
  if (is_granted) {
    lengthen(*owner, command.lease);
    return grant(*owner, command, moment.at);
  }
  Wait wait{.since = moment.at, .deadline = moment.at + command.wait};
  for (const Acquire::Item& item : command.items) {
    wait.items.push_back(
        {&make_lock(owner->domain, item.name, item.limit), item.mode, item.permits});
  }
  return begin_wait(*owner, std::move(wait), command.lease);
}

Status State::check_acquire(const Acquire& command, const Owner* owner) const {
  for (const Acquire::Item& item : command.items) {
    RETURN_IF_ERROR(check_item(item, owner, find_lock(command.who.domain, item.name)));
  }
  if (owner == nullptr && owners_.size() >= limits::kLockOwnersMax) {
    return Status(Code::kQuotaExceeded, "the group has as many owners as it may");
  }
  if (holds_ + command.items.size() > limits::kLockHoldsMax) {
    return Status(Code::kQuotaExceeded, "the group has as many locks as it may");
  }
  const size_t held = owner == nullptr ? 0 : owner->held.size();
  return held + command.items.size() <= limits::kLockOwnerHoldsMax
             ? Status::success()
             : Status(Code::kQuotaExceeded, "the owner has as many locks as it may");
}

Status State::check_item(const Acquire::Item& item, const Owner* owner, const Lock* lock) {
  if (lock == nullptr) {
    return Status::success();
  }
  if (lock->limit != item.limit) {
    return Status(Code::kPreconditionFailed,
                  lock->limit == 0 ? "it is in use as a lock"
                                   : "it is in use as a semaphore of " +
                                         std::to_string(lock->limit));
  }
  const Hold* const hold = find_hold(owner, lock);
  return hold != nullptr && hold->mode == Mode::kShared && item.mode == Mode::kExclusive
             ? Status(Code::kPreconditionFailed, "this owner holds it shared: upgrade it")
             : Status::success();
}

Status State::check_queues(const Acquire& command) const {
  for (const Acquire::Item& item : command.items) {
    const Lock* const lock = find_lock(command.who.domain, item.name);
    if (lock != nullptr && lock->queue.size() >= limits::kLockWaitersMax) {
      return Status(Code::kResourceExhausted, "as many wait for it as may");
    }
  }
  return Status::success();
}

bool State::is_free(const Acquire& command, const Owner* owner) const {
  return std::all_of(command.items.begin(), command.items.end(), [&](const Acquire::Item& item) {
    const Lock* const lock = find_lock(command.who.domain, item.name);
    return lock == nullptr || (lock->limit == 0 && find_hold(owner, lock) != nullptr) ||
           is_free_for_new(*lock, item);
  });
}

// What is only entered once more keeps its token. If that is all, the answer has the greatest of
// them: it is good for each of the locks, where a smaller one may be older than what the resource
// of another has seen.
Answer State::grant(Owner& owner, const Acquire& command, Stamp at) {
  Token token;
  for (const Acquire::Item& item : command.items) {
    Lock& lock = make_lock(owner.domain, item.name, item.limit);
    const Hold* const held = find_hold(&owner, &lock);
    const bool is_entered = lock.limit == 0 && held != nullptr;
    token = std::max(token, is_entered ? held->token : numbers_.last_token.next());
  }
  numbers_.last_token = std::max(numbers_.last_token, token);
  for (const Acquire::Item& item : command.items) {
    Lock& lock = make_lock(owner.domain, item.name, item.limit);
    hold(owner, {&lock, item.mode, item.permits}, token, at);
  }
  ++numbers_.grants;
  renew(owner, at);
  save(owner);
  return Acquired{.granted = true, .token = token, .lease_end = owner.lease_end};
}

// It stands in the queues before the question is asked, so that the graph needs to know of no wait
// that might be. Whoever holds nothing that others wait for is in nobody's way.
Answer State::begin_wait(Owner& owner, Wait wait, Duration lease) {
  wait.state = WaitState::kWaiting;
  wait.ticket = Ticket(numbers_.last_number + 1);
  std::swap(owner.wait, wait);
  for (const WaitItem& item : owner.wait.items) {
    const bool is_new = enqueue(owner, item);
    ASSERT(is_new);
  }
  const bool is_in_the_way =
      std::any_of(owner.held.begin(), owner.held.end(),
                  [](const auto& held) { return !held.second->queue.empty(); });
  if (is_in_the_way && !MUTANT(lock_deadlocks_are_let_be)) {
    const std::vector<const Owner*> cycle = graph_.find_deadlock(owner);
    if (!cycle.empty()) {
      Status refusal = deadlock(cycle);
      dequeue(owner);
      for (const WaitItem& item : owner.wait.items) {
        drop_if_unused(*item.lock);
      }
      std::swap(owner.wait, wait);
      ++numbers_.deadlocks;
      return refusal;
    }
  }
  ++numbers_.last_number;
  ++numbers_.queued;
  note_waiting(owner);
  due_.add(owner.wait.deadline, due_item(DueKind::kWait, owner));
  lengthen(owner, lease);
  renew(owner, owner.wait.since);
  if (owner.is_transient) {
    cover(owner, owner.wait.deadline);
  }
  save(owner);
  return queued(owner);
}

Answer State::queued(const Owner& owner) {
  return Acquired{.ticket = owner.wait.ticket,
                  .ahead = ahead_of(owner),
                  .deadline = owner.wait.deadline,
                  .lease_end = owner.lease_end};
}

Answer State::run(const Upgrade& command, const Moment& moment) {
  Owner* const owner = find_owner(command.who);
  Lock* const lock = find_lock(command.who.domain, command.name);
  const Hold* const held = find_hold(owner, lock);
  if (held == nullptr) {
    return not_held();
  }
  if (owner->wait.is_waiting()) {
    const bool is_repeated = owner->wait.is_upgrade && owner->wait.items.front().lock == lock;
    return is_repeated ? queued(*owner) : Answer(waits_already());
  }
  if (held->mode == Mode::kPermits) {
    return Status(Code::kPreconditionFailed, "it is in use as a semaphore");
  }
  const bool is_exclusive = held->mode == Mode::kExclusive;
  if (!is_exclusive && lock->holds.size() > 1) {
    return command.wait == Duration()
               ? Answer(not_free())
               : begin_wait(*owner, {.is_upgrade = true,
                                     .since = moment.at,
                                     .deadline = moment.at + command.wait,
                                     .items = {{lock, Mode::kExclusive, 0}}},
                            Duration());
  }
  if (!is_exclusive) {
    raise(*owner, *lock, moment.at);
  }
  renew(*owner, moment.at);
  save(*owner);
  return Acquired{.granted = true, .token = held->token, .lease_end = owner->lease_end};
}

Answer State::run(const Downgrade& command, const Moment& moment) {
  Owner* const owner = find_owner(command.who);
  Lock* const lock = find_lock(command.who.domain, command.name);
  const Hold* const held = find_hold(owner, lock);
  if (held == nullptr) {
    return not_held();
  }
  if (held->mode == Mode::kPermits) {
    return Status(Code::kPreconditionFailed, "it is in use as a semaphore");
  }
  if (is_waited_with(*owner, *lock)) {
    return waits_already();
  }
  lock->holds.at(owner->number).mode = Mode::kShared;
  save(*owner, *lock);
  touch(*lock);
  renew(*owner, moment.at);
  save(*owner);
  return Acquired{.granted = true, .token = held->token, .lease_end = owner->lease_end};
}

Answer State::run(const Release& command, const Moment&) {
  Owner* const owner = find_owner(command.who);
  Lock* const lock = find_lock(command.who.domain, command.name);
  const Hold* const held = find_hold(owner, lock);
  if (held == nullptr && lock != nullptr && !lock->holds.empty() &&
      MUTANT(lock_release_for_anybody)) {
    take_hold(*lock->holds.begin()->second.owner, *lock);
    return Released{};
  }
  if (held == nullptr) {
    return not_held();
  }
  if (!command.token.none() && command.token != held->token) {
    return Status(Code::kPreconditionFailed, "this owner holds it with another token");
  }
  if (is_waited_with(*owner, *lock)) {
    return Status(Code::kPreconditionFailed, "this owner waits with it: cancel that first");
  }
  if (command.count > held->count) {
    return Status(Code::kPreconditionFailed, "this owner holds fewer of it");
  }
  const uint64_t left = command.count == 0 ? 0 : held->count - command.count;
  if (left > 0) {
    Hold& kept = lock->holds.at(owner->number);
    lock->used -= lock->limit != 0 ? kept.count - left : 0;
    kept.count = left;
    save(*owner, *lock);
    touch(*lock);
  } else {
    take_hold(*owner, *lock);
    close_if_idle(*owner);
  }
  return Released{left};
}

Answer State::run(const Cancel& command, const Moment&) {
  Owner* const owner = find_owner(command.who);
  if (owner == nullptr || !owner->wait.is_waiting() ||
      (!command.ticket.none() && command.ticket != owner->wait.ticket)) {
    return Cancelled{};
  }
  end_wait(*owner, WaitState::kCancelled);
  close_if_idle(*owner);
  return Cancelled{true};
}

// The asker hears of it as of any end of a wait, and still holds what it held.
Answer State::run(const Resolve& command, const Moment& moment) {
  Owner* const owner = find_owner(command.who);
  if (owner == nullptr || !owner->wait.is_waiting() || command.ticket != owner->wait.ticket) {
    return Cancelled{};
  }
  owner->wait.cycle = command.cycle;
  if (owner->is_transient) {
    begin_lease(*owner, moment.at);   // it covered the wait
  }
  end_wait(*owner, WaitState::kDeadlock);
  ++numbers_.deadlocks;
  return Cancelled{true};
}

Answer State::run(const Break& command, const Moment&) {
  Lock* const lock = find_lock(command.domain, command.name);
  std::vector<Owner*> holders;
  if (lock != nullptr) {
    for (const auto& [number, held] : lock->holds) {
      if (command.owner.empty() || held.owner->name == command.owner) {
        holders.push_back(held.owner);
      }
    }
  }
  for (Owner* const owner : holders) {
    if (is_waited_with(*owner, *lock)) {
      end_wait(*owner, WaitState::kBroken);
    }
    take_hold(*owner, *lock);
    close_if_idle(*owner);
  }
  numbers_.broken += holders.size();
  return Broken{holders.size()};
}

Answer State::run(const ExpireDue& command, const Moment& moment) {
  HeardOwners heard;
  for (const ExpireDue::Alive& alive : command.heard) {
    heard.emplace(NameView(alive.who.domain, alive.who.owner), alive.silence);
  }
  const Stamp through = std::min(command.through, moment.at);
  const uint64_t most = command.limit == 0
                            ? limits::kExpireItemsMax
                            : std::min<uint64_t>(command.limit, limits::kExpireItemsMax);
  Expired expired;
  for (uint64_t done = 0; done < most && due_.next() <= through; ++done) {
    expire_first(moment.at, heard, expired);
  }
  return expired;
}

}  // namespace quorate::service::lock
