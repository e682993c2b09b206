// SPDX-License-Identifier: Apache-2.0
// What the floor under the cores can bear: frames over loopback, syncs by both disk engines, and a
// bare commit of three processes (write, sync, acknowledge; no Raft), which is the mark that
// `quorate bench core` is held against.
//
//   quorate-os-bench [directory on the disk to measure [sync|commit|net|all [ms per figure]]]
//
// Each commit run says how busy the machine's cores were with other things meanwhile; figures from
// a busy machine say little.
#include <fcntl.h>
#include <liburing.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/assert.h"
#include "os/disk.h"
#include "os/loop.h"
#include "os/net.h"
#include "os/probe.h"

namespace quorate::os {
namespace {

constexpr uint64_t kFileBytes = 16 * 1024 * 1024;
Duration run_time = Duration::millis(1500);
constexpr Disk::EngineKind kEngines[] = {Disk::EngineKind::kPlain, Disk::EngineKind::kUring,
                                         Disk::EngineKind::kUringAll};

void print(const std::string& what, double value, const char* unit) {
  std::printf("%-58s %12.1f %s\n", what.c_str(), value, unit);
  std::fflush(stdout);
}

double micros(Duration duration) { return static_cast<double>(duration.nanos()) / 1000.0; }
double seconds(Duration duration) { return static_cast<double>(duration.nanos()) / 1e9; }

Duration percentile(std::vector<Duration> times, size_t per_mille) {
  ASSERT(!times.empty());
  std::sort(times.begin(), times.end());
  return times[times.size() * per_mille / 1000];
}

Duration cpu_of(const rusage& usage) {
  return Duration::seconds(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         Duration::micros(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

Duration own_cpu() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return cpu_of(usage);
}

const char* name_of(Disk::EngineKind engine) {
  switch (engine) {
    case Disk::EngineKind::kPlain: return "plain";
    case Disk::EngineKind::kUring: return "uring";
    case Disk::EngineKind::kUringAll: return "uring_all";
  }
  return "";
}

// Of all cores since the machine started, without idle and waiting time.
Duration machine_cpu() {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen("/proc/stat", "r"),
                                                             &std::fclose);
  unsigned long long user = 0;
  unsigned long long nice = 0;
  unsigned long long system = 0;
  if (file == nullptr ||
      std::fscanf(file.get(), "cpu %llu %llu %llu", &user, &nice, &system) != 3) {
    return Duration();
  }
  return Duration::millis(static_cast<int64_t>(user + nice + system) * 1000 /
                          ::sysconf(_SC_CLK_TCK));
}

// A file that has been written once, as a log's segments are.
struct Store {
  Store(Loop& loop, const std::string& directory, Disk::EngineKind engine)
      : disk(std::move(Disk::open(loop, directory, Disk::Options{engine})).value()),
        file(std::move(disk->open("log", env::OpenMode::kCreate)).value()) {
    ASSERT(file->write_now(0, std::string(kFileBytes, 'x')).ok());
    ASSERT(file->sync_now().ok());
    ASSERT(disk->sync_directory("").ok());
  }

  // Overwrites the next place with `bytes`, durably.
  void append(std::shared_ptr<const std::string> bytes, UniqueFunction<void()> done) {
    const uint64_t size = (bytes->size() + 511) / 512 * 512;
    if (at + size > kFileBytes) {
      at = 0;
    }
    const uint64_t offset = at;
    at += size;
    file->write(offset, {*bytes}, env::Sync::kData,
                [bytes, done = std::move(done)](const Status& status) mutable {
                  ASSERT(status.ok(), "the bench's disk failed");
                  done();
                });
  }

  std::unique_ptr<Disk> disk;
  std::unique_ptr<env::File> file;
  uint64_t at = 0;
};

// ---- disk ----

void bench_engine(const std::string& directory, Disk::EngineKind engine, size_t size) {
  Loop loop;
  Store store(loop, directory, engine);
  const auto bytes = std::make_shared<const std::string>(size, 'y');
  std::vector<Duration> times;
  const Instant end = loop.clock().now() + run_time;
  std::function<void()> next = [&] {
    const Instant begin = loop.clock().now();
    store.append(bytes, [&, begin] {
      const Instant now = loop.clock().now();
      times.push_back(now - begin);
      now < end ? next() : loop.stop();
    });
  };
  next();
  const Duration cpu = own_cpu();
  loop.run();
  const std::string name =
      std::string(name_of(engine)) + ", " + std::to_string(size / 1024) + " KiB write and sync";
  print(name + ", p50", micros(percentile(times, 500)), "us");
  print(name + ", p99", micros(percentile(times, 990)), "us");
  print(name + ", CPU per sync", micros(own_cpu() - cpu) / static_cast<double>(times.size()), "us");
}

// Write and sync as two linked entries of a ring: what the uring engine decided against.
void bench_linked(const std::string& directory) {
  const std::string path = directory + "/linked";
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  ASSERT(write_all(file, 0, {std::string(kFileBytes, 'x')}).ok());
  ASSERT(::fsync(file) == 0);
  io_uring ring{};
  ASSERT(::io_uring_queue_init(8, &ring, 0) == 0);
  const std::string block(4096, 'y');
  const Clock clock;
  std::vector<Duration> times;
  const Instant end = clock.now() + run_time;
  for (uint64_t at = 0; clock.now() < end; at = (at + block.size()) % kFileBytes) {
    const Instant begin = clock.now();
    io_uring_sqe* entry = ::io_uring_get_sqe(&ring);
    ::io_uring_prep_write(entry, file, block.data(), static_cast<unsigned>(block.size()), at);
    ::io_uring_sqe_set_flags(entry, IOSQE_IO_LINK);
    ::io_uring_prep_fsync(::io_uring_get_sqe(&ring), file, IORING_FSYNC_DATASYNC);
    ASSERT(::io_uring_submit_and_wait(&ring, 2) == 2);
    io_uring_cqe* completions[2];
    ASSERT(::io_uring_peek_batch_cqe(&ring, completions, 2) == 2);
    ASSERT(completions[0]->res == 4096 && completions[1]->res == 0);
    ::io_uring_cq_advance(&ring, 2);
    times.push_back(clock.now() - begin);
  }
  ::io_uring_queue_exit(&ring);
  ::close(file);
  print("linked in a bare ring, 4 KiB write and sync, p50", micros(percentile(times, 500)), "us");
  print("linked in a bare ring, 4 KiB write and sync, p99", micros(percentile(times, 990)), "us");
}

// ---- network ----

Net::Options net_options(uint32_t node, bool listens) {
  Net::Options options;
  options.self = NodeId(node);
  options.cluster = 1;
  options.listen = listens ? "127.0.0.1:0" : "";
  options.dead_after = Duration::seconds(30);
  return options;
}

class Echo final : public env::NetHandler {
 public:
  explicit Echo(Net& net) : net_(net) {}
  void on_frame(NodeId from, std::string_view frame) override {
    net_.send(from, std::string(frame));
  }
  void on_link(NodeId, bool) override {}

 private:
  Net& net_;
};

// Keeps `window` frames under way until the time is over.
class Pinger final : public env::NetHandler {
 public:
  Pinger(Loop& loop, Net& net, size_t size, int window)
      : loop_(loop), net_(net), frame_(size, 'p'), window_(window) {}
  void on_link(NodeId peer, bool up) override {
    if (up) {
      begin_ = loop_.clock().now();
      for (int i = 0; i < window_; ++i) {
        net_.send(peer, frame_);
      }
    }
  }
  void on_frame(NodeId from, std::string_view) override {
    ++rounds_;
    if (rounds_ % 64 == 0 && loop_.clock().now() - begin_ > run_time) {
      elapsed_ = loop_.clock().now() - begin_;
      loop_.stop();
      return;
    }
    net_.send(from, frame_);
  }
  [[nodiscard]] double per_second() const {
    return static_cast<double>(rounds_) / seconds(elapsed_);
  }

 private:
  Loop& loop_;
  Net& net_;
  const std::string frame_;
  const int window_;
  Instant begin_;
  uint64_t rounds_ = 0;
  Duration elapsed_;
};

double frames_per_second(size_t size, int window, Duration spin) {
  Loop server_loop;
  auto server = std::move(Net::open(server_loop, net_options(1, true))).value();
  Echo echo(*server);
  server->set_handler(&echo);
  const std::string address = "127.0.0.1:" + std::to_string(server->port());
  std::thread thread([&] { server_loop.run(); });
  double result = 0;
  {
    Loop loop(Loop::Options{spin});
    auto client = std::move(Net::open(loop, net_options(2, false))).value();
    Pinger pinger(loop, *client, size, window);
    client->set_handler(&pinger);
    client->set_peer(NodeId(1), address);
    loop.run();
    result = pinger.per_second();
  }
  server_loop.stop();
  thread.join();
  return result;
}

// ---- commit: three processes ----

struct CommitSetup {
  std::string directory;
  Disk::EngineKind engine;
  int clients;
};

// Writes and syncs what the leader sends, then acknowledges its number.
class Follower final : public env::NetHandler {
 public:
  Follower(Net& net, Store& store) : net_(net), store_(store) {}
  void on_link(NodeId, bool) override {}
  void on_frame(NodeId from, std::string_view frame) override {
    store_.append(std::make_shared<const std::string>(frame),
                  [this, from, number = std::string(frame.substr(0, sizeof(uint64_t)))] {
                    net_.send(from, number);
                  });
  }

 private:
  Net& net_;
  Store& store_;
};

[[noreturn]] void run_follower(const CommitSetup& setup, uint32_t node, int port_pipe) {
  uint16_t port = 0;
  if (::read(port_pipe, &port, sizeof(port)) != sizeof(port)) {
    std::_Exit(1);
  }
  Loop loop;
  Store store(loop, setup.directory + "/" + std::to_string(node), setup.engine);
  auto net = std::move(Net::open(loop, net_options(node, false))).value();
  Follower follower(*net, store);
  net->set_handler(&follower);
  net->set_peer(NodeId(1), "127.0.0.1:" + std::to_string(port));
  loop.run();
  std::_Exit(0);
}

// Takes 256-byte commands of clients in its own process; a batch is what a turn brings.
class Leader final : public env::NetHandler {
 public:
  Leader(Loop& loop, Net& net, Store& store, int clients)
      : loop_(loop), net_(net), store_(store), clients_(clients) {}

  void on_link(NodeId, bool up) override {
    followers_ += up ? 1 : 0;
    if (up && followers_ == 2) {
      begin_ = loop_.clock().now();
      waiting_ = clients_;
      schedule();
    }
  }
  void on_frame(NodeId, std::string_view frame) override {
    uint64_t number = 0;
    std::memcpy(&number, frame.data(), std::min(frame.size(), sizeof(number)));
    acknowledge(number);
  }
  void report(const std::string& name, Duration cpu) const {
    const auto done = static_cast<double>(committed_);
    print(name + ", commits", done / seconds(elapsed_), "/s");
    print(name + ", p50", micros(percentile(times_, 500)), "us");
    print(name + ", p99", micros(percentile(times_, 990)), "us");
    print(name + ", CPU of all three per commit", micros(cpu) / done, "us");
  }

 private:
  struct Round {
    uint64_t number;
    int commands;
    int acknowledgements;
    Instant begin;
  };

  void schedule() {
    if (!scheduled_) {
      scheduled_ = true;
      loop_.defer([this] { propose(); });
    }
  }
  void propose() {
    scheduled_ = false;
    if (waiting_ == 0) {
      return;
    }
    const Round round{++numbers_, std::exchange(waiting_, 0), 0, loop_.clock().now()};
    rounds_.push_back(round);
    const auto bytes =
        std::make_shared<std::string>(static_cast<size_t>(round.commands) * 256, 'c');
    std::memcpy(bytes->data(), &round.number, sizeof(round.number));
    net_.send(NodeId(2), *bytes);
    net_.send(NodeId(3), *bytes);
    store_.append(bytes, [this, number = round.number] { acknowledge(number); });
  }
  // An acknowledgement covers what came before it, as a log's does.
  void acknowledge(uint64_t number) {
    for (Round& round : rounds_) {
      if (round.number == number) {
        ++round.acknowledgements;
      }
    }
    const Instant now = loop_.clock().now();
    while (!rounds_.empty() && rounds_.front().acknowledgements >= 2) {
      const Round& round = rounds_.front();
      committed_ += static_cast<uint64_t>(round.commands);
      times_.push_back(now - round.begin);
      waiting_ += round.commands;
      rounds_.pop_front();
    }
    if (now - begin_ > run_time) {
      elapsed_ = now - begin_;
      loop_.stop();
      return;
    }
    schedule();
  }

  Loop& loop_;
  Net& net_;
  Store& store_;
  const int clients_;
  int followers_ = 0;
  int waiting_ = 0;
  bool scheduled_ = false;
  uint64_t numbers_ = 0;
  std::deque<Round> rounds_;
  uint64_t committed_ = 0;
  std::vector<Duration> times_;
  Instant begin_;
  Duration elapsed_;
};

void bench_commit(const CommitSetup& setup) {
  int ports[2];
  ASSERT(::pipe(ports) == 0);
  std::vector<pid_t> followers;
  for (uint32_t node = 2; node <= 3; ++node) {
    followers.push_back(::fork());
    if (followers.back() == 0) {
      run_follower(setup, node, ports[0]);
    }
  }
  Duration cpu;
  {
    Loop loop;
    Store store(loop, setup.directory + "/1", setup.engine);
    auto net = std::move(Net::open(loop, net_options(1, true))).value();
    Leader leader(loop, *net, store, setup.clients);
    net->set_handler(&leader);
    const uint16_t port = net->port();
    ASSERT(::write(ports[1], &port, sizeof(port)) == sizeof(port));
    ASSERT(::write(ports[1], &port, sizeof(port)) == sizeof(port));
    const Duration before = own_cpu();
    const Duration machine_before = machine_cpu();
    const Instant begin = loop.clock().now();
    loop.run();
    cpu = own_cpu() - before;
    const Duration machine = machine_cpu() - machine_before;
    const Duration elapsed = loop.clock().now() - begin;
    for (const pid_t follower : followers) {
      ::kill(follower, SIGKILL);
      rusage usage{};
      ::wait4(follower, nullptr, 0, &usage);
      cpu = cpu + cpu_of(usage);
    }
    const std::string engine = name_of(setup.engine);
    const std::string name =
        "commit of 3, " + engine + ", " + std::to_string(setup.clients) + " clients";
    leader.report(name, cpu);
    print(name + ", cores busy with others", seconds(machine - cpu) / seconds(elapsed), "");
  }
  ::close(ports[0]);
  ::close(ports[1]);
}

void bench_syncs(const std::string& directory) {
  const Result<SyncProbe> probe = measure_sync(directory, 2000);
  ASSERT(probe.ok(), "the probe of the disk");
  print("4 KiB overwrite and fdatasync, bare, p50", micros(probe->p50), "us");
  print("4 KiB overwrite and fdatasync, bare, p99", micros(probe->p99), "us");
  bench_linked(directory);
  for (const size_t size : {size_t{4096}, size_t{65536}}) {
    for (const Disk::EngineKind engine : kEngines) {
      bench_engine(directory + "/" + name_of(engine), engine, size);
    }
  }
}

void bench_commits(const std::string& directory) {
  for (const int clients : {1, 64, 1024}) {
    for (const Disk::EngineKind engine : kEngines) {
      bench_commit({directory, engine, clients});
    }
  }
}

void bench_net() {
  print("128 B ping-pong, two threads", frames_per_second(128, 1, Duration()), "/s");
  print("128 B ping-pong, two threads, one spins 50 us",
        frames_per_second(128, 1, Duration::micros(50)), "/s");
  print("128 B frames, 256 under way, there and back", frames_per_second(128, 256, Duration()),
        "/s");
  print("64 KiB frames, 32 under way, there and back",
        frames_per_second(65536, 32, Duration()) * 65536 / 1e6, "MB/s");
}

int run(const std::string& base, const std::string& part) {
  std::string directory = base + "/quorate-os-bench-XXXXXX";
  if (::mkdtemp(directory.data()) == nullptr) {
    std::fprintf(stderr, "cannot make a directory in %s: %s\n", base.c_str(), std::strerror(errno));
    return 1;
  }
  if (part == "all" || part == "sync") {
    bench_syncs(directory);
  }
  if (part == "all" || part == "commit") {
    bench_commits(directory);
  }
  if (part == "all" || part == "net") {
    bench_net();
  }
  std::filesystem::remove_all(directory);
  return 0;
}

}  // namespace
}  // namespace quorate::os

int main(int argc, char** argv) {
  if (argc > 3) {
    quorate::os::run_time = quorate::Duration::millis(std::max(std::atoi(argv[3]), 10));
  }
  return quorate::os::run(argc > 1 ? argv[1] : "/tmp", argc > 2 ? argv[2] : "all");
}
