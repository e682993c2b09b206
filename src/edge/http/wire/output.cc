// SPDX-License-Identifier: Apache-2.0
// The output side of a Connection: heads, bodies, chunks, and the one write under way.
#include <algorithm>
#include <boost/beast/http/status.hpp>

#include "base/assert.h"
#include "edge/http/wire/connection.h"
#include "edge/http/wire/encoding.h"
#include "edge/http/wire/live_exchange.h"
#include "edge/http/wire/shared.h"

namespace quorate::edge::http {
namespace {

// One write call takes at most this much, so that the write time-out measures progress.
constexpr size_t kWriteBytesMax = 256 * 1024;
constexpr size_t kWritePiecesMax = 32;
// A smaller body is copied behind its head; a larger one is a piece of its own.
constexpr size_t kInlineBodyBytes = 4 * 1024;
constexpr Duration kLingerTime = Duration::seconds(2);

bool has_no_body(int status) { return status < 200 || status == 204 || status == 304; }

// What a client sent must not become a header of ours.
void append_header(std::string_view name, std::string_view value, std::string& out) {
  out.append(name).append(": ");
  for (const char c : value) {
    out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c;
  }
  out += "\r\n";
}

// The answer to a HEAD is told to be as long as that to a GET, so it is packed as well.
void encode_body(const Request& request, Response& response) {
  const size_t size = response.body.size();
  if (size < limits::kHttpCompressBytesMin || size > limits::kHttpCompressBytesMax) {
    return;
  }
  response.headers.emplace_back("Vary", "Accept-Encoding");
  std::string packed;
  const Coding coding = choose_coding(request.header("Accept-Encoding").value_or(""));
  if (pack(coding, response.body, packed)) {
    response.headers.emplace_back("Content-Encoding", name_of(coding));
    response.body = std::move(packed);
  }
}

}  // namespace

void Connection::append(std::string bytes) {
  if (bytes.empty()) {
    return;
  }
  output_bytes_ += bytes.size();
  const bool joins = !output_.empty() && !writing_ &&
                     output_.back().size() + bytes.size() <= kInlineBodyBytes * 4;
  if (joins) {
    output_.back() += bytes;
  } else {
    output_.push_back(std::move(bytes));
  }
}

void Connection::append_head(const Response& response, bool keep_alive, Length length) {
  std::string head;
  head.reserve(256 + (response.body.size() <= kInlineBodyBytes ? response.body.size() : 0));
  const auto reason = boost::beast::http::obsolete_reason(
      boost::beast::http::int_to_status(static_cast<unsigned>(response.status)));
  head.append("HTTP/1.1 ").append(std::to_string(response.status)).append(" ");
  head.append(reason.data(), reason.size()).append("\r\n");
  append_header("Date", shared_->date, head);
  if (!has_no_body(response.status)) {
    append_header("Content-Type", response.content_type, head);
    if (length == Length::kChunked) {
      append_header("Transfer-Encoding", "chunked", head);
    } else if (length == Length::kKnown) {
      append_header("Content-Length", std::to_string(response.body.size()), head);
    }
  }
  append_header("Connection", keep_alive ? "keep-alive" : "close", head);
  for (const auto& [name, value] : response.headers) {
    append_header(name, value, head);
  }
  head += "\r\n";
  append(std::move(head));
}

void Connection::answer(const LiveExchange& exchange, Response response) {
  if (phase_ != Phase::kHandling) {
    return;  // the client has gone
  }
  gone_ = nullptr;
  const bool keep_alive = exchange.keep_alive() && !shared_->draining;
  encode_body(exchange.request(), response);
  append_head(response, keep_alive, Length::kKnown);
  if (exchange.request().method != Method::kHead && !has_no_body(response.status)) {
    append(std::move(response.body));
  }
  shared_->count(exchange.route(), response.status, shared_->clock.now() - exchange.begun());
  note(exchange, response.status);
  end_answer(keep_alive);
}

void Connection::end_answer(bool keep_alive) {
  if (!keep_alive) {
    phase_ = Phase::kClosing;
    if (!advancing_) {
      flush();
    }
    return;
  }
  enter(Phase::kIdle, shared_->options.idle_timeout);
  advance();
}

bool Connection::begin_stream(const LiveExchange& exchange, Response response,
                              UniqueFunction<void()> gone) {
  if (phase_ != Phase::kHandling) {
    return false;
  }
  shared_->count(exchange.route(), response.status, shared_->clock.now() - exchange.begun());
  note(exchange, response.status);
  stream_chunked_ = !exchange.old_version();
  stream_keep_alive_ = stream_chunked_ && exchange.keep_alive() && !shared_->draining;
  stream_events_ = response.content_type == "text/event-stream";
  const std::string first = std::move(response.body);
  response.body.clear();
  append_head(response, stream_keep_alive_,
              stream_chunked_ ? Length::kChunked : Length::kUntilClose);
  phase_ = Phase::kStreaming;
  deadline_ = Instant::never();
  ping_at_ = stream_events_ ? shared_->clock.now() + shared_->options.stream_ping
                            : Instant::never();
  gone_ = std::move(gone);
  append_chunk(first);
  flush();
  read();
  return phase_ == Phase::kStreaming;
}

void Connection::append_chunk(std::string_view bytes) {
  if (bytes.empty()) {
    return;  // an empty chunk would end the body
  }
  if (!stream_chunked_) {
    append(std::string(bytes));
    return;
  }
  static constexpr char kHex[] = "0123456789abcdef";
  std::string size;
  for (size_t n = bytes.size(); n > 0; n >>= 4) {
    size.insert(size.begin(), kHex[n & 15]);
  }
  append(size.append("\r\n").append(bytes).append("\r\n"));
}

bool Connection::write_stream(std::string_view bytes) {
  if (phase_ != Phase::kStreaming) {
    return false;
  }
  if (output_bytes_ > limits::kHttpStreamBytesMax) {
    close();
    return false;
  }
  append_chunk(bytes);
  flush();
  return phase_ == Phase::kStreaming;
}

void Connection::finish_stream() {
  ASSERT(phase_ == Phase::kStreaming);
  if (stream_chunked_) {
    append("0\r\n\r\n");
  }
  gone_ = nullptr;
  end_answer(stream_keep_alive_ && !shared_->draining);
}

// An answer to what is not a request; the connection cannot go on, for nobody knows where the next
// request would begin.
void Connection::fail(int status, Code code, std::string text) {
  Response response = error_response(Status(code, std::move(text)));
  response.status = status;
  append_head(response, false, Length::kKnown);
  append(std::move(response.body));
  shared_->count(nullptr, status, Duration());
  phase_ = Phase::kClosing;
  deadline_ = Instant::never();
  flush();
}

void Connection::flush() {
  if (writing_ || phase_ == Phase::kClosed) {
    return;
  }
  if (output_.empty()) {
    if (phase_ == Phase::kClosing) {
      linger();
    }
    return;
  }
  std::vector<boost::asio::const_buffer> pieces;
  size_t size = 0;
  size_t skip = output_offset_;
  for (const std::string& piece : output_) {
    const size_t take = std::min(piece.size() - skip, kWriteBytesMax - size);
    pieces.emplace_back(piece.data() + skip, take);
    size += take;
    skip = 0;
    if (size == kWriteBytesMax || pieces.size() == kWritePiecesMax) {
      break;
    }
  }
  writing_ = true;
  write_deadline_ = shared_->clock.now() + shared_->options.write_timeout;
  stream_->write(std::move(pieces),
                 [self = shared_from_this()](const IoError& error, size_t written) {
                   self->writing_ = false;
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
  ASSERT(size <= output_bytes_);
  output_bytes_ -= size;
  size += output_offset_;
  while (!output_.empty() && size >= output_.front().size()) {
    size -= output_.front().size();
    output_.pop_front();
  }
  output_offset_ = size;
  flush();
  if (!writing_ && (phase_ == Phase::kIdle || phase_ == Phase::kHead || phase_ == Phase::kBody)) {
    advance();  // it had stopped if the reader was slow
  }
}

void Connection::linger() {
  if (input_ended_) {
    close();
    return;
  }
  stream_->finish_writing();
  enter(Phase::kLingering, kLingerTime);
  input_begin_ = input_end_ = 0;
  read();
}

}  // namespace quorate::edge::http
