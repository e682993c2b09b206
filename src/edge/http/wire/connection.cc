// SPDX-License-Identifier: Apache-2.0
// The input side: reading, parsing, dispatching, time-outs. The output side is in output.cc.
#include "edge/http/wire/connection.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "edge/http/wire/credentials.h"
#include "edge/http/wire/encoding.h"
#include "edge/http/wire/live_exchange.h"
#include "edge/http/wire/shared.h"

namespace quorate::edge::http {
namespace {

namespace beast = boost::beast::http;

// An idle connection costs this much of input buffer; a body is read in larger steps.
constexpr size_t kInputBytesIdle = 4 * 1024;
constexpr size_t kInputBytesBody = 64 * 1024;
constexpr size_t kLingerBytesMax = 4 * 1024 * 1024;

std::string allow_of(const std::vector<Method>& methods) {
  std::string text;
  for (const Method method : methods) {
    text.append(name_of(method)).append(method == Method::kGet ? ", HEAD, " : ", ");
  }
  return text + "OPTIONS";
}

// As of "/v1/kv/" and "/v1/locks//acquire".
bool has_gap(const Target& target) {
  return std::any_of(target.segments.begin(), target.segments.end(),
                     [](std::string_view segment) { return segment.empty(); });
}

// A browser sends what a page of any site has it send, with the credentials that it remembers, and
// to a node that is open on loopback it gets through. It tells whose page it was: a change that
// none of ours asks for is refused. Programs send neither header; answers to reads such a page
// cannot see.
bool is_of_another_site(const Request& request) {
  if (request.method == Method::kGet || request.method == Method::kHead ||
      request.method == Method::kOptions) {
    return false;
  }
  if (const auto site = request.header("Sec-Fetch-Site")) {
    return *site != "same-origin" && *site != "none";
  }
  const auto origin = request.header("Origin");
  const size_t scheme = origin.has_value() ? origin->find("://") : std::string_view::npos;
  return origin.has_value() &&
         (scheme == std::string_view::npos ||
          !boost::beast::iequals(boost::beast::string_view(origin->substr(scheme + 3)),
                                 boost::beast::string_view(request.header("Host").value_or(""))));
}

}  // namespace

Connection::Connection(std::shared_ptr<Server::Shared> shared, std::unique_ptr<Stream> stream)
    : shared_(std::move(shared)), stream_(std::move(stream)) {}

void Connection::enter(Phase phase, Duration allowed) {
  phase_ = phase;
  deadline_ = shared_->clock.now() + allowed;
}

void Connection::start(bool refuse) {
  enter(Phase::kHandshake, shared_->options.header_timeout);
  stream_->handshake([self = shared_from_this(), refuse](const IoError& error) {
    if (is_in_the_clear(error) && self->phase_ == Phase::kHandshake) {
      self->fail(400, Code::kInvalidArgument,
                 "this port speaks TLS: ask for https:// (quorate: --tls-authority FILE)");
    } else if (error || self->phase_ != Phase::kHandshake) {
      self->close();
    } else if (refuse) {
      self->fail(503, Code::kResourceExhausted,
                 "this node has as many connections as it takes; try another one, or later");
    } else {
      self->enter(Phase::kIdle, self->shared_->options.idle_timeout);
      self->read();
    }
  });
}

// Handles what has arrived, request after request, until something has to be waited for. A handler
// that answers inside its call comes back here by the loop, not by recursion.
void Connection::advance() {
  if (advancing_) {
    return;
  }
  advancing_ = true;
  const auto taking = [this] {
    const bool input = phase_ == Phase::kIdle || phase_ == Phase::kHead || phase_ == Phase::kBody;
    return input && output_bytes_ < limits::kHttpOutputBytesMax;
  };
  while (taking() && parse()) {
    dispatch();
  }
  advancing_ = false;
  const bool drained = phase_ == Phase::kIdle && shared_->draining && input_begin_ == input_end_;
  if (drained || (taking() && input_ended_)) {
    phase_ = Phase::kClosing;
  }
  flush();
  read();
}

// True if a whole request stands in the parser.
bool Connection::parse() {
  while (input_begin_ < input_end_) {
    if (phase_ == Phase::kIdle) {
      enter(Phase::kHead, shared_->options.header_timeout);
      head_seen_ = false;
      parser_.emplace();
      parser_->eager(true);
      parser_->header_limit(static_cast<uint32_t>(shared_->options.header_bytes_max));
      parser_->body_limit(shared_->options.body_bytes_max);
    }
    boost::system::error_code error;
    const size_t used = parser_->put(
        boost::asio::const_buffer(input_.data() + input_begin_, input_end_ - input_begin_), error);
    input_begin_ += used;
    if (error == beast::error::header_limit) {
      fail(431, Code::kTooLarge,
           "the request line and headers are over " +
               std::to_string(shared_->options.header_bytes_max) + " bytes");
      return false;
    }
    if (error == beast::error::body_limit) {
      fail(413, Code::kTooLarge,
           "the body is over " + std::to_string(shared_->options.body_bytes_max) + " bytes");
      return false;
    }
    if (error && error != beast::error::need_more) {
      fail(400, Code::kInvalidArgument, "this is not HTTP/1.1: " + error.message());
      return false;
    }
    if (parser_->is_header_done() && !head_seen_ && !after_head()) {
      return false;
    }
    if (parser_->is_done()) {
      return true;
    }
    if (used == 0) {
      return false;
    }
  }
  return false;
}

// False if the request is refused by its head alone.
bool Connection::after_head() {
  head_seen_ = true;
  const auto& head = parser_->get();
  const auto codings = head[beast::field::transfer_encoding];
  if (!codings.empty() && !boost::beast::iequals(codings, "chunked")) {
    // Nobody knows where such a body ends; read as none, its bytes would be the next request.
    fail(501, Code::kInvalidArgument, "a body may be chunked, and in no other transfer coding");
    return false;
  }
  if (parser_->is_done()) {
    return true;
  }
  enter(Phase::kBody, shared_->options.body_timeout);
  if (boost::beast::iequals(head[beast::field::expect], "100-continue")) {
    append("HTTP/1.1 100 Continue\r\n\r\n");
  }
  return true;
}

void Connection::dispatch() {
  phase_ = Phase::kHandling;
  deadline_ = Instant::never();  // a handler's own time-outs bound it
  auto exchange = std::make_shared<LiveExchange>(shared_from_this(), parser_->release(),
                                                 stream_->peer(), shared_->clock.now());
  parser_.reset();
  if (!exchange->old_version() && !exchange->request().header("host")) {
    exchange->send(error_response(Status(Code::kInvalidArgument, "HTTP/1.1 needs a Host header")));
    return;
  }
  route(exchange);
}

void Connection::route(const std::shared_ptr<LiveExchange>& exchange) {
  const Request& request = exchange->request();
  const std::string path(request.target.substr(0, request.target.find('?')));
  if (is_of_another_site(request)) {
    exchange->send(error_response(Status(Code::kPermissionDenied,
                                         "a page of another site asks for this; a program does not "
                                         "send Origin or Sec-Fetch-Site")));
    return;
  }
  std::optional<Target> target = parse_target(request.target);
  if (!target && !(request.method == Method::kOptions && request.target == "*")) {
    exchange->send(error_response(Status(Code::kInvalidArgument, "the target cannot be read")));
    return;
  }
  Router::Match match = target ? shared_->router.find(request.method, *target) : Router::Match();
  const bool known = !match.allowed.empty() || request.target == "*";
  if (match.route == nullptr && target && has_gap(*target)) {
    exchange->send(error_response(
        Status(Code::kInvalidArgument, "a name in the path " + path + " is empty (see /docs)")));
  } else if (match.route == nullptr && !known) {
    exchange->send(
        error_response(Status(Code::kNotFound, "no such path: " + path + " (see /docs)")));
  } else if (match.route == nullptr) {
    Response response;
    if (request.method == Method::kOptions) {
      response.status = 204;
    } else {
      response = error_response(Status(Code::kInvalidArgument,
                                       path + " does not take this method; see the Allow header"));
      response.status = 405;
    }
    response.headers.emplace_back("Allow", allow_of(match.allowed));
    exchange->send(std::move(response));
  } else if (match.bad_encoding) {
    exchange->send(error_response(
        Status(Code::kInvalidArgument, "a percent sign in a path is followed by two hex digits")));
  } else {
    Router::Route* found = match.route;
    exchange->set_match(found, std::move(*target), std::move(match));
    if (shared_->options.gate == nullptr || found->text.access == Access::kAnyone) {
      handle(exchange, shared_->options.body_bytes_max);
    } else {
      enter_gate(exchange);
    }
  }
}

// Who may not ask does not get a body unpacked either.
void Connection::handle(const std::shared_ptr<LiveExchange>& exchange, size_t body_bytes_max) {
  const Status status = exchange->decode_body(body_bytes_max);
  if (status.ok()) {
    exchange->route()->handler(exchange->request(), Responder(exchange));
    return;
  }
  Response response = error_response(status);
  if (status.code() == Code::kInvalidArgument) {
    response.status = 415;
    response.headers.emplace_back("Accept-Encoding", kCodingsTaken);
  }
  exchange->send(std::move(response));
}

void Connection::enter_gate(const std::shared_ptr<LiveExchange>& exchange) {
  const Result<Credentials> credentials =
      read_credentials(exchange->request().header("Authorization").value_or(""));
  const auto refuse = [](LiveExchange& refused, const Status& status) {
    Response response = error_response(status);
    if (status.code() == Code::kUnauthenticated) {
      response.headers.emplace_back("WWW-Authenticate", "Bearer, Basic realm=\"quorate\"");
    }
    refused.send(std::move(response));
  };
  if (!credentials.ok() || credentials->none()) {
    refuse(*exchange, credentials.ok()
                          ? Status(Code::kUnauthenticated,
                                   "show who you are: Authorization: Bearer TOKEN, or Basic")
                          : credentials.status());
    return;
  }
  shared_->options.gate->admit(
      *credentials, exchange->request().peer,
      [exchange, refuse,
       body_bytes_max = shared_->options.body_bytes_max](Result<CallerRef> caller) {
        if (!caller.ok()) {
          refuse(*exchange, caller.status());
          return;
        }
        exchange->set_caller(*caller);
        Router::Route& route = *exchange->route();
        if (route.text.access == Access::kAdmin && !(*caller)->administers()) {
          refuse(*exchange, Status(Code::kPermissionDenied,
                                   (*caller)->name() + " does not administer this cluster"));
          return;
        }
        handle(exchange, body_bytes_max);
      });
}

// What the audit log tells of: changes of the cluster itself, and whoever was turned away.
void Connection::note(const LiveExchange& exchange, int status) {
  const bool turned_away = status == 401 || status == 403;
  const bool concerns =
      exchange.route() != nullptr && exchange.route()->text.access == Access::kAdmin;
  const Request& request = exchange.request();
  const bool changes = concerns && request.method != Method::kGet;
  if (shared_->options.gate == nullptr || !(turned_away || changes)) {
    return;
  }
  const std::string deed = std::string(name_of(request.method)) + " " +
                           std::string(request.target.substr(0, request.target.find('?')));
  const CallerRef& caller = request.caller;
  shared_->options.gate->note(caller == nullptr ? "" : caller->name(), request.peer, deed,
                              std::to_string(status));
}

// The unparsed rest stays; the buffer grows only as far as a head may, or for the bulk of a body.
void Connection::make_room() {
  if (input_begin_ == input_end_) {
    input_begin_ = input_end_ = 0;
    const size_t wanted = phase_ == Phase::kBody ? kInputBytesBody : kInputBytesIdle;
    if (input_.size() < wanted || phase_ == Phase::kIdle) {
      input_.resize(wanted);
      input_.shrink_to_fit();
    }
    return;
  }
  if (input_end_ < input_.size()) {
    return;
  }
  std::memmove(input_.data(), input_.data() + input_begin_, input_end_ - input_begin_);
  input_end_ -= input_begin_;
  input_begin_ = 0;
  const size_t most =
      std::max(shared_->options.header_bytes_max + kInputBytesIdle, kInputBytesBody);
  if (input_end_ == input_.size() && input_.size() < most) {
    input_.resize(std::min(input_.size() * 2, most));
  }
}

void Connection::read() {
  const bool wanted = phase_ == Phase::kIdle || phase_ == Phase::kHead || phase_ == Phase::kBody ||
                      phase_ == Phase::kStreaming || phase_ == Phase::kLingering ||
                      (phase_ == Phase::kHandling && gone_);
  if (reading_ || !wanted || input_ended_) {
    return;
  }
  if (phase_ != Phase::kLingering && output_bytes_ >= limits::kHttpOutputBytesMax) {
    return;  // on_written() comes back
  }
  make_room();
  if (input_end_ == input_.size()) {
    return;  // no request is taken now, and the client has pipelined more than is held for it
  }
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
    on_end_of_input();
    return;
  }
  if (phase_ == Phase::kLingering || phase_ == Phase::kClosing) {
    lingered_bytes_ += size;
    if (lingered_bytes_ > kLingerBytesMax) {
      close();
    } else {
      read();
    }
    return;
  }
  input_end_ += size;
  advance();
}

// The client will send nothing more. What it asked before is still answered.
void Connection::on_end_of_input() {
  input_ended_ = true;
  if (phase_ == Phase::kHandling && !gone_) {
    return;  // advance() sees input_ended_ after the answer
  }
  if (phase_ == Phase::kIdle && output_bytes_ > 0) {
    phase_ = Phase::kClosing;
    return;
  }
  if (phase_ != Phase::kClosing) {
    close();
  }
}

void Connection::on_sweep(Instant now) {
  if (writing_ && now >= write_deadline_) {
    close();
    return;
  }
  if (phase_ == Phase::kStreaming && now >= ping_at_) {
    ping_at_ = now + shared_->options.stream_ping;
    write_stream(": still here\n\n");
    return;
  }
  if (now < deadline_ || output_bytes_ > 0) {
    return;
  }
  if (phase_ == Phase::kHead || phase_ == Phase::kBody) {
    fail(408, Code::kTimeout, "the request did not arrive in time");
  } else if (phase_ != Phase::kHandling && phase_ != Phase::kStreaming) {
    close();
  }
}

// Whoever reads on, so as to see the client leave, must be told so.
void Connection::watch_client(UniqueFunction<void()> gone) {
  gone_ = std::move(gone);
  read();
}

void Connection::tell_gone() {
  if (gone_) {
    UniqueFunction<void()> gone = std::move(gone_);
    gone_ = nullptr;
    gone();
  }
}

void Connection::drain() {
  if (phase_ == Phase::kStreaming) {
    tell_gone();
    if (phase_ == Phase::kStreaming) {
      finish_stream();
    }
  } else if (phase_ == Phase::kHandling && gone_) {
    tell_gone();
    if (phase_ == Phase::kHandling) {
      fail(503, Code::kUnavailable, "this node stops; ask another one");
    }
  } else if (phase_ == Phase::kHandshake) {
    close();
  } else if (phase_ == Phase::kIdle) {
    phase_ = Phase::kClosing;
    flush();
  }
}

void Connection::close() {
  if (phase_ == Phase::kClosed) {
    return;
  }
  const std::shared_ptr<Connection> self = shared_from_this();  // forget() may drop the last one
  phase_ = Phase::kClosed;
  stream_->close();
  tell_gone();
  shared_->forget(this);
}

}  // namespace quorate::edge::http
