// SPDX-License-Identifier: Apache-2.0
// Shared: what all connections of one Server have in common. Internal to the folder.
//
// One timer sweeps the connections for time-outs, a few at a time, so that a command costs no timer
// of its own; a time-out may therefore come one round of the sweep late.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <vector>

#include "edge/resp/wire/server.h"
#include "edge/sweep.h"

namespace quorate::edge::resp {

struct Server::Shared : std::enable_shared_from_this<Server::Shared> {
  Shared(boost::asio::io_context& io, const env::Clock& time, ServerOptions limit,
         Metrics* metrics);

  void accept(std::unique_ptr<Stream> stream, uint16_t port);
  void start_sweeping();
  // The connection goes on at the end of this turn. The time is that of its first caller.
  void wake(std::shared_ptr<Connection> connection);
  void run_woken();
  // After this the connection lives only as long as a read or write of it is under way.
  void forget(Connection* connection);
  [[nodiscard]] std::vector<std::shared_ptr<Connection>> all() const;
  void finish_drain_if_empty();
  // Counts the error of a reply if the cluster is at fault, not the client.
  void note_error(std::string_view text);

  boost::asio::io_context& loop;
  const env::Clock& clock;
  ServerOptions options;
  SessionMaker make_session;
  boost::asio::steady_timer sweeper;
  Sweep<uint64_t, Connection> sweep;
  decltype(sweep)::Connections connections;  // by their number
  std::vector<std::shared_ptr<Connection>> woken;
  std::vector<std::shared_ptr<Connection>> running;  // kept for its capacity
  Instant woken_at;
  uint64_t accepted = 0;
  uint64_t refused = 0;
  Gauge* open_gauge = nullptr;
  Counter* accepted_total = nullptr;
  Counter* refused_total = nullptr;
  std::vector<std::pair<std::string_view, Counter*>> failed_total;  // by the first word
  bool draining = false;
  bool stopped = false;
  UniqueFunction<void()> drained;
};

}  // namespace quorate::edge::resp
