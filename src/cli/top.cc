// SPDX-License-Identifier: Apache-2.0
// quorate top: the nodes of a cluster and what they do, again and again.
//
// Each look asks one node who belongs to the cluster, then every node for its metrics; rates are
// the differences between two looks.
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <charconv>
#include <chrono>
#include <cmath>
#include <map>
#include <thread>

#include "cli/commands.h"
#include "cli/metrics_text.h"
#include "cli/table.h"

namespace quorate::cli {
namespace {

namespace json = boost::json;
using SteadyTime = std::chrono::steady_clock::time_point;

constexpr Duration kAskTimeout = Duration::millis(900);

struct Look {
  bool answered = false;
  SteadyTime at;
  MetricSums metrics;
};

struct Node {
  uint64_t id = 0;
  std::string http;
  std::string state;
  Look before;
  Look now;
};

std::string text_of(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains({name.data(), name.size()});
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
}

uint64_t number_of(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains({name.data(), name.size()});
  const bool number = value != nullptr && (value->is_int64() || value->is_uint64());
  return number ? value->to_number<uint64_t>() : 0;
}

double sum(const Look& look, std::string_view name) {
  const auto at = look.metrics.find(name);
  return at == look.metrics.end() ? 0 : at->second;
}

// Of a counter, per second. Nothing before the second look, nor after a restart, where it falls.
double rate(const Node& node, std::string_view name) {
  if (!node.before.answered || !node.now.answered) {
    return 0;
  }
  const double seconds = std::chrono::duration<double>(node.now.at - node.before.at).count();
  const double grown = sum(node.now, name) - sum(node.before, name);
  return seconds > 0 && grown > 0 ? grown / seconds : 0;
}

struct Column {
  std::string_view title;
  std::string_view name;  // in JSON
  double (*value)(const Node& node);
  enum class Unit : uint8_t { kCount, kBytes, kPercent } unit = Unit::kCount;
  bool adds_up = true;
};

using Unit = Column::Unit;
constexpr Column kColumns[] = {
    {"leads", "leads", [](const Node& n) { return sum(n.now, "quorate_node_groups_led"); }},
    {"writes/s", "writes_per_second",
     [](const Node& n) { return rate(n, "quorate_node_proposals_total"); }},
    {"reads/s", "reads_per_second",
     [](const Node& n) {
       return rate(n, "quorate_node_reads_local_total") +
              rate(n, "quorate_node_reads_by_round_total");
     }},
    {"http/s", "http_per_second",
     [](const Node& n) { return rate(n, "quorate_http_requests_total"); }},
    {"resp/s", "resp_per_second",
     [](const Node& n) { return rate(n, "quorate_resp_commands_total"); }},
    {"syncs/s", "syncs_per_second",
     [](const Node& n) { return rate(n, "quorate_wal_syncs_total"); }},
    {"log/s", "log_bytes_per_second",
     [](const Node& n) { return rate(n, "quorate_wal_written_bytes_total"); }, Unit::kBytes},
    {"sent/s", "sent_bytes_per_second",
     [](const Node& n) { return rate(n, "quorate_net_sent_bytes_total"); }, Unit::kBytes},
    {"lag", "lag_entries", [](const Node& n) { return sum(n.now, "quorate_node_lag_entries_max"); },
     Unit::kCount, false},
    {"conns", "connections",
     [](const Node& n) {
       return sum(n.now, "quorate_http_connections") + sum(n.now, "quorate_resp_connections");
     }},
    {"memory", "resident_bytes",
     [](const Node& n) { return sum(n.now, "quorate_process_resident_bytes"); }, Unit::kBytes},
    {"cpu", "cpu_percent",
     [](const Node& n) { return rate(n, "quorate_process_cpu_micros_total") / 10'000; },
     Unit::kPercent},
};

// Of the locks of the whole cluster. Their counts go with the leaderships of their groups, so a
// single node's would leap when one moves.
struct LockRow {
  std::string_view title;
  std::string_view name;  // in JSON
  std::string_view metric;
  bool is_rate = false;
};
constexpr LockRow kLockRows[] = {
    {"held", "held", "quorate_lock_holds"},
    {"waiting", "waiting", "quorate_lock_waits"},
    {"grants/s", "grants_per_second", "quorate_lock_grants_total", true},
    {"deadlocks", "deadlocks", "quorate_lock_deadlocks_detected_total"},
};

// Three digits and a unit: 998, 1.2k, 34.5k, 7.8M.
std::string shown(double value, Unit unit) {
  if (unit == Unit::kPercent) {
    return std::to_string(std::lround(value)) + "%";
  }
  const double step = unit == Unit::kBytes ? 1024 : 1000;
  static constexpr std::string_view kSuffixes[] = {"", "k", "M", "G", "T"};
  size_t at = 0;
  while (value >= step && at + 1 < std::size(kSuffixes)) {
    value /= step;
    ++at;
  }
  std::string text = std::to_string(std::lround(value));
  if (at > 0 && value < 100) {
    const long tenths = std::lround(value * 10);
    text = std::to_string(tenths / 10) + "." + std::to_string(tenths % 10);
  }
  return text + std::string(kSuffixes[at]);
}

class Top {
 public:
  explicit Top(Session& session) : session_(session) {}

  // False if no node answered; `problem` says why.
  [[nodiscard]] bool look(Status& problem) {
    const Result<client::Answer> answer = session_.call({.target = "/cluster/status"});
    if (!answer.ok()) {
      problem = answer.status();
      return false;
    }
    const json::value body = parse_json(answer->body);
    const json::value* list = body.is_object() ? body.get_object().if_contains("nodes") : nullptr;
    if (list == nullptr || !list->is_array()) {
      problem = Status(Code::kInternal, "the answer is no status");
      return false;
    }
    status_ = body.get_object();
    take_nodes(list->get_array());
    for (auto& [id, node] : nodes_) {
      ask(node);
    }
    return true;
  }

  [[nodiscard]] std::string page() const {
    std::vector<std::vector<std::string>> rows;
    std::vector<std::string> head = {"node", "http", "state"};
    std::vector<std::string> total = {"all", "", ""};
    for (const Column& column : kColumns) {
      head.emplace_back(column.title);
      double all = 0;
      for (const auto& [id, node] : nodes_) {
        all += column.value(node);
      }
      total.push_back(column.adds_up ? shown(all, column.unit) : "");
    }
    rows.push_back(std::move(head));
    for (const auto& [id, node] : nodes_) {
      rows.push_back(row_of(node));
    }
    rows.push_back(std::move(total));
    std::string locks = "locks ";
    for (const LockRow& row : kLockRows) {
      locks += "  " + shown(of_locks(row), Unit::kCount) + " " + std::string(row.title);
    }
    return summary() + "\n" + locks + "\n\n" + table(rows, 3);
  }

  [[nodiscard]] std::string as_json() const {
    json::array list;
    for (const auto& [id, node] : nodes_) {
      json::object object = {{"node", id}, {"http", node.http}, {"state", state_of(node)}};
      for (const Column& column : kColumns) {
        object[{column.name.data(), column.name.size()}] = std::lround(column.value(node));
      }
      list.push_back(std::move(object));
    }
    json::object locks;
    for (const LockRow& row : kLockRows) {
      locks[{row.name.data(), row.name.size()}] = std::lround(of_locks(row));
    }
    return json::serialize(json::object{{"nodes", list}, {"locks", locks}}) + "\n";
  }

 private:
  [[nodiscard]] double of_locks(const LockRow& row) const {
    double all = 0;
    double before = 0;
    double seconds = 0;
    for (const auto& [id, node] : nodes_) {
      all += sum(node.now, row.metric);
      before += sum(node.before, row.metric);
      if (node.before.answered && node.now.answered) {
        seconds = std::chrono::duration<double>(node.now.at - node.before.at).count();
      }
    }
    if (!row.is_rate) {
      return all;
    }
    return seconds > 0 && all > before ? (all - before) / seconds : 0;
  }

  void take_nodes(const json::array& list) {
    std::map<uint64_t, Node> fresh;
    for (const json::value& value : list) {
      if (!value.is_object() || text_of(value.get_object(), "state") == "removed") {
        continue;
      }
      const json::object& object = value.get_object();
      const uint64_t id = number_of(object, "id");
      Node& node = fresh[id];
      node = std::move(nodes_[id]);
      node.id = id;
      node.http = text_of(object, "http");
      node.state = text_of(object, "state");
    }
    nodes_ = std::move(fresh);
  }

  void ask(Node& node) {
    node.before = std::move(node.now);
    node.now = {};
    client::Options options = session_.client_options();
    options.nodes = {node.http};
    options.timeout = kAskTimeout;
    options.try_timeout = kAskTimeout;
    client::HttpClient& client = client_of(node, options);
    const Result<client::Answer> answer = client.call({.target = "/metrics", .idempotent = true});
    node.now.at = std::chrono::steady_clock::now();
    node.now.answered = answer.ok();
    if (answer.ok()) {
      node.now.metrics = sum_metrics(answer->body);
    }
  }

  client::HttpClient& client_of(const Node& node, const client::Options& options) {
    std::unique_ptr<client::HttpClient>& client = clients_[node.http];
    if (client == nullptr) {
      client = std::make_unique<client::HttpClient>(options);
    }
    return *client;
  }

  [[nodiscard]] static std::string state_of(const Node& node) {
    if (!node.now.answered) {
      return "silent";
    }
    if (sum(node.now, "quorate_node_ready") == 0) {
      return "not ready";
    }
    return node.state == "active" ? "ready" : node.state;
  }

  [[nodiscard]] static std::vector<std::string> row_of(const Node& node) {
    std::vector<std::string> row = {std::to_string(node.id), node.http, state_of(node)};
    for (const Column& column : kColumns) {
      row.push_back(node.now.answered ? shown(column.value(node), column.unit) : "-");
    }
    return row;
  }

  [[nodiscard]] std::string summary() const {
    size_t answering = 0;
    for (const auto& [id, node] : nodes_) {
      answering += node.now.answered ? 1 : 0;
    }
    const json::value* groups = status_.if_contains("groups");
    size_t led = 0;
    size_t count = 0;
    if (groups != nullptr && groups->is_array()) {
      for (const json::value& group : groups->get_array()) {
        led += group.is_object() && number_of(group.get_object(), "leader") != 0 ? 1 : 0;
        ++count;
      }
    }
    return "cluster " + text_of(status_, "cluster") + "   " + std::to_string(answering) + " of " +
           std::to_string(nodes_.size()) + " nodes answer   " + std::to_string(led) + " of " +
           std::to_string(count) + " groups have a leader";
  }

  Session& session_;
  json::object status_;
  std::map<uint64_t, Node> nodes_;
  std::map<std::string, std::unique_ptr<client::HttpClient>> clients_;
};

Result<uint64_t> positive(const Arguments& arguments, std::string_view flag, uint64_t fallback) {
  const auto text = arguments.value(flag);
  uint64_t number = fallback;
  if (text) {
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
    if (error != std::errc() || end != text->data() + text->size() || number == 0 ||
        number > 86'400) {
      return Status(Code::kInvalidArgument,
                    std::string(flag) + " must be a whole number from 1 to 86400");
    }
  }
  return number;
}

Exit run_top(Session& session) {
  const Result<uint64_t> interval = positive(session.arguments(), "--interval", 1);
  const Result<uint64_t> count = positive(session.arguments(), "--count", UINT64_MAX);
  if (!interval.ok() || !count.ok()) {
    return session.usage_error((interval.ok() ? count : interval).status().message());
  }
  Top top(session);
  const bool screen = session.io().out_is_terminal && !session.json();
  // The first look has no rates yet, so it is not shown.
  for (uint64_t shown = 0, looks = 0; shown < *count; ++looks) {
    Status problem;
    const bool seen = top.look(problem);
    if (!seen && looks == 0) {
      return session.fail(problem);
    }
    if (looks > 0) {
      const std::string page = !seen            ? "no node answers: " + problem.message() + "\n"
                               : session.json() ? top.as_json()
                                                : top.page();
      session.print((screen ? "\033[H\033[J" : "") + page + (session.json() ? "" : "\n"));
      ++shown;
    }
    if (shown < *count) {
      std::this_thread::sleep_for(std::chrono::seconds(*interval));
    }
  }
  return Exit::kDone;
}

constexpr Flag kFlags[] = {{"--interval", "SECONDS", "between two looks (1)"},
                           {"--count", "N", "end after so many pages; without it, ctrl-C ends it"}};

const Command kCommand = {
    "top",
    "",
    "The nodes of a cluster and what they do, live.",
    "writes/s are commands proposed at a node, reads/s those it answered, http/s and resp/s what\n"
    "clients asked of it by either protocol; conns are theirs. lag is how many log entries the\n"
    "furthest follower of its groups is behind. Locks are those of the whole cluster;\n"
    "deadlocks counts those that were found and broken since the cluster began. Examples:\n"
    "  quorate top --node 10.0.0.1:8001,10.0.0.2:8001\n"
    "  quorate top --count 1 --json",
    kFlags,
    0,
    0,
    run_top};

}  // namespace

std::span<const Flag> top_flags() { return kFlags; }

Exit top_main(const std::vector<std::string>& words, Io& io) {
  return run_single(kCommand, words, io);
}

}  // namespace quorate::cli
