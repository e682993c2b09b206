// SPDX-License-Identifier: Apache-2.0
#include "server/admin.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "os/probe.h"
#include "server/version.h"
#include "service/kv/keyspaces.h"
#include "service/kv/state.h"
#include "service/meta/state.h"

namespace quorate::server {

namespace http = edge::http;
namespace kv = service::kv;
namespace meta = service::meta;

namespace {

// Each is three series of every node.
// Some elections.
constexpr Duration kLeaderlessGrace = Duration::seconds(2);
constexpr uint32_t kKeyspacesToldMax = 1'000;
constexpr service::ReadMode kAsItIs = {.consistency = service::Consistency::kEventual, .bound = {}};

// By their names in the catalogue, as far as that stands here.
std::map<std::string, kv::KeyspaceId> keyspaces_here(node::Node& node) {
  std::map<std::string, kv::KeyspaceId> ids = {{std::string(kv::kDefaultKeyspace), {}}};
  const service::LocalRead here =
      node.read_here(meta::kMetaGroup, service::ServiceId::kMeta, kAsItIs);
  const auto* const catalogue = service::typed<meta::State>(here.machine);
  if (catalogue == nullptr) {
    return ids;
  }
  const meta::Query query = meta::ListObjects{service::ServiceId::kKv, "", kKeyspacesToldMax};
  const meta::Answer answer = catalogue->query(query, here.now);
  const auto* const list = answer.ok() ? std::get_if<meta::ObjectList>(&*answer) : nullptr;
  if (list != nullptr) {
    for (const meta::Object& object : list->objects) {
      ids.try_emplace(object.name, kv::KeyspaceId(static_cast<uint32_t>(object.id)));
    }
  }
  return ids;
}

std::string name_of(raft::Role role) {
  switch (role) {
    case raft::Role::kFollower: return "follower";
    case raft::Role::kPreCandidate: return "pre-candidate";
    case raft::Role::kCandidate: return "candidate";
    case raft::Role::kLeader: return "leader";
  }
  return "follower";
}

http::PeerStatus peer_status(const raft::PeerView& peer, Index last) {
  http::PeerStatus status;
  status.node = peer.node;
  status.active = peer.active;
  status.learner = peer.learner;
  status.witness = peer.witness;
  status.snapshotting = peer.snapshotting;
  status.match = peer.match;
  status.lag_entries = last > peer.match ? last - peer.match : 0;
  return status;
}

// What only a replica of the group knows.
void add_replica(const node::Group& group, NodeId self, http::GroupStatus& status) {
  const node::GroupView view = group.view();
  status.leader = view.leader;
  status.term = view.term;
  status.voters = view.config.voters;
  status.learners = view.config.learners;
  status.role = name_of(view.role);
  const std::vector<NodeId>& learners = view.config.learners;
  if (std::find(learners.begin(), learners.end(), self) != learners.end()) {
    status.role = "learner";
  }
  status.commit = view.commit;
  status.applied = view.applied;
  status.first = view.first;
  status.last = view.last;
  status.pending = view.pending;
  status.memory_bytes = view.machine_bytes;
  status.digest = view.digest;
  status.damaged = view.holes;
  for (const raft::PeerView& peer : view.peers) {
    if (peer.node != self) {
      status.peers.push_back(peer_status(peer, view.last));
    }
  }
}

Result<http::Changed> changed_of(const meta::Answer& answer) {
  RETURN_IF_ERROR(answer);
  http::Changed changed;
  if (const auto* added = std::get_if<meta::Added>(&*answer)) {
    changed.node = added->node;
    changed.generation = added->generation;
  } else if (const auto* placed = std::get_if<meta::Placed>(&*answer)) {
    changed.replicas_to_move = placed->replicas_moved;
    changed.leaders_to_move = placed->leaders_moved;
    changed.generation = placed->generation;
  } else if (const auto* done = std::get_if<meta::Done>(&*answer)) {
    changed.generation = done->generation;
  }
  return changed;
}

// A counter that mirrors one kept elsewhere, which only grows.
void mirror(Metrics& metrics, std::string_view name, std::string_view help, uint64_t value) {
  Counter& counter = metrics.counter(name, help);
  counter.add(value - counter.value());
}

}  // namespace

NodeAdmin::NodeAdmin(const Parts& parts) : parts_(parts), begun_(parts.clock.now()) {}

NodeId NodeAdmin::leader_of(GroupId group) const {
  const node::Group* here = parts_.node.group(group);
  if (here != nullptr) {
    return here->raft().leader();
  }
  const meta::Map* known = map();
  const meta::Group* entry = known == nullptr ? nullptr : known->group(group);
  return entry == nullptr ? NodeId() : entry->reported.leader;
}

std::string NodeAdmin::leader_http(GroupId group) {
  const NodeId leader = leader_of(group);
  const meta::Map* known = map();
  const meta::Node* node = known == nullptr ? nullptr : known->node(leader);
  return node == nullptr ? "" : node->addresses.http;
}

void NodeAdmin::list_nodes(http::ClusterStatus& status) const {
  const meta::Map* known = map();
  if (known == nullptr) {  // not bootstrapped yet: those it was configured with
    for (const ClusterNode& node : parts_.config.cluster_nodes) {
      http::NodeStatus row;
      row.id = NodeId(node.id);
      row.state = "unknown";
      row.raft_address = node.raft.text();
      row.http_address = node.http ? node.http->text() : "";
      status.nodes.push_back(row);
    }
  } else {
    for (const meta::Node& node : known->nodes) {
      http::NodeStatus row;
      row.id = node.id;
      row.state = std::string(meta::name_of(node.state));
      row.raft_address = node.addresses.raft;
      row.http_address = node.addresses.http;
      row.resp_address = node.addresses.resp;
      row.label = node.label;
      row.weight = node.weight;
      status.nodes.push_back(row);
    }
  }
  for (http::NodeStatus& node : status.nodes) {
    node.alive = node.id == parts_.node.id() || parts_.node.peer_alive(node.id);
    for (const http::GroupStatus& group : status.groups) {
      const auto holds = [&node](const std::vector<NodeId>& members) {
        return std::find(members.begin(), members.end(), node.id) != members.end();
      };
      node.leaders += group.leader == node.id ? 1 : 0;
      node.replicas += holds(group.voters) || holds(group.learners) ? 1 : 0;
    }
  }
}

void NodeAdmin::list_groups(http::ClusterStatus& status) const {
  const meta::Map* known = map();
  for (uint32_t id = 0; id <= parts_.node.groups(); ++id) {
    http::GroupStatus row;
    row.id = GroupId(id);
    if (const meta::Group* entry = known == nullptr ? nullptr : known->group(row.id)) {
      row.slot_begin = entry->slot_begin;
      row.slot_end = entry->slot_end;
      row.leader = entry->reported.leader;
      row.term = entry->reported.term;
      row.voters = entry->reported.members.voters;
      row.learners = entry->reported.members.learners;
    }
    if (const node::Group* here = parts_.node.group(row.id)) {
      add_replica(*here, parts_.node.id(), row);
    }
    status.groups.push_back(std::move(row));
  }
}

http::ClusterStatus NodeAdmin::status() {
  http::ClusterStatus status;
  status.node = parts_.node.id();
  status.version = kVersion;
  status.cluster_id = parts_.node.identity().cluster_id;
  const meta::Map* known = map();
  status.generation = known == nullptr ? 0 : known->generation;
  status.replication =
      known == nullptr ? parts_.config.cluster_replication : known->settings.replication;
  status.meta_leader = leader_of(meta::kMetaGroup);
  status.uptime = parts_.clock.now() - begun_;
  status.ready = ready(status.ready_why);
  list_groups(status);
  list_nodes(status);
  return status;
}

// A replica that is being moved here or away hears of no leader for a while; requests for its
// group are forwarded meanwhile, so it is no reason to take the node out of service. Without the
// map there is no telling, and without the meta group there is no map.
bool NodeAdmin::is_member(const meta::Map& known, GroupId group) const {
  const meta::Group* entry = known.group(group);
  return entry == nullptr || group == meta::kMetaGroup || entry->reported.term.none() ||
         meta::names(entry->reported.members, parts_.node.id());
}

bool NodeAdmin::ready(std::string& why) {
  why.clear();
  if (!parts_.node.failure().ok()) {
    why = "the log failed: " + parts_.node.failure().message();
    return false;
  }
  if (stopping_) {
    why = "the node is stopping";
    return false;
  }
  const meta::Map* known = map();
  if (known == nullptr) {  // leaders may be elected, but whatever names an object is refused
    why = "the cluster has not been born yet";
    return false;
  }
  const meta::Node* self = known->node(parts_.node.id());
  if (self != nullptr && self->state == meta::NodeState::kRemoved) {
    why = "this node was removed from the cluster";
    return false;
  }
  const std::vector<GroupId> held = parts_.node.group_ids();
  if (held.empty()) {
    why = "this node has no replica yet";
    return false;
  }
  for (const GroupId id : held) {
    if (is_leaderless(id) && is_member(*known, id)) {
      why = "group " + std::to_string(id.value()) + " has no leader";
      return false;
    }
  }
  return true;
}

// A move of a leader or an election leaves a group without one for a moment, in which requests
// wait: no reason to take the node out of service and back. It counts when it lasts, and until
// there was a leader once.
bool NodeAdmin::is_leaderless(GroupId id) {
  const Instant now = parts_.clock.now();
  if (!parts_.node.group(id)->raft().leader().none()) {
    led_at_[id] = now;
    return false;
  }
  const auto led_at = led_at_.find(id);
  return led_at == led_at_.end() || now - led_at->second > kLeaderlessGrace;
}

// ---- metrics -----------------------------------------------------------------------------------

void NodeAdmin::collect() {
  Metrics& metrics = parts_.metrics;
  const node::Counters& node = parts_.node.counters();
  mirror(metrics, "quorate_node_turns_total", "Turns of the node's loop.", node.turns);
  mirror(metrics, "quorate_node_proposals_total", "Commands proposed here.", node.proposals);
  mirror(metrics, "quorate_node_commands_applied_total", "Commands applied.",
         node.commands_applied);
  mirror(metrics, "quorate_node_entries_applied_total", "Log entries applied.",
         node.entries_applied);
  mirror(metrics, "quorate_node_reads_local_total", "Reads served under a lease or locally.",
         node.reads_local);
  mirror(metrics, "quorate_node_reads_by_round_total", "Reads that asked a quorum.",
         node.reads_by_round);
  mirror(metrics, "quorate_node_forwarded_total", "Requests passed to another node.",
         node.forwarded);
  mirror(metrics, "quorate_node_leader_changes_total", "Changes of leader seen by a group.",
         node.leader_changes);
  mirror(metrics, "quorate_node_snapshots_taken_total", "Snapshots taken.", node.snapshots_taken);
  mirror(metrics, "quorate_node_snapshots_installed_total", "Snapshots received and installed.",
         node.snapshots_installed);
  mirror(metrics, "quorate_node_holes_found_total", "Log entries found damaged.", node.holes_found);
  const wal::Stats wal = parts_.node.wal_stats();
  mirror(metrics, "quorate_wal_flushes_total", "Writes of the log.", wal.flushes);
  mirror(metrics, "quorate_wal_syncs_total", "Syncs of the log.", wal.syncs);
  mirror(metrics, "quorate_wal_written_bytes_total", "Bytes written to the log.", wal.bytes);
  metrics.gauge("quorate_wal_segments", "Files of the log in use.")
      .set(static_cast<int64_t>(wal.segments));
  const os::Net::Counters& net = parts_.net.counters();
  mirror(metrics, "quorate_net_sent_bytes_total", "Bytes sent to other nodes.", net.bytes_sent);
  mirror(metrics, "quorate_net_received_bytes_total", "Bytes received from other nodes.",
         net.bytes_received);
  mirror(metrics, "quorate_net_links_down_total", "Links to other nodes that broke.",
         net.links_down);
  parts_.locks.collect(metrics);
  collect_keyspaces();
  metrics
      .gauge("quorate_node_clock_behind_ms",
             "How far the machine's clock was set ahead of the node's time (back: negative).")
      .set(parts_.node.clock_behind().millis());
  const os::ProcessUsage usage = os::process_usage();
  metrics.gauge("quorate_process_resident_bytes", "Memory in use.")
      .set(static_cast<int64_t>(usage.resident_bytes));
  metrics.gauge("quorate_process_descriptors", "Open descriptors.")
      .set(static_cast<int64_t>(usage.descriptors));
  mirror(metrics, "quorate_process_cpu_micros_total", "Processor time used, in microseconds.",
         static_cast<uint64_t>((usage.user + usage.system).micros()));
  metrics.gauge("quorate_process_uptime_seconds", "Since the process started.")
      .set((parts_.clock.now() - begun_).millis() / 1'000);
}

// Of the groups that this node leads, so that the sum over all nodes is that of the cluster.
void NodeAdmin::collect_keyspaces() {
  const std::map<std::string, kv::KeyspaceId> known = keyspaces_here(parts_.node);
  std::map<std::string, kv::Usage> sums;
  for (const std::string& name : keyspaces_) {
    sums[name] = {};  // it may have been dropped
  }
  for (const GroupId id : parts_.node.group_ids()) {
    const service::LocalRead here = parts_.node.read_here(id, service::ServiceId::kKv, kAsItIs);
    const auto* const state = service::typed<kv::State>(here.machine);
    if (state == nullptr || !std::as_const(parts_.node).group(id)->leads()) {
      continue;
    }
    for (const auto& [name, number] : known) {
      const kv::Usage usage = state->usage(number);
      kv::Usage& sum = sums[name];
      sum.keys += usage.keys;
      sum.bytes += usage.bytes;
      sum.saved_bytes += usage.saved_bytes;
    }
  }
  Metrics& metrics = parts_.metrics;
  for (const auto& [name, sum] : sums) {
    const Labels labels = {{"keyspace", name}};
    keyspaces_.insert(name);
    metrics.gauge("quorate_kv_keys", "Keys, of groups led here.", labels)
        .set(static_cast<int64_t>(sum.keys));
    metrics.gauge("quorate_kv_bytes", "Of keys and values as given, of groups led here.", labels)
        .set(static_cast<int64_t>(sum.bytes));
    metrics.gauge("quorate_kv_saved_bytes", "By compression, of groups led here.", labels)
        .set(static_cast<int64_t>(sum.saved_bytes));
  }
}

void LagWatch::look(GroupId group, NodeId follower, Index match, Index last) {
  if (match >= last) {
    return;  // what was known of it goes with end()
  }
  const auto at = before_.find({group, follower});
  const bool still = at != before_.end() && match < at->second.index;
  const Mark mark = still ? at->second : Mark{last, now_};
  marks_.emplace(std::pair(group, follower), mark);
  worst_ = std::max(worst_, now_ - mark.since);
}

void NodeAdmin::look_at_lag() {
  lag_.begin(parts_.clock.now());
  for (const GroupId id : parts_.node.group_ids()) {
    const node::Group& group = *parts_.node.group(id);
    if (!group.leads()) {
      continue;
    }
    for (const raft::PeerView& peer : group.raft().peers()) {
      lag_.look(id, peer.node, peer.match, group.raft().last_index());
    }
  }
}

const Metrics& NodeAdmin::metrics() {
  collect();
  int64_t led = 0;
  int64_t leaderless = 0;
  uint64_t lag = 0;
  for (const GroupId id : parts_.node.group_ids()) {
    const node::Group& group = *parts_.node.group(id);
    led += group.leads() ? 1 : 0;
    leaderless += group.raft().leader().none() ? 1 : 0;
    for (const raft::PeerView& peer : group.raft().peers()) {
      const Index last = group.raft().last_index();
      lag = std::max(lag, last > peer.match ? last - peer.match : 0);
    }
  }
  Metrics& metrics = parts_.metrics;
  metrics.gauge("quorate_node_groups", "Replicas on this node.")
      .set(static_cast<int64_t>(parts_.node.group_ids().size()));
  metrics.gauge("quorate_node_groups_led", "Groups that this node leads.").set(led);
  metrics.gauge("quorate_node_groups_leaderless", "Groups here that know no leader.")
      .set(leaderless);
  metrics.gauge("quorate_node_lag_entries_max", "Of the followers of groups led here.")
      .set(static_cast<int64_t>(lag));
  metrics.gauge("quorate_node_lag_ms_max", "For how long one of them has lacked an entry.")
      .set(lag_.worst().millis());
  std::string why;
  metrics.gauge("quorate_node_ready", "1 if /readyz says so.").set(ready(why) ? 1 : 0);
  return metrics;
}

// ---- verbs -------------------------------------------------------------------------------------

void NodeAdmin::command(const meta::Command& command, Done done) {
  parts_.placement.propose(
      command, [done = std::move(done)](meta::Answer answer) mutable { done(changed_of(answer)); });
}

void NodeAdmin::add_node(const http::NodeRequest& request, Done done) {
  meta::AddNode add;
  add.node.id = request.id;
  add.node.addresses = {request.raft_address, request.http_address, request.resp_address};
  add.node.label = request.label;
  add.node.weight = request.weight;
  command(add, std::move(done));
}

void NodeAdmin::remove_node(NodeId node, bool force, Done done) {
  if (force) {
    command(meta::RemoveNode{node, true}, std::move(done));
  } else {
    command(meta::DrainNode{node, true}, std::move(done));
  }
}

void NodeAdmin::replace_node(NodeId source, NodeId target, Done done) {
  command(meta::ReplaceNode{source, target}, std::move(done));
}

void NodeAdmin::transfer_leadership(GroupId group, NodeId target, Done done) {
  node::Group* here = parts_.node.group(group);
  if (group.value() > parts_.node.groups()) {
    done(Status(Code::kNotFound, "there is no group " + std::to_string(group.value())));
    return;
  }
  if (here == nullptr || !here->leads()) {
    const NodeId leader = leader_of(group);
    done(Status(leader.none() ? Code::kUnavailable : Code::kNotLeader,
                leader.none() ? "the group has no leader now"
                              : "node " + std::to_string(leader.value()) + " leads it; ask there"));
    return;
  }
  const Status status = here->transfer(target);
  done(status.ok() ? Result<http::Changed>(http::Changed{.node = target})
                   : Result<http::Changed>(status));
}

void NodeAdmin::rebalance(Done done) { command(meta::Rebalance(), std::move(done)); }

}  // namespace quorate::server
