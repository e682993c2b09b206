// SPDX-License-Identifier: Apache-2.0
// bench kv: the key-value store by the Redis protocol, beside Redis itself on the same machine in
// the same run. All servers and the load share the machine's cores.
//
// Redis is one node without replicas, with appendfsync always: it promises less than one of ours
// alone, and much less than three. Each row measures both in turns and takes the best of each, for
// what disturbs a run only ever slows it down. With three nodes the load follows the slot map, as
// clients of Redis Cluster do. Such a run lasts a second or so at least, for redis-benchmark then
// tells rates each 250 ms.
#include "bench/kv.h"

#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <memory>
#include <vector>

#include "bench/clients/etcd.h"
#include "bench/clients/puts.h"
#include "bench/clients/sessions.h"
#include "bench/host.h"
#include "bench/peers.h"
#include "service/kv/api.h"
#include "service/kv/state.h"

namespace quorate::bench {
namespace {

namespace kv = service::kv;
using Time = std::chrono::steady_clock;

constexpr uint16_t kPortBase = 17'400;
constexpr uint32_t kBatchKeys = 500;
// One group, so that a batch of keys is one command.
constexpr const char* kTag = "{bench}";

class KvBench {
 public:
  KvBench(Report& report, const Arguments& arguments, std::string directory)
      : report_(report), quick_(arguments.quick), only_(arguments.only) {
    directory_ = std::move(directory);
    redis_ = std::make_unique<RedisStore>(directory_ + "/redis", kPortBase);
  }

  void run() {
    ours_ = std::make_unique<QuorateStore>(directory_ + "/one", kPortBase + 10, 1);
    against_redis({"set50_1", "SET, 50 connections, 1 node", 1.0}, set_of(50, 1, 10'000));
    against_redis({"setp16_1", "SET, 50 connections, pipeline 16, 1 node", 1.0},
                  set_of(50, 16, 80'000));
    put_many();
    ours_.reset();
    ours_ = std::make_unique<QuorateStore>(directory_ + "/three", kPortBase + 20, 3);
    against_redis({"set50_3", "SET, 50 connections, 3 nodes", 0.6}, set_of(50, 1, 40'000));
    against_redis({"setp16_3", "SET, 50 connections, pipeline 16, 3 nodes", 0.6},
                  set_of(50, 16, 200'000));
    against_redis({"get50_3", "GET linearizable, 50 connections, 3 nodes", 1.0},
                  get_of(50, 1, 150'000));
    against_redis({"getp16_3", "GET linearizable, 50 connections, pipeline 16, 3 nodes", 1.0},
                  get_of(50, 16, 1'200'000));
    one_connection();
    against_etcd();
    sessions();
  }

 private:
  struct Title {
    const char* id;
    const char* what;
    double bar;
  };

  [[nodiscard]] bool is_wanted(const char* id) const { return only_.empty() || only_ == id; }
  [[nodiscard]] uint64_t scaled(uint64_t requests) const {
    return quick_ ? requests : requests * 3;
  }

  Load set_of(uint32_t connections, uint32_t pipeline, uint64_t requests) const {
    return {connections, pipeline, scaled(requests), true, {"-t", "set"}};
  }
  Load get_of(uint32_t connections, uint32_t pipeline, uint64_t requests) const {
    return {connections, pipeline, scaled(requests), true, {"-t", "get"}};
  }

  static void keep_best(const Measured& one, Measured& best) {
    if (one.per_second > best.per_second) {
      best = one;
    }
  }

  void against_redis(const Title& title, const Load& load) {
    if (!is_wanted(title.id)) {
      return;
    }
    Measured ours;
    Measured redis;
    for (int round = 0; round < (quick_ ? 2 : 3); ++round) {
      keep_best(run_load(*redis_, redis_->port(), load), redis);
      keep_best(run_load(*ours_, ours_->port(), load), ours);
    }
    char note[160];
    std::snprintf(note, sizeof(note),
                  "%.0f/s against %.0f/s; p50 %.2f and %.2f ms; server CPU %.1f and %.1f us each",
                  ours.per_second, redis.per_second, ours.p50_ms, redis.p50_ms, ours.cpu_us,
                  redis.cpu_us);
    report_.add({title.id, title.what, redis.ok() ? ours.per_second / redis.per_second : 0, "x",
                 title.bar, Better::kHigher, note});
  }

  // Asked at the leader of the key, as a client that knows the slot map would.
  void one_connection() {
    if (!is_wanted("set1_p50_3")) {
      return;
    }
    const std::string key = std::string(kTag) + ":__rand_int__";
    const Load load{1, 1, scaled(800), false, {"SET", key, std::string(100, 'x')}};
    Measured ours;
    Measured redis;
    for (int round = 0; round < (quick_ ? 2 : 3); ++round) {
      keep_best(run_load(*redis_, redis_->port(), load), redis);
      keep_best(run_load(*ours_, ours_->leader_of(kTag), load), ours);
    }
    char note[120];
    std::snprintf(note, sizeof(note), "p50 %.3f against %.3f ms, p99 %.3f against %.3f ms",
                  ours.p50_ms, redis.p50_ms, ours.p99_ms, redis.p99_ms);
    report_.add({"set1_p50_3", "SET, one connection, 3 nodes, p50",
                 redis.ok() && redis.p50_ms > 0 ? ours.p50_ms / redis.p50_ms : 99, "x", 2,
                 Better::kLower, note});
  }

  void put_many() {
    if (!is_wanted("put_many_x")) {
      return;
    }
    const std::string key = std::string(kTag) + ":__rand_int__";
    const std::string value(100, 'x');
    const Load single{1, 1, scaled(600), false, {"SET", key, value}};
    Load many{1, 1, scaled(60), false, {"MSET"}};
    for (uint32_t n = 0; n < kBatchKeys; ++n) {
      many.words.push_back(key);
      many.words.push_back(value);
    }
    Measured one;
    Measured batch;
    for (int round = 0; round < (quick_ ? 2 : 3); ++round) {
      keep_best(run_load(*ours_, ours_->port(), single), one);
      keep_best(run_load(*ours_, ours_->port(), many), batch);
    }
    char note[120];
    std::snprintf(note, sizeof(note), "%.0f keys/s against %.0f keys/s",
                  batch.per_second * kBatchKeys, one.per_second);
    report_.add({"put_many_x", "MSET of 500 against SET, keys a second, one connection, 1 node",
                 one.ok() ? batch.per_second * kBatchKeys / one.per_second : 0, "x", 20,
                 Better::kHigher, note});
  }

  // Each in its own protocol, etcd by its HTTP gateway, ours by RESP, and both asked by the same
  // program in the same way: 64 connections with one request under way each, spread evenly over the
  // nodes, and 100,000 keys. etcd's nodes take any key; ours get those that they lead, as from a
  // client of Redis Cluster.
  void against_etcd() {
    if (!is_wanted("etcd_put64_x")) {
      return;
    }
    if (find_program("etcd").empty()) {
      std::printf("etcd_put64_x  skipped: etcd is not there: apt-get install etcd-server\n");
      return;
    }
    const EtcdStore etcd(directory_ + "/etcd", kPortBase + 30);
    const std::vector<uint16_t> ports = ours_->ports_by_slot();
    const uint64_t puts = scaled(45'000);
    double ours = 0;
    double theirs = 0;
    double cpu_us = 0;
    for (int round = 0; round < (quick_ ? 2 : 3); ++round) {
      theirs = std::max(theirs, etcd_puts_per_second(etcd.ports(), 64, scaled(1'500)));
      const double before = ours_->cpu_seconds();
      const double rate = puts_per_second(ports, 64, puts);
      if (rate > ours) {
        ours = rate;
        cpu_us = (ours_->cpu_seconds() - before) * 1e6 / static_cast<double>(puts);
      }
    }
    char note[120];
    std::snprintf(note, sizeof(note), "%.0f/s against %.0f/s; our servers' CPU %.1f us each", ours,
                  theirs, cpu_us);
    report_.add({"etcd_put64_x", "puts of 100 B from 64 clients, 3 nodes, against etcd's 3 nodes",
                 theirs > 0 ? ours / theirs : 0, "x", 10, Better::kHigher, note});
  }

  // A closed loop at full load says nothing about waiting, so the load keeps a rate: the one that
  // is stated, and, with time enough, higher ones until p99.9 is over the bar.
  void sessions() {
    constexpr double kBarMs = 5;
    const bool wants_rates = is_wanted("sessions_per_s") && !quick_;
    if (!is_wanted("sessions_p999_ms") && !wants_rates) {
      return;
    }
    SessionLoad load;
    load.lasts = Duration::seconds(quick_ ? 4 : 10);
    load.p999_max = Duration::micros(static_cast<int64_t>(kBarMs * 1'000));
    if (wants_rates) {
      load.rates = {3'000, 4'000, 5'000, 6'000, 8'000, 10'000, 12'000, 16'000};
    }
    const std::vector<SessionResult> results = run_sessions(ours_->ports_by_slot(), load);
    SessionResult none;
    none.per_second = load.rates.front();
    none.failed = 1;
    const SessionResult& stated = results.empty() ? none : results.front();
    const double stated_ms = millis_of(stated);
    char note[160];
    std::snprintf(note, sizeof(note),
                  "%u/s at even distances, %u%% reads, lifetime %u s; p50 %.2f ms, p99 %.2f ms, "
                  "%llu failed",
                  stated.per_second, load.reads_percent, load.lifetime_s,
                  static_cast<double>(stated.seconds.quantile(500'000)) / 1e6,
                  static_cast<double>(stated.seconds.quantile(990'000)) / 1e6,
                  static_cast<unsigned long long>(stated.failed));
    report_.add({"sessions_p999_ms", "10,000 sessions with a connection each, 3 nodes, p99.9",
                 stated_ms, "ms", kBarMs, Better::kLower, note});
    if (!wants_rates) {
      return;
    }
    double best = 0;
    std::string tried;
    for (const SessionResult& result : results) {
      best = millis_of(result) <= kBarMs ? result.per_second : best;
      std::snprintf(note, sizeof(note), "%s%u/s %.2f ms", tried.empty() ? "" : ", ",
                    result.per_second, millis_of(result));
      tried += note;
    }
    report_.add({"sessions_per_s", "the highest rate of those with p99.9 of at most 5 ms", best,
                 "/s", 3'000, Better::kHigher, tried});
  }

  static double millis_of(const SessionResult& result) {
    return result.failed > 0 ? 9'999 : static_cast<double>(result.seconds.quantile(999'000)) / 1e6;
  }

  Report& report_;
  const bool quick_;
  const std::string only_;
  std::string directory_;
  std::unique_ptr<RedisStore> redis_;
  std::unique_ptr<QuorateStore> ours_;
};

// ---- what one replica does with a million keys of 100 B ----------------------------------------
//
// The machine is driven as the node drives it, one command or one chunk after the other, so the
// longest of them is the longest time that its loop belongs to nobody else. All of it is on one
// thread, without disk and network: what those add stands in the rows of bench core.

constexpr size_t kKeyBytes = 16;
constexpr size_t kValueBytes = 100;
constexpr Stamp kBegin = Stamp::from_millis(1'000'000'000);

double micros_since(Time::time_point begin) {
  return std::chrono::duration<double, std::micro>(Time::now() - begin).count();
}

// What each of many steps took. Beside it the longest of this thread's own time: when others want
// the machine's cores too, its scheduler stretches some steps, and the difference tells.
class Steps {
 public:
  template <class F>
  void time(F&& step) {
    const Time::time_point begin = Time::now();
    const double own_begin = own_micros();
    step();
    longest_own_ = std::max(longest_own_, own_micros() - own_begin);
    took_.push_back(micros_since(begin));
  }
  [[nodiscard]] double longest() {
    std::sort(took_.begin(), took_.end());
    return took_.empty() ? 0 : took_.back();
  }
  [[nodiscard]] double p999() {
    std::sort(took_.begin(), took_.end());
    return took_.empty() ? 0 : took_[took_.size() * 999 / 1'000];
  }
  [[nodiscard]] std::string note() {
    char text[96];
    std::snprintf(text, sizeof(text), "%zu steps, p99.9 %.0f us, longest of own time %.0f us",
                  took_.size(), p999(), longest_own_);
    return text;
  }

 private:
  static double own_micros() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
  }

  std::vector<double> took_;
  double longest_own_ = 0;
};

class StateBench {
 public:
  StateBench(Report& report, const Arguments& arguments, std::string directory)
      : report_(report),
        only_(arguments.only),
        keys_(arguments.quick ? 300'000 : 1'000'000),
        directory_(std::move(directory)),
        value_(kValueBytes, 'v') {}

  void run() {
    memory_and_snapshot();
    expiry();
    local_reads();
  }

 private:
  [[nodiscard]] bool is_wanted(const char* id) const { return only_.empty() || only_ == id; }

  [[nodiscard]] std::string key_of(size_t number) const {
    char key[32];
    std::snprintf(key, sizeof(key), "key:%012zu", number);
    return key;
  }

  void put(kv::State& state, size_t number, kv::Lifetime lifetime) {
    const std::string key = key_of(number);
    (void)state.apply(kv::Command(kv::Put{.key = key, .value = value_, .lifetime = lifetime}),
                      {kBegin, Index(++index_)});
  }

  void memory_and_snapshot() {
    if (!is_wanted("kv_overhead") && !is_wanted("kv_snapshot")) {
      return;
    }
    kv::State state;
    for (size_t number = 0; number < keys_; ++number) {
      put(state, number, {});
    }
    const auto held = static_cast<double>(state.memory_bytes() - state.history().memory_bytes());
    const double above =
        held / static_cast<double>(keys_) - static_cast<double>(kKeyBytes + kValueBytes);
    if (is_wanted("kv_overhead")) {
      report_.add({"kv_overhead", "memory of a key above key and value, 100 B values", above, "B",
                   60, Better::kLower, std::to_string(keys_) + " keys"});
    }
    if (is_wanted("kv_snapshot")) {
      snapshot(state);
    }
  }

  // Four writes of keys all over the table between two chunks, so that many of them have to be set
  // aside for the image.
  void snapshot(kv::State& state) {
    const size_t chunk_bytes = node::Options().snapshot_step_bytes;
    Steps steps;
    std::unique_ptr<service::SnapshotSource> source;
    steps.time([&] { source = state.freeze(); });
    uint64_t image_bytes = 0;
    std::string chunk;
    size_t next = 0;
    for (bool more = true; more;) {
      chunk.clear();
      steps.time([&] { more = source->next(chunk_bytes, chunk); });
      image_bytes += chunk.size();
      for (int write = 0; write < 4; ++write) {
        next = (next + 7'919) % keys_;
        steps.time([&] { put(state, next, {}); });
      }
    }
    steps.time([&] { source.reset(); });
    char note[160];
    std::snprintf(note, sizeof(note), "%zu keys, %.0f MB, %s", keys_,
                  static_cast<double>(image_bytes) / 1e6, steps.note().c_str());
    report_.add({"kv_snapshot",
                 "longest step of one replica while a snapshot is made and keys are written",
                 steps.longest() / 1'000, "ms", 1, Better::kLower, note});
  }

  // All keys end within ten seconds; the leader's commands come as they become due.
  void expiry() {
    if (!is_wanted("kv_expiry") && !is_wanted("kv_expiry_step")) {
      return;
    }
    kv::State state;
    for (size_t number = 0; number < keys_; ++number) {
      const auto end = static_cast<int64_t>(number * 10'000'000 / keys_);
      put(state, number, kv::Lifetime::lasting(Duration::seconds(10) + Duration::micros(end)));
    }
    const Stamp last = kBegin + Duration::seconds(20);
    Steps steps;
    const Time::time_point begin = Time::now();
    while (state.next_due() <= last) {
      steps.time([&] {
        const Result<kv::Command> command = kv::decode_command(state.due_command(last));
        (void)state.apply(*command, {last, Index(++index_)});
      });
    }
    const double seconds = micros_since(begin) / 1e6;
    char note[160];
    std::snprintf(note, sizeof(note), "%zu keys in %.2f s, %s", keys_, seconds,
                  steps.note().c_str());
    if (is_wanted("kv_expiry")) {
      report_.add({"kv_expiry", "keys that end, all due within 10 s",
                   static_cast<double>(keys_) / seconds, "keys/s", 100'000, Better::kHigher, note});
    }
    if (is_wanted("kv_expiry_step")) {
      report_.add({"kv_expiry_step", "longest step of that", steps.longest() / 1'000, "ms", 5,
                   Better::kLower, note});
    }
  }

  // Through the typed api of a node that embeds the store; a group of one replica answers both
  // kinds of reads from its own copy, as a follower does.
  void local_reads() {
    if (!is_wanted("kv_eventual_read")) {
      return;
    }
    HostOptions options;
    options.members = 1;
    options.groups = 1;
    options.port = 17'460;
    options.directory = directory_ + "/reads";
    Host host(options);
    const bool leads = host.lead_all(Duration::seconds(20));
    kv::Api api(*host.node);
    constexpr size_t kKeys = 10'000;
    size_t stored = 0;
    for (size_t number = 0; leads && number < kKeys; ++number) {
      const std::string key = key_of(number);
      api.write(kv::Put{.key = key, .value = value_}, {},
                [&stored](const Status& status, const kv::Written&, const service::Origin&) {
                  stored += status.ok() ? 1 : 0;
                });
    }
    (void)host.run_until([&] { return stored == kKeys; }, Duration::seconds(20));
    const double micros = read_micros(api, kKeys);
    report_.add({"kv_eventual_read", "eventual read of an embedded node, p50", micros, "us", 1,
                 Better::kLower, std::to_string(stored) + " keys"});
  }

  // The median over many runs of a hundred reads each: one is shorter than a look at the clock.
  double read_micros(kv::Api& api, size_t keys) {
    constexpr size_t kRuns = 2'000;
    constexpr size_t kReads = 100;
    std::vector<std::string> names;
    for (size_t number = 0; number < keys; ++number) {
      names.push_back(key_of(number * 7'919 % keys));
    }
    kv::ReadOptions options;
    options.mode.consistency = service::Consistency::kEventual;
    std::vector<double> took;
    size_t found = 0;
    for (size_t run = 0; run < kRuns; ++run) {
      const Time::time_point begin = Time::now();
      for (size_t read = 0; read < kReads; ++read) {
        api.get({.key = names[(run * kReads + read) % keys]}, options,
                [&found](const Status& status, const kv::Found&, const service::Origin&) {
                  found += status.ok() ? 1 : 0;
                });
      }
      took.push_back(micros_since(begin) / kReads);
    }
    std::nth_element(took.begin(), took.begin() + kRuns / 2, took.end());
    return found == kRuns * kReads ? took[kRuns / 2] : 1e6;
  }

  Report& report_;
  const std::string only_;
  const size_t keys_;
  const std::string directory_;
  const std::string value_;
  uint64_t index_ = 0;
};

// -------------------------------------------------------------------------------------------------

bool is_there(const char* program, const char* package) {
  if (!find_program(program).empty()) {
    return true;
  }
  std::printf("bench kv: skipped, for %s is not there: apt-get install %s\n", program, package);
  return false;
}

}  // namespace

int run_kv(const Arguments& arguments) {
  if (!is_there("redis-benchmark", "redis-tools") || !is_there("redis-server", "redis-server")) {
    return 0;
  }
  return run_bench(arguments,
                   "all servers are processes with their own logs on this machine; so is the\n"
                   "load, redis-benchmark with values of 100 B; Redis syncs each write as we do",
                   [&arguments](Report& report, const std::string& directory) {
                     std::string version = output_of("redis-server --version");
                     version.resize(std::min(version.find(" sha"), version.size()));
                     report.fact("peer", version);
                     report.header();
                     if (!arguments.only.starts_with("kv_")) {  // those below need no peer
                       KvBench(report, arguments, directory).run();
                     }
                     StateBench(report, arguments, directory).run();
                     run_kv_pauses(report, arguments, directory);
                   });
}

}  // namespace quorate::bench
