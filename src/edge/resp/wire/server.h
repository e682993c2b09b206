// SPDX-License-Identifier: Apache-2.0
// Server: the Redis protocol on one loop: listeners, their connections, their limits.
//
// A connection takes all commands that have arrived, several at once where its session allows it,
// and answers in their order. Whatever was answered in one turn of the loop leaves in one write per
// connection. A connection whose peer does not read its answers is not read either: that is the
// back-pressure. Everything a client may send has a bound, and what it does slowly a time-out.
//
// Invariants: a connection holds at most one command that is not begun, kRespInFlightMax that are,
// limits::kRespOutputBytesMax of answers (plus those of what is in flight) and one read buffer.
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/function.h"
#include "base/limits.h"
#include "base/metrics.h"
#include "base/status.h"
#include "base/time.h"
#include "edge/listener.h"
#include "edge/resp/wire/session.h"
#include "env/clock.h"

namespace quorate::edge::resp {

struct ServerOptions {
  size_t connections_max = limits::kConnectionsMax;
  size_t request_bytes_max = limits::kRequestBytesMax;
  Duration idle_timeout;                             // without any command; zero: never
  Duration request_timeout = Duration::seconds(60);  // from its first byte to its last
  Duration write_timeout = Duration::seconds(60);    // without any progress of the reader
  // Runs a callback at the end of the turn in which it was given, before the loop blocks; answers
  // leave then. None: the loop's next turn.
  UniqueFunction<void(UniqueFunction<void()>)> at_end_of_turn;
};

class Server {
 public:
  // All must outlive it. `metrics` may be null.
  Server(boost::asio::io_context& loop, const env::Clock& clock, ServerOptions options,
         Metrics* metrics);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Before the first listen().
  void set_sessions(SessionMaker maker);
  // May be called for several addresses; the port that was bound.
  [[nodiscard]] Result<uint16_t> listen(const ListenOptions& options);
  // A stream that was accepted elsewhere, at that port.
  void adopt(std::unique_ptr<Stream> stream, uint16_t port);
  // Stops listening, closes idle connections, lets commands under way finish; `done` runs when no
  // connection is left.
  void drain(UniqueFunction<void()> done);

  [[nodiscard]] size_t connections() const;
  // In the order in which they came.
  [[nodiscard]] std::vector<std::shared_ptr<Connection>> all() const;
  [[nodiscard]] uint64_t accepted() const;
  [[nodiscard]] uint64_t refused() const;
  [[nodiscard]] size_t connections_max() const;

  struct Shared;

 private:
  std::shared_ptr<Shared> shared_;
  std::vector<std::unique_ptr<Listener>> listeners_;
};

}  // namespace quorate::edge::resp
