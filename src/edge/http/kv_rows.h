// SPDX-License-Identifier: Apache-2.0
// KvRows: one function per row of bind_kv's table. Internal to the folder.
#pragma once

#include "edge/http/kv_arguments.h"
#include "env/clock.h"
#include "service/kv/api.h"

namespace quorate::edge::http {

class KvRows {
 public:
  KvRows(service::kv::Api& api, const env::Clock& clock) : api_(api), clock_(clock) {}

  // One key; kv_single.cc.
  [[nodiscard]] Status put(const Request& request, const Responder& responder);
  [[nodiscard]] Status get(const Request& request, const Responder& responder);
  [[nodiscard]] Status remove(const Request& request, const Responder& responder);
  [[nodiscard]] Status touch(const Request& request, const Responder& responder);
  [[nodiscard]] Status increment(const Request& request, const Responder& responder);
  [[nodiscard]] Status append(const Request& request, const Responder& responder);
  [[nodiscard]] Status rate_limit(const Request& request, const Responder& responder);

  // Many keys; kv_many.cc.
  [[nodiscard]] Status put_many(const Request& request, const Responder& responder);
  [[nodiscard]] Status get_many(const Request& request, const Responder& responder);
  [[nodiscard]] Status delete_many(const Request& request, const Responder& responder);
  [[nodiscard]] Status touch_many(const Request& request, const Responder& responder);
  [[nodiscard]] Status scan(const Request& request, const Responder& responder);
  [[nodiscard]] Status stats(const Request& request, const Responder& responder);

 private:
  // Answers with what `write` puts into the JSON object, or with the failure.
  template <class T, class Write>
  auto answer(const Responder& responder, Write write) const;

  service::kv::Api& api_;
  const env::Clock& clock_;
};

void fail_from(const Responder& responder, const Status& status, const service::Origin& origin);

template <class T, class Write>
auto KvRows::answer(const Responder& responder, Write write) const {
  return [responder, write, this](const Status& status, const T& fields,
                                  const service::Origin& origin) {
    if (!status.ok()) {
      fail_from(responder, status, origin);
      return;
    }
    Response response;
    JsonWriter json(response.body);
    json.begin_object();
    write(fields, json, clock_.wall());
    json.end_object();
    response.body += '\n';
    add_origin(origin, response);
    responder.send(std::move(response));
  };
}

}  // namespace quorate::edge::http
