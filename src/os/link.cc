// SPDX-License-Identifier: Apache-2.0
#include "os/link.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/write.hpp>
#include <cerrno>
#include <string>
#include <utility>

#include "base/assert.h"
#include "os/tls.h"

namespace quorate::os {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

// Two per frame; the kernel takes up to 1024.
constexpr size_t kVectorsPerWrite = 128;
// What one asynchronous write of TLS takes from the queue, unless a single frame is larger.
constexpr size_t kTlsWriteBytes = 256 * 1024;

}  // namespace

Link::Link(Setup setup, Socket socket, bool dialled)
    : setup_(std::move(setup)),
      owner_(&setup_.owner),
      socket_(std::move(socket)),
      resolver_(setup_.loop.context()),
      dialled_(dialled) {}

// The owner has closed the link, or it has ended; what is left here is only memory, which may be
// freed as late as with the loop's own context.
Link::~Link() = default;

void Link::dial(const std::string& host, uint16_t port, NodeId peer) {
  peer_ = peer;
  start_deadline();
  // Names take a thread and a question to somebody; numbers need neither.
  error_code not_numeric;
  const asio::ip::address address = asio::ip::make_address(host, not_numeric);
  if (!not_numeric) {
    connect({asio::ip::tcp::endpoint(address, port)});
    return;
  }
  using Found = asio::ip::tcp::resolver::results_type;
  resolver_.async_resolve(host, std::to_string(port),
                          [self = shared_from_this()](const error_code& error, const Found& found) {
                            if (error) {
                              self->end(LinkEnd::kBroken);
                              return;
                            }
                            self->connect(Endpoints(found.begin(), found.end()));
                          });
}

void Link::start_deadline() {
  deadline_ =
      setup_.loop.start(setup_.loop.clock().now() + setup_.timeout, [weak = weak_from_this()] {
        if (const auto link = weak.lock(); link != nullptr) {
          link->end(LinkEnd::kTimeout);
        }
      });
}

void Link::connect(const Endpoints& endpoints) {
  if (state_ == State::kClosed) {
    return;
  }
  asio::async_connect(
      socket_, endpoints,
      [self = shared_from_this()](const error_code& error, const asio::ip::tcp::endpoint&) {
        if (error) {
          self->end(LinkEnd::kBroken);
        } else {
          self->connected();
        }
      });
}

void Link::accept() {
  start_deadline();
  connected();
}

void Link::connected() {
  if (state_ == State::kClosed) {
    return;
  }
  error_code ignored;
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
  if (setup_.tls == nullptr) {
    greet();
    return;
  }
  tls_.emplace(socket_, *setup_.tls);
  tls_->async_handshake(dialled_ ? asio::ssl::stream_base::client : asio::ssl::stream_base::server,
                        [self = shared_from_this()](const error_code& error) {
                          if (error) {
                            self->end(LinkEnd::kTls);
                          } else {
                            self->greet();
                          }
                        });
}

void Link::greet() {
  if (state_ == State::kClosed) {
    return;
  }
  state_ = State::kGreeting;
  queue(Outgoing{{}, 0, setup_.hello});
  flush();
  read();
}

void Link::read() {
  if (state_ == State::kClosed) {
    return;
  }
  const std::span<char> space = received_.space();
  auto done = [self = shared_from_this()](const error_code& error, size_t size) {
    self->on_read(error, size);
  };
  if (tls_.has_value()) {
    tls_->async_read_some(asio::buffer(space.data(), space.size()), std::move(done));
  } else {
    socket_.async_read_some(asio::buffer(space.data(), space.size()), std::move(done));
  }
}

void Link::on_read(const error_code& error, size_t size) {
  if (state_ == State::kClosed) {
    return;
  }
  if (error) {
    end(LinkEnd::kBroken);
    return;
  }
  heard_ = true;
  setup_.counters.bytes_received += size;
  received_.filled(size);
  if (state_ == State::kUp || take_hello()) {
    take_frames();
  }
  read();
}

bool Link::take_hello() {
  if (!may_be_hello(received_.waiting())) {
    end(LinkEnd::kRefused);
    return false;
  }
  if (received_.waiting().size() < kHelloBytes) {
    return false;
  }
  const std::optional<Hello> hello = decode_hello(received_.waiting());
  if (!hello.has_value()) {
    end(LinkEnd::kRefused);
    return false;
  }
  received_.take(kHelloBytes);
  if (const std::optional<LinkEnd> refusal = owner_->on_hello(*this, *hello)) {
    end(*refusal);
    return false;
  }
  if (state_ == State::kClosed) {
    return false;  // the owner told its user of an older link's end, who closed this one
  }
  state_ = State::kUp;
  peer_ = hello->from;
  process_ = hello->process;
  setup_.loop.cancel(std::exchange(deadline_, env::TimerId::kNone));
  owner_->on_up(*this);
  return true;
}

void Link::take_frames() {
  std::string_view frame;
  while (state_ == State::kUp) {
    switch (received_.next(frame)) {
      case FrameBuffer::Step::kFrame:
        ++setup_.counters.frames_received;
        owner_->on_frame(*this, frame);
        break;
      case FrameBuffer::Step::kMore: return;
      case FrameBuffer::Step::kOversized: end(LinkEnd::kOversized); return;
      case FrameBuffer::Step::kCorrupt: end(LinkEnd::kCorrupt); return;
    }
  }
}

bool Link::is_certified_as(NodeId node) {
  return !tls_.has_value() || certificate_names(tls_->native_handle(), node);
}

void Link::push(std::string frame) {
  ASSERT(state_ == State::kUp);
  const FrameHeader header = frame_header(frame);
  ++setup_.counters.frames_sent;
  queue(Outgoing{header, kFrameHeaderBytes, std::move(frame)});
}

void Link::queue(Outgoing outgoing) {
  spoke_ = true;
  queued_bytes_ += outgoing.size();
  outgoing_.push_back(std::move(outgoing));
}

void Link::flush() {
  if (tls_.has_value()) {
    flush_tls();
  } else {
    flush_plain();
  }
}

void Link::flush_plain() {
  while (!outgoing_.empty() && !writing_ && state_ != State::kClosed) {
    std::array<iovec, kVectorsPerWrite> vectors;
    size_t count = 0;
    size_t skip = sent_of_first_;
    const auto add = [&](char* bytes, size_t size) {
      const size_t skipped = std::min(skip, size);
      skip -= skipped;
      if (size > skipped) {
        vectors[count++] = iovec{bytes + skipped, size - skipped};
      }
    };
    for (auto next = outgoing_.begin(); next != outgoing_.end() && count + 2 <= vectors.size();
         ++next) {
      add(next->header.data(), next->header_bytes);
      add(next->body.data(), next->body.size());
    }
    msghdr message{};
    message.msg_iov = vectors.data();
    message.msg_iovlen = count;
    const ssize_t size = ::sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (size >= 0) {
      sent(static_cast<size_t>(size));
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      writing_ = true;
      socket_.async_wait(Socket::wait_write, [self = shared_from_this()](const error_code&) {
        self->writing_ = false;
        self->flush();
      });
    } else if (errno != EINTR) {
      // The pending read sees the end, after what has arrived before it.
      error_code ignored;
      socket_.shutdown(Socket::shutdown_both, ignored);
      return;
    }
  }
}

void Link::flush_tls() {
  if (outgoing_.empty() || writing_ || state_ == State::kClosed) {
    return;
  }
  tls_record_.clear();
  while (!outgoing_.empty() &&
         (tls_record_.empty() || tls_record_.size() + outgoing_.front().size() <= kTlsWriteBytes)) {
    const Outgoing& first = outgoing_.front();
    tls_record_.append(first.header.data(), first.header_bytes);
    tls_record_.append(first.body);
    outgoing_.pop_front();
  }
  writing_ = true;
  asio::async_write(*tls_, asio::buffer(tls_record_),
                    [self = shared_from_this()](const error_code& error, size_t size) {
                      self->writing_ = false;
                      if (self->state_ == State::kClosed) {
                        return;
                      }
                      if (error) {
                        self->end(LinkEnd::kBroken);
                        return;
                      }
                      ++self->setup_.counters.writes;
                      self->setup_.counters.bytes_sent += size;
                      self->queued_bytes_ -= size;
                      self->flush();
                    });
}

void Link::sent(size_t size) {
  ++setup_.counters.writes;
  setup_.counters.bytes_sent += size;
  queued_bytes_ -= size;
  sent_of_first_ += size;
  while (!outgoing_.empty() && sent_of_first_ >= outgoing_.front().size()) {
    sent_of_first_ -= outgoing_.front().size();
    outgoing_.pop_front();
  }
}

void Link::tick(int silent_ticks_max) {
  if (state_ != State::kUp) {
    return;
  }
  if (std::exchange(heard_, false)) {
    silent_ticks_ = 0;
    proven_ = true;
  } else if (++silent_ticks_ >= silent_ticks_max) {
    end(LinkEnd::kSilent);
    return;
  }
  if (!std::exchange(spoke_, false) && outgoing_.empty()) {
    queue(Outgoing{frame_header({}), kFrameHeaderBytes, {}});
    flush();
    spoke_ = false;
  }
}

void Link::close() {
  owner_ = nullptr;
  shut();
}

void Link::end(LinkEnd reason) {
  if (state_ == State::kClosed) {
    return;
  }
  const auto self = shared_from_this();
  shut();
  if (LinkOwner* const owner = std::exchange(owner_, nullptr); owner != nullptr) {
    owner->on_closed(*this, reason);
  }
}

void Link::shut() {
  state_ = State::kClosed;
  setup_.loop.cancel(std::exchange(deadline_, env::TimerId::kNone));
  resolver_.cancel();
  error_code ignored;
  socket_.close(ignored);
  outgoing_.clear();
  queued_bytes_ = 0;
  sent_of_first_ = 0;
}

}  // namespace quorate::os
