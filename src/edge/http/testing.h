// SPDX-License-Identifier: Apache-2.0
// For tests of bindings: a request is put to the router without a socket in between, and the answer
// is caught.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "edge/http/wire/exchange.h"
#include "edge/http/wire/router.h"

namespace quorate::edge::http {

// A stream whose bytes are kept.
class CaughtStream final : public BodyStream {
 public:
  bool write(std::string_view piece) override {
    bytes.append(is_open ? piece : std::string_view());
    return is_open;
  }
  void finish() override { is_open = false; }
  [[nodiscard]] bool open() const override { return is_open; }
  [[nodiscard]] size_t queued_bytes() const override { return queued; }

  std::string bytes;
  size_t queued = 0;
  bool is_open = true;
};

class CaughtExchange final : public Exchange {
 public:
  [[nodiscard]] const Request& request() const override { return the_request; }
  void send(Response response) override {
    if (!answered) {
      answered = true;
      answer = std::move(response);
      gone_ = nullptr;
    }
  }
  void on_gone(UniqueFunction<void()> gone) override {
    if (!answered) {
      gone_ = std::move(gone);
    }
  }
  // As the client would.
  void leave() {
    UniqueFunction<void()> gone = std::move(gone_);
    gone_ = nullptr;
    gone();
  }
  [[nodiscard]] std::shared_ptr<BodyStream> stream(Response head, UniqueFunction<void()>) override {
    send(std::move(head));
    caught = std::make_shared<CaughtStream>();
    return caught;
  }

  Request the_request;
  std::string target;
  std::string body;
  bool answered = false;
  Response answer;
  std::shared_ptr<CaughtStream> caught;

 private:
  UniqueFunction<void()> gone_;
};

using TestHeaders = std::vector<std::pair<std::string_view, std::string_view>>;

// The exchange after the handler has returned; the answer may still be to come.
[[nodiscard]] inline std::shared_ptr<CaughtExchange> begin(Router& router, Method method,
                                                           std::string target,
                                                           std::string body = {},
                                                           TestHeaders headers = {}) {
  auto exchange = std::make_shared<CaughtExchange>();
  exchange->target = std::move(target);
  exchange->body = std::move(body);
  Request& request = exchange->the_request;
  request.method = method;
  request.target = exchange->target;
  request.body = exchange->body;
  request.headers = std::move(headers);
  std::optional<Target> parsed = parse_target(request.target);
  if (!parsed) {
    exchange->send(error_response(Status(Code::kInvalidArgument, "target")));
    return exchange;
  }
  Router::Match match = router.find(method, *parsed);
  if (match.route == nullptr) {
    exchange->send(error_response(Status(Code::kNotFound, "path")));
    return exchange;
  }
  request.query = std::move(parsed->query);
  request.parameters = std::move(match.parameters);
  match.route->handler(request, Responder(exchange));
  return exchange;
}

// For handlers that answer within their call; status 0 if it did not.
[[nodiscard]] inline Response ask(Router& router, Method method, std::string target,
                                  std::string body = {}, TestHeaders headers = {}) {
  const auto exchange =
      begin(router, method, std::move(target), std::move(body), std::move(headers));
  return exchange->answered ? exchange->answer : Response{.status = 0};
}

}  // namespace quorate::edge::http
