// SPDX-License-Identifier: Apache-2.0
// StoreDoor: what a process has of the store beside its node: the api, the watches, and the timer
// that drives these, as a server has them. Each group has a keyspace of its own, with its number:
// unique indexes need one group, and so has every answer a revision.
#pragma once

#include "node/node.h"
#include "service/kv/api.h"
#include "service/kv/watches.h"
#include "sim/world.h"

namespace quorate::sim {

class StoreDoor {
 public:
  // Both outlive it; it ends with its life.
  StoreDoor(World& world, LifeId life, node::Node& node)
      : world_(world), life_(life), api_(node), watches_(api_) {
    for (uint32_t number = 1; number <= node.groups(); ++number) {
      api_.define(service::kv::KeyspaceId(number), {GroupId(number)});
    }
    poll();
  }
  StoreDoor(const StoreDoor&) = delete;
  StoreDoor& operator=(const StoreDoor&) = delete;

  [[nodiscard]] service::kv::Api& api() { return api_; }
  [[nodiscard]] service::kv::Watches& watches() { return watches_; }

 private:
  static constexpr Duration kPollInterval = Duration::millis(5);

  void poll() {
    watches_.poll();
    world_.after(life_, kPollInterval, [this] { poll(); });
  }

  World& world_;
  const LifeId life_;
  service::kv::Api api_;
  service::kv::Watches watches_;
};

}  // namespace quorate::sim
