// SPDX-License-Identifier: Apache-2.0
// The cluster's pages against a made-up Admin, argument parsing, and the generated documentation.
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "edge/http/arguments.h"
#include "edge/http/bind_cluster.h"
#include "edge/http/docs_page.h"
#include "edge/http/testing.h"

namespace quorate::edge::http {
namespace {

class RecordingAdmin final : public Admin {
 public:
  [[nodiscard]] ClusterStatus status() override {
    ClusterStatus status;
    status.node = NodeId(2);
    status.version = "1.2.3";
    status.nodes.push_back({.id = NodeId(2),
                            .state = "active",
                            .alive = true,
                            .raft_address = "a:1",
                            .http_address = {},
                            .resp_address = {},
                            .label = "rack \"7\""});
    GroupStatus group;
    group.id = GroupId(1);
    group.leader = NodeId(2);
    group.role = "leader";
    group.digest = UINT64_MAX;
    group.peers.push_back({.node = NodeId(3), .active = true, .match = {}, .lag_entries = 4});
    status.groups.push_back(group);
    return status;
  }
  [[nodiscard]] bool ready(std::string& why) override {
    why = "group 3 has no leader";
    return is_ready;
  }
  [[nodiscard]] const Metrics& metrics() override { return counted; }
  [[nodiscard]] std::string leader_http(GroupId) override { return "leader:1"; }
  void add_node(const NodeRequest& node, Done done) override {
    said = "add " + node.raft_address + " " + std::to_string(node.weight);
    done(Changed{.node = NodeId(4), .replicas_to_move = 9});
  }
  void remove_node(NodeId node, bool force, Done done) override {
    said = "remove " + std::to_string(node.value()) + (force ? " now" : "");
    done(Status(Code::kPreconditionFailed, "too few nodes would be left"));
  }
  void replace_node(NodeId source, NodeId target, Done done) override {
    said = "replace " + std::to_string(source.value()) + " " + std::to_string(target.value());
    done(Changed());
  }
  void transfer_leadership(GroupId group, NodeId target, Done done) override {
    said = "transfer " + std::to_string(group.value()) + " " + std::to_string(target.value());
    done(Changed());
  }
  void rebalance(Done done) override {
    said = "rebalance";
    done(Changed());
  }

  std::string said;
  Metrics counted;
  bool is_ready = true;
};

struct VerbRow {
  Method method;
  const char* target;
  const char* body;
  int status;
  const char* said;
};

TEST(cluster, each_verb_reads_its_arguments_and_refuses_others) {
  const VerbRow rows[] = {
      {Method::kPost, "/cluster/nodes", R"({"raft":"h:1","weight":50})", 200, "add h:1 50"},
      {Method::kPost, "/cluster/nodes", R"({"raft":"h:1"})", 200, "add h:1 100"},
      {Method::kPost, "/cluster/nodes", R"({"http":"h:1"})", 400, ""},
      {Method::kPost, "/cluster/nodes", R"({"raft":1})", 400, ""},
      {Method::kPost, "/cluster/nodes", R"({"raft":"[::1]:9004"})", 200, "add [::1]:9004 100"},
      {Method::kPost, "/cluster/nodes", R"({"raft":"somewhere"})", 400, ""},
      {Method::kPost, "/cluster/nodes", R"({"raft":":9004"})", 400, ""},
      {Method::kPost, "/cluster/nodes", R"({"raft":"h:0"})", 400, ""},
      {Method::kPost, "/cluster/nodes", R"({"raft":"h:65536"})", 400, ""},
      {Method::kPost, "/cluster/nodes", R"({"raft":"h:1x"})", 400, ""},
      {Method::kPost, "/cluster/nodes", R"({"raft":"a b:1"})", 400, ""},
      {Method::kPost, "/cluster/nodes", R"({"raft":"h:1","http":"somewhere"})", 400, ""},
      {Method::kPost, "/cluster/nodes", R"({"raft":"h:1","resp":"h:"})", 400, ""},
      {Method::kPost, "/cluster/nodes", R"({"raft":"h:1","wieght":50})", 400, ""},
      {Method::kPost, "/cluster/nodes", R"(["raft"])", 400, ""},
      {Method::kPost, "/cluster/nodes", R"({"raft")", 400, ""},
      {Method::kDelete, "/cluster/nodes/3", "", 412, "remove 3"},
      {Method::kDelete, "/cluster/nodes/3?force", "", 412, "remove 3 now"},
      {Method::kDelete, "/cluster/nodes/3?force=maybe", "", 400, ""},
      {Method::kDelete, "/cluster/nodes/3?froce", "", 400, ""},
      {Method::kDelete, "/cluster/nodes/0", "", 400, ""},
      {Method::kDelete, "/cluster/nodes/-1", "", 400, ""},
      {Method::kPost, "/cluster/nodes/3/replace", R"({"with":4})", 200, "replace 3 4"},
      {Method::kPost, "/cluster/nodes/3/replace", "", 400, ""},
      {Method::kPost, "/cluster/transfer", R"({"group":0,"to":2})", 200, "transfer 0 2"},
      {Method::kPost, "/cluster/transfer", R"({"to":2})", 400, ""},
      {Method::kPost, "/cluster/rebalance", "", 200, "rebalance"},
  };
  for (const VerbRow& row : rows) {
    RecordingAdmin admin;
    Router router;
    bind_cluster(admin, router);
    const Response response = ask(router, row.method, row.target, row.body);
    EXPECT_EQ(response.status, row.status) << row.target << row.body << response.body;
    EXPECT_EQ(admin.said, row.said) << row.target << row.body;
  }
}

TEST(cluster, the_pages_say_what_the_admin_says) {
  RecordingAdmin admin;
  Router router;
  bind_cluster(admin, router);
  const boost::json::value status =
      boost::json::parse(ask(router, Method::kGet, "/cluster/status").body);
  EXPECT_EQ(status.at("node").as_int64(), 2);
  EXPECT_EQ(status.at("nodes").at(0).at("label").as_string(), "rack \"7\"");
  EXPECT_EQ(status.at("groups").at(0).at("digest").as_string(), "18446744073709551615");
  EXPECT_EQ(status.at("groups").at(0).at("peers").at(0).at("lag_entries").as_int64(), 4);
  EXPECT_EQ(ask(router, Method::kGet, "/healthz").body, "ok\n");
  admin.counted.gauge("up", "It is.").set(1);
  EXPECT_EQ(ask(router, Method::kGet, "/metrics").body,
            "# HELP up It is.\n# TYPE up gauge\nup 1\n");
  admin.counted.counter("zero_total", "Nothing.");
  admin.counted.counter("asked_total", "Asked.", {{"verb", "a\"b"}}).add(7);
  admin.counted.histogram("lag_seconds", "Lag.", Unit::kNanos).record(500'000'000);
  EXPECT_EQ(ask(router, Method::kGet, "/cluster/metrics").body,
            "{\"node\":2,\"metrics\":{\"asked_total{verb=\\\"a\\\\\\\"b\\\"}\":7,"
            "\"lag_seconds\":{\"count\":1,\"sum\":0.5,\"p50\":0.5,\"p99\":0.5,\"p999\":0.5,"
            "\"max\":0.5},\"up\":1}}\n");
  EXPECT_EQ(ask(router, Method::kGet, "/readyz").status, 200);
  admin.is_ready = false;
  const Response unready = ask(router, Method::kGet, "/readyz");
  EXPECT_EQ(unready.status, 503);
  EXPECT_EQ(unready.body, "not ready: group 3 has no leader\n");
}

TEST(docs, the_generated_documents_name_every_route) {
  RecordingAdmin admin;
  Router router;
  bind_cluster(admin, router);
  bind_docs(router, "1.2.3");
  const boost::json::value openapi =
      boost::json::parse(ask(router, Method::kGet, "/openapi.json").body);
  const std::string page = ask(router, Method::kGet, "/docs").body;
  EXPECT_EQ(openapi.at("info").at("version").as_string(), "1.2.3");
  for (const Router::Route& route : router.routes()) {
    EXPECT_TRUE(
        openapi.at("paths").as_object().contains(boost::json::string_view(route.text.pattern)))
        << route.text.pattern;
    EXPECT_NE(page.find(route.text.pattern), std::string::npos);
    EXPECT_FALSE(route.text.summary.empty());
    const boost::json::value& operation = openapi.at("paths")
                                              .at(boost::json::string_view(route.text.pattern))
                                              .at(route.text.method == Method::kGet    ? "get"
                                                  : route.text.method == Method::kPut  ? "put"
                                                  : route.text.method == Method::kPost ? "post"
                                                                                       : "delete");
    EXPECT_TRUE(operation.at("responses")
                    .at("200")
                    .at("content")
                    .as_object()
                    .begin()
                    ->value()
                    .as_object()
                    .contains("schema"));
    if (route.text.body == Body::kJson) {
      EXPECT_FALSE(operation.at("requestBody")
                       .at("content")
                       .at("application/json")
                       .at("schema")
                       .at("properties")
                       .as_object()
                       .empty())
          << route.text.pattern;
    }
  }
  EXPECT_EQ(ask(router, Method::kGet, "/").headers[0].second, "/docs");
}

struct DurationRow {
  const char* text;
  int64_t millis;  // -1: refused
};

TEST(arguments, durations_have_units_and_bounds) {
  const DurationRow rows[] = {{"1500ms", 1500},
                              {"30s", 30'000},
                              {"30", 30'000},
                              {"10m", 600'000},
                              {"2h", 7'200'000},
                              {"7d", 604'800'000},
                              {"0", 0},
                              {"", -1},
                              {"s", -1},
                              {"-1s", -1},
                              {"1.5s", -1},
                              {"1w", -1},
                              {"99999999999999999d", -1},
                              {"18446744073709551616", -1}};
  for (const DurationRow& row : rows) {
    const Result<Duration> duration = parse_duration(row.text, "ttl");
    EXPECT_EQ(duration.ok() ? duration->millis() : -1, row.millis) << row.text;
  }
}

TEST(arguments, json_deeper_than_its_limit_is_refused) {
  std::string deep = "{\"a\":" + std::string(5000, '[') + std::string(5000, ']') + "}";
  EXPECT_EQ(parse_object(deep).status().code(), Code::kInvalidArgument);
  EXPECT_TRUE(parse_object("").ok());
}

}  // namespace
}  // namespace quorate::edge::http
