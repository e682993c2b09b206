// SPDX-License-Identifier: Apache-2.0
// Knot: waits of several domains and groups, as they were read, and who of them can never go on.
//
// The same question as of one domain (wait_graph.h), asked of copies: owners of one name are one
// line of execution, wherever they hold and wait. Whoever waits nowhere is free; whoever waits is
// free when all its waits can be served, after those who are free have given back what they hold;
// whoever is left is stuck. An owner of whom nothing was read counts as free, so a knot that was
// read in part names nobody who is not stuck.
//
// Pure: it reads nothing by itself (detector.h does).
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "service/lock/answers.h"

namespace quorate::service::lock {

// WaitEdges that own their bytes, and the group that they were read from.
struct KnotWait {
  struct Blocker {
    std::string owner;
    uint64_t count = 0;
    bool operator==(const Blocker&) const = default;
  };
  struct Item {
    std::string name;
    uint64_t permits = 0;
    uint64_t limit = 0;
    std::vector<Blocker> blockers;
    bool operator==(const Item&) const = default;
  };
  GroupId group = {};
  DomainId domain = {};
  std::string owner;
  Ticket ticket = {};
  Stamp since = {};
  std::vector<Item> items;
  bool operator==(const KnotWait&) const = default;
};

[[nodiscard]] KnotWait knot_wait(GroupId group, const WaitEdges& edges);

class Knot {
 public:
  // The one waits in `wait` for `item`, which the next one has, or is to have before.
  struct Link {
    const KnotWait* wait = nullptr;
    std::string_view item = {};
  };

  // In place of what was read before of this owner in this domain.
  void add(KnotWait wait);
  void remove(const KnotWait& wait);
  // Who stands in somebody's way.
  [[nodiscard]] std::set<std::string> blockers() const;
  [[nodiscard]] size_t edges() const { return edges_; }

  // Those who can never go on.
  [[nodiscard]] std::set<std::string> stuck() const;
  // The shortest cycle of those through the owner, each waiting for the next; empty if he is stuck,
  // but not in a cycle himself.
  [[nodiscard]] std::vector<Link> cycle_through(std::string_view owner,
                                                const std::set<std::string>& stuck) const;
  // Of both, the waits that are the same, item by item.
  [[nodiscard]] Knot both(const Knot& other) const;

 private:
  using Key = std::pair<std::string, DomainId>;
  // Who of the stuck stands in the owner's way, and in what.
  [[nodiscard]] std::vector<std::pair<std::string_view, Link>> links_of(
      std::string_view owner, const std::set<std::string>& stuck) const;
  [[nodiscard]] static bool is_served(const KnotWait& wait, const std::set<std::string>& stuck);

  std::map<Key, KnotWait> waits_;
  size_t edges_ = 0;
};

// Who is refused: the youngest wait of the cycle, by the stamps of its groups.
[[nodiscard]] const KnotWait& victim_of(const std::vector<Knot::Link>& cycle);
// "a waits for x of b, b waits for y of a", with the domains if there are several.
[[nodiscard]] std::string text_of(const std::vector<Knot::Link>& cycle);

}  // namespace quorate::service::lock
