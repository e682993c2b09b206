// SPDX-License-Identifier: Apache-2.0
// LockWatches: the clients of this node that look on while locks are taken and given back.
//
// A watch tells states, not steps: whenever a lock differs from what was told last, its state now.
// What came and went between two looks is not told; so there is nothing to resume and nothing to
// miss, and a client that connects again is told all that is. The states are those of this node's
// replica. Internal to the folder.
#pragma once

#include <memory>
#include <vector>

#include "edge/http/wire/json.h"
#include "edge/http/wire/message.h"
#include "env/clock.h"
#include "env/timer.h"
#include "service/lock/api.h"

namespace quorate::edge::http {

class LockWatch;

class LockWatches : public std::enable_shared_from_this<LockWatches> {
 public:
  LockWatches(service::lock::Api& api, const env::Clock& clock, env::Timer& timer)
      : api_(api), clock_(clock), timer_(timer) {}

  // Of the query parameter "name", or of all with "prefix".
  [[nodiscard]] Status watch(service::lock::DomainId domain, const Request& request,
                             const Responder& responder);

 private:
  void pump();

  service::lock::Api& api_;
  const env::Clock& clock_;
  env::Timer& timer_;
  std::vector<std::shared_ptr<LockWatch>> watches_;
  bool pumping_ = false;
};

// The fields of a lock, without braces.
void write_details(const service::lock::LockDetails& details, JsonWriter& json, Stamp now);
void write_summary(const service::lock::LockSummary& summary, JsonWriter& json);

}  // namespace quorate::edge::http
