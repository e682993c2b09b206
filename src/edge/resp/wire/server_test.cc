// SPDX-License-Identifier: Apache-2.0
// Connections: the order of replies, back-pressure, time-outs, limits and ends.
#include "edge/resp/wire/server.h"

#include <gtest/gtest.h>

#include <map>

#include "edge/resp/wire/connection.h"
#include "edge/resp/wire/testing.h"

namespace quorate::edge::resp {
namespace {

// Knows "later NAME" (answered when the test says so), "wait" (only when nothing is in flight),
// "big", "end", "mute", "unmute" and "skip"; it echoes the rest.
class EchoSession final : public Session {
 public:
  using Held = std::map<std::string, std::pair<std::shared_ptr<Connection>, Ticket>>;
  EchoSession(Connection& connection, Held& held, int& gone)
      : connection_(connection), held_(held), gone_(gone) {}

  Taken take(Arguments arguments) override {
    const std::string_view verb = arguments[0];
    if (verb == "later") {
      held_[std::string(arguments[1])] = {connection_.shared_from_this(),
                                          connection_.begin(nullptr)};
      return Taken::kYes;
    }
    if (connection_.in_flight() > 0 && verb == "wait") {
      return Taken::kLater;
    }
    if (verb == "mute" || verb == "unmute") {
      connection_.mute(verb == "mute");
    } else if (verb == "skip") {
      connection_.skip_next();
      return Taken::kYes;
    }
    const std::string text = verb == "big" ? std::string(600'000, 'x') : std::string(verb);
    connection_.finish(connection_.begin(nullptr), [&](Reply& reply) { reply.simple(text); });
    if (verb == "end") {
      connection_.end();
    }
    return Taken::kYes;
  }

  void on_gone() override { ++gone_; }

 private:
  Connection& connection_;
  Held& held_;
  int& gone_;
};

class RespServer : public testing::Test {
 protected:
  RespServer() {
    ServerOptions options;
    options.connections_max = 3;
    options.request_bytes_max = 100'000;
    options.idle_timeout = Duration::seconds(100);
    server_ = std::make_unique<Server>(loop_, clock_, std::move(options), &metrics_);
    server_->set_sessions([this](Connection& connection) {
      return std::make_unique<EchoSession>(connection, held_, gone_);
    });
  }

  // By value: the name may be that of the entry which goes.
  void release(std::string name) {
    auto [connection, ticket] = held_.extract(name).mapped();
    connection->finish(ticket, [&](Reply& reply) { reply.simple(name); });
  }
  void sweep() {
    for (const std::shared_ptr<Connection>& connection : server_->all()) {
      connection->on_sweep(clock_.now());
    }
  }

  boost::asio::io_context loop_;
  TestClock clock_;
  Metrics metrics_;
  EchoSession::Held held_;
  int gone_ = 0;  // times that a session was told so
  std::unique_ptr<Server> server_;
};

TEST_F(RespServer, a_pipeline_is_answered_in_its_order_and_in_one_write) {
  TestPeer peer(loop_, *server_);
  EXPECT_EQ(peer.ask("a\r\nb\r\nc\r\n"), "+a\r\n+b\r\n+c\r\n");
  EXPECT_EQ(peer.wire().writes, 1u);
  EXPECT_EQ(peer.ask("later x\r\nd\r\nlater y\r\ne\r\n"), "");
  release("y");
  EXPECT_EQ(peer.hear(), "");
  release("x");
  EXPECT_EQ(peer.hear(), "+x\r\n+d\r\n+y\r\n+e\r\n");
  EXPECT_EQ(peer.wire().writes, 2u);
}

TEST_F(RespServer, many_in_flight_keep_their_places) {
  TestPeer peer(loop_, *server_);
  std::string asked;
  std::string expected;
  for (int i = 0; i < 500; ++i) {
    const std::string name = "n" + std::to_string(i);
    asked += "later " + name + "\r\n";
    expected += "+" + name + "\r\n";
  }
  peer.say(asked);
  ASSERT_EQ(held_.size(), 500u);
  while (!held_.empty()) {
    release(std::prev(held_.end())->first);
  }
  EXPECT_EQ(peer.hear(), expected);
}

TEST_F(RespServer, what_has_to_wait_is_offered_again) {
  TestPeer peer(loop_, *server_);
  EXPECT_EQ(peer.ask("later x\r\nwait\r\nlater y\r\nwait\r\n"), "");
  EXPECT_EQ(held_.size(), 1u);
  release("x");
  EXPECT_EQ(peer.hear(), "+x\r\n+wait\r\n");
  release("y");
  EXPECT_EQ(peer.hear(), "+y\r\n+wait\r\n");
}

TEST_F(RespServer, who_does_not_read_is_not_read_and_then_cut_off) {
  TestPeer peer(loop_, *server_);
  peer.set_reading(false);
  std::string asked;
  for (int i = 0; i < 10; ++i) {
    asked += "big\r\n";
  }
  peer.say(asked);
  const std::vector<std::shared_ptr<Connection>> all = server_->all();
  ASSERT_EQ(all.size(), 1u);
  EXPECT_LE(all.front()->output_bytes(), limits::kRespOutputBytesMax + 600'003);
  EXPECT_GT(all.front()->input_bytes(), 0u);
  peer.set_reading(true);
  EXPECT_EQ(peer.hear().size(), 10u * 600'003);
  peer.set_reading(false);
  peer.say("a\r\n");
  clock_.advance(Duration::seconds(59));
  sweep();
  EXPECT_FALSE(peer.wire().closed);
  clock_.advance(Duration::seconds(2));
  sweep();
  EXPECT_TRUE(peer.wire().closed);
}

TEST_F(RespServer, commands_in_flight_have_a_bound) {
  TestPeer peer(loop_, *server_);
  std::string asked;
  for (size_t i = 0; i < limits::kRespInFlightMax + 10; ++i) {
    asked += "later " + std::to_string(i) + "\r\n";
  }
  peer.say(asked);
  EXPECT_EQ(held_.size(), limits::kRespInFlightMax);
  while (!held_.empty()) {
    release(held_.begin()->first);
  }
  peer.hear();
  EXPECT_EQ(held_.size(), 10u);
}

TEST_F(RespServer, a_command_must_arrive_in_time_and_an_idle_connection_ends) {
  TestPeer slow(loop_, *server_);
  TestPeer idle(loop_, *server_);
  slow.say("*1\r\n$4\r\nPI");
  clock_.advance(Duration::seconds(50));
  slow.say("N");
  clock_.advance(Duration::seconds(11));
  sweep();
  EXPECT_TRUE(slow.wire().closed);
  EXPECT_FALSE(idle.wire().closed);
  clock_.advance(Duration::seconds(40));
  sweep();
  EXPECT_TRUE(idle.wire().closed);
}

TEST_F(RespServer, bytes_that_are_no_command_are_answered_and_end_the_connection) {
  TestPeer peer(loop_, *server_);
  EXPECT_EQ(peer.ask("later x\r\n*1\r\n:1\r\n"), "");
  release("x");
  EXPECT_EQ(peer.hear(), "+x\r\n-ERR Protocol error: expected '$', got ':'\r\n");
  EXPECT_TRUE(peer.wire().finished);
  EXPECT_FALSE(peer.wire().closed) << "it lingers, so that the peer can read the error";
  peer.hang_up();
  EXPECT_TRUE(peer.wire().closed);
  EXPECT_EQ(server_->connections(), 0u);
}

TEST_F(RespServer, a_request_over_the_bound_is_refused) {
  TestPeer peer(loop_, *server_);
  const std::string most(99'900, 'x');
  EXPECT_EQ(peer.ask("*2\r\n$2\r\nhi\r\n$99900\r\n" + most + "\r\n"), "+hi\r\n");
  EXPECT_EQ(peer.ask("*2\r\n$2\r\nhi\r\n$99999\r\n"),
            "-ERR Protocol error: the request is over 100000 bytes\r\n");
}

TEST_F(RespServer, too_many_connections_are_refused_in_words) {
  TestPeer one(loop_, *server_);
  TestPeer two(loop_, *server_);
  TestPeer three(loop_, *server_);
  TestPeer four(loop_, *server_);
  EXPECT_EQ(four.hear(), "-ERR max number of clients reached\r\n");
  four.hang_up();
  EXPECT_EQ(server_->refused(), 1u);
  one.hang_up();
  EXPECT_TRUE(one.wire().closed);
  TestPeer five(loop_, *server_);
  EXPECT_EQ(five.ask("a\r\n"), "+a\r\n");
}

TEST_F(RespServer, who_hangs_up_still_gets_what_was_asked) {
  TestPeer peer(loop_, *server_);
  peer.say("later x\r\n");
  peer.hang_up();
  EXPECT_FALSE(peer.wire().closed);
  release("x");
  EXPECT_EQ(peer.hear(), "+x\r\n");
  EXPECT_TRUE(peer.wire().closed);
}

TEST_F(RespServer, who_hangs_up_behind_a_command_that_is_held_is_noticed) {
  TestPeer peer(loop_, *server_);
  EXPECT_EQ(peer.ask("later x\r\nwait\r\n"), "");
  sweep();
  EXPECT_EQ(gone_, 0) << "it is still there";
  peer.hang_up();
  EXPECT_EQ(gone_, 0) << "nobody reads";
  sweep();
  EXPECT_EQ(gone_, 1);
  release("x");
  EXPECT_EQ(peer.hear(), "+x\r\n+wait\r\n");
}

TEST_F(RespServer, an_answer_to_nobody_is_dropped) {
  TestPeer peer(loop_, *server_);
  peer.say("later x\r\n");
  server_->all().front()->close();
  EXPECT_EQ(server_->connections(), 0u);
  release("x");
  EXPECT_EQ(peer.hear(), "");
}

TEST_F(RespServer, an_end_comes_after_the_answer) {
  TestPeer peer(loop_, *server_);
  EXPECT_EQ(peer.ask("a\r\nend\r\nb\r\n"), "+a\r\n+end\r\n");
  EXPECT_TRUE(peer.wire().finished);
}

TEST_F(RespServer, a_muted_connection_says_nothing_and_keeps_its_places) {
  TestPeer peer(loop_, *server_);
  EXPECT_EQ(peer.ask("a\r\nmute\r\nb\r\nlater x\r\nunmute\r\nc\r\n"), "+a\r\n");
  release("x");
  EXPECT_EQ(peer.hear(), "+unmute\r\n+c\r\n");
}

TEST_F(RespServer, a_drain_waits_for_what_is_in_flight) {
  TestPeer busy(loop_, *server_);
  TestPeer idle(loop_, *server_);
  busy.say("later x\r\n");
  bool drained = false;
  server_->drain([&] { drained = true; });
  EXPECT_TRUE(idle.wire().closed);
  EXPECT_FALSE(drained);
  release("x");
  EXPECT_EQ(busy.hear(), "+x\r\n");
  busy.hang_up();
  busy.hear();
  EXPECT_TRUE(drained);
}

}  // namespace
}  // namespace quorate::edge::resp
