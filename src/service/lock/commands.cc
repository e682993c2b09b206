// SPDX-License-Identifier: Apache-2.0
#include "service/lock/commands.h"

#include "base/limits.h"
#include "service/verb/codec.h"

// The pairs are static and not in an unnamed namespace: the templates of fields.h find them by
// their arguments, and that way of looking does not see into one.
namespace quorate::service::lock {

static void write_fields(Writer& writer, const OwnerRef& who) {
  writer.id(who.domain);
  writer.bytes(who.owner);
}

static void read_fields(Reader& reader, OwnerRef& who) {
  who.domain = reader.id<DomainId>();
  who.owner = reader.bytes();
}

static void write_fields(Writer& writer, const Open& open) {
  write_fields(writer, open.who);
  write_duration(writer, open.lease);
}

static void read_fields(Reader& reader, Open& open) {
  read_fields(reader, open.who);
  open.lease = read_duration(reader);
}

static void write_fields(Writer& writer, const Renew& renew) { write_fields(writer, renew.who); }
static void read_fields(Reader& reader, Renew& renew) { read_fields(reader, renew.who); }

static void write_fields(Writer& writer, const Close& close) { write_fields(writer, close.who); }
static void read_fields(Reader& reader, Close& close) { read_fields(reader, close.who); }

static void write_fields(Writer& writer, const Acquire::Item& item) {
  writer.bytes(item.name);
  write_enum(writer, item.mode);
  if (item.mode == Mode::kPermits) {
    writer.varint(item.permits);
    writer.varint(item.limit);
  }
}

static void read_fields(Reader& reader, Acquire::Item& item) {
  item.name = reader.bytes();
  read_enum(reader, Mode::kPermits, item.mode);
  if (item.mode == Mode::kPermits) {
    item.permits = reader.varint();
    item.limit = reader.varint();
  }
}

static void write_fields(Writer& writer, const Acquire& acquire) {
  write_fields(writer, acquire.who);
  write_list(writer, acquire.items);
  write_duration(writer, acquire.wait);
  write_duration(writer, acquire.lease);
}

static void read_fields(Reader& reader, Acquire& acquire) {
  read_fields(reader, acquire.who);
  read_list(reader, limits::kLockItemsMax, acquire.items);
  acquire.wait = read_duration(reader);
  acquire.lease = read_duration(reader);
}

static void write_fields(Writer& writer, const Upgrade& upgrade) {
  write_fields(writer, upgrade.who);
  writer.bytes(upgrade.name);
  write_duration(writer, upgrade.wait);
}

static void read_fields(Reader& reader, Upgrade& upgrade) {
  read_fields(reader, upgrade.who);
  upgrade.name = reader.bytes();
  upgrade.wait = read_duration(reader);
}

static void write_fields(Writer& writer, const Downgrade& downgrade) {
  write_fields(writer, downgrade.who);
  writer.bytes(downgrade.name);
}

static void read_fields(Reader& reader, Downgrade& downgrade) {
  read_fields(reader, downgrade.who);
  downgrade.name = reader.bytes();
}

static void write_fields(Writer& writer, const Release& release) {
  write_fields(writer, release.who);
  writer.bytes(release.name);
  writer.varint(release.count);
  writer.id(release.token);
}

static void read_fields(Reader& reader, Release& release) {
  read_fields(reader, release.who);
  release.name = reader.bytes();
  release.count = reader.varint();
  release.token = reader.id<Token>();
}

static void write_fields(Writer& writer, const Cancel& cancel) {
  write_fields(writer, cancel.who);
  writer.id(cancel.ticket);
}

static void read_fields(Reader& reader, Cancel& cancel) {
  read_fields(reader, cancel.who);
  cancel.ticket = reader.id<Ticket>();
}

static void write_fields(Writer& writer, const Break& command) {
  writer.id(command.domain);
  writer.bytes(command.name);
  writer.bytes(command.owner);
}

static void read_fields(Reader& reader, Break& command) {
  command.domain = reader.id<DomainId>();
  command.name = reader.bytes();
  command.owner = reader.bytes();
}

static void write_fields(Writer& writer, const ExpireDue::Alive& alive) {
  write_fields(writer, alive.who);
  write_duration(writer, alive.silence);
}

static void read_fields(Reader& reader, ExpireDue::Alive& alive) {
  read_fields(reader, alive.who);
  alive.silence = read_duration(reader);
}

static void write_fields(Writer& writer, const ExpireDue& expire) {
  writer.stamp(expire.through);
  writer.varint(expire.limit);
  write_list(writer, expire.heard);
}

static void read_fields(Reader& reader, ExpireDue& expire) {
  expire.through = reader.stamp();
  expire.limit = reader.varint();
  read_list(reader, limits::kLockOwnersMax, expire.heard);
}

static void write_fields(Writer& writer, const Resolve& resolve) {
  write_fields(writer, resolve.who);
  writer.id(resolve.ticket);
  writer.bytes(resolve.cycle);
}

static void read_fields(Reader& reader, Resolve& resolve) {
  read_fields(reader, resolve.who);
  resolve.ticket = reader.id<Ticket>();
  resolve.cycle = reader.bytes();
}

static void write_fields(Writer& writer, const WaitOf& query) { write_fields(writer, query.who); }
static void read_fields(Reader& reader, WaitOf& query) { read_fields(reader, query.who); }

static void write_fields(Writer& writer, const Info& query) {
  writer.id(query.domain);
  writer.bytes(query.name);
}

static void read_fields(Reader& reader, Info& query) {
  query.domain = reader.id<DomainId>();
  query.name = reader.bytes();
}

static void write_fields(Writer& writer, const List& query) {
  writer.id(query.domain);
  writer.bytes(query.prefix);
  writer.bytes(query.after);
  writer.varint(query.limit);
}

static void read_fields(Reader& reader, List& query) {
  query.domain = reader.id<DomainId>();
  query.prefix = reader.bytes();
  query.after = reader.bytes();
  query.limit = reader.varint();
}

static void write_fields(Writer& writer, const OwnerOf& query) {
  write_fields(writer, query.who);
  writer.bytes(query.after);
}

static void read_fields(Reader& reader, OwnerOf& query) {
  read_fields(reader, query.who);
  query.after = reader.bytes();
}

static void write_fields(Writer&, const Stats&) {}
static void read_fields(Reader&, Stats&) {}

static void write_fields(Writer& writer, const Heartbeat& query) {
  write_list(writer, query.owners);
}
static void read_fields(Reader& reader, Heartbeat& query) {
  read_list(reader, limits::kLockHeartbeatOwnersMax, query.owners);
}

static void write_fields(Writer& writer, const Edges& query) { write_list(writer, query.owners); }
static void read_fields(Reader& reader, Edges& query) {
  read_list(reader, limits::kLockGraphOwnersMax, query.owners);
}

void encode(const Command& command, std::string& out) { encode_verb(command, out); }

void encode(const Query& query, std::string& out) { encode_verb(query, out); }

Result<Command> decode_command(std::string_view bytes) { return decode_verb<Command>(bytes); }
Result<Query> decode_query(std::string_view bytes) { return decode_verb<Query>(bytes); }

}  // namespace quorate::service::lock
