// SPDX-License-Identifier: Apache-2.0
// The rows of owners, and those that show what there is.
#include "base/limits.h"
#include "edge/http/lock/lock_rows.h"

namespace quorate::edge::http {

namespace lock = service::lock;

namespace {

constexpr Duration kOwnerLeaseDefault = Duration::seconds(30);

void write_owned(const lock::Owned& owned, JsonWriter& json, Stamp now) {
  json.field("number", owned.number.value()).field("opened", owned.opened);
  write_stamp("lease_end_ms", "lease_left_ms", owned.lease_end, now, json);
}

void write_wait(const lock::WaitStatus& wait, JsonWriter& json, Stamp now) {
  json.field("state", lock::name_of(wait.state));
  if (wait.state != lock::WaitState::kNone) {
    json.field("ticket", wait.ticket.value());
  }
  if (wait.state == lock::WaitState::kGranted) {
    json.field("token", wait.token.value());
  }
  if (wait.state == lock::WaitState::kWaiting) {
    json.field("ahead", wait.ahead);
    write_stamp("deadline_ms", "wait_left_ms", wait.deadline, now, json);
  }
}

void write_holder(const lock::Holder& holder, JsonWriter& json) {
  json.begin_object();
  write_bytes("owner", holder.owner, json);
  json.field("mode", lock::name_of(holder.mode)).field("count", holder.count);
  json.field("token", holder.token.value()).field("since_ms", holder.since.millis());
  json.end_object();
}

void write_waiter(const lock::Waiter& waiter, JsonWriter& json, Stamp now) {
  json.begin_object();
  write_bytes("owner", waiter.owner, json);
  json.field("mode", lock::name_of(waiter.mode)).field("upgrade", waiter.is_upgrade);
  if (waiter.permits != 0) {
    json.field("permits", waiter.permits);
  }
  json.field("ticket", waiter.ticket.value()).field("since_ms", waiter.since.millis());
  write_stamp("deadline_ms", "wait_left_ms", waiter.deadline, now, json);
  json.end_object();
}

}  // namespace

void write_details(const lock::LockDetails& details, JsonWriter& json, Stamp now) {
  if (details.limit != 0) {
    json.field("limit", details.limit).field("used", details.used);
  }
  json.field("holder_count", details.holder_count).field("waiter_count", details.waiter_count);
  json.key("holders").begin_array();
  for (const lock::Holder& holder : details.holders) {
    write_holder(holder, json);
  }
  json.end_array().key("waiters").begin_array();
  for (const lock::Waiter& waiter : details.waiters) {
    write_waiter(waiter, json, now);
  }
  json.end_array();
}

void write_summary(const lock::LockSummary& summary, JsonWriter& json) {
  write_bytes("name", summary.name, json);
  json.field("mode", lock::name_of(summary.mode));
  if (summary.limit != 0) {
    json.field("limit", summary.limit).field("used", summary.used);
  }
  json.field("holders", summary.holders).field("waiters", summary.waiters);
  if (summary.holders != 0) {
    write_bytes("owner", summary.owner, json);
    json.field("token", summary.token.value());
  }
}

Status LockRows::open(const LockAsked& asked, const Responder& responder) {
  LockFields body(asked.request, {"lease"});
  lock::Open open;
  open.who = {asked.domain, asked.request.parameter("owner")};
  open.lease = body.duration("lease", kOwnerLeaseDefault);
  RETURN_IF_ERROR(body.status());
  return propose<lock::Owned>(asked, open, responder, write_owned);
}

Status LockRows::renew(const LockAsked& asked, const Responder& responder) {
  const lock::Renew renew = {{asked.domain, asked.request.parameter("owner")}};
  return propose<lock::Owned>(asked, renew, responder, write_owned);
}

Status LockRows::close(const LockAsked& asked, const Responder& responder) {
  const lock::Close close = {{asked.domain, asked.request.parameter("owner")}};
  return propose<lock::Closed>(asked, close, responder,
                               [](const lock::Closed& closed, JsonWriter& json, Stamp) {
                                 json.field("released", closed.released);
                               });
}

Status LockRows::cancel(const LockAsked& asked, const Responder& responder) {
  LockFields body(asked.request, {"ticket"});
  lock::Cancel cancel;
  cancel.who = {asked.domain, asked.request.parameter("owner")};
  cancel.ticket = lock::Ticket(body.number("ticket", 0));
  RETURN_IF_ERROR(body.status());
  return propose<lock::Cancelled>(asked, cancel, responder,
                                  [](const lock::Cancelled& cancelled, JsonWriter& json, Stamp) {
                                    json.field("cancelled", cancelled.cancelled);
                                  });
}

Status LockRows::break_lock(const LockAsked& asked, const Responder& responder) {
  LockFields body(asked.request, {"owner"});
  lock::Break command;
  command.domain = asked.domain;
  command.name = asked.request.parameter("name");
  command.owner = body.bytes("owner");
  RETURN_IF_ERROR(body.status());
  return propose<lock::Broken>(asked, command, responder,
                               [](const lock::Broken& broken, JsonWriter& json, Stamp) {
                                 json.field("count", broken.count);
                               });
}

Status LockRows::owner(const LockAsked& asked, const Responder& responder) {
  lock::OwnerOf query;
  query.who = {asked.domain, asked.request.parameter("owner")};
  query.after = asked.request.query_value("after").value_or("");
  const auto write = [](const lock::OwnerDetails& details, JsonWriter& json, Stamp now) {
    json.field("number", details.number.value()).field("lease_ms", details.lease.millis());
    json.field("transient", details.is_transient);
    write_stamp("lease_end_ms", "lease_left_ms", details.wait.lease_end, now, json);
    json.field("held_count", details.held_count).key("held").begin_array();
    for (const lock::Held& held : details.held) {
      json.begin_object();
      write_bytes("name", held.name, json);
      json.field("mode", lock::name_of(held.mode)).field("count", held.count);
      json.field("token", held.token.value()).end_object();
    }
    json.end_array().key("wait").begin_object();
    write_wait(details.wait, json, now);
    json.key("locks").begin_array();
    for (const std::string_view name : details.waits_for) {
      json.begin_object();
      write_bytes("name", name, json);
      json.end_object();
    }
    json.end_array().end_object();
  };
  return this->query<lock::OwnerDetails>(asked, query, responder, write);
}

Status LockRows::wait_of(const LockAsked& asked, const Responder& responder) {
  const lock::WaitOf query = {{asked.domain, asked.request.parameter("owner")}};
  return this->query<lock::WaitStatus>(
      asked, query, responder, [](const lock::WaitStatus& wait, JsonWriter& json, Stamp now) {
        write_wait(wait, json, now);
        write_stamp("lease_end_ms", "lease_left_ms", wait.lease_end, now, json);
      });
}

Status LockRows::info(const LockAsked& asked, const Responder& responder) {
  const lock::Info query = {asked.domain, asked.request.parameter("name")};
  return this->query<lock::LockDetails>(asked, query, responder, write_details);
}

Status LockRows::list(const LockAsked& asked, const Responder& responder) {
  const Request& request = asked.request;
  lock::List query;
  query.domain = asked.domain;
  query.prefix = request.query_value("prefix").value_or("");
  query.after = request.query_value("after").value_or("");
  if (const auto text = request.query_value("limit")) {
    const Result<uint64_t> limit = parse_number(*text, "limit");
    RETURN_IF_ERROR(limit);
    query.limit = *limit;
  }
  const auto write = [](const lock::LockPage& page, JsonWriter& json, Stamp) {
    json.key("locks").begin_array();
    for (const lock::LockSummary& summary : page.locks) {
      json.begin_object();
      write_summary(summary, json);
      json.end_object();
    }
    json.end_array().field("more", page.more);
  };
  return this->query<lock::LockPage>(asked, query, responder, write);
}

Status LockRows::stats(const LockAsked& asked, const Responder& responder) {
  const auto write = [](const lock::Usage& usage, JsonWriter& json, Stamp) {
    json.field("locks", usage.locks).field("holds", usage.holds).field("waits", usage.waits);
    json.field("owners", usage.owners).field("grants", usage.grants);
    json.field("queued", usage.queued).field("timed_out", usage.timed_out);
    json.field("leases_lost", usage.leases_lost).field("broken", usage.broken);
    json.field("deadlocks_detected", usage.deadlocks_detected);
    json.field("deadlocks_resolved", usage.deadlocks_resolved);
  };
  return query<lock::Usage>(asked, lock::Stats{}, responder, write);
}

}  // namespace quorate::edge::http
