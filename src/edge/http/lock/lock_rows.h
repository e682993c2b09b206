// SPDX-License-Identifier: Apache-2.0
// LockRows: one function per row of bind_lock's table. Internal to the folder.
#pragma once

#include <memory>
#include <utility>

#include "edge/http/lock/lock_fields.h"
#include "edge/http/lock/lock_watch.h"
#include "env/clock.h"
#include "service/lock/api.h"

namespace quorate::edge::http {

// A request whose query parameters are known ones of its row.
struct LockAsked {
  const Request& request;
  service::lock::DomainId domain;
};

class LockRows {
 public:
  LockRows(service::lock::Api& api, const env::Clock& clock, env::Timer& timer)
      : api_(api), clock_(clock), watches_(std::make_shared<LockWatches>(api, clock, timer)) {}

  // What takes and gives locks; lock_hold.cc.
  [[nodiscard]] Status acquire(const LockAsked& asked, const Responder& responder);
  [[nodiscard]] Status acquire_many(const LockAsked& asked, const Responder& responder);
  [[nodiscard]] Status upgrade(const LockAsked& asked, const Responder& responder);
  [[nodiscard]] Status downgrade(const LockAsked& asked, const Responder& responder);
  [[nodiscard]] Status release(const LockAsked& asked, const Responder& responder);
  [[nodiscard]] Status lock(const LockAsked& asked, const Responder& responder);
  [[nodiscard]] Status unlock(const LockAsked& asked, const Responder& responder);

  // Owners, and what there is to see; lock_look.cc.
  [[nodiscard]] Status open(const LockAsked& asked, const Responder& responder);
  [[nodiscard]] Status renew(const LockAsked& asked, const Responder& responder);
  [[nodiscard]] Status close(const LockAsked& asked, const Responder& responder);
  [[nodiscard]] Status cancel(const LockAsked& asked, const Responder& responder);
  [[nodiscard]] Status break_lock(const LockAsked& asked, const Responder& responder);
  [[nodiscard]] Status owner(const LockAsked& asked, const Responder& responder);
  [[nodiscard]] Status wait_of(const LockAsked& asked, const Responder& responder);
  [[nodiscard]] Status info(const LockAsked& asked, const Responder& responder);
  [[nodiscard]] Status list(const LockAsked& asked, const Responder& responder);
  [[nodiscard]] Status stats(const LockAsked& asked, const Responder& responder);
  [[nodiscard]] Status watch(const LockAsked& asked, const Responder& responder) {
    return watches_->watch(asked.domain, asked.request, responder);
  }

 private:
  // Proposes it, and answers with what `write(answer, json, now)` puts into the JSON object, or
  // with the failure.
  template <class T, class Write>
  [[nodiscard]] Status propose(const LockAsked& asked, const service::lock::Command& command,
                               const Responder& responder, Write write);
  template <class T, class Write>
  [[nodiscard]] Status query(const LockAsked& asked, const service::lock::Query& query,
                             const Responder& responder, Write write);
  template <class T, class Write>
  [[nodiscard]] service::lock::Api::Done answer(const Responder& responder, Write write) const;
  // An Acquire or Upgrade of `who`: waits for it, while the client does.
  [[nodiscard]] Status take(const LockAsked& asked, const service::lock::OwnerRef& who,
                            const service::lock::Command& command, const Responder& responder);

  service::lock::Api& api_;
  const env::Clock& clock_;
  std::shared_ptr<LockWatches> watches_;
};

// "<name>_ms" and "<left>_ms": when it is, and how long from now; null for never.
void write_stamp(std::string_view name, std::string_view left, Stamp at, Stamp now,
                 JsonWriter& json);
void write_acquired(const service::lock::Acquired& acquired, Stamp now, JsonWriter& json);

template <class T, class Write>
service::lock::Api::Done LockRows::answer(const Responder& responder, Write write) const {
  return [this, responder, write](const service::lock::Answer& answer,
                                  const service::Origin& origin) {
    const T* const fields = std::get_if<T>(&answer);
    if (fields == nullptr) {
      const Status* const refusal = std::get_if<Status>(&answer);
      fail_from(responder,
                refusal != nullptr ? *refusal : Status(Code::kCorrupted, "another verb's answer"),
                origin);
      return;
    }
    Response response;
    JsonWriter json(response.body);
    json.begin_object();
    write(*fields, json, clock_.wall());
    json.end_object();
    response.body += '\n';
    add_origin(origin, response);
    responder.send(std::move(response));
  };
}

template <class T, class Write>
Status LockRows::propose(const LockAsked& asked, const service::lock::Command& command,
                         const Responder& responder, Write write) {
  const Result<service::lock::WriteOptions> options = read_lock_write(asked.request);
  RETURN_IF_ERROR(options);
  RETURN_IF_ERROR(service::lock::validate(command));
  api_.write(asked.domain, command, *options, answer<T>(responder, std::move(write)));
  return Status::success();
}

template <class T, class Write>
Status LockRows::query(const LockAsked& asked, const service::lock::Query& query,
                       const Responder& responder, Write write) {
  const Result<service::lock::ReadOptions> options = read_lock_read(asked.request);
  RETURN_IF_ERROR(options);
  RETURN_IF_ERROR(service::lock::validate(query));
  api_.read(asked.domain, query, *options, answer<T>(responder, std::move(write)));
  return Status::success();
}

}  // namespace quorate::edge::http
