// SPDX-License-Identifier: Apache-2.0
// Peers: servers of Redis's protocol in processes of their own, ours and Redis itself, and
// redis-benchmark as the load on them.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace quorate::bench {

// A program that runs until the object goes; it dies with this process too.
class Program {
 public:
  // What it prints goes to `log`.
  Program(std::vector<std::string> words, const std::string& log);
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  [[nodiscard]] double cpu_seconds() const;

 private:
  pid_t pid_ = -1;
};

// The full path, or nothing.
[[nodiscard]] std::string find_program(const std::string& name);
// Standard output; nothing if it failed.
[[nodiscard]] std::string output_of(const std::string& command);

// A server, or several that are one cluster.
class Store {
 public:
  virtual ~Store() = default;
  [[nodiscard]] uint16_t port() const { return port_; }
  [[nodiscard]] bool is_cluster() const { return programs_.size() > 1; }
  // Of all its processes.
  [[nodiscard]] double cpu_seconds() const;

 protected:
  // Until it answers to PING and takes a write; ends the process if it does not.
  void wait_until_ready(const std::string& name) const;

  uint16_t port_ = 0;
  std::vector<std::unique_ptr<Program>> programs_;
};

// redis-server with appendfsync always.
class RedisStore final : public Store {
 public:
  RedisStore(const std::string& directory, uint16_t port);
};

// Three nodes, each with its default settings.
class EtcdStore final : public Store {
 public:
  EtcdStore(const std::string& directory, uint16_t port);
  // Where clients are served.
  [[nodiscard]] const std::vector<uint16_t>& ports() const { return ports_; }

 private:
  std::vector<uint16_t> ports_;
};

// This program's server, as it is by default but for the flags that follow.
class QuorateStore final : public Store {
 public:
  QuorateStore(const std::string& directory, uint16_t port, uint32_t nodes,
               std::vector<std::string> flags = {});
  // Of the node that leads each slot.
  [[nodiscard]] std::vector<uint16_t> ports_by_slot() const;
  // The port of the node that leads a key's slot.
  [[nodiscard]] uint16_t leader_of(const std::string& key) const;
  // The node that serves Redis clients there.
  void kill_node(uint16_t port) { programs_[static_cast<size_t>(port - port_)].reset(); }
  // Again, until the cluster has settled with it.
  void start_node(uint16_t port);

 private:
  [[nodiscard]] std::unique_ptr<Program> program(uint32_t node) const;
  // Waits until the leaders are where they stay.
  void settle() const;

  const std::string directory_;
  const uint16_t base_;
  const uint32_t nodes_;
  const std::vector<std::string> flags_;
};

struct Load {
  uint32_t connections = 50;
  uint32_t pipeline = 1;
  uint64_t requests = 0;
  bool by_slots = false;           // goes to the leaders, as clients of a cluster do
  std::vector<std::string> words;  // "-t", "set", or a command
};

struct Measured {
  double per_second = 0;
  double p50_ms = 0;
  double p99_ms = 0;
  double cpu_us = 0;  // of the servers, per request
  [[nodiscard]] bool ok() const { return per_second > 0; }
};

[[nodiscard]] Measured run_load(const Store& store, uint16_t port, const Load& load);

}  // namespace quorate::bench
