// SPDX-License-Identifier: Apache-2.0
#include "sim/workloads/store.h"

#include <algorithm>
#include <utility>

#include "service/value/ordered.h"

namespace quorate::sim {
namespace {

namespace kv = service::kv;

constexpr uint64_t kWatchers = 4;
constexpr uint64_t kKeys = 16;
// With the pair of keys that transactions write; less than all keys, so that the quota bites.
constexpr uint64_t kKeysMax = 14;
constexpr uint64_t kNumbers = 4;
constexpr uint64_t kOwners = 8;
constexpr uint64_t kBurst = 5;
constexpr uint64_t kTakesPerBucket = 8;
constexpr uint64_t kStepsOfPreparing = 4;
constexpr Duration kFollow = Duration::millis(50);
constexpr std::string_view kPair[] = {"t0", "t1"};

kv::KeyspaceId keyspace_of(GroupId group) { return kv::KeyspaceId(group.value()); }

}  // namespace

// What one node says to a watcher; deaf when that has gone elsewhere, or the node is not heard.
class Store::Ear : public kv::Watches::Sink {
 public:
  Ear(Store& store, Watcher& watcher) : store_(store), watcher_(watcher), node_(watcher.node) {}
  void leave() { left_ = true; }
  [[nodiscard]] bool has_room() const override { return true; }
  [[nodiscard]] bool has_left() const override { return left_; }
  void on_start(const std::vector<kv::Watches::Position>& positions) override {
    if (hears() && !watcher_.started) {
      watcher_.started = true;
      watcher_.watched.begin = positions.front().after.value();
      watcher_.watched.through = watcher_.watched.begin;
    }
  }
  void on_changes(GroupId, const kv::ChangeList& list) override {
    if (hears()) {
      store_.on_changes(watcher_, list);
    }
  }
  void on_end(const Status& status) override {
    if (hears()) {
      left_ = true;
      store_.on_end(watcher_, status);
    }
  }

 private:
  [[nodiscard]] bool hears() const { return !left_ && store_.cluster_.speaks(node_); }

  Store& store_;
  Watcher& watcher_;
  const NodeId node_;
  bool left_ = false;
};

Store::Store(Cluster& cluster)
    : cluster_(cluster),
      world_(cluster.world()),
      prng_(cluster.plan().store_clients == 0 ? Prng(1) : world_.fork_prng()),
      judge_(kKeysMax),
      clients_(cluster.plan().store_clients),
      watchers_(clients_.empty() ? 0 : kWatchers) {
  for (uint64_t i = 0; i < watchers_.size(); ++i) {
    watchers_[i].number = i + 1;
    watchers_[i].group = GroupId(static_cast<uint32_t>(1 + i % cluster.plan().groups));
    watchers_[i].prefix = i % 3 == 2 ? "k1" : "";
    watchers_[i].watched.prefix = watchers_[i].prefix;
  }
}

void Store::start() {
  for (Client& client : clients_) {
    rest(client);
  }
  for (Watcher& watcher : watchers_) {
    follow(watcher);
  }
}

void Store::rest(Client& client) {
  client.busy = false;
  ++client.operation;
  world_.after(Duration::nanos(prng_.between(0, 2 * cluster_.plan().think.nanos())),
               [this, &client, operation = client.operation] {
                 if (client.operation == operation && !stopped_) {
                   begin(client);
                 }
               });
}

void Store::begin(Client& client) {
  const uint64_t operation = ++client.operation;
  client.group = GroupId(static_cast<uint32_t>(1 + prng_.below(cluster_.plan().groups)));
  client.node = cluster_.any_door(prng_);
  client.floor = judge_.known(client.group);
  if (!cluster_.running(client.node)) {
    rest(client);
    return;
  }
  client.busy = true;
  ++operations_;
  // As an event of that node's process: a paused one answers late, a dead one never.
  world_.after(cluster_.life(client.node), Duration(), [this, &client, operation] {
    StoreDoor* const door = cluster_.store(client.node);
    if (client.operation == operation && door != nullptr && cluster_.speaks(client.node)) {
      const uint64_t step = prepared_[client.group];
      step < kStepsOfPreparing ? prepare(client, door->api(), step) : act(client, door->api());
    }
  });
  world_.after(cluster_.plan().attempt * 5 / 4, [this, &client, operation] {
    if (client.operation == operation) {
      rest(client);
    }
  });
}

bool Store::hears(Client& client, uint64_t operation, NodeId node, const Status& status) {
  if (client.operation != operation || !cluster_.speaks(node)) {
    return false;
  }
  answered_ += status.ok() || row_of(status.code()).retry == Retry::kNo ? 1 : 0;
  rest(client);
  return true;
}

// ---- writes ------------------------------------------------------------------------------------

void Store::prepare(Client& client, kv::Api& api, uint64_t step) {
  const auto done = [this, &client, step, operation = client.operation, node = client.node](
                        const Status& status, const kv::Settled&, const service::Origin&) {
    if (hears(client, operation, node, status)) {
      prepared(client, step, status);
    }
  };
  const kv::WriteOptions options{.timeout = cluster_.plan().attempt};
  const kv::KeyspaceId keyspace = keyspace_of(client.group);
  switch (step) {
    case 0: api.create_index({keyspace, "numbers", "n", false}, options, done); break;
    case 1: api.create_index({keyspace, "owners", "u", true}, options, done); break;
    case 2: put_pair(client, api, true); break;
    default:
      api.settle(client.group,
                 kv::SetKeyspace{.keyspace = keyspace, .revision = 1, .keys_max = kKeysMax},
                 options, done);
  }
}

void Store::prepared(Client& client, uint64_t step, const Status& status) {
  if (status.ok() && prepared_[client.group] == step) {
    ++prepared_[client.group];
  }
}

void Store::act(Client& client, kv::Api& api) {
  const uint64_t draw = prng_.below(100);
  if (draw < 42) {
    put(client, api);
  } else if (draw < 50) {
    put_many(client, api);
  } else if (draw < 56) {
    put_pair(client, api, false);
  } else if (draw < 64) {
    remove(client, api);
  } else if (draw < 72) {
    get(client, api);
  } else if (draw < 91) {
    find(client, api);
  } else if (draw < 96) {
    take_token(client, api);
  } else {
    turn_index(client, api);
  }
}

StoreValue Store::any_value() {
  StoreValue value;
  if (prng_.chance(4, 5)) {
    value.number = prng_.below(kNumbers);
  }
  if (prng_.chance(3, 5)) {
    value.owner = prng_.below(kOwners);
  }
  return value;
}

std::string Store::make(const StoreValue& value) {
  std::string text = "{\"id\":" + std::to_string(next_value_++);
  if (value.number) {
    text += ",\"n\":" + std::to_string(*value.number);
  }
  if (value.owner) {
    text += ",\"u\":\"o" + std::to_string(*value.owner) + "\"";
  }
  text += ",\"rest\":\"" + std::string(prng_.below(cluster_.plan().value_bytes + 1), 'p') + "\"}";
  judge_.made(text, value);
  return text;
}

void Store::put(Client& client, kv::Api& api) {
  const StoreValue value = any_value();
  const std::string key = "k" + std::to_string(prng_.below(kKeys));
  const std::string text = make(value);
  kv::Lifetime lifetime;
  if (prng_.chance(1, 4)) {
    lifetime = kv::Lifetime::lasting(Duration::millis(prng_.between(200, 1'500)));
  }
  api.write(
      kv::Put{
          .keyspace = keyspace_of(client.group), .key = key, .value = text, .lifetime = lifetime},
      {.timeout = cluster_.plan().attempt},
      [this, &client, operation = client.operation, node = client.node, key, text, value](
          const Status& status, const kv::Written& written, const service::Origin&) {
        if (!hears(client, operation, node, status)) {
          return;
        }
        StoreJudge::Group& group = judge_.of(client.group);
        if (status.ok()) {
          group.told.push_back({written.revision.value(), key, text});
        } else if (status.code() == Code::kAlreadyExists) {
          world_.count("store_not_unique");
          group.refusals.push_back(
              {client.floor, world_.now(), key, value.owner.value_or(kOwners)});
        } else if (status.code() == Code::kQuotaExceeded) {
          world_.count("store_quota");
        }
      });
}

void Store::put_many(Client& client, kv::Api& api) {
  const std::string first = "k" + std::to_string(prng_.below(kKeys));
  const std::string last = first + "0";  // k10 is among the others, the rest come here only
  const std::string text = make(any_value());
  kv::PutMany command{.keyspace = keyspace_of(client.group)};
  const std::string other = make(any_value());
  command.items.push_back({.key = first, .value = other});
  command.items.push_back({.key = last, .value = text});
  api.put_many(command, {.timeout = cluster_.plan().attempt},
               [this, &client, operation = client.operation, node = client.node, last, text](
                   const Status& status, const kv::Stored& stored, const service::Origin&) {
                 if (hears(client, operation, node, status) && status.ok()) {
                   judge_.of(client.group).told.push_back({stored.revision.value(), last, text});
                 }
               });
}

void Store::put_pair(Client& client, kv::Api& api, bool first) {
  kv::Txn txn{.keyspace = keyspace_of(client.group)};
  std::string texts[2];
  StoreValue value;
  value.pair = next_value_;
  for (int part = 0; part < 2; ++part) {
    value.number = prng_.below(kNumbers);
    value.part = part + 1;
    texts[part] = make(value);
    txn.then.push_back(kv::Put{.keyspace = txn.keyspace, .key = kPair[part], .value = texts[part]});
  }
  api.txn(txn, {.timeout = cluster_.plan().attempt},
          [this, &client, operation = client.operation, node = client.node, text = texts[1], first](
              const Status& status, const kv::TxnDone& done, const service::Origin&) {
            if (!hears(client, operation, node, status) || !status.ok()) {
              return;
            }
            world_.count("store_txn");
            judge_.of(client.group)
                .told.push_back({done.revision.value(), std::string(kPair[1]), text});
            if (first) {
              prepared(client, 2, status);
            }
          });
}

void Store::remove(Client& client, kv::Api& api) {
  const std::string key = "k" + std::to_string(prng_.below(kKeys));
  api.write(kv::Delete{.keyspace = keyspace_of(client.group), .key = key},
            {.timeout = cluster_.plan().attempt},
            [this, &client, operation = client.operation, node = client.node](
                const Status& status, const kv::Removed&, const service::Origin&) {
              (void)hears(client, operation, node, status);
            });
}

// The third index, as large as the first.
void Store::turn_index(Client& client, kv::Api& api) {
  const kv::WriteOptions options{.timeout = cluster_.plan().attempt};
  const auto done = [this, &client, operation = client.operation, node = client.node](
                        const Status& status, const kv::Settled&, const service::Origin&) {
    (void)hears(client, operation, node, status);
  };
  if (prng_.chance(1, 2)) {
    api.create_index({keyspace_of(client.group), "late", "n", false}, options, done);
  } else {
    api.drop_index({keyspace_of(client.group), "late"}, options, done);
  }
}

// Buckets that gain nothing while the run lasts: it is known how many tokens there are.
void Store::take_token(Client& client, kv::Api& api) {
  Bucket& bucket = buckets_[client.group];
  if (bucket.sent == kTakesPerBucket) {
    bucket = {.number = bucket.number + 1};
  }
  ++bucket.sent;
  const std::string name = "b" + std::to_string(bucket.number);
  api.rate_limit(
      kv::RateLimit{.keyspace = keyspace_of(client.group),
                    .name = name,
                    .burst = kBurst,
                    .tokens = 1,
                    .period = Duration::seconds(3600 * 24 * 365)},
      {.timeout = cluster_.plan().attempt},
      [this, &client, operation = client.operation, node = client.node, number = bucket.number](
          const Status& status, const kv::Rated& rated, const service::Origin&) {
        if (!hears(client, operation, node, status) || !status.ok()) {
          return;
        }
        Bucket& of = buckets_[client.group];
        if (of.number != number) {
          return;
        }
        of.allowed += rated.allowed ? 1 : 0;
        world_.count(rated.allowed ? "store_token" : "store_no_token");
        if (of.allowed > kBurst || (!rated.allowed && of.sent <= kBurst)) {
          complain("a bucket of " + std::to_string(kBurst) + " gave " + std::to_string(of.allowed) +
                   " tokens of " + std::to_string(of.sent) + " that were asked for");
        }
      });
}

// ---- reads -------------------------------------------------------------------------------------

void Store::get(Client& client, kv::Api& api) {
  const std::string key = "k" + std::to_string(prng_.below(kKeys));
  const auto mode =
      prng_.chance(1, 2) ? service::Consistency::kLinearizable : service::Consistency::kFollower;
  api.get({keyspace_of(client.group), key},
          {.mode = {.consistency = mode, .bound = {}}, .timeout = cluster_.plan().attempt},
          [this, &client, operation = client.operation, node = client.node, key](
              const Status& status, const kv::Found& found, const service::Origin&) {
            if (hears(client, operation, node, status) &&
                (status.ok() || status.code() == Code::kNotFound)) {
              judge_.of(client.group)
                  .got.push_back({client.floor, found.item.modified.value(), key,
                                  std::string(found.item.value)});
            }
          });
}

void Store::find(Client& client, kv::Api& api) {
  StoreJudge::Search search;
  search.floor = client.floor;
  const bool is_late = prng_.chance(1, 4);
  search.by_owner = !is_late && prng_.chance(1, 3);
  std::string begin;
  std::string end;
  if (prng_.chance(1, 2)) {
    search.wanted = prng_.below(search.by_owner ? kOwners : kNumbers);
    const std::string number = std::to_string(*search.wanted);
    const std::string scalar = search.by_owner ? "\"o" + number + "\"" : number;
    (void)service::append_ordered(service::parse_scalar(scalar), begin);
    end = kv::prefix_end(begin);
  }
  const auto mode =
      prng_.chance(1, 2) ? service::Consistency::kLinearizable : service::Consistency::kFollower;
  kv::Find query{.keyspace = keyspace_of(client.group),
                 .index = is_late           ? "late"
                          : search.by_owner ? "owners"
                                            : "numbers",
                 .begin = begin,
                 .end = end,
                 .backwards = prng_.chance(1, 4)};
  api.find(query, {.mode = {.consistency = mode, .bound = {}}, .timeout = cluster_.plan().attempt},
           [this, &client, operation = client.operation, node = client.node, search, is_late](
               const Status& status, const kv::Hits& hits, const service::Origin&) mutable {
             if (!hears(client, operation, node, status)) {
               return;
             }
             if (status.ok()) {
               for (const kv::Hit& hit : hits.hits) {
                 search.hits.push_back({std::string(hit.item.key), std::string(hit.item.value),
                                        hit.item.modified.value()});
               }
               search.revision = hits.revision.value();
               world_.count(is_late ? "store_found_late" : "store_found");
               judge_.of(client.group).searches.push_back(std::move(search));
             } else if (!is_late && row_of(status.code()).retry == Retry::kNo) {
               complain("an index that is ready is refused: " + status.to_string());
             }
           });
}

// ---- watches -----------------------------------------------------------------------------------

void Store::follow(Watcher& watcher) {
  const bool is_lost = watcher.ear == nullptr || watcher.ear->has_left() ||
                       cluster_.life(watcher.node) != watcher.life ||
                       cluster_.is_paused(watcher.node);
  if (is_lost || (!stopped_ && prng_.chance(1, 60))) {
    open(watcher);
  }
  world_.after(kFollow, [this, &watcher] { follow(watcher); });
}

void Store::open(Watcher& watcher) {
  if (watcher.ear != nullptr) {
    watcher.ear->leave();
    watcher.ear.reset();
  }
  watcher.node = cluster_.any_door(prng_);
  watcher.life = cluster_.life(watcher.node);
  StoreDoor* const door = cluster_.store(watcher.node);
  if (door == nullptr || cluster_.is_paused(watcher.node)) {
    return;
  }
  watcher.ear = std::make_shared<Ear>(*this, watcher);
  world_.after(watcher.life, Duration(), [this, &watcher, ear = watcher.ear] {
    StoreDoor* const open = cluster_.store(watcher.node);
    if (ear->has_left() || open == nullptr) {
      return;
    }
    kv::Watches::Spec spec{.keyspace = keyspace_of(watcher.group), .prefix = watcher.prefix};
    if (watcher.started) {
      world_.count("store_watch_resumed");
      spec.after.push_back({watcher.group, Revision(watcher.watched.through)});
    }
    open->watches().start(std::move(spec), ear);
  });
}

void Store::on_changes(Watcher& watcher, const kv::ChangeList& list) {
  for (const kv::Change& change : list.changes) {
    watcher.watched.changes.push_back(
        {change.kind, change.revision.value(), std::string(change.key), std::string(change.value)});
  }
  watcher.watched.through = list.through.value();
}

void Store::on_end(Watcher& watcher, const Status& status) {
  if (status.code() == Code::kPreconditionFailed) {
    world_.count("store_watch_compacted");
    judge_.of(watcher.group).watched.push_back(std::exchange(watcher.watched, {}));
    watcher.watched.prefix = watcher.prefix;
    watcher.started = false;
  } else if (row_of(status.code()).retry == Retry::kNo) {
    complain("watcher " + std::to_string(watcher.number) + " is refused: " + status.to_string());
  }
}

// ---- the end -----------------------------------------------------------------------------------

void Store::after_event(NodeId id) {
  node::Node* const node = clients_.empty() ? nullptr : cluster_.node(id);
  if (node == nullptr) {
    return;
  }
  for (uint32_t number = 1; number <= cluster_.plan().groups; ++number) {
    const GroupId group(number);
    const node::Group* const replica = node->group(group);
    if (replica == nullptr ||
        std::exchange(applied_[{id, group}], replica->applied()) == replica->applied()) {
      continue;
    }
    const service::LocalRead here =
        node->read_here(group, service::ServiceId::kKv,
                        {.consistency = service::Consistency::kEventual, .bound = {}});
    if (const kv::State* const state = service::typed<kv::State>(here.machine)) {
      judge_.learn(group, *state, world_.now());
    }
  }
}

bool Store::idle() const { return unfinished().empty(); }

std::string Store::unfinished() const {
  for (const Client& client : clients_) {
    if (client.busy) {
      return "a client at node " + std::to_string(client.node.value());
    }
  }
  for (const Watcher& watcher : watchers_) {
    if (!watcher.started || watcher.watched.through < judge_.known(watcher.group)) {
      return "watcher " + std::to_string(watcher.number) + " at node " +
             std::to_string(watcher.node.value());
    }
  }
  return "";
}

std::string Store::check() {
  for (Watcher& watcher : watchers_) {
    judge_.of(watcher.group).watched.push_back(watcher.watched);
  }
  if (judge_.has_gap()) {
    world_.count("store_gap");
  }
  return judge_.judge();
}

void Store::complain(const std::string& text) {
  if (complaint_.empty()) {
    complaint_ = text;
    world_.trace(NodeId(), "COMPLAINT " + text);
    world_.stop();
  }
}

}  // namespace quorate::sim
