// SPDX-License-Identifier: Apache-2.0
#include "sim/cluster.h"

#include "sim/workloads/register_machine.h"

namespace quorate::sim {

namespace {

constexpr Duration kPlacementInterval = Duration::millis(200);

}  // namespace

Cluster::Cluster(World& world, const Plan& plan)
    : world_(world), plan_(plan), network_(world), prng_(world.fork_prng()) {
  network_.set_model(plan.link);
  registry_.add(service::ServiceId::kCache, [] { return service::host<RegisterMachine>(); });
  for (uint32_t i = 1; i <= plan.nodes + plan.spares; ++i) {
    const NodeId id(i);
    ids_.push_back(id);
    machines_[id] = std::make_unique<Machine>(world_);
    machines_[id]->image.set_model(plan.disk);
    machines_[id]->clock.set_drift(prng_.between(-plan.drift_ppm, plan.drift_ppm));
  }
  world_.after(kPlacementInterval, [this] { place(); });
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
  if (m.process != nullptr) {
    return true;
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
    const Status status = opened.ok() ? Status(Code::kUnavailable, "crashed") : opened.status();
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
  for (const NodeId peer : ids_) {
    if (peer != id) {
      m.process->node->set_peer(peer, Network::address_of(peer));
    }
  }
  if (world_.tracing()) {
    world_.trace(id, "started");
    for (const std::string& note : m.process->node->recovery_notes()) {
      world_.trace(id, "recovery: " + note);
    }
  }
  return true;
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
  for (uint32_t g = 0; g <= plan_.groups; ++g) {
    const GroupId group(g);
    const NodeId leader = leader_of(group);
    if (leader.none()) {
      continue;
    }
    const raft::Config& config = node(leader)->group(group)->raft().config();
    std::vector<NodeId> members = config.voters;
    members.insert(members.end(), config.learners.begin(), config.learners.end());
    for (const NodeId id : members) {
      if (running(id) && node(id)->group(group) == nullptr) {
        world_.after(life(id), Duration(), [this, id, group] { node(id)->create_group(group); });
      }
    }
  }
  world_.after(kPlacementInterval, [this] { place(); });
}

void Cluster::harvest(const node::Node& node) {
  const node::Counters& counters = node.counters();
  world_.count("snapshot_taken", counters.snapshots_taken);
  world_.count("snapshot_sent", counters.snapshots_sent);
  world_.count("snapshot_installed", counters.snapshots_installed);
  world_.count("log_read", counters.log_reads);
  world_.count("forwarded", counters.forwarded);
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
