// SPDX-License-Identifier: Apache-2.0
// Shared: what all connections of one Server have in common. Internal to the folder.
//
// One timer sweeps the connections for time-outs, a few at a time, so that a request costs no timer
// of its own; a time-out may therefore come one round of the sweep late.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "edge/http/wire/server.h"
#include "edge/sweep.h"

namespace quorate::edge::http {

class Connection;

struct RouteMetrics {
  Counter* by_class[6] = {};  // of status 1xx..5xx; index is the hundreds
  Histogram* seconds = nullptr;
};

struct Server::Shared : std::enable_shared_from_this<Server::Shared> {
  Shared(boost::asio::io_context& io, const env::Clock& time, Router& table,
         const ServerOptions& limit, Metrics* registry);

  void accept(std::unique_ptr<Stream> stream);
  void start_sweeping();
  void sweep_some();
  // After this the connection lives only as long as a read or write of it is under way.
  void forget(Connection* connection);
  [[nodiscard]] std::vector<std::shared_ptr<Connection>> all() const;
  void finish_drain_if_empty();
  // `route` is null for requests that found none.
  void count(const Router::Route* route, int status, Duration took);

  boost::asio::io_context& loop;
  const env::Clock& clock;
  Router& router;
  const ServerOptions options;
  Metrics* const metrics;
  boost::asio::steady_timer sweeper;
  Sweep<Connection*, Connection> sweep;
  decltype(sweep)::Connections connections;
  std::unordered_map<const Router::Route*, RouteMetrics> by_route;
  Gauge* open = nullptr;
  Counter* refused = nullptr;
  std::string date;  // of the Date header, made anew by the sweep
  bool draining = false;
  bool stopped = false;
  UniqueFunction<void()> drained;
};

}  // namespace quorate::edge::http
