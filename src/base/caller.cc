// SPDX-License-Identifier: Apache-2.0
#include "base/caller.h"

namespace quorate {
namespace {

bool covers(const Caller::Grant& grant, Caller::Place place) {
  return (grant.service == Caller::kEveryService || grant.service == place.service) &&
         (grant.every_scope || grant.scope == place.scope);
}

// Every name of the range begins with the prefix: the range ends before the prefix's own end, the
// least string that is greater than all that begin with it.
bool within(std::string_view begin, std::string_view end, std::string_view prefix) {
  if (prefix.empty()) {
    return true;
  }
  if (!begin.starts_with(prefix)) {
    return false;
  }
  std::string after(prefix);
  while (!after.empty() && after.back() == '\xff') {
    after.pop_back();
  }
  if (after.empty()) {
    return true;
  }
  after.back() = static_cast<char>(static_cast<unsigned char>(after.back()) + 1);
  return !end.empty() && end <= after;
}

}  // namespace

bool Caller::may(uint8_t wanted, Place place, std::string_view name) const {
  uint8_t has = 0;
  for (const Grant& grant : grants_) {
    if (covers(grant, place) && name.starts_with(grant.prefix)) {
      has |= grant.rights;
    }
  }
  return (has & wanted) == wanted;
}

bool Caller::may_range(uint8_t wanted, Place place, std::string_view begin,
                       std::string_view end) const {
  uint8_t has = 0;
  for (const Grant& grant : grants_) {
    if (covers(grant, place) && within(begin, end, grant.prefix)) {
      has |= grant.rights;
    }
  }
  return (has & wanted) == wanted;
}

bool Caller::administers() const {
  for (const Grant& grant : grants_) {
    if (grant.service == kEveryService && grant.prefix.empty() &&
        (grant.rights & rights::kAdmin) != 0) {
      return true;
    }
  }
  return false;
}

}  // namespace quorate
