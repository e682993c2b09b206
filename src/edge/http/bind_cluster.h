// SPDX-License-Identifier: Apache-2.0
// The cluster's pages and verbs: status, health, metrics, members.
#pragma once

#include "edge/http/admin.h"
#include "edge/http/wire/router.h"

namespace quorate::edge::http {

// Both must outlive the router.
void bind_cluster(Admin& admin, Router& router);

}  // namespace quorate::edge::http
