// SPDX-License-Identifier: Apache-2.0
// Server: HTTP/1.1 on one loop: listeners, their connections, their limits.
//
// Requests of one connection are handled one after the other, also pipelined ones, so that a client
// sees its own writes in order; while a handler is busy its connection is not read, which is the
// back-pressure. Everything a client may do slowly has a time-out, everything it may send a bound,
// and breaking either is answered in words before the connection is closed.
//
// Invariants: an answer goes out for every request whose head was understood; a connection holds at
// most one request, limits::kHttpOutputBytesMax of answers (plus the last one) and one read buffer.
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/function.h"
#include "base/limits.h"
#include "base/metrics.h"
#include "base/status.h"
#include "base/time.h"
#include "edge/gate.h"
#include "edge/http/wire/router.h"
#include "edge/listener.h"
#include "env/clock.h"

namespace quorate::edge::http {

struct ServerOptions {
  size_t connections_max = limits::kConnectionsMax;
  size_t header_bytes_max = limits::kHttpHeaderBytesMax;
  size_t body_bytes_max = limits::kRequestBytesMax;
  Duration idle_timeout = Duration::seconds(75);     // between two requests
  Duration header_timeout = Duration::seconds(10);   // from its first byte to the end of a head
  Duration body_timeout = Duration::seconds(60);     // for the whole body
  Duration write_timeout = Duration::seconds(60);    // without any progress of the reader
  Duration stream_ping = Duration::seconds(15);      // comment lines that keep proxies patient
  Gate* gate = nullptr;                              // null: access is not controlled
};

class Server {
 public:
  // All must outlive it. `metrics` may be null.
  Server(boost::asio::io_context& loop, const env::Clock& clock, Router& router,
         const ServerOptions& options, Metrics* metrics);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // May be called for several addresses; the port that was bound.
  [[nodiscard]] Result<uint16_t> listen(const ListenOptions& options);
  // Stops listening, closes idle connections, lets requests under way finish; `done` runs when no
  // connection is left. Streams end.
  void drain(UniqueFunction<void()> done);
  [[nodiscard]] size_t connections() const;

  struct Shared;

 private:
  std::shared_ptr<Shared> shared_;
  std::vector<std::unique_ptr<Listener>> listeners_;
};

}  // namespace quorate::edge::http
