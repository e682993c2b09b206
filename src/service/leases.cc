// SPDX-License-Identifier: Apache-2.0
#include "service/leases.h"

#include <algorithm>

#include "base/mutant.h"

namespace quorate::service {

void Leases::begin(Instant now) {
  heard_.clear();
  forget_at_ = kForgetFrom;
  since_ = now;
}

void Leases::end() { heard_.clear(); }

void Leases::hear(ServiceId service, std::string_view subject, Instant now,
                  const IsThere& is_there) {
  if (MUTANT(heartbeats_unheard)) {
    return;
  }
  const auto found = heard_.find(std::pair(service, subject));
  if (found != heard_.end()) {
    found->second = now;
    return;
  }
  heard_.emplace(Key(service, subject), now);
  if (heard_.size() >= forget_at_) {
    std::erase_if(heard_, [&](const auto& entry) {
      return !is_there(entry.first.first, entry.first.second);
    });
    forget_at_ = std::max(kForgetFrom, 2 * heard_.size());
  }
}

Duration Leases::silence_of(ServiceId service, std::string_view subject,
                            Instant now) const {
  const auto found = heard_.find(std::pair(service, subject));
  const Instant since = MUTANT(lease_without_grace) ? Instant() : since_;
  return now - (found == heard_.end() ? since : std::max(since, found->second));
}

}  // namespace quorate::service
