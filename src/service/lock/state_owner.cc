// SPDX-License-Identifier: Apache-2.0
// Owners: their leases and their ends.
#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/limits.h"
#include "service/lock/record.h"
#include "service/lock/state.h"

namespace quorate::service::lock {
namespace {

// A fifth more than was asked for at least: stamps may run an eighth faster than time (decision
// 092), and a leader's clock may run fast as well. A quarter more when a lease begins, because a
// busy owner should move in the order of ends now and then, and not with each command.
Duration lease_at_least(const Owner& owner) { return owner.lease + owner.lease / 5; }
Duration lease_with_slack(const Owner& owner) { return owner.lease + owner.lease / 4; }
Stamp end_with_slack(const Owner& owner, Stamp at) { return at + lease_with_slack(owner); }

}  // namespace

std::string State::due_item(DueKind kind, const Owner& owner) {
  return static_cast<char>(kind) + owner_key(owner.domain, owner.name);
}

Owner* State::find_owner(const OwnerRef& who) {
  const auto found = owners_.find(NameView(who.domain, who.owner));
  return found == owners_.end() ? nullptr : &found->second;
}

const Owner* State::find_owner(const OwnerRef& who) const {
  const auto found = owners_.find(NameView(who.domain, who.owner));
  return found == owners_.end() ? nullptr : &found->second;
}

// The caller saves it.
Owner& State::open_owner(const OwnerRef& who, Duration lease, Stamp at) {
  const auto [place, is_new] =
      owners_.emplace(NameKey(who.domain, who.owner), Owner{.domain = who.domain, .lease = lease});
  ASSERT(is_new);
  Owner& owner = place->second;
  owner.name = place->first.second;
  owner.number = OwnerNumber(++numbers_.last_number);
  owner.lease_end = end_with_slack(owner, at);
  due_.add(owner.lease_end, due_item(DueKind::kLease, owner));
  return owner;
}

void State::close_owner(Owner& owner) {
  if (owner.wait.is_waiting()) {
    end_wait(owner, WaitState::kCancelled);
  }
  while (!owner.held.empty()) {
    take_hold(owner, *owner.held.begin()->second);
  }
  due_.remove(owner.lease_end, due_item(DueKind::kLease, owner));
  table_.erase(owner_key(owner.domain, owner.name));
  owners_.erase(owners_.find(NameView(owner.domain, owner.name)));
}

// One that acquire made goes when it has nothing left to lose, unless it has still to hear what
// others did to its wait.
void State::close_if_idle(Owner& owner) {
  if (owner.is_transient && owner.held.empty() && !owner.wait.is_waiting() &&
      owner.wait.state != WaitState::kBroken) {
    close_owner(owner);
  }
}

// One that was opened chose its lease then, for all that it holds.
void State::lengthen(Owner& owner, Duration lease) {
  if (owner.is_transient) {
    owner.lease = std::max(owner.lease, lease);
  }
}

// The caller saves it.
void State::renew(Owner& owner, Stamp at) {
  if (owner.lease_end < at + lease_at_least(owner)) {
    begin_lease(owner, at);
  }
}

// Also to an earlier end: if its client died while it waited, others need not wait out the rest.
void State::begin_lease(Owner& owner, Stamp at) {
  move_lease_end(owner, end_with_slack(owner, at));
}

// One that acquire made sends nothing while it waits: its lease lasts as long as the wait.
void State::cover(Owner& owner, Stamp deadline) {
  if (owner.lease_end < deadline + lease_at_least(owner)) {
    move_lease_end(owner, deadline + lease_at_least(owner));
  }
}

void State::move_lease_end(Owner& owner, Stamp end) {
  due_.remove(owner.lease_end, due_item(DueKind::kLease, owner));
  owner.lease_end = end;
  due_.add(owner.lease_end, due_item(DueKind::kLease, owner));
}

void State::save(const Owner& owner) {
  table_.put(owner_key(owner.domain, owner.name), encode_owner(owner));
}

std::string State::due_command(Stamp now) const {
  std::string bytes;
  encode(Command(ExpireDue{.through = now, .limit = limits::kExpireItemsMax}), bytes);
  return bytes;
}

// Owners that were heard are let be, without an entry, until so many are past their ends that the
// walk over them would take its time: then one command moves the ends of those that it has seen. It
// goes no further than these: whom it does not name it would end.
DueStep State::due_step(Stamp now, const Heard& heard) const {
  constexpr size_t kHeardPerStep = 64;
  ExpireDue command{.through = now, .limit = limits::kExpireItemsMax};
  Duration pause = Duration::seconds(3'600);
  bool is_due = false;
  bool is_enough = false;
  size_t seen = 0;
  Stamp last;
  const Stamp next = due_.walk(now, [&](Stamp end, std::string_view item) {
    if (is_enough && end != last) {
      command.through = last;
      return false;
    }
    last = end;
    const Owner& owner = owner_of_due(item);
    if (static_cast<DueKind>(item.front()) == DueKind::kWait) {
      is_due = true;
    } else {
      const Duration silence = heard.silence_of(ServiceId::kLock, item.substr(1));
      const Duration left = lease_with_slack(owner) - silence;
      if (left > Duration()) {
        command.heard.push_back({{owner.domain, owner.name}, silence});
        pause = std::min(pause, left);
      } else {
        is_due = true;
      }
    }
    is_enough = ++seen >= limits::kExpireItemsMax || command.heard.size() >= kHeardPerStep;
    return true;
  });
  if (is_due || command.heard.size() >= kHeardPerStep) {
    std::string bytes;
    encode(Command(command), bytes);
    return {std::move(bytes), {}};
  }
  return {{}, next == Stamp::never() ? pause : std::min(pause, next - now)};
}

const Owner& State::owner_of_due(std::string_view item) const {
  KeyParts parts;
  const bool is_owner = parse_key(item.substr(1), parts) && !parts.is_hold;
  ASSERT(is_owner);
  const Owner* const owner = find_owner({parts.domain, parts.owner});
  ASSERT(owner != nullptr);
  return *owner;
}

void State::subjects(const Query& query, std::vector<std::string>& out) const {
  if (const Heartbeat* const beat = std::get_if<Heartbeat>(&query)) {
    for (const OwnerRef& who : beat->owners) {
      if (find_owner(who) != nullptr) {
        out.push_back(owner_key(who.domain, who.owner));
      }
    }
  }
}

bool State::has_subject(std::string_view subject) const {
  KeyParts parts;
  return parse_key(subject, parts) && !parts.is_hold &&
         find_owner({parts.domain, parts.owner}) != nullptr;
}

void State::expire_first(Stamp at, const HeardOwners& heard, Expired& expired) {
  const std::string_view item = due_.first_item();
  const Owner& due = owner_of_due(item);
  Owner& owner = *find_owner({due.domain, due.name});
  if (static_cast<DueKind>(item.front()) == DueKind::kWait) {
    end_wait(owner, WaitState::kTimedOut);
    ++expired.waits;
    return;
  }
  const auto alive = heard.find(NameView(owner.domain, owner.name));
  if (alive != heard.end() && at < at - alive->second + lease_with_slack(owner)) {
    move_lease_end(owner, at - alive->second + lease_with_slack(owner));
    save(owner);
    return;
  }
  ++expired.owners;
  ++numbers_.leases_lost;
  close_owner(owner);
}

}  // namespace quorate::service::lock
