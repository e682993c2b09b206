// SPDX-License-Identifier: Apache-2.0
// LiveExchange: a request that came over a Connection. It owns the parsed message, into which the
// Request's views point. Internal to the folder.
#pragma once

#include <memory>

#include "edge/http/wire/connection.h"

namespace quorate::edge::http {

class LiveExchange final : public Exchange, public std::enable_shared_from_this<LiveExchange> {
 public:
  LiveExchange(const std::shared_ptr<Connection>& connection, Connection::Message message,
               std::string_view peer, Instant begun);
  ~LiveExchange() override;

  [[nodiscard]] const Request& request() const override { return request_; }
  void send(Response response) override;
  void on_gone(UniqueFunction<void()> gone) override;
  [[nodiscard]] std::shared_ptr<BodyStream> stream(Response response,
                                                   UniqueFunction<void()> gone) override;

  void set_match(Router::Route* route, Target target, Router::Match match);
  // Takes a Content-Encoding off the body. kTooLarge if that is then over `bytes_max`,
  // kInvalidArgument if the coding is unknown or the body is not in it.
  [[nodiscard]] Status decode_body(size_t bytes_max);
  void set_caller(CallerRef caller) { request_.caller = std::move(caller); }
  [[nodiscard]] Router::Route* route() const { return route_; }
  [[nodiscard]] Instant begun() const { return begun_; }
  [[nodiscard]] bool keep_alive() const { return message_.keep_alive(); }
  [[nodiscard]] bool old_version() const { return message_.version() < 11; }

 private:
  std::weak_ptr<Connection> connection_;
  Connection::Message message_;
  Request request_;
  std::string peer_;
  Instant begun_;
  Router::Route* route_ = nullptr;
  bool answered_ = false;
};

}  // namespace quorate::edge::http
