// SPDX-License-Identifier: Apache-2.0
// Assembly: one running node with all that it stands on and all that stands on it, put together
// from a Config. The only place that knows concrete types; the server command, the embedded library
// and the benches start from here.
//
//   loop -> disk, net -> node (with the machines of all services) -> services' apis -> HTTP, RESP
//
// They are built in this order and taken apart in the reverse one. open() blocks while the data
// directory is recovered. Thread rule: everything on the thread that calls run(), but for
// loop().post() and loop().stop().
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/function.h"
#include "base/metrics.h"
#include "base/status.h"
#include "edge/http/wire/router.h"
#include "edge/http/wire/server.h"
#include "edge/resp/face.h"
#include "node/node.h"
#include "node/placement.h"
#include "os/clock.h"
#include "os/disk.h"
#include "os/loop.h"
#include "os/net.h"
#include "server/config.h"
#include "server/locks.h"
#include "server/log.h"
#include "service/kv/api.h"
#include "service/kv/keyspaces.h"
#include "service/registry.h"

namespace quorate::server {

class Audit;
class NodeAccess;
class NodeAdmin;
class NodeGate;
class PasswordWorker;
class RespTopology;

// The machines of every service, for a node or a simulated one.
void add_services(service::Registry& registry);

[[nodiscard]] node::Options node_options(const Config& config);

class Assembly {
 public:
  struct Options {
    bool http = true;  // an embedded node may do without
    bool resp = true;
  };

  // `log` must outlive it.
  [[nodiscard]] static Result<std::unique_ptr<Assembly>> open(const Config& config, const Log& log,
                                                              const Options& options);
  ~Assembly();
  Assembly(const Assembly&) = delete;
  Assembly& operator=(const Assembly&) = delete;

  // Turns the loop until stop() has done its work, or loop().stop().
  void run() { loop_->run(); }
  enum class Others { kGoOn, kStopToo };
  // Hands leaderships over, unless the others stop at the same time, finishes requests under way,
  // then ends run(). At most Config::stop_timeout; called again, at once.
  void stop(Others others = Others::kGoOn);

  [[nodiscard]] os::Loop& loop() { return *loop_; }
  [[nodiscard]] node::Node& node() { return *node_; }
  [[nodiscard]] Metrics& metrics() { return metrics_; }
  [[nodiscard]] service::kv::Api& kv() { return *kv_; }
  [[nodiscard]] service::lock::Api& locks() { return locks_->api(); }
  [[nodiscard]] NodeAdmin& admin() { return *admin_; }
  [[nodiscard]] const Config& config() const { return config_; }
  // The ports in use; they differ from the configuration where that says 0.
  [[nodiscard]] uint16_t http_port() const { return http_port_; }
  [[nodiscard]] uint16_t resp_port() const { return resp_port_; }
  [[nodiscard]] uint16_t raft_port() const { return net_->port(); }

 private:
  Assembly(const Config& config, const Log& log);

  [[nodiscard]] Status open_node();
  [[nodiscard]] Status open_access();
  [[nodiscard]] Status open_http();
  void sync_audit();
  [[nodiscard]] Status open_resp();
  [[nodiscard]] std::string resp_address() const;
  void watch();
  void finish_stop(Instant deadline);
  void drain_edges(UniqueFunction<void()> done);
  // Some group led here has a peer that could take it over.
  [[nodiscard]] bool can_hand_over() const;

  const Config config_;
  const Log& log_;
  os::Clock clock_;
  Metrics metrics_;
  std::unique_ptr<os::Loop> loop_;
  std::unique_ptr<os::Disk> disk_;
  std::unique_ptr<os::Net> net_;
  service::Registry registry_;
  std::unique_ptr<node::Node> node_;
  std::unique_ptr<node::Placement> placement_;
  std::unique_ptr<Locks> locks_;
  std::unique_ptr<NodeAdmin> admin_;
  std::unique_ptr<PasswordWorker> passwords_;
  std::unique_ptr<Audit> audit_;  // this and the gate: where access is controlled
  std::unique_ptr<NodeGate> gate_;
  std::unique_ptr<NodeAccess> access_;
  std::unique_ptr<service::kv::Api> kv_;
  std::unique_ptr<service::kv::Keyspaces> keyspaces_;
  edge::http::Router router_;
  std::unique_ptr<edge::http::Server> http_;
  uint16_t http_port_ = 0;
  std::unique_ptr<RespTopology> resp_topology_;
  std::unique_ptr<edge::resp::Face> resp_;
  uint16_t resp_port_ = 0;
  bool ready_ = false;
  Instant lag_at_;  // when followers are looked at next
  bool stopping_ = false;
};

}  // namespace quorate::server
