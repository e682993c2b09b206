// SPDX-License-Identifier: Apache-2.0
// Keyspaces over HTTP: /v1/keyspaces and /v1/keyspaces/{name}.
#pragma once

#include "edge/http/wire/router.h"
#include "service/kv/api.h"
#include "service/kv/keyspaces.h"

namespace quorate::edge::http {

// All must outlive the router.
void bind_keyspaces(service::kv::Keyspaces& keyspaces, service::kv::Api& api, Router& router);

}  // namespace quorate::edge::http
