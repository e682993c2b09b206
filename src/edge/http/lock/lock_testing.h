// SPDX-License-Identifier: Apache-2.0
// For tests: the rows of locks against a real machine, without sockets and without consensus: one
// group that applies what is proposed at once.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "edge/http/lock/bind_lock.h"
#include "edge/http/testing.h"
#include "env/timer.h"
#include "service/group_machine.h"
#include "service/lock/state.h"
#include "service/registry.h"

namespace quorate::edge::http {

class LockGroup final : public service::Proposer, public service::AnswerSink {
 public:
  LockGroup() {
    service::Registry registry;
    registry.add(service::ServiceId::kLock, [] { return service::host<service::lock::State>(); });
    machine_ = std::make_unique<service::GroupMachine>(registry, GroupId(1));
  }

  void propose(const service::Command& command, service::Done done) override {
    if (!weather.ok()) {
      done(weather, {}, {});
      return;
    }
    service::BatchWriter batch;
    batch.add({.service = command.service, .key = command.key, .body = command.body});
    apply(batch);
    done(status_, answer_, {command.group, index_, {}, NodeId(7)});
  }
  void query(const service::Query& query, service::Done done) override {
    std::string answer;
    const Status status = machine_->query(query.service, query.body, now, answer);
    done(weather.ok() ? status : weather, answer, {query.group, index_, {}, NodeId(7)});
  }
  // As a leader that has led for ever.
  void heartbeat(const service::Query& beat, service::Done done) override {
    std::vector<std::string> subjects;
    machine_->subjects(beat.service, beat.body, subjects);
    for (const std::string& subject : subjects) {
      heard_.at[subject] = now;
    }
    query(beat, std::move(done));
  }
  service::LocalRead read_here(GroupId group, service::ServiceId service,
                               service::ReadMode) override {
    return {machine_->service(service), now, {group, index_, {}, NodeId(7)}};
  }
  [[nodiscard]] uint32_t groups() const override { return 1; }
  [[nodiscard]] GroupId group_of_slot(uint16_t) const override { return GroupId(1); }
  void on_answer(size_t, const Status& status, std::string_view answer) override {
    status_ = status;
    answer_ = answer;
  }
  // Time goes on, and the leader ends what is over.
  void pass(Duration time) {
    now = now + time;
    service::BatchWriter batch;
    heard_.now = now;
    static_cast<void>(machine_->add_due_commands(now, heard_, batch));
    if (!batch.empty()) {
      apply(batch);
    }
  }

  Stamp now = Stamp::from_millis(1'000'000);
  Status weather;

 private:
  struct Heard final : service::Heard {
    [[nodiscard]] Duration silence_of(service::ServiceId, std::string_view subject) const override {
      const auto found = at.find(std::string(subject));
      return found == at.end() ? Duration::seconds(1'000'000) : now - found->second;
    }
    std::map<std::string, Stamp> at;
    Stamp now;
  };

  Heard heard_;
  void apply(service::BatchWriter& batch) {
    ++index_;
    ASSERT_TRUE(machine_->apply(batch.take(), {now, index_}, this).ok());
  }

  std::unique_ptr<service::GroupMachine> machine_;
  Index index_;
  Status status_;
  std::string answer_;
};

class LockClock final : public env::Clock {
 public:
  explicit LockClock(const LockGroup& group) : group_(group) {}
  [[nodiscard]] Instant now() const override { return monotonic; }
  [[nodiscard]] Stamp wall() const override { return group_.now; }

  Instant monotonic;

 private:
  const LockGroup& group_;
};

// Timers that go off when the test says so.
class LockTimer final : public env::Timer {
 public:
  env::TimerId start(Instant, Callback callback) override {
    started_.push_back(std::move(callback));
    return env::TimerId::kNone;
  }
  void cancel(env::TimerId) override {}
  void defer(Callback callback) override { started_.push_back(std::move(callback)); }
  void post(Callback callback) override { started_.push_back(std::move(callback)); }
  void fire() {
    for (Callback& callback : std::exchange(started_, {})) {
      callback();
    }
  }
  [[nodiscard]] bool idle() const { return started_.empty(); }

 private:
  std::vector<Callback> started_;
};

class LocksOverHttp : public testing::Test {
 protected:
  LocksOverHttp() { bind_lock({api_, clock_, timer_}, router_); }

  Response say(Method method, std::string target, std::string body = {}, TestHeaders headers = {}) {
    return ask(router_, method, std::move(target), std::move(body), std::move(headers));
  }
  Response post(std::string target, std::string body = {}) {
    return say(Method::kPost, std::move(target), std::move(body));
  }
  [[nodiscard]] std::shared_ptr<CaughtExchange> begin_post(std::string target, std::string body) {
    return begin(router_, Method::kPost, std::move(target), std::move(body));
  }

  LockGroup group_;
  LockClock clock_{group_};
  LockTimer timer_;
  service::lock::Api api_{group_};
  Router router_;
};

}  // namespace quorate::edge::http
