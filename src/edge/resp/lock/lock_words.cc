// SPDX-License-Identifier: Apache-2.0
#include "edge/resp/lock/lock_words.h"

#include <charconv>

#include "base/limits.h"

namespace quorate::edge::resp {

namespace lock = service::lock;

namespace {

constexpr std::string_view kTooGreat = "ERR value is not an integer or out of range";

struct Known {
  std::string_view word;
  uint32_t bit;
};
constexpr Known kKnown[] = {
    {"lease", LockWords::kLease},   {"wait", LockWords::kWait},     {"count", LockWords::kCount},
    {"limit", LockWords::kLimit},   {"token", LockWords::kToken},   {"ticket", LockWords::kTicket},
    {"domain", LockWords::kDomain}, {"prefix", LockWords::kPrefix}, {"after", LockWords::kAfter},
};

bool is_number(uint32_t bit) { return (bit & (LockWords::kPrefix | LockWords::kAfter)) == 0; }

// Durations are bounded by the machine; this only keeps their arithmetic sound.
bool read_millis(uint64_t number, Duration& duration) {
  if (number > static_cast<uint64_t>(limits::kTtlMillisMax)) {
    return false;
  }
  duration = Duration::millis(static_cast<int64_t>(number));
  return true;
}

bool store(LockWords& words, uint32_t bit, uint64_t number) {
  switch (bit) {
    case LockWords::kLease: words.has_lease = true; return read_millis(number, words.lease);
    case LockWords::kWait: return read_millis(number, words.wait);
    case LockWords::kCount:
      words.has_count = true;
      words.count = number;
      return true;
    case LockWords::kLimit: words.limit = number; return true;
    case LockWords::kToken: words.token = Token(number); return true;
    case LockWords::kTicket: words.ticket = lock::Ticket(number); return true;
    default: break;
  }
  words.domain = lock::DomainId(static_cast<uint32_t>(number));
  return number <= limits::kKeyspacesMax;
}

void tell_wait(const lock::WaitStatus& wait, Reply& reply) {
  reply.map(4);
  reply.bulk("state");
  reply.bulk(lock::name_of(wait.state));
  reply.bulk("ticket");
  reply.integer(static_cast<int64_t>(wait.ticket.value()));
  reply.bulk("token");
  reply.integer(static_cast<int64_t>(wait.token.value()));
  reply.bulk("ahead");
  reply.integer(static_cast<int64_t>(wait.ahead));
}

void tell(std::string_view name, uint64_t number, Reply& reply) {
  reply.bulk(name);
  reply.integer(static_cast<int64_t>(number));
}

}  // namespace

bool read_number(std::string_view text, uint64_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return !text.empty() && error == std::errc() && end == text.data() + text.size();
}

bool read_mode(std::string_view word, lock::Mode& mode) {
  for (const lock::Mode each :
       {lock::Mode::kShared, lock::Mode::kExclusive, lock::Mode::kPermits}) {
    if (is_word(word, lock::name_of(each))) {
      mode = each;
      return true;
    }
  }
  return false;
}

std::string LockWords::read(Arguments arguments, uint32_t known) {
  for (size_t at = 0; at < arguments.size(); at += 2) {
    const Known* found = nullptr;
    for (const Known& each : kKnown) {
      found = (known & each.bit) != 0 && is_word(arguments[at], each.word) ? &each : found;
    }
    if (found == nullptr || at + 1 == arguments.size()) {
      return kSyntaxError;
    }
    const std::string_view text = arguments[at + 1];
    uint64_t number = 0;
    if (is_number(found->bit)) {
      if (!read_number(text, number) || number > INT64_MAX || !store(*this, found->bit, number)) {
        return std::string(kTooGreat);
      }
    } else {
      (found->bit == kPrefix ? prefix : after) = text;
    }
  }
  return {};
}

void tell_details(const lock::LockDetails& details, Reply& reply) {
  reply.map(6);
  tell("limit", details.limit, reply);
  tell("used", details.used, reply);
  tell("holder_count", details.holder_count, reply);
  tell("waiter_count", details.waiter_count, reply);
  reply.bulk("holders");
  reply.array(details.holders.size());
  for (const lock::Holder& holder : details.holders) {
    reply.map(5);
    reply.bulk("owner");
    reply.bulk(holder.owner);
    reply.bulk("mode");
    reply.bulk(lock::name_of(holder.mode));
    tell("count", holder.count, reply);
    tell("token", holder.token.value(), reply);
    tell("since_ms", static_cast<uint64_t>(holder.since.millis()), reply);
  }
  reply.bulk("waiters");
  reply.array(details.waiters.size());
  for (const lock::Waiter& waiter : details.waiters) {
    reply.map(5);
    reply.bulk("owner");
    reply.bulk(waiter.owner);
    reply.bulk("mode");
    reply.bulk(waiter.is_upgrade ? "upgrade" : lock::name_of(waiter.mode));
    tell("permits", waiter.permits, reply);
    tell("ticket", waiter.ticket.value(), reply);
    tell("since_ms", static_cast<uint64_t>(waiter.since.millis()), reply);
  }
}

// As SCAN does: where to go on (empty: it is complete), and what there is.
void tell_page(const lock::LockPage& page, Reply& reply) {
  reply.array(2);
  reply.bulk(page.more ? page.locks.back().name : std::string_view());
  reply.array(page.locks.size());
  for (const lock::LockSummary& summary : page.locks) {
    reply.map(6);
    reply.bulk("name");
    reply.bulk(summary.name);
    reply.bulk("mode");
    reply.bulk(lock::name_of(summary.mode));
    tell("holders", summary.holders, reply);
    tell("waiters", summary.waiters, reply);
    reply.bulk("owner");
    reply.bulk(summary.owner);
    tell("token", summary.token.value(), reply);
  }
}

void tell_owner(const lock::OwnerDetails& details, Reply& reply) {
  reply.map(5);
  tell("lease_ms", static_cast<uint64_t>(details.lease.millis()), reply);
  tell("lease_end_ms", static_cast<uint64_t>(details.wait.lease_end.millis()), reply);
  tell("held_count", details.held_count, reply);
  reply.bulk("held");
  reply.array(details.held.size());
  for (const lock::Held& held : details.held) {
    reply.map(4);
    reply.bulk("name");
    reply.bulk(held.name);
    reply.bulk("mode");
    reply.bulk(lock::name_of(held.mode));
    tell("count", held.count, reply);
    tell("token", held.token.value(), reply);
  }
  reply.bulk("wait");
  tell_wait(details.wait, reply);
}

void tell_usage(const lock::Usage& usage, Reply& reply) {
  reply.map(11);
  tell("locks", usage.locks, reply);
  tell("holds", usage.holds, reply);
  tell("waits", usage.waits, reply);
  tell("owners", usage.owners, reply);
  tell("grants", usage.grants, reply);
  tell("queued", usage.queued, reply);
  tell("timed_out", usage.timed_out, reply);
  tell("leases_lost", usage.leases_lost, reply);
  tell("broken", usage.broken, reply);
  tell("deadlocks_detected", usage.deadlocks_detected, reply);
  tell("deadlocks_resolved", usage.deadlocks_resolved, reply);
}

}  // namespace quorate::edge::resp
