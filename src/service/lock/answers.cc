// SPDX-License-Identifier: Apache-2.0
#include "service/lock/answers.h"

#include "base/limits.h"
#include "service/verb/codec.h"

// Static and not in an unnamed namespace, as in commands.cc.
namespace quorate::service::lock {

static void write_fields(Writer& writer, const Owned& owned) {
  writer.id(owned.number);
  writer.boolean(owned.opened);
  writer.stamp(owned.lease_end);
}

static void read_fields(Reader& reader, Owned& owned) {
  owned.number = reader.id<OwnerNumber>();
  owned.opened = reader.boolean();
  owned.lease_end = reader.stamp();
}

static void write_fields(Writer& writer, const Closed& closed) { writer.varint(closed.released); }
static void read_fields(Reader& reader, Closed& closed) { closed.released = reader.varint(); }

static void write_fields(Writer& writer, const Acquired& acquired) {
  writer.boolean(acquired.granted);
  if (acquired.granted) {
    writer.id(acquired.token);
  } else {
    writer.id(acquired.ticket);
    writer.varint(acquired.ahead);
    writer.stamp(acquired.deadline);
  }
  writer.stamp(acquired.lease_end);
}

static void read_fields(Reader& reader, Acquired& acquired) {
  acquired.granted = reader.boolean();
  if (acquired.granted) {
    acquired.token = reader.id<Token>();
  } else {
    acquired.ticket = reader.id<Ticket>();
    acquired.ahead = reader.varint();
    acquired.deadline = reader.stamp();
  }
  acquired.lease_end = reader.stamp();
}

static void write_fields(Writer& writer, const Released& answer) { writer.varint(answer.left); }
static void read_fields(Reader& reader, Released& answer) { answer.left = reader.varint(); }

static void write_fields(Writer& writer, const Cancelled& answer) {
  writer.boolean(answer.cancelled);
}
static void read_fields(Reader& reader, Cancelled& answer) {
  answer.cancelled = reader.boolean();
}

static void write_fields(Writer& writer, const Broken& answer) { writer.varint(answer.count); }
static void read_fields(Reader& reader, Broken& answer) { answer.count = reader.varint(); }

static void write_fields(Writer& writer, const Expired& answer) {
  writer.varint(answer.owners);
  writer.varint(answer.waits);
}

static void read_fields(Reader& reader, Expired& answer) {
  answer.owners = reader.varint();
  answer.waits = reader.varint();
}

static void write_fields(Writer& writer, const WaitStatus& wait) {
  write_enum(writer, wait.state);
  writer.id(wait.ticket);
  writer.id(wait.token);
  writer.varint(wait.ahead);
  writer.stamp(wait.deadline);
  writer.stamp(wait.lease_end);
  writer.bytes(wait.cycle);
}

static void read_fields(Reader& reader, WaitStatus& wait) {
  read_enum(reader, WaitState::kDeadlock, wait.state);
  wait.ticket = reader.id<Ticket>();
  wait.token = reader.id<Token>();
  wait.ahead = reader.varint();
  wait.deadline = reader.stamp();
  wait.lease_end = reader.stamp();
  wait.cycle = reader.bytes();
}

static void write_fields(Writer& writer, const Holder& holder) {
  writer.bytes(holder.owner);
  write_enum(writer, holder.mode);
  writer.varint(holder.count);
  writer.id(holder.token);
  writer.stamp(holder.since);
}

static void read_fields(Reader& reader, Holder& holder) {
  holder.owner = reader.bytes();
  read_enum(reader, Mode::kPermits, holder.mode);
  holder.count = reader.varint();
  holder.token = reader.id<Token>();
  holder.since = reader.stamp();
}

static void write_fields(Writer& writer, const Waiter& waiter) {
  writer.bytes(waiter.owner);
  write_enum(writer, waiter.mode);
  writer.varint(waiter.permits);
  writer.boolean(waiter.is_upgrade);
  writer.id(waiter.ticket);
  writer.stamp(waiter.since);
  writer.stamp(waiter.deadline);
}

static void read_fields(Reader& reader, Waiter& waiter) {
  waiter.owner = reader.bytes();
  read_enum(reader, Mode::kPermits, waiter.mode);
  waiter.permits = reader.varint();
  waiter.is_upgrade = reader.boolean();
  waiter.ticket = reader.id<Ticket>();
  waiter.since = reader.stamp();
  waiter.deadline = reader.stamp();
}

static void write_fields(Writer& writer, const LockDetails& details) {
  writer.varint(details.limit);
  writer.varint(details.used);
  writer.varint(details.holder_count);
  writer.varint(details.waiter_count);
  write_list(writer, details.holders);
  write_list(writer, details.waiters);
}

static void read_fields(Reader& reader, LockDetails& details) {
  details.limit = reader.varint();
  details.used = reader.varint();
  details.holder_count = reader.varint();
  details.waiter_count = reader.varint();
  read_list(reader, limits::kLockShownMax, details.holders);
  read_list(reader, limits::kLockShownMax, details.waiters);
}

static void write_fields(Writer& writer, const LockSummary& lock) {
  writer.bytes(lock.name);
  write_enum(writer, lock.mode);
  writer.varint(lock.limit);
  writer.varint(lock.used);
  writer.varint(lock.holders);
  writer.varint(lock.waiters);
  writer.bytes(lock.owner);
  writer.id(lock.token);
}

static void read_fields(Reader& reader, LockSummary& lock) {
  lock.name = reader.bytes();
  read_enum(reader, Mode::kPermits, lock.mode);
  lock.limit = reader.varint();
  lock.used = reader.varint();
  lock.holders = reader.varint();
  lock.waiters = reader.varint();
  lock.owner = reader.bytes();
  lock.token = reader.id<Token>();
}

static void write_fields(Writer& writer, const LockPage& page) {
  write_list(writer, page.locks);
  writer.boolean(page.more);
}

static void read_fields(Reader& reader, LockPage& page) {
  read_list(reader, limits::kLockShownMax, page.locks);
  page.more = reader.boolean();
}

static void write_fields(Writer& writer, const Held& held) {
  writer.bytes(held.name);
  write_enum(writer, held.mode);
  writer.varint(held.count);
  writer.id(held.token);
}

static void read_fields(Reader& reader, Held& held) {
  held.name = reader.bytes();
  read_enum(reader, Mode::kPermits, held.mode);
  held.count = reader.varint();
  held.token = reader.id<Token>();
}

static void write_fields(Writer& writer, const OwnerDetails& details) {
  writer.id(details.number);
  write_duration(writer, details.lease);
  writer.boolean(details.is_transient);
  writer.varint(details.held_count);
  write_list(writer, details.held);
  write_fields(writer, details.wait);
  write_list(writer, details.waits_for);
}

static void read_fields(Reader& reader, OwnerDetails& details) {
  details.number = reader.id<OwnerNumber>();
  details.lease = read_duration(reader);
  details.is_transient = reader.boolean();
  details.held_count = reader.varint();
  read_list(reader, limits::kLockShownMax, details.held);
  read_fields(reader, details.wait);
  read_list(reader, limits::kLockItemsMax, details.waits_for);
}

template <class Usages, class F>
static void for_each_number(Usages& usage, F&& visit) {
  for (auto* number : {&usage.locks, &usage.holds, &usage.waits, &usage.owners, &usage.grants,
                       &usage.queued, &usage.timed_out, &usage.leases_lost, &usage.broken,
                       &usage.deadlocks_detected, &usage.deadlocks_resolved}) {
    visit(*number);
  }
}

static void write_fields(Writer& writer, const Usage& usage) {
  for_each_number(usage, [&](const uint64_t& number) { writer.varint(number); });
}

static void read_fields(Reader& reader, Usage& usage) {
  for_each_number(usage, [&](uint64_t& number) { number = reader.varint(); });
}

static void write_fields(Writer& writer, const Alive::Life& life) {
  writer.id(life.number);
  writer.stamp(life.lease_end);
}

static void read_fields(Reader& reader, Alive::Life& life) {
  life.number = reader.id<OwnerNumber>();
  life.lease_end = reader.stamp();
}

static void write_fields(Writer& writer, const Alive& alive) { write_list(writer, alive.lives); }
static void read_fields(Reader& reader, Alive& alive) {
  read_list(reader, limits::kLockHeartbeatOwnersMax, alive.lives);
}

static void write_fields(Writer& writer, const Blocker& blocker) {
  writer.bytes(blocker.owner);
  writer.varint(blocker.count);
}

static void read_fields(Reader& reader, Blocker& blocker) {
  blocker.owner = reader.bytes();
  blocker.count = reader.varint();
}

static void write_fields(Writer& writer, const WaitEdges::Item& item) {
  writer.bytes(item.name);
  writer.varint(item.permits);
  writer.varint(item.limit);
  write_list(writer, item.blockers);
}

static void read_fields(Reader& reader, WaitEdges::Item& item) {
  item.name = reader.bytes();
  item.permits = reader.varint();
  item.limit = reader.varint();
  read_list(reader, limits::kLockGraphEdgesMax, item.blockers);
}

static void write_fields(Writer& writer, const WaitEdges& wait) {
  writer.id(wait.who.domain);
  writer.bytes(wait.who.owner);
  writer.id(wait.ticket);
  writer.stamp(wait.since);
  write_list(writer, wait.items);
}

static void read_fields(Reader& reader, WaitEdges& wait) {
  wait.who.domain = reader.id<DomainId>();
  wait.who.owner = reader.bytes();
  wait.ticket = reader.id<Ticket>();
  wait.since = reader.stamp();
  read_list(reader, limits::kLockItemsMax, wait.items);
}

static void write_fields(Writer& writer, const Graph& graph) {
  write_list(writer, graph.waits);
  writer.boolean(graph.cut);
}

static void read_fields(Reader& reader, Graph& graph) {
  read_list(reader, limits::kLockGraphEdgesMax, graph.waits);
  graph.cut = reader.boolean();
}

void encode(const Answer& answer, std::string& out) { encode_said(answer, out); }
Answer decode_answer(std::string_view bytes) { return decode_said<Answer>(bytes); }

std::string_view name_of(Mode mode) {
  switch (mode) {
    case Mode::kShared: return "shared";
    case Mode::kExclusive: return "exclusive";
    case Mode::kPermits: return "permits";
  }
  return "";
}

std::string_view name_of(WaitState state) {
  switch (state) {
    case WaitState::kNone: return "none";
    case WaitState::kWaiting: return "waiting";
    case WaitState::kGranted: return "granted";
    case WaitState::kTimedOut: return "timed_out";
    case WaitState::kCancelled: return "cancelled";
    case WaitState::kBroken: return "broken";
    case WaitState::kDeadlock: return "deadlock";
  }
  return "";
}

}  // namespace quorate::service::lock
