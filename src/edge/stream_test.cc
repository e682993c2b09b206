// SPDX-License-Identifier: Apache-2.0
// Plain streams over real sockets: what is told when, and that nothing is told twice or never.
#include "edge/stream.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <string>

#include "edge/poller.h"

namespace quorate::edge {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

class PlainStreams : public testing::Test {
 protected:
  PlainStreams() {
    Result<std::shared_ptr<Poller>> poller = Poller::open(loop_);
    EXPECT_TRUE(poller.ok());
    poller_ = *poller;
    tcp::acceptor acceptor(loop_, tcp::endpoint(asio::ip::make_address("127.0.0.1"), 0));
    peer_.connect(acceptor.local_endpoint());
    stream_ = make_plain_stream(poller_, acceptor.accept());
    run();
  }

  void run() {
    loop_.restart();
    while (loop_.poll() > 0) {
    }
  }
  void say(const std::string& text) { asio::write(peer_, asio::buffer(text)); }
  void read(size_t most) {
    bytes_.resize(most);
    stream_->read_some(asio::buffer(bytes_), [this](const IoError& error, size_t size) {
      ++reads_;
      error_ = error;
      got_ = bytes_.substr(0, size);
    });
  }
  // The bytes of one write, of which the peer reads nothing yet.
  void write(const std::string& bytes) {
    stream_->write({asio::buffer(bytes)}, [this](const IoError& error, size_t size) {
      ++writes_;
      write_error_ = error;
      written_ = size;
    });
  }
  std::string hear(size_t size) {
    std::string text(size, '\0');
    size_t at = 0;
    while (at < size) {
      at += peer_.read_some(asio::buffer(&text[at], size - at));
      run();
    }
    return text;
  }

  asio::io_context loop_;
  std::shared_ptr<Poller> poller_;
  tcp::socket peer_{loop_};
  std::unique_ptr<Stream> stream_;
  std::string bytes_;
  std::string got_;
  IoError error_;
  IoError write_error_;
  int reads_ = 0;
  int writes_ = 0;
  size_t written_ = 0;
};

TEST_F(PlainStreams, a_read_waits_for_bytes_and_is_told_once) {
  read(100);
  run();
  EXPECT_EQ(reads_, 0);
  say("hello");
  run();
  EXPECT_EQ(reads_, 1);
  EXPECT_EQ(got_, "hello");
  say("more");
  run();
  EXPECT_EQ(reads_, 1);
  read(100);
  run();
  EXPECT_EQ(got_, "more");
}

TEST_F(PlainStreams, what_did_not_fit_into_a_read_is_there_for_the_next) {
  say("abcdefgh");
  for (const char* expected : {"abc", "def", "gh"}) {
    read(3);
    EXPECT_EQ(got_ == expected, false) << "never inside the call";
    run();
    EXPECT_EQ(got_, expected);
  }
}

// The kernel tells of the end only once, and it may have come together with the last bytes.
TEST_F(PlainStreams, an_end_that_came_with_the_last_bytes_is_not_missed) {
  say("last");
  peer_.shutdown(tcp::socket::shutdown_send);
  read(100);
  run();
  EXPECT_EQ(got_, "last");
  read(100);
  run();
  EXPECT_EQ(reads_, 2);
  EXPECT_EQ(error_, asio::error::eof);
}

TEST_F(PlainStreams, a_write_that_the_socket_does_not_take_ends_when_the_peer_has_read) {
  const std::string large(8'000'000, 'x');
  write(large);
  run();
  EXPECT_EQ(writes_, 0);
  EXPECT_EQ(hear(large.size()), large);
  run();
  EXPECT_EQ(writes_, 1);
  EXPECT_EQ(written_, large.size());
  EXPECT_FALSE(write_error_);
}

TEST_F(PlainStreams, write_now_takes_what_fits_and_write_goes_on_behind_it) {
  const std::string large(8'000'000, 'y');
  const size_t taken = stream_->write_now(asio::buffer(large));
  ASSERT_GT(taken, 0u);
  ASSERT_LT(taken, large.size());
  EXPECT_EQ(stream_->write_now(asio::buffer("z", 1)), 0u);
  const std::string rest = large.substr(taken);
  write(rest);
  EXPECT_EQ(hear(large.size()), large);
  run();
  EXPECT_EQ(writes_, 1);
}

TEST_F(PlainStreams, close_ends_what_is_under_way_later_and_with_an_error) {
  const std::string large(8'000'000, 'x');
  read(100);
  write(large);
  stream_->close();
  EXPECT_EQ(reads_ + writes_, 0);
  run();
  EXPECT_EQ(reads_, 1);
  EXPECT_EQ(writes_, 1);
  EXPECT_TRUE(error_);
  EXPECT_TRUE(write_error_);
}

// The kernel has told of both in one call when the first one ends the second.
TEST_F(PlainStreams, a_stream_that_is_gone_is_not_told_of_what_came_for_it) {
  tcp::acceptor acceptor(loop_, tcp::endpoint(asio::ip::make_address("127.0.0.1"), 0));
  tcp::socket second_peer(loop_);
  second_peer.connect(acceptor.local_endpoint());
  std::unique_ptr<Stream> second = make_plain_stream(poller_, acceptor.accept());
  run();
  IoError second_error;
  std::string into(100, '\0');
  second->read_some(asio::buffer(into),
                    [&](const IoError& error, size_t) { second_error = error; });
  bytes_.assign(100, '\0');
  stream_->read_some(asio::buffer(bytes_), [&](const IoError&, size_t) { second.reset(); });
  say("to the first");
  asio::write(second_peer, asio::buffer("to the second", 13));
  run();
  EXPECT_EQ(second, nullptr);
  EXPECT_EQ(second_error, asio::error::operation_aborted);
}

}  // namespace
}  // namespace quorate::edge
