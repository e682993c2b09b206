// SPDX-License-Identifier: Apache-2.0
#include "service/lock/record.h"

namespace quorate::service::lock {
namespace {

bool is_domain(uint64_t number) { return number <= limits::kKeyspacesMax; }

bool is_owner_name(std::string_view name) {
  return !name.empty() && name.size() <= limits::kNameBytesMax;
}

bool is_lock_name(std::string_view name) {
  return !name.empty() && name.size() <= limits::kLockNameBytesMax;
}

// Permits only of a semaphore, and no more than it has.
bool fits(Mode mode, uint64_t permits, uint64_t limit) {
  if (mode == Mode::kPermits) {
    return permits > 0 && permits <= limit && limit <= limits::kLockPermitsMax;
  }
  return limit == 0;
}

void write_wait(Writer& writer, const Wait& wait) {
  write_enum(writer, wait.state);
  if (wait.state == WaitState::kNone) {
    return;
  }
  writer.boolean(wait.is_upgrade);
  writer.id(wait.ticket);
  writer.id(wait.token);
  writer.stamp(wait.since);
  writer.stamp(wait.deadline);
  for (const WaitItem& item : wait.items) {
    writer.bytes(item.lock->name);
    write_enum(writer, item.mode);
    writer.varint(item.permits);
    writer.varint(item.lock->limit);
  }
  writer.raw(wait.cycle);
}

void read_item(Reader& reader, OwnerRecord& owner) {
  ItemRecord& item = owner.items.emplace_back();
  item.name = reader.bytes();
  read_enum(reader, Mode::kPermits, item.mode);
  item.permits = reader.varint();
  item.limit = reader.varint();
  if (!is_lock_name(item.name) || !fits(item.mode, item.permits, item.limit)) {
    reader.fail();
  }
}

void read_wait(Reader& reader, OwnerRecord& owner) {
  Wait& wait = owner.wait;
  read_enum(reader, WaitState::kDeadlock, wait.state);
  if (wait.state == WaitState::kNone) {
    return;
  }
  wait.is_upgrade = reader.boolean();
  wait.ticket = reader.id<Ticket>();
  wait.token = reader.id<Token>();
  wait.since = reader.stamp();
  wait.deadline = reader.stamp();
  if (wait.state == WaitState::kDeadlock) {
    wait.cycle = reader.rest();
  }
  while (reader.left() > 0 && owner.items.size() < limits::kLockItemsMax) {
    read_item(reader, owner);
  }
  if (wait.is_waiting() != !owner.items.empty() || wait.ticket.none() ||
      wait.deadline == Stamp::never()) {
    reader.fail();
  }
}

}  // namespace

std::string encode_owner(const Owner& owner) {
  std::string record;
  Writer writer(record);
  writer.id(owner.number);
  write_duration(writer, owner.lease);
  writer.stamp(owner.lease_end);
  writer.boolean(owner.is_transient);
  write_wait(writer, owner.wait);
  return record;
}

std::string encode_hold(const Lock& lock, const Hold& hold) {
  std::string record;
  Writer writer(record);
  write_enum(writer, hold.mode);
  writer.varint(hold.count);
  writer.id(hold.token);
  writer.stamp(hold.since);
  writer.varint(lock.limit);
  return record;
}

bool parse_key(std::string_view key, KeyParts& parts) {
  Reader reader(key);
  const uint64_t prefix = reader.varint();
  parts.domain = DomainId(static_cast<uint32_t>(prefix >> 1));
  parts.is_hold = (prefix & 1) != 0;
  parts.owner = parts.is_hold ? reader.bytes() : reader.rest();
  parts.name = parts.is_hold ? reader.rest() : std::string_view();
  return reader.ok() && is_domain(prefix >> 1) && is_owner_name(parts.owner) &&
         parts.is_hold == is_lock_name(parts.name);
}

bool parse_owner(std::string_view record, OwnerRecord& owner) {
  Reader reader(record);
  owner.number = reader.id<OwnerNumber>();
  owner.lease = read_duration(reader);
  owner.lease_end = reader.stamp();
  owner.is_transient = reader.boolean();
  read_wait(reader, owner);
  return reader.done() && !owner.number.none() && owner.lease_end != Stamp::never();
}

bool parse_hold(std::string_view record, HoldRecord& hold) {
  Reader reader(record);
  read_enum(reader, Mode::kPermits, hold.mode);
  hold.count = reader.varint();
  hold.token = reader.id<Token>();
  hold.since = reader.stamp();
  hold.limit = reader.varint();
  return reader.done() && hold.count > 0 && !hold.token.none() &&
         fits(hold.mode, hold.count, hold.limit);
}

}  // namespace quorate::service::lock
