// SPDX-License-Identifier: Apache-2.0
// Database: a node inside your process. Alone it is a durable store; with others, in this process
// or elsewhere, a replicated one. What is put is on a majority's disks when the call returns.
//
//   auto opened = quorate::Database::open({.directory = "data"});
//   if (!opened.ok()) { ... opened.status().to_string() ... }
//   quorate::Database& database = **opened;
//   database.put("greeting", "hello");
//   auto entry = database.get("greeting");          // entry->value == "hello"
//
// Each Database runs its node on a thread of its own. The blocking calls may be made on any other
// thread, from several at once; the callbacks of the asynchronous ones run on the node's thread and
// must not block, nor make blocking calls. Destroying it hands leaderships over to the other nodes
// and waits for what is under way; nobody may be inside a call then.
#pragma once

#include <cstdint>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/function.h"
#include "base/status.h"
#include "base/time.h"
#include "quorate/fence.h"

namespace quorate {

namespace service::kv {
class Api;
}
namespace service::lock {
class Api;
}

struct DatabaseOptions {
  std::string directory = "data";
  uint32_t node = 1;
  // Any key of the configuration (docs/guide/config.md), as text: {"storage.sync", "interval"},
  // {"cluster.nodes", "1=10.0.0.1:9001,2=10.0.0.2:9001,3=10.0.0.3:9001"}. A node alone listens to
  // no other node unless "raft.listen" is given.
  std::map<std::string, std::string> settings = {};
  bool http = false;                                // serve http.listen too
  std::function<void(std::string_view line)> log = {};   // called on the node's thread
};

struct PutOptions {
  Duration ttl = {};                    // zero: for ever
  bool if_absent = false;               // else already_exists
  uint64_t if_version = 0;              // not zero: else precondition_failed
  Fence fence = {};                     // else precondition_failed; of put_many: keys of one group
  std::string idempotency_key = {};     // repeated with the same key, it is done once
  Duration timeout = Duration::seconds(10);
};

enum class ReadLevel : uint8_t { kLinearizable, kFollower, kBounded, kEventual };

struct GetOptions {
  ReadLevel level = ReadLevel::kLinearizable;
  Duration bound = {};                  // of kBounded
  Duration timeout = Duration::seconds(10);
};

struct Written {
  uint64_t version = 0;
  uint64_t revision = 0;
};

struct Entry {
  std::string value;
  uint64_t version = 0;
  uint64_t revision = 0;                // of its last change
  Stamp expires = Stamp::never();
  Duration staleness;                   // zero if the read was linearizable
};

// A bucket that holds `burst` tokens and gains `tokens` per `period`.
struct RateLimit {
  uint64_t burst = 1;
  uint64_t tokens = 1;
  Duration period = Duration::seconds(1);
  uint64_t cost = 1;
};

struct Rated {
  bool allowed = false;
  uint64_t tokens_left = 0;
  Duration retry_after;                 // zero if allowed
};

class Database {
 public:
  using Pairs = std::vector<std::pair<std::string, std::string>>;
  template <class T>
  using Done = UniqueFunction<void(Result<T>)>;

  // Blocks while the directory is recovered.
  [[nodiscard]] static Result<std::unique_ptr<Database>> open(const DatabaseOptions& options);
  // `nodes` nodes in this process, in directory/node1 and on, on free ports of the loopback.
  [[nodiscard]] static Result<std::vector<std::unique_ptr<Database>>> open_cluster(
      const DatabaseOptions& options, uint32_t nodes);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  // Until every group that this node holds has a leader.
  [[nodiscard]] Status wait_ready(Duration timeout);

  // ---- blocking -----------------------------------------------------------------------------
  Result<Written> put(std::string key, std::string value, PutOptions options = {});
  [[nodiscard]] Result<Entry> get(std::string key, GetOptions options = {});
  // How many keys there were to delete, or whose expiry changed.
  Result<uint64_t> remove(std::string key, Fence fence = {});
  Result<uint64_t> touch(std::string key, Duration ttl);
  // One round of consensus per group touched. Not atomic across groups.
  Result<uint64_t> put_many(Pairs pairs, PutOptions options = {});

  // The new number; a missing key counts as 0.
  Result<int64_t> increment(std::string key, int64_t by = 1);
  // Takes tokens from the bucket of that name, decided in one atomic step, whoever else asks.
  Result<Rated> rate_limit(std::string name, RateLimit limit);
  // Keys that begin with the prefix, in order; at most `limit` of them.
  [[nodiscard]] Result<Pairs> scan(std::string prefix, size_t limit = 1000);

  // ---- futures ------------------------------------------------------------------------------
  [[nodiscard]] std::future<Result<Written>> put_future(std::string key, std::string value,
                                                        PutOptions options = {});
  [[nodiscard]] std::future<Result<Entry>> get_future(std::string key, GetOptions options = {});

  // ---- callbacks, on the node's thread --------------------------------------------------------
  void put_async(std::string key, std::string value, PutOptions options, Done<Written> done);
  void get_async(std::string key, GetOptions options, Done<Entry> done);
  void remove_async(std::string key, Done<uint64_t> done, Fence fence = {});
  void touch_async(std::string key, Duration ttl, Done<uint64_t> done);
  void put_many_async(Pairs pairs, PutOptions options, Done<uint64_t> done);
  void increment_async(std::string key, int64_t by, Done<int64_t> done);
  void rate_limit_async(std::string name, RateLimit limit, Done<Rated> done);
  void scan_async(std::string prefix, size_t limit, Done<Pairs> done);

  // The fast path: runs on the node's thread, where the typed api may be called directly, without a
  // post, a copy or a wake-up per operation (service/kv/api.h).
  void run_on_loop(UniqueFunction<void(service::kv::Api&)> action);
  // The same for locks (service/lock/api.h), on which quorate/locks.h stands.
  void run_with_locks(UniqueFunction<void(service::lock::Api&)> action);

  // Where HTTP is served, if it is.
  [[nodiscard]] uint16_t http_port() const;
  // Where Redis clients are served, if "resp.listen" is set.
  [[nodiscard]] uint16_t resp_port() const;

 private:
  struct State;
  explicit Database(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

}  // namespace quorate
