// SPDX-License-Identifier: Apache-2.0
// Stream: one accepted connection, in the clear or under TLS, so that protocols are written once.
//
// One read and one write may be under way at a time. The stream must live until their callbacks
// have run; close() makes them run soon, with an error. Callbacks run on the loop, never inside the
// call. Not for several threads.
#pragma once

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <memory>
#include <string>
#include <vector>

#include "base/function.h"

namespace boost::asio::ssl {
class context;
}

namespace quorate::edge {

using IoError = boost::system::error_code;

class Stream {
 public:
  using Done = UniqueFunction<void(const IoError&, size_t)>;
  virtual ~Stream() = default;

  // Before the first read or write; for a plain stream it succeeds at once. Of a peer that begins
  // in the clear where TLS is spoken it tells is_in_the_clear(): then the owner may say so, in the
  // clear, and has to close; whatever the peer sent is not to be taken.
  virtual void handshake(UniqueFunction<void(const IoError&)> done) = 0;
  virtual void read_some(boost::asio::mutable_buffer into, Done done) = 0;
  // Writes all of it. The bytes must stay as they are until `done` has run.
  virtual void write(std::vector<boost::asio::const_buffer> pieces, Done done) = 0;
  // Writes what can be taken at once, without a callback; 0 also if something is wrong, which
  // write() then tells. Before: no write is under way.
  [[nodiscard]] virtual size_t write_now(boost::asio::const_buffer) { return 0; }
  // Tells the peer that nothing more will come; reading goes on.
  virtual void finish_writing() = 0;
  virtual void close() = 0;
  // Nothing more will come from the peer, though what came may still be unread: for who does not
  // read now and wants to know whether anybody is left.
  [[nodiscard]] virtual bool peer_left() = 0;
  // "address:port" of the other side, for logs.
  [[nodiscard]] virtual std::string peer() const = 0;
};

[[nodiscard]] bool is_in_the_clear(const IoError& error);

class Poller;

[[nodiscard]] std::unique_ptr<Stream> make_plain_stream(std::shared_ptr<Poller> poller,
                                                        boost::asio::ip::tcp::socket socket);
[[nodiscard]] std::unique_ptr<Stream> make_tls_stream(
    boost::asio::ip::tcp::socket socket, std::shared_ptr<boost::asio::ssl::context> context);

// "address:port" of the other side of a socket, for logs.
[[nodiscard]] std::string peer_of(const boost::asio::ip::tcp::socket& socket);

}  // namespace quorate::edge
