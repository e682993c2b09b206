// SPDX-License-Identifier: Apache-2.0
// Link: one connection to another node, from the first packet to the last.
//
//   dial ---> connecting --+
//   accept ----------------+--> (TLS) --> greeting --hello--> up --> closed
//
// The owner hears of the hello (and may refuse it), of frames, and of the end: on_closed comes once
// for every link that the owner did not close itself, whatever state it had reached.
//
// Reads go through Asio, which tries the socket only after the kernel has reported it. Writes of
// plain links go to the socket directly: sendmsg over all queued frames, and a wait for writability
// only when the kernel's buffer is full.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "os/net.h"
#include "os/wire.h"

namespace quorate::os {

class Link;

enum class LinkEnd : uint8_t {
  kBroken,     // by the other side or the network
  kRefused,    // the hello was not acceptable
  kDuplicate,  // another connection to the same node stays
  kTls,        // the handshake failed
  kTimeout,    // no hello in time
  kSilent,     // no sign of life
  kCorrupt,
  kOversized,
};

class LinkOwner {
 public:
  virtual ~LinkOwner() = default;
  // Nothing to accept the link as up; else the reason to end it.
  [[nodiscard]] virtual std::optional<LinkEnd> on_hello(Link& link, const Hello& hello) = 0;
  virtual void on_up(Link& link) = 0;
  virtual void on_frame(Link& link, std::string_view frame) = 0;
  virtual void on_closed(Link& link, LinkEnd end) = 0;
};

class Link final : public std::enable_shared_from_this<Link> {
 public:
  using Socket = boost::asio::ip::tcp::socket;
  using TlsContext = std::shared_ptr<boost::asio::ssl::context>;
  struct Setup {
    Loop& loop;
    LinkOwner& owner;
    Net::Counters& counters;
    TlsContext tls;     // or none
    std::string hello;  // what to say first
    Duration timeout;   // until the other's hello
  };

  Link(Setup setup, Socket socket, bool dialled);
  ~Link();

  // `peer` is who we expect there.
  void dial(const std::string& host, uint16_t port, NodeId peer);
  void accept();
  // No callback of the owner follows.
  void close();

  void push(std::string frame);
  // Writes what is queued. Never calls the owner.
  void flush();
  // Once per keepalive interval: gives a sign of life if nothing else was sent, and ends the link
  // after `silent_ticks_max` of these without any from the other side.
  void tick(int silent_ticks_max);

  [[nodiscard]] bool up() const { return state_ == State::kUp; }
  [[nodiscard]] bool dialled() const { return dialled_; }
  [[nodiscard]] NodeId peer() const { return peer_; }
  [[nodiscard]] uint64_t process() const { return process_; }
  [[nodiscard]] size_t queued_bytes() const { return queued_bytes_; }
  // Up, and the other side has spoken since.
  [[nodiscard]] bool proven() const { return proven_; }
  // True if TLS is off, or its certificate names the node.
  [[nodiscard]] bool is_certified_as(NodeId node);

 private:
  enum class State : uint8_t { kConnecting, kGreeting, kUp, kClosed };
  struct Outgoing {
    FrameHeader header;
    size_t header_bytes;  // 0 for the hello
    std::string body;
    [[nodiscard]] size_t size() const { return header_bytes + body.size(); }
  };
  using Endpoints = std::vector<boost::asio::ip::tcp::endpoint>;

  void start_deadline();
  void connect(const Endpoints& endpoints);
  void connected();
  void greet();
  void read();
  void on_read(const boost::system::error_code& error, size_t size);
  [[nodiscard]] bool take_hello();
  void take_frames();
  void end(LinkEnd reason);
  void shut();
  void queue(Outgoing outgoing);
  void flush_plain();
  void flush_tls();
  void sent(size_t size);

  Setup setup_;
  LinkOwner* owner_;  // nullptr once closed
  Socket socket_;
  boost::asio::ip::tcp::resolver resolver_;
  std::optional<boost::asio::ssl::stream<Socket&>> tls_;
  const bool dialled_;
  State state_ = State::kConnecting;
  NodeId peer_;
  uint64_t process_ = 0;
  env::TimerId deadline_ = env::TimerId::kNone;

  FrameBuffer received_;
  std::deque<Outgoing> outgoing_;
  size_t sent_of_first_ = 0;
  size_t queued_bytes_ = 0;
  std::string tls_record_;  // under way
  bool writing_ = false;    // waits for the socket, or for TLS
  bool spoke_ = false;      // since the last tick
  bool heard_ = false;
  bool proven_ = false;
  int silent_ticks_ = 0;
};

}  // namespace quorate::os
