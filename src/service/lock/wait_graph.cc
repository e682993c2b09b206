// SPDX-License-Identifier: Apache-2.0
#include "service/lock/wait_graph.h"

#include <algorithm>
#include <iterator>
#include <map>

#include "base/assert.h"
#include "base/mutant.h"

namespace quorate::service::lock {
namespace {

constexpr size_t kShownNameBytesMax = 64;
constexpr size_t kShownCycleMax = 16;

// Names are any bytes; a message is read by people.
void append_name(std::string_view name, std::string& text) {
  for (const char byte : name.substr(0, kShownNameBytesMax)) {
    const auto number = static_cast<uint8_t>(byte);
    text += number < 0x20 || number >= 0x7f ? '?' : byte;
  }
  if (name.size() > kShownNameBytesMax) {
    text += "...";
  }
}

using Blockers = std::vector<const Owner*>;

// The exclusive one before a place in the queue, or end().
std::map<QueueKey, Queued>::const_iterator exclusive_before(const Lock& lock, const QueueKey& key) {
  const auto at = lock.exclusives.lower_bound(key);
  return at == lock.exclusives.begin() ? lock.queue.end() : lock.queue.find(*std::prev(at));
}

void add_holders(const Lock& lock, const Owner& owner, Blockers& blockers) {
  for (const auto& [number, hold] : lock.holds) {
    if (hold.owner != &owner) {
      blockers.push_back(hold.owner);
    }
  }
}

void add_for_exclusive(const Lock& lock, const Owner& owner, Blockers& blockers) {
  const auto before = exclusive_before(lock, owner.wait.key());
  if (before == lock.queue.end()) {
    add_holders(lock, owner, blockers);
  }
  auto at = before == lock.queue.end() ? lock.queue.begin() : before;
  for (; at->first < owner.wait.key(); ++at) {
    blockers.push_back(at->second.owner);
  }
}

void add_for_shared(const Lock& lock, const Owner& owner, Blockers& blockers) {
  const auto before = exclusive_before(lock, owner.wait.key());
  if (before != lock.queue.end()) {
    blockers.push_back(before->second.owner);
    return;
  }
  // Holders exclude the asker only if there is one, exclusively.
  if (!lock.holds.empty() && lock.holds.begin()->second.mode == Mode::kExclusive) {
    add_holders(lock, owner, blockers);
  }
}

const Owner* queued_before(const Lock& lock, const QueueKey& key) {
  const auto at = lock.queue.find(key);
  ASSERT(at != lock.queue.end());
  return at == lock.queue.begin() ? nullptr : std::prev(at)->second.owner;
}

// Its own permits are in its way only if all the others would not do.
void add_for_permits(const WaitItem& item, const Owner& owner, Blockers& blockers) {
  const Lock& lock = *item.lock;
  if (const Owner* const before = queued_before(lock, owner.wait.key())) {
    blockers.push_back(before);
  }
  for (const auto& [number, hold] : lock.holds) {
    if (hold.owner != &owner || hold.count + item.permits > lock.limit) {
      blockers.push_back(hold.owner);
    }
  }
}

void add_blockers(const Owner& owner, const WaitItem& item, Blockers& blockers) {
  if (is_entered(owner, *item.lock, owner.wait.is_upgrade)) {
    return;
  }
  switch (item.mode) {
    case Mode::kShared: add_for_shared(*item.lock, owner, blockers); break;
    case Mode::kExclusive: add_for_exclusive(*item.lock, owner, blockers); break;
    case Mode::kPermits: add_for_permits(item, owner, blockers); break;
  }
}

}  // namespace

std::string text_of(const std::vector<CycleStep>& cycle) {
  std::string text;
  for (size_t at = 0; at < cycle.size() && at < kShownCycleMax; ++at) {
    text += at == 0 ? "" : ", ";
    append_name(cycle[at].owner, text);
    text += " waits for ";
    append_name(cycle[at].lock, text);
    text += cycle[at].note + " of ";
    append_name(cycle[(at + 1) % cycle.size()].owner, text);
  }
  if (cycle.size() > kShownCycleMax) {
    text += ", and " + std::to_string(cycle.size() - kShownCycleMax) + " more";
  }
  return text;
}

std::vector<const Owner*> WaitGraph::blockers_of(const Owner& owner) {
  Blockers blockers;
  if (owner.wait.is_waiting()) {
    for (const WaitItem& item : owner.wait.items) {
      add_blockers(owner, item, blockers);
    }
  }
  return blockers;
}

// Of a semaphore all holders count, itself too: it keeps its permits while it waits.
WaitEdges::Item WaitGraph::edges_of(const Owner& owner, const WaitItem& item) {
  WaitEdges::Item edges{.name = item.lock->name};
  if (item.mode != Mode::kPermits) {
    Blockers blockers;
    add_blockers(owner, item, blockers);
    for (const Owner* const blocker : blockers) {
      edges.blockers.push_back({blocker->name, 0});
    }
    return edges;
  }
  edges.permits = item.permits;
  edges.limit = item.lock->limit;
  if (const Owner* const before = queued_before(*item.lock, owner.wait.key())) {
    edges.blockers.push_back({before->name, 0});
  }
  for (const auto& [number, hold] : item.lock->holds) {
    edges.blockers.push_back({hold.owner->name, hold.count});
  }
  return edges;
}

const Lock& WaitGraph::lock_between(const Owner& owner, const Owner& blocker) {
  for (const WaitItem& item : owner.wait.items) {
    Blockers blockers;
    add_blockers(owner, item, blockers);
    if (std::find(blockers.begin(), blockers.end(), &blocker) != blockers.end()) {
      return *item.lock;
    }
  }
  ASSERT(false, "the one does not wait for the other");
  return *owner.wait.items.front().lock;
}

std::vector<const Owner*> WaitGraph::find_deadlock(const Owner& owner) {
  ASSERT(owner.wait.is_waiting());
  if (!reaches_itself(owner)) {
    return {};
  }
  set_free();
  return is_finished(owner) ? Blockers() : shortest_cycle(owner);
}

// Whoever the owner waits for, directly or not, is in seen_ afterwards.
bool WaitGraph::reaches_itself(const Owner& owner) {
  ++search_;
  seen_.assign(1, &owner);
  owner.seen_in = search_;
  bool is_found = false;
  for (size_t at = 0; at < seen_.size(); ++at) {
    for (const Owner* const blocker : blockers_of(*seen_[at])) {
      is_found = is_found || blocker == &owner;
      if (blocker->seen_in != search_) {
        blocker->seen_in = search_;
        seen_.push_back(blocker);
      }
    }
  }
  return is_found;
}

// From the far end, where those are that do not wait; a chain is done in one round.
void WaitGraph::set_free() {
  for (bool moved = true; moved;) {
    moved = false;
    for (auto at = seen_.rbegin(); at != seen_.rend(); ++at) {
      if (!is_finished(**at) && can_finish(**at)) {
        (*at)->finished_in = search_;
        moved = true;
      }
    }
  }
}

bool WaitGraph::can_finish(const Owner& owner) const {
  return !owner.wait.is_waiting() ||
         std::all_of(owner.wait.items.begin(), owner.wait.items.end(),
                     [&](const WaitItem& item) { return is_served(owner, item); });
}

bool WaitGraph::is_served(const Owner& owner, const WaitItem& item) const {
  if (item.mode != Mode::kPermits) {
    Blockers blockers;
    add_blockers(owner, item, blockers);
    return std::all_of(blockers.begin(), blockers.end(),
                       [&](const Owner* blocker) { return is_finished(*blocker); });
  }
  const Lock& lock = *item.lock;
  const Owner* const before = queued_before(lock, owner.wait.key());
  if (before != nullptr && !is_finished(*before)) {
    return false;
  }
  uint64_t kept = 0;
  for (const auto& [number, hold] : lock.holds) {
    kept += is_finished(*hold.owner) && !MUTANT(lock_permits_never_return) ? 0 : hold.count;
  }
  return kept + item.permits <= lock.limit;
}

// Over those alone that are not free. There is one through the owner: without its wait all of them
// were.
std::vector<const Owner*> WaitGraph::shortest_cycle(const Owner& owner) {
  const uint64_t finished = search_++;
  std::map<OwnerNumber, const Owner*> waits_for_it;   // the one that was looked at before
  Blockers line{&owner};
  owner.seen_in = search_;
  for (size_t at = 0; at < line.size(); ++at) {
    for (const Owner* const blocker : blockers_of(*line[at])) {
      if (blocker == &owner) {
        Blockers cycle;
        for (const Owner* it = line[at]; it != &owner; it = waits_for_it.at(it->number)) {
          cycle.push_back(it);
        }
        cycle.push_back(&owner);
        std::reverse(cycle.begin(), cycle.end());
        return cycle;
      }
      if (blocker->finished_in != finished && blocker->seen_in != search_) {
        blocker->seen_in = search_;
        waits_for_it.emplace(blocker->number, line[at]);
        line.push_back(blocker);
      }
    }
  }
  ASSERT(false, "a deadlock without a cycle through the one who closed it");
  return {};
}

}  // namespace quorate::service::lock
