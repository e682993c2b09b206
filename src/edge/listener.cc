// SPDX-License-Identifier: Apache-2.0
#include "edge/listener.h"

#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <limits>

#include "edge/poller.h"

namespace quorate::edge {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

constexpr auto kPauseAfterError = std::chrono::milliseconds(50);
// As long as the system's net.core.somaxconn allows: all clients of a node that fails come to
// another at once, and who finds the queue full tries again after one second, three, seven.
constexpr int kQueueLength = std::numeric_limits<int>::max();

Result<tcp::endpoint> endpoint_of(const ListenOptions& options) {
  const std::string text = options.address == "localhost" ? "127.0.0.1" : options.address;
  IoError error;
  const asio::ip::address address = asio::ip::make_address(text, error);
  if (error) {
    return Status(Code::kInvalidArgument,
                  "cannot listen on '" + options.address + "': give a numeric address");
  }
  return tcp::endpoint(address, options.port);
}

Status bind(tcp::acceptor& acceptor, const tcp::endpoint& endpoint) {
  IoError error;
  acceptor.open(endpoint.protocol(), error);
  if (!error) {
    acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  }
  if (!error) {
    acceptor.bind(endpoint, error);
  }
  if (!error) {
    acceptor.listen(kQueueLength, error);
  }
  if (error) {
    return Status(Code::kUnavailable, "cannot listen on " + endpoint.address().to_string() + ":" +
                                          std::to_string(endpoint.port()) + ": " + error.message());
  }
  return Status::success();
}

}  // namespace

// Shared with the pending accept, whose callback may run after the Listener is gone.
struct Listener::State : std::enable_shared_from_this<State> {
  State(asio::io_context& loop, Accepted on_accepted)
      : acceptor(loop), timer(loop), accepted(std::move(on_accepted)) {}

  void accept() {
    acceptor.async_accept([self = shared_from_this()](const IoError& error, tcp::socket socket) {
      self->on_accept(error, std::move(socket));
    });
  }

  void on_accept(const IoError& error, tcp::socket socket) {
    if (!acceptor.is_open()) {
      return;
    }
    if (error) {
      pause();
      return;
    }
    IoError ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    accepted(tls ? make_tls_stream(std::move(socket), tls)
                 : make_plain_stream(poller, std::move(socket)));
    if (acceptor.is_open()) {  // the callback may have stopped us
      accept();
    }
  }

  void pause() {
    timer.expires_after(kPauseAfterError);
    timer.async_wait([self = shared_from_this()](const IoError&) {
      if (self->acceptor.is_open()) {
        self->accept();
      }
    });
  }

  tcp::acceptor acceptor;
  asio::steady_timer timer;
  std::shared_ptr<asio::ssl::context> tls;  // null: in the clear
  std::shared_ptr<Poller> poller;           // of connections in the clear
  Accepted accepted;
  uint16_t port = 0;
};

Result<std::unique_ptr<Listener>> Listener::open(asio::io_context& loop,
                                                 const ListenOptions& options, Accepted accepted) {
  const Result<tcp::endpoint> endpoint = endpoint_of(options);
  RETURN_IF_ERROR(endpoint);
  auto state = std::make_shared<State>(loop, std::move(accepted));
  if (options.tls.enabled()) {
    Result<std::shared_ptr<asio::ssl::context>> tls = load_tls(options.tls);
    RETURN_IF_ERROR(tls);
    state->tls = std::move(*tls);
  } else {
    Result<std::shared_ptr<Poller>> poller = Poller::open(loop);
    RETURN_IF_ERROR(poller);
    state->poller = std::move(*poller);
  }
  RETURN_IF_ERROR(bind(state->acceptor, *endpoint));
  state->port = state->acceptor.local_endpoint().port();
  state->accept();
  return std::unique_ptr<Listener>(new Listener(std::move(state)));
}

Listener::~Listener() { stop(); }

uint16_t Listener::port() const { return state_->port; }

void Listener::stop() {
  IoError ignored;
  state_->acceptor.close(ignored);
  state_->timer.cancel();
}

}  // namespace quorate::edge
