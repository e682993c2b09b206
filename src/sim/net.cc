// SPDX-License-Identifier: Apache-2.0
#include "sim/net.h"

#include <algorithm>

#include "base/hash.h"

namespace quorate::sim {
namespace {

constexpr Duration kReconnectMin = Duration::millis(2);
constexpr Duration kReconnectMax = Duration::millis(60);
// How long unacknowledged bytes are borne before the transport gives the link up.
constexpr Duration kPatienceMin = Duration::millis(500);
constexpr Duration kPatienceMax = Duration::seconds(4);

}  // namespace

std::string Network::address_of(NodeId node) { return "sim:" + std::to_string(node.value()); }

void Network::cut(NodeId from, NodeId to) { cuts_.insert({from, to}); }

void Network::flap(NodeId a, NodeId b) {
  for (const auto& [from, to] : {std::pair(a, b), std::pair(b, a)}) {
    const auto it = listening_.find(address_of(from));
    if (it != listening_.end()) {
      Net* net = it->second;
      world_.after(net->life_, Duration(), [net, peer = to] { net->go_down(peer); });
    }
  }
}

Net::Net(Network& network, NodeId self, LifeId life)
    : network_(network), world_(network.world_), self_(self), life_(life) {
  network_.listening_[Network::address_of(self)] = this;
}

Net::~Net() {
  network_.listening_.erase(Network::address_of(self_));
  // The peers' transports see the connection reset, unless the network hides it.
  for (auto& [address, net] : network_.listening_) {
    Net* peer = net;
    if (!network_.is_cut(self_, peer->self_)) {
      const Duration delay =
          Duration::nanos(network_.prng_.between(100'000, Duration::millis(5).nanos()));
      world_.after(peer->life_, delay, [peer, self = self_] { peer->go_down(self); });
    }
  }
}

void Net::set_peer(NodeId peer, const std::string& address) {
  Link& link = links_[peer];
  link.inbound = false;
  if (link.address == address) {
    return;
  }
  link = Link{};
  link.address = address;
  link.epoch = ++epochs_;
  world_.after(life_, world_.between(Duration::micros(100), kReconnectMin),
               [this, peer, epoch = link.epoch] { try_connect(peer, epoch); });
}

void Net::try_connect(NodeId peer, uint64_t epoch) {
  const auto it = links_.find(peer);
  if (it == links_.end() || it->second.epoch != epoch || it->second.up) {
    return;
  }
  const auto target = network_.listening_.find(it->second.address);
  const bool reachable = target != network_.listening_.end() && target->second->self_ == peer &&
                         !network_.is_cut(self_, peer) && !network_.is_cut(peer, self_);
  if (!reachable) {
    const Duration delay =
        Duration::nanos(network_.prng_.between(kReconnectMin.nanos(), kReconnectMax.nanos()));
    world_.after(life_, delay, [this, peer, epoch] { try_connect(peer, epoch); });
    return;
  }
  it->second.up = true;
  it->second.stalled = false;
  it->second.target = target->second->life_;
  newest_[peer] = target->second->life_;
  Net* const called = target->second;
  world_.after(called->life_, Duration(),
               [called, self = self_, life = life_] { called->connected_by(self, life); });
  if (handler_ != nullptr) {
    handler_->on_link(peer, true);
  }
}

// One connection carries both directions: whoever was called can answer at once.
void Net::connected_by(NodeId peer, LifeId life) {
  newest_[peer] = std::max(newest_[peer], life);
  const auto [at, is_new] = links_.try_emplace(peer);
  Link& link = at->second;
  if (link.up) {
    return;
  }
  if (is_new) {
    link.address = Network::address_of(peer);
    link.inbound = true;
    link.epoch = ++epochs_;
  }
  link.up = true;
  link.stalled = false;
  link.target = life;
  if (handler_ != nullptr) {
    handler_->on_link(peer, true);
  }
}

void Net::remove_peer(NodeId peer) {
  links_.erase(peer);
  // The other end sees the link close, and may call again.
  const auto other = network_.listening_.find(Network::address_of(peer));
  if (other != network_.listening_.end() && !network_.is_cut(self_, peer)) {
    Net* const net = other->second;
    world_.after(net->life_, Duration::millis(1), [net, self = self_] { net->go_down(self); });
  }
}

void Net::go_down(NodeId peer) {
  const auto it = links_.find(peer);
  if (it == links_.end() || !it->second.up) {
    return;
  }
  Link& link = it->second;
  if (link.inbound) {
    links_.erase(it);
  } else {
    link.up = false;
    link.stalled = false;
    link.epoch = ++epochs_;
    link.queued_bytes = 0;
    world_.after(life_, world_.between(kReconnectMin, kReconnectMax),
                 [this, peer, epoch = link.epoch] { try_connect(peer, epoch); });
  }
  if (handler_ != nullptr) {
    handler_->on_link(peer, false);
  }
}

bool Net::send(NodeId peer, std::string frame) {
  const auto it = links_.find(peer);
  if (silent_ || it == links_.end() || !it->second.up) {
    ++network_.stats_.refused;
    return false;
  }
  Link& link = it->second;
  if (link.queued_bytes + frame.size() > network_.model_.queue_bytes_max) {
    world_.count("net_queue_full");
    ++network_.stats_.refused;
    return false;
  }
  world_.fold(hash64(frame));
  if (network_.tap_) {
    network_.tap_(self_, peer, frame);
  }
  ++network_.stats_.frames;
  network_.stats_.bytes += frame.size();
  transmit(peer, link, std::move(frame));
  return true;
}

size_t Net::queued_bytes(NodeId peer) const {
  const auto it = links_.find(peer);
  return it == links_.end() ? 0 : it->second.queued_bytes;
}

void Net::transmit(NodeId peer, Link& link, std::string frame) {
  const LinkModel& model = network_.model_;
  Prng& prng = network_.prng_;
  const size_t size = frame.size();
  link.free_at =
      std::max(link.free_at, world_.now()) +
      Duration::nanos(static_cast<int64_t>(size * 1'000'000'000 / model.bytes_per_second));
  link.queued_bytes += size;
  world_.at(life_, link.free_at, [this, peer, size, epoch = link.epoch] {
    const auto it = links_.find(peer);
    if (it != links_.end() && it->second.epoch == epoch) {
      it->second.queued_bytes -= size;
    }
  });
  if (network_.is_cut(self_, peer)) {
    ++network_.stats_.lost;
    stall(peer, link);
    return;
  }
  if (prng.chance(model.loss_ppm, 1'000'000)) {
    ++network_.stats_.lost;
    return;
  }
  const bool rare = prng.chance(model.rare_ppm, 1'000'000);
  const Duration longest = rare ? model.delay_rare_max : model.delay_max;
  Instant arrival =
      link.free_at + Duration::nanos(prng.between(model.delay_min.nanos(),
                                                  std::max(model.delay_min, longest).nanos()));
  if (prng.chance(model.reorder_ppm, 1'000'000)) {
    ++network_.stats_.reordered;
  } else {
    arrival = std::max(arrival, link.last_arrival);
    link.last_arrival = arrival;
  }
  if (prng.chance(model.duplicate_ppm, 1'000'000)) {
    ++network_.stats_.doubled;
    deliver(peer, link, arrival + Duration::nanos(prng.between(0, model.delay_rare_max.nanos())),
            frame);
  }
  deliver(peer, link, arrival, std::move(frame));
}

// The event is the world's: it must find the receiver's process of that moment. If that is another
// one than the link was made with, which the sender did not hear of because it was cut off, the
// frame is lost and the link reset.
void Net::deliver(NodeId peer, const Link& link, Instant when, std::string frame) {
  Network* network = &network_;
  world_.at(when, [network, from = self_, life = life_, peer, expected = link.target,
                   epoch = link.epoch, bytes = std::move(frame)]() mutable {
    const auto it = network->listening_.find(Network::address_of(peer));
    if (it == network->listening_.end() || network->is_cut(from, peer)) {
      ++network->stats_.lost;
      return;
    }
    Net* target = it->second;
    if (target->is_outlived(from, life)) {
      ++network->stats_.lost;
      return;
    }
    if (target->life_ != expected) {
      ++network->stats_.lost;
      network->reset(from, life, peer, epoch);
      return;
    }
    network->world_.at(target->life_, network->world_.now(),
                       [target, from, frame = std::move(bytes)] { target->arrive(from, frame); });
  });
}

void Network::reset(NodeId from, LifeId life, NodeId peer, uint64_t epoch) {
  const auto it = listening_.find(address_of(from));
  if (it == listening_.end() || it->second->life_ != life || is_cut(peer, from)) {
    return;
  }
  Net* const net = it->second;
  world_.after(life, Duration::micros(100), [net, peer, epoch] {
    const auto link = net->links_.find(peer);
    if (link != net->links_.end() && link->second.epoch == epoch) {
      net->world_.count("link_reset");
      net->go_down(peer);
    }
  });
}

bool Net::is_outlived(NodeId peer, LifeId life) const {
  const auto newest = newest_.find(peer);
  return newest != newest_.end() && life < newest->second;
}

void Net::arrive(NodeId from, const std::string& frame) {
  if (handler_ != nullptr && !silent_) {
    handler_->on_frame(from, frame);
  }
}

void Net::stall(NodeId peer, Link& link) {
  if (link.stalled) {
    return;
  }
  link.stalled = true;
  const Duration patience =
      Duration::nanos(network_.prng_.between(kPatienceMin.nanos(), kPatienceMax.nanos()));
  world_.after(life_, patience, [this, peer, epoch = link.epoch] {
    const auto it = links_.find(peer);
    if (it == links_.end() || it->second.epoch != epoch) {
      return;
    }
    it->second.stalled = false;
    if (network_.is_cut(self_, peer)) {
      go_down(peer);
    }
  });
}

}  // namespace quorate::sim
