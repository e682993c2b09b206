// SPDX-License-Identifier: Apache-2.0
// For tests of commands: real machines of two groups without consensus, behind a real server with
// connections that have no socket.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "edge/resp/face.h"
#include "edge/resp/wire/testing.h"
#include "service/batch.h"
#include "service/group_machine.h"
#include "service/kv/state.h"
#include "service/lock/api.h"
#include "service/lock/state.h"

namespace quorate::edge::resp {

// Applies what is proposed at once, or when the test says so.
class TwoGroups final : public service::Proposer, public service::AnswerSink, public Topology {
 public:
  explicit TwoGroups(const TestClock& clock) : clock_(clock) {
    registry_.add(service::ServiceId::kKv, [] { return service::host<service::kv::State>(); });
    registry_.add(service::ServiceId::kLock, [] { return service::host<service::lock::State>(); });
    for (uint32_t id = 1; id <= 2; ++id) {
      machines_.push_back(std::make_unique<service::GroupMachine>(registry_, GroupId(id)));
    }
  }

  void propose(const service::Command& command, service::Done done) override {
    ++proposals;
    held_.push_back({command, std::string(command.body), {}, std::move(done)});
    run();
  }
  void query(const service::Query& query, service::Done done) override {
    ++queries;
    held_.push_back({{}, std::string(query.body), query, std::move(done)});
    run();
  }
  service::LocalRead read_here(GroupId group, service::ServiceId service,
                               service::ReadMode) override {
    if (!led) {
      return {};
    }
    return {machine(group).service(service), clock_.wall(), {group, index_, {}, NodeId(1)}};
  }
  [[nodiscard]] uint32_t groups() const override { return 2; }
  [[nodiscard]] GroupId group_of_slot(uint16_t slot) const override {
    return GroupId(slot < kSlots / 2 ? 1 : 2);
  }
  void on_answer(size_t, const Status& status, std::string_view answer) override {
    status_ = status;
    answer_ = answer;
  }

  [[nodiscard]] ClusterView view() override {
    ClusterView view;
    view.self = NodeId(1);
    view.cluster_id = 0xabc;
    view.epoch = 7;
    view.nodes = {{NodeId(1), "10.0.0.1", 7001, 9001, true},
                  {NodeId(2), "10.0.0.2", 7002, 9002, true},
                  {NodeId(3), "10.0.0.3", 7003, 9003, false}};
    view.slots = {{0, 8191, NodeId(1), {NodeId(2), NodeId(3)}},
                  {8192, 16383, leaderless ? NodeId() : NodeId(2), {NodeId(1), NodeId(3)}}};
    return view;
  }
  [[nodiscard]] bool leads(GroupId) override { return led; }

  // Does `count` of what waits, from the front or the back.
  void release(size_t count, bool from_back = false) {
    for (; count > 0 && !held_.empty(); --count) {
      Held held = std::move(from_back ? held_.back() : held_.front());
      from_back ? held_.pop_back() : held_.pop_front();
      serve(held);
    }
  }
  [[nodiscard]] size_t held() const { return held_.size(); }

  Status weather;           // what every question gets instead of an answer
  bool led = true;          // by this node
  bool holds = false;       // what comes waits for release()
  bool leaderless = false;  // the second group
  size_t proposals = 0;
  size_t queries = 0;

 private:
  struct Held {
    service::Command command;
    std::string body;
    std::optional<service::Query> query;
    service::Done done;
  };

  void run() {
    if (!holds) {
      release(1, true);
    }
  }
  void serve(Held& held) {
    const GroupId group = held.query ? held.query->group : held.command.group;
    const service::Origin origin{group, index_, {}, NodeId(1)};
    if (!weather.ok()) {
      held.done(weather, {}, origin);
      return;
    }
    if (held.query) {
      std::string answer;
      const Status status =
          machine(group).query(held.query->service, held.body, clock_.wall(), answer);
      held.done(status, answer, origin);
      return;
    }
    service::BatchWriter batch;
    batch.add({.service = held.command.service, .key = held.command.key, .body = held.body});
    ++index_;
    const Status applied = machine(group).apply(batch.take(), {clock_.wall(), index_}, this);
    const Status status = applied.ok() ? status_ : applied;
    const std::string answer = answer_;  // the callback may propose again
    held.done(status, answer, origin);
  }
  service::GroupMachine& machine(GroupId group) { return *machines_[group.value() - 1]; }

  const TestClock& clock_;
  service::Registry registry_;
  std::vector<std::unique_ptr<service::GroupMachine>> machines_;
  std::deque<Held> held_;
  Index index_;
  Status status_;
  std::string answer_;
};

// A face, and peers of it.
struct Rig {
  TestPeer& peer(const std::string& name) {
    std::unique_ptr<TestPeer>& made = peers[name];
    if (made == nullptr) {
      made = std::make_unique<TestPeer>(loop, face.server());
    }
    return *made;
  }
  std::string ask(std::string_view line) { return peer("a").ask(std::string(line) + "\r\n"); }

  boost::asio::io_context loop;
  TestClock clock;
  TwoGroups groups{clock};
  service::kv::Api kv{groups};
  service::lock::Api locks{groups};
  Metrics metrics;
  Face face{{loop, clock, kv, locks, groups, &metrics},
            {.server = {}, .version = "1.2.3", .process = 77, .resident_bytes = [] {
               return uint64_t{3} << 19;
             }}};
  std::map<std::string, std::unique_ptr<TestPeer>> peers;
};

}  // namespace quorate::edge::resp
