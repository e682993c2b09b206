// SPDX-License-Identifier: Apache-2.0
// For tests: locks as one would explain them. Small lists, searched from the front each time; no
// index, no graph. Whether a wait is a deadlock is found out by playing on to the end: all who do
// not wait give back what they hold, again and again; who then still waits, waits for ever.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "service/lock/commands.h"

namespace quorate::service::lock {

class Model {
 public:
  struct Item {
    std::string name;
    Mode mode = Mode::kExclusive;
    uint64_t permits = 0;
    uint64_t limit = 0;
  };
  struct Wait {
    std::string owner;
    bool is_upgrade = false;
    std::vector<Item> items;
  };
  struct Hold {
    std::string owner;
    std::string name;
    Mode mode = Mode::kExclusive;
    uint64_t count = 0;
    uint64_t limit = 0;
  };
  enum class Said { kGranted, kQueued, kNotFree, kDeadlock, kRefused };

  Said acquire(const std::string& owner, const std::vector<Item>& items, bool may_wait) {
    if (waits_of(owner) != nullptr || std::any_of(items.begin(), items.end(), [&](const Item& it) {
          return !suits(owner, it);
        })) {
      return Said::kRefused;
    }
    return ask({owner, false, items}, may_wait);
  }
  Said upgrade(const std::string& owner, const std::string& name, bool may_wait) {
    const Hold* const held = find(owner, name);
    if (held == nullptr || waits_of(owner) != nullptr || held->limit != 0) {
      return Said::kRefused;
    }
    if (held->mode == Mode::kExclusive) {
      return Said::kGranted;
    }
    return ask({owner, true, {{name, Mode::kExclusive, 0, 0}}}, may_wait);
  }
  bool downgrade(const std::string& owner, const std::string& name) {
    Hold* const held = find(owner, name);
    if (held == nullptr || held->limit != 0 || builds_on(owner, name)) {
      return false;
    }
    held->mode = Mode::kShared;
    serve();
    return true;
  }
  bool release(const std::string& owner, const std::string& name, uint64_t count) {
    Hold* const held = find(owner, name);
    if (held == nullptr || builds_on(owner, name) || held->count < count) {
      return false;
    }
    held->count = count == 0 ? 0 : held->count - count;
    std::erase_if(holds_, [](const Hold& it) { return it.count == 0; });
    serve();
    return true;
  }
  bool cancel(const std::string& owner) {
    const bool was = std::erase_if(waits_, [&](const Wait& it) { return it.owner == owner; }) > 0;
    serve();
    return was;
  }
  void break_all(const std::string& name) {
    std::erase_if(waits_, [&](const Wait& it) {
      return find(it.owner, name) != nullptr && builds_on(it.owner, name);
    });
    std::erase_if(holds_, [&](const Hold& it) { return it.name == name; });
    serve();
  }
  void end(const std::string& owner) {
    std::erase_if(waits_, [&](const Wait& it) { return it.owner == owner; });
    std::erase_if(holds_, [&](const Hold& it) { return it.owner == owner; });
    serve();
  }

  [[nodiscard]] bool is_stuck(const std::string& owner) const {
    Model future = *this;
    for (size_t waiting = waits_.size() + 1; waiting > future.waits_.size();) {
      waiting = future.waits_.size();
      std::erase_if(future.holds_, [&](const Hold& it) {
        return future.waits_of(it.owner) == nullptr;
      });
      future.serve();
    }
    return future.waits_of(owner) != nullptr;
  }

  // "owner mode count" of all holders, in order, and the owners who wait, in order of service.
  [[nodiscard]] std::vector<std::string> holders(const std::string& name) const {
    std::vector<std::string> all;
    for (const Hold& it : holds_) {
      if (it.name == name) {
        all.push_back(it.owner + " " + std::to_string(static_cast<int>(it.mode)) + " " +
                      std::to_string(it.count));
      }
    }
    std::sort(all.begin(), all.end());
    return all;
  }
  [[nodiscard]] std::vector<std::string> waiters(const std::string& name) const {
    std::vector<std::string> all;
    for (const Wait& it : waits_) {
      if (std::any_of(it.items.begin(), it.items.end(),
                      [&](const Item& item) { return item.name == name; })) {
        all.push_back(it.owner);
      }
    }
    return all;
  }
  [[nodiscard]] const Wait* waits_of(const std::string& owner) const {
    const auto found = std::find_if(waits_.begin(), waits_.end(),
                                    [&](const Wait& it) { return it.owner == owner; });
    return found == waits_.end() ? nullptr : &*found;
  }

 private:
  Hold* find(const std::string& owner, const std::string& name) {
    const auto found = std::find_if(holds_.begin(), holds_.end(), [&](const Hold& it) {
      return it.owner == owner && it.name == name;
    });
    return found == holds_.end() ? nullptr : &*found;
  }
  bool builds_on(const std::string& owner, const std::string& name) {
    const std::vector<std::string> all = waiters(name);
    return std::find(all.begin(), all.end(), owner) != all.end();
  }
  // Of the kind that is in use, and not from shared to exclusive.
  bool suits(const std::string& owner, const Item& item) {
    for (const Hold& it : holds_) {
      if (it.name == item.name &&
          (it.limit != item.limit || (it.owner == owner && it.mode == Mode::kShared &&
                                      item.mode == Mode::kExclusive))) {
        return false;
      }
    }
    for (const Wait& it : waits_) {
      for (const Item& other : it.items) {
        if (other.name == item.name && other.limit != item.limit) {
          return false;
        }
      }
    }
    return true;
  }

  Said ask(const Wait& wait, bool may_wait) {
    const Model before = *this;
    const auto upgrades_end = std::find_if(waits_.begin(), waits_.end(),
                                           [](const Wait& it) { return !it.is_upgrade; });
    waits_.insert(wait.is_upgrade ? upgrades_end : waits_.end(), wait);
    serve();
    if (waits_of(wait.owner) == nullptr) {
      return Said::kGranted;
    }
    const bool is_deadlock = is_stuck(wait.owner);
    if (!may_wait || is_deadlock) {
      *this = before;
    }
    return !may_wait ? Said::kNotFree : is_deadlock ? Said::kDeadlock : Said::kQueued;
  }

  // In order, from the start again after each.
  void serve() {
    for (size_t at = 0; at < waits_.size();) {
      if (can_serve(at)) {
        const Wait wait = waits_[at];
        waits_.erase(waits_.begin() + static_cast<std::ptrdiff_t>(at));
        give(wait);
        at = 0;
      } else {
        ++at;
      }
    }
  }
  bool can_serve(size_t at) {
    const Wait& wait = waits_[at];
    for (const Item& item : wait.items) {
      const bool is_entered =
          item.limit == 0 && !wait.is_upgrade && find(wait.owner, item.name) != nullptr;
      if (!is_entered && (is_behind(at, item) || !has_room(wait, item))) {
        return false;
      }
    }
    return true;
  }
  bool is_behind(size_t at, const Item& item) const {
    for (size_t before = 0; before < at; ++before) {
      for (const Item& other : waits_[before].items) {
        if (other.name == item.name &&
            !(other.mode == Mode::kShared && item.mode == Mode::kShared)) {
          return true;
        }
      }
    }
    return false;
  }
  bool has_room(const Wait& wait, const Item& item) const {
    uint64_t used = 0;
    for (const Hold& it : holds_) {
      if (it.name != item.name) {
        continue;
      }
      used += it.count;
      const bool agree = it.mode == Mode::kShared && item.mode == Mode::kShared;
      if (item.limit == 0 && !agree && !(wait.is_upgrade && it.owner == wait.owner)) {
        return false;
      }
    }
    return item.limit == 0 || used + item.permits <= item.limit;
  }
  void give(const Wait& wait) {
    for (const Item& item : wait.items) {
      const uint64_t count = item.limit == 0 ? 1 : item.permits;
      if (Hold* const held = find(wait.owner, item.name)) {
        held->mode = wait.is_upgrade ? Mode::kExclusive : held->mode;
        held->count += wait.is_upgrade ? 0 : count;
      } else {
        holds_.push_back({wait.owner, item.name, item.mode, count, item.limit});
      }
    }
  }

  std::vector<Hold> holds_;
  std::vector<Wait> waits_;      // in the order of service: upgrades, then the others as they came
};

}  // namespace quorate::service::lock
