// SPDX-License-Identifier: Apache-2.0
#include "quorate/database.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "os/signals.h"
#include "server/admin.h"
#include "server/assembly.h"

namespace quorate {
namespace {

namespace kv = service::kv;

// A view of it.
service::Fence fence_of(const Fence& fence) {
  return {service::DomainId(fence.domain), fence.lock, Token(fence.token)};
}

kv::WriteOptions write_options(const PutOptions& options) {
  kv::WriteOptions write;
  write.timeout = options.timeout;
  write.fence = fence_of(options.fence);
  if (!options.idempotency_key.empty()) {
    write.key = service::CommandKey::of(options.idempotency_key);
  }
  return write;
}

kv::Lifetime lifetime_of(Duration ttl) {
  return ttl == Duration() ? kv::Lifetime() : kv::Lifetime::lasting(ttl);
}

kv::Condition condition_of(const PutOptions& options) {
  if (options.if_absent) {
    return {kv::Condition::Kind::kAbsent};
  }
  return options.if_version == 0 ? kv::Condition()
                                 : kv::Condition{kv::Condition::Kind::kVersion, options.if_version};
}

kv::ReadOptions read_options(const GetOptions& options) {
  kv::ReadOptions read;
  read.timeout = options.timeout;
  read.mode.consistency = static_cast<service::Consistency>(options.level);
  read.mode.bound = options.bound;
  return read;
}
static_assert(static_cast<int>(ReadLevel::kEventual) ==
              static_cast<int>(service::Consistency::kEventual));

// A callback that fulfils a promise, for the blocking calls and the futures.
template <class T>
std::pair<Database::Done<T>, std::future<Result<T>>> promised() {
  auto promise = std::make_shared<std::promise<Result<T>>>();
  std::future<Result<T>> future = promise->get_future();
  return {[promise](Result<T> result) { promise->set_value(std::move(result)); },
          std::move(future)};
}

// A port of the loopback that nobody uses now.
Result<uint16_t> free_port() {
  const int probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  const bool found =
      probe >= 0 && bind(probe, generic, size) == 0 && getsockname(probe, generic, &size) == 0;
  if (probe >= 0) {
    close(probe);
  }
  return found ? Result<uint16_t>(ntohs(address.sin_port))
               : Result<uint16_t>(Status(Code::kUnavailable, "no free port"));
}

Result<server::Config> config_of(const DatabaseOptions& options) {
  server::ConfigSources sources;
  const auto set = [&sources](std::string_view key, const std::string& value) {
    sources.arguments.push_back(server::flag_of(key));
    sources.arguments.push_back(value);
  };
  // A node alone needs no fixed port for others to find it.
  set("raft.listen", "127.0.0.1:0");
  set("http.listen", "127.0.0.1:0");
  set("resp.listen", "");   // served only where a port is given
  set("node", std::to_string(options.node));
  set("data", options.directory);
  for (const auto& [key, value] : options.settings) {
    set(key, value);
  }
  return server::load_config(sources);
}

}  // namespace

struct Database::State {
  State(server::Config given, std::function<void(std::string_view)> sink)
      : config(std::move(given)),
        log(clock, config.log_level,
            sink ? std::move(sink) : [](std::string_view) {}) {}

  // Everything of the node is made, used and destroyed on the one thread.
  void run(bool http, std::promise<Status> opened) {
    os::ignore_broken_pipes();
    server::Assembly::Options options;
    options.http = http;
    Result<std::unique_ptr<server::Assembly>> made =
        server::Assembly::open(config, log, options);
    if (!made.ok()) {
      opened.set_value(made.status());
      return;
    }
    assembly = made->get();
    opened.set_value(Status::success());
    assembly->run();
  }

  const server::Config config;
  const os::Clock clock;
  const server::Log log;
  server::Assembly* assembly = nullptr;   // of the thread; good until it is joined
  std::thread thread;
};

Database::Database(std::unique_ptr<State> state) : state_(std::move(state)) {}

Result<std::unique_ptr<Database>> Database::open(const DatabaseOptions& options) {
  Result<server::Config> config = config_of(options);
  RETURN_IF_ERROR(config);
  auto state = std::make_unique<State>(std::move(*config), options.log);
  std::promise<Status> promise;
  std::future<Status> opened = promise.get_future();
  state->thread = std::thread(
      [raw = state.get(), http = options.http, promise = std::move(promise)]() mutable {
        raw->run(http, std::move(promise));
      });
  const Status status = opened.get();
  if (!status.ok()) {
    state->thread.join();
    return status;
  }
  return std::unique_ptr<Database>(new Database(std::move(state)));
}

Result<std::vector<std::unique_ptr<Database>>> Database::open_cluster(
    const DatabaseOptions& options, uint32_t nodes) {
  std::vector<std::string> addresses;
  std::string list;
  for (uint32_t n = 1; n <= nodes; ++n) {
    const Result<uint16_t> port = free_port();
    RETURN_IF_ERROR(port);
    addresses.push_back("127.0.0.1:" + std::to_string(*port));
    list += (n == 1 ? "" : ",") + std::to_string(n) + "=" + addresses.back();
  }
  std::vector<std::unique_ptr<Database>> databases;
  for (uint32_t n = 1; n <= nodes; ++n) {
    DatabaseOptions each = options;
    each.node = n;
    each.directory = options.directory + "/node" + std::to_string(n);
    each.settings["cluster.nodes"] = list;
    each.settings["raft.listen"] = addresses[n - 1];
    Result<std::unique_ptr<Database>> database = open(each);
    RETURN_IF_ERROR(database);
    databases.push_back(std::move(*database));
  }
  return databases;
}

Database::~Database() {
  server::Assembly* const assembly = state_->assembly;
  assembly->loop().post([assembly] { assembly->stop(); });
  state_->thread.join();
}

Status Database::wait_ready(Duration timeout) {
  const auto deadline =
      std::chrono::steady_clock::now() + std::chrono::nanoseconds(timeout.nanos());
  while (true) {
    std::promise<std::string> asked;
    state_->assembly->loop().post([this, &asked] {
      std::string why;
      asked.set_value(state_->assembly->admin().ready(why) ? "" : why);
    });
    const std::string why = asked.get_future().get();
    if (why.empty()) {
      return Status::success();
    }
    if (std::chrono::steady_clock::now() >= deadline) {
      return Status(Code::kTimeout, "not ready: " + why);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

void Database::run_on_loop(UniqueFunction<void(kv::Api&)> action) {
  server::Assembly* const assembly = state_->assembly;
  assembly->loop().post(
      [assembly, action = std::move(action)]() mutable { action(assembly->kv()); });
}

void Database::run_with_locks(UniqueFunction<void(service::lock::Api&)> action) {
  server::Assembly* const assembly = state_->assembly;
  assembly->loop().post(
      [assembly, action = std::move(action)]() mutable { action(assembly->locks()); });
}

void Database::put_async(std::string key, std::string value, PutOptions options,
                         Done<Written> done) {
  run_on_loop([key = std::move(key), value = std::move(value), options = std::move(options),
               done = std::move(done)](kv::Api& api) mutable {
    kv::Put put;
    put.key = key;
    put.value = value;
    put.lifetime = lifetime_of(options.ttl);
    put.condition = condition_of(options);
    if (const Status status = kv::validate(kv::Command(put)); !status.ok()) {
      done(status);
      return;
    }
    api.write(put, write_options(options),
              [done = std::move(done)](const Status& status, const kv::Written& written,
                                       const service::Origin&) mutable {
                done(status.ok() ? Result<Written>({written.version, written.revision.value()})
                                 : Result<Written>(status));
              });
  });
}

void Database::get_async(std::string key, GetOptions options, Done<Entry> done) {
  run_on_loop([key = std::move(key), options, done = std::move(done)](kv::Api& api) mutable {
    kv::Get get;
    get.key = key;
    api.get(get, read_options(options),
            [done = std::move(done)](const Status& status, const kv::Found& found,
                                     const service::Origin& origin) mutable {
              if (!status.ok()) {
                done(status);
                return;
              }
              done(Entry{std::string(found.item.value), found.item.version,
                         found.item.modified.value(), found.item.expires, origin.staleness});
            });
  });
}

void Database::remove_async(std::string key, Done<uint64_t> done, Fence fence) {
  run_on_loop([key = std::move(key), fence = std::move(fence),
               done = std::move(done)](kv::Api& api) mutable {
    kv::Delete command;
    command.key = key;
    api.write(command, {.fence = fence_of(fence)},
              [done = std::move(done)](const Status& status, const kv::Removed& removed,
                                       const service::Origin&) mutable {
                done(status.ok() ? Result<uint64_t>(removed.count) : Result<uint64_t>(status));
              });
  });
}

void Database::touch_async(std::string key, Duration ttl, Done<uint64_t> done) {
  run_on_loop([key = std::move(key), ttl, done = std::move(done)](kv::Api& api) mutable {
    kv::Touch touch;
    touch.key = key;
    touch.lifetime = lifetime_of(ttl);
    api.write(touch, kv::WriteOptions(),
              [done = std::move(done)](const Status& status, const kv::Touched& touched,
                                       const service::Origin&) mutable {
                done(status.ok() ? Result<uint64_t>(touched.count) : Result<uint64_t>(status));
              });
  });
}

void Database::put_many_async(Pairs pairs, PutOptions options, Done<uint64_t> done) {
  run_on_loop([pairs = std::move(pairs), options = std::move(options),
               done = std::move(done)](kv::Api& api) mutable {
    kv::PutMany command;
    command.if_all_absent = options.if_absent;
    for (const auto& [key, value] : pairs) {
      command.items.push_back({key, value, lifetime_of(options.ttl)});
    }
    if (const Status status = kv::validate(kv::Command(command)); !status.ok()) {
      done(status);
      return;
    }
    api.put_many(command, write_options(options),
                 [done = std::move(done)](const Status& status, const kv::Stored& stored,
                                          const service::Origin&) mutable {
                   done(status.ok() ? Result<uint64_t>(stored.count)
                                    : Result<uint64_t>(status));
                 });
  });
}

void Database::increment_async(std::string key, int64_t by, Done<int64_t> done) {
  run_on_loop([key = std::move(key), by, done = std::move(done)](kv::Api& api) mutable {
    kv::Increment command;
    command.key = key;
    command.delta = by;
    if (const Status status = kv::validate(kv::Command(command)); !status.ok()) {
      done(status);
      return;
    }
    api.write(command, kv::WriteOptions(),
              [done = std::move(done)](const Status& status, const kv::Counted& counted,
                                       const service::Origin&) mutable {
                done(status.ok() ? Result<int64_t>(counted.value) : Result<int64_t>(status));
              });
  });
}

void Database::rate_limit_async(std::string name, RateLimit limit, Done<Rated> done) {
  run_on_loop([name = std::move(name), limit, done = std::move(done)](kv::Api& api) mutable {
    kv::RateLimit command;
    command.name = name;
    command.burst = limit.burst;
    command.tokens = limit.tokens;
    command.period = limit.period;
    command.cost = limit.cost;
    if (const Status status = kv::validate(kv::Command(command)); !status.ok()) {
      done(status);
      return;
    }
    api.rate_limit(command, kv::WriteOptions(),
                   [done = std::move(done)](const Status& status, const kv::Rated& rated,
                                            const service::Origin&) mutable {
                     done(status.ok()
                              ? Result<Rated>({rated.allowed, rated.tokens_left, rated.retry_after})
                              : Result<Rated>(status));
                   });
  });
}

void Database::scan_async(std::string prefix, size_t limit, Done<Pairs> done) {
  run_on_loop([prefix = std::move(prefix), limit, done = std::move(done)](kv::Api& api) mutable {
    const std::string end = kv::prefix_end(prefix);
    kv::Scan scan;
    scan.range = {prefix, end};
    scan.limit = limit;
    api.scan(scan, kv::ReadOptions(),
             [done = std::move(done)](const Status& status, const kv::Page& page,
                                      const service::Origin&) mutable {
               if (!status.ok()) {
                 done(status);
                 return;
               }
               Pairs pairs;
               for (const kv::Item& item : page.items) {
                 pairs.emplace_back(item.key, item.value);
               }
               done(std::move(pairs));
             });
  });
}

Result<Written> Database::put(std::string key, std::string value, PutOptions options) {
  return put_future(std::move(key), std::move(value), std::move(options)).get();
}

Result<Entry> Database::get(std::string key, GetOptions options) {
  return get_future(std::move(key), options).get();
}

Result<uint64_t> Database::remove(std::string key, Fence fence) {
  auto [done, future] = promised<uint64_t>();
  remove_async(std::move(key), std::move(done), std::move(fence));
  return future.get();
}

Result<uint64_t> Database::touch(std::string key, Duration ttl) {
  auto [done, future] = promised<uint64_t>();
  touch_async(std::move(key), ttl, std::move(done));
  return future.get();
}

Result<uint64_t> Database::put_many(Pairs pairs, PutOptions options) {
  auto [done, future] = promised<uint64_t>();
  put_many_async(std::move(pairs), std::move(options), std::move(done));
  return future.get();
}

Result<int64_t> Database::increment(std::string key, int64_t by) {
  auto [done, future] = promised<int64_t>();
  increment_async(std::move(key), by, std::move(done));
  return future.get();
}

Result<Rated> Database::rate_limit(std::string name, RateLimit limit) {
  auto [done, future] = promised<Rated>();
  rate_limit_async(std::move(name), limit, std::move(done));
  return future.get();
}

Result<Database::Pairs> Database::scan(std::string prefix, size_t limit) {
  auto [done, future] = promised<Pairs>();
  scan_async(std::move(prefix), limit, std::move(done));
  return future.get();
}

std::future<Result<Written>> Database::put_future(std::string key, std::string value,
                                                  PutOptions options) {
  auto [done, future] = promised<Written>();
  put_async(std::move(key), std::move(value), std::move(options), std::move(done));
  return std::move(future);
}

std::future<Result<Entry>> Database::get_future(std::string key, GetOptions options) {
  auto [done, future] = promised<Entry>();
  get_async(std::move(key), options, std::move(done));
  return std::move(future);
}

uint16_t Database::http_port() const { return state_->assembly->http_port(); }
uint16_t Database::resp_port() const { return state_->assembly->resp_port(); }

}  // namespace quorate
