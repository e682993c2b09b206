// SPDX-License-Identifier: Apache-2.0
// Locks of a node: the door to them, whoever waits at it, and their figures.
#pragma once

#include "base/metrics.h"
#include "env/clock.h"
#include "env/timer.h"
#include "node/node.h"
#include "service/lock/api.h"
#include "service/lock/detector.h"

namespace quorate::server {

// The api of the locks and the search for deadlocks, with the timer that drives both; on the loop,
// like all of them.
class Locks {
 public:
  // All must outlive it, and no timer fires once it is gone: the loop does not turn any more.
  Locks(node::Node& node, const env::Clock& clock, env::Timer& timer);

  [[nodiscard]] service::lock::Api& api() { return api_; }
  // Of the groups that this node leads, so that the sum over all nodes is that of the cluster.
  void collect(Metrics& metrics);

 private:
  void wake();
  void pump();

  node::Node& node_;
  const env::Clock& clock_;
  env::Timer& timer_;
  service::lock::Api api_;
  service::lock::Detector detector_;
  bool pumping_ = false;
};

}  // namespace quorate::server
