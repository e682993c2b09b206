// SPDX-License-Identifier: Apache-2.0
// For tests: the rows of keys and values against real machines, without sockets and without
// consensus: two groups that apply what is proposed at once.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "edge/http/bind_keyspaces.h"
#include "edge/http/bind_kv.h"
#include "edge/http/testing.h"
#include "env/timer.h"
#include "service/group_machine.h"
#include "service/meta/state.h"

namespace quorate::edge::http {

namespace kv = service::kv;

class TwoGroups final : public service::Proposer, public service::AnswerSink {
 public:
  TwoGroups() {
    registry_.add(service::ServiceId::kKv, [] { return service::host<kv::State>(); });
    registry_.add(service::ServiceId::kMeta, [] { return service::host<service::meta::State>(); });
    for (uint32_t id = 0; id <= 2; ++id) {
      machines_.push_back(std::make_unique<service::GroupMachine>(registry_, GroupId(id)));
    }
    found();
  }

  void propose(const service::Command& command, service::Done done) override {
    if (!weather.ok()) {
      done(weather, {}, {});
      return;
    }
    service::BatchWriter batch;
    batch.add({.service = command.service, .key = command.key, .body = command.body});
    ++index_;
    ASSERT_TRUE(machine(command.group).apply(batch.take(), {now, index_}, this).ok());
    done(status_, answer_, {command.group, index_, {}, NodeId(7)});
  }
  void query(const service::Query& query, service::Done done) override {
    std::string answer;
    const Status status = machine(query.group).query(query.service, query.body, now, answer);
    last_mode = query.mode;
    done(status, answer, {query.group, index_, Duration::millis(3), NodeId(7)});
  }
  // What the leaders would propose while work is left.
  void tend() {
    for (uint32_t id = 1; id <= 2; ++id) {
      std::string body;
      kv::encode(kv::Command(kv::Tend{1'000}), body);
      service::Command command;
      command.group = GroupId(id);
      command.service = service::ServiceId::kKv;
      command.body = body;
      propose(command, [](const Status&, std::string_view, const service::Origin&) {});
    }
  }
  service::LocalRead read_here(GroupId, service::ServiceId, service::ReadMode) override {
    return {};
  }
  [[nodiscard]] uint32_t groups() const override { return 2; }
  [[nodiscard]] GroupId group_of_slot(uint16_t slot) const override {
    return GroupId(slot < kSlots / 2 ? 1 : 2);
  }
  void on_answer(size_t, const Status& status, std::string_view answer) override {
    status_ = status;
    answer_ = answer;
  }

  Stamp now = Stamp::from_millis(1'000'000);
  Status weather;
  service::ReadMode last_mode;

 private:
  void found() {
    service::meta::Bootstrap first;
    first.settings.cluster_id = 1;
    first.settings.replication = 1;
    first.groups = 2;
    first.nodes = {{.id = NodeId(1), .addresses = {"a:1", "a:2", ""}, .label = "", .weight = 100}};
    const std::string body = service::meta::encode_command(first);
    service::Command command;
    command.service = service::ServiceId::kMeta;
    command.body = body;
    propose(command, [](const Status& status, std::string_view, const service::Origin&) {
      ASSERT_TRUE(status.ok()) << status.to_string();
    });
  }
  service::GroupMachine& machine(GroupId group) { return *machines_[group.value()]; }

  service::Registry registry_;
  std::vector<std::unique_ptr<service::GroupMachine>> machines_;
  Index index_;
  Status status_;
  std::string answer_;
};

class StampClock final : public env::Clock {
 public:
  explicit StampClock(const TwoGroups& groups) : groups_(groups) {}
  [[nodiscard]] Instant now() const override { return monotonic; }
  [[nodiscard]] Stamp wall() const override { return groups_.now; }

  Instant monotonic;

 private:
  const TwoGroups& groups_;
};

// Timers that go off when the test says so.
class HandTimer final : public env::Timer {
 public:
  env::TimerId start(Instant, Callback callback) override {
    started_.push_back(std::move(callback));
    return env::TimerId::kNone;
  }
  void cancel(env::TimerId) override {}
  void defer(Callback callback) override { started_.push_back(std::move(callback)); }
  void post(Callback callback) override { started_.push_back(std::move(callback)); }

  void fire(int times = 1) {
    for (int time = 0; time < times; ++time) {
      for (Callback& callback : std::exchange(started_, {})) {
        callback();
      }
    }
  }
  [[nodiscard]] bool idle() const { return started_.empty(); }

 private:
  std::vector<Callback> started_;
};

class KvOverHttp : public testing::Test {
 protected:
  KvOverHttp() {
    bind_kv({api_, keyspaces_, clock_, timer_}, router_);
    bind_keyspaces(keyspaces_, api_, router_);
  }

  Response say(Method method, std::string target, std::string body = {}, TestHeaders headers = {}) {
    return ask(router_, method, std::move(target), std::move(body), std::move(headers));
  }
  static std::string header(const Response& response, std::string_view name) {
    for (const auto& [header_name, value] : response.headers) {
      if (header_name == name) {
        return value;
      }
    }
    return "none";
  }

  TwoGroups groups_;
  StampClock clock_{groups_};
  HandTimer timer_;
  kv::Api api_{groups_};
  kv::Keyspaces keyspaces_{api_, groups_};
  Router router_;
};

}  // namespace quorate::edge::http
