// SPDX-License-Identifier: Apache-2.0
// The LOCK commands. A lock that is not free is a null, as with SET NX; what a client did wrong, a
// deadlock and a lost lease are errors.
#include "base/limits.h"
#include "edge/resp/lock/lock_families.h"
#include "edge/resp/lock/lock_words.h"
#include "edge/resp/session/client.h"
#include "service/lock/api.h"

namespace quorate::edge::resp {
namespace {

namespace lock = service::lock;

// Of an owner that nobody opened, if the command does not say.
constexpr Duration kLeaseDefault = Duration::seconds(30);

// A command in flight: where its reply goes.
struct Place {
  std::shared_ptr<Connection> connection;
  Ticket ticket;

  template <class Write>
  void finish(Write&& write) const {
    connection->finish(ticket, std::forward<Write>(write));
  }
  void fail(std::string_view error) const {
    finish([error](Reply& reply) { reply.error(error); });
  }
  void fail(const Status& status) const {
    finish([&status](Reply& reply) { tell_failure(status, reply); });
  }
  // False, and the client is told why, if these are not words of the command.
  [[nodiscard]] bool reads(Arguments arguments, uint32_t known, LockWords& words) const {
    const std::string error = words.read(arguments, known);
    if (!error.empty()) {
      fail(error);
    }
    return error.empty();
  }
  [[nodiscard]] Client& client() const { return *static_cast<Client*>(connection->session()); }
};

Place place_of(Client& client, Ticket ticket) {
  return {client.connection().shared_from_this(), ticket};
}

// A lock that nobody would wait for any longer: not an error, for it is what was asked.
bool is_busy(const Status& status) {
  return status.code() == Code::kTimeout ||
         (status.code() == Code::kPreconditionFailed && status.message() == lock::kNotFree);
}

void tell_taken(const Status& status, const lock::Acquired& acquired, Reply& reply) {
  if (status.ok()) {
    reply.integer(static_cast<int64_t>(acquired.token.value()));
  } else if (is_busy(status)) {
    reply.null();
  } else {
    tell_failure(status, reply);
  }
}

// What is said where nothing is found.
enum class Absent { kIsAnError, kIsNull };

// Tells an answer of type T by `tell`.
template <class T, class Tell>
auto told_by(const Place& place, Absent absent, Tell tell) {
  return [place, absent, tell](const lock::Answer& answer, const service::Origin&) {
    const T* const fields = std::get_if<T>(&answer);
    const Status* const refusal = std::get_if<Status>(&answer);
    const bool is_null =
        absent == Absent::kIsNull && refusal != nullptr && refusal->code() == Code::kNotFound;
    if (fields != nullptr) {
      place.finish([&](Reply& reply) { tell(*fields, reply); });
    } else if (is_null) {
      place.finish([](Reply& reply) { reply.null(); });
    } else {
      place.fail(refusal != nullptr ? *refusal : Status(Code::kCorrupted, "another answer"));
    }
  };
}

template <class T, class Tell>
void propose(const Place& place, lock::DomainId domain, const lock::Command& command, Tell tell) {
  if (const Status status = lock::validate(command); !status.ok()) {
    place.fail(status);
    return;
  }
  Client& client = place.client();
  client.context().locks.write(domain, command, {.caller = client.caller()},
                               told_by<T>(place, Absent::kIsAnError, tell));
}

template <class T, class Tell>
void look(const Place& place, lock::DomainId domain, const lock::Query& query, Tell tell) {
  if (const Status status = lock::validate(query); !status.ok()) {
    place.fail(status);
    return;
  }
  Client& client = place.client();
  client.context().locks.read(domain, query, {.caller = client.caller()},
                              told_by<T>(place, Absent::kIsNull, tell));
}

// An Acquire or an Upgrade. While it waits, the connection goes no further, as in any command that
// blocks; a peer that leaves gives it up.
void take(const Place& place, const lock::OwnerRef& who, const lock::Command& command) {
  if (const Status status = lock::validate(command); !status.ok()) {
    place.fail(status);
    return;
  }
  lock::Api& locks = place.client().context().locks;
  const auto ended = std::make_shared<bool>(false);
  const uint64_t wait = locks.wait(
      who, command, {.caller = place.client().caller()},
      [place, ended](const Status& status, const lock::Acquired& acquired, const service::Origin&) {
        *ended = true;
        place.client().end_wait();
        place.finish([&](Reply& reply) { tell_taken(status, acquired, reply); });
      });
  if (!*ended) {
    place.client().begin_wait([&locks, wait, place] {
      locks.give_up(wait);
      place.fail("UNAVAILABLE the wait was given up");
    });
  }
}

// ---- rows ---------------------------------------------------------------------------------------

// LOCK.ACQUIRE name mode owner [options]
void start_acquire(Client& client, Arguments arguments, Ticket ticket) {
  const Place place = place_of(client, ticket);
  LockWords words;
  lock::Acquire::Item item{.name = arguments[1]};
  std::string error = read_mode(arguments[2], item.mode) ? std::string() : kSyntaxError;
  if (error.empty()) {
    error =
        words.read(arguments.subspan(4), LockWords::kLease | LockWords::kWait | LockWords::kCount |
                                             LockWords::kLimit | LockWords::kDomain);
  }
  const bool is_semaphore = item.mode == lock::Mode::kPermits;
  if (error.empty() && !is_semaphore && (words.has_count || words.limit != 0)) {
    error = kSyntaxError;
  }
  if (!error.empty()) {
    place.fail(error);
    return;
  }
  if (is_semaphore) {
    item.permits = words.has_count ? words.count : 1;
    item.limit = words.limit;
  }
  lock::Acquire acquire{.who = {words.domain, arguments[3]}, .items = {item}, .wait = words.wait};
  acquire.lease = words.has_lease ? words.lease : kLeaseDefault;
  take(place, acquire.who, acquire);
}

// LOCK.ACQUIREMANY owner count name mode [name mode ...] [options]
void start_acquire_many(Client& client, Arguments arguments, Ticket ticket) {
  const Place place = place_of(client, ticket);
  uint64_t count = 0;
  if (!read_number(arguments[2], count) || count == 0 || count > limits::kLockItemsMax) {
    place.fail("ERR the number of locks is not between 1 and 64");
    return;
  }
  const size_t end = 3 + 2 * static_cast<size_t>(count);
  if (arguments.size() < end) {
    place.fail(kSyntaxError);
    return;
  }
  lock::Acquire acquire;
  for (size_t at = 3; at < end; at += 2) {
    lock::Acquire::Item& item = acquire.items.emplace_back();
    item.name = arguments[at];
    if (!read_mode(arguments[at + 1], item.mode) || item.mode == lock::Mode::kPermits) {
      place.fail(kSyntaxError);
      return;
    }
  }
  LockWords words;
  if (!place.reads(arguments.subspan(end),
                   LockWords::kLease | LockWords::kWait | LockWords::kDomain, words)) {
    return;
  }
  acquire.who = {words.domain, arguments[1]};
  acquire.wait = words.wait;
  acquire.lease = words.has_lease ? words.lease : kLeaseDefault;
  take(place, acquire.who, acquire);
}

// LOCK.UPGRADE name owner [WAIT ms]
void start_upgrade(Client& client, Arguments arguments, Ticket ticket) {
  const Place place = place_of(client, ticket);
  LockWords words;
  if (!place.reads(arguments.subspan(3), LockWords::kWait | LockWords::kDomain, words)) {
    return;
  }
  const lock::Upgrade upgrade = {{words.domain, arguments[2]}, arguments[1], words.wait};
  take(place, upgrade.who, upgrade);
}

void start_downgrade(Client& client, Arguments arguments, Ticket ticket) {
  const Place place = place_of(client, ticket);
  LockWords words;
  if (!place.reads(arguments.subspan(3), LockWords::kDomain, words)) {
    return;
  }
  const lock::Downgrade downgrade = {{words.domain, arguments[2]}, arguments[1]};
  propose<lock::Acquired>(
      place, words.domain, downgrade,
      [](const lock::Acquired& acquired, Reply& reply) { tell_taken({}, acquired, reply); });
}

// LOCK.RELEASE name owner [COUNT n] [TOKEN n]
void start_release(Client& client, Arguments arguments, Ticket ticket) {
  const Place place = place_of(client, ticket);
  LockWords words;
  if (!place.reads(arguments.subspan(3), LockWords::kCount | LockWords::kToken | LockWords::kDomain,
                   words)) {
    return;
  }
  lock::Release release = {.who = {words.domain, arguments[2]}, .name = arguments[1]};
  release.count = words.has_count ? words.count : 1;
  release.token = words.token;
  propose<lock::Released>(place, words.domain, release,
                          [](const lock::Released& released, Reply& reply) {
                            reply.integer(static_cast<int64_t>(released.left));
                          });
}

void tell_owned(const lock::Owned& owned, const Place& place, Reply& reply) {
  const Stamp now = place.client().context().clock.wall();
  reply.integer(owned.lease_end > now ? (owned.lease_end - now).millis() : 0);
}

// LOCK.OPEN owner [LEASE ms]
void start_open(Client& client, Arguments arguments, Ticket ticket) {
  const Place place = place_of(client, ticket);
  LockWords words;
  if (!place.reads(arguments.subspan(2), LockWords::kLease | LockWords::kDomain, words)) {
    return;
  }
  const lock::Open open = {{words.domain, arguments[1]},
                           words.has_lease ? words.lease : kLeaseDefault};
  propose<lock::Owned>(place, words.domain, open, [place](const lock::Owned& owned, Reply& reply) {
    tell_owned(owned, place, reply);
  });
}

void start_renew(Client& client, Arguments arguments, Ticket ticket) {
  const Place place = place_of(client, ticket);
  LockWords words;
  if (!place.reads(arguments.subspan(2), LockWords::kDomain, words)) {
    return;
  }
  propose<lock::Owned>(
      place, words.domain, lock::Renew{{words.domain, arguments[1]}},
      [place](const lock::Owned& owned, Reply& reply) { tell_owned(owned, place, reply); });
}

void start_close(Client& client, Arguments arguments, Ticket ticket) {
  const Place place = place_of(client, ticket);
  LockWords words;
  if (!place.reads(arguments.subspan(2), LockWords::kDomain, words)) {
    return;
  }
  propose<lock::Closed>(place, words.domain, lock::Close{{words.domain, arguments[1]}},
                        [](const lock::Closed& closed, Reply& reply) {
                          reply.integer(static_cast<int64_t>(closed.released));
                        });
}

// LOCK.CANCEL owner [TICKET n]
void start_cancel(Client& client, Arguments arguments, Ticket ticket) {
  const Place place = place_of(client, ticket);
  LockWords words;
  if (!place.reads(arguments.subspan(2), LockWords::kTicket | LockWords::kDomain, words)) {
    return;
  }
  propose<lock::Cancelled>(place, words.domain,
                           lock::Cancel{{words.domain, arguments[1]}, words.ticket},
                           [](const lock::Cancelled& cancelled, Reply& reply) {
                             reply.integer(cancelled.cancelled ? 1 : 0);
                           });
}

// LOCK.BREAK name [owner]
void start_break(Client& client, Arguments arguments, Ticket ticket) {
  const Place place = place_of(client, ticket);
  LockWords words;
  const bool has_owner = arguments.size() % 2 == 1;
  if (!place.reads(arguments.subspan(has_owner ? 3 : 2), LockWords::kDomain, words)) {
    return;
  }
  const lock::Break command = {words.domain, arguments[1],
                               has_owner ? arguments[2] : std::string_view()};
  propose<lock::Broken>(place, words.domain, command, [](const lock::Broken& broken, Reply& reply) {
    reply.integer(static_cast<int64_t>(broken.count));
  });
}

void start_info(Client& client, Arguments arguments, Ticket ticket) {
  const Place place = place_of(client, ticket);
  LockWords words;
  if (!place.reads(arguments.subspan(2), LockWords::kDomain, words)) {
    return;
  }
  look<lock::LockDetails>(place, words.domain, lock::Info{words.domain, arguments[1]},
                          tell_details);
}

void start_owner(Client& client, Arguments arguments, Ticket ticket) {
  const Place place = place_of(client, ticket);
  LockWords words;
  if (!place.reads(arguments.subspan(2), LockWords::kAfter | LockWords::kDomain, words)) {
    return;
  }
  look<lock::OwnerDetails>(place, words.domain,
                           lock::OwnerOf{{words.domain, arguments[1]}, words.after}, tell_owner);
}

// LOCK.LIST [PREFIX text] [AFTER name] [COUNT n]
void start_list(Client& client, Arguments arguments, Ticket ticket) {
  const Place place = place_of(client, ticket);
  LockWords words;
  if (!place.reads(arguments.subspan(1),
                   LockWords::kPrefix | LockWords::kAfter | LockWords::kCount | LockWords::kDomain,
                   words)) {
    return;
  }
  const lock::List list = {words.domain, words.prefix, words.after, words.count};
  look<lock::LockPage>(place, words.domain, list, tell_page);
}

void start_stats(Client& client, Arguments arguments, Ticket ticket) {
  const Place place = place_of(client, ticket);
  LockWords words;
  if (!place.reads(arguments.subspan(1), LockWords::kDomain, words)) {
    return;
  }
  look<lock::Usage>(place, words.domain, lock::Stats{}, tell_usage);
}

constexpr std::string_view kGroup = "lock";
constexpr std::string_view kSince = "7.0.15";
constexpr uint32_t kChange = kWrite | kNoScript | kNoMulti;
constexpr uint32_t kLook = kReadOnly | kNoScript | kNoMulti;

constexpr Row kRows[] = {
    {"lock.acquire", -4, kChange, 1, 1, 1, kGroup, kSince,
     "Takes a lock, SHARED, EXCLUSIVE or PERMITS (COUNT of LIMIT), for an owner with a LEASE; "
     "gives "
     "its token, or null if it does not become free within WAIT.",
     nullptr, nullptr, start_acquire},
    {"lock.acquiremany", -5, kChange, 0, 0, 0, kGroup, kSince,
     "Takes several locks for an owner, all or none.", nullptr, nullptr, start_acquire_many},
    {"lock.upgrade", -3, kChange, 1, 1, 1, kGroup, kSince,
     "From shared to exclusive, before all who wait; gives the new token.", nullptr, nullptr,
     start_upgrade},
    {"lock.downgrade", -3, kChange, 1, 1, 1, kGroup, kSince,
     "From exclusive to shared; the token stays.", nullptr, nullptr, start_downgrade},
    {"lock.release", -3, kChange, 1, 1, 1, kGroup, kSince,
     "Gives a lock back once, or COUNT permits (0: all); gives what is still held.", nullptr,
     nullptr, start_release},
    {"lock.open", -2, kChange, 0, 0, 0, kGroup, kSince,
     "Opens an owner, or renews it with this LEASE; gives the milliseconds that it has left.",
     nullptr, nullptr, start_open},
    {"lock.renew", -2, kChange, 0, 0, 0, kGroup, kSince,
     "Says that an owner is alive; gives the milliseconds that it has left.", nullptr, nullptr,
     start_renew},
    {"lock.close", -2, kChange, 0, 0, 0, kGroup, kSince,
     "Closes an owner; gives how many locks it gave back.", nullptr, nullptr, start_close},
    {"lock.cancel", -2, kChange, 0, 0, 0, kGroup, kSince,
     "Ends the wait of an owner; 1 if it waited.", nullptr, nullptr, start_cancel},
    {"lock.break", -2, kChange, 1, 1, 1, kGroup, kSince,
     "Takes a lock from its holders, who are not asked; gives how many there were.", nullptr,
     nullptr, start_break},
    {"lock.info", -2, kLook, 1, 1, 1, kGroup, kSince,
     "Who holds a lock and who waits for it; null if nobody does.", nullptr, nullptr, start_info},
    {"lock.owner", -2, kLook, 0, 0, 0, kGroup, kSince, "What an owner holds and waits for.",
     nullptr, nullptr, start_owner},
    {"lock.list", -1, kLook, 0, 0, 0, kGroup, kSince,
     "Locks in use, by name: where to go on (AFTER; empty at the end), and a page of COUNT.",
     nullptr, nullptr, start_list},
    {"lock.stats", -1, kLook, 0, 0, 0, kGroup, kSince,
     "Counts of the group that the domain lives in.", nullptr, nullptr, start_stats},
};

}  // namespace

std::span<const Row> lock_rows() { return kRows; }

}  // namespace quorate::edge::resp
