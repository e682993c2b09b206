// SPDX-License-Identifier: Apache-2.0
// Link: the connection to one node. Requests leave in their order, as many in one packet as were
// given before flush(), and are answered in that order.
//
// It connects when it has something to send. When the connection breaks, or the node owes an answer
// for too long, all that was given to it goes back to its owner; it may be used again at once, and
// the owner sees by `rests_until` when that is wise.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "clients/cpp/wire/request.h"

namespace quorate::wire {

class Link : public std::enable_shared_from_this<Link> {
 public:
  struct Settings {
    std::shared_ptr<boost::asio::ssl::context> tls;  // null: in the clear
    std::string greeting;  // the command that tells who we are; empty: nobody asks
    std::chrono::nanoseconds silence_max{};
  };
  class Owner {
   public:
    virtual ~Owner() = default;
    virtual void on_reply(const RequestRef& request, Parsed reply) = 0;
    // `refused`: the node does not let us in, and will not next time.
    virtual void on_lost(Link& link, std::vector<RequestRef> requests, const Status& why,
                         bool refused) = 0;
  };

  // The owner outlives what it has not closed.
  Link(boost::asio::io_context& loop, std::string host, std::string port, const Settings& settings,
       Owner& owner);

  void add(RequestRef request);
  void flush();
  // Lets go of everything without a word to the owner, who may end now.
  void close();
  // Looks whether the node has been silent for too long.
  void check(Time now);
  [[nodiscard]] Time rests_until() const { return rests_until_; }

 private:
  enum class State : uint8_t { kIdle, kConnecting, kGreeting, kOpen };
  using Stream = boost::asio::ssl::stream<boost::asio::ip::tcp::socket&>;
  using Error = boost::system::error_code;

  // A connection and its buffers; what it has begun keeps it alive, also after it was given up.
  struct Wire {
    explicit Wire(boost::asio::io_context& loop) : resolver(loop), socket(loop) {}
    boost::asio::ip::tcp::resolver resolver;
    boost::asio::ip::tcp::socket socket;
    std::optional<Stream> tls;
    std::string out;  // being written
    std::string in;
    size_t in_used = 0;
  };

  template <class Action>
  void with_stream(Action action) {
    wire_->tls.has_value() ? action(*wire_->tls) : action(wire_->socket);
  }
  // `then` runs only while this very connection lasts.
  template <class Then>
  [[nodiscard]] auto guarded(Then then);

  void connect();
  void on_connected();
  void greet();
  void write();
  void read();
  void take_replies();
  void fail(const std::string& problem, bool refused);
  void forget_connection();

  boost::asio::io_context& loop_;
  const std::string host_;
  const std::string port_;
  const Settings settings_;
  Owner* owner_;
  State state_ = State::kIdle;
  std::shared_ptr<Wire> wire_;      // null: idle
  std::deque<RequestRef> waiting_;  // not written yet
  std::deque<RequestRef> owed_;     // written; null: the greeting, alone
  bool writing_ = false;
  ReplyParser parser_;
  Time heard_;  // or, if nothing was owed, when that began
  Time rests_until_;
};

}  // namespace quorate::wire
