// SPDX-License-Identifier: Apache-2.0
// Sweep: which connections of a server are looked at next for their time-outs.
//
// One timer serves all connections, so that a request costs none of its own. To look at thousands
// of them at once would be a pause for everybody: each look goes on where the last one ended, at a
// few, and comes so much sooner that a round still takes one interval.
//
// Invariant: whoever is connected for the whole of a round is looked at in it.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <vector>

#include "base/limits.h"
#include "base/time.h"

namespace quorate::edge {

template <class Key, class Connection>
class Sweep {
 public:
  using Connections = std::map<Key, std::shared_ptr<Connection>>;

  // The next few. Copies, for a connection that ends leaves the map.
  [[nodiscard]] std::vector<std::shared_ptr<Connection>> next(const Connections& connections) {
    std::vector<std::shared_ptr<Connection>> few;
    auto at = begun_ ? connections.upper_bound(last_) : connections.begin();
    for (; at != connections.end() && few.size() < limits::kConnectionsSweptAtOnce; ++at) {
      few.push_back(at->second);
      last_ = at->first;
    }
    begun_ = at != connections.end();
    return few;
  }

  // From one look to the next, if `connections` are to be seen once in `interval`.
  [[nodiscard]] static Duration pause(Duration interval, size_t connections) {
    const size_t looks =
        (connections + limits::kConnectionsSweptAtOnce - 1) / limits::kConnectionsSweptAtOnce;
    return interval / static_cast<int64_t>(std::max<size_t>(looks, 1));
  }

 private:
  Key last_{};  // the next is the one after it, once a round has begun
  bool begun_ = false;
};

}  // namespace quorate::edge
