// SPDX-License-Identifier: Apache-2.0
// The two tools of placement.cc: how often two nodes meet, and the shortest way from nodes that
// have too much to one that has too little. Nodes are positions in a vector.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/assert.h"

namespace quorate::service::meta {

class PairCounts {
 public:
  explicit PairCounts(size_t nodes) : nodes_(nodes), counts_(nodes * nodes) {}

  [[nodiscard]] uint32_t of(size_t a, size_t b) const { return counts_[a * nodes_ + b]; }
  void add(size_t a, size_t b, bool more) {
    uint32_t& count = counts_[a * nodes_ + b];
    ASSERT(more || count > 0);
    count = more ? count + 1 : count - 1;
  }

 private:
  size_t nodes_;
  std::vector<uint32_t> counts_;
};

// Breadth first from `sources`, in their order, along edges `joined(a, b)` to the first node with
// `target(node)`. The nodes on the way, both ends included; empty if there is none.
template <class Joined, class Target>
[[nodiscard]] std::vector<size_t> shortest_path(size_t nodes, const std::vector<size_t>& sources,
                                                const Joined& joined, const Target& target) {
  constexpr size_t kUnseen = static_cast<size_t>(-1);
  std::vector<size_t> from(nodes, kUnseen);
  std::vector<size_t> queue = sources;
  for (const size_t source : sources) {
    from[source] = source;
  }
  for (size_t next = 0; next < queue.size(); ++next) {
    const size_t node = queue[next];
    if (target(node)) {
      std::vector<size_t> path{node};
      while (from[path.back()] != path.back()) {
        path.push_back(from[path.back()]);
      }
      return {path.rbegin(), path.rend()};
    }
    for (size_t other = 0; other < nodes; ++other) {
      if (from[other] == kUnseen && joined(node, other)) {
        from[other] = node;
        queue.push_back(other);
      }
    }
  }
  return {};
}

}  // namespace quorate::service::meta
