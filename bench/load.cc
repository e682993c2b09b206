// SPDX-License-Identifier: Apache-2.0
#include "bench/load.h"

#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include "base/hash.h"
#include "base/prng.h"
#include "service/kv/commands.h"

namespace quorate::bench {
namespace {

using service::kv::Put;
using service::kv::PutMany;

class Clients {
 public:
  Clients(Host& host, const LoadOptions& options)
      : host_(host), options_(options), value_(options.value_bytes, 'v'), prng_(7) {}

  void start() {
    for (uint32_t i = 0; i < options_.clients; ++i) {
      send(i);
    }
  }
  void measure(bool on) { measuring_ = on; }
  void stop() { stopping_ = true; }
  [[nodiscard]] bool idle() const { return in_flight_ == 0; }

  LoadResult result;

 private:
  void send(uint32_t client) {
    service::Command command;
    command.service = service::ServiceId::kKv;
    body_.clear();
    if (options_.batch == 1) {
      make_key(key_, prng_.below(options_.keys));
      Put put;
      put.key = key_;
      put.value = value_;
      service::kv::encode(put, body_);
    } else {
      make_batch(client);
    }
    command.group = options_.by_slot && options_.batch == 1
                        ? host_.node->group_of_slot(slot_of(key_))
                        : GroupId(1 + client % host_.node->groups());
    command.body = body_;
    ++in_flight_;
    const Instant begun = host_.clock.now();
    host_.node->propose(command, [this, client, begun](const Status& status, std::string_view,
                                                       const service::Origin&) {
      --in_flight_;
      if (measuring_) {
        result.latency.record(host_.clock.now() - begun);
        ++result.requests;
        status.ok() ? result.items += options_.batch : ++result.errors;
      }
      if (!stopping_) {
        send(client);
      }
    });
  }

  void make_batch(uint32_t client) {
    PutMany many;
    keys_.resize(options_.batch);
    const uint64_t first = prng_.below(options_.keys);
    for (uint32_t i = 0; i < options_.batch; ++i) {
      make_key(keys_[i], first + i);
      many.items.push_back({keys_[i], value_, {}});
    }
    (void)client;
    service::kv::encode(service::kv::Command(std::move(many)), body_);
  }

  // Not by printf, which takes a share of the core that can be seen in the figures.
  static void make_key(std::string& key, uint64_t number) {
    key.assign("key000000000");
    for (size_t at = key.size(); number > 0; number /= 10) {
      key[--at] = static_cast<char>('0' + number % 10);
    }
  }

  Host& host_;
  const LoadOptions options_;
  const std::string value_;
  Prng prng_;
  std::string key_;
  std::string body_;
  std::vector<std::string> keys_;
  size_t in_flight_ = 0;
  bool measuring_ = false;
  bool stopping_ = false;
};

std::string rounded(double value, int digits) {
  char text[48];
  std::snprintf(text, sizeof(text), "%.*f", digits, value);
  return text;
}

}  // namespace

std::string LoadResult::note() const {
  const auto micros = [this](uint32_t ppm) {
    return rounded(static_cast<double>(latency.quantile(ppm)) / 1000.0, 0);
  };
  const double count = items == 0 ? 1 : static_cast<double>(items);
  return "p50 " + micros(500'000) + " p99 " + micros(990'000) + " p99.9 " + micros(999'000) +
         " us; cpu " + rounded(cpu_seconds * 1e6 / count, 2) + " s per million; syncs " +
         rounded(static_cast<double>(syncs) / count, 4) + " per op; errors " +
         std::to_string(errors);
}

LoadResult run_load(Cluster& cluster, const LoadOptions& options, Duration duration) {
  Host& host = cluster.host();
  Clients clients(host, options);
  clients.start();
  host.run_for(duration / 5);
  clients.measure(true);
  const Instant begun = host.clock.now();
  const double cpu = cluster.cpu_seconds();
  const uint64_t syncs = host.node->wal_stats().syncs;
  host.run_for(duration);
  clients.measure(false);
  LoadResult result = clients.result;
  result.seconds = static_cast<double>((host.clock.now() - begun).micros()) / 1e6;
  result.cpu_seconds = cluster.cpu_seconds() - cpu;
  result.syncs = host.node->wal_stats().syncs - syncs;
  clients.stop();
  if (!host.run_until([&clients] { return clients.idle(); }, Duration::seconds(20))) {
    std::fprintf(stderr, "bench: requests are still open after 20 s\n");
    std::_Exit(1);
  }
  return result;
}

Cluster::Cluster(const HostOptions& options, uint32_t members) {
  HostOptions own = options;
  own.members = members;
  own.known = members;
  for (uint32_t n = 2; n <= members; ++n) {
    HostOptions other = own;
    other.id = n;
    other.prefer = 1;
    other.spin_us = 0;
    children_.push_back(std::make_unique<Child>(other));
  }
  own.id = 1;
  own.priority = 10;
  host_ = std::make_unique<Host>(own);
  ready_ = host_->lead_all(Duration::seconds(60));
  if (!ready_) {
    std::fprintf(stderr, "bench: the node with the load could not become leader\n");
  }
  // A node that has just begun writes its spare segments ahead; the figures are of what follows.
  (void)host_->run_until([&] { return !own.settle || settled(own.directory, members); },
                         Duration::seconds(20));
}

bool Cluster::settled(const std::string& directory, uint32_t members) {
  for (uint32_t n = 1; n <= members; ++n) {
    const std::string spare = directory + "/" + std::to_string(n) + "/wal/spare-2";
    if (!std::filesystem::exists(spare)) {
      return false;
    }
  }
  return true;
}

double Cluster::cpu_seconds() const {
  double total = cpu_seconds_of(getpid());
  for (const std::unique_ptr<Child>& child : children_) {
    total += child->cpu_seconds();
  }
  return total;
}

}  // namespace quorate::bench
