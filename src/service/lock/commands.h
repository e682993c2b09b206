// SPDX-License-Identifier: Apache-2.0
// The commands and queries of the lock machine: plain structs and their bytes.
//
//   command = version (2 bits) | verb (6 bits), fields
//
// The verb is the position in the variant below, so alternatives are only ever added at the end;
// a field that is added to one raises the version. Everything decoded is a view of the bytes given.
// decode_... also validates: what it returns is within the limits, so the machine need not ask.
//
// A domain is a number here, as a keyspace is for kv: a set of locks and owners that live together
// in one group, so that several can be taken at once and every deadlock among them is seen.
//
// An owner is a line of execution: it waits for one thing at a time. Whoever holds a lock, in one
// thread or another, holds it as an owner; two threads that exclude each other are two owners.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "base/status.h"
#include "base/time.h"
#include "service/verb/fence.h"

namespace quorate::service::lock {

using service::DomainId;
// One wait of one owner; tickets of a group grow, and smaller ones are served first.
using Ticket = Strong<struct TicketTag>;
// One life of an owner, from open to its end; the next owner of that name has another number.
using OwnerNumber = Strong<struct OwnerNumberTag>;

enum class Mode : uint8_t {
  kShared = 0,
  kExclusive = 1,
  kPermits = 2,      // of a semaphore
};

struct OwnerRef {
  DomainId domain = {};
  std::string_view owner = {};
  bool operator==(const OwnerRef&) const = default;
};

// Makes an owner, or renews it with this lease if it is there. It lives while it is renewed, and at
// least this long after each time.
struct Open {
  OwnerRef who = {};
  Duration lease = {};
  bool operator==(const Open&) const = default;
};

// Refused with lease_lost if there is no such owner (any more).
struct Renew {
  OwnerRef who = {};
  bool operator==(const Renew&) const = default;
};

// Gives back all that it holds and ends its wait; an owner that is not there is no error.
struct Close {
  OwnerRef who = {};
  bool operator==(const Close&) const = default;
};

// Takes all items or none. A lock that is held already is entered once more (re-entrance); permits
// are added to those that are held. If something is not free: refused (wait zero), or queued.
struct Acquire {
  struct Item {
    std::string_view name = {};
    Mode mode = Mode::kExclusive;
    uint64_t permits = 0;    // of a semaphore, with the number that it has; else both are 0
    uint64_t limit = 0;
    bool operator==(const Item&) const = default;
  };
  OwnerRef who = {};
  std::vector<Item> items = {};
  Duration wait = {};        // zero: do not wait
  // Makes the owner if it is not there, until it gives back the last of its locks; zero: it is
  // there, or lease_lost. Of an owner that is there the longer lease stands.
  Duration lease = {};
  bool operator==(const Acquire&) const = default;
};

// From shared to exclusive, before everyone who waits, with a new token.
struct Upgrade {
  OwnerRef who = {};
  std::string_view name = {};
  Duration wait = {};
  bool operator==(const Upgrade&) const = default;
};

// From exclusive to shared; the token stays.
struct Downgrade {
  OwnerRef who = {};
  std::string_view name = {};
  bool operator==(const Downgrade&) const = default;
};

struct Release {
  OwnerRef who = {};
  std::string_view name = {};
  uint64_t count = 1;        // levels of re-entrance, or permits; 0: all
  Token token = {};          // if given: refused unless it is the hold's own
  bool operator==(const Release&) const = default;
};

// Ends a wait; nothing happens if it is over already.
struct Cancel {
  OwnerRef who = {};
  Ticket ticket = {};        // none: whatever it waits for
  bool operator==(const Cancel&) const = default;
};

// Takes a lock from its holders, who are not asked: for people who know that these are gone.
struct Break {
  DomainId domain = {};
  std::string_view name = {};
  std::string_view owner = {};   // empty: from all of them
  bool operator==(const Break&) const = default;
};

// Ends the owners whose leases and the waits whose times are over by `through`, at most `limit` of
// both; proposed by the leader. Whom it has heard since, by heartbeats that are in no log, it names
// in `heard`: their leases run from when it heard them.
struct ExpireDue {
  Stamp through = {};
  uint64_t limit = 0;
  struct Alive {
    OwnerRef who = {};
    Duration silence = {};       // since it was heard
    bool operator==(const Alive&) const = default;
  };
  std::vector<Alive> heard = {};
  bool operator==(const ExpireDue&) const = default;
};

// Ends a wait as the victim of a deadlock that goes through several domains; nothing happens if it
// is over. Proposed by whoever has found the cycle and seen it twice (detector.h).
struct Resolve {
  OwnerRef who = {};
  Ticket ticket = {};
  std::string_view cycle = {};   // for people
  bool operator==(const Resolve&) const = default;
};

using Command = std::variant<Open, Renew, Close, Acquire, Upgrade, Downgrade, Release, Cancel,
                             Break, ExpireDue, Resolve>;

// What has become of an owner's last wait; lease_lost if there is no such owner.
struct WaitOf {
  OwnerRef who = {};
  bool operator==(const WaitOf&) const = default;
};

// Who holds a lock and who waits for it; not_found if nobody does either.
struct Info {
  DomainId domain = {};
  std::string_view name = {};
  bool operator==(const Info&) const = default;
};

// Locks in use, in the order of their names.
struct List {
  DomainId domain = {};
  std::string_view prefix = {};
  std::string_view after = {};   // go on behind this name
  uint64_t limit = 0;            // 0: the greatest page
  bool operator==(const List&) const = default;
};

// What an owner holds and waits for; not_found if it is not there.
struct OwnerOf {
  OwnerRef who = {};
  std::string_view after = {};   // of what it holds, go on behind this name
  bool operator==(const OwnerOf&) const = default;
};

// Of the whole group.
struct Stats {
  bool operator==(const Stats&) const = default;
};

// Whom the asker knows to be alive; asked as a heartbeat (proposer.h), it renews their leases
// without an entry in the log.
struct Heartbeat {
  std::vector<OwnerRef> owners = {};
  bool operator==(const Heartbeat&) const = default;
};

// What the owners of these names wait for, in whichever domains of the group.
struct Edges {
  std::vector<std::string_view> owners = {};
  bool operator==(const Edges&) const = default;
};

using Query = std::variant<WaitOf, Info, List, OwnerOf, Stats, Heartbeat, Edges>;

void encode(const Command& command, std::string& out);
void encode(const Query& query, std::string& out);

// kInvalidArgument or kTooLarge if the bytes are no command, or one over the limits.
[[nodiscard]] Result<Command> decode_command(std::string_view bytes);
[[nodiscard]] Result<Query> decode_query(std::string_view bytes);

// What decode_... checks, for callers that want to know before they send.
[[nodiscard]] Status validate(const Command& command);
[[nodiscard]] Status validate(const Query& query);

}  // namespace quorate::service::lock
