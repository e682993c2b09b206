// SPDX-License-Identifier: Apache-2.0
#include "edge/resp/wire/server.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <chrono>

#include "base/assert.h"
#include "edge/resp/wire/connection.h"
#include "edge/resp/wire/shared.h"

namespace quorate::edge::resp {
namespace {

// A quarter of the shortest time-out, so that none is late by more than that.
Duration sweep_interval(const ServerOptions& options) {
  Duration shortest =
      std::min({options.request_timeout, options.write_timeout, Duration::seconds(4)});
  if (options.idle_timeout > Duration()) {
    shortest = std::min(shortest, options.idle_timeout);
  }
  return std::max(shortest / 4, Duration::millis(1));
}

}  // namespace

Server::Shared::Shared(boost::asio::io_context& io, const env::Clock& time, ServerOptions limit,
                       Metrics* metrics)
    : loop(io), clock(time), options(std::move(limit)), sweeper(io) {
  if (metrics != nullptr) {
    open_gauge = &metrics->gauge("quorate_resp_connections", "Open connections of Redis clients.");
    accepted_total = &metrics->counter("quorate_resp_connections_accepted_total",
                                       "Connections of Redis clients that were taken.");
    refused_total = &metrics->counter("quorate_resp_connections_refused_total",
                                      "Connections refused because there were too many.");
    for (const CodeRow& row : code_table()) {
      if (row.http >= 500 || row.code == Code::kResourceExhausted) {
        Counter& failed = metrics->counter("quorate_resp_failed_total",
                                           "Commands of Redis clients that the cluster could not "
                                           "do, or not say whether it did.",
                                           {{"error", std::string(row.name)}});
        failed_total.emplace_back(row.resp, &failed);
      }
    }
  }
}

void Server::Shared::note_error(std::string_view text) {
  const std::string_view word = text.substr(0, text.find(' '));
  for (const auto& [known, counter] : failed_total) {
    if (known == word) {
      counter->add();
      return;
    }
  }
}

void Server::Shared::accept(std::unique_ptr<Stream> stream, uint16_t port) {
  const bool is_full = connections.size() >= options.connections_max;
  const uint64_t number = ++accepted;
  auto connection = std::make_shared<Connection>(shared_from_this(), std::move(stream),
                                                 Connection::Origin{.id = number, .port = port});
  connections.emplace(number, connection);
  refused += is_full ? 1 : 0;
  if (open_gauge != nullptr) {
    open_gauge->set(static_cast<int64_t>(connections.size()));
    (is_full ? refused_total : accepted_total)->add();
  }
  connection->start(is_full);
}

void Server::Shared::forget(Connection* connection) {
  connections.erase(connection->id());
  if (open_gauge != nullptr) {
    open_gauge->set(static_cast<int64_t>(connections.size()));
  }
  finish_drain_if_empty();
}

void Server::Shared::finish_drain_if_empty() {
  if (draining && connections.empty() && drained) {
    boost::asio::post(loop, std::exchange(drained, nullptr));
  }
}

void Server::Shared::start_sweeping() {
  const Duration pause = sweep.pause(sweep_interval(options), connections.size());
  sweeper.expires_after(std::chrono::nanoseconds(pause.nanos()));
  sweeper.async_wait([self = weak_from_this()](const IoError& error) {
    const std::shared_ptr<Shared> shared = self.lock();
    if (!error && shared && !shared->stopped) {
      const Instant now = shared->clock.now();
      for (const std::shared_ptr<Connection>& connection :
           shared->sweep.next(shared->connections)) {
        connection->on_sweep(now);
      }
      shared->start_sweeping();
    }
  });
}

void Server::Shared::wake(std::shared_ptr<Connection> connection) {
  woken.push_back(std::move(connection));
  if (woken.size() > 1) {
    return;
  }
  woken_at = clock.now();
  auto run = [self = weak_from_this()] {
    if (const std::shared_ptr<Shared> shared = self.lock()) {
      shared->run_woken();
    }
  };
  if (options.at_end_of_turn) {
    options.at_end_of_turn(std::move(run));
  } else {
    boost::asio::post(loop, std::move(run));
  }
}

// What a connection does now may wake it, or another one, again: for the next turn.
void Server::Shared::run_woken() {
  ASSERT(running.empty());
  running.swap(woken);
  for (const std::shared_ptr<Connection>& connection : running) {
    connection->on_woken();
  }
  running.clear();
}

std::vector<std::shared_ptr<Connection>> Server::Shared::all() const {
  std::vector<std::shared_ptr<Connection>> copy;
  copy.reserve(connections.size());
  for (const auto& [number, connection] : connections) {
    copy.push_back(connection);
  }
  return copy;
}

Server::Server(boost::asio::io_context& loop, const env::Clock& clock, ServerOptions options,
               Metrics* metrics)
    : shared_(std::make_shared<Shared>(loop, clock, std::move(options), metrics)) {
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

void Server::set_sessions(SessionMaker maker) { shared_->make_session = std::move(maker); }

Result<uint16_t> Server::listen(const ListenOptions& options) {
  ASSERT(shared_->make_session, "sessions come first");
  auto port = std::make_shared<uint16_t>(0);
  Result<std::unique_ptr<Listener>> listener = Listener::open(
      shared_->loop, options, [shared = shared_, port](std::unique_ptr<Stream> stream) {
        shared->accept(std::move(stream), *port);
      });
  RETURN_IF_ERROR(listener);
  *port = (*listener)->port();
  listeners_.push_back(std::move(*listener));
  return *port;
}

void Server::adopt(std::unique_ptr<Stream> stream, uint16_t port) {
  ASSERT(shared_->make_session, "sessions come first");
  shared_->accept(std::move(stream), port);
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
std::vector<std::shared_ptr<Connection>> Server::all() const { return shared_->all(); }
uint64_t Server::accepted() const { return shared_->accepted; }
uint64_t Server::refused() const { return shared_->refused; }
size_t Server::connections_max() const { return shared_->options.connections_max; }

}  // namespace quorate::edge::resp
