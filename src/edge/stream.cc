// SPDX-License-Identifier: Apache-2.0
#include "edge/stream.h"

#include <poll.h>
#include <sys/socket.h>

#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>

namespace quorate::edge {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

// What each record of TLS begins with that a client may begin with.
constexpr unsigned char kHandshakeRecord = 0x16;

IoError in_the_clear() {
  return boost::system::errc::make_error_code(boost::system::errc::protocol_not_supported);
}

void close_socket(tcp::socket& socket) {
  IoError ignored;
  socket.shutdown(tcp::socket::shutdown_both, ignored);
  socket.close(ignored);
}

class TlsStream final : public Stream {
 public:
  TlsStream(tcp::socket socket, std::shared_ptr<asio::ssl::context> context)
      : context_(std::move(context)),
        stream_(std::move(socket), *context_),
        peer_(peer_of(stream_.next_layer())) {}

  void handshake(UniqueFunction<void(const IoError&)> done) override {
    socket().async_wait(tcp::socket::wait_read,
                        [this, done = std::move(done)](const IoError& error) mutable {
                          begin(error, std::move(done));
                        });
  }
  void read_some(asio::mutable_buffer into, Done done) override {
    if (clear_) {
      socket().async_read_some(into, std::move(done));
    } else {
      stream_.async_read_some(into, std::move(done));
    }
  }
  void write(std::vector<asio::const_buffer> pieces, Done done) override {
    if (clear_) {
      asio::async_write(socket(), std::move(pieces), std::move(done));
    } else {
      asio::async_write(stream_, std::move(pieces), std::move(done));
    }
  }
  // A close_notify would need a write of its own; the end of the TCP stream says the same to HTTP,
  // whose messages carry their lengths.
  void finish_writing() override {
    IoError ignored;
    socket().shutdown(tcp::socket::shutdown_send, ignored);
  }
  void close() override { close_socket(socket()); }
  [[nodiscard]] bool peer_left() override {
    // The call is the system's own: Asio has no name for a peer that has only stopped writing.
    pollfd asked{socket().native_handle(), POLLRDHUP, 0};
    return ::poll(&asked, 1, 0) > 0;
  }
  [[nodiscard]] std::string peer() const override { return peer_; }

 private:
  tcp::socket& socket() { return stream_.next_layer(); }

  // Looks at the first byte without taking it.
  void begin(const IoError& error, UniqueFunction<void(const IoError&)> done) {
    unsigned char first = kHandshakeRecord;
    if (error || !socket().is_open()) {
      done(error ? error : asio::error::operation_aborted);
      return;
    }
    // The call is the system's own: Asio's would have to be told of MSG_DONTWAIT by a mode of the
    // socket. Nothing to look at is left to the handshake, which waits for it or hears of the end.
    (void)::recv(socket().native_handle(), &first, 1, MSG_PEEK | MSG_DONTWAIT);
    if (first != kHandshakeRecord) {
      clear_ = true;
      done(in_the_clear());
      return;
    }
    stream_.async_handshake(asio::ssl::stream_base::server, std::move(done));
  }

  std::shared_ptr<asio::ssl::context> context_;  // outlives the stream that was made by it
  asio::ssl::stream<tcp::socket> stream_;
  bool clear_ = false;  // the peer speaks no TLS; it is told so, and nothing else
  std::string peer_;
};

}  // namespace

bool is_in_the_clear(const IoError& error) { return error == in_the_clear(); }

std::string peer_of(const tcp::socket& socket) {
  IoError error;
  const tcp::endpoint endpoint = socket.remote_endpoint(error);
  if (error) {
    return "unknown";
  }
  const std::string address = endpoint.address().to_string();
  const bool six = endpoint.address().is_v6();
  return (six ? "[" + address + "]" : address) + ":" + std::to_string(endpoint.port());
}

std::unique_ptr<Stream> make_tls_stream(tcp::socket socket,
                                        std::shared_ptr<asio::ssl::context> context) {
  return std::make_unique<TlsStream>(std::move(socket), std::move(context));
}

}  // namespace quorate::edge
