// SPDX-License-Identifier: Apache-2.0
#include "bench/peers.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <thread>

#include "base/hash.h"
#include "bench/clients/etcd.h"
#include "bench/host.h"

namespace quorate::bench {
namespace {

constexpr int kReadyTries = 200;
constexpr auto kReadyPause = std::chrono::milliseconds(100);
// Leaders move to where they are preferred once they have led for three seconds, one of a node each
// third of a second. A client that asked before that would be at a node that forwards.
constexpr auto kBalanceBegins = std::chrono::milliseconds(3'500);
constexpr auto kLookPause = std::chrono::milliseconds(250);
constexpr int kLooksAlike = 5;
constexpr int kLooksMax = 60;
// Keys of the load: enough that none is hot, few enough that they fit any cache.
constexpr const char* kKeys = "100000";

std::vector<std::string> fields_of(const std::string& line) {
  std::vector<std::string> fields;
  std::istringstream parts(line);
  for (std::string field; std::getline(parts, field, ',');) {
    std::erase(field, '"');
    fields.push_back(field);
  }
  return fields;
}

// "test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95","p99","max"
Measured read_csv(const std::string& output) {
  Measured measured;
  std::istringstream lines(output);
  for (std::string line; std::getline(lines, line);) {
    const std::vector<std::string> fields = fields_of(line);
    if (fields.size() >= 8 && fields[1] != "rps") {
      measured.per_second = std::atof(fields[fields.size() - 7].c_str());
      measured.p50_ms = std::atof(fields[fields.size() - 4].c_str());
      measured.p99_ms = std::atof(fields[fields.size() - 2].c_str());
    }
  }
  return measured;
}

// With --cluster redis-benchmark looks only each 250 ms whether it has ended, and its total takes
// the run for that much longer than it was. What it prints while it runs is exact: the rate from
// the beginning until then, each 250 ms. The last one counts.
Measured read_progress(std::string output) {
  std::replace(output.begin(), output.end(), '\r', '\n');
  Measured measured;
  std::istringstream lines(output);
  for (std::string line; std::getline(lines, line);) {
    float now = 0;
    float overall = 0;
    double average = 0;
    double least = 0;
    double p50 = 0;
    double p95 = 0;
    double p99 = 0;
    double most = 0;
    const size_t rates = line.find(": rps=");
    if (rates != std::string::npos &&
        std::sscanf(line.c_str() + rates, ": rps=%f (overall: %f)", &now, &overall) == 2 &&
        overall > 0) {
      measured.per_second = static_cast<double>(overall);
    } else if (std::sscanf(line.c_str(), "%lf %lf %lf %lf %lf %lf", &average, &least, &p50, &p95,
                           &p99, &most) == 6) {
      measured.p50_ms = p50;
      measured.p99_ms = p99;
    }
  }
  return measured;
}

std::string quoted(const std::string& word) { return "'" + word + "'"; }

std::string cli(uint16_t port, const std::string& words) {
  return output_of("redis-cli -p " + std::to_string(port) + " " + words + " 2>/dev/null");
}

}  // namespace

Program::Program(std::vector<std::string> words, const std::string& log) {
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ != 0) {
    return;
  }
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int output = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  if (getppid() != parent || output < 0) {
    _exit(1);
  }
  dup2(output, STDOUT_FILENO);
  dup2(output, STDERR_FILENO);
  std::vector<char*> pointers;
  for (std::string& word : words) {
    pointers.push_back(word.data());
  }
  pointers.push_back(nullptr);
  execv(pointers.front(), pointers.data());
  _exit(127);
}

Program::~Program() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
}

double Program::cpu_seconds() const { return cpu_seconds_of(pid_); }

std::string find_program(const std::string& name) {
  std::string path = output_of("command -v " + name);
  while (!path.empty() && path.back() == '\n') {
    path.pop_back();
  }
  return path;
}

std::string output_of(const std::string& command) {
  FILE* const pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) {
    return {};
  }
  std::string text;
  std::array<char, 4096> bytes;
  while (const size_t size = fread(bytes.data(), 1, bytes.size(), pipe)) {
    text.append(bytes.data(), size);
  }
  return pclose(pipe) == 0 ? text : std::string();
}

double Store::cpu_seconds() const {
  double sum = 0;
  for (const std::unique_ptr<Program>& program : programs_) {
    sum += program == nullptr ? 0 : program->cpu_seconds();
  }
  return sum;
}

void Store::wait_until_ready(const std::string& name) const {
  for (int tries = 0; tries < kReadyTries; ++tries) {
    if (cli(port_, "set ready yes") == "OK\n") {
      return;
    }
    std::this_thread::sleep_for(kReadyPause);
  }
  std::fprintf(stderr, "bench: %s does not answer on port %u\n", name.c_str(), port_);
  std::exit(1);
}

RedisStore::RedisStore(const std::string& directory, uint16_t port) {
  port_ = port;
  std::filesystem::create_directories(directory);
  programs_.push_back(std::make_unique<Program>(
      std::vector<std::string>{find_program("redis-server"), "--port", std::to_string(port),
                               "--bind", "127.0.0.1", "--dir", directory, "--save", "",
                               "--appendonly", "yes", "--appendfsync", "always"},
      directory + "/log"));
  wait_until_ready("redis-server");
}

EtcdStore::EtcdStore(const std::string& directory, uint16_t port) {
  const auto url = [port](int number) {
    return "http://127.0.0.1:" + std::to_string(port + number);
  };
  std::string members;
  for (int n = 1; n <= 3; ++n) {
    members += (n == 1 ? "" : ",") + ("n" + std::to_string(n)) + "=" + url(100 + n);
  }
  std::filesystem::create_directories(directory);
  for (int n = 1; n <= 3; ++n) {
    const std::string name = "n" + std::to_string(n);
    ports_.push_back(static_cast<uint16_t>(port + n));
    programs_.push_back(std::make_unique<Program>(
        std::vector<std::string>{find_program("etcd"), "--name", name, "--data-dir",
                                 directory + "/" + name, "--listen-client-urls", url(n),
                                 "--advertise-client-urls", url(n), "--listen-peer-urls",
                                 url(100 + n), "--initial-advertise-peer-urls", url(100 + n),
                                 "--initial-cluster", members},
        directory + "/" + name + ".log"));
  }
  port_ = ports_.front();
  for (int tries = 0; tries < kReadyTries; ++tries) {
    if (etcd_puts_per_second(ports_, 1, 1) > 0) {
      return;
    }
    std::this_thread::sleep_for(kReadyPause);
  }
  std::fprintf(stderr, "bench: etcd does not answer\n");
}

QuorateStore::QuorateStore(const std::string& directory, uint16_t port, uint32_t nodes,
                           std::vector<std::string> flags)
    : directory_(directory), base_(port), nodes_(nodes), flags_(std::move(flags)) {
  port_ = static_cast<uint16_t>(port + 1);
  std::filesystem::create_directories(directory);
  for (uint32_t n = 1; n <= nodes; ++n) {
    programs_.push_back(program(n));
  }
  wait_until_ready("quorate server");
  settle();
}

void QuorateStore::settle() const {
  if (nodes_ == 1) {
    std::this_thread::sleep_for(std::chrono::seconds(1));
    return;
  }
  std::this_thread::sleep_for(kBalanceBegins);
  std::vector<uint16_t> leaders = ports_by_slot();
  for (int same = 0, looks = 0; same < kLooksAlike && looks < kLooksMax; ++looks) {
    std::this_thread::sleep_for(kLookPause);
    std::vector<uint16_t> now = ports_by_slot();
    same = now == leaders ? same + 1 : 0;
    leaders = std::move(now);
  }
}

std::unique_ptr<Program> QuorateStore::program(uint32_t node) const {
  const auto address = [](uint32_t number) { return "127.0.0.1:" + std::to_string(number); };
  std::string members;
  for (uint32_t n = 1; n <= nodes_; ++n) {
    members += (n == 1 ? "" : ",") + std::to_string(n) + "=" + address(base_ + 200 + n);
  }
  const std::string own = directory_ + "/" + std::to_string(node);
  std::vector<std::string> words = {"/proc/self/exe",  "server",
                                    "--node",          std::to_string(node),
                                    "--data",          own,
                                    "--resp-listen",   address(base_ + node),
                                    "--http-listen",   address(base_ + 100 + node),
                                    "--raft-listen",   address(base_ + 200 + node),
                                    "--cluster-nodes", members};
  words.insert(words.end(), flags_.begin(), flags_.end());
  return std::make_unique<Program>(std::move(words), own + ".log");
}

void QuorateStore::start_node(uint16_t port) {
  const auto at = static_cast<size_t>(port - port_);
  programs_[at] = program(static_cast<uint32_t>(at + 1));
  settle();
}

std::vector<uint16_t> QuorateStore::ports_by_slot() const {
  std::vector<uint16_t> ports(kSlots, port_);
  std::istringstream lines(cli(port_, "cluster nodes"));
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string word;
    uint32_t port = 0;
    while (words >> word) {
      unsigned first = 0;
      unsigned last = 0;
      unsigned peer = 0;
      if (std::sscanf(word.c_str(), "127.0.0.1:%u@%u", &first, &peer) == 2) {
        port = first;
      } else if (std::sscanf(word.c_str(), "%u-%u", &first, &last) == 2 && word.size() < 12 &&
                 first <= last && last < kSlots) {
        std::fill(ports.begin() + first, ports.begin() + last + 1, static_cast<uint16_t>(port));
      }
    }
  }
  return ports;
}

uint16_t QuorateStore::leader_of(const std::string& key) const {
  return ports_by_slot()[slot_of(key)];
}

Measured run_load(const Store& store, uint16_t port, const Load& load) {
  const bool by_slots = load.by_slots && store.is_cluster();
  std::string command = "redis-benchmark -d 100 -r " + std::string(kKeys) + " -p " +
                        std::to_string(port) + " -c " + std::to_string(load.connections) + " -P " +
                        std::to_string(load.pipeline) + " -n " + std::to_string(load.requests) +
                        (by_slots ? " --cluster" : " --csv");
  for (const std::string& word : load.words) {
    command += " " + quoted(word);
  }
  const double before = store.cpu_seconds();
  const std::string output = output_of(command + " 2>/dev/null");
  Measured measured = by_slots ? read_progress(output) : read_csv(output);
  measured.cpu_us = (store.cpu_seconds() - before) * 1e6 /
                    static_cast<double>(std::max<uint64_t>(load.requests, 1));
  return measured;
}

}  // namespace quorate::bench
