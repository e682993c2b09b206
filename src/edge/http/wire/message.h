// SPDX-License-Identifier: Apache-2.0
// Request and Response: what a handler sees of HTTP, and the Responder through which it answers,
// now or later.
//
// A Request lives as long as any Responder of it. A Responder answers once; if all copies go
// without an answer, the client gets an internal error rather than silence. Answering after the
// client has gone is harmless. All of it on the loop of the server.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/caller.h"
#include "base/function.h"
#include "base/status.h"

namespace quorate::edge::http {

enum class Method : uint8_t { kGet, kHead, kPut, kPost, kDelete, kOptions, kOther };
[[nodiscard]] std::string_view name_of(Method method);

struct Request {
  Method method = Method::kOther;
  std::string_view target;                                             // as it was sent
  std::vector<std::pair<std::string_view, std::string_view>> headers;  // names as they were sent
  std::vector<std::pair<std::string, std::string>> query;              // decoded
  std::vector<std::pair<std::string_view, std::string>> parameters;    // of the path, decoded
  std::string_view body;
  std::string_view peer;
  CallerRef caller;                                                    // null: may do everything

  // The first of that name, whatever its case.
  [[nodiscard]] std::optional<std::string_view> header(std::string_view name) const;
  [[nodiscard]] std::optional<std::string_view> query_value(std::string_view name) const;
  // Before: the route's pattern names it.
  [[nodiscard]] const std::string& parameter(std::string_view name) const;
};

struct Response {
  int status = 200;
  std::string_view content_type = "application/json";  // a literal
  std::string body = {};
  std::vector<std::pair<std::string_view, std::string>> headers = {};  // names are literals
};

// {"error":{"code","message","retry","details"}} with the HTTP status of the code's row.
// `details` is a JSON object or empty.
[[nodiscard]] Response error_response(const Status& status, std::string_view details = {});

// A body whose end is not known yet: chunked, or server-sent events.
class BodyStream {
 public:
  virtual ~BodyStream() = default;
  // False if the client has gone, or reads so slowly that more than limits::kHttpStreamBytesMax
  // waited already; the stream is then closed. One piece may be of any size.
  virtual bool write(std::string_view bytes) = 0;
  virtual void finish() = 0;
  [[nodiscard]] virtual bool open() const = 0;
  [[nodiscard]] virtual size_t queued_bytes() const = 0;
};

// One event of text/event-stream; `id` and `event` may be empty, and hold no line feeds.
[[nodiscard]] std::string sse_event(std::string_view event, std::string_view id,
                                    std::string_view data);

class Exchange;

class Responder {
 public:
  explicit Responder(std::shared_ptr<Exchange> exchange) : exchange_(std::move(exchange)) {}

  [[nodiscard]] const Request& request() const;
  void send(Response response) const;
  void fail(const Status& status, std::string_view details = {}) const;
  // For an answer that may be long in coming: `gone` runs at most once, when the client leaves
  // before there is one (a client that closes its half of the connection has left), or when the
  // server stops; it should answer, for the second case. Nothing happens if the answer is given.
  void on_gone(UniqueFunction<void()> gone) const;
  // The head of `response` goes out at once, its body (if any) as the first piece. `gone` runs at
  // most once, when the client leaves before finish().
  [[nodiscard]] std::shared_ptr<BodyStream> stream(Response response,
                                                   UniqueFunction<void()> gone) const;

 private:
  std::shared_ptr<Exchange> exchange_;
};

}  // namespace quorate::edge::http
