// SPDX-License-Identifier: Apache-2.0
// bench embedded: what one caller inside the process of a node waits for a put, a get, a delete and
// a touch, in clusters of one, three, five and seven nodes that share the machine's cores.
//
// The bars are what Concord, a replicated store that lives inside applications too, publishes of
// itself, on a machine of its own and without a sync of each write; ours are durable on a majority
// before they are answered. Such a comparison says where we stand and proves nothing. What one sync
// takes here stands among the facts: no write of one node can be faster.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <functional>
#include <limits>

#include "bench/bare.h"
#include "bench/kv.h"
#include "bench/load.h"
#include "service/kv/api.h"

namespace quorate::bench {
namespace {

namespace kv = service::kv;
using Time = std::chrono::steady_clock;

constexpr double kNothing = std::numeric_limits<double>::infinity();  // is published

struct Size {
  uint32_t nodes;
  double put_us;
  double get_us;
  double delete_us;
  double touch_us;
};
constexpr Size kSizes[] = {{1, 190, 35, 180, 200},
                           {3, 780, 35, 750, 800},
                           {5, 1'250, 35, 1'200, 1'300},
                           {7, 1'750, 35, kNothing, kNothing}};

double micros_since(Time::time_point begin) {
  return std::chrono::duration<double, std::micro>(Time::now() - begin).count();
}

// One request after the other, each as soon as the one before it is answered.
class Caller {
 public:
  using Answered = std::function<void(bool ok)>;
  using Ask = std::function<void(kv::Api& api, std::string_view key, const Answered& answered)>;

  Caller(Host& host, size_t requests) : host_(host), api_(*host.node), requests_(requests) {}

  // The time of each, in order of size; empty if one of them failed.
  std::vector<double> run(const Ask& ask) {
    took_.clear();
    failed_ = false;
    ask_ = &ask;
    next();
    host_.loop.run();
    std::sort(took_.begin(), took_.end());
    return failed_ ? std::vector<double>() : took_;
  }

 private:
  // In a turn of its own, for an answer may come inside the call.
  void next() {
    host_.loop.defer([this] {
      char key[32];
      std::snprintf(key, sizeof(key), "key:%09zu", took_.size());
      const Time::time_point begin = Time::now();
      (*ask_)(api_, key, [this, begin](bool ok) {
        took_.push_back(micros_since(begin));
        failed_ = failed_ || !ok;
        took_.size() < requests_ ? next() : host_.loop.stop();
      });
    });
  }

  Host& host_;
  kv::Api api_;
  const size_t requests_;
  const Ask* ask_ = nullptr;
  std::vector<double> took_;
  bool failed_ = false;
};

template <class T>
auto answer_to(const Caller::Answered& answered) {
  return
      [answered](const Status& status, const T&, const service::Origin&) { answered(status.ok()); };
}

class EmbeddedBench {
 public:
  EmbeddedBench(Report& report, const Arguments& arguments, std::string directory)
      : report_(report),
        only_(arguments.only),
        requests_(arguments.quick ? 1'000 : 5'000),
        directory_(std::move(directory)) {}

  void run() {
    for (const Size& size : kSizes) {
      const std::string behind = "_" + std::to_string(size.nodes);
      if (only_.empty() || only_.ends_with(behind)) {
        measure(size, behind);
      }
    }
  }

 private:
  void measure(const Size& size, const std::string& behind) {
    HostOptions options;
    options.directory = directory_ + "/nodes" + behind;
    options.port = static_cast<uint16_t>(17'500 + 10 * size.nodes);
    Cluster cluster(options, size.nodes);
    Caller caller(cluster.host(), requests_);
    const std::string value(100, 'v');
    const auto add = [&](const char* verb, double bar, const Caller::Ask& ask) {
      row(verb + behind, std::string(verb) + ", nodes: " + std::to_string(size.nodes), bar,
          caller.run(ask));
    };
    add("put", size.put_us,
        [&](kv::Api& api, std::string_view key, const Caller::Answered& answered) {
          api.write(kv::Put{.key = key, .value = value}, {}, answer_to<kv::Written>(answered));
        });
    add("get", size.get_us,
        [](kv::Api& api, std::string_view key, const Caller::Answered& answered) {
          api.get({.key = key}, {}, answer_to<kv::Found>(answered));
        });
    add("touch", size.touch_us,
        [](kv::Api& api, std::string_view key, const Caller::Answered& answered) {
          api.write(
              kv::Touch{.key = key, .lifetime = kv::Lifetime::lasting(Duration::seconds(1'800))},
              {}, answer_to<kv::Touched>(answered));
        });
    add("delete", size.delete_us,
        [](kv::Api& api, std::string_view key, const Caller::Answered& answered) {
          api.write(kv::Delete{.key = key}, {}, answer_to<kv::Removed>(answered));
        });
  }

  void row(const std::string& id, const std::string& what, double bar,
           const std::vector<double>& took) {
    if (!only_.empty() && only_ != id) {
      return;
    }
    const auto part = [&took](size_t of_hundred) {
      return took.empty() ? 1e9 : took[std::min(took.size() - 1, took.size() * of_hundred / 100)];
    };
    char note[64];
    std::snprintf(note, sizeof(note), "p99 %.1f us", part(99));
    report_.add({id, what, part(50), "us", bar, Better::kLower, note});
  }

  Report& report_;
  const std::string only_;
  const size_t requests_;
  const std::string directory_;
};

}  // namespace

int run_embedded(const Arguments& arguments) {
  return run_bench(
      arguments,
      "p50 of one caller in the process of the node that leads; the other nodes\n"
      "are processes on this machine. Bars: published by Concord, unsynced, on another machine",
      [&arguments](Report& report, const std::string& directory) {
        const Latency sync = measure_bare_sync(directory, arguments.quick ? 500 : 5'000);
        report.fact("fdatasync_p50_us", std::to_string(std::lround(sync.p50_us)));
        report.header();
        EmbeddedBench(report, arguments, directory).run();
      });
}

}  // namespace quorate::bench
