// SPDX-License-Identifier: Apache-2.0
#include "edge/resp/session/cursors.h"

namespace quorate::edge::resp {

uint64_t Cursors::remember(std::string key) {
  if (places_.size() == most_) {
    by_number_.erase(places_.back().number);
    places_.pop_back();
  }
  const uint64_t number = next_++;
  places_.push_front({number, std::move(key)});
  by_number_.emplace(number, places_.begin());
  return number;
}

std::optional<std::string> Cursors::find(uint64_t number) {
  const auto found = by_number_.find(number);
  if (found == by_number_.end()) {
    return std::nullopt;
  }
  places_.splice(places_.begin(), places_, found->second);
  return found->second->key;
}

}  // namespace quorate::edge::resp
