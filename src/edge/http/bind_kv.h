// SPDX-License-Identifier: Apache-2.0
// Keys and values over HTTP: /v1/kv/{key} with the value as the raw body, and /v1/kv:verb with
// JSON for many.
//
// A key is any bytes: percent-encoded in a path, and in JSON either text ("key") or base64
// ("key_base64"); values alike. Every answer carries its origin in headers: Quorate-Group,
// Quorate-Index, Quorate-Node, Quorate-Staleness-Ms.
#pragma once

#include "edge/http/wire/router.h"
#include "env/clock.h"
#include "env/timer.h"
#include "service/kv/api.h"
#include "service/kv/keyspaces.h"

namespace quorate::edge::http {

// All must outlive the router.
struct KvParts {
  service::kv::Api& api;
  service::kv::Keyspaces& keyspaces;
  const env::Clock& clock;
  env::Timer& timer;
};

void bind_kv(const KvParts& parts, Router& router);

}  // namespace quorate::edge::http
