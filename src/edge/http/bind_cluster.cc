// SPDX-License-Identifier: Apache-2.0
#include "edge/http/bind_cluster.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <utility>

#include "base/limits.h"
#include "edge/http/arguments.h"
#include "edge/http/wire/json.h"

namespace quorate::edge::http {
namespace {

using Run = void (*)(Admin&, const Request&, Responder);

struct Row {
  RouteText text;
  Run run;
};

// ---- the pages ---------------------------------------------------------------------------------

void write_node(const NodeStatus& node, JsonWriter& json) {
  json.begin_object().field("id", node.id.value()).field("state", node.state);
  json.field("alive", node.alive).field("raft", node.raft_address);
  json.field("http", node.http_address).field("resp", node.resp_address);
  json.field("label", node.label).field("weight", node.weight);
  json.field("replicas", node.replicas).field("leaders", node.leaders).end_object();
}

void write_ids(std::string_view name, const std::vector<NodeId>& nodes, JsonWriter& json) {
  json.key(name).begin_array();
  for (const NodeId node : nodes) {
    json.number(node.value());
  }
  json.end_array();
}

void write_peer(const PeerStatus& peer, JsonWriter& json) {
  json.begin_object().field("node", peer.node.value()).field("active", peer.active);
  json.field("learner", peer.learner).field("witness", peer.witness);
  json.field("snapshotting", peer.snapshotting).field("match", peer.match.value());
  json.field("lag_entries", peer.lag_entries).end_object();
}

void write_group(const GroupStatus& group, JsonWriter& json) {
  json.begin_object().field("id", group.id.value());
  json.field("slot_begin", group.slot_begin).field("slot_end", group.slot_end);
  json.field("leader", group.leader.value()).field("term", group.term.value());
  write_ids("voters", group.voters, json);
  write_ids("learners", group.learners, json);
  if (!group.role.empty()) {
    json.field("role", group.role).field("commit", group.commit.value());
    json.field("applied", group.applied.value()).field("first", group.first.value());
    json.field("last", group.last.value()).field("pending", group.pending);
    json.field("memory_bytes", group.memory_bytes).field("damaged", group.damaged);
    json.field("digest", std::to_string(group.digest));  // 64 bits are more than a JSON number
  }
  if (!group.peers.empty()) {
    json.key("peers").begin_array();
    for (const PeerStatus& peer : group.peers) {
      write_peer(peer, json);
    }
    json.end_array();
  }
  json.end_object();
}

void get_status(Admin& admin, const Request& request, Responder responder) {
  if (const Status status = check_query(request, {}); !status.ok()) {
    responder.fail(status);
    return;
  }
  const ClusterStatus status = admin.status();
  Response response;
  JsonWriter json(response.body);
  json.begin_object().field("node", status.node.value()).field("version", status.version);
  json.field("cluster", std::to_string(status.cluster_id)).field("generation", status.generation);
  json.field("leader", status.meta_leader.value()).field("replication", status.replication);
  json.field("uptime_seconds", status.uptime.millis() / 1000).field("ready", status.ready);
  json.field("ready_why", status.ready_why);
  json.key("nodes").begin_array();
  for (const NodeStatus& node : status.nodes) {
    write_node(node, json);
  }
  json.end_array().key("groups").begin_array();
  for (const GroupStatus& group : status.groups) {
    write_group(group, json);
  }
  json.end_array().end_object();
  response.body += '\n';
  responder.send(std::move(response));
}

// Alive: the loop turns. That is all that a supervisor may kill for.
void get_health(Admin&, const Request&, Responder responder) {
  responder.send({.content_type = "text/plain", .body = "ok\n"});
}

void get_ready(Admin& admin, const Request&, Responder responder) {
  std::string why;
  const bool ready = admin.ready(why);
  responder.send({.status = ready ? 200 : 503,
                  .content_type = "text/plain",
                  .body = ready ? "ready\n" : "not ready: " + why + "\n"});
}

void get_metrics(Admin& admin, const Request&, Responder responder) {
  Response response{.content_type = "text/plain; version=0.0.4; charset=utf-8"};
  admin.metrics().write(response.body);
  responder.send(std::move(response));
}

void put_histogram(const Histogram& histogram, Unit unit, JsonWriter& json) {
  json.begin_object().field("count", histogram.count());
  json.key("sum").raw(Metrics::shown(histogram.sum(), unit));
  json.key("p50").raw(Metrics::shown(histogram.quantile(500'000), unit));
  json.key("p99").raw(Metrics::shown(histogram.quantile(990'000), unit));
  json.key("p999").raw(Metrics::shown(histogram.quantile(999'000), unit));
  json.key("max").raw(Metrics::shown(histogram.max(), unit)).end_object();
}

// The same for who has no parser of the Prometheus text: series by their names there.
void get_metrics_json(Admin& admin, const Request&, Responder responder) {
  Response response;
  JsonWriter json(response.body);
  json.begin_object().field("node", admin.status().node.value());
  json.key("metrics").begin_object();
  admin.metrics().each([&json](const Metrics::Series& series) {
    const bool is_empty = series.histogram != nullptr && series.histogram->count() == 0;
    if (is_empty || (series.counter != nullptr && series.counter->value() == 0)) {
      return;
    }
    std::string name(series.name);
    if (!series.labels.empty()) {
      name.append("{").append(series.labels).append("}");
    }
    json.key(name);
    if (series.counter != nullptr) {
      json.number(series.counter->value());
    } else if (series.gauge != nullptr) {
      json.signed_number(series.gauge->value());
    } else {
      put_histogram(*series.histogram, series.unit, json);
    }
  });
  json.end_object().end_object();
  response.body += '\n';
  responder.send(std::move(response));
}

// ---- the verbs ---------------------------------------------------------------------------------

Admin::Done answer_with(Responder responder) {
  return [responder](Result<Changed> changed) {
    if (!changed.ok()) {
      responder.fail(changed.status());
      return;
    }
    Response response;
    JsonWriter json(response.body);
    json.begin_object().field("node", changed->node.value());
    json.field("replicas_to_move", changed->replicas_to_move);
    json.field("leaders_to_move", changed->leaders_to_move);
    json.field("generation", changed->generation).end_object();
    response.body += '\n';
    responder.send(std::move(response));
  };
}

Result<NodeId> node_field(const boost::json::object& object, std::string_view name) {
  const Result<std::optional<uint64_t>> number = number_field(object, name);
  RETURN_IF_ERROR(number);
  if (!number->has_value() || **number == 0 || **number > UINT32_MAX) {
    return Status(Code::kInvalidArgument, "'" + std::string(name) + "' must be a node's number");
  }
  return NodeId(static_cast<uint32_t>(**number));
}

Result<NodeId> node_in_path(const Request& request) {
  const Result<uint64_t> number = parse_number(request.parameter("id"), "id");
  RETURN_IF_ERROR(number);
  if (*number == 0 || *number > UINT32_MAX) {
    return Status(Code::kInvalidArgument, "'id' must be a node's number");
  }
  return NodeId(static_cast<uint32_t>(*number));
}

// host:port; what is in the host is DNS's to say, but it is no blank and no control character.
bool is_address(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) {
    return false;
  }
  const std::string_view digits = text.substr(colon + 1);
  uint32_t port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  return error == std::errc() && end == digits.data() + digits.size() && port >= 1 &&
         port <= UINT16_MAX && std::none_of(text.begin(), text.end(), [](char c) {
           return static_cast<unsigned char>(c) <= ' ' || c == 0x7f;
         });
}

Status check_addresses(const NodeRequest& node) {
  for (const auto& [name, address] :
       {std::pair("raft", &node.raft_address), std::pair("http", &node.http_address),
        std::pair("resp", &node.resp_address)}) {
    if (!address->empty() && !is_address(*address)) {
      return Status(Code::kInvalidArgument,
                    "'" + std::string(name) + "' must be an address, host:port");
    }
  }
  return Status::success();
}

Status read_node(const Request& request, NodeRequest& node) {
  const Result<boost::json::object> body = parse_object(request.body);
  RETURN_IF_ERROR(body);
  RETURN_IF_ERROR(check_fields(*body, {"id", "raft", "http", "resp", "label", "weight"}));
  const Result<std::optional<std::string>> raft = text_field(*body, "raft");
  const Result<std::optional<std::string>> http = text_field(*body, "http");
  const Result<std::optional<std::string>> resp = text_field(*body, "resp");
  const Result<std::optional<std::string>> label = text_field(*body, "label");
  const Result<std::optional<uint64_t>> weight = number_field(*body, "weight");
  const Result<std::optional<uint64_t>> id = number_field(*body, "id");
  for (const Status& problem :
       {Status(raft), Status(http), Status(resp), Status(label), Status(weight), Status(id)}) {
    RETURN_IF_ERROR(problem);
  }
  if (!raft->has_value()) {
    return Status(Code::kInvalidArgument, "'raft' must be the node-to-node address, host:port");
  }
  if (id->value_or(0) > UINT32_MAX) {
    return Status(Code::kInvalidArgument, "'id' must be a node's number");
  }
  node.id = NodeId(static_cast<uint32_t>(id->value_or(0)));
  node.raft_address = **raft;
  node.http_address = http->value_or("");
  node.resp_address = resp->value_or("");
  node.label = label->value_or("");
  node.weight = static_cast<uint32_t>(std::min<uint64_t>(weight->value_or(100), UINT32_MAX));
  return check_addresses(node);
}

void add_node(Admin& admin, const Request& request, Responder responder) {
  NodeRequest node;
  if (const Status status = read_node(request, node); !status.ok()) {
    responder.fail(status);
    return;
  }
  admin.add_node(node, answer_with(responder));
}

void remove_node(Admin& admin, const Request& request, Responder responder) {
  const Result<NodeId> node = node_in_path(request);
  const Result<bool> force = parse_flag(request.query_value("force").value_or("false"), "force");
  for (const Status& status : {check_query(request, {"force"}), Status(node), Status(force)}) {
    if (!status.ok()) {
      responder.fail(status);
      return;
    }
  }
  admin.remove_node(*node, *force, answer_with(responder));
}

Result<NodeId> read_replacement(const Request& request) {
  const Result<boost::json::object> body = parse_object(request.body);
  RETURN_IF_ERROR(body);
  RETURN_IF_ERROR(check_fields(*body, {"with"}));
  return node_field(*body, "with");
}

void replace_node(Admin& admin, const Request& request, Responder responder) {
  const Result<NodeId> source = node_in_path(request);
  const Result<NodeId> target = read_replacement(request);
  if (!source.ok() || !target.ok()) {
    responder.fail(source.ok() ? target.status() : source.status());
    return;
  }
  admin.replace_node(*source, *target, answer_with(responder));
}

struct Transfer {
  GroupId group;
  NodeId target;
};

Result<Transfer> read_transfer(const Request& request) {
  const Result<boost::json::object> body = parse_object(request.body);
  RETURN_IF_ERROR(body);
  RETURN_IF_ERROR(check_fields(*body, {"group", "to"}));
  const Result<std::optional<uint64_t>> group = number_field(*body, "group");
  RETURN_IF_ERROR(group);
  if (!group->has_value() || **group >= limits::kGroupsMax) {
    return Status(Code::kInvalidArgument, "'group' must be a group's number");
  }
  const Result<NodeId> target = node_field(*body, "to");
  RETURN_IF_ERROR(target);
  return Transfer{GroupId(static_cast<uint32_t>(**group)), *target};
}

void transfer(Admin& admin, const Request& request, Responder responder) {
  const Result<Transfer> wanted = read_transfer(request);
  if (!wanted.ok()) {
    responder.fail(wanted.status());
    return;
  }
  // Only the leader can hand over, so a client is told where it is.
  const std::string leader = admin.leader_http(wanted->group);
  Admin::Done answer = answer_with(responder);
  admin.transfer_leadership(
      wanted->group, wanted->target,
      [responder, leader, answer = std::move(answer)](Result<Changed> changed) mutable {
        if (changed.ok() || changed.status().code() != Code::kNotLeader) {
          answer(std::move(changed));
          return;
        }
        Response response = error_response(changed.status());
        response.headers.emplace_back("Quorate-Leader", leader);
        responder.send(std::move(response));
      });
}

void rebalance(Admin& admin, const Request&, Responder responder) {
  admin.rebalance(answer_with(responder));
}

// ---- the table ---------------------------------------------------------------------------------

constexpr Parameter kIdParameters[] = {{"id", In::kPath, "integer", "The node's number."}};
constexpr Parameter kRemoveParameters[] = {
    {"id", In::kPath, "integer", "The node's number."},
    {"force", In::kQuery, "boolean",
     "Remove at once, whatever is on it: for a machine that will not come back."}};
constexpr std::string_view kChangedExample =
    R"({"node":4,"replicas_to_move":9,"leaders_to_move":3,"generation":17})";

const Row kRows[] = {
    {{.method = Method::kGet,
      .pattern = "/cluster/status",
      .group = "Cluster",
      .summary = "Nodes, groups, leaders, terms, lag and uptime, as this node sees them.",
      .answer_example = R"({"node":1,"version":"0.1.0","leader":1,"ready":true,"nodes":[],)"
                        R"("groups":[]})"},
     get_status},
    {{.method = Method::kGet,
      .pattern = "/healthz",
      .group = "Cluster",
      .summary = "200 while the process serves; for supervisors.",
      .answer_example = "ok",
      .access = Access::kAnyone},
     get_health},
    {{.method = Method::kGet,
      .pattern = "/readyz",
      .group = "Cluster",
      .summary = "200 when this node can serve linearizable requests, else 503 and the reason; "
                 "for load balancers.",
      .answer_example = "ready",
      .access = Access::kAnyone},
     get_ready},
    {{.method = Method::kGet,
      .pattern = "/metrics",
      .group = "Cluster",
      .summary = "Metrics in the Prometheus text format.",
      .answer_example = "quorate_http_connections 3"},
     get_metrics},
    {{.method = Method::kGet,
      .pattern = "/cluster/metrics",
      .group = "Cluster",
      .summary = "What this node counts, as JSON: each series by its name in the Prometheus text, "
                 "histograms with quantiles; counters and histograms that are still zero are left "
                 "out.",
      .answer_example = R"({"node":1,"metrics":{"quorate_http_connections":3}})"},
     get_metrics_json},
    {{.method = Method::kPost,
      .pattern = "/cluster/nodes",
      .group = "Cluster",
      .summary = "Announce a node. It gets its share of replicas once it is up and has caught up.",
      .body = Body::kJson,
      .body_example = R"({"raft":"10.0.0.4:9004","http":"10.0.0.4:8004"})",
      .answer_example = kChangedExample,
      .access = Access::kAdmin,
      .body_more = R"({"id":4,"resp":"10.0.0.4:7004","label":"rack-b","weight":100})"},
     add_node},
    {{.method = Method::kDelete,
      .pattern = "/cluster/nodes/{id}",
      .group = "Cluster",
      .summary = "Move a node's replicas away, then remove it.",
      .parameters = kRemoveParameters,
      .answer_example = kChangedExample,
      .access = Access::kAdmin},
     remove_node},
    {{.method = Method::kPost,
      .pattern = "/cluster/nodes/{id}/replace",
      .group = "Cluster",
      .summary = "Give a node's whole share to another one, and remove it.",
      .parameters = kIdParameters,
      .body = Body::kJson,
      .body_example = R"({"with":4})",
      .answer_example = kChangedExample,
      .access = Access::kAdmin},
     replace_node},
    {{.method = Method::kPost,
      .pattern = "/cluster/transfer",
      .group = "Cluster",
      .summary = "Hand the leadership of a group to another of its voters.",
      .body = Body::kJson,
      .body_example = R"({"group":3,"to":2})",
      .answer_example = kChangedExample,
      .access = Access::kAdmin},
     transfer},
    {{.method = Method::kPost,
      .pattern = "/cluster/rebalance",
      .group = "Cluster",
      .summary = "Compute the placement of replicas and leaders anew.",
      .answer_example = kChangedExample,
      .access = Access::kAdmin},
     rebalance},
};

}  // namespace

void bind_cluster(Admin& admin, Router& router) {
  for (const Row& row : kRows) {
    router.add(row.text, [&admin, run = row.run](const Request& request, Responder responder) {
      run(admin, request, std::move(responder));
    });
  }
}

}  // namespace quorate::edge::http
