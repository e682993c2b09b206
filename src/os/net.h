// SPDX-License-Identifier: Apache-2.0
// Net: frames between nodes over TCP, with TLS if asked.
//
// One connection per pair of nodes carries both directions, so that acknowledgements of TCP ride on
// data. Either side may dial. When both have, the connection that the lower node number dialled
// stays; a new one by the same side, or by another process of the peer, replaces the old one.
//
// Frames that a turn sends leave together in the send phase of the loop: one system call per peer.
// A link that is silent for Options::dead_after is closed; every link gives a sign of life each
// Options::keepalive. A lost link is dialled again after a few milliseconds, then in growing steps
// with jitter.
//
// A node that is not known by set_peer may still connect (a joining node does): its frames arrive,
// and answers go back over its own connection.
//
// Thread rule: the loop's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/status.h"
#include "base/time.h"
#include "env/net.h"
#include "os/loop.h"

namespace quorate::os {

// PEM files.
struct TlsFiles {
  std::string authority;
  std::string certificate;  // names this node: "node-<number>"; may be a chain
  std::string key;
};

class Net final : public env::Net {
 public:
  struct Options {
    NodeId self;
    uint64_t cluster = 0;  // 0: not known yet; such a node talks to any cluster
    std::string listen;    // "host:port"; port 0 takes a free one; empty: only dial
    std::optional<TlsFiles> tls;
    Duration keepalive = Duration::millis(250);
    Duration dead_after = Duration::millis(1'000);
    Duration connect_timeout = Duration::millis(1'000);  // until the peer's hello
    Duration redial_min = Duration::millis(10);
    Duration redial_max = Duration::millis(500);
  };

  struct Counters {
    uint64_t frames_sent = 0;
    uint64_t frames_received = 0;
    uint64_t bytes_sent = 0;
    uint64_t bytes_received = 0;
    uint64_t writes = 0;           // system calls, or records of TLS
    uint64_t dropped_no_link = 0;  // frames
    uint64_t dropped_full = 0;
    uint64_t dropped_size = 0;  // empty, or above the bound
    uint64_t dials = 0;
    uint64_t links_up = 0;
    uint64_t links_down = 0;
    uint64_t links_replaced = 0;  // by a newer connection, or never used beside an older one
    uint64_t refused_hello = 0;   // another cluster, node or version
    uint64_t refused_tls = 0;     // no or a wrong certificate
    uint64_t corrupt = 0;         // links closed for a bad checksum
    uint64_t oversized = 0;       // links closed for a frame above the bound
    uint64_t silent = 0;          // links closed by dead_after
  };

  [[nodiscard]] static Result<std::unique_ptr<Net>> open(Loop& loop, Options options);
  ~Net() override;

  void set_handler(env::NetHandler* handler) override;
  void set_peer(NodeId peer, const std::string& address) override;
  // Closes the link; the handler is not told.
  void remove_peer(NodeId peer) override;
  bool send(NodeId peer, std::string frame) override;
  [[nodiscard]] size_t queued_bytes(NodeId peer) const override;

  [[nodiscard]] bool linked(NodeId peer) const;
  // Where it listens; 0 if it does not.
  [[nodiscard]] uint16_t port() const;
  [[nodiscard]] const Counters& counters() const;
  // For a node that has learnt its cluster.
  void set_cluster(uint64_t cluster);

 private:
  class Core;
  explicit Net(std::unique_ptr<Core> core);

  std::unique_ptr<Core> core_;
};

}  // namespace quorate::os
