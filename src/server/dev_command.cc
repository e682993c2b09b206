// SPDX-License-Identifier: Apache-2.0
// quorate dev: a cluster on this machine, in one terminal. Each node is a real process, started
// from this same binary; its log lines come through a pipe and are printed with its name before
// them. A node that is killed is started again, so that one can watch what a crash does.
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <optional>

#include "server/commands.h"

namespace quorate::server {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

constexpr std::string_view kDevHelp =
    R"(quorate dev [--nodes N] [--dir DIR] [--port-offset N] [--fresh] [--verbose]
            [-- --KEY VALUE...]

Runs a cluster of N nodes (1 to 9; 3) on this machine, reachable from this machine only and open
to all of its users. Ctrl-C stops it; its data stays in DIR (data/dev) for the next time.

  --nodes N    how many nodes; fixed when the data directory is new
  --dir DIR    where each node keeps its directory
  --port-offset N
               added to each port, 10 for example, for a cluster beside another one
  --fresh      forget what an earlier run has left there
  --verbose    all log lines, as the nodes write them
  --           what follows goes to every node, as to 'quorate server'

Node n serves HTTP on 127.0.0.1:800n, Redis clients on 127.0.0.1:700n, and speaks to its
peers on 127.0.0.1:900n.
Kill one with 'kill -9' to see the others go on; it is started again after two seconds.

  quorate dev --nodes 1
  quorate dev --port-offset 10 --dir /tmp/second       HTTP on 8011 to 8013
  quorate certs node 1 2 3 --dir certs && quorate dev -- --tls-directory certs
)";

struct DevOptions {
  int nodes = 3;
  int port_offset = 0;
  std::string directory = "data/dev";
  bool fresh = false;
  bool verbose = false;
  Words passed;
};

constexpr int kHttpPort = 8000;
constexpr int kRespPort = 7000;
constexpr int kRaftPort = 9000;
constexpr int kPortOffsetMax = 50'000;

// They stop together, and each would hand its leaderships to another that is about to go.
constexpr int kStopSignal = SIGUSR1;

struct Child {
  explicit Child(int n) : number(n) {}

  int number = 0;
  pid_t pid = 0;
  int output = -1;      // the reading end of its log
  std::string partial;  // a line that has no end yet
  bool ready = false;
  std::optional<SteadyTime> restart_at;
};

volatile sig_atomic_t interrupts = 0;
void on_interrupt(int) { interrupts = interrupts + 1; }

Status read_number(const std::string& flag, const std::string& text, std::pair<int, int> range,
                   int& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < range.first ||
      number > range.second) {
    return Status(Code::kInvalidArgument, flag + " must be a number from " +
                                              std::to_string(range.first) + " to " +
                                              std::to_string(range.second));
  }
  return Status::success();
}

Result<DevOptions> parse(const Words& words) {
  DevOptions options;
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    const bool takes_value = word == "--nodes" || word == "--dir" || word == "--port-offset";
    if (takes_value && i + 1 == words.size()) {
      return Status(Code::kInvalidArgument, word + " needs a value");
    }
    if (word == "--nodes") {
      RETURN_IF_ERROR(read_number(word, words[++i], {1, 9}, options.nodes));
    } else if (word == "--port-offset") {
      RETURN_IF_ERROR(read_number(word, words[++i], {0, kPortOffsetMax}, options.port_offset));
    } else if (word == "--dir") {
      options.directory = words[++i];
    } else if (word == "--fresh") {
      options.fresh = true;
    } else if (word == "--verbose") {
      options.verbose = true;
    } else if (word == "--") {
      options.passed.assign(words.begin() + static_cast<long>(i) + 1, words.end());
      break;
    } else {
      return Status(Code::kInvalidArgument, "no such flag: " + word + "\n" + std::string(kDevHelp));
    }
  }
  return options;
}

Words arguments_of(int number, const DevOptions& options) {
  const auto at = [&options](int base, int n) {
    return "127.0.0.1:" + std::to_string(base + options.port_offset + n);
  };
  std::string nodes;
  for (int n = 1; n <= options.nodes; ++n) {
    nodes += (n == 1 ? "" : ",") + std::to_string(n) + "=" + at(kRaftPort, n) +
             ",http=" + at(kHttpPort, n);
  }
  const std::string digit = std::to_string(number);
  Words words = {"quorate",         "server",
                 "--node",          digit,
                 "--data",          options.directory + "/node" + digit,
                 "--http-listen",   at(kHttpPort, number),
                 "--resp-listen",   at(kRespPort, number),
                 "--raft-listen",   at(kRaftPort, number),
                 "--cluster-nodes", nodes};
  words.insert(words.end(), options.passed.begin(), options.passed.end());
  return words;
}

class Cluster {
 public:
  // `config`: of any of the nodes, for what they have in common.
  Cluster(DevOptions options, Config config)
      : options_(std::move(options)), config_(std::move(config)) {
    colours_ = isatty(STDOUT_FILENO) == 1;
    for (int n = 1; n <= options_.nodes; ++n) {
      children_.emplace_back(n);
    }
  }

  int run() {
    for (Child& child : children_) {
      start(child);
    }
    while (std::any_of(children_.begin(), children_.end(), [](const Child& child) {
      return child.pid != 0 || child.restart_at.has_value();
    })) {
      pump();
      reap();
      if (interrupts > signals_sent_) {
        stop_all();
      }
    }
    std::cout << (failed_ ? "dev: stopped because a node failed\n" : "dev: stopped\n");
    return failed_ ? 1 : 0;
  }

 private:
  void start(Child& child) {
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) {
      say("cannot make a pipe: " + std::string(std::strerror(errno)));
      failed_ = true;
      return;
    }
    child.restart_at.reset();
    child.ready = false;
    const Words words = arguments_of(child.number, options_);
    child.pid = fork();
    if (child.pid == 0) {
      become_server(words, ends[1]);
    }
    ::close(ends[1]);
    child.output = ends[0];
    fcntl(child.output, F_SETFL, O_NONBLOCK);
  }

  [[noreturn]] static void become_server(const Words& words, int output) {
    // Its own process group: ctrl-C reaches only this program, which then stops the nodes. Should
    // this program die, they get the signal too.
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, kStopSignal);
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    std::vector<char*> pointers;
    for (const std::string& word : words) {
      pointers.push_back(const_cast<char*>(word.c_str()));
    }
    pointers.push_back(nullptr);
    execv("/proc/self/exe", pointers.data());
    _exit(127);
  }

  // Waits for lines, at most long enough to notice a signal or an end soon.
  void pump() {
    std::vector<pollfd> waiting;
    for (const Child& child : children_) {
      if (child.output >= 0) {
        waiting.push_back({child.output, POLLIN, 0});
      }
    }
    const bool stopping = signals_sent_ > 0;  // then a log ends just before its process does
    poll(waiting.data(), waiting.size(), stopping ? 5 : 100);
    for (Child& child : children_) {
      read_lines(child);
    }
  }

  void read_lines(Child& child) {
    std::array<char, 16384> bytes;
    while (child.output >= 0) {
      const ssize_t n = ::read(child.output, bytes.data(), bytes.size());
      if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
      }
      if (n <= 0) {
        ::close(child.output);
        child.output = -1;
        return;
      }
      child.partial.append(bytes.data(), static_cast<size_t>(n));
      for (size_t end; (end = child.partial.find('\n')) != std::string::npos;) {
        show(child, std::string_view(child.partial).substr(0, end));
        child.partial.erase(0, end + 1);
      }
    }
  }

  // "2026-01-31T12:00:00.123456Z info  ready node=1" -> "node1 | 12:00:00.123 info  ready node=1"
  void show(Child& child, std::string_view line) {
    static constexpr std::string_view kColours[] = {"\033[36m", "\033[32m", "\033[33m",
                                                    "\033[35m", "\033[34m", "\033[96m",
                                                    "\033[92m", "\033[93m", "\033[95m"};
    const bool stamped = line.size() > 28 && line[10] == 'T' && line[26] == 'Z';
    std::string text(options_.verbose || !stamped ? line : line.substr(28));
    if (stamped && !options_.verbose) {
      text.insert(0, std::string(line.substr(11, 12)) + " ");
    }
    const std::string name = "node" + std::to_string(child.number);
    if (colours_) {
      const bool loud =
          text.find(" warn ") != std::string::npos || text.find(" error ") != std::string::npos;
      std::cout << kColours[child.number - 1] << name << " |\033[0m "
                << (loud ? "\033[1m" + text + "\033[0m" : text) << "\n";
    } else {
      std::cout << name << " | " << text << "\n";
    }
    std::cout.flush();
    if (line.find(" info  ready ") != std::string_view::npos) {
      child.ready = true;
      welcome();
    }
  }

  void reap() {
    int status = 0;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
      const auto child = std::find_if(children_.begin(), children_.end(),
                                      [pid](const Child& each) { return each.pid == pid; });
      if (child != children_.end()) {
        child->pid = 0;
        read_lines(*child);
        on_end(*child, status);
      }
    }
    for (Child& child : children_) {
      if (child.restart_at && std::chrono::steady_clock::now() >= *child.restart_at) {
        start(child);
      }
    }
  }

  void on_end(Child& child, int status) {
    const std::string name = "node " + std::to_string(child.number);
    if (signals_sent_ > 0) {
      return;
    }
    if (WIFSIGNALED(status)) {
      say(name + " was killed by signal " + std::to_string(WTERMSIG(status)) +
          "; it starts again in two seconds");
      child.restart_at = std::chrono::steady_clock::now() + std::chrono::seconds(2);
      return;
    }
    say(name + " ended with code " + std::to_string(WEXITSTATUS(status)) + "; stopping the rest");
    failed_ = true;
    interrupts = interrupts + 1;
  }

  void stop_all() {
    signals_sent_ = interrupts;
    for (Child& child : children_) {
      child.restart_at.reset();
      if (child.pid != 0) {
        kill(child.pid, signals_sent_ > 1 && !failed_ ? SIGKILL : kStopSignal);
      }
    }
    say(signals_sent_ > 1 && !failed_ ? "killing the nodes" : "stopping; ctrl-C again kills");
  }

  void say(const std::string& text) {
    std::cout << (colours_ ? "\033[1mdev: " + text + "\033[0m\n" : "dev: " + text + "\n");
    std::cout.flush();
  }

  void welcome() {
    const bool all = std::all_of(children_.begin(), children_.end(),
                                 [](const Child& child) { return child.ready; });
    if (!all || welcomed_) {
      return;
    }
    welcomed_ = true;
    say("ready: " + std::to_string(options_.nodes) + (options_.nodes == 1 ? " node" : " nodes") +
        ". " +
        (config_.access_control ? "Users and tokens of the cluster get in"
                                : "Open on this machine to all its users") +
        "; no other machine can reach it.");
    const std::string where = port(kHttpPort, 1);
    const std::string url = (config_.tls() ? "https://127.0.0.1:" : "http://127.0.0.1:") + where;
    std::cout << "\n  HTTP        " << url << "/docs" << ports(kHttpPort)
              << "\n  Redis       redis-cli -p " << port(kRespPort, 1) << of_redis()
              << ports(kRespPort) << "\n  status      quorate cluster status" << of_quorate()
              << "\n  write       quorate kv put greeting hello" << of_quorate()
              << "\n  read        quorate kv get greeting" << of_quorate()
              << "\n  by hand     curl " << of_curl() << "-X PUT -d hello " << url
              << "/v1/kv/greeting"
              << "\n  data        " << options_.directory << "\n  stop        ctrl-C\n\n";
    std::cout.flush();
  }

  // ---- what a person types to reach the nodes ---------------------------------------------------

  [[nodiscard]] std::string port(int base, int number) const {
    return std::to_string(base + options_.port_offset + number);
  }
  [[nodiscard]] std::string ports(int base) const {
    const std::string last = std::to_string(options_.nodes);
    return options_.nodes == 1 ? ""
                               : "  (nodes 1-" + last + ": ports " + port(base, 1) + "-" +
                                     port(base, options_.nodes) + ")";
  }
  [[nodiscard]] bool shows_certificate() const { return config_.tls_clients == "required"; }
  [[nodiscard]] std::string of_quorate() const {
    std::string flags = options_.port_offset == 0 ? "" : " --node 127.0.0.1:" + port(kHttpPort, 1);
    flags += config_.tls() ? " --tls-authority " + config_.tls_authority : "";
    flags += shows_certificate() ? " --tls-certificate FILE --tls-key FILE" : "";
    return flags + (config_.access_control ? " --token @FILE" : "");
  }
  [[nodiscard]] std::string of_redis() const {
    return (config_.tls() ? " --tls --cacert " + config_.tls_authority : std::string()) +
           (shows_certificate() ? " --cert FILE --key FILE" : "");
  }
  [[nodiscard]] std::string of_curl() const {
    return (config_.tls() ? "--cacert " + config_.tls_authority + " " : std::string()) +
           (shows_certificate() ? "--cert FILE --key FILE " : "") +
           (config_.access_control ? "-H 'Authorization: Bearer TOKEN' " : "");
  }

  const DevOptions options_;
  const Config config_;
  std::vector<Child> children_;
  int signals_sent_ = 0;
  bool colours_ = false;
  bool welcomed_ = false;
  bool failed_ = false;
};

}  // namespace

int dev_main(const Words& words) {
  if (!words.empty() && (words[0] == "--help" || words[0] == "-h" || words[0] == "help")) {
    std::cout << kDevHelp;
    return 0;
  }
  Result<DevOptions> options = parse(words);
  if (!options.ok()) {
    std::cerr << "quorate: " << options.status().message() << "\n";
    return 2;
  }
  Words words_of_first = arguments_of(1, *options);
  words_of_first.erase(words_of_first.begin(), words_of_first.begin() + 2);
  const Result<ConfigSources> sources = read_sources(std::move(words_of_first));
  const Result<Config> config =
      sources.ok() ? load_config(*sources) : Result<Config>(sources.status());
  if (!config.ok()) {
    std::cerr << "quorate: " << config.status().message() << "\n";
    return 2;
  }
  std::error_code error;
  for (int n = 1; n <= options->nodes; ++n) {
    const std::string directory = options->directory + "/node" + std::to_string(n);
    if (options->fresh) {
      std::filesystem::remove_all(directory, error);
    }
    std::filesystem::create_directories(directory, error);
    if (error) {
      std::cerr << "quorate: cannot use " << directory << ": " << error.message() << "\n";
      return 1;
    }
  }
  struct sigaction action {};
  action.sa_handler = on_interrupt;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  return Cluster(std::move(*options), *config).run();
}

}  // namespace quorate::server
