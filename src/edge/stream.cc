// SPDX-License-Identifier: Apache-2.0
#include "edge/stream.h"

#include <poll.h>

#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>

namespace quorate::edge {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

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
    stream_.async_handshake(asio::ssl::stream_base::server, std::move(done));
  }
  void read_some(asio::mutable_buffer into, Done done) override {
    stream_.async_read_some(into, std::move(done));
  }
  void write(std::vector<asio::const_buffer> pieces, Done done) override {
    asio::async_write(stream_, std::move(pieces), std::move(done));
  }
  // A close_notify would need a write of its own; the end of the TCP stream says the same to HTTP,
  // whose messages carry their lengths.
  void finish_writing() override {
    IoError ignored;
    stream_.next_layer().shutdown(tcp::socket::shutdown_send, ignored);
  }
  void close() override { close_socket(stream_.next_layer()); }
  [[nodiscard]] bool peer_left() override {
    // The call is the system's own: Asio has no name for a peer that has only stopped writing.
    pollfd asked{stream_.next_layer().native_handle(), POLLRDHUP, 0};
    return ::poll(&asked, 1, 0) > 0;
  }
  [[nodiscard]] std::string peer() const override { return peer_; }

 private:
  std::shared_ptr<asio::ssl::context> context_;  // outlives the stream that was made by it
  asio::ssl::stream<tcp::socket> stream_;
  std::string peer_;
};

}  // namespace

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
