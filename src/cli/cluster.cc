// SPDX-License-Identifier: Apache-2.0
// quorate cluster: members, groups, leaders.
#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <charconv>

#include "cli/commands.h"
#include "cli/table.h"

namespace quorate::cli {
namespace {

namespace json = boost::json;
using client::Answer;

// ---- reading the status ------------------------------------------------------------------------

std::string text_at(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains({name.data(), name.size()});
  if (value == nullptr || value->is_null()) {
    return "-";
  }
  if (value->is_string()) {
    return value->get_string().empty() ? "-" : std::string(value->get_string());
  }
  return value->is_bool() ? (value->get_bool() ? "yes" : "no") : json::serialize(*value);
}

uint64_t number_at(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains({name.data(), name.size()});
  const bool number = value != nullptr && (value->is_int64() || value->is_uint64());
  return number ? value->to_number<uint64_t>() : 0;
}

std::vector<json::object> objects_at(const json::object& object, std::string_view name) {
  std::vector<json::object> list;
  const json::value* value = object.if_contains({name.data(), name.size()});
  if (value != nullptr && value->is_array()) {
    for (const json::value& each : value->get_array()) {
      if (each.is_object()) {
        list.push_back(each.get_object());
      }
    }
  }
  return list;
}

std::string numbers_at(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains({name.data(), name.size()});
  std::string text;
  if (value != nullptr && value->is_array()) {
    for (const json::value& each : value->get_array()) {
      text += (text.empty() ? "" : ",") + json::serialize(each);
    }
  }
  return text.empty() ? "-" : text;
}

std::string duration(uint64_t seconds) {
  if (seconds < 120) {
    return std::to_string(seconds) + " s";
  }
  return seconds < 7'200 ? std::to_string(seconds / 60) + " min"
                         : std::to_string(seconds / 3'600) + " h";
}

std::string summary(const json::object& status) {
  const std::vector<json::object> groups = objects_at(status, "groups");
  size_t led = 0;
  uint64_t lag = 0;
  size_t members = 0;
  for (const json::object& node : objects_at(status, "nodes")) {
    members += text_at(node, "state") != "removed" ? 1 : 0;
  }
  for (const json::object& group : groups) {
    led += number_at(group, "leader") != 0 ? 1 : 0;
    for (const json::object& peer : objects_at(group, "peers")) {
      lag = std::max(lag, number_at(peer, "lag_entries"));
    }
  }
  const std::string ready = text_at(status, "ready");
  std::string text = "cluster " + text_at(status, "cluster") + ": " + std::to_string(members) +
                     (members == 1 ? " node, " : " nodes, ") + std::to_string(led) + " of " +
                     std::to_string(groups.size()) + " groups have a leader";
  text += ", " + text_at(status, "replication") + " replicas each\n";
  text += "asked node " + text_at(status, "node") + " (" + text_at(status, "version") + ", up " +
          duration(number_at(status, "uptime_seconds")) +
          "): " + (ready == "yes" ? "ready" : "NOT READY, " + text_at(status, "ready_why")) +
          "; followers of its groups are at most " + std::to_string(lag) + " entries behind\n";
  return text;
}

std::string nodes_table(const json::object& status) {
  std::vector<std::vector<std::string>> rows = {
      {"node", "state", "alive", "leads", "holds", "http", "raft", "label"}};
  for (const json::object& node : objects_at(status, "nodes")) {
    if (text_at(node, "state") == "removed") {
      continue;  // kept by the cluster only so that it can be told so when it knocks
    }
    const bool meta = number_at(node, "id") == number_at(status, "leader");
    rows.push_back({text_at(node, "id") + (meta ? "*" : ""), text_at(node, "state"),
                    text_at(node, "alive"), text_at(node, "leaders"), text_at(node, "replicas"),
                    text_at(node, "http"), text_at(node, "raft"), text_at(node, "label")});
  }
  return table(rows) + "(* leads the meta group)\n";
}

std::string groups_table(const json::object& status) {
  std::vector<std::vector<std::string>> rows = {{"group", "slots", "leader", "term", "voters",
                                                 "learners", "here", "commit", "applied",
                                                 "memory"}};
  for (const json::object& group : objects_at(status, "groups")) {
    const bool meta = number_at(group, "id") == 0;
    rows.push_back({text_at(group, "id"),
                    meta ? "meta"
                         : text_at(group, "slot_begin") + "-" +
                               std::to_string(number_at(group, "slot_end") - 1),
                    text_at(group, "leader"), text_at(group, "term"), numbers_at(group, "voters"),
                    numbers_at(group, "learners"), text_at(group, "role"), text_at(group, "commit"),
                    text_at(group, "applied"),
                    std::to_string(number_at(group, "memory_bytes") / 1024) + " KiB"});
  }
  return table(rows);
}

// ---- commands ----------------------------------------------------------------------------------

Exit status(Session& session) {
  const Result<Answer> answer = session.call({.target = "/cluster/status"});
  if (!answer.ok()) {
    return session.fail(answer.status());
  }
  if (session.json()) {
    session.print(answer->body);
    return Exit::kDone;
  }
  const json::value body = parse_json(answer->body);
  if (!body.is_object()) {
    return session.fail(Status(Code::kInternal, "the answer is no status"));
  }
  session.print(summary(body.get_object()) + "\n" + nodes_table(body.get_object()));
  if (session.arguments().has("--groups")) {
    session.print("\n" + groups_table(body.get_object()));
  }
  return Exit::kDone;
}

Exit change(Session& session, client::Call call, const std::string& done) {
  const Result<Answer> answer = session.write(std::move(call));
  if (!answer.ok()) {
    return session.fail(answer.status());
  }
  if (session.json()) {
    session.print(answer->body);
    return Exit::kDone;
  }
  const json::value body = parse_json(answer->body);
  const json::object object = body.is_object() ? body.get_object() : json::object();
  const uint64_t replicas = number_at(object, "replicas_to_move");
  const uint64_t leaders = number_at(object, "leaders_to_move");
  std::string text = done;
  if (number_at(object, "node") != 0) {
    text += " (node " + text_at(object, "node") + ")";
  }
  if (replicas + leaders > 0) {
    text += "; " + std::to_string(replicas) + " replicas and " + std::to_string(leaders) +
            " leaders will move: see 'quorate cluster status --groups'";
  }
  session.print(text + "\n");
  return Exit::kDone;
}

// A node's or group's number as it goes into a path or JSON; kInvalidArgument if it is none.
Result<uint64_t> number_of(const std::string& word) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  if (error != std::errc() || end != word.data() + word.size()) {
    return Status(Code::kInvalidArgument, "'" + word + "' is not a number");
  }
  return number;
}

Exit add(Session& session) {
  const Arguments& arguments = session.arguments();
  json::object body = {{"raft", arguments.words[0]}};
  if (const auto http = arguments.value("--http")) {
    body["http"] = *http;
  }
  if (const auto label = arguments.value("--label")) {
    body["label"] = *label;
  }
  if (const auto weight = arguments.value("--weight")) {
    const Result<uint64_t> number = number_of(*weight);
    if (!number.ok()) {
      return session.usage_error(number.status().message());
    }
    body["weight"] = *number;
  }
  return change(session,
                {.method = "POST", .target = "/cluster/nodes", .body = json::serialize(body)},
                "announced");
}

Exit remove(Session& session) {
  const Arguments& arguments = session.arguments();
  const Result<uint64_t> node = number_of(arguments.words[0]);
  if (!node.ok()) {
    return session.usage_error(node.status().message());
  }
  return change(session,
                {.method = "DELETE",
                 .target = "/cluster/nodes/" + std::to_string(*node) +
                           (arguments.has("--force") ? "?force=true" : "")},
                arguments.has("--force") ? "removed" : "draining");
}

Exit replace(Session& session) {
  const Result<uint64_t> source = number_of(session.arguments().words[0]);
  const Result<uint64_t> target = number_of(session.arguments().words[1]);
  if (!source.ok() || !target.ok()) {
    return session.usage_error((source.ok() ? target : source).status().message());
  }
  const json::object body = {{"with", *target}};
  return change(session,
                {.method = "POST",
                 .target = "/cluster/nodes/" + std::to_string(*source) + "/replace",
                 .body = json::serialize(body)},
                "replacing");
}

Exit transfer(Session& session) {
  const Result<uint64_t> group = number_of(session.arguments().words[0]);
  const Result<uint64_t> target = number_of(session.arguments().words[1]);
  if (!group.ok() || !target.ok()) {
    return session.usage_error((group.ok() ? target : group).status().message());
  }
  const json::object body = {{"group", *group}, {"to", *target}};
  return change(session,
                {.method = "POST", .target = "/cluster/transfer", .body = json::serialize(body)},
                "leadership handed over");
}

Exit rebalance(Session& session) {
  return change(session, {.method = "POST", .target = "/cluster/rebalance"}, "balanced");
}

// ---- the table ---------------------------------------------------------------------------------

constexpr Flag kStatusFlags[] = {{"--groups", "", "also each group"}};
constexpr Flag kAddFlags[] = {{"--http", "HOST:PORT", "its HTTP address"},
                              {"--label", "TEXT", "for people: a rack, a zone"},
                              {"--weight", "N", "its share against the others' 100; 0: none"}};
constexpr Flag kRemoveFlags[] = {
    {"--force", "", "at once, whatever is on it: for a machine that will not come back"}};

const Command kCommands[] = {
    {"status", "", "Nodes, leaders, groups, as one node sees them.",
     "Examples:\n  quorate cluster status --node 10.0.0.1:8001,10.0.0.2:8002\n"
     "  quorate cluster status --groups",
     kStatusFlags, 0, 0, status},
    {"add", "HOST:PORT", "Announce a new node by its node-to-node address.",
     "It gets its share of replicas once it runs and has caught up. A node that is started with\n"
     "cluster.join announces itself; this command is for when you want its number first. Example:\n"
     "  quorate cluster add 10.0.0.4:9004 --http 10.0.0.4:8004",
     kAddFlags, 1, 1, add},
    {"remove", "NODE", "Move a node's replicas away, then remove it.",
     "Refused if fewer nodes than replicas would be left.", kRemoveFlags, 1, 1, remove},
    {"replace",
     "OLD NEW",
     "Give OLD's whole share to NEW, and remove OLD.",
     "No other replica moves. In this order, so that NEW takes OLD's share and no other:\n"
     "  quorate cluster add 10.0.0.4:9004 --http 10.0.0.4:8004   answers NEW's number, say 4\n"
     "  quorate cluster replace 2 4\n"
     "  then start the new node, with 'node = 4' and cluster.join\n"
     "A node that was started before it was named here has taken a share of its own already.",
     {},
     2,
     2,
     replace},
    {"transfer",
     "GROUP NODE",
     "Hand the leadership of a group to another of its voters.",
     "",
     {},
     2,
     2,
     transfer},
    {"rebalance",
     "",
     "Compute the placement of replicas and leaders anew.",
     "",
     {},
     0,
     0,
     rebalance},
};

}  // namespace

std::span<const Command> cluster_commands() { return kCommands; }

Exit cluster_main(const std::vector<std::string>& words, Io& io) {
  return run_command("cluster", "Members, groups and leaders of a running cluster.", kCommands,
                     words, io);
}

}  // namespace quorate::cli
