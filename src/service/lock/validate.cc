// SPDX-License-Identifier: Apache-2.0
// The limits of commands and queries, in one place: asked by the machine for each command that it
// decodes, and by the api before it sends one.
#include <set>

#include "base/limits.h"
#include "service/lock/commands.h"

namespace quorate::service::lock {
namespace {

Status invalid(const char* message) { return Status(Code::kInvalidArgument, message); }

Status check_domain(DomainId domain) {
  return domain.value() <= limits::kKeyspacesMax ? Status::success()
                                                 : invalid("a domain number is too great");
}

Status check_name(std::string_view name) {
  if (name.empty()) {
    return invalid("the name of a lock is not empty");
  }
  return name.size() <= limits::kLockNameBytesMax
             ? Status::success()
             : Status(Code::kTooLarge, "the name of a lock is over its limit");
}

Status check_owner(const OwnerRef& who) {
  RETURN_IF_ERROR(check_domain(who.domain));
  if (who.owner.empty()) {
    return invalid("the name of an owner is not empty");
  }
  return who.owner.size() <= limits::kNameBytesMax
             ? Status::success()
             : Status(Code::kTooLarge, "the name of an owner is over its limit");
}

Status check_both(const OwnerRef& who, std::string_view name) {
  RETURN_IF_ERROR(check_owner(who));
  return check_name(name);
}

Status check_lease(Duration lease) {
  return lease >= Duration::millis(limits::kSessionTtlMillisMin) &&
                 lease <= Duration::millis(limits::kSessionTtlMillisMax)
             ? Status::success()
             : invalid("a lease lasts from a second to a day");
}

Status check_wait(Duration wait) {
  return wait >= Duration() && wait <= Duration::millis(limits::kSessionTtlMillisMax)
             ? Status::success()
             : invalid("nobody waits longer than a day");
}

Status check(const Open& open) {
  RETURN_IF_ERROR(check_owner(open.who));
  return check_lease(open.lease);
}

Status check(const Renew& renew) { return check_owner(renew.who); }
Status check(const Close& close) { return check_owner(close.who); }

Status check_item(const Acquire::Item& item) {
  RETURN_IF_ERROR(check_name(item.name));
  if (item.mode != Mode::kPermits) {
    return item.permits == 0 && item.limit == 0 ? Status::success()
                                                : invalid("only a semaphore has permits");
  }
  if (item.limit == 0 || item.limit > limits::kLockPermitsMax) {
    return invalid("a semaphore has between one and 10^9 permits");
  }
  return item.permits > 0 && item.permits <= item.limit
             ? Status::success()
             : invalid("nobody takes no permit, nor more than there are");
}

Status check(const Acquire& acquire) {
  RETURN_IF_ERROR(check_owner(acquire.who));
  RETURN_IF_ERROR(check_wait(acquire.wait));
  if (acquire.lease != Duration()) {
    RETURN_IF_ERROR(check_lease(acquire.lease));
  }
  if (acquire.items.empty()) {
    return invalid("an acquire names a lock");
  }
  if (acquire.items.size() > limits::kLockItemsMax) {
    return Status(Code::kTooLarge, "an acquire names too many locks");
  }
  std::set<std::string_view> names;
  for (const Acquire::Item& item : acquire.items) {
    RETURN_IF_ERROR(check_item(item));
    if (!names.insert(item.name).second) {
      return invalid("an acquire names a lock twice");
    }
  }
  return Status::success();
}

Status check(const Upgrade& upgrade) {
  RETURN_IF_ERROR(check_wait(upgrade.wait));
  return check_both(upgrade.who, upgrade.name);
}

Status check(const Downgrade& downgrade) { return check_both(downgrade.who, downgrade.name); }
Status check(const Release& release) { return check_both(release.who, release.name); }
Status check(const Cancel& cancel) { return check_owner(cancel.who); }

Status check(const Break& command) {
  RETURN_IF_ERROR(check_domain(command.domain));
  RETURN_IF_ERROR(check_name(command.name));
  return command.owner.empty() ? Status::success() : check_owner({command.domain, command.owner});
}

Status check(const ExpireDue& expire) {
  for (const ExpireDue::Alive& alive : expire.heard) {
    RETURN_IF_ERROR(check_owner(alive.who));
  }
  return expire.heard.size() <= limits::kLockOwnersMax
             ? Status::success()
             : Status(Code::kTooLarge, "too many owners are named");
}

Status check(const Resolve& resolve) {
  RETURN_IF_ERROR(check_owner(resolve.who));
  return resolve.cycle.size() <= limits::kLockCycleBytesMax
             ? Status::success()
             : Status(Code::kTooLarge, "the text of a cycle is over its limit");
}

Status check(const WaitOf& query) { return check_owner(query.who); }

Status check(const Info& query) {
  RETURN_IF_ERROR(check_domain(query.domain));
  return check_name(query.name);
}

Status check(const List& query) {
  RETURN_IF_ERROR(check_domain(query.domain));
  return query.prefix.size() <= limits::kLockNameBytesMax &&
                 query.after.size() <= limits::kLockNameBytesMax
             ? Status::success()
             : Status(Code::kTooLarge, "a prefix is over the limit of a name");
}

Status check(const OwnerOf& query) { return check_owner(query.who); }
Status check(const Stats&) { return Status::success(); }

Status check(const Heartbeat& query) {
  for (const OwnerRef& who : query.owners) {
    RETURN_IF_ERROR(check_owner(who));
  }
  return query.owners.size() <= limits::kLockHeartbeatOwnersMax
             ? Status::success()
             : Status(Code::kTooLarge, "a heartbeat names too many owners");
}

Status check(const Edges& query) {
  return query.owners.size() <= limits::kLockGraphOwnersMax
             ? Status::success()
             : Status(Code::kTooLarge, "too many owners are named");
}

}  // namespace

Status validate(const Command& command) {
  return std::visit([](const auto& fields) { return check(fields); }, command);
}

Status validate(const Query& query) {
  return std::visit([](const auto& fields) { return check(fields); }, query);
}

}  // namespace quorate::service::lock
