// SPDX-License-Identifier: Apache-2.0
// Locks over HTTP: /v1/locks/{name} and its verbs, /v1/lock-owners/{owner}, and the two calls of
// older lock services, POST /lock and POST /unlock.
//
// Bodies and answers are JSON. Names and owners are any bytes: percent-encoded in a path, and in
// JSON text ("owner") or base64 ("owner_base64"). Stamps are milliseconds since 1970 of the
// cluster's clock, with what is left beside them.
#pragma once

#include "edge/http/wire/router.h"
#include "env/clock.h"
#include "env/timer.h"
#include "service/lock/api.h"

namespace quorate::edge::http {

// All must outlive the router.
struct LockParts {
  service::lock::Api& api;
  const env::Clock& clock;
  env::Timer& timer;
};

void bind_lock(const LockParts& parts, Router& router);

}  // namespace quorate::edge::http
