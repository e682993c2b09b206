// SPDX-License-Identifier: Apache-2.0
// Session: whoever understands the commands of one connection; the connection itself knows only
// their bytes. There is one per connection, made by the Server's SessionMaker.
#pragma once

#include <cstdint>
#include <memory>

#include "base/function.h"
#include "edge/resp/wire/parser.h"

namespace quorate::edge::resp {

class Connection;

class Session {
 public:
  enum class Taken : uint8_t {
    kYes,    // answered, or begun (Connection::begin)
    kLater,  // nothing was done: offer it again when something that is in flight has ended
  };
  virtual ~Session() = default;
  // `arguments` are views that are good during the call only. Before kLater: something is in
  // flight.
  [[nodiscard]] virtual Taken take(Arguments arguments) = 0;
  // The peer has gone, or will send nothing more, or the server stops: what waits for something
  // that may be long in coming should end now. May come more than once.
  virtual void on_gone() {}
};

// The session must not keep the connection alive; the connection owns it.
using SessionMaker = UniqueFunction<std::unique_ptr<Session>(Connection&)>;

}  // namespace quorate::edge::resp
