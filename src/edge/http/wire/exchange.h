// SPDX-License-Identifier: Apache-2.0
// Exchange: one request and the place where its answer goes; shared by the Responders of a request.
// Only the server makes them; handlers know Request and Responder.
#pragma once

#include <memory>

#include "edge/http/wire/message.h"

namespace quorate::edge::http {

class Exchange {
 public:
  virtual ~Exchange() = default;
  [[nodiscard]] virtual const Request& request() const = 0;
  // The first answer counts; later ones are dropped.
  virtual void send(Response response) = 0;
  virtual void on_gone(UniqueFunction<void()> gone) = 0;
  [[nodiscard]] virtual std::shared_ptr<BodyStream> stream(Response response,
                                                           UniqueFunction<void()> gone) = 0;
};

}  // namespace quorate::edge::http
