// SPDX-License-Identifier: Apache-2.0
#include "edge/resp/wire/connection.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "edge/resp/wire/shared.h"

namespace quorate::edge::resp {
namespace {

// An idle connection costs this much of input buffer; one that sends more gets more.
constexpr size_t kInputBytesIdle = 4 * 1024;
constexpr size_t kInputBytesBusy = 16 * 1024;
constexpr size_t kOutputBytesKept = 64 * 1024;
constexpr size_t kSlotsFirst = 16;
// One write call, so that the write time-out measures progress and not size.
constexpr size_t kWriteBytes = 256 * 1024;
constexpr size_t kLingerBytesMax = 4 * 1024 * 1024;
constexpr Duration kHandshakeTimeout = Duration::seconds(10);
constexpr Duration kLingerTimeout = Duration::seconds(2);

Parser::Bounds bounds_of(const ServerOptions& options) {
  Parser::Bounds bounds;
  bounds.request_bytes = options.request_bytes_max;
  return bounds;
}

}  // namespace

Connection::Connection(std::shared_ptr<Server::Shared> shared, std::unique_ptr<Stream> stream,
                       Origin origin)
    : shared_(std::move(shared)),
      stream_(std::move(stream)),
      origin_(origin),
      peer_(stream_->peer()),
      since_(shared_->clock.now()),
      used_at_(since_),
      parser_(bounds_of(shared_->options)) {}

Connection::~Connection() = default;

void Connection::start(bool refuse) {
  deadline_ = since_ + kHandshakeTimeout;
  session_ = shared_->make_session(*this);
  stream_->handshake([self = shared_from_this(), refuse](const IoError& error) {
    const bool clear = is_in_the_clear(error);
    if ((error && !clear) || self->phase_ != Phase::kHandshake) {
      self->close();
      return;
    }
    self->phase_ = Phase::kOpen;
    self->deadline_ = Instant::never();
    if (clear) {
      self->fail("ERR this port speaks TLS");
    } else if (refuse) {
      self->fail("ERR max number of clients reached");
    } else {
      self->read();
    }
  });
}

// ---- commands -----------------------------------------------------------------------------------

bool Connection::may_take() const {
  return phase_ == Phase::kOpen && in_flight() < limits::kRespInFlightMax &&
         output_bytes() < limits::kRespOutputBytesMax;
}

// Takes what has arrived, command after command, until something has to be waited for.
void Connection::advance() {
  if (advancing_) {
    return;
  }
  bool made_room = false;
  do {
    advancing_ = true;
    while (may_take() && take_next()) {
    }
    advancing_ = false;
    if (input_begin_ == input_end_) {
      input_begin_ = input_end_ = 0;
    }
    const bool drained = shared_->draining && input_begin_ == input_end_;
    if (phase_ == Phase::kOpen && !held_ && (input_ended_ || drained) && may_take()) {
      phase_ = Phase::kClosing;  // a command that has not arrived whole never will
    }
    const bool was_full = output_bytes() >= limits::kRespOutputBytesMax;
    flush();
    made_room = was_full && may_take();
  } while (made_room);
  read();
}

// False if nothing can be done before something else happens.
bool Connection::take_next() {
  if (held_) {
    offer(parser_.arguments());
    return !held_;
  }
  const std::string_view input(input_.data() + input_begin_, input_end_ - input_begin_);
  if (input.empty()) {
    return false;
  }
  switch (parser_.next(input)) {
    case Parser::Outcome::kCommand: offer(parser_.arguments()); return !held_;
    case Parser::Outcome::kNothing: input_begin_ += parser_.consumed(); return true;
    case Parser::Outcome::kMore: note_partial(); return false;
    case Parser::Outcome::kError: fail("ERR " + parser_.error()); return false;
  }
  return false;
}

void Connection::offer(Arguments arguments) {
  if (skip_ == Skip::kNext) {
    skip_ = Skip::kThis;
  }
  held_ = session_->take(arguments) == Session::Taken::kLater;
  ASSERT(!held_ || in_flight() > 0, "who waits, waits for something");
  if (held_) {
    return;
  }
  deadline_ = Instant::never();
  if (skip_ == Skip::kThis) {
    skip_ = Skip::kNone;
  }
  input_begin_ += parser_.consumed();
}

// A command that comes in pieces has a time by which it must be whole.
void Connection::note_partial() {
  if (deadline_ == Instant::never()) {
    deadline_ = used_at_ + shared_->options.request_timeout;
  }
}

// The peer's bytes make no sense from here on; what it asked before is still answered.
void Connection::fail(const std::string& text) {
  const Ticket ticket = begin(nullptr);
  phase_ = Phase::kClosing;
  finish(ticket, [&text](Reply& reply) { reply.error(text); });
  flush();
}

void Connection::end() {
  if (phase_ == Phase::kOpen) {
    phase_ = Phase::kClosing;
    shared_->wake(shared_from_this());
  }
}

// ---- replies ------------------------------------------------------------------------------------

Reply Connection::reply() {
  ASSERT(in_flight() == 0, "an answer would overtake another");
  if (muted_ || skip_ == Skip::kThis) {
    dropped_.clear();
    return {dropped_, protocol_};
  }
  return {out_, protocol_};
}

Ticket Connection::begin(Histogram* seconds) {
  if (in_flight() == slots_.size()) {
    grow_slots();
  }
  Slot& place = slot(next_);
  place.seconds = seconds;
  place.begun = used_at_;
  place.done = false;
  place.muted = muted_ || skip_ == Skip::kThis;
  return next_++;
}

void Connection::grow_slots() {
  std::vector<Slot> larger(std::max(kSlotsFirst, slots_.size() * 2));
  for (Ticket ticket = head_; ticket != next_; ++ticket) {
    larger[ticket & (larger.size() - 1)] = std::move(slot(ticket));
  }
  slots_ = std::move(larger);
}

std::string& Connection::place_of(Ticket ticket) {
  ASSERT(ticket - head_ < in_flight() && !slot(ticket).done, "a ticket is good once");
  Slot& place = slot(ticket);
  if (place.muted) {
    dropped_.clear();
    return dropped_;
  }
  return ticket == head_ ? out_ : place.bytes;
}

void Connection::note_error(std::string_view text) { shared_->note_error(text); }

void Connection::finished(Ticket ticket) {
  slot(ticket).done = true;
  if (!woken_) {
    woken_ = true;
    shared_->wake(shared_from_this());
  }
  if (Histogram* const seconds = slot(ticket).seconds) {
    seconds->record(shared_->woken_at - slot(ticket).begun);
  }
  while (head_ != next_ && slot(head_).done) {
    Slot& place = slot(head_);
    if (!place.bytes.empty()) {
      out_.append(place.bytes);
      place.bytes.clear();
    }
    ++head_;
  }
}

void Connection::on_woken() {
  woken_ = false;
  if (phase_ == Phase::kOpen) {
    advance();
  } else {
    flush();
  }
}

size_t Connection::output_bytes() const { return out_.size() + writing_.size() - written_; }

// ---- input --------------------------------------------------------------------------------------

// The part that is not understood stays; the buffer grows as it fills, whatever length was claimed.
void Connection::make_room() {
  if (input_begin_ == input_end_) {
    const size_t wanted = filled_ ? kInputBytesBusy : kInputBytesIdle;
    if (input_.size() < wanted || input_.size() > kInputBytesBusy) {
      input_.resize(wanted);
      input_.shrink_to_fit();
    }
  }
  if (input_end_ < input_.size()) {
    return;
  }
  if (input_begin_ > 0) {
    std::memmove(input_.data(), input_.data() + input_begin_, input_end_ - input_begin_);
    input_end_ -= input_begin_;
    input_begin_ = 0;
  }
  if (input_end_ * 2 > input_.size()) {
    const size_t most = shared_->options.request_bytes_max + kInputBytesIdle;
    input_.resize(std::min(input_.size() * 2, most));
  }
}

void Connection::read() {
  const bool is_open = phase_ == Phase::kOpen && !held_ && may_take();
  if (reading_ || input_ended_ || !(is_open || phase_ == Phase::kLingering)) {
    return;
  }
  make_room();
  ASSERT(input_end_ < input_.size(), "a whole command has room");
  reading_ = true;
  stream_->read_some(
      boost::asio::mutable_buffer(input_.data() + input_end_, input_.size() - input_end_),
      [self = shared_from_this()](const IoError& error, size_t size) {
        self->reading_ = false;
        self->on_read(error, size);
      });
}

void Connection::on_read(const IoError& error, size_t size) {
  if (phase_ == Phase::kClosed) {
    return;
  }
  if (error) {
    input_ended_ = true;
    if (phase_ == Phase::kLingering || (in_flight() == 0 && output_bytes() == 0)) {
      close();
    } else if (phase_ == Phase::kOpen) {
      session_->on_gone();
      advance();  // what was asked is still answered
    }
    return;
  }
  if (phase_ != Phase::kOpen) {
    lingered_bytes_ += size;
    if (lingered_bytes_ > kLingerBytesMax) {
      close();
    } else {
      read();
    }
    return;
  }
  used_at_ = shared_->clock.now();
  input_end_ += size;
  filled_ = input_end_ == input_.size();
  advance();
}

// ---- output -------------------------------------------------------------------------------------

void Connection::flush() {
  if (writing_now_ || phase_ == Phase::kClosed) {
    return;
  }
  if (written_ == writing_.size()) {
    writing_.clear();
    written_ = 0;
    if (writing_.capacity() > kOutputBytesKept) {
      writing_ = {};
    }
    writing_.swap(out_);
  }
  if (written_ < writing_.size()) {
    written_ += stream_->write_now(rest());
  }
  if (written_ < writing_.size()) {
    write_piece();
  } else if (phase_ == Phase::kClosing && in_flight() == 0) {
    linger();
  }
}

// What one call may write.
boost::asio::const_buffer Connection::rest() const {
  return {writing_.data() + written_, std::min(writing_.size() - written_, kWriteBytes)};
}

void Connection::write_piece() {
  writing_now_ = true;
  write_deadline_ = shared_->clock.now() + shared_->options.write_timeout;
  stream_->write({rest()}, [self = shared_from_this()](const IoError& error, size_t written) {
    self->writing_now_ = false;
    self->on_written(error, written);
  });
}

void Connection::on_written(const IoError& error, size_t size) {
  if (phase_ == Phase::kClosed) {
    return;
  }
  if (error) {
    close();
    return;
  }
  const bool was_full = output_bytes() >= limits::kRespOutputBytesMax;
  written_ += size;
  if (was_full && phase_ == Phase::kOpen) {
    advance();
  } else {
    flush();
  }
}

// A socket that is closed with unread input throws away what the peer has not read yet.
void Connection::linger() {
  if (input_ended_) {
    close();
    return;
  }
  phase_ = Phase::kLingering;
  deadline_ = shared_->clock.now() + kLingerTimeout;
  stream_->finish_writing();
  input_begin_ = input_end_ = 0;
  read();
}

// ---- time and end -------------------------------------------------------------------------------

void Connection::on_sweep(Instant now) {
  if (writing_now_) {
    if (now >= write_deadline_) {
      close();
    }
    return;
  }
  if (in_flight() > 0) {
    // Nothing is read while a command is held behind one that waits, perhaps for a lock.
    if (held_ && phase_ == Phase::kOpen && stream_->peer_left()) {
      session_->on_gone();
    }
    return;
  }
  if (now >= deadline_) {
    close();
    return;
  }
  const Duration idle = shared_->options.idle_timeout;
  if (phase_ == Phase::kOpen && idle > Duration() && now >= used_at_ + idle) {
    close();
  }
}

void Connection::drain() {
  const bool is_idle = in_flight() == 0 && output_bytes() == 0 && input_begin_ == input_end_;
  if (phase_ == Phase::kHandshake || (phase_ == Phase::kOpen && is_idle)) {
    close();
  } else if (phase_ == Phase::kOpen) {
    session_->on_gone();
    advance();
  }
}

void Connection::close() {
  if (phase_ == Phase::kClosed) {
    return;
  }
  const std::shared_ptr<Connection> self = shared_from_this();  // forget() may drop the last one
  phase_ = Phase::kClosed;
  stream_->close();
  if (session_ != nullptr) {
    session_->on_gone();
  }
  shared_->forget(this);
}

}  // namespace quorate::edge::resp
