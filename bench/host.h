// SPDX-License-Identifier: Apache-2.0
// Host: one real node with its own loop, log files and sockets, for benches.
//
// A bench's cluster is one node in the bench's own process, where the load runs, and the others in
// processes of their own (this executable again, as "bench node ..."). All talk over loopback TCP.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "node/node.h"
#include "node/placement.h"
#include "os/clock.h"
#include "os/disk.h"
#include "os/loop.h"
#include "os/net.h"
#include "service/registry.h"

namespace quorate::bench {

struct HostOptions {
  uint32_t id = 1;
  uint32_t members = 3;  // of the cluster: nodes 1..members; 0 for a gateway that holds nothing
  uint32_t known = 3;    // nodes that the gateway knows
  uint32_t groups = 12;
  uint16_t port = 9500;   // node n listens on port + n
  std::string directory;  // of the cluster; node n uses directory/n
  int priority = 0;
  int64_t quiet_after_ms = 0;  // 0: groups stay awake
  int64_t spin_us = 0;
  int64_t snapshot_mb = 64;
  bool plain_disk = false;
  uint32_t prefer = 0;  // a Child hands leadership to this node; 0: it keeps what it gets
  bool settle = true;   // a Cluster waits until its nodes have written their spare segments ahead
  bool places = false;  // runs its part of the cluster's placement, as a server does
};

[[nodiscard]] std::string address_of(const HostOptions& options, uint32_t node);

class Host {
 public:
  // Prints the reason and ends the process if the node cannot start.
  explicit Host(const HostOptions& options);
  ~Host();
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  void run_for(Duration duration);
  // False if it did not come true in time. The condition is looked at every millisecond.
  [[nodiscard]] bool run_until(const std::function<bool()>& condition, Duration limit);
  // Waits until this node leads every group; the others must prefer it.
  [[nodiscard]] bool lead_all(Duration limit);

  os::Loop loop;
  os::Clock clock;
  std::unique_ptr<os::Disk> disk;
  std::unique_ptr<os::Net> net;
  service::Registry registry;
  std::unique_ptr<node::Node> node;
  std::unique_ptr<node::Placement> placement;  // or none

 private:
  [[nodiscard]] node::Options node_options(const HostOptions& options) const;
};

// A node in a process of its own. Killed with the parent, and by the destructor.
class Child {
 public:
  explicit Child(const HostOptions& options) : options_(options) { start(); }
  ~Child() { kill(); }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  void start();
  void kill();
  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] bool running() const { return pid_ > 0; }
  [[nodiscard]] double cpu_seconds() const;
  [[nodiscard]] double resident_mb() const;
  [[nodiscard]] const HostOptions& options() const { return options_; }

 private:
  HostOptions options_;
  pid_t pid_ = -1;
};

// "bench node ...": what a Child runs. Never returns while its parent lives.
[[nodiscard]] int node_main(int argc, char** argv);

[[nodiscard]] double cpu_seconds_of(pid_t pid);
[[nodiscard]] double resident_mb_of(pid_t pid);

}  // namespace quorate::bench
