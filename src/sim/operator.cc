// SPDX-License-Identifier: Apache-2.0
#include "sim/operator.h"

#include <algorithm>

namespace quorate::sim {
namespace {

namespace meta = service::meta;

constexpr Duration kWorkInterval = Duration::millis(400);
// Beyond those that the cluster was born with.
constexpr size_t kExtraNodesMax = 2;

}  // namespace

Operator::Operator(Cluster& cluster)
    : cluster_(cluster), world_(cluster.world()), prng_(world_.fork_prng()) {
  if (cluster_.plan().placement != 0) {
    world_.after(kWorkInterval, [this] { work(); });
  }
}

// ---- errands -----------------------------------------------------------------------------------

void Operator::join() {
  const meta::Map* const map = newest_map();
  if (map == nullptr || cluster_.ids().size() >= cluster_.plan().nodes + kExtraNodesMax) {
    return;
  }
  const NodeId id = cluster_.admit();
  if (id.none()) {
    return;
  }
  note("n" + std::to_string(id.value()) + " is to join");
  world_.count("node_joins");
  cluster_.start(id);
  begin(Kind::kJoin, id);
}

void Operator::leave() {
  const NodeId id = spare_node();
  if (!id.none()) {
    note("n" + std::to_string(id.value()) + " is to leave");
    world_.count("node_leaves");
    begin(Kind::kLeave, id);
  }
}

void Operator::rest(Duration length) {
  const NodeId id = spare_node();
  if (id.none()) {
    return;
  }
  note("n" + std::to_string(id.value()) + " is drained");
  world_.count("node_drained");
  begin(Kind::kDrain, id);
  resting_.push_back(id);
  world_.after(length, [this, id] {
    if (std::erase(resting_, id) > 0) {
      begin(Kind::kResume, id);
    }
  });
}

void Operator::replace() {
  const NodeId lost = choose_loss();
  losing_ = false;
  const NodeId id = lost.none() ? NodeId() : cluster_.admit();
  if (id.none()) {
    return;
  }
  note("n" + std::to_string(lost.value()) + " is lost for good, n" + std::to_string(id.value()) +
       " takes its place");
  world_.count("node_replaced");
  cluster_.end(lost, Cluster::End::kPowerCut);
  cluster_.retire(lost);
  cluster_.start(id);
  begin(Kind::kJoin, id, lost);
}

NodeId Operator::choose_loss() {
  if (losing_ || stopped_ || !errands_.empty() || !cluster_.unsettled().empty()) {
    return {};
  }
  losing_ = true;
  return cluster_.ids()[prng_.below(cluster_.ids().size())];
}

void Operator::lose_directory(NodeId id, Duration length) {
  losing_ = false;
  note("n" + std::to_string(id.value()) + " loses its disk");
  world_.count("directory_lost");
  cluster_.end(id, Cluster::End::kPowerCut);
  cluster_.disk(id).wipe();
  world_.after(length, [this, id] { cluster_.start(id); });
}

void Operator::stop() {
  stopped_ = true;
  for (const NodeId id : resting_) {
    begin(Kind::kResume, id);
  }
  resting_.clear();
}

void Operator::begin(Kind kind, NodeId node, NodeId replaces) {
  errands_.push_back({kind, node, replaces});
  say(errands_.back());
}

// ---- seeing them through -----------------------------------------------------------------------

void Operator::work() {
  if (const meta::Map* const map = newest_map()) {
    std::erase_if(errands_, [&](const Errand& errand) { return done(errand, *map); });
    switch_off_removed(*map);
  }
  const std::vector<Errand> open = errands_;
  for (const Errand& errand : open) {
    say(errand);
  }
  world_.after(kWorkInterval, [this] { work(); });
}

bool Operator::done(const Errand& errand, const meta::Map& map) {
  const meta::Node* const node = map.node(errand.node);
  switch (errand.kind) {
    case Kind::kJoin: return node != nullptr;
    case Kind::kLeave: return node == nullptr || node->leaving;
    case Kind::kDrain: return node == nullptr || node->state != meta::NodeState::kActive;
    case Kind::kResume: return node == nullptr || node->state == meta::NodeState::kActive;
  }
  return true;
}

void Operator::say(const Errand& errand) {
  std::vector<NodeId> doors;
  for (const NodeId id : cluster_.ids()) {
    const node::Placement* const placement = cluster_.placement(id);
    if (placement != nullptr && placement->map() != nullptr) {
      doors.push_back(id);
    }
  }
  if (doors.empty()) {
    return;
  }
  const NodeId door = doors[prng_.below(doors.size())];
  world_.after(cluster_.life(door), Duration(), [this, door, errand] {
    meta::Command command;
    switch (errand.kind) {
      case Kind::kJoin: {
        meta::AddNode add;
        add.node.id = errand.node;
        add.node.addresses.raft = Network::address_of(errand.node);
        add.replaces = errand.replaces;
        command = add;
        break;
      }
      case Kind::kLeave: command = meta::DrainNode{errand.node, true}; break;
      case Kind::kDrain: command = meta::DrainNode{errand.node, false}; break;
      case Kind::kResume: command = meta::ResumeNode{errand.node}; break;
    }
    cluster_.placement(door)->propose(
        command, [this, errand](const meta::Answer& answer) { answered(errand, answer.status()); });
  });
}

void Operator::answered(const Errand& errand, const Status& status) {
  // A command that is said again finds its work done, or the rules changed meanwhile. The rest is
  // weather.
  if (row_of(status.code()).retry != Retry::kNo) {
    return;
  }
  const size_t dropped = std::erase_if(errands_, [&](const Errand& open) {
    return open.kind == errand.kind && open.node == errand.node;
  });
  const meta::Map* const map = newest_map();
  if (!status.ok() && dropped > 0 && errand.kind == Kind::kJoin && map != nullptr &&
      map->node(errand.node) == nullptr) {
    note("n" + std::to_string(errand.node.value()) + " may not join: " + status.to_string());
    world_.count("join_refused");
    cluster_.retire(errand.node);
  }
}

// A removed node is switched off when its operator sees that the cluster has let it go.
void Operator::switch_off_removed(const meta::Map& map) {
  const std::vector<NodeId> ids = cluster_.ids();
  for (const NodeId id : ids) {
    const meta::Node* const node = map.node(id);
    const bool forgotten = node == nullptr && id <= map.ids_spent;
    const bool removed = node != nullptr && node->state == meta::NodeState::kRemoved;
    if ((forgotten || removed) && prng_.chance(1, stopped_ ? 1 : 4)) {
      note("n" + std::to_string(id.value()) + " is switched off");
      world_.count("node_left");
      cluster_.retire(id);
    }
  }
}

const meta::Map* Operator::newest_map() {
  const meta::Map* newest = nullptr;
  for (const NodeId id : cluster_.ids()) {
    const node::Placement* const placement = cluster_.placement(id);
    const meta::Map* const map = placement == nullptr ? nullptr : placement->map();
    if (map != nullptr && (newest == nullptr || map->generation > newest->generation)) {
      newest = map;
    }
  }
  return newest;
}

NodeId Operator::spare_node() {
  const meta::Map* const map = newest_map();
  std::vector<NodeId> active;
  for (const NodeId id : cluster_.ids()) {
    const meta::Node* const node = map == nullptr ? nullptr : map->node(id);
    if (node != nullptr && node->state == meta::NodeState::kActive) {
      active.push_back(id);
    }
  }
  return active.size() > cluster_.plan().replication ? active[prng_.below(active.size())]
                                                     : NodeId();
}

void Operator::note(const std::string& what) {
  if (world_.tracing()) {
    world_.trace(NodeId(), "operator: " + what);
  }
}

}  // namespace quorate::sim
