// SPDX-License-Identifier: Apache-2.0
#include "sim/cluster.h"

#include <algorithm>

#include "service/kv/state.h"
#include "service/meta/state.h"
#include "sim/workloads/register_machine.h"

namespace quorate::sim {

namespace {

namespace meta = service::meta;

constexpr Duration kPlacementInterval = Duration::millis(200);

}  // namespace

Cluster::Cluster(World& world, const Plan& plan)
    : world_(world), plan_(plan), network_(world), prng_(world.fork_prng()) {
  network_.set_model(plan.link);
  registry_.add(service::ServiceId::kCache, [] { return service::host<RegisterMachine>(); });
  if (plan.lock_clients + plan.document_clients != 0) {
    registry_.add(service::ServiceId::kLock, [] { return service::host<service::lock::State>(); });
  }
  if (plan.lock_clients + plan.document_clients + plan.store_clients != 0) {
    service::kv::State::Options options;
    options.tend_items = plan.tend_items;
    registry_.add(service::ServiceId::kKv,
                  [options] { return service::host<service::kv::State>(options); });
  }
  const bool placement = plan.placement != 0;
  if (placement) {
    registry_.add(service::ServiceId::kMeta, [] { return service::host<meta::State>(); });
  }
  for (uint64_t i = 1; i <= plan.nodes + (placement ? 0 : plan.spares); ++i) {
    add_machine();
  }
  if (!placement) {
    world_.after(kPlacementInterval, [this] { place(); });
  }
}

void Cluster::add_machine() {
  const NodeId id(static_cast<uint32_t>(machines_.size()) + 1);
  ids_.push_back(id);
  auto& machine = machines_[id] = std::make_unique<Machine>(world_);
  machine->image.set_model(plan_.disk);
  machine->clock.set_drift(prng_.between(-plan_.drift_ppm, plan_.drift_ppm));
  machine->births.resize(plan_.groups + 1);
}

NodeId Cluster::admit() {
  if (machines_.size() >= plan_.nodes + plan_.spares) {
    return {};
  }
  add_machine();
  return ids_.back();
}

void Cluster::retire(NodeId id) {
  end(id, End::kKill);
  machine(id).retired = true;
  std::erase(ids_, id);
}

Cluster::~Cluster() {
  for (auto& [id, machine] : machines_) {
    machine->process.reset();
  }
}

node::Options Cluster::options_of(NodeId id, uint64_t start) const {
  node::Options options;
  options.id = id;
  options.groups = static_cast<uint32_t>(plan_.groups);
  options.replication_factor = static_cast<uint32_t>(plan_.replication);
  if (!is_spare(id)) {
    for (uint32_t i = 1; i <= plan_.nodes; ++i) {
      options.initial.push_back({NodeId(i), Network::address_of(NodeId(i)), "", ""});
    }
  }
  options.raft.quiet_after = plan_.quiet_after;
  options.raft.lease_reads = plan_.lease_reads != 0;
  options.raft.append_bytes_max = plan_.append_bytes;
  options.raft.cached_bytes_max = plan_.cached_bytes;
  options.raft.snapshot_chunk_bytes = plan_.chunk_bytes;
  options.wal.segment_bytes = plan_.segment_bytes;
  options.snapshot_log_bytes = plan_.snapshot_log_bytes;
  options.snapshot_machine_percent = 0;
  options.snapshot_step_bytes = plan_.chunk_bytes;
  options.seed = mix64(start * 1000 + id.value());
  return options;
}

bool Cluster::start(NodeId id) {
  Machine& m = machine(id);
  if (m.process != nullptr || m.retired) {
    return m.process != nullptr;
  }
  m.clock.boot(prng_);
  auto process = std::make_unique<Process>();
  process->life = world_.begin_life();
  process->clock = std::make_unique<Clock>(m.clock);
  process->timer = std::make_unique<Timer>(world_, m.clock, process->life);
  process->net = std::make_unique<Net>(network_, id, process->life);
  process->disk = std::make_unique<Disk>(m.image, process->life);
  const node::Options options = options_of(id, ++m.starts);
  Result<std::unique_ptr<node::Node>> opened = node::Node::open(
      {*process->clock, *process->timer, *process->disk, *process->net, registry_}, options);
  if (!opened.ok() || m.image.frozen()) {
    // A process on a disk that stands still may call it what it likes: it is dead already.
    const Status status =
        m.image.frozen() ? Status(Code::kUnavailable, "crashed") : opened.status();
    world_.end_life(process->life);
    if (opened.ok()) {
      opened->reset();
    }
    process.reset();
    m.image.process_exit();
    open_failed(id, status);
    return false;
  }
  process->node = std::move(*opened);
  lives_[process->life] = id;
  m.process = std::move(process);
  m.refused = false;
  enter(id, *m.process);
  count_births(m);
  if (world_.tracing()) {
    world_.trace(id, "started");
    for (const std::string& note : m.process->node->recovery_notes()) {
      world_.trace(id, "recovery: " + note);
    }
  }
  return true;
}

// Gives a new process its peers and its replicas.
void Cluster::enter(NodeId id, Process& process) {
  if (plan_.lock_clients + plan_.document_clients != 0) {
    process.locks = std::make_unique<LockDoor>(world_, process.life, *process.node);
  }
  if (plan_.store_clients != 0) {
    process.store = std::make_unique<StoreDoor>(world_, process.life, *process.node);
  }
  if (plan_.placement != 0) {
    node::PlacementOptions options;
    options.self = {Network::address_of(id), "", ""};
    options.dead_after = Duration::seconds(2);
    options.balance_after = Duration::seconds(1);
    options.destroy_after = Duration::seconds(1);
    process.placement =
        std::make_unique<node::Placement>(*process.node, *process.clock, *process.timer, options);
    return;
  }
  for (const NodeId peer : ids_) {
    if (peer != id) {
      process.node->set_peer(peer, Network::address_of(peer));
    }
  }
}

void Cluster::open_failed(NodeId id, const Status& status) {
  if (world_.tracing()) {
    world_.trace(id, "did not start: " + status.to_string());
  }
  world_.count("open_failed");
  Machine& m = machine(id);
  if (status.code() == Code::kCorrupted) {
    m.refused = true;
    world_.count("disk_refused");
    if (!m.damaged) {
      complaint_ = "node " + std::to_string(id.value()) +
                   " calls its disk damaged, and nobody damaged it: " + status.to_string();
      world_.stop();
    }
    return;
  }
  // Weather: an injected error, a full disk, a crash while it recovered.
  world_.after(Duration::millis(prng_.between(50, 500)), [this, id] { start(id); });
}

void Cluster::end(NodeId id, End how) {
  Machine& m = machine(id);
  if (m.process == nullptr) {
    return;
  }
  harvest(*m.process->node);
  world_.end_life(m.process->life);
  lives_.erase(m.process->life);
  m.process->net->silence();
  m.process.reset();
  if (how == End::kPowerCut || m.image.frozen()) {
    m.image.crash();
  } else {
    m.image.process_exit();
  }
  if (world_.tracing()) {
    world_.trace(id, how == End::kPowerCut ? "power cut" : "killed");
  }
}

void Cluster::place() {
  for (const NodeId id : ids_) {
    for (uint32_t g = 0; running(id) && g <= plan_.groups; ++g) {
      if (const node::Group* const replica = node(id)->group(GroupId(g))) {
        invite(GroupId(g), replica->raft().config());
      }
    }
  }
  world_.after(kPlacementInterval, [this] { place(); });
}

void Cluster::invite(GroupId group, const raft::Config& config) {
  std::vector<NodeId> members = config.voters;
  members.insert(members.end(), config.learners.begin(), config.learners.end());
  for (const NodeId id : members) {
    if (running(id) && node(id)->group(group) == nullptr) {
      world_.after(life(id), Duration(), [this, id, group] { node(id)->create_group(group); });
    }
  }
}

void Cluster::count_births(Machine& machine) {
  for (uint32_t g = 0; g < machine.births.size(); ++g) {
    const bool here = machine.process->node->group(GroupId(g)) != nullptr;
    machine.births[g] += here != (machine.births[g] % 2 == 1) ? 1 : 0;
  }
}

uint64_t Cluster::birth(NodeId id, GroupId group) const {
  return machine(id).births[group.value()];
}

std::string Cluster::unsettled() {
  const NodeId leader = leader_of(meta::kMetaGroup);
  const meta::Map* const map = leader.none() ? nullptr : placement(leader)->map();
  if (map == nullptr) {
    return "the meta group has no leader, or no map";
  }
  for (const meta::Node& one : map->nodes) {
    if (one.state == meta::NodeState::kJoining || one.state == meta::NodeState::kDraining) {
      return "node " + std::to_string(one.id.value()) + " comes or goes";
    }
    if (one.state == meta::NodeState::kActive) {
      const std::string why = unsettled(one.id, *map);
      if (!why.empty()) {
        return "node " + std::to_string(one.id.value()) + " " + why;
      }
    }
  }
  for (const meta::Group& group : map->groups) {
    std::vector<NodeId> wanted;
    for (const meta::Replica& replica : group.wanted) {
      wanted.push_back(replica.node);
    }
    const std::string what = "group " + std::to_string(group.id.value());
    if (group.reported.members.voters != wanted ||
        group.reported.members.learners != group.learners) {
      return what + " is not where it is wanted";
    }
    if (!group.preferred.none() && group.reported.leader != group.preferred) {
      return what + " is led by another than is wanted";
    }
  }
  return "";
}

std::string Cluster::unsettled(NodeId id, const meta::Map& map) {
  if (!running(id)) {
    return refused(id) ? "" : "does not run";
  }
  const meta::Map* const seen = placement(id)->map();
  if (seen == nullptr || !(*seen == map)) {
    return "has another map";
  }
  for (const meta::Group& group : map.groups) {
    const bool wanted =
        meta::find_replica(group.wanted, id) != nullptr || meta::contains(group.learners, id);
    if (wanted != (node(id)->group(group.id) != nullptr)) {
      return "and group " + std::to_string(group.id.value());
    }
  }
  for (const GroupId suspect : node(id)->identity().suspects) {
    const node::Group* const here = node(id)->group(suspect);
    return "may lack something in group " + std::to_string(suspect.value()) +
           (here == nullptr ? ", which it does not hold" : ": " + here->raft().describe());
  }
  return "";
}

void Cluster::harvest(const node::Node& node) {
  const node::Counters& counters = node.counters();
  world_.count("snapshot_taken", counters.snapshots_taken);
  world_.count("snapshot_sent", counters.snapshots_sent);
  world_.count("snapshot_installed", counters.snapshots_installed);
  world_.count("log_read", counters.log_reads);
  world_.count("forwarded", counters.forwarded);
  world_.count("displaced", counters.displaced);
  world_.count("read_by_round", counters.reads_by_round);
  world_.count("read_local", counters.reads_local);
  world_.count("flush_failed", counters.flush_failures);
  world_.count("message_bad", counters.messages_bad);
}

void Cluster::harvest_all() {
  for (const NodeId id : ids_) {
    if (running(id)) {
      harvest(*node(id));
    }
  }
}

void Cluster::pause(NodeId id) {
  if (running(id)) {
    world_.pause(life(id));
    world_.count("paused");
    if (world_.tracing()) {
      world_.trace(id, "paused");
    }
  }
}

void Cluster::resume(NodeId id) {
  if (running(id) && world_.paused(life(id))) {
    if (world_.tracing()) {
      world_.trace(id, "resumed");
    }
    world_.resume(life(id));
  }
}

void Cluster::restart_after(NodeId id, End how, Duration delay) {
  end(id, how);
  world_.after(delay, [this, id] { start(id); });
}

node::Node* Cluster::node(NodeId id) {
  Machine& m = machine(id);
  return m.process == nullptr ? nullptr : m.process->node.get();
}

node::Placement* Cluster::placement(NodeId id) {
  Machine& m = machine(id);
  return m.process == nullptr ? nullptr : m.process->placement.get();
}

NodeId Cluster::any_door(Prng& prng) const {
  return ids_[prng.below(plan_.placement != 0 ? ids_.size() : plan_.nodes)];
}

LockDoor* Cluster::locks(NodeId id) {
  Machine& m = machine(id);
  return m.process == nullptr ? nullptr : m.process->locks.get();
}

StoreDoor* Cluster::store(NodeId id) {
  Machine& m = machine(id);
  return m.process == nullptr ? nullptr : m.process->store.get();
}

LifeId Cluster::life(NodeId id) const {
  const Machine& m = machine(id);
  return m.process == nullptr ? LifeId() : m.process->life;
}

bool Cluster::running(NodeId id) const { return machine(id).process != nullptr; }

bool Cluster::is_paused(NodeId id) const { return running(id) && world_.paused(life(id)); }

bool Cluster::speaks(NodeId id) const { return running(id) && !machine(id).image.frozen(); }

NodeId Cluster::leader_of(GroupId group) {
  NodeId leader;
  Term newest;
  for (const NodeId id : ids_) {
    node::Node* const here = node(id);
    const node::Group* const replica = here == nullptr ? nullptr : here->group(group);
    if (replica != nullptr && replica->leads() && replica->raft().term() > newest) {
      newest = replica->raft().term();
      leader = id;
    }
  }
  return leader;
}

NodeId Cluster::node_of(LifeId life) const {
  const auto it = lives_.find(life);
  return it == lives_.end() ? NodeId() : it->second;
}

void Cluster::after_event(LifeId life) {
  const NodeId id = node_of(life);
  if (id.none()) {
    return;
  }
  Machine& m = machine(id);
  if (plan_.placement != 0) {
    count_births(m);
  }
  if (m.image.frozen()) {
    restart_after(id, End::kPowerCut, Duration::millis(prng_.between(10, 2000)));
  } else if (!m.process->node->failure().ok()) {
    world_.count("node_failed");
    if (world_.tracing()) {
      world_.trace(id, "failed: " + m.process->node->failure().to_string());
    }
    restart_after(id, End::kKill, Duration::millis(prng_.between(10, 2000)));
  }
}

}  // namespace quorate::sim
