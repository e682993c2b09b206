// SPDX-License-Identifier: Apache-2.0
#include "bench/host.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "service/kv/state.h"
#include "service/meta/state.h"

namespace quorate::bench {
namespace {

[[noreturn]] void give_up(const Status& status) {
  std::fprintf(stderr, "bench: the node cannot start: %s\n", status.to_string().c_str());
  std::exit(1);
}

template <class T>
T must(Result<T> result) {
  if (!result.ok()) {
    give_up(result.status());
  }
  return std::move(result).value();
}

std::vector<std::string> arguments_of(const HostOptions& options) {
  return {"bench",
          "node",
          std::to_string(options.id),
          std::to_string(options.members),
          std::to_string(options.groups),
          std::to_string(options.port),
          options.directory,
          std::to_string(options.priority),
          std::to_string(options.quiet_after_ms),
          std::to_string(options.spin_us),
          std::to_string(options.snapshot_mb),
          options.plain_disk ? "plain" : "uring",
          std::to_string(options.prefer),
          options.places ? "places" : "stays"};
}

constexpr int kNodeArguments = 14;

// Hands what this node leads to the preferred node, again and again until that has it.
void yield_leadership(Host& host, NodeId preferred) {
  for (const GroupId id : host.node->group_ids()) {
    node::Group* const group = host.node->group(id);
    if (group->leads()) {
      (void)group->transfer(preferred);
    }
  }
  host.loop.start(host.clock.now() + Duration::millis(200),
                  [&host, preferred] { yield_leadership(host, preferred); });
}

}  // namespace

std::string address_of(const HostOptions& options, uint32_t node) {
  return "127.0.0.1:" + std::to_string(options.port + node);
}

Host::Host(const HostOptions& options) : loop({Duration::micros(options.spin_us)}) {
  const std::string directory = options.directory + "/" + std::to_string(options.id);
  std::filesystem::create_directories(directory);
  os::Disk::Options disk_options;
  disk_options.engine =
      options.plain_disk ? os::Disk::EngineKind::kPlain : os::Disk::EngineKind::kUring;
  disk = must(os::Disk::open(loop, directory, disk_options));
  os::Net::Options net_options;
  net_options.self = NodeId(options.id);
  net_options.cluster = 1;
  net_options.listen = address_of(options, options.id);
  net = must(os::Net::open(loop, net_options));
  registry.add(service::ServiceId::kKv, [] { return service::host<service::kv::State>(); });
  registry.add(service::ServiceId::kMeta, [] { return service::host<service::meta::State>(); });
  node = must(node::Node::open({clock, loop, *disk, *net, registry}, node_options(options)));
  if (options.places) {
    node::PlacementOptions placing;
    placing.self = {address_of(options, options.id), "", ""};
    placement = std::make_unique<node::Placement>(*node, clock, loop, placing);
  }
  for (uint32_t n = 1; n <= options.known; ++n) {
    if (n != options.id && options.members == 0) {
      node->set_peer(NodeId(n), address_of(options, n));
    }
  }
}

Host::~Host() = default;

node::Options Host::node_options(const HostOptions& options) const {
  node::Options result;
  result.id = NodeId(options.id);
  for (uint32_t n = 1; n <= options.members; ++n) {
    result.initial.push_back({NodeId(n), address_of(options, n), "", ""});
  }
  result.groups = options.groups;
  result.replication_factor = options.members == 0 || options.places ? 3 : options.members;
  result.raft.priority = options.priority;
  result.raft.quiet_after = Duration::millis(options.quiet_after_ms);
  result.snapshot_log_bytes = static_cast<uint64_t>(options.snapshot_mb) * 1024 * 1024;
  result.seed = options.id;
  return result;
}

void Host::run_for(Duration duration) {
  loop.start(clock.now() + duration, [this] { loop.stop(); });
  loop.run();
}

bool Host::run_until(const std::function<bool()>& condition, Duration limit) {
  const Instant end = clock.now() + limit;
  while (!condition()) {
    if (clock.now() >= end) {
      return false;
    }
    run_for(Duration::millis(1));
  }
  return true;
}

bool Host::lead_all(Duration limit) {
  const Instant end = clock.now() + limit;
  while (clock.now() < end) {
    // Before the cluster is founded there are no groups, and none that somebody else leads.
    bool all = !node->founding() && node->group_ids().size() >= node->groups();
    for (const GroupId id : node->group_ids()) {
      node::Group* const group = node->group(id);
      if (!group->leads()) {
        all = false;
      } else if (group->applied() < group->raft().last_index()) {
        all = false;
      }
    }
    if (all) {
      return true;
    }
    run_for(Duration::millis(20));
  }
  return false;
}

void Child::start() {
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) {
      _exit(1);
    }
    std::vector<std::string> texts = arguments_of(options_);
    std::vector<char*> pointers = {const_cast<char*>("quorate")};
    for (std::string& text : texts) {
      pointers.push_back(text.data());
    }
    pointers.push_back(nullptr);
    execv("/proc/self/exe", pointers.data());
    _exit(127);
  }
}

void Child::kill() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
}

double Child::cpu_seconds() const { return cpu_seconds_of(pid_); }
double Child::resident_mb() const { return resident_mb_of(pid_); }

double cpu_seconds_of(pid_t pid) {
  clockid_t id;
  timespec time{};
  if (clock_getcpuclockid(pid, &id) != 0 || clock_gettime(id, &time) != 0) {
    return 0;
  }
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

double resident_mb_of(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/statm");
  double total = 0;
  double resident = 0;
  file >> total >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE)) / (1024.0 * 1024.0);
}

int node_main(int argc, char** argv) {
  if (argc < kNodeArguments) {
    std::fprintf(stderr, "bench node is started by the bench itself\n");
    return 2;
  }
  HostOptions options;
  options.id = static_cast<uint32_t>(std::atoi(argv[2]));
  options.members = static_cast<uint32_t>(std::atoi(argv[3]));
  options.groups = static_cast<uint32_t>(std::atoi(argv[4]));
  options.port = static_cast<uint16_t>(std::atoi(argv[5]));
  options.directory = argv[6];
  options.priority = std::atoi(argv[7]);
  options.quiet_after_ms = std::atoll(argv[8]);
  options.spin_us = std::atoll(argv[9]);
  options.snapshot_mb = std::atoll(argv[10]);
  options.plain_disk = std::string(argv[11]) == "plain";
  options.prefer = static_cast<uint32_t>(std::atoi(argv[12]));
  options.places = std::string(argv[13]) == "places";
  Host host(options);
  if (options.prefer != 0) {
    yield_leadership(host, NodeId(options.prefer));
  }
  host.loop.run();
  return 0;
}

}  // namespace quorate::bench
