// SPDX-License-Identifier: Apache-2.0
// quorate server and quorate config.
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>

#include "os/heap.h"
#include "os/signals.h"
#include "server/access/start_files.h"
#include "server/assembly.h"
#include "server/commands.h"
#include "server/join.h"
#include "server/version.h"

namespace quorate::server {
namespace {

constexpr std::string_view kServerHelp =
    R"(quorate server [--config FILE] [--KEY VALUE]...

Runs one node in the foreground until SIGTERM or SIGINT; a second one ends it at once. SIGUSR1 is
for all nodes of a cluster together: it stops as well, but hands no leadership over.
Settings come from defaults, the file, the environment and flags; the later win:

  quorate server --config /etc/quorate.conf
  QUORATE_HTTP_LISTEN=0.0.0.0:8001 quorate server --data /var/lib/quorate
  quorate server --node 1 --cluster-nodes '1=10.0.0.1:9001,2=10.0.0.2:9001,3=10.0.0.3:9001'
  quorate server --node 4 --cluster-join 10.0.0.1:8001 --raft-listen 10.0.0.4:9004

Keys, with their defaults ('quorate config show' prints them as a file):

)";

constexpr std::string_view kConfigHelp =
    R"(quorate config check [FILE] [--KEY VALUE]...   exit 0 if a server would start with it
quorate config show [FILE] [--KEY VALUE]...    the effective settings as a file, with origins
quorate config keys                            all keys as a Markdown table

'check' also reads what the configuration names: certificates, the root token, the directory.
It tells every error at once. Examples:
  quorate config check /etc/quorate/quorate.conf
  quorate config check --http-listen 0.0.0.0:8001 --data /var/lib/quorate
  quorate config show /etc/quorate/quorate.conf
)";

std::string keys_help() {
  std::string text;
  for (const ConfigKey& key : config_keys()) {
    std::string left = "  " + flag_of(key.name);
    left.resize(std::max<size_t>(left.size() + 1, 40), ' ');
    text += left + std::string(key.help);
    text += key.fallback.empty() ? "\n" : " [" + std::string(key.fallback) + "]\n";
  }
  return text;
}

bool asks_help(const Words& words) {
  return !words.empty() && (words[0] == "--help" || words[0] == "-h" || words[0] == "help");
}

int wrong_usage(const std::string& text) {
  std::cerr << "quorate: " << text << "\n";
  return 2;
}

// The number of this process in a file, for as long as it runs.
class PidFile {
 public:
  explicit PidFile(std::string path) : path_(std::move(path)) {
    if (!path_.empty()) {
      std::ofstream(path_) << getpid() << "\n";
    }
  }
  ~PidFile() {
    if (!path_.empty()) {
      unlink(path_.c_str());
    }
  }
  PidFile(const PidFile&) = delete;
  PidFile& operator=(const PidFile&) = delete;

 private:
  const std::string path_;
};

// Distributions give a process 1,024 descriptors and let it have many more if it asks.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    (void)::setrlimit(RLIMIT_NOFILE, &limit);
  }
}

int run(Config config) {
  os::ignore_broken_pipes();
  raise_descriptor_limit();
  const os::Clock clock;
  const Log log(clock, config.log_level, standard_error_sink());
  log.info("start", {{"version", kVersion}, {"node", config.node}, {"pid", getpid()}});
  if (const Status joined = join_cluster(config); !joined.ok()) {
    log.error("failed", {{"why", "cannot join: " + joined.to_string()}});
    return 1;
  }
  Result<std::unique_ptr<Assembly>> opened = Assembly::open(config, log, {});
  if (!opened.ok()) {
    log.error("failed", {{"why", opened.status().message()}});
    return 1;
  }
  Assembly& assembly = **opened;
  const PidFile pid(config.pid_file);
  const os::Signals signals(assembly.loop(), {SIGTERM, SIGINT, SIGUSR1}, [&assembly](int signal) {
    assembly.stop(signal == SIGUSR1 ? Assembly::Others::kStopToo : Assembly::Others::kGoOn);
  });
  assembly.run();
  return assembly.node().failure().ok() ? 0 : 1;
}

StartFiles files_of(const Config& config) {
  StartFiles files{config.data, config.tls_authority, config.tls_certificate, config.tls_key, {}};
  if (config.access_control) {
    files.root_token = config.access_root_token_file;
  }
  return files;
}

}  // namespace

Result<ConfigSources> read_sources(Words words) {
  ConfigSources sources;
  sources.environment = [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
  };
  for (size_t i = 0; i < words.size();) {
    if (words[i].starts_with("--config=")) {
      sources.file_name = words[i].substr(9);
      words.erase(words.begin() + static_cast<long>(i));
    } else if (words[i] == "--config" && i + 1 < words.size()) {
      sources.file_name = words[i + 1];
      words.erase(words.begin() + static_cast<long>(i), words.begin() + static_cast<long>(i) + 2);
    } else {
      ++i;
    }
  }
  sources.arguments = std::move(words);
  std::array<char, 256> host_name{};
  if (::gethostname(host_name.data(), host_name.size() - 1) == 0) {
    sources.host_name = host_name.data();
  }
  if (!sources.file_name.empty()) {
    std::ifstream file(sources.file_name, std::ios::binary);
    sources.file_text.assign(std::istreambuf_iterator<char>(file),
                             std::istreambuf_iterator<char>());
    if (!file) {
      return Status(Code::kNotFound, "cannot read " + sources.file_name);
    }
  }
  return sources;
}

int server_main(const Words& words) {
  if (asks_help(words)) {
    std::cout << kServerHelp << keys_help();
    return 0;
  }
  const Result<ConfigSources> sources = read_sources(words);
  if (!sources.ok()) {
    return wrong_usage(sources.status().message());
  }
  const Result<Config> config = load_config(*sources);
  if (!config.ok()) {
    return wrong_usage(config.status().message());
  }
  os::keep_freed_memory();
  return run(*config);
}

int config_main(const Words& words) {
  if (words.empty() || asks_help(words)) {
    (words.empty() ? std::cerr : std::cout) << kConfigHelp;
    return words.empty() ? 2 : 0;
  }
  if (words[0] == "keys") {
    std::cout << config_table();
    return 0;
  }
  if (words[0] != "check" && words[0] != "show") {
    return wrong_usage("no such command: config " + words[0] + "\n" + std::string(kConfigHelp));
  }
  Words rest(words.begin() + 1, words.end());
  if (!rest.empty() && !rest[0].starts_with("--")) {
    rest.insert(rest.begin(), "--config");
  }
  const Result<ConfigSources> sources = read_sources(rest);
  if (!sources.ok()) {
    return wrong_usage(sources.status().message());
  }
  const Result<Config> config = load_config(*sources);
  if (!config.ok()) {
    return wrong_usage(config.status().message());
  }
  if (words[0] == "check") {
    if (const Status status = check_files(files_of(*config)); !status.ok()) {
      return wrong_usage(status.message());
    }
  }
  std::cout << (words[0] == "show" ? show_config(*sources) : "ok\n");
  return 0;
}

}  // namespace quorate::server
