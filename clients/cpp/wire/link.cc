// SPDX-License-Identifier: Apache-2.0
#include "clients/cpp/wire/link.h"

#include <algorithm>
#include <boost/asio/connect.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/write.hpp>

namespace quorate::wire {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

constexpr size_t kReadBytes = 64u << 10;
constexpr size_t kWriteBytesMax = 1u << 20;  // at once; larger commands go alone
constexpr auto kRest = std::chrono::milliseconds(100);

Time now() { return std::chrono::steady_clock::now(); }

// The certificate must be for this host: a name, or an address, which no SNI may carry.
bool expect_host(SSL* tls, std::string host) {
  boost::system::error_code no_address;
  (void)asio::ip::make_address(host, no_address);
  if (!no_address) {
    return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls), host.c_str()) == 1;
  }
  return SSL_ctrl(tls, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, host.data()) == 1 &&
         SSL_set1_host(tls, host.c_str()) == 1;
}

}  // namespace

Link::Link(asio::io_context& loop, std::string host, std::string port, const Settings& settings,
           Owner& owner)
    : loop_(loop),
      host_(std::move(host)),
      port_(std::move(port)),
      settings_(settings),
      owner_(&owner) {}

template <class Then>
auto Link::guarded(Then then) {
  return [ self = shared_from_this(), wire = wire_, then = std::move(then) ]<class... More>(
      const Error& error,
      More&&... more) mutable requires std::is_invocable_v<Then&, const Error&, More&&...> {
    if (self->wire_ == wire) {
      then(error, more...);
    }
  };
}

void Link::add(RequestRef request) { waiting_.push_back(std::move(request)); }

void Link::flush() {
  if (waiting_.empty()) {
    return;
  }
  if (state_ == State::kIdle) {
    connect();
  } else if (state_ == State::kOpen && !writing_) {
    write();
  }
}

void Link::close() {
  owner_ = nullptr;
  forget_connection();
  waiting_.clear();
  owed_.clear();
}

void Link::check(Time time) {
  const bool owes = state_ == State::kConnecting || !owed_.empty() || writing_;
  if (state_ != State::kIdle && owes && time - heard_ > settings_.silence_max) {
    fail("it says nothing", false);
  }
}

void Link::connect() {
  state_ = State::kConnecting;
  wire_ = std::make_shared<Wire>(loop_);
  heard_ = now();
  wire_->resolver.async_resolve(
      host_, port_, guarded([this](const Error& error, const tcp::resolver::results_type& found) {
        if (error) {
          return fail("no such host: " + error.message(), false);
        }
        asio::async_connect(
            wire_->socket, found, guarded([this](const Error& problem, const tcp::endpoint&) {
              problem ? fail("cannot connect: " + problem.message(), false) : on_connected();
            }));
      }));
}

void Link::on_connected() {
  Error ignored;
  wire_->socket.set_option(tcp::no_delay(true), ignored);
  if (settings_.tls == nullptr) {
    return greet();
  }
  wire_->tls.emplace(wire_->socket, *settings_.tls);
  if (!expect_host(wire_->tls->native_handle(), host_)) {
    return fail("TLS: no certificate can be for this host", true);
  }
  wire_->tls->async_handshake(asio::ssl::stream_base::client, guarded([this](const Error& error) {
                                // Who refuses a certificate once will refuse it again.
                                const bool refused =
                                    error.category() == asio::error::get_ssl_category();
                                error ? fail("TLS: " + error.message(), refused) : greet();
                              }));
}

// Who is not let in has not asked for anything yet.
void Link::greet() {
  read();
  if (settings_.greeting.empty()) {
    state_ = State::kOpen;
  } else {
    state_ = State::kGreeting;
    wire_->out = settings_.greeting;
    owed_.push_back(nullptr);
  }
  write();
}

void Link::write() {
  if (owed_.empty()) {
    heard_ = now();
  }
  while (state_ == State::kOpen && !waiting_.empty() && wire_->out.size() < kWriteBytesMax) {
    RequestRef request = std::move(waiting_.front());
    waiting_.pop_front();
    if (!request->done) {
      continue;  // its time is over
    }
    wire_->out += request->bytes;
    request->reached = true;
    owed_.push_back(std::move(request));
  }
  if (wire_->out.empty()) {
    return;
  }
  writing_ = true;
  with_stream([this](auto& stream) {
    asio::async_write(stream, asio::buffer(wire_->out), guarded([this](const Error& error, size_t) {
                        writing_ = false;
                        wire_->out.clear();
                        error ? fail("the connection broke: " + error.message(), false) : flush();
                      }));
  });
}

void Link::read() {
  if (wire_->in.size() - wire_->in_used < kReadBytes / 2) {
    wire_->in.resize(std::max(wire_->in.size() * 2, kReadBytes));
  }
  with_stream([this](auto& stream) {
    stream.async_read_some(
        asio::buffer(wire_->in.data() + wire_->in_used, wire_->in.size() - wire_->in_used),
        guarded([this](const Error& error, size_t bytes) {
          if (error) {
            return fail("the connection broke: " + error.message(), false);
          }
          wire_->in_used += bytes;
          heard_ = now();
          take_replies();
        }));
  });
}

void Link::take_replies() {
  const std::shared_ptr<Wire> wire = wire_;
  std::string_view left(wire->in.data(), wire->in_used);
  while (!left.empty()) {
    Parsed reply = Reply{};
    const ReplyParser::Step step = parser_.take(left, reply);
    if (step == ReplyParser::Step::kMore) {
      break;
    }
    if (step == ReplyParser::Step::kBroken || owed_.empty()) {
      return fail("it does not speak the Redis protocol", false);
    }
    const RequestRef request = std::move(owed_.front());
    owed_.pop_front();
    if (request != nullptr) {
      owner_->on_reply(request, std::move(reply));
    } else if (!reply.ok()) {
      return fail(reply.status().message(), true);
    } else {
      state_ = State::kOpen;
      flush();
    }
    if (wire_ != wire) {
      return;
    }
  }
  // What is left is the beginning of one reply.
  std::copy(left.begin(), left.end(), wire->in.begin());
  wire->in_used = left.size();
  read();
}

void Link::forget_connection() {
  if (wire_ != nullptr) {
    Error ignored;
    wire_->resolver.cancel();
    wire_->socket.close(ignored);
    wire_.reset();
  }
  state_ = State::kIdle;
  parser_ = {};
  writing_ = false;
}

void Link::fail(const std::string& problem, bool refused) {
  forget_connection();
  rests_until_ = now() + kRest;
  std::vector<RequestRef> lost;
  for (std::deque<RequestRef>* const queue : {&owed_, &waiting_}) {
    for (RequestRef& request : *queue) {
      if (request != nullptr) {
        lost.push_back(std::move(request));
      }
    }
    queue->clear();
  }
  const Code code = refused ? Code::kUnauthenticated : Code::kUnavailable;
  owner_->on_lost(*this, std::move(lost), Status(code, host_ + ":" + port_ + ": " + problem),
                  refused);
}

}  // namespace quorate::wire
