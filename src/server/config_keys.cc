// SPDX-License-Identifier: Apache-2.0
// The table of keys, and the readers of their types.
#include <algorithm>
#include <array>
#include <charconv>

#include "server/config.h"

namespace quorate::server {
namespace {

using Values = std::vector<std::string>;

Status wrong(std::string expected) { return Status(Code::kInvalidArgument, std::move(expected)); }

Result<uint64_t> read_count(std::string_view text, uint64_t least, uint64_t most) {
  std::string digits(text);
  std::erase(digits, '_');
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (digits.empty() || error != std::errc() || end != digits.data() + digits.size() ||
      value < least || value > most) {
    return wrong("must be a whole number from " + std::to_string(least) + " to " +
                 std::to_string(most));
  }
  return value;
}

struct Suffix {
  std::string_view text;
  uint64_t factor;
};

// The longest suffix that fits; the number before it.
Result<uint64_t> read_scaled(std::string_view text, std::span<const Suffix> suffixes,
                             const char* expected) {
  for (const Suffix& suffix : suffixes) {
    if (text.size() > suffix.text.size() && text.ends_with(suffix.text)) {
      const Result<uint64_t> count =
          read_count(text.substr(0, text.size() - suffix.text.size()), 0, UINT32_MAX);
      if (count.ok()) {
        return *count * suffix.factor;
      }
    }
  }
  return wrong(expected);
}

template <Duration Config::*field>
Status duration(Config& config, const Values& values) {
  static constexpr Suffix kSuffixes[] = {
      {"us", 1}, {"ms", 1'000}, {"s", 1'000'000}, {"m", 60'000'000}, {"h", 3'600'000'000}};
  const Result<uint64_t> micros =
      read_scaled(values[0], kSuffixes, "must be a duration such as 50us, 150ms, 10s, 5m or 1h");
  RETURN_IF_ERROR(micros);
  config.*field = Duration::micros(static_cast<int64_t>(*micros));
  return Status::success();
}

template <uint64_t Config::*field>
Status size(Config& config, const Values& values) {
  static constexpr Suffix kSuffixes[] = {
      {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"", 1}};
  const Result<uint64_t> bytes =
      read_scaled(values[0], kSuffixes, "must be a size such as 65536, 64KiB, 64MiB or 1GiB");
  RETURN_IF_ERROR(bytes);
  if (*bytes < 1024 * 1024 || *bytes > (uint64_t{1} << 40)) {
    return wrong("must be from 1MiB to 1024GiB");
  }
  config.*field = *bytes;
  return Status::success();
}

template <auto field, uint64_t least, uint64_t most>
Status count(Config& config, const Values& values) {
  const Result<uint64_t> value = read_count(values[0], least, most);
  RETURN_IF_ERROR(value);
  config.*field = static_cast<std::remove_reference_t<decltype(config.*field)>>(*value);
  return Status::success();
}

template <std::string Config::*field>
Status text(Config& config, const Values& values) {
  config.*field = values[0];
  return Status::success();
}

template <bool Config::*field>
Status flag(Config& config, const Values& values) {
  if (values[0] != "true" && values[0] != "false") {
    return wrong("must be true or false");
  }
  config.*field = values[0] == "true";
  return Status::success();
}

template <Address Config::*field>
Status address(Config& config, const Values& values) {
  const Result<Address> parsed = parse_address(values[0]);
  RETURN_IF_ERROR(parsed);
  config.*field = *parsed;
  return Status::success();
}

template <std::optional<Address> Config::*field>
Status optional_address(Config& config, const Values& values) {
  config.*field = std::nullopt;
  if (!values[0].empty()) {
    const Result<Address> parsed = parse_address(values[0]);
    RETURN_IF_ERROR(parsed);
    config.*field = *parsed;
  }
  return Status::success();
}

Status one_of(const std::string& value, std::initializer_list<std::string_view> known) {
  if (std::find(known.begin(), known.end(), value) != known.end()) {
    return Status::success();
  }
  std::string list;
  for (const std::string_view word : known) {
    list.append(list.empty() ? "" : ", ").append(word);
  }
  return wrong("must be one of " + list);
}

Status set_data(Config& config, const Values& values) {
  if (values[0].empty()) {
    return wrong("must name a directory");
  }
  config.data = values[0];
  return Status::success();
}

Result<ClusterNode> parse_node(std::string_view text) {
  const size_t equals = text.find('=');
  const size_t comma = text.find(',');
  const Result<uint64_t> id = read_count(text.substr(0, equals), 1, UINT32_MAX);
  if (equals == std::string_view::npos || !id.ok()) {
    return wrong("must be like 1=10.0.0.1:9001 or 1=10.0.0.1:9001,http=10.0.0.1:8001");
  }
  ClusterNode node;
  node.id = static_cast<uint32_t>(*id);
  const Result<Address> raft = parse_address(
      text.substr(equals + 1, comma == std::string_view::npos ? comma : comma - equals - 1));
  RETURN_IF_ERROR(raft);
  node.raft = *raft;
  if (comma != std::string_view::npos) {
    const std::string_view rest = text.substr(comma + 1);
    if (!rest.starts_with("http=")) {
      return wrong("only ,http=host:port may follow the node-to-node address");
    }
    const Result<Address> http = parse_address(rest.substr(5));
    RETURN_IF_ERROR(http);
    node.http = *http;
  }
  return node;
}

Status set_nodes(Config& config, const Values& values) {
  config.cluster_nodes.clear();
  for (const std::string& value : values) {
    const Result<ClusterNode> node = parse_node(value);
    RETURN_IF_ERROR(node);
    for (const ClusterNode& other : config.cluster_nodes) {
      if (other.id == node->id || other.raft == node->raft) {
        return wrong("names node " + std::to_string(node->id) + " or its address twice");
      }
    }
    config.cluster_nodes.push_back(*node);
  }
  return Status::success();
}

Status set_join(Config& config, const Values& values) {
  config.cluster_join.clear();
  for (const std::string& value : values) {
    const Result<Address> parsed = parse_address(value);
    RETURN_IF_ERROR(parsed);
    config.cluster_join.push_back(*parsed);
  }
  return Status::success();
}

// The single timings come after the preset in the table, so that they can correct it.
Status set_preset(Config& config, const Values& values) {
  RETURN_IF_ERROR(one_of(values[0], {"development", "testing", "production"}));
  const bool production = values[0] == "production";
  config.preset = values[0];
  config.election_timeout_min = Duration::millis(production ? 300 : 150);
  config.election_timeout_max = Duration::millis(production ? 600 : 300);
  config.heartbeat_interval = Duration::millis(production ? 100 : 50);
  return Status::success();
}

Status set_sync(Config& config, const Values& values) {
  RETURN_IF_ERROR(one_of(values[0], {"always", "interval", "never"}));
  config.sync = values[0];
  return Status::success();
}

Status set_tls_clients(Config& config, const Values& values) {
  RETURN_IF_ERROR(one_of(values[0], {"optional", "required"}));
  config.tls_clients = values[0];
  return Status::success();
}

Status set_engine(Config& config, const Values& values) {
  RETURN_IF_ERROR(one_of(values[0], {"uring", "plain"}));
  config.disk_engine = values[0];
  return Status::success();
}

Status set_level(Config& config, const Values& values) {
  static constexpr std::string_view kLevels[] = {"debug", "info", "warning", "error"};
  RETURN_IF_ERROR(one_of(values[0], {"debug", "info", "warning", "error"}));
  config.log_level = static_cast<LogLevel>(
      std::find(std::begin(kLevels), std::end(kLevels), values[0]) - std::begin(kLevels));
  return Status::success();
}

constexpr ConfigKey kKeys[] = {
    {"node", "number", "1", "This node's number; never used again for another node.",
     count<&Config::node, 1, UINT32_MAX>},
    {"data", "path", "data", "The directory that holds everything this node must not lose.",
     set_data},
    {"pid_file", "path", "", "Where to write the process number; empty: nowhere.",
     text<&Config::pid_file>},
    {"stop_timeout", "duration", "10s",
     "How long a stop waits for leaders to move away and requests to finish.",
     duration<&Config::stop_timeout>},

    {"http.listen", "address", "127.0.0.1:8001", "Where HTTP is served.",
     address<&Config::http_listen>},
    {"http.advertise", "address", "",
     "What other nodes and clients are told; empty: where it listens; where that is everywhere, "
     "its host of cluster.nodes.",
     optional_address<&Config::http_advertise>},
    {"http.connections_max", "number", "20000", "Further connections are refused with 503.",
     count<&Config::http_connections_max, 1, 1'000'000>},
    {"http.idle_timeout", "duration", "75s", "A connection without requests is closed after this.",
     duration<&Config::http_idle_timeout>},

    {"resp.listen", "address", "127.0.0.1:7001", "Where Redis clients are served; empty: nowhere.",
     optional_address<&Config::resp_listen>},
    {"resp.advertise", "address", "",
     "What Redis Cluster clients are told; empty: where it listens; where that is everywhere, its "
     "host of cluster.nodes.",
     optional_address<&Config::resp_advertise>},
    {"resp.connections_max", "number", "20000", "Further connections are refused as Redis does it.",
     count<&Config::resp_connections_max, 1, 1'000'000>},
    {"resp.idle_timeout", "duration", "0s",
     "A connection without commands is closed after this; 0s: never.",
     duration<&Config::resp_idle_timeout>},

    {"raft.listen", "address", "127.0.0.1:9001", "Where the other nodes connect.",
     address<&Config::raft_listen>},
    {"raft.advertise", "address", "", "What the other nodes are told instead.",
     optional_address<&Config::raft_advertise>},

    {"cluster.id", "number", "1", "Nodes of different clusters never talk to each other.",
     count<&Config::cluster_id, 1, UINT64_MAX>},
    {"cluster.nodes", "list", "",
     "The nodes a new cluster is born with, this one among them: 1=host:port,http=host:port. "
     "Empty: a cluster of this node alone.",
     set_nodes, true},
    {"cluster.join", "list", "",
     "Instead of being born: HTTP addresses of nodes of the cluster to join.", set_join, true},
    {"cluster.groups", "number", "12",
     "Data groups of a new cluster; each is replicated on its own. Fixed at birth.",
     count<&Config::cluster_groups, 1, 65'535>},
    {"cluster.replication", "number", "3", "Replicas of each group, as far as there are nodes.",
     count<&Config::cluster_replication, 1, 9>},

    {"tls.directory", "path", "",
     "Where 'quorate certs' has put ca.pem, node-N.pem and node-N.key. Turns TLS on, for clients "
     "and between nodes.",
     text<&Config::tls_directory>},
    {"tls.authority", "path", "",
     "PEM file of who signs the nodes' certificates; instead of ca.pem.",
     text<&Config::tls_authority>},
    {"tls.certificate", "path", "",
     "PEM file with chain, naming node-N and this machine; instead of node-N.pem.",
     text<&Config::tls_certificate>},
    {"tls.key", "path", "", "PEM file of the certificate's key; instead of node-N.key.",
     text<&Config::tls_key>},
    {"tls.clients", "word", "optional",
     "required: clients must show a certificate that the authority signed. Nodes always must.",
     set_tls_clients},

    {"access.control", "flag", "false",
     "Every request must come from a user or token that may do it; GET /healthz, /readyz and /docs "
     "stay open.",
     flag<&Config::access_control>},
    {"access.root_token_file", "path", "",
     "File with a token (32 characters or more) that may do everything: for the first user, and "
     "for this node to join with.",
     text<&Config::access_root_token_file>},

    {"consensus.preset", "word", "development",
     "development and testing: elections after 150-300 ms, heartbeat 50 ms; production: 300-600 "
     "and 100 ms.",
     set_preset},
    {"consensus.election_timeout_min", "duration", "", "Instead of the preset's.",
     duration<&Config::election_timeout_min>},
    {"consensus.election_timeout_max", "duration", "", "Instead of the preset's.",
     duration<&Config::election_timeout_max>},
    {"consensus.heartbeat_interval", "duration", "", "Instead of the preset's.",
     duration<&Config::heartbeat_interval>},
    {"consensus.lease_reads", "flag", "true",
     "Serve linearizable reads under the leader's lease; false: ask a quorum each time.",
     flag<&Config::lease_reads>},
    {"consensus.quiet_after", "duration", "5s",
     "A group without work stops its heartbeats after this; 0s: never.",
     duration<&Config::quiet_after>},

    {"storage.sync", "word", "always",
     "always: durable before it is acknowledged. interval and never may lose acknowledged writes "
     "if a majority of machines lose power at once.",
     set_sync},
    {"storage.sync_interval", "duration", "10ms", "For sync = interval.",
     duration<&Config::sync_interval>},
    {"storage.engine", "word", "uring", "uring, or plain where the kernel forbids it.", set_engine},
    {"storage.segment_bytes", "size", "64MiB", "Of one file of the log.",
     size<&Config::segment_bytes>},
    {"storage.snapshot_log_bytes", "size", "64MiB",
     "A group is snapshotted when its log has grown by this, or by its state's size if greater.",
     size<&Config::snapshot_log_bytes>},
    {"storage.snapshot_state_percent", "number", "100",
     "How much of its state's size the log must reach for that: less makes restarts shorter and "
     "writes more.",
     count<&Config::snapshot_state_percent, 0, 1'000>},
    {"loop.spin", "duration", "0us",
     "Poll this long before sleeping: trades a core's idle time for latency.",
     duration<&Config::loop_spin>},

    {"log.level", "word", "info", "debug, info, warning or error.", set_level},
};

}  // namespace

std::span<const ConfigKey> config_keys() { return kKeys; }

const ConfigKey* find_config_key(std::string_view name) {
  const auto at = std::find_if(std::begin(kKeys), std::end(kKeys),
                               [name](const ConfigKey& key) { return key.name == name; });
  return at == std::end(kKeys) ? nullptr : at;
}

Result<Address> parse_address(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) {
    return wrong("must be an address such as 127.0.0.1:8001");
  }
  const Result<uint64_t> port = read_count(text.substr(colon + 1), 0, 65'535);
  if (!port.ok()) {
    return wrong("must be an address with a port from 0 to 65535, such as 127.0.0.1:8001");
  }
  std::string_view host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  }
  return Address{std::string(host), static_cast<uint16_t>(*port)};
}

}  // namespace quorate::server
