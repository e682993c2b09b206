// SPDX-License-Identifier: Apache-2.0
#include "server/config.h"

#include <algorithm>
#include <initializer_list>
#include <map>
#include <set>

#include "base/text.h"

namespace quorate::server {
namespace {

std::string spelled(std::string_view name, char separator, bool upper) {
  std::string text;
  for (const char c : name) {
    const char plain = c == '.' || c == '_' ? separator : c;
    text += upper && plain >= 'a' && plain <= 'z' ? static_cast<char>(plain - 'a' + 'A') : plain;
  }
  return text;
}

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> parts;
  // A comma inside a node's entry ("1=a:1,http=b:2") belongs to it.
  while (!text.empty()) {
    size_t comma = text.find(',');
    while (comma != std::string_view::npos && text.substr(comma + 1).starts_with("http=")) {
      comma = text.find(',', comma + 1);
    }
    parts.emplace_back(text.substr(0, comma));
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
  }
  return parts;
}

Setting from_text(const ConfigKey& key, std::string_view text, std::string origin) {
  Setting setting{std::string(key.name), {}, key.list, std::move(origin)};
  setting.values = key.list ? split(text) : std::vector<std::string>{std::string(text)};
  return setting;
}

class Collector {
 public:
  void problem(const std::string& origin, const std::string& text) {
    problems_ += (problems_.empty() ? "" : "\n") + origin + ": " + text;
  }

  void add(Setting setting) {
    const ConfigKey* key = find_config_key(setting.name);
    if (key == nullptr) {
      std::vector<std::string_view> known;
      for (const ConfigKey& each : config_keys()) {
        known.push_back(each.name);
      }
      const std::string meant(closest(setting.name, known));
      problem(setting.origin, "there is no key '" + setting.name + "'" +
                                  (meant.empty() ? "" : "; did you mean '" + meant + "'?"));
      return;
    }
    if (setting.list != key->list) {
      problem(setting.origin,
              "'" + setting.name + "' must " + (key->list ? "" : "not ") + "be a list in brackets");
      return;
    }
    settings_[setting.name] = std::move(setting);
  }

  void add_arguments(const std::vector<std::string>& arguments) {
    for (size_t i = 0; i < arguments.size(); ++i) {
      std::string flag = arguments[i];
      const size_t equals = flag.find('=');
      std::optional<std::string> value;
      if (equals != std::string::npos) {
        value = flag.substr(equals + 1);
        flag.resize(equals);
      }
      const auto key =
          std::find_if(config_keys().begin(), config_keys().end(),
                       [&flag](const ConfigKey& each) { return flag_of(each.name) == flag; });
      if (key == config_keys().end()) {
        unknown_flag(flag);
        // What follows is its value, not one more mistake.
        i += !value && i + 1 < arguments.size() && !arguments[i + 1].starts_with("--") ? 1 : 0;
        continue;
      }
      if (!value && i + 1 == arguments.size()) {
        problem(flag, "needs a value");
        continue;
      }
      add(from_text(*key, value ? *value : arguments[++i], flag));
    }
  }

  // In the order of the table: a preset comes before what corrects it.
  void apply(Config& config) {
    for (const ConfigKey& key : config_keys()) {
      const auto at = settings_.find(key.name);
      if (at == settings_.end()) {
        continue;
      }
      // An empty value of a key whose default is empty means "as if not set".
      const Setting& setting = at->second;
      const bool unset = !key.list && setting.values[0].empty() && key.fallback.empty();
      if (const Status status = unset ? Status::success() : key.set(config, setting.values);
          !status.ok()) {
        problem(setting.origin, "'" + setting.name + "' " + status.message());
        broken_.insert(setting.name);
      }
    }
  }

  [[nodiscard]] const std::map<std::string, Setting, std::less<>>& settings() const {
    return settings_;
  }
  [[nodiscard]] const std::string& problems() const { return problems_; }
  // Whether none of these keys has a value that cannot be: then they may be compared.
  [[nodiscard]] bool sound(std::initializer_list<std::string_view> names) const {
    return std::none_of(names.begin(), names.end(), [this](std::string_view name) {
      return broken_.contains(std::string(name));
    });
  }

 private:
  void unknown_flag(const std::string& flag) {
    std::vector<std::string> flags;
    for (const ConfigKey& each : config_keys()) {
      flags.push_back(flag_of(each.name));
    }
    const std::string meant(closest(flag, {flags.begin(), flags.end()}));
    problem(flag, "no such flag" + (meant.empty() ? "" : "; did you mean " + meant + "?"));
  }

  std::map<std::string, Setting, std::less<>> settings_;
  std::string problems_;
  std::set<std::string> broken_;
};

Collector collect(const ConfigSources& sources) {
  Collector collector;
  for (const ConfigKey& key : config_keys()) {
    collector.add(from_text(key, key.fallback, "default"));
  }
  if (!sources.file_text.empty()) {
    Result<std::vector<Setting>> settings = parse_config_file(sources.file_text, sources.file_name);
    if (!settings.ok()) {
      collector.problem("config", settings.status().message());
    } else {
      for (Setting& setting : *settings) {
        collector.add(std::move(setting));
      }
    }
  }
  if (sources.environment) {
    for (const ConfigKey& key : config_keys()) {
      const std::string variable = variable_of(key.name);
      if (const std::optional<std::string> value = sources.environment(variable)) {
        collector.add(from_text(key, *value, variable));
      }
    }
  }
  collector.add_arguments(sources.arguments);
  return collector;
}

// Every interface of this machine: good to listen at, and nowhere for others.
bool is_any(const Address& address) {
  return address.host == "0.0.0.0" || address.host == "::" || address.host == "[::]";
}

bool collide(const Address& left, const Address& right) {
  return left.port == right.port && left.port != 0 &&
         (left.host == right.host || is_any(left) || is_any(right));
}

using Keys = std::initializer_list<std::string_view>;

void check_times(const Config& config, Collector& collector) {
  constexpr std::string_view kLeast = "consensus.election_timeout_min";
  constexpr std::string_view kMost = "consensus.election_timeout_max";
  constexpr std::string_view kHeartbeat = "consensus.heartbeat_interval";
  const auto require = [&collector](Keys keys, bool holds, const char* text) {
    if (!holds && collector.sound({"consensus.preset"}) && collector.sound(keys)) {
      collector.problem("config", text);
    }
  };
  require({kLeast, kMost}, config.election_timeout_min < config.election_timeout_max,
          "consensus.election_timeout_min must be less than election_timeout_max");
  require({kLeast, kHeartbeat}, config.heartbeat_interval * 2 <= config.election_timeout_min,
          "consensus.heartbeat_interval must be at most half of election_timeout_min");
  require({kHeartbeat}, config.heartbeat_interval >= Duration::millis(1),
          "consensus.heartbeat_interval must be at least 1ms");
}

void check_addresses(const Config& config, Collector& collector) {
  const auto apart = [&collector](std::string_view left, const Address& at, std::string_view right,
                                  const Address& other) {
    if (collector.sound({left, right}) && collide(at, other)) {
      collector.problem("config", std::string(left) + " and " + std::string(right) +
                                      " are one address: " + other.text());
    }
  };
  apart("http.listen", config.http_listen, "raft.listen", config.raft_listen);
  if (config.resp_listen.has_value()) {
    apart("http.listen", config.http_listen, "resp.listen", *config.resp_listen);
    apart("raft.listen", config.raft_listen, "resp.listen", *config.resp_listen);
  }
}

// What no single key can tell.
void check_whole(const Config& config, Collector& collector) {
  check_times(config, collector);
  check_addresses(config, collector);
  const auto require = [&collector](Keys keys, bool holds, const char* text) {
    if (!holds && collector.sound(keys)) {
      collector.problem("config", text);
    }
  };
  const bool some = !config.tls_authority.empty() || config.tls() || !config.tls_key.empty();
  const bool all = !config.tls_authority.empty() && config.tls() && !config.tls_key.empty();
  require({}, !some || all, "tls.authority, tls.certificate and tls.key go together");
  require({"tls.clients"}, all || config.tls_clients != "required",
          "tls.clients = required needs TLS");
  require({}, config.cluster_nodes.empty() || config.cluster_join.empty(),
          "cluster.nodes and cluster.join exclude each other: a node is born or joins");
  const bool named =
      std::any_of(config.cluster_nodes.begin(), config.cluster_nodes.end(),
                  [&config](const ClusterNode& each) { return each.id == config.node; });
  require({"node", "cluster.nodes"}, config.cluster_nodes.empty() || named,
          "cluster.nodes must name this node too");
}

void find_tls_files(Config& config) {
  if (config.tls_directory.empty()) {
    return;
  }
  const auto fill = [&config](std::string& file, const std::string& name) {
    file = file.empty() ? config.tls_directory + "/" + name : file;
  };
  const std::string node = "node-" + std::to_string(config.node);
  fill(config.tls_authority, "ca.pem");
  fill(config.tls_certificate, node + ".pem");
  fill(config.tls_key, node + ".key");
}

// Where others find this node, if it listens everywhere: as it is told, or as cluster.nodes has it.
// Who is alone is found by the name of its machine.
void find_advertised(const std::string& host_name, Config& config, Collector& collector) {
  const auto own =
      std::find_if(config.cluster_nodes.begin(), config.cluster_nodes.end(),
                   [&config](const ClusterNode& each) { return each.id == config.node; });
  const auto fill = [&](const char* name, const Address& listen, std::optional<Address>& told,
                        std::optional<Address> known) {
    if (told.has_value() || !is_any(listen)) {
      return;
    }
    told = std::move(known);
    if (!told.has_value()) {
      collector.problem(std::string(name) + ".advertise",
                        "must be set: " + std::string(name) + ".listen is " + listen.text() +
                            ", which tells others nothing, and cluster.nodes does not name this "
                            "node");
    }
  };
  const bool is_named = own != config.cluster_nodes.end();
  const bool is_alone = config.cluster_nodes.empty() && config.cluster_join.empty();
  const std::string host = is_named ? own->raft.host : is_alone ? host_name : "";
  const auto at = [&](const Address& listen) {
    return host.empty() ? std::nullopt : std::optional(Address{host, listen.port});
  };
  fill("raft", config.raft_listen, config.raft_advertise,
       is_named ? std::optional(own->raft) : at(config.raft_listen));
  fill("http", config.http_listen, config.http_advertise,
       is_named && own->http.has_value() ? own->http : at(config.http_listen));
  if (config.resp_listen.has_value()) {
    fill("resp", *config.resp_listen, config.resp_advertise, at(*config.resp_listen));
  }
}

std::string quoted(const std::string& value) {
  std::string text = "\"";
  for (const char c : value) {
    if (c == '"' || c == '\\') {
      text += '\\';
    }
    text += c;
  }
  return text + '"';
}

std::string shown(const ConfigKey& key, const Setting& setting) {
  if (key.list) {
    std::string text;
    for (const std::string& value : setting.values) {
      text += (text.empty() ? "" : ", ") + quoted(value);
    }
    return "[" + text + "]";
  }
  const bool bare = key.type == "number" || key.type == "flag";
  return bare ? setting.values[0] : quoted(setting.values[0]);
}

}  // namespace

std::string variable_of(std::string_view name) { return "QUORATE_" + spelled(name, '_', true); }
std::string flag_of(std::string_view name) { return "--" + spelled(name, '-', false); }

Result<Config> load_config(const ConfigSources& sources) {
  Collector collector = collect(sources);
  Config config;
  collector.apply(config);
  find_tls_files(config);
  check_whole(config, collector);
  if (collector.problems().empty()) {
    find_advertised(sources.host_name, config, collector);
  }
  if (!collector.problems().empty()) {
    return Status(Code::kInvalidArgument, collector.problems());
  }
  return config;
}

std::string show_config(const ConfigSources& sources) {
  const Collector collector = collect(sources);
  std::string text;
  std::string_view section;
  for (const ConfigKey& key : config_keys()) {
    const size_t dot = key.name.find('.');
    const std::string_view own = dot == std::string_view::npos ? "" : key.name.substr(0, dot);
    if (own != section) {
      section = own;
      text.append("\n[").append(section).append("]\n");
    }
    const Setting& setting = collector.settings().find(key.name)->second;
    const std::string_view bare =
        dot == std::string_view::npos ? key.name : key.name.substr(dot + 1);
    text.append(bare).append(" = ").append(shown(key, setting));
    text.append(setting.origin == "default" ? "" : "  # " + setting.origin).append("\n");
  }
  return text;
}

std::string config_table() {
  std::string text = "| key | type | default | what it does |\n|---|---|---|---|\n";
  for (const ConfigKey& key : config_keys()) {
    text.append("| `").append(key.name).append("` | ").append(key.type).append(" | ");
    text.append(key.fallback.empty() ? "" : "`" + std::string(key.fallback) + "`").append(" | ");
    text.append(key.help).append(" |\n");
  }
  return text;
}

}  // namespace quorate::server
