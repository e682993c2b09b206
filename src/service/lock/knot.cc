// SPDX-License-Identifier: Apache-2.0
#include "service/lock/knot.h"

#include <algorithm>
#include <deque>
#include <tuple>

#include "base/assert.h"
#include "base/limits.h"
#include "service/lock/wait_graph.h"

namespace quorate::service::lock {

KnotWait knot_wait(GroupId group, const WaitEdges& edges) {
  KnotWait wait{.group = group,
                .domain = edges.who.domain,
                .owner = std::string(edges.who.owner),
                .ticket = edges.ticket,
                .since = edges.since,
                .items = {}};
  for (const WaitEdges::Item& item : edges.items) {
    KnotWait::Item& copy = wait.items.emplace_back(
        KnotWait::Item{std::string(item.name), item.permits, item.limit, {}});
    for (const Blocker& blocker : item.blockers) {
      copy.blockers.push_back({std::string(blocker.owner), blocker.count});
    }
  }
  return wait;
}

void Knot::add(KnotWait wait) {
  for (const KnotWait::Item& item : wait.items) {
    edges_ += item.blockers.size();
  }
  const Key key(wait.owner, wait.domain);
  waits_.insert_or_assign(key, std::move(wait));
}

void Knot::remove(const KnotWait& wait) { waits_.erase(Key(wait.owner, wait.domain)); }

std::set<std::string> Knot::blockers() const {
  std::set<std::string> names;
  for (const auto& [key, wait] : waits_) {
    for (const KnotWait::Item& item : wait.items) {
      for (const KnotWait::Blocker& blocker : item.blockers) {
        names.insert(blocker.owner);
      }
    }
  }
  return names;
}

bool Knot::is_served(const KnotWait& wait, const std::set<std::string>& stuck) {
  return std::all_of(wait.items.begin(), wait.items.end(), [&](const KnotWait::Item& item) {
    uint64_t kept = 0;
    for (const KnotWait::Blocker& blocker : item.blockers) {
      if (stuck.contains(blocker.owner)) {
        if (blocker.count == 0) {
          return false;
        }
        kept += blocker.count;
      }
    }
    return kept + item.permits <= item.limit;
  });
}

// At first all who wait are taken to be stuck; then whoever can go on is set free, until nothing
// moves.
std::set<std::string> Knot::stuck() const {
  std::map<std::string_view, size_t> left;   // waits that are not served yet
  std::set<std::string> stuck;
  for (const auto& [key, wait] : waits_) {
    ++left[key.first];
    stuck.insert(key.first);
  }
  std::set<Key> served;
  for (bool moved = true; moved;) {
    moved = false;
    for (const auto& [key, wait] : waits_) {
      if (served.contains(key) || !is_served(wait, stuck)) {
        continue;
      }
      served.insert(key);
      moved = true;
      if (--left[key.first] == 0) {
        stuck.erase(key.first);
      }
    }
  }
  return stuck;
}

std::vector<std::pair<std::string_view, Knot::Link>> Knot::links_of(
    std::string_view owner, const std::set<std::string>& stuck) const {
  std::vector<std::pair<std::string_view, Link>> links;
  auto at = waits_.lower_bound(Key(owner, DomainId()));
  for (; at != waits_.end() && at->first.first == owner; ++at) {
    for (const KnotWait::Item& item : at->second.items) {
      for (const KnotWait::Blocker& blocker : item.blockers) {
        if (stuck.contains(blocker.owner)) {
          links.emplace_back(blocker.owner, Link{&at->second, item.name});
        }
      }
    }
  }
  return links;
}

// By the shortest way, over the stuck alone.
std::vector<Knot::Link> Knot::cycle_through(std::string_view owner,
                                            const std::set<std::string>& stuck) const {
  const std::string start(owner);
  std::map<std::string_view, std::pair<std::string_view, Link>> reached;   // from where, by what
  std::deque<std::string_view> line;
  if (stuck.contains(start)) {
    line.push_back(start);
  }
  for (; !line.empty() && !reached.contains(start); line.pop_front()) {
    for (const auto& [blocker, link] : links_of(line.front(), stuck)) {
      if (reached.try_emplace(blocker, line.front(), link).second) {
        line.push_back(blocker);
      }
    }
  }
  std::vector<Link> cycle;
  if (!reached.contains(start)) {
    return cycle;
  }
  for (std::string_view name = start; cycle.empty() || name != start;) {
    const auto& [from, link] = reached.at(name);
    cycle.push_back(link);
    name = from;
  }
  std::reverse(cycle.begin(), cycle.end());
  return cycle;
}

Knot Knot::both(const Knot& other) const {
  Knot both;
  for (const auto& [key, wait] : waits_) {
    const auto found = other.waits_.find(key);
    if (found != other.waits_.end() && found->second == wait) {
      both.add(wait);
    }
  }
  return both;
}

// The rest is for those of one stamp: whoever finds the cycle comes to the same victim.
const KnotWait& victim_of(const std::vector<Knot::Link>& cycle) {
  ASSERT(!cycle.empty());
  return *std::max_element(cycle.begin(), cycle.end(),
                           [](const Knot::Link& left, const Knot::Link& right) {
                             const KnotWait& a = *left.wait;
                             const KnotWait& b = *right.wait;
                             return std::tie(a.since, a.domain, a.ticket, a.owner) <
                                    std::tie(b.since, b.domain, b.ticket, b.owner);
                           })
              ->wait;
}

std::string text_of(const std::vector<Knot::Link>& cycle) {
  const bool is_one_domain =
      std::all_of(cycle.begin(), cycle.end(), [&](const Knot::Link& link) {
        return link.wait->domain == cycle.front().wait->domain;
      });
  std::vector<CycleStep> steps;
  for (const Knot::Link& link : cycle) {
    const std::string note = " (domain " + std::to_string(link.wait->domain.value()) + ")";
    steps.push_back({link.wait->owner, link.item, is_one_domain ? std::string() : note});
  }
  return text_of(steps);
}

}  // namespace quorate::service::lock
