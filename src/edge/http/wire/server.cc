// SPDX-License-Identifier: Apache-2.0
#include "edge/http/wire/server.h"

#include <algorithm>
#include <chrono>
#include <ctime>

#include "edge/http/wire/connection.h"
#include "edge/http/wire/shared.h"

namespace quorate::edge::http {
namespace {

std::string http_date(Stamp wall) {
  const auto seconds = static_cast<time_t>(wall.millis() / 1000);
  tm parts{};
  gmtime_r(&seconds, &parts);
  char text[40];
  const size_t size = strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
  return std::string(text, size);
}

std::string name_of(const Router::Route* route) {
  return route == nullptr ? "none"
                          : std::string(http::name_of(route->text.method)) + " " +
                                std::string(route->text.pattern);
}

// A quarter of the shortest time-out, so that none is late by more than that.
Duration sweep_interval(const ServerOptions& options) {
  const Duration shortest =
      std::min({options.idle_timeout, options.header_timeout, options.body_timeout,
                options.write_timeout, options.stream_ping, Duration::seconds(4)});
  return std::max(shortest / 4, Duration::millis(1));
}

}  // namespace

Server::Shared::Shared(boost::asio::io_context& io, const env::Clock& time, Router& table,
                       const ServerOptions& limit, Metrics* registry)
    : loop(io), clock(time), router(table), options(limit), metrics(registry), sweeper(io) {
  date = http_date(clock.wall());
  if (metrics != nullptr) {
    open = &metrics->gauge("quorate_http_connections", "Open HTTP connections.");
    refused = &metrics->counter("quorate_http_connections_refused_total",
                                "HTTP connections refused because there were too many.");
  }
}

void Server::Shared::accept(std::unique_ptr<Stream> stream) {
  const bool full = connections.size() >= options.connections_max;
  auto connection = std::make_shared<Connection>(shared_from_this(), std::move(stream));
  connections.emplace(connection.get(), connection);
  if (metrics != nullptr) {
    open->set(static_cast<int64_t>(connections.size()));
    refused->add(full ? 1 : 0);
  }
  connection->start(full);
}

void Server::Shared::forget(Connection* connection) {
  connections.erase(connection);
  if (metrics != nullptr) {
    open->set(static_cast<int64_t>(connections.size()));
  }
  finish_drain_if_empty();
}

void Server::Shared::finish_drain_if_empty() {
  if (draining && connections.empty() && drained) {
    UniqueFunction<void()> done = std::move(drained);
    drained = nullptr;
    done();
  }
}

void Server::Shared::start_sweeping() {
  const Duration pause = sweep.pause(sweep_interval(options), connections.size());
  sweeper.expires_after(std::chrono::nanoseconds(pause.nanos()));
  sweeper.async_wait([self = weak_from_this()](const IoError& error) {
    const std::shared_ptr<Shared> shared = self.lock();
    if (!error && shared && !shared->stopped) {
      shared->sweep_some();
      shared->start_sweeping();
    }
  });
}

void Server::Shared::sweep_some() {
  date = http_date(clock.wall());
  const Instant now = clock.now();
  for (const std::shared_ptr<Connection>& connection : sweep.next(connections)) {
    connection->on_sweep(now);
  }
}

// A copy, for a connection that ends leaves the map.
std::vector<std::shared_ptr<Connection>> Server::Shared::all() const {
  std::vector<std::shared_ptr<Connection>> copy;
  copy.reserve(connections.size());
  for (const auto& [key, connection] : connections) {
    copy.push_back(connection);
  }
  return copy;
}

void Server::Shared::count(const Router::Route* route, int status, Duration took) {
  if (metrics == nullptr) {
    return;
  }
  RouteMetrics& row = by_route[route];
  const auto hundreds = static_cast<size_t>(std::clamp(status / 100, 1, 5));
  if (row.by_class[hundreds] == nullptr) {
    row.by_class[hundreds] =
        &metrics->counter("quorate_http_requests_total", "HTTP requests answered.",
                          {{"route", name_of(route)}, {"status", std::to_string(hundreds) + "xx"}});
  }
  if (row.seconds == nullptr) {
    row.seconds = &metrics->histogram("quorate_http_request_seconds",
                                      "From the end of a request's bytes to its answer.",
                                      Unit::kNanos, {{"route", name_of(route)}});
  }
  row.by_class[hundreds]->add();
  row.seconds->record(took);
}

Server::Server(boost::asio::io_context& loop, const env::Clock& clock, Router& router,
               const ServerOptions& options, Metrics* metrics)
    : shared_(std::make_shared<Shared>(loop, clock, router, options, metrics)) {
  shared_->start_sweeping();
}

Server::~Server() {
  listeners_.clear();
  shared_->stopped = true;
  shared_->sweeper.cancel();
  shared_->draining = true;
  shared_->drained = nullptr;
  for (const std::shared_ptr<Connection>& connection : shared_->all()) {
    connection->close();
  }
}

Result<uint16_t> Server::listen(const ListenOptions& options) {
  Result<std::unique_ptr<Listener>> listener = Listener::open(
      shared_->loop, options,
      [shared = shared_](std::unique_ptr<Stream> stream) { shared->accept(std::move(stream)); });
  RETURN_IF_ERROR(listener);
  const uint16_t port = (*listener)->port();
  listeners_.push_back(std::move(*listener));
  return port;
}

void Server::drain(UniqueFunction<void()> done) {
  for (const std::unique_ptr<Listener>& listener : listeners_) {
    listener->stop();
  }
  shared_->draining = true;
  shared_->drained = std::move(done);
  for (const std::shared_ptr<Connection>& connection : shared_->all()) {
    connection->drain();
  }
  shared_->finish_drain_if_empty();
}

size_t Server::connections() const { return shared_->connections.size(); }

}  // namespace quorate::edge::http
