// SPDX-License-Identifier: Apache-2.0
// Cursors: where SCANs go on.
//
// A cursor of Redis is a number of 64 bits, and a walk here goes on behind a key. So this node
// remembers the key of each number that it gave, and forgets those used longest ago when there are
// too many. A number that it does not know, because another node gave it, is refused, and the
// client begins anew; a wrong walk would be worse than a second one.
#pragma once

#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/limits.h"

namespace quorate::edge::resp {

class Cursors {
 public:
  explicit Cursors(size_t most = limits::kRespCursorsMax) : most_(most) {}

  // The number of a place: never 0, and never given before by this process.
  [[nodiscard]] uint64_t remember(std::string key);
  [[nodiscard]] std::optional<std::string> find(uint64_t number);
  // Numbers begin here, so that those of an earlier process are not taken for new ones.
  void begin_at(uint64_t number) { next_ = number; }
  [[nodiscard]] size_t size() const { return by_number_.size(); }

 private:
  struct Place {
    uint64_t number;
    std::string key;
  };
  const size_t most_;
  uint64_t next_ = 1;
  std::list<Place> places_;  // the one used last is the first
  std::unordered_map<uint64_t, std::list<Place>::iterator> by_number_;
};

}  // namespace quorate::edge::resp
