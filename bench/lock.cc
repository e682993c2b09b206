// SPDX-License-Identifier: Apache-2.0
// bench lock: locks over HTTP and by the Redis protocol, against what the original systems reached,
// and beside etcd's locks and Redis's SET NX PX. All servers and the load share the machine's
// cores.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "bench/bare.h"
#include "bench/clients/etcd.h"
#include "bench/kv.h"
#include "bench/lock_load.h"
#include "bench/peers.h"

namespace quorate::bench {
namespace {

constexpr uint16_t kPortBase = 17'700;
constexpr uint32_t kP50 = 500'000;
constexpr uint32_t kP99 = 990'000;
// The number of the domain of all names, as its place among the groups goes by.
constexpr const char* kDomain = "0";

double millis(uint64_t nanos) { return static_cast<double>(nanos) / 1e6; }

class LockBench {
 public:
  LockBench(Report& report, const Arguments& arguments, std::string directory)
      : report_(report),
        quick_(arguments.quick),
        only_(arguments.only),
        directory_(std::move(directory)) {}

  void run() {
    start(1);
    const double alone = is_wanted("lock_1_to_3") ? throughput(LockProtocol::kHttp) : 0;
    start(3);
    hundred_clients({"lock_http100", "over HTTP", 15'000, 15, quick_ ? 2.2 : 300},
                    LockProtocol::kHttp, alone);
    hundred_clients({"lock_resp100", "by RESP", 40'000, 8, seconds()}, LockProtocol::kResp, 0);
    uncontended();
    hand_over();
    deadlocks();
    no_deadlocks();
    against_redis();
    against_etcd();
    leader_killed();
  }

 private:
  struct Title {
    const char* id;
    const char* what;
    double bar;
    double bar_p99_ms;
    double seconds;
  };

  [[nodiscard]] bool is_wanted(const std::string& id) const {
    return only_.empty() || id.starts_with(only_);
  }
  [[nodiscard]] double seconds() const { return quick_ ? 2.2 : 20; }

  void start(uint32_t nodes) {
    store_.reset();
    base_ = static_cast<uint16_t>(kPortBase + 10 * nodes);
    nodes_ = nodes;
    store_ = std::make_unique<QuorateStore>(directory_ + "/" + std::to_string(nodes), base_, nodes);
  }
  [[nodiscard]] std::vector<uint16_t> http_ports() const {
    std::vector<uint16_t> ports;
    for (uint32_t node = 1; node <= nodes_; ++node) {
      ports.push_back(static_cast<uint16_t>(base_ + 100 + node));
    }
    return ports;
  }
  [[nodiscard]] std::vector<uint16_t> resp_ports() const {
    std::vector<uint16_t> ports;
    for (uint32_t node = 1; node <= nodes_; ++node) {
      ports.push_back(static_cast<uint16_t>(base_ + node));
    }
    return ports;
  }
  // HTTP over all nodes, as behind a balancer; RESP at the node that leads, as clients that know
  // the slot map do.
  [[nodiscard]] LockLoadOptions load(LockProtocol protocol) {
    LockLoadOptions options;
    // What the clients of one run hold when it ends is no matter of the next.
    options.name = "run" + std::to_string(++runs_);
    options.protocol = protocol;
    options.ports = protocol == LockProtocol::kHttp
                        ? http_ports()
                        : std::vector<uint16_t>{store_->leader_of(kDomain)};
    options.seconds = seconds();
    return options;
  }
  double throughput(LockProtocol protocol) { return run_lock_load(load(protocol)).per_second(); }

  static std::string note_of(const LockLoadResult& result) {
    char text[240];
    std::snprintf(text, sizeof(text),
                  "p50 %.2f p99 %.2f ms; acquire p50 %.2f p99 %.2f, release p50 %.2f p99 %.2f; "
                  "%llu errors%s",
                  millis(result.operation.quantile(kP50)), millis(result.operation.quantile(kP99)),
                  millis(result.acquire.quantile(kP50)), millis(result.acquire.quantile(kP99)),
                  millis(result.release.quantile(kP50)), millis(result.release.quantile(kP99)),
                  static_cast<unsigned long long>(result.errors),
                  result.first_error.empty() ? "" : (": " + result.first_error).c_str());
    return text;
  }

  void hundred_clients(const Title& title, LockProtocol protocol, double alone) {
    if (!is_wanted(title.id) && alone == 0) {
      return;
    }
    LockLoadOptions options = load(protocol);
    options.seconds = title.seconds;
    const LockLoadResult result = run_lock_load(options);
    const std::string id = title.id;
    const std::string what =
        std::string("100 clients, 50 locks, 60 % shared, 3 nodes, ") + title.what;
    report_.add({id + "_ops", what, result.per_second(), "ops/s", title.bar, Better::kHigher,
                 note_of(result)});
    report_.add({id + "_p99", what + ", p99", millis(result.operation.quantile(kP99)), "ms",
                 title.bar_p99_ms, Better::kLower, "acquire with its wait, and release"});
    report_.add({id + "_errors", what + ", errors and second holders",
                 static_cast<double>(result.errors + result.double_holders), "", 0, Better::kLower,
                 std::to_string(result.deadlocks) + " called a deadlock, of which there are none"});
    if (alone > 0) {
      char note[80];
      std::snprintf(note, sizeof(note), "%.0f/s against %.0f/s", alone, result.per_second());
      report_.add({"lock_1_to_3", "what three nodes lose against one, over HTTP",
                   (1 - result.per_second() / alone) * 100, "%", 40, Better::kLower, note});
    }
  }

  void uncontended() {
    if (!is_wanted("lock_one")) {
      return;
    }
    LockLoadOptions options = load(LockProtocol::kResp);
    options.clients = 1;
    options.own_resource = true;
    options.shared_percent = 0;
    options.seconds = quick_ ? 1.5 : 8;
    const int rounds = quick_ ? 400 : 2'000;
    const Latency before = measure_bare_sync(directory_, rounds);
    const LockLoadResult result = run_lock_load(options);
    const Latency after = measure_bare_sync(directory_, rounds);
    const double sync_ms = (before.p50_us + after.p50_us) / 2'000;
    const double acquire_ms = millis(result.acquire.quantile(kP50));
    const double release_ms = millis(result.release.quantile(kP50));
    char note[120];
    std::snprintf(note, sizeof(note), "acquire %.3f, release %.3f ms; fdatasync p50 %.3f ms",
                  acquire_ms, release_ms, sync_ms);
    report_.add({"lock_one_p50_x",
                 "one client, uncontended, 3 nodes, p50 of the slower of acquire and release over "
                 "the fdatasync of the run",
                 sync_ms > 0 ? std::max(acquire_ms, release_ms) / sync_ms : 99, "x", 2.5,
                 Better::kLower, note});
  }

  // A few clients that always wait for each other, at all nodes.
  void hand_over() {
    if (!is_wanted("lock_hand_over")) {
      return;
    }
    LockLoadOptions options = load(LockProtocol::kResp);
    options.ports = resp_ports();
    options.clients = 4;
    options.resources = 1;
    options.shared_percent = 0;
    options.seconds = quick_ ? 1.5 : 8;
    const LockLoadResult result = run_lock_load(options);
    char note[120];
    std::snprintf(note, sizeof(note), "p50 %.2f ms, %llu times",
                  millis(result.hand_over.quantile(kP50)),
                  static_cast<unsigned long long>(result.hand_over.count()));
    report_.add({"lock_hand_over_p99",
                 "from a release that is sent to the next waiter's grant, p99",
                 millis(result.hand_over.quantile(kP99)), "ms", 3, Better::kLower, note});
  }

  // Two who hold one lock each and want the other's; at different nodes.
  void deadlocks() {
    if (!is_wanted("lock_deadlocks")) {
      return;
    }
    constexpr int kTimes = 12;
    int resolved = 0;
    const std::vector<uint16_t> ports = resp_ports();
    for (int time = 0; time < kTimes; ++time) {
      LockCaller left(ports[static_cast<size_t>(time) % ports.size()]);
      LockCaller right(ports[static_cast<size_t>(time + 1) % ports.size()]);
      const std::string x = "dead-x-" + std::to_string(time);
      const std::string y = "dead-y-" + std::to_string(time);
      const std::string a = "dead-a-" + std::to_string(time);
      const std::string b = "dead-b-" + std::to_string(time);
      const bool have = left.ask("LOCK.ACQUIRE " + x + " EXCLUSIVE " + a)[0] == ':' &&
                        right.ask("LOCK.ACQUIRE " + y + " EXCLUSIVE " + b)[0] == ':';
      left.send("LOCK.ACQUIRE " + y + " EXCLUSIVE " + a + " WAIT 20000");
      usleep(20'000);
      const bool found = right.ask("LOCK.ACQUIRE " + x + " EXCLUSIVE " + b + " WAIT 20000")
                             .starts_with("-DEADLOCK");
      const bool released = right.ask("LOCK.RELEASE " + y + " " + b)[0] == ':';
      resolved += have && found && released && left.hear()[0] == ':' ? 1 : 0;
      (void)left.ask("LOCK.CLOSE " + a);
    }
    report_.add({"lock_deadlocks", "deadlocks on purpose, found and resolved, of 12",
                 static_cast<double>(resolved), "", kTimes, Better::kHigher, ""});
  }

  // In each chance A waits, in one domain, for what B gives back at the moment in which it asks, in
  // another domain, for what A holds: whoever reads the domains one after the other may see a
  // circle that never was. A has waited for about as long as it takes until a search begins.
  void no_deadlocks() {
    if (!is_wanted("lock_deadlocks_false")) {
      return;
    }
    constexpr int kChances = 1'000;
    constexpr size_t kPairs = 50;
    const std::string other = domain_elsewhere();
    const std::vector<uint16_t> ports = resp_ports();
    std::vector<std::unique_ptr<LockCaller>> callers;
    for (size_t at = 0; at < 2 * kPairs; ++at) {
      callers.push_back(std::make_unique<LockCaller>(ports[at % ports.size()]));
    }
    int false_ones = 0;
    int granted = 0;
    for (int round = 0; round < kChances / static_cast<int>(kPairs); ++round) {
      const std::string mark = "-" + std::to_string(round) + "-";
      for (size_t pair = 0; pair < kPairs; ++pair) {
        const std::string number = mark + std::to_string(pair);
        LockCaller& a = *callers[2 * pair];
        (void)a.ask("LOCK.ACQUIRE x" + number + " EXCLUSIVE a" + number);
        (void)callers[2 * pair + 1]->ask("LOCK.ACQUIRE y" + number + " EXCLUSIVE b" + number +
                                         " DOMAIN " + other);
        a.send("LOCK.ACQUIRE y" + number + " EXCLUSIVE a" + number + " WAIT 20000 DOMAIN " + other);
      }
      usleep(static_cast<useconds_t>(500 * round));
      for (size_t pair = 0; pair < kPairs; ++pair) {
        const std::string number = mark + std::to_string(pair);
        LockCaller& b = *callers[2 * pair + 1];
        b.send("LOCK.RELEASE y" + number + " b" + number + " DOMAIN " + other);
        b.send("LOCK.ACQUIRE x" + number + " EXCLUSIVE b" + number + " WAIT 20000");
      }
      for (size_t pair = 0; pair < kPairs; ++pair) {
        const std::string number = mark + std::to_string(pair);
        LockCaller& a = *callers[2 * pair];
        LockCaller& b = *callers[2 * pair + 1];
        const std::string first = a.hear();
        (void)a.ask("LOCK.CLOSE a" + number);
        (void)b.hear();
        const std::string second = b.hear();
        false_ones += first.starts_with("-DEADLOCK") ? 1 : 0;
        false_ones += second.starts_with("-DEADLOCK") ? 1 : 0;
        granted += first.starts_with(":") && second.starts_with(":") ? 1 : 0;
        a.send("LOCK.CLOSE a" + number + " DOMAIN " + other);
        b.send("LOCK.CLOSE b" + number);
        (void)a.hear();
        (void)b.hear();
      }
    }
    report_.add({"lock_deadlocks_false",
                 "waits through two domains that look like a deadlock and are none, called one, of "
                 "1,000",
                 static_cast<double>(false_ones), "", 0, Better::kLower,
                 std::to_string(granted) + " went on"});
  }

  // A domain whose group another node leads than that of the domain 0.
  [[nodiscard]] std::string domain_elsewhere() const {
    const uint16_t first = store_->leader_of(kDomain);
    for (int domain = 1; domain < 100; ++domain) {
      if (store_->leader_of(std::to_string(domain)) != first) {
        return std::to_string(domain);
      }
    }
    return "1";
  }

  // The recipe of one Redis that syncs, without the release, which would be a second call: a lock
  // of ours is acquired and given back in the time of two of its calls.
  void against_redis() {
    if (!is_wanted("lock_redis")) {
      return;
    }
    if (find_program("redis-server").empty() || find_program("redis-benchmark").empty()) {
      std::printf("lock_redis_x  skipped: redis-server and redis-benchmark are not there\n");
      return;
    }
    const RedisStore redis(directory_ + "/redis", kPortBase);
    const Load recipe{100,
                      1,
                      quick_ ? 20'000u : 40'000u,
                      false,
                      {"SET", "lock:__rand_int__", "me", "NX", "PX", "30000"}};
    const Measured theirs = run_load(redis, redis.port(), recipe);
    LockLoadOptions options = load(LockProtocol::kResp);
    options.own_resource = true;
    options.shared_percent = 0;
    const LockLoadResult ours = run_lock_load(options);
    char note[160];
    std::snprintf(note, sizeof(note), "%.0f/s on 3 nodes against %.0f/s of one Redis; p99 %.2f ms",
                  ours.per_second(), theirs.per_second, millis(ours.operation.quantile(kP99)));
    report_.add({"lock_redis_x",
                 "100 clients, a lock each, operations against Redis's SET NX PX (appendfsync)",
                 theirs.ok() ? ours.per_second() / theirs.per_second : 0, "x", 0.5, Better::kHigher,
                 note});
  }

  // Its locks by the gateway, ours over HTTP too; a lock each, for whoever waits at etcd looks on.
  void against_etcd() {
    if (!is_wanted("lock_etcd")) {
      return;
    }
    if (find_program("etcd").empty()) {
      std::printf("lock_etcd_x  skipped: etcd is not there: apt-get install etcd-server\n");
      return;
    }
    const EtcdStore etcd(directory_ + "/etcd", kPortBase + 50);
    const double theirs = etcd_locks_per_second(etcd.ports(), 100, quick_ ? 3'000 : 12'000);
    LockLoadOptions options = load(LockProtocol::kHttp);
    options.own_resource = true;
    options.shared_percent = 0;
    const LockLoadResult ours = run_lock_load(options);
    char note[160];
    std::snprintf(note, sizeof(note), "%.0f/s against %.0f/s by etcd's HTTP gateway; p99 %.2f ms",
                  ours.per_second(), theirs, millis(ours.operation.quantile(kP99)));
    report_.add({"lock_etcd_x",
                 "100 clients, a lock each, locks and unlocks over HTTP, 3 nodes against etcd's 3",
                 theirs > 0 ? ours.per_second() / theirs : 0, "x", 2, Better::kHigher, note});
  }

  void leader_killed() {
    if (!is_wanted("lock_killed")) {
      return;
    }
    const int kills = quick_ ? 2 : 10;
    std::vector<double> gaps;
    LockLoadResult all;
    std::string list;
    for (int kill = 0; kill < kills; ++kill) {
      const LockLoadResult result = kill_leader();
      gaps.push_back(result.longest_gap_ms);
      list += " " + std::to_string(static_cast<int>(result.longest_gap_ms));
      all.grants += result.grants;
      all.errors += result.errors;
      all.double_holders += result.double_holders;
    }
    std::sort(gaps.begin(), gaps.end());
    const size_t p99 = (gaps.size() * 99 + 99) / 100 - 1;
    char note[200];
    std::snprintf(note, sizeof(note), "each:%s ms; %llu grants, %llu errors", list.c_str(),
                  static_cast<unsigned long long>(all.grants),
                  static_cast<unsigned long long>(all.errors));
    report_.add(
        {"lock_killed_gap",
         "leader killed under load, " + std::to_string(kills) + " times: time without grants, p99",
         gaps[p99], "ms", 1'000, Better::kLower, note});
    report_.add({"lock_killed_double", "leader killed under load: second holders",
                 static_cast<double>(all.double_holders), "", 0, Better::kLower, ""});
  }

  // Once; it comes back afterwards.
  LockLoadResult kill_leader() {
    LockLoadOptions options = load(LockProtocol::kResp);
    options.ports = resp_ports();
    options.seconds = quick_ ? 2.5 : 5;
    // Those whose leader died hold what they held until the lease ends: with a lock for each client
    // nobody has to wait for that, and the gap is that of the cluster.
    options.resources = 400;
    const uint16_t leader = store_->leader_of(kDomain);
    bool killed = false;
    options.meanwhile = [&](double passed) {
      if (!killed && passed > 1) {
        killed = true;
        store_->kill_node(leader);
      }
    };
    const LockLoadResult result = run_lock_load(options);
    store_->start_node(leader);
    return result;
  }

  Report& report_;
  const bool quick_;
  const std::string only_;
  const std::string directory_;
  std::unique_ptr<QuorateStore> store_;
  uint16_t base_ = 0;
  uint32_t nodes_ = 0;
  uint32_t runs_ = 0;
};

}  // namespace

int run_lock(const Arguments& arguments) {
  return run_bench(arguments,
                   "all servers are processes with their own logs on this machine; so is the load",
                   [&arguments](Report& report, const std::string& directory) {
                     report.header();
                     LockBench(report, arguments, directory).run();
                   });
}

}  // namespace quorate::bench
