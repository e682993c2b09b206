// SPDX-License-Identifier: Apache-2.0
// Join: how a new node becomes part of a cluster that runs: it asks one of its nodes by HTTP what
// the cluster is like, and announces itself. The cluster then brings it the meta group, and its
// share of the others once it has caught up.
#pragma once

#include "base/status.h"
#include "server/config.h"

namespace quorate::server {

// Blocking. Fills in what only the cluster knows (its id and number of groups). Harmless if the
// node was announced before; does nothing if its data directory has a log already.
[[nodiscard]] Status join_cluster(Config& config);

}  // namespace quorate::server
