// SPDX-License-Identifier: Apache-2.0
// Connection: one client of the HTTP server, as a machine of phases. Internal to the folder.
//
//   handshake -> idle -> head -> body -> handling -> idle ...      streaming -> idle
//                  \________ any error ________> closing -> lingering -> closed
//
// "Closing" writes the last answer; "lingering" has sent the end of the stream and reads on for a
// moment, because a socket closed with unread input makes TCP throw the last answer away.
#pragma once

#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "edge/http/wire/exchange.h"
#include "edge/http/wire/server.h"
#include "edge/stream.h"

namespace quorate::edge::http {

class LiveExchange;

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  using Message = boost::beast::http::request<boost::beast::http::string_body>;

  Connection(std::shared_ptr<Server::Shared> shared, std::unique_ptr<Stream> stream);

  // `refuse`: answer "too many connections" and close.
  void start(bool refuse);
  void on_sweep(Instant now);
  void drain();
  void close();

  // ---- for LiveExchange and LiveStream ------------------------------------------------------
  void answer(const LiveExchange& exchange, Response response);
  void watch_client(UniqueFunction<void()> gone);
  bool begin_stream(const LiveExchange& exchange, Response response, UniqueFunction<void()> gone);
  bool write_stream(std::string_view bytes);
  void finish_stream();
  [[nodiscard]] bool streaming() const { return phase_ == Phase::kStreaming; }
  [[nodiscard]] size_t output_bytes() const { return output_bytes_; }

 private:
  using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;
  enum class Phase : uint8_t {
    kHandshake,
    kIdle,
    kHead,
    kBody,
    kHandling,
    kStreaming,
    kClosing,
    kLingering,
    kClosed
  };

  enum class Length : uint8_t { kKnown, kChunked, kUntilClose };

  void advance();
  bool parse();
  [[nodiscard]] bool after_head();
  void dispatch();
  void route(const std::shared_ptr<LiveExchange>& exchange);
  void enter_gate(const std::shared_ptr<LiveExchange>& exchange);
  static void handle(const std::shared_ptr<LiveExchange>& exchange, size_t body_bytes_max);
  void note(const LiveExchange& exchange, int status);
  void read();
  void on_read(const IoError& error, size_t size);
  void on_end_of_input();
  void tell_gone();
  void make_room();
  void append(std::string bytes);
  void append_head(const Response& response, bool keep_alive, Length length);
  void append_chunk(std::string_view bytes);
  void flush();
  void on_written(const IoError& error, size_t size);
  void end_answer(bool keep_alive);
  void fail(int status, Code code, std::string text);
  void linger();
  void enter(Phase phase, Duration allowed);

  std::shared_ptr<Server::Shared> shared_;
  std::unique_ptr<Stream> stream_;
  Phase phase_ = Phase::kHandshake;
  Instant deadline_ = Instant::never();        // of the phase
  Instant write_deadline_ = Instant::never();  // of the write under way
  Instant ping_at_ = Instant::never();
  bool advancing_ = false;
  bool reading_ = false;
  bool writing_ = false;
  bool input_ended_ = false;

  std::string input_;  // [input_begin_, input_end_) has arrived and is not parsed
  size_t input_begin_ = 0;
  size_t input_end_ = 0;
  std::optional<Parser> parser_;
  bool head_seen_ = false;

  std::deque<std::string> output_;
  size_t output_offset_ = 0;  // of the first piece, already written
  size_t output_bytes_ = 0;

  UniqueFunction<void()> gone_;  // while streaming, or handling what may take long
  bool stream_chunked_ = false;
  bool stream_keep_alive_ = false;
  bool stream_events_ = false;
  size_t lingered_bytes_ = 0;
};

}  // namespace quorate::edge::http
