// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <iterator>

#include "base/limits.h"
#include "service/lock/state.h"
#include "service/lock/wait_graph.h"

namespace quorate::service::lock {
namespace {

WaitStatus status_of(const Owner& owner, uint64_t ahead) {
  return {.state = owner.wait.state,
          .ticket = owner.wait.ticket,
          .token = owner.wait.token,
          .ahead = ahead,
          .deadline = owner.wait.deadline,
          .lease_end = owner.lease_end,
          .cycle = owner.wait.cycle};
}

// A page of locks is cheap, however many hold each of them.
constexpr size_t kTokensLookedAt = 64;

LockSummary summary_of(const Lock& lock) {
  Token token;
  size_t seen = 0;
  for (auto at = lock.holds.begin(); at != lock.holds.end() && seen < kTokensLookedAt; ++at) {
    token = std::max(token, at->second.token);
    ++seen;
  }
  const Mode mode = lock.holds.empty() ? lock.queue.begin()->second.mode
                                       : lock.holds.begin()->second.mode;
  return {.name = lock.name,
          .mode = mode,
          .limit = lock.limit,
          .used = lock.used,
          .holders = lock.holds.size(),
          .waiters = lock.queue.size(),
          .owner = lock.holds.empty() ? std::string_view() : lock.holds.begin()->second.owner->name,
          .token = token};
}

}  // namespace

// A queue is not counted but walked, up to what a person would read.
uint64_t State::ahead_of(const Owner& owner) {
  uint64_t ahead = 0;
  if (owner.wait.is_waiting()) {
    for (const WaitItem& item : owner.wait.items) {
      uint64_t here = 0;
      for (auto at = item.lock->queue.begin();
           at->first < owner.wait.key() && here < limits::kLockShownMax; ++at) {
        ++here;
      }
      ahead = std::max(ahead, here);
    }
  }
  return ahead;
}

Answer State::query(const Query& query, Stamp now) const {
  if (const Heartbeat* const beat = std::get_if<Heartbeat>(&query)) {
    return answer(*beat, now);
  }
  return std::visit([&](const auto& fields) { return answer(fields); }, query);
}

bool State::wait_of(const OwnerRef& who, WaitStatus& status) const {
  const Owner* const owner = find_owner(who);
  if (owner == nullptr) {
    return false;
  }
  status = status_of(*owner, 0);
  return true;
}

Answer State::answer(const WaitOf& query) const {
  const Owner* const owner = find_owner(query.who);
  if (owner == nullptr) {
    return Status(Code::kLeaseLost, "there is no such owner, or no more");
  }
  return status_of(*owner, ahead_of(*owner));
}

Answer State::answer(const Info& query) const {
  const Lock* const lock = find_lock(query.domain, query.name);
  if (lock == nullptr) {
    return Status(Code::kNotFound, "nobody holds it or waits for it");
  }
  LockDetails details{.limit = lock->limit,
                      .used = lock->used,
                      .holder_count = lock->holds.size(),
                      .waiter_count = lock->queue.size()};
  for (const auto& [number, hold] : lock->holds) {
    if (details.holders.size() == limits::kLockShownMax) {
      break;
    }
    details.holders.push_back({hold.owner->name, hold.mode, hold.count, hold.token, hold.since});
  }
  for (const auto& [key, queued] : lock->queue) {
    if (details.waiters.size() == limits::kLockShownMax) {
      break;
    }
    const Wait& wait = queued.owner->wait;
    details.waiters.push_back({queued.owner->name, queued.mode, queued.permits, wait.is_upgrade,
                               wait.ticket, wait.since, wait.deadline});
  }
  return details;
}

Answer State::answer(const List& query) const {
  const uint64_t most = query.limit == 0 ? limits::kLockShownMax
                                         : std::min<uint64_t>(query.limit, limits::kLockShownMax);
  LockPage page;
  auto at = locks_.lower_bound(NameView(query.domain, std::max(query.prefix, query.after)));
  for (; at != locks_.end() && at->first.first == query.domain; ++at) {
    const Lock& lock = at->second;
    if (!lock.name.starts_with(query.prefix)) {
      break;
    }
    if (lock.name == query.after) {
      continue;
    }
    if (page.locks.size() == most) {
      page.more = true;
      break;
    }
    page.locks.push_back(summary_of(lock));
  }
  return page;
}

Answer State::answer(const OwnerOf& query) const {
  const Owner* const owner = find_owner(query.who);
  if (owner == nullptr) {
    return Status(Code::kNotFound, "there is no such owner");
  }
  OwnerDetails details{.number = owner->number,
                       .lease = owner->lease,
                       .is_transient = owner->is_transient,
                       .held_count = owner->held.size(),
                       .wait = status_of(*owner, ahead_of(*owner))};
  for (auto at = owner->held.upper_bound(query.after);
       at != owner->held.end() && details.held.size() < limits::kLockShownMax; ++at) {
    const Hold& hold = at->second->holds.at(owner->number);
    details.held.push_back({at->first, hold.mode, hold.count, hold.token});
  }
  for (const WaitItem& item : owner->wait.items) {
    details.waits_for.push_back(item.lock->name);
  }
  return details;
}

Answer State::answer(const Stats&) const {
  return Usage{.locks = locks_.size(),
               .holds = holds_,
               .waits = waiting_.size(),
               .owners = owners_.size(),
               .grants = numbers_.grants,
               .queued = numbers_.queued,
               .timed_out = numbers_.timed_out,
               .leases_lost = numbers_.leases_lost,
               .broken = numbers_.broken,
               .deadlocks_detected = numbers_.deadlocks,
               .deadlocks_resolved = numbers_.deadlocks};
}

// The leader that answers has heard of them just now, and holds it in memory.
Answer State::answer(const Heartbeat& query, Stamp now) const {
  Alive alive;
  for (const OwnerRef& who : query.owners) {
    Alive::Life& life = alive.lives.emplace_back();
    if (const Owner* const owner = find_owner(who)) {
      life.number = owner->number;
      life.lease_end = std::max(owner->lease_end, now + owner->lease);
    }
  }
  return alive;
}

bool State::ended_since(uint64_t news, std::vector<Ticket>& tickets) const {
  if (news > news_ || news_ - news > ended_.size()) {
    return false;
  }
  tickets.assign(ended_.end() - static_cast<std::ptrdiff_t>(news_ - news), ended_.end());
  return true;
}

// ---- for the search through several groups -----------------------------------------------------

WaitEdges State::edges_of(const Owner& owner) {
  WaitEdges edges{.who = {owner.domain, owner.name},
                  .ticket = owner.wait.ticket,
                  .since = owner.wait.since};
  for (const WaitItem& item : owner.wait.items) {
    edges.items.push_back(WaitGraph::edges_of(owner, item));
  }
  return edges;
}

void State::tickets_after(Ticket ticket, std::vector<Ticket>& tickets) const {
  for (auto at = waiting_.upper_bound(ticket); at != waiting_.end(); ++at) {
    tickets.push_back(at->first);
  }
}

bool State::edges_of(Ticket ticket, WaitEdges& edges) const {
  const auto found = waiting_.find(ticket);
  if (found == waiting_.end()) {
    return false;
  }
  edges = edges_of(*found->second);
  return true;
}

Answer State::answer(const Edges& query) const {
  Graph graph;
  size_t edges = 0;
  for (const std::string_view name : query.owners) {
    const auto [begin, end] = waiting_names_.equal_range(name);
    for (auto at = begin; at != end; ++at) {
      graph.waits.push_back(edges_of(*at->second));
      ++edges;
      for (const WaitEdges::Item& item : graph.waits.back().items) {
        edges += item.blockers.size();
      }
      if (edges > limits::kLockGraphEdgesMax) {
        graph.cut = true;
        return graph;
      }
    }
  }
  return graph;
}

}  // namespace quorate::service::lock
