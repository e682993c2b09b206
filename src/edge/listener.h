// SPDX-License-Identifier: Apache-2.0
// Listener: a bound port that hands over each accepted connection as a Stream.
//
// It never gives up: when the process is out of descriptors or a peer vanished in the handshake of
// TCP, it waits a moment and goes on. How many connections are too many is the protocol's matter,
// because only the protocol can say so in words that its clients understand.
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <memory>
#include <string>

#include "base/function.h"
#include "base/status.h"
#include "edge/stream.h"
#include "edge/tls.h"

namespace quorate::edge {

struct ListenOptions {
  std::string address = "127.0.0.1";   // numeric, or "localhost"
  uint16_t port = 0;                   // 0: any free one
  TlsFiles tls;
};

class Listener {
 public:
  using Accepted = UniqueFunction<void(std::unique_ptr<Stream>)>;

  // Binds at once, so that a taken port is an error here and now. `loop` must outlive it.
  [[nodiscard]] static Result<std::unique_ptr<Listener>> open(boost::asio::io_context& loop,
                                                              const ListenOptions& options,
                                                              Accepted accepted);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  [[nodiscard]] uint16_t port() const;
  // No connection is handed over after this.
  void stop();

 private:
  struct State;
  explicit Listener(std::shared_ptr<State> state) : state_(std::move(state)) {}

  std::shared_ptr<State> state_;
};

}  // namespace quorate::edge
