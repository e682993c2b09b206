// SPDX-License-Identifier: Apache-2.0
// LockDoor: what a process has of the locks beside its node: the api, the detector, and the timer
// that drives both, as a server has them; and the keys that are written under them.
#pragma once

#include "node/node.h"
#include "service/kv/api.h"
#include "service/lock/api.h"
#include "service/lock/detector.h"
#include "sim/world.h"

namespace quorate::sim {

class LockDoor {
 public:
  // Both outlive it; it ends with its life.
  LockDoor(World& world, LifeId life, node::Node& node)
      : world_(world), life_(life), api_(node), detector_(node), kv_(node) {
    poll();
  }
  LockDoor(const LockDoor&) = delete;
  LockDoor& operator=(const LockDoor&) = delete;

  [[nodiscard]] service::lock::Api& api() { return api_; }
  [[nodiscard]] service::kv::Api& kv() { return kv_; }
  [[nodiscard]] const service::lock::Detector& detector() const { return detector_; }

 private:
  static constexpr Duration kPollInterval = Duration::millis(5);

  void poll() {
    api_.poll();
    detector_.poll(world_.now());
    world_.after(life_, kPollInterval, [this] { poll(); });
  }

  World& world_;
  const LifeId life_;
  service::lock::Api api_;
  service::lock::Detector detector_;
  service::kv::Api kv_;
};

}  // namespace quorate::sim
