// SPDX-License-Identifier: Apache-2.0
// Locks, holds, queues, and who is served when.
#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/mutant.h"
#include "service/lock/record.h"
#include "service/lock/state.h"

namespace quorate::service::lock {

Lock* State::find_lock(DomainId domain, std::string_view name) {
  const auto found = locks_.find(NameView(domain, name));
  return found == locks_.end() ? nullptr : &found->second;
}

const Lock* State::find_lock(DomainId domain, std::string_view name) const {
  const auto found = locks_.find(NameView(domain, name));
  return found == locks_.end() ? nullptr : &found->second;
}

// The one that is there, or a new one, which must get a holder or a waiter before the command ends.
Lock& State::make_lock(DomainId domain, std::string_view name, uint64_t limit) {
  if (Lock* const lock = find_lock(domain, name)) {
    ASSERT(lock->limit == limit);
    return *lock;
  }
  const auto [place, is_new] =
      locks_.emplace(NameKey(domain, name), Lock{.domain = domain, .limit = limit});
  ASSERT(is_new);
  place->second.name = place->first.second;
  return place->second;
}

void State::drop_if_unused(const Lock& lock) {
  if (lock.holds.empty() && lock.queue.empty()) {
    ASSERT(!lock.is_touched && lock.used == 0);
    locks_.erase(locks_.find(NameView(lock.domain, lock.name)));
  }
}

const Hold* State::find_hold(const Owner* owner, const Lock* lock) {
  if (owner == nullptr || lock == nullptr) {
    return nullptr;
  }
  const auto found = lock->holds.find(owner->number);
  return found == lock->holds.end() ? nullptr : &found->second;
}

// To take such a lock away would change what the owner waits for behind the graph's back.
bool State::is_waited_with(const Owner& owner, const Lock& lock) {
  return owner.wait.is_waiting() &&
         std::any_of(owner.wait.items.begin(), owner.wait.items.end(),
                     [&](const WaitItem& item) { return item.lock == &lock; });
}

// Before: is_served(), or free for a new one.
void State::hold(Owner& owner, const WaitItem& item, Token token, Stamp at) {
  Lock& lock = *item.lock;
  const auto [place, is_new] = lock.holds.try_emplace(owner.number);
  Hold& hold = place->second;
  const uint64_t count = item.mode == Mode::kPermits ? item.permits : 1;
  if (is_new) {
    hold = {&owner, item.mode, count, token, at};
    owner.held.emplace(lock.name, &lock);
    ++holds_;
  } else {
    hold.count += count;
    hold.token = item.mode == Mode::kPermits ? token : hold.token;
  }
  lock.used += item.mode == Mode::kPermits ? count : 0;
  save(owner, lock);
}

// From shared to exclusive. Before: it is the only holder.
void State::raise(Owner& owner, Lock& lock, Stamp at) {
  ASSERT(lock.holds.size() == 1);
  Hold& hold = lock.holds.at(owner.number);
  hold.mode = Mode::kExclusive;
  hold.token = ++numbers_.last_token;
  hold.since = at;
  ++numbers_.grants;
  save(owner, lock);
}

void State::take_hold(Owner& owner, Lock& lock) {
  const auto found = lock.holds.find(owner.number);
  ASSERT(found != lock.holds.end());
  lock.used -= lock.limit != 0 ? found->second.count : 0;
  lock.holds.erase(found);
  owner.held.erase(lock.name);
  --holds_;
  const bool was_there = table_.erase(hold_key(owner.domain, owner.name, lock.name));
  ASSERT(was_there);
  touch(lock);
}

void State::save(const Owner& owner, const Lock& lock) {
  table_.put(hold_key(owner.domain, owner.name, lock.name),
             encode_hold(lock, lock.holds.at(owner.number)));
}

// False if it stands there already.
bool State::enqueue(Owner& owner, const WaitItem& item) {
  const QueueKey key = owner.wait.key();
  if (item.mode == Mode::kExclusive) {
    item.lock->exclusives.insert(key);
  }
  return item.lock->queue.emplace(key, Queued{&owner, item.mode, item.permits}).second;
}

void State::dequeue(Owner& owner) {
  const QueueKey key = owner.wait.key();
  for (const WaitItem& item : owner.wait.items) {
    const size_t removed = item.lock->queue.erase(key);
    ASSERT(removed == 1);
    item.lock->exclusives.erase(key);
  }
}

void State::note_waiting(Owner& owner) {
  waiting_.emplace(owner.wait.ticket, &owner);
  waiting_names_.emplace(owner.name, &owner);
}

void State::note_ended(const Owner& owner) {
  constexpr size_t kEndedKept = 1'024;
  waiting_.erase(owner.wait.ticket);
  const auto [begin, end] = waiting_names_.equal_range(owner.name);
  waiting_names_.erase(
      std::find_if(begin, end, [&](const auto& entry) { return entry.second == &owner; }));
  ++news_;
  ended_.push_back(owner.wait.ticket);
  if (ended_.size() > kEndedKept) {
    ended_.pop_front();
  }
}

void State::end_wait(Owner& owner, WaitState state) {
  ASSERT(owner.wait.is_waiting());
  dequeue(owner);
  note_ended(owner);
  due_.remove(owner.wait.deadline, due_item(DueKind::kWait, owner));
  for (const WaitItem& item : owner.wait.items) {
    touch(*item.lock);
  }
  owner.wait.state = state;
  owner.wait.items.clear();
  numbers_.timed_out += state == WaitState::kTimedOut ? 1 : 0;
  save(owner);
}

// Those who stand before it count as long as they stand there, whatever keeps them.
bool State::is_served(const Owner& owner, const WaitItem& item) {
  const Lock& lock = *item.lock;
  if (owner.wait.is_upgrade) {
    return lock.holds.size() == 1;
  }
  if (is_entered(owner, lock, false)) {
    return true;
  }
  const QueueKey key = owner.wait.key();
  switch (item.mode) {
    case Mode::kShared:
      return (lock.exclusives.empty() || key < *lock.exclusives.begin()) &&
             (lock.holds.empty() || lock.holds.begin()->second.mode == Mode::kShared);
    case Mode::kExclusive: return lock.queue.begin()->first == key && lock.holds.empty();
    case Mode::kPermits:
      return lock.queue.begin()->first == key && lock.used + item.permits <= lock.limit;
  }
  return false;
}

void State::grant_wait(Owner& owner, Stamp at) {
  const std::vector<WaitItem> items = owner.wait.items;
  const bool is_upgrade = owner.wait.is_upgrade;
  end_wait(owner, WaitState::kGranted);
  if (is_upgrade) {
    raise(owner, *items.front().lock, at);
  } else {
    const Token token =
        MUTANT(lock_tokens_stay) ? numbers_.last_token : ++numbers_.last_token;
    ++numbers_.grants;
    for (const WaitItem& item : items) {
      hold(owner, item, token, at);
    }
  }
  owner.wait.token = numbers_.last_token;
  if (owner.is_transient) {
    begin_lease(owner, at);
  }
  save(owner);
}

void State::touch(Lock& lock) {
  if (!lock.is_touched) {
    lock.is_touched = true;
    touched_.push_back(&lock);
  }
}

// Until nothing moves: a grant takes its owner out of other queues too.
void State::settle(Stamp at) {
  for (size_t next = 0; next < touched_.size(); ++next) {
    Lock& lock = *touched_[next];
    lock.is_touched = false;
    settle(lock, at);
    if (!lock.is_touched) {
      drop_if_unused(lock);
    }
  }
  touched_.clear();
}

void State::settle(Lock& lock, Stamp at) {
  auto place = lock.queue.begin();
  while (place != lock.queue.end()) {
    Owner& owner = *place->second.owner;
    const bool is_shared = place->second.mode == Mode::kShared;
    ++place;
    if (owner.wait.deadline <= at) {
      end_wait(owner, WaitState::kTimedOut);
      continue;
    }
    const bool is_granted =
        std::all_of(owner.wait.items.begin(), owner.wait.items.end(),
                    [&](const WaitItem& item) { return is_served(owner, item); });
    if (is_granted) {
      grant_wait(owner, at);
    } else if (!is_shared) {
      return;
    }
  }
}

}  // namespace quorate::service::lock
