// SPDX-License-Identifier: Apache-2.0
// Config: all that a server is told, from four places. The later wins: defaults, the file, the
// environment (QUORATE_HTTP_LISTEN), flags (--http-listen).
//
// One table (config_keys()) names each key with its default, its help and the function that reads
// it; the parser, the environment, the flags, `quorate config` and docs/guide/config.md all come
// from it. A value that cannot be is refused with its origin; a key that does not exist is refused
// with the one that was probably meant.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "base/time.h"
#include "server/config_file.h"

namespace quorate::server {

enum class LogLevel : uint8_t { kDebug, kInfo, kWarning, kError };

struct Address {
  std::string host;
  uint16_t port = 0;
  // As parse_address() reads it: a host with colons, one of IPv6, stands in brackets.
  [[nodiscard]] std::string text() const {
    const bool is_bare = host.find(':') == std::string::npos;
    return (is_bare ? host : "[" + host + "]") + ":" + std::to_string(port);
  }
  bool operator==(const Address&) const = default;
};

// "1=10.0.0.1:9001" or "1=10.0.0.1:9001,http=10.0.0.1:8001".
struct ClusterNode {
  uint32_t id = 0;
  Address raft;
  std::optional<Address> http;
  bool operator==(const ClusterNode&) const = default;
};

struct Config {
  uint32_t node = 1;
  std::string data = "data";
  std::string pid_file;
  Duration stop_timeout = Duration::seconds(10);

  Address http_listen{"127.0.0.1", 8001};
  std::optional<Address> http_advertise;
  uint64_t http_connections_max = 0;  // set by its default in the table, as all numbers are
  Duration http_idle_timeout;

  std::optional<Address> resp_listen;  // none: not served
  std::optional<Address> resp_advertise;
  uint64_t resp_connections_max = 0;
  Duration resp_idle_timeout;

  Address raft_listen{"127.0.0.1", 9001};
  std::optional<Address> raft_advertise;

  uint64_t cluster_id = 1;
  uint32_t cluster_groups = 12;
  uint32_t cluster_replication = 3;
  std::vector<ClusterNode> cluster_nodes;
  std::vector<Address> cluster_join;

  std::string tls_directory;  // as `quorate certs` fills it; or each file by itself:
  std::string tls_authority;
  std::string tls_certificate;
  std::string tls_key;
  std::string tls_clients;  // optional, required

  bool access_control = false;
  std::string access_root_token_file;

  std::string preset;
  Duration election_timeout_min;
  Duration election_timeout_max;
  Duration heartbeat_interval;
  bool lease_reads = true;
  Duration quiet_after;

  std::string sync;  // always, interval, never
  Duration sync_interval;
  std::string disk_engine;  // uring, plain
  uint64_t segment_bytes = 0;
  uint64_t snapshot_log_bytes = 0;
  uint64_t snapshot_state_percent = 0;
  Duration loop_spin;

  LogLevel log_level = LogLevel::kInfo;

  [[nodiscard]] bool tls() const { return !tls_certificate.empty(); }
};

struct ConfigKey {
  std::string_view name;      // "http.listen"
  std::string_view type;      // for people: "address", "duration", ...
  std::string_view fallback;  // the default, as it would be written without quotes
  std::string_view help;
  Status (*set)(Config& config, const std::vector<std::string>& values);
  bool list = false;
};

[[nodiscard]] std::span<const ConfigKey> config_keys();
[[nodiscard]] const ConfigKey* find_config_key(std::string_view name);
// "QUORATE_HTTP_LISTEN" and "--http-listen" of "http.listen".
[[nodiscard]] std::string variable_of(std::string_view name);
[[nodiscard]] std::string flag_of(std::string_view name);

struct ConfigSources {
  std::string file_text;  // empty: no file
  std::string file_name;
  std::function<std::optional<std::string>(const std::string&)> environment;  // may be empty
  std::vector<std::string> arguments;  // "--http-listen", "x:1" or "--http-listen=x:1"
  std::string host_name = {};          // of this machine: where a node that is alone is found
};

// All errors at once, one per line.
[[nodiscard]] Result<Config> load_config(const ConfigSources& sources);

[[nodiscard]] Result<Address> parse_address(std::string_view text);
// The effective configuration as a file; loading it gives the same configuration.
[[nodiscard]] std::string show_config(const ConfigSources& sources);
// The table of docs/guide/config.md.
[[nodiscard]] std::string config_table();

}  // namespace quorate::server
