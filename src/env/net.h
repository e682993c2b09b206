// SPDX-License-Identifier: Apache-2.0
// Net: frames between the nodes of one cluster. Best effort: a frame may be lost, and in the
// simulator also delayed, reordered or doubled; it is never altered unnoticed (the transport
// checks it) and its sender is who the transport says (mutual TLS where that is on).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/ids.h"

namespace quorate::env {

class NetHandler {
 public:
  virtual ~NetHandler() = default;
  // `frame` is valid during the call only.
  virtual void on_frame(NodeId from, std::string_view frame) = 0;
  // The link to a peer came up or went down; frames sent before may be lost either way.
  virtual void on_link(NodeId peer, bool up) = 0;
};

class Net {
 public:
  virtual ~Net() = default;

  // Frames that arrive before a handler is set are dropped.
  virtual void set_handler(NetHandler* handler) = 0;
  // Where a peer listens ("host:port"). Links are made and remade in the background.
  virtual void set_peer(NodeId peer, const std::string& address) = 0;
  virtual void remove_peer(NodeId peer) = 0;
  // False if the frame was dropped at once: no such peer, no link, or its queue is full.
  virtual bool send(NodeId peer, std::string frame) = 0;
  [[nodiscard]] virtual size_t queued_bytes(NodeId peer) const = 0;
};

}  // namespace quorate::env
