// SPDX-License-Identifier: Apache-2.0
// Face: the keys of a cluster as Redis clients see them, on one loop of one node.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "edge/resp/session/context.h"
#include "edge/resp/wire/server.h"

namespace quorate::edge::resp {

class Face {
 public:
  // What it stands on; all must outlive it. `metrics` may be null.
  struct Parts {
    boost::asio::io_context& loop;
    const env::Clock& clock;
    service::kv::Api& kv;
    service::lock::Api& locks;
    Topology& topology;
    Metrics* metrics;
  };
  struct Options {
    ServerOptions server;
    Gate* gate = nullptr;  // null: access is not controlled
    std::string version;
    uint64_t process = 0;
    std::function<uint64_t()> resident_bytes = {};  // of the process; empty: INFO does not tell
  };
  Face(const Parts& parts, Options options);
  Face(const Face&) = delete;
  Face& operator=(const Face&) = delete;

  [[nodiscard]] Result<uint16_t> listen(const ListenOptions& options);
  void drain(UniqueFunction<void()> done) { server_.drain(std::move(done)); }
  [[nodiscard]] Server& server() { return server_; }
  [[nodiscard]] Context& context() { return context_; }

 private:
  Table table_;
  Server server_;
  Context context_;
};

}  // namespace quorate::edge::resp
