// SPDX-License-Identifier: Apache-2.0
#include "sim/workloads/given.h"

#include <algorithm>
#include <iterator>

namespace quorate::sim {

using service::lock::Acquire;
using service::lock::Mode;

Given::Kind Given::note(GroupId group, const Acquire& asked, Token token, Instant now) {
  if (!tokens_[group].insert(token).second) {
    return may_have_entered(asked, token) ? Kind::kEntered : Kind::kTwice;
  }
  for (const Acquire::Item& item : asked.items) {
    const LockKey key(asked.who.domain.value(), std::string(item.name));
    told_[key][token] = {.owner = std::string(asked.who.owner), .mode = item.mode, .at = now};
  }
  return Kind::kNew;
}

void Given::lost(const std::string& owner, uint32_t domain, Instant asked) {
  for (auto& [key, tokens] : told_) {
    for (auto& [token, told] : tokens) {
      const bool is_meant = key.first == domain && told.owner == owner && told.at <= asked;
      told.is_over = told.is_over || is_meant;
    }
  }
}

bool Given::may_have_entered(const Acquire& asked, Token token) const {
  bool is_of_one = false;
  for (const Acquire::Item& item : asked.items) {
    const auto found = told_.find(LockKey(asked.who.domain.value(), std::string(item.name)));
    if (found == told_.end() || item.mode == Mode::kPermits) {
      return false;
    }
    const Tokens& tokens = found->second;
    const auto is_own = [&](const auto& entry) { return entry.second.owner == asked.who.owner; };
    const auto own =
        std::find_if(std::make_reverse_iterator(tokens.upper_bound(token)), tokens.rend(), is_own);
    if (own == tokens.rend() || !has_still(tokens, std::prev(own.base()))) {
      return false;
    }
    is_of_one = is_of_one || own->first == token;
  }
  return is_of_one;
}

// The owner itself may have been told a greater token, for this lock and another one at once; but
// to have it exclusive where it was shared takes an upgrade, from which on it has another token.
bool Given::has_still(const Tokens& tokens, Tokens::const_iterator own) {
  const Told& mine = own->second;
  return !mine.is_over && std::none_of(std::next(own), tokens.end(), [&](const auto& entry) {
    const Told& later = entry.second;
    const bool excludes = later.mode == Mode::kExclusive || mine.mode == Mode::kExclusive;
    return excludes && (later.owner != mine.owner || mine.mode == Mode::kShared);
  });
}

}  // namespace quorate::sim
