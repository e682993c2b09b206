// SPDX-License-Identifier: Apache-2.0
// A stream in the clear: the socket's own calls, told by the Poller when they are worth making.
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <cerrno>

#include "base/assert.h"
#include "edge/poller.h"
#include "edge/stream.h"

namespace quorate::edge {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

constexpr size_t kPiecesPerCall = 16;

IoError error_of(int number) { return {number, boost::system::system_category()}; }

// True if the call should be made again.
bool interrupted(ssize_t result) { return result < 0 && errno == EINTR; }
bool would_block(ssize_t result) { return result < 0 && (errno == EAGAIN || errno == EWOULDBLOCK); }

class PlainStream final : public Stream, private Poller::Watched {
 public:
  PlainStream(std::shared_ptr<Poller> poller, tcp::socket socket, std::string peer)
      : poller_(std::move(poller)), peer_(std::move(peer)) {
    IoError error;
    descriptor_ = socket.release(error);
    if (error) {
      descriptor_ = -1;
      return;
    }
    const int flags = ::fcntl(descriptor_, F_GETFL, 0);
    (void)::fcntl(descriptor_, F_SETFL, flags | O_NONBLOCK);
    token_ = poller_->add(descriptor_, *this);
    if (token_ == Poller::kNone) {
      ::close(std::exchange(descriptor_, -1));
    }
  }
  ~PlainStream() override { close(); }

  void handshake(UniqueFunction<void(const IoError&)> done) override {
    const IoError error = descriptor_ < 0 ? IoError(asio::error::not_connected) : IoError();
    poller_->later(
        [done = std::move(done)](const IoError& result, size_t) mutable { done(result); }, error,
        0);
  }
  void read_some(asio::mutable_buffer into, Done done) override;
  void write(std::vector<asio::const_buffer> pieces, Done done) override;
  [[nodiscard]] size_t write_now(asio::const_buffer bytes) override;
  void finish_writing() override {
    if (descriptor_ >= 0) {
      (void)::shutdown(descriptor_, SHUT_WR);
    }
  }
  void close() override;
  [[nodiscard]] bool peer_left() override { return hung_up_; }
  [[nodiscard]] std::string peer() const override { return peer_; }

 private:
  void on_ready(uint32_t events) override;
  void receive();
  void send();
  [[nodiscard]] ssize_t send_some();
  void advance(size_t size);
  void end_write(const IoError& error);

  const std::shared_ptr<Poller> poller_;
  const std::string peer_;
  int descriptor_ = -1;
  Poller::Token token_ = Poller::kNone;
  bool readable_ = false;  // there may be something to read
  bool hung_up_ = false;   // no further change will be told: the end is already in the socket

  Done reading_;
  asio::mutable_buffer into_;
  Done writing_;
  std::vector<asio::const_buffer> pieces_;
  size_t piece_ = 0;  // of pieces_: those before it are written
  size_t written_ = 0;
};

void PlainStream::read_some(asio::mutable_buffer into, Done done) {
  ASSERT(!reading_, "one read at a time");
  if (descriptor_ < 0) {
    poller_->later(std::move(done), asio::error::bad_descriptor, 0);
    return;
  }
  into_ = into;
  reading_ = std::move(done);
  if (readable_) {
    poller_->again(token_);
  }
}

// Nothing may follow a call of receive(): its completion may destroy the stream.
void PlainStream::on_ready(uint32_t events) {
  constexpr uint32_t kEnds = EPOLLRDHUP | EPOLLHUP | EPOLLERR;
  hung_up_ = hung_up_ || (events & kEnds) != 0;
  readable_ = readable_ || (events & (EPOLLIN | kEnds)) != 0;
  if (writing_ && (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) {
    send();
  }
  if (reading_ && readable_) {
    receive();
  }
}

void PlainStream::receive() {
  ssize_t result = 0;
  do {
    result = ::recv(descriptor_, into_.data(), into_.size(), 0);
  } while (interrupted(result));
  if (would_block(result)) {
    readable_ = false;
    return;
  }
  const IoError error = result < 0    ? error_of(errno)
                        : result == 0 ? IoError(asio::error::eof)
                                      : IoError();
  const size_t size = result > 0 ? static_cast<size_t>(result) : 0;
  readable_ = hung_up_ || size == into_.size();
  Done done = std::move(reading_);
  reading_.reset();
  done(error, size);
}

void PlainStream::write(std::vector<asio::const_buffer> pieces, Done done) {
  ASSERT(!writing_, "one write at a time");
  if (descriptor_ < 0) {
    poller_->later(std::move(done), asio::error::bad_descriptor, 0);
    return;
  }
  pieces_ = std::move(pieces);
  piece_ = written_ = 0;
  writing_ = std::move(done);
  send();
}

size_t PlainStream::write_now(asio::const_buffer bytes) {
  ASSERT(!writing_, "one write at a time");
  if (descriptor_ < 0) {
    return 0;
  }
  const ssize_t result = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  return result > 0 ? static_cast<size_t>(result) : 0;
}

void PlainStream::send() {
  while (piece_ < pieces_.size()) {
    const ssize_t result = send_some();
    if (would_block(result)) {
      return;
    }
    if (result < 0 && errno != EINTR) {
      end_write(error_of(errno));
      return;
    }
    advance(result > 0 ? static_cast<size_t>(result) : 0);
  }
  end_write({});
}

ssize_t PlainStream::send_some() {
  std::array<iovec, kPiecesPerCall> parts;
  const size_t count = std::min(pieces_.size() - piece_, parts.size());
  for (size_t at = 0; at < count; ++at) {
    const asio::const_buffer& piece = pieces_[piece_ + at];
    parts[at] = {const_cast<void*>(piece.data()), piece.size()};
  }
  if (count == 1) {
    return ::send(descriptor_, parts[0].iov_base, parts[0].iov_len, MSG_NOSIGNAL);
  }
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = count;
  return ::sendmsg(descriptor_, &message, MSG_NOSIGNAL);
}

void PlainStream::advance(size_t size) {
  written_ += size;
  while (piece_ < pieces_.size() && size >= pieces_[piece_].size()) {
    size -= pieces_[piece_].size();
    ++piece_;
  }
  if (size > 0) {
    pieces_[piece_] += size;
  }
}

void PlainStream::end_write(const IoError& error) {
  Done done = std::move(writing_);
  writing_.reset();
  poller_->later(std::move(done), error, written_);
}

void PlainStream::close() {
  if (descriptor_ < 0) {
    return;
  }
  poller_->remove(token_, descriptor_);
  (void)::shutdown(descriptor_, SHUT_RDWR);
  (void)::close(std::exchange(descriptor_, -1));
  for (Done* const pending : {&reading_, &writing_}) {
    if (*pending) {
      Done done = std::move(*pending);
      pending->reset();
      poller_->later(std::move(done), asio::error::operation_aborted, 0);
    }
  }
}

}  // namespace

std::unique_ptr<Stream> make_plain_stream(std::shared_ptr<Poller> poller, tcp::socket socket) {
  std::string peer = peer_of(socket);
  return std::make_unique<PlainStream>(std::move(poller), std::move(socket), std::move(peer));
}

}  // namespace quorate::edge
