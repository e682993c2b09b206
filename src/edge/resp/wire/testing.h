// SPDX-License-Identifier: Apache-2.0
// For tests: a connection without a socket, whose peer is the test.
#pragma once

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <cstring>
#include <memory>
#include <string>

#include "edge/stream.h"
#include "env/clock.h"

namespace quorate::edge::resp {

class TestClock final : public env::Clock {
 public:
  [[nodiscard]] Instant now() const override { return the_now; }
  [[nodiscard]] Stamp wall() const override { return the_wall; }
  void advance(Duration by) {
    the_now = the_now + by;
    the_wall = the_wall + by;
  }

  Instant the_now = Instant::from_nanos(1'000'000'000);
  Stamp the_wall = Stamp::from_millis(1'000'000);
};

// What the peer has said, what it was told, and whether it reads. Outlives the stream.
struct Wire {
  std::string said;  // by the peer, and not read yet
  std::string told;  // to the peer
  size_t writes = 0;
  bool reads = true;      // false: writes do not end
  bool hung_up = false;   // by the peer
  bool finished = false;  // the server will say nothing more
  bool closed = false;    // by the server
};

class TestStream final : public Stream {
 public:
  TestStream(boost::asio::io_context& loop, std::shared_ptr<Wire> wire)
      : loop_(loop), wire_(std::move(wire)) {}

  void handshake(UniqueFunction<void(const IoError&)> done) override {
    boost::asio::post(loop_, [done = std::move(done)]() mutable { done(IoError()); });
  }
  void read_some(boost::asio::mutable_buffer into, Done done) override {
    into_ = into;
    read_ = std::move(done);
    pump();
  }
  void write(std::vector<boost::asio::const_buffer> pieces, Done done) override {
    pieces_ = std::move(pieces);
    written_ = std::move(done);
    pump();
  }
  void finish_writing() override { wire_->finished = true; }
  void close() override {
    wire_->closed = true;
    pump();
  }
  [[nodiscard]] bool peer_left() override { return wire_->hung_up; }
  [[nodiscard]] std::string peer() const override { return "192.0.2.1:4000"; }

  // To be called when something of the wire was changed.
  void pump() {
    if (read_ && (wire_->closed || wire_->hung_up || !wire_->said.empty())) {
      const size_t size = std::min(into_.size(), wire_->said.size());
      std::memcpy(into_.data(), wire_->said.data(), size);
      wire_->said.erase(0, size);
      end(read_, size);
    }
    if (written_ && (wire_->closed || wire_->reads)) {
      size_t size = 0;
      for (const boost::asio::const_buffer& piece : pieces_) {
        wire_->told.append(static_cast<const char*>(piece.data()), piece.size());
        size += piece.size();
      }
      ++wire_->writes;
      end(written_, size);
    }
  }

 private:
  void end(Done& done, size_t size) {
    const bool failed = wire_->closed || size == 0;
    boost::asio::post(loop_, [done = std::exchange(done, nullptr), failed, size]() mutable {
      done(failed ? IoError(boost::asio::error::eof) : IoError(), size);
    });
  }

  boost::asio::io_context& loop_;
  std::shared_ptr<Wire> wire_;
  boost::asio::mutable_buffer into_;
  Done read_;
  std::vector<boost::asio::const_buffer> pieces_;
  Done written_;
};

// The peer's side of one connection.
class TestPeer {
 public:
  template <class Server>
  TestPeer(boost::asio::io_context& loop, Server& server)
      : loop_(loop), wire_(std::make_shared<Wire>()) {
    auto stream = std::make_unique<TestStream>(loop, wire_);
    stream_ = stream.get();
    server.adopt(std::move(stream), 7001);
    run();
  }

  // What is answered to it, as far as that comes now.
  std::string ask(std::string_view bytes) {
    say(bytes);
    return hear();
  }
  void say(std::string_view bytes) {
    wire_->said.append(bytes);
    run();
  }
  std::string hear() {
    run();
    return std::exchange(wire_->told, {});
  }
  void set_reading(bool reads) {
    wire_->reads = reads;
    run();
  }
  void hang_up() {
    wire_->hung_up = true;
    run();
  }
  [[nodiscard]] const Wire& wire() const { return *wire_; }

 private:
  void run() {
    if (!wire_->closed) {
      stream_->pump();
    }
    loop_.restart();
    loop_.poll();
  }

  boost::asio::io_context& loop_;
  std::shared_ptr<Wire> wire_;
  TestStream* stream_;
};

}  // namespace quorate::edge::resp
