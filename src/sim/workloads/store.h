// SPDX-License-Identifier: Apache-2.0
// Store: random clients and watchers of the key-value service, by random nodes, as an edge would.
//
// Each group has a keyspace of its own with a quota and two indexes, one of them unique, that are
// declared before the first key; a third comes and goes under load. Clients put, delete, put many,
// write pairs in a transaction, read keys, search indexes and take tokens from buckets; watchers
// follow the changes, go on at another node when theirs is lost, and begin anew when the history
// does not reach back. What is promised is judged by store_judge.h.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sim/cluster.h"
#include "sim/workloads/store_door.h"
#include "sim/workloads/store_judge.h"

namespace quorate::sim {

class Store {
 public:
  explicit Store(Cluster& cluster);

  void start();
  void stop() { stopped_ = true; }
  void after_event(NodeId id);
  // No client waits, and every watcher has come to the end.
  [[nodiscard]] bool idle() const;
  [[nodiscard]] std::string unfinished() const;
  [[nodiscard]] const std::string& complaint() const { return complaint_; }
  // "" or the story of the first violation.
  [[nodiscard]] std::string check();
  [[nodiscard]] uint64_t operations() const { return operations_; }
  [[nodiscard]] uint64_t answered() const { return answered_; }

 private:
  class Ear;
  struct Client {
    uint64_t operation = 0;  // grows: answers to earlier ones are not heard
    bool busy = false;
    NodeId node;
    GroupId group;
    uint64_t floor = 0;  // what was known to be applied when it asked
  };
  struct Watcher {
    uint64_t number = 0;
    GroupId group;
    std::string prefix;
    NodeId node;
    LifeId life;
    std::shared_ptr<Ear> ear;
    bool started = false;  // there is a position
    StoreJudge::Watched watched;
  };
  struct Bucket {
    uint64_t number = 0;
    uint64_t sent = 0;
    uint64_t allowed = 0;
  };

  void rest(Client& client);
  void begin(Client& client);
  // Steps that a keyspace needs before its first key, each until it is done.
  void prepare(Client& client, service::kv::Api& api, uint64_t step);
  void act(Client& client, service::kv::Api& api);
  void put(Client& client, service::kv::Api& api);
  void put_many(Client& client, service::kv::Api& api);
  void put_pair(Client& client, service::kv::Api& api, bool first);
  void remove(Client& client, service::kv::Api& api);
  void get(Client& client, service::kv::Api& api);
  void find(Client& client, service::kv::Api& api);
  void take_token(Client& client, service::kv::Api& api);
  void turn_index(Client& client, service::kv::Api& api);
  [[nodiscard]] std::string make(const StoreValue& value);
  [[nodiscard]] StoreValue any_value();
  // True for the answer that the client still waits for; it rests then.
  [[nodiscard]] bool hears(Client& client, uint64_t operation, NodeId node, const Status& status);
  void prepared(Client& client, uint64_t step, const Status& status);

  void follow(Watcher& watcher);
  void open(Watcher& watcher);
  void on_changes(Watcher& watcher, const service::kv::ChangeList& list);
  void on_end(Watcher& watcher, const Status& status);
  void complain(const std::string& text);

  Cluster& cluster_;
  World& world_;
  Prng prng_;
  StoreJudge judge_;
  std::vector<Client> clients_;
  std::vector<Watcher> watchers_;
  std::map<GroupId, uint64_t> prepared_;  // steps
  std::map<GroupId, Bucket> buckets_;
  std::map<std::pair<NodeId, GroupId>, Index> applied_;
  std::string complaint_;
  bool stopped_ = false;
  uint64_t next_value_ = 1;
  uint64_t operations_ = 0;
  uint64_t answered_ = 0;
};

}  // namespace quorate::sim
