// SPDX-License-Identifier: Apache-2.0
// Network: the links between virtual nodes, and Net, what one process sees of them.
//
// A link has two directions, each with a state of its own:
//   up / down     known to the processes (on_link); a down link refuses frames and loses those
//                 under way; it is remade in the background
//   open / cut    not known to them: a cut direction swallows frames. After a while the transport
//                 notices that nothing is acknowledged, and the link goes down.
// Between open ends a frame takes the time of its bytes, then a random delay; it keeps its order
// unless chance says otherwise; it may be lost or doubled. Frames may even reach a later process of
// the same node: no protocol above may rely on a connection.
//
// As with the real net (os/net.h), a node that was not told of a peer can be called by it, and
// answers over the link that the peer made, for as long as that lives.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "env/net.h"
#include "sim/world.h"

namespace quorate::sim {

struct LinkModel {
  Duration delay_min = Duration::micros(50);
  Duration delay_max = Duration::micros(400);
  // Once in a while a frame takes up to this long (a retransmission).
  Duration delay_rare_max = Duration::millis(40);
  uint32_t rare_ppm = 1'000;
  uint32_t loss_ppm = 0;
  uint32_t duplicate_ppm = 0;
  uint32_t reorder_ppm = 0;
  uint64_t bytes_per_second = 200'000'000;
  size_t queue_bytes_max = 16 * 1024 * 1024;
};

struct NetworkStats {
  uint64_t frames = 0;
  uint64_t bytes = 0;
  uint64_t lost = 0;
  uint64_t doubled = 0;
  uint64_t reordered = 0;
  uint64_t refused = 0;
};

class Net;

class Network {
 public:
  explicit Network(World& world) : world_(world), prng_(world.fork_prng()) {}

  void set_model(const LinkModel& model) { model_ = model; }
  // Sees each frame that leaves a process, whatever becomes of it then.
  using Tap = UniqueFunction<void(NodeId from, NodeId to, std::string_view frame)>;
  void set_tap(Tap tap) { tap_ = std::move(tap); }
  [[nodiscard]] const LinkModel& model() const { return model_; }
  // Frames of this direction vanish from now on.
  void cut(NodeId from, NodeId to);
  void heal(NodeId from, NodeId to) { cuts_.erase({from, to}); }
  void heal_all() { cuts_.clear(); }
  // Both ends see the link break; what was under way is lost.
  void flap(NodeId a, NodeId b);
  [[nodiscard]] bool is_cut(NodeId from, NodeId to) const { return cuts_.contains({from, to}); }
  [[nodiscard]] const NetworkStats& stats() const { return stats_; }
  [[nodiscard]] static std::string address_of(NodeId node);

 private:
  friend class Net;

  // The link that `from` has to a process of `peer` that is no more: it hears so.
  void reset(NodeId from, LifeId life, NodeId peer, uint64_t epoch);

  World& world_;
  Prng prng_;
  LinkModel model_;
  std::set<std::pair<NodeId, NodeId>> cuts_;
  std::map<std::string, Net*> listening_;
  Tap tap_;
  NetworkStats stats_;
};

class Net : public env::Net {
 public:
  Net(Network& network, NodeId self, LifeId life);
  ~Net() override;

  void set_handler(env::NetHandler* handler) override { handler_ = handler; }
  void set_peer(NodeId peer, const std::string& address) override;
  void remove_peer(NodeId peer) override;
  bool send(NodeId peer, std::string frame) override;
  [[nodiscard]] size_t queued_bytes(NodeId peer) const override;

  // The process is dying inside the event at hand: nothing more leaves it.
  void silence() { silent_ = true; }

 private:
  friend class Network;
  struct Link {
    std::string address;
    bool up = false;
    bool stalled = false;  // cut, and the transport's patience is running
    bool inbound = false;  // made by the peer alone: never remade from here
    uint64_t epoch = 0;    // grows when the link goes down: frames of before are lost
    LifeId target{};       // the process at the other end: one that follows it resets the link
    size_t queued_bytes = 0;
    Instant free_at;  // when the last byte queued so far will have left
    Instant last_arrival;
  };

  void try_connect(NodeId peer, uint64_t epoch);
  void connected_by(NodeId peer, LifeId life);
  void stall(NodeId peer, Link& link);
  void go_down(NodeId peer);
  void transmit(NodeId peer, Link& link, std::string frame);
  void deliver(NodeId peer, const Link& link, Instant when, std::string frame);
  void arrive(NodeId from, const std::string& frame);
  [[nodiscard]] bool is_outlived(NodeId peer, LifeId life) const;

  Network& network_;
  World& world_;
  NodeId self_;
  LifeId life_;
  env::NetHandler* handler_ = nullptr;
  std::map<NodeId, Link> links_;
  // Of each peer, the newest process that a link was made with: the connections of those before it
  // are closed by then, and what was on them is lost.
  std::map<NodeId, LifeId> newest_;
  uint64_t epochs_ = 0;
  bool silent_ = false;
};

}  // namespace quorate::sim
