// SPDX-License-Identifier: Apache-2.0
// KvRows: one function per row of bind_kv's table. Internal to the folder.
#pragma once

#include <memory>

#include "edge/http/kv_arguments.h"
#include "edge/http/kv_watch.h"
#include "env/clock.h"
#include "service/kv/api.h"

namespace quorate::edge::http {

// A request whose query parameters are known ones of its row.
struct Asked {
  const Request& request;
  service::kv::KeyspaceId keyspace;
};

class KvRows {
 public:
  KvRows(service::kv::Api& api, const env::Clock& clock, env::Timer& timer)
      : api_(api), clock_(clock), watches_(std::make_shared<WatchPump>(api, clock, timer)) {}

  // One key; kv_single.cc.
  [[nodiscard]] Status put(const Asked& asked, const Responder& responder);
  [[nodiscard]] Status get(const Asked& asked, const Responder& responder);
  [[nodiscard]] Status remove(const Asked& asked, const Responder& responder);
  [[nodiscard]] Status touch(const Asked& asked, const Responder& responder);
  [[nodiscard]] Status increment(const Asked& asked, const Responder& responder);
  [[nodiscard]] Status append(const Asked& asked, const Responder& responder);
  [[nodiscard]] Status set_range(const Asked& asked, const Responder& responder);
  [[nodiscard]] Status rate_limit(const Asked& asked, const Responder& responder);

  // Many keys; kv_many.cc.
  [[nodiscard]] Status put_many(const Asked& asked, const Responder& responder);
  [[nodiscard]] Status get_many(const Asked& asked, const Responder& responder);
  [[nodiscard]] Status delete_many(const Asked& asked, const Responder& responder);
  [[nodiscard]] Status touch_many(const Asked& asked, const Responder& responder);
  [[nodiscard]] Status delete_range(const Asked& asked, const Responder& responder);
  [[nodiscard]] Status scan(const Asked& asked, const Responder& responder);
  [[nodiscard]] Status stats(const Asked& asked, const Responder& responder);

  // Indexes; kv_index.cc.
  [[nodiscard]] Status create_index(const Asked& asked, const Responder& responder);
  [[nodiscard]] Status drop_index(const Asked& asked, const Responder& responder);
  [[nodiscard]] Status indexes(const Asked& asked, const Responder& responder);
  [[nodiscard]] Status find(const Asked& asked, const Responder& responder);

  // Whole groups; kv_dump.cc.
  [[nodiscard]] Status dump(const Asked& asked, const Responder& responder);
  [[nodiscard]] Status trail(const Asked& asked, const Responder& responder);

  [[nodiscard]] Status txn(const Asked& asked, const Responder& responder);  // kv_txn.cc
  [[nodiscard]] Status watch(const Asked& asked, const Responder& responder) {
    return watches_->watch(asked.keyspace, asked.request, responder);
  }

 private:
  // Answers with what `write` puts into the JSON object, or with the failure.
  template <class T, class Write>
  auto answer(const Responder& responder, Write write) const;

  service::kv::Api& api_;
  const env::Clock& clock_;
  std::shared_ptr<WatchPump> watches_;
};

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
