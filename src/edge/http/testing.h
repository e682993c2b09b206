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

class CaughtExchange final : public Exchange {
 public:
  [[nodiscard]] const Request& request() const override { return the_request; }
  void send(Response response) override {
    if (!answered) {
      answered = true;
      answer = std::move(response);
    }
  }
  [[nodiscard]] std::shared_ptr<BodyStream> stream(Response, UniqueFunction<void()>) override {
    return nullptr;
  }

  Request the_request;
  std::string target;
  std::string body;
  bool answered = false;
  Response answer;
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
