// SPDX-License-Identifier: Apache-2.0
// Connection: one peer that speaks the Redis protocol.
//
//   handshake -> open -> closing -> lingering -> closed
//
//   input_  [understood | in the making | room]      parser, then session: one command at a time
//   slots_  [head_ ... next_)                        replies of commands in flight, in their order
//   out_    replies that are complete; leaves as writing_ in one write
//
// A reply whose turn has come is written into out_; one that comes early waits in its slot. So a
// session may have many commands in flight while the peer sees them answered one after the other.
// Callbacks hold the connection weakly or strongly as they like: after close() a reply goes
// nowhere.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/histogram.h"
#include "edge/resp/wire/parser.h"
#include "edge/resp/wire/reply.h"
#include "edge/resp/wire/server.h"
#include "edge/stream.h"

namespace quorate::edge::resp {

// The place of a reply to come.
using Ticket = uint64_t;

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  struct Origin {
    uint64_t id = 0;    // grows from 1, never used again
    uint16_t port = 0;  // that it came to
  };

  Connection(std::shared_ptr<Server::Shared> shared, std::unique_ptr<Stream> stream, Origin origin);
  ~Connection();

  // ---- for the server -----------------------------------------------------------------------
  // `refuse`: answer that there are too many connections, and close.
  void start(bool refuse);
  void on_woken();
  void on_sweep(Instant now);
  void drain();
  void close();

  // ---- for its session ----------------------------------------------------------------------
  // For an answer at once. Before: nothing is in flight.
  [[nodiscard]] Reply reply();
  // Keeps the place of a reply to come; its time is recorded in `seconds`, if there is one.
  [[nodiscard]] Ticket begin(Histogram* seconds);
  // The reply of that place: `write` appends one whole reply, at once. Once per ticket.
  template <class Write>
  void finish(Ticket ticket, Write&& write) {
    if (phase_ == Phase::kClosed) {
      return;
    }
    std::string& place = place_of(ticket);
    const size_t begin = place.size();
    Reply reply(place, protocol_);
    std::forward<Write>(write)(reply);
    if (place.size() > begin && place[begin] == '-') {
      note_error(std::string_view(place).substr(begin + 1));
    }
    finished(ticket);
  }
  // After what is in flight has been answered: nothing more is taken, and the connection ends.
  void end();
  // No replies are sent while it is set; those of commands that are in flight still are.
  void mute(bool muted) { muted_ = muted; }
  // As mute, for the next command only.
  void skip_next() { skip_ = Skip::kNext; }
  void set_protocol(int protocol) { protocol_ = protocol; }

  [[nodiscard]] size_t in_flight() const { return static_cast<size_t>(next_ - head_); }
  [[nodiscard]] int protocol() const { return protocol_; }
  [[nodiscard]] uint64_t id() const { return origin_.id; }
  [[nodiscard]] uint16_t port() const { return origin_.port; }
  [[nodiscard]] const std::string& peer() const { return peer_; }
  [[nodiscard]] Instant since() const { return since_; }
  [[nodiscard]] Instant used_at() const { return used_at_; }
  [[nodiscard]] size_t input_bytes() const { return input_end_ - input_begin_; }
  [[nodiscard]] size_t input_room() const { return input_.size() - input_bytes(); }
  [[nodiscard]] size_t output_bytes() const;
  [[nodiscard]] Session* session() { return session_.get(); }

 private:
  enum class Phase : uint8_t { kHandshake, kOpen, kClosing, kLingering, kClosed };
  enum class Skip : uint8_t { kNone, kNext, kThis };
  struct Slot {
    std::string bytes;
    Histogram* seconds = nullptr;
    Instant begun;
    bool done = false;
    bool muted = false;
  };

  void advance();
  [[nodiscard]] bool may_take() const;
  [[nodiscard]] bool take_next();
  void offer(Arguments arguments);
  void fail(const std::string& text);
  void read();
  void on_read(const IoError& error, size_t size);
  void make_room();
  void note_partial();
  void flush();
  [[nodiscard]] boost::asio::const_buffer rest() const;
  void write_piece();
  void on_written(const IoError& error, size_t size);
  void linger();
  [[nodiscard]] std::string& place_of(Ticket ticket);
  void note_error(std::string_view text);
  void finished(Ticket ticket);
  void grow_slots();
  [[nodiscard]] Slot& slot(Ticket ticket) { return slots_[ticket & (slots_.size() - 1)]; }

  std::shared_ptr<Server::Shared> shared_;
  std::unique_ptr<Stream> stream_;
  std::unique_ptr<Session> session_;
  const Origin origin_;
  const std::string peer_;
  const Instant since_;
  Instant used_at_;
  Instant deadline_ = Instant::never();  // of a phase, or of a command in the making
  Instant write_deadline_ = Instant::never();
  int protocol_ = 2;
  Phase phase_ = Phase::kHandshake;
  Skip skip_ = Skip::kNone;
  bool muted_ = false;
  bool advancing_ = false;
  bool reading_ = false;
  bool writing_now_ = false;
  bool input_ended_ = false;
  bool held_ = false;  // a command was offered and not taken: its views must stay good
  bool woken_ = false;

  Parser parser_;
  std::string input_;  // [input_begin_, input_end_) has arrived and is not consumed
  size_t input_begin_ = 0;
  size_t input_end_ = 0;
  bool filled_ = false;  // the last read took all the room: there was probably more

  std::vector<Slot> slots_;  // a ring; its size is a power of two, or zero
  Ticket head_ = 0;
  Ticket next_ = 0;
  std::string dropped_;  // what a muted command says, until it is thrown away

  std::string out_;
  std::string writing_;
  size_t written_ = 0;  // of writing_
  size_t lingered_bytes_ = 0;
};

}  // namespace quorate::edge::resp
