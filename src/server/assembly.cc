// SPDX-License-Identifier: Apache-2.0
#include "server/assembly.h"

#include <unistd.h>

#include <algorithm>

#include "base/prng.h"
#include "edge/http/bind_access.h"
#include "edge/http/bind_cluster.h"
#include "edge/http/bind_keyspaces.h"
#include "edge/http/bind_kv.h"
#include "edge/http/docs_page.h"
#include "edge/http/lock/bind_lock.h"
#include "os/probe.h"
#include "server/access/audit.h"
#include "server/access/gate.h"
#include "server/access/node_access.h"
#include "server/access/password_worker.h"
#include "server/access/root_token.h"
#include "server/admin.h"
#include "server/resp_topology.h"
#include "server/version.h"
#include "service/kv/state.h"
#include "service/lock/state.h"
#include "service/meta/state.h"

namespace quorate::server {
namespace {

constexpr Duration kWatchInterval = Duration::millis(50);
constexpr Duration kLagInterval = Duration::seconds(1);
constexpr Duration kAuditSyncInterval = Duration::seconds(1);
// How long a stop waits for other nodes to take over what this one leads; the rest of the time is
// for requests under way.
constexpr Duration kHandOverMost = Duration::seconds(3);

wal::SyncPolicy sync_policy(const std::string& word) {
  if (word == "interval") {
    return wal::SyncPolicy::kInterval;
  }
  return word == "never" ? wal::SyncPolicy::kNever : wal::SyncPolicy::kAlways;
}

// Where others are to connect: as configured, or where this node listens.
std::string advertised(const std::optional<Address>& told, const Address& listen, uint16_t port) {
  return told ? told->text() : Address{listen.host, port}.text();
}

// What the listeners for clients show and ask for.
edge::TlsFiles client_tls(const Config& config) {
  const bool required = config.tls_clients == "required";
  return {config.tls_certificate, config.tls_key, required ? config.tls_authority : ""};
}

std::vector<node::Peer> initial_nodes(const Config& config) {
  std::vector<node::Peer> peers;
  for (const ClusterNode& node : config.cluster_nodes) {
    peers.push_back({NodeId(node.id), node.raft.text(), node.http ? node.http->text() : "", ""});
  }
  if (peers.empty() && config.cluster_join.empty()) {
    peers.push_back({NodeId(config.node), config.raft_advertise.value_or(config.raft_listen).text(),
                     config.http_advertise.value_or(config.http_listen).text(), ""});
  }
  return peers;
}

}  // namespace

void add_services(service::Registry& registry) {
  registry.add(service::ServiceId::kMeta, [] { return service::host<service::meta::State>(); });
  registry.add(service::ServiceId::kKv, [] { return service::host<service::kv::State>(); });
  registry.add(service::ServiceId::kLock, [] { return service::host<service::lock::State>(); });
}

node::Options node_options(const Config& config) {
  node::Options options;
  options.id = NodeId(config.node);
  options.initial = initial_nodes(config);
  options.cluster_id = config.cluster_id;
  options.groups = config.cluster_groups;
  options.replication_factor = config.cluster_replication;
  options.raft.election_timeout_min = config.election_timeout_min;
  options.raft.election_timeout_max = config.election_timeout_max;
  options.raft.heartbeat_interval = config.heartbeat_interval;
  options.raft.lease_reads = config.lease_reads;
  options.raft.quiet_after = config.quiet_after;
  options.wal.sync = sync_policy(config.sync);
  options.wal.sync_interval = config.sync_interval;
  options.wal.segment_bytes = config.segment_bytes;
  options.snapshot_log_bytes = config.snapshot_log_bytes;
  options.snapshot_machine_percent = config.snapshot_state_percent;
  return options;
}

Assembly::Assembly(const Config& config, const Log& log) : config_(config), log_(log) {}

Result<std::unique_ptr<Assembly>> Assembly::open(const Config& config, const Log& log,
                                                 const Options& options) {
  std::unique_ptr<Assembly> assembly(new Assembly(config, log));
  RETURN_IF_ERROR(assembly->open_node());
  RETURN_IF_ERROR(assembly->open_access());
  if (options.http) {
    RETURN_IF_ERROR(assembly->open_http());
  }
  if (options.resp && config.resp_listen.has_value()) {
    RETURN_IF_ERROR(assembly->open_resp());
  }
  assembly->watch();
  return assembly;
}

Assembly::~Assembly() {
  // Connections hold answers that refer to the node, so they go first.
  http_.reset();
  resp_.reset();
}

Status Assembly::open_node() {
  const Instant begun = clock_.now();
  loop_ = std::make_unique<os::Loop>(os::Loop::Options{config_.loop_spin});
  os::Disk::Options disk;
  disk.engine =
      config_.disk_engine == "plain" ? os::Disk::EngineKind::kPlain : os::Disk::EngineKind::kUring;
  Result<std::unique_ptr<os::Disk>> opened_disk = os::Disk::open(*loop_, config_.data, disk);
  RETURN_IF_ERROR(opened_disk);
  disk_ = std::move(*opened_disk);

  os::Net::Options net;
  net.self = NodeId(config_.node);
  net.cluster = config_.cluster_id;
  net.listen = config_.raft_listen.text();
  if (config_.tls()) {
    net.tls = os::TlsFiles{config_.tls_authority, config_.tls_certificate, config_.tls_key};
  }
  Result<std::unique_ptr<os::Net>> opened_net = os::Net::open(*loop_, net);
  RETURN_IF_ERROR(opened_net);
  net_ = std::move(*opened_net);

  add_services(registry_);
  node::Options options = node_options(config_);
  options.seed = mix64(static_cast<uint64_t>(clock_.wall().micros()) ^ config_.node);
  Result<std::unique_ptr<node::Node>> opened_node =
      node::Node::open({clock_, *loop_, *disk_, *net_, registry_}, options);
  RETURN_IF_ERROR(opened_node);
  node_ = std::move(*opened_node);
  for (const std::string& note : node_->recovery_notes()) {
    log_.warning("recovery", {{"note", note}});
  }
  node::PlacementOptions placement;
  placement.self = {
      advertised(config_.raft_advertise, config_.raft_listen, net_->port()),
      advertised(config_.http_advertise, config_.http_listen, config_.http_listen.port),
      config_.resp_listen ? resp_address() : ""};
  placement_ = std::make_unique<node::Placement>(*node_, clock_, *loop_, placement);
  kv_ = std::make_unique<service::kv::Api>(*node_);
  keyspaces_ = std::make_unique<service::kv::Keyspaces>(*kv_, *node_);
  locks_ = std::make_unique<Locks>(*node_, clock_, *loop_);
  admin_ = std::make_unique<NodeAdmin>(
      NodeAdmin::Parts{config_, clock_, *loop_, *net_, *node_, *placement_, *locks_, metrics_});
  log_.info("open", {{"node", config_.node},
                     {"data", config_.data},
                     {"raft", Address{config_.raft_listen.host, net_->port()}.text()},
                     {"groups", node_->groups()},
                     {"replicas", node_->group_ids().size()},
                     {"took_ms", (clock_.now() - begun).millis()}});
  return Status::success();
}

Status Assembly::open_access() {
  passwords_ = std::make_unique<PasswordWorker>(*loop_);
  if (config_.access_control) {
    const Result<std::string> token = read_root_token(config_.access_root_token_file);
    RETURN_IF_ERROR(token);
    Result<std::unique_ptr<Audit>> audit = Audit::open(clock_, config_.data, config_.node);
    RETURN_IF_ERROR(audit);
    audit_ = std::move(*audit);
    gate_ = std::make_unique<NodeGate>(
        NodeGate::Parts{node_->clock(), *placement_, *passwords_, *audit_}, *token);
    audit_->note({.caller = "", .peer = "", .deed = "start", .outcome = kVersion});
    sync_audit();
  }
  access_ = std::make_unique<NodeAccess>(
      NodeAccess::Parts{node_->clock(), *placement_, *node_, *passwords_, audit_.get()});
  return Status::success();
}

void Assembly::sync_audit() {
  audit_->sync();
  if (audit_->failed()) {
    log_.error("audit", {{"problem", "the audit log cannot be written"}});
  }
  loop_->start(clock_.now() + kAuditSyncInterval, [this] { sync_audit(); });
}

Status Assembly::open_http() {
  edge::http::bind_kv({*kv_, *keyspaces_, node_->clock(), *loop_}, router_);
  edge::http::bind_keyspaces(*keyspaces_, *kv_, router_);
  edge::http::bind_lock({locks_->api(), node_->clock(), *loop_}, router_);
  edge::http::bind_cluster(*admin_, router_);
  edge::http::bind_access(*access_, router_);
  edge::http::bind_docs(router_, kVersion);
  edge::http::ServerOptions options;
  options.connections_max = config_.http_connections_max;
  options.idle_timeout = config_.http_idle_timeout;
  options.gate = gate_.get();
  http_ =
      std::make_unique<edge::http::Server>(loop_->context(), clock_, router_, options, &metrics_);
  edge::ListenOptions listen;
  listen.address = config_.http_listen.host;
  listen.port = config_.http_listen.port;
  listen.tls = client_tls(config_);
  const Result<uint16_t> port = http_->listen(listen);
  RETURN_IF_ERROR(port);
  http_port_ = *port;
  log_.info("listen", {{"protocol", config_.tls() ? "https" : "http"},
                       {"address", Address{config_.http_listen.host, http_port_}.text()}});
  return Status::success();
}

// Before: Redis clients are served.
std::string Assembly::resp_address() const {
  return advertised(config_.resp_advertise, *config_.resp_listen, config_.resp_listen->port);
}

Status Assembly::open_resp() {
  edge::resp::Face::Options options;
  options.server.connections_max = config_.resp_connections_max;
  options.server.idle_timeout = config_.resp_idle_timeout;
  // Answers leave with the frames to other nodes, before the loop waits for the disk.
  options.server.at_end_of_turn = [this](UniqueFunction<void()> callback) {
    loop_->defer(os::Loop::Phase::kSend, std::move(callback));
  };
  options.version = kVersion;
  options.process = static_cast<uint64_t>(getpid());
  options.resident_bytes = [] { return os::process_usage().resident_bytes; };
  options.gate = gate_.get();
  resp_topology_ = std::make_unique<RespTopology>(*node_, *placement_, resp_address());
  resp_ = std::make_unique<edge::resp::Face>(
      edge::resp::Face::Parts{loop_->context(), node_->clock(), *kv_, locks_->api(),
                              *resp_topology_, &metrics_},
      std::move(options));
  edge::ListenOptions listen;
  listen.address = config_.resp_listen->host;
  listen.port = config_.resp_listen->port;
  listen.tls = client_tls(config_);
  const Result<uint16_t> port = resp_->listen(listen);
  RETURN_IF_ERROR(port);
  resp_port_ = *port;
  log_.info("listen", {{"protocol", listen.tls.enabled() ? "resps" : "resp"},
                       {"address", Address{listen.address, resp_port_}.text()}});
  return Status::success();
}

// Says when the node becomes ready or ceases to be; a scrape sees it too, but not when.
void Assembly::watch() {
  std::string why;
  const bool ready = admin_->ready(why);
  if (ready != ready_ && !stopping_) {  // that it stops is said once
    ready_ = ready;
    if (ready) {
      log_.info("ready", {{"node", config_.node}, {"leads", node_->led_groups()}});
    } else {
      log_.warning("unready", {{"node", config_.node}, {"why", why}});
    }
  }
  const Instant now = clock_.now();
  if (now >= lag_at_) {
    lag_at_ = now + kLagInterval;
    admin_->look_at_lag();
  }
  loop_->start(now + kWatchInterval, [this] { watch(); });
}

void Assembly::stop(Others others) {
  if (stopping_) {
    log_.warning("stop", {{"how", "at once"}});
    loop_->stop();
    return;
  }
  stopping_ = true;
  admin_->begin_stop();
  log_.info("stop", {{"leads", node_->led_groups()}});
  const Instant now = clock_.now();
  const Instant deadline = now + config_.stop_timeout;
  loop_->start(deadline, [this] {
    log_.warning("stop", {{"how", "timeout"}, {"leads", node_->led_groups()}});
    loop_->stop();
  });
  finish_stop(others == Others::kStopToo ? now : std::min(deadline, now + kHandOverMost));
}

bool Assembly::can_hand_over() const {
  const auto takes_over = [this](const raft::PeerView& peer) {
    return peer.node != node_->id() && peer.active && !peer.learner && !peer.witness;
  };
  for (const GroupId id : node_->group_ids()) {
    const node::Group& group = *std::as_const(*node_).group(id);
    const std::vector<raft::PeerView> peers = group.raft().peers();
    if (group.leads() && std::any_of(peers.begin(), peers.end(), takes_over)) {
      return true;
    }
  }
  return false;
}

// Waits until others lead, while this node still forwards; then ends the conversations.
void Assembly::finish_stop(Instant deadline) {
  if (can_hand_over() && clock_.now() < deadline) {
    // Asked again and again: the peer that was chosen may have been about to stop as well.
    node_->give_up_leadership();
    loop_->start(clock_.now() + Duration::millis(20), [this, deadline] { finish_stop(deadline); });
    return;
  }
  const auto end = [this] {
    log_.info("stopped", {{"node", config_.node}, {"leads", node_->led_groups()}});
    loop_->stop();
  };
  drain_edges(end);
}

void Assembly::drain_edges(UniqueFunction<void()> done) {
  auto last = [this, done = std::move(done)]() mutable {
    if (resp_ == nullptr) {
      done();
    } else {
      resp_->drain(std::move(done));
    }
  };
  if (http_ == nullptr) {
    last();
  } else {
    http_->drain(std::move(last));
  }
}

}  // namespace quorate::server
