// SPDX-License-Identifier: Apache-2.0
// Context: what all Redis clients of a node have in common.
#pragma once

#include <functional>
#include <string>

#include "base/prng.h"
#include "edge/gate.h"
#include "edge/resp/session/cursors.h"
#include "edge/resp/session/scripts.h"
#include "edge/resp/session/table.h"
#include "edge/resp/session/topology.h"
#include "edge/resp/wire/server.h"
#include "env/clock.h"
#include "service/kv/api.h"
#include "service/lock/api.h"

namespace quorate::edge::resp {

struct Context {
  // All must outlive it.
  struct Parts {
    service::kv::Api& kv;
    service::lock::Api& locks;
    const env::Clock& clock;
    Topology& topology;
    Server& server;
    Table& table;
  };
  explicit Context(const Parts& parts)
      : kv(parts.kv),
        locks(parts.locks),
        clock(parts.clock),
        topology(parts.topology),
        server(parts.server),
        table(parts.table) {}

  [[nodiscard]] uint64_t chance() { return mix64(++random); }

  service::kv::Api& kv;
  service::lock::Api& locks;
  const env::Clock& clock;
  Topology& topology;
  Server& server;
  Table& table;
  Cursors cursors;
  Scripts scripts;
  Gate* gate = nullptr;            // null: access is not controlled
  std::string version = "0";       // of this program
  std::string host = "127.0.0.1";  // where it listens
  uint64_t process = 0;
  std::function<uint64_t()> resident_bytes;  // of it; may be empty
  Instant begun = {};
  Duration idle_timeout;  // of a connection; zero: none
  uint64_t commands = 0;
  uint64_t errors = 0;      // commands that were refused before they were begun
  uint64_t random = 0;      // seed of the next random choice
  uint64_t reads_here = 0;  // served from this node's copy without a question to anyone
};

}  // namespace quorate::edge::resp
