// SPDX-License-Identifier: Apache-2.0
// The rows that take locks and give them back.
#include <boost/json/array.hpp>
#include <boost/json/value.hpp>
#include <deque>

#include "edge/http/lock/lock_rows.h"

namespace quorate::edge::http {

namespace lock = service::lock;

namespace {

// Of an owner that nobody opened: long enough for a person with curl.
constexpr Duration kLeaseDefault = Duration::seconds(30);
// The older calls wait for so long, unless they say otherwise.
constexpr Duration kLockTimeoutDefault = Duration::seconds(10);

void write_released(const lock::Released& released, JsonWriter& json, Stamp) {
  json.field("left", released.left);
}

void write_taken(const lock::Acquired& acquired, JsonWriter& json, Stamp now) {
  write_acquired(acquired, now, json);
}

}  // namespace

void write_stamp(std::string_view name, std::string_view left, Stamp at, Stamp now,
                 JsonWriter& json) {
  if (at == Stamp::never()) {
    json.key(name).null().key(left).null();
    return;
  }
  json.field(name, at.millis());
  json.field(left, at > now ? (at - now).millis() : int64_t{0});
}

void write_acquired(const lock::Acquired& acquired, Stamp now, JsonWriter& json) {
  json.field("granted", acquired.granted);
  if (acquired.granted) {
    json.field("token", acquired.token.value());
  } else {
    json.field("ticket", acquired.ticket.value()).field("ahead", acquired.ahead);
    write_stamp("deadline_ms", "wait_left_ms", acquired.deadline, now, json);
  }
  write_stamp("lease_end_ms", "lease_left_ms", acquired.lease_end, now, json);
}

// The client that leaves while it waits is given up: nobody else should wait for it to be granted
// what it will not use.
Status LockRows::take(const LockAsked& asked, const lock::OwnerRef& who,
                      const lock::Command& command, const Responder& responder) {
  const Result<lock::WriteOptions> options = read_lock_write(asked.request);
  RETURN_IF_ERROR(options);
  RETURN_IF_ERROR(lock::validate(command));
  const auto done = [this, responder](const Status& status, const lock::Acquired& acquired,
                                      const service::Origin& origin) {
    if (!status.ok()) {
      fail_from(responder, status, origin);
      return;
    }
    Response response;
    JsonWriter json(response.body);
    json.begin_object();
    write_acquired(acquired, clock_.wall(), json);
    json.end_object();
    response.body += '\n';
    add_origin(origin, response);
    responder.send(std::move(response));
  };
  const uint64_t wait = api_.wait(who, command, *options, done);
  responder.on_gone([this, wait, responder] {
    api_.give_up(wait);
    responder.fail(Status(Code::kUnavailable, "this node stops; the wait is given up"));
  });
  return Status::success();
}

Status LockRows::acquire(const LockAsked& asked, const Responder& responder) {
  LockFields body(asked.request,
                  {"owner", "mode", "permits", "limit", "wait", "lease", "background"});
  lock::Acquire acquire;
  acquire.who = {asked.domain, body.bytes("owner")};
  acquire.items = {body.item(asked.request.parameter("name"))};
  acquire.wait = body.duration("wait", Duration());
  acquire.lease = body.duration("lease", kLeaseDefault);
  const bool background = body.flag("background");
  RETURN_IF_ERROR(body.status());
  return background ? propose<lock::Acquired>(asked, acquire, responder, write_taken)
                    : take(asked, acquire.who, acquire, responder);
}

Status LockRows::acquire_many(const LockAsked& asked, const Responder& responder) {
  LockFields body(asked.request, {"owner", "locks", "wait", "lease", "background"});
  lock::Acquire acquire;
  acquire.who = {asked.domain, body.bytes("owner")};
  acquire.wait = body.duration("wait", Duration());
  acquire.lease = body.duration("lease", kLeaseDefault);
  const bool background = body.flag("background");
  const boost::json::array* const list = body.list("locks");
  RETURN_IF_ERROR(body.status());
  std::deque<LockFields> items;  // views of them stand in the command
  for (const boost::json::value& value : *list) {
    LockFields& item = items.emplace_back(
        value, std::initializer_list<std::string_view>{"name", "mode", "permits", "limit"});
    acquire.items.push_back(item.item(item.bytes("name")));
    RETURN_IF_ERROR(item.status());
  }
  return background ? propose<lock::Acquired>(asked, acquire, responder, write_taken)
                    : take(asked, acquire.who, acquire, responder);
}

Status LockRows::upgrade(const LockAsked& asked, const Responder& responder) {
  LockFields body(asked.request, {"owner", "wait", "background"});
  lock::Upgrade upgrade;
  upgrade.who = {asked.domain, body.bytes("owner")};
  upgrade.name = asked.request.parameter("name");
  upgrade.wait = body.duration("wait", Duration());
  const bool background = body.flag("background");
  RETURN_IF_ERROR(body.status());
  return background ? propose<lock::Acquired>(asked, upgrade, responder, write_taken)
                    : take(asked, upgrade.who, upgrade, responder);
}

Status LockRows::downgrade(const LockAsked& asked, const Responder& responder) {
  LockFields body(asked.request, {"owner"});
  lock::Downgrade downgrade;
  downgrade.who = {asked.domain, body.bytes("owner")};
  downgrade.name = asked.request.parameter("name");
  RETURN_IF_ERROR(body.status());
  return propose<lock::Acquired>(asked, downgrade, responder, write_taken);
}

Status LockRows::release(const LockAsked& asked, const Responder& responder) {
  LockFields body(asked.request, {"owner", "count", "token"});
  lock::Release release;
  release.who = {asked.domain, body.bytes("owner")};
  release.name = asked.request.parameter("name");
  release.count = body.number("count", 1);
  release.token = Token(body.number("token", 0));
  RETURN_IF_ERROR(body.status());
  return propose<lock::Released>(asked, release, responder, write_released);
}

// As older lock services have it: who locks waits, and a client is an owner.
Status LockRows::lock(const LockAsked& asked, const Responder& responder) {
  LockFields body(asked.request, {"resource", "client_id", "mode", "timeout", "lease"});
  lock::Acquire acquire;
  acquire.who = {asked.domain, body.bytes("client_id")};
  acquire.items = {body.item(body.bytes("resource"))};
  acquire.wait = body.duration("timeout", kLockTimeoutDefault);
  acquire.lease = body.duration("lease", kLeaseDefault);
  RETURN_IF_ERROR(body.status());
  return take(asked, acquire.who, acquire, responder);
}

Status LockRows::unlock(const LockAsked& asked, const Responder& responder) {
  LockFields body(asked.request, {"resource", "client_id", "token"});
  lock::Release release;
  release.who = {asked.domain, body.bytes("client_id")};
  release.name = body.bytes("resource");
  release.token = Token(body.number("token", 0));
  RETURN_IF_ERROR(body.status());
  return propose<lock::Released>(asked, release, responder, write_released);
}

}  // namespace quorate::edge::http
