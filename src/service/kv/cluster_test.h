// SPDX-License-Identifier: Apache-2.0
// For tests: a cluster of four groups that live in one process and answer at once, or not at all.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "service/group_machine.h"
#include "service/kv/state.h"
#include "service/meta/state.h"
#include "service/proposer.h"
#include "service/registry.h"

namespace quorate::service::kv {

inline constexpr uint32_t kGroups = 4;

class Cluster final : public Proposer, public AnswerSink {
 public:
  explicit Cluster(const State::Options& options = {}) {
    Registry registry;
    registry.add(ServiceId::kKv, [options] { return host<State>(options); });
    registry.add(ServiceId::kMeta, [] { return host<meta::State>(); });
    for (uint32_t number = 0; number <= kGroups; ++number) {
      machines_.push_back(std::make_unique<GroupMachine>(registry, GroupId(number)));
    }
    found();
    proposals = 0;
  }

  void propose(const service::Command& command, Done done) override {
    ++proposals;
    const Status today = weather_of(command.group);
    if (!today.ok()) {
      done(today, {}, {});
      return;
    }
    BatchWriter batch;
    batch.add({.service = command.service,
               .session = command.session,
               .sequence = command.sequence,
               .key = command.key,
               .body = command.body});
    const std::string payload = batch.take();
    ASSERT_TRUE(machine(command.group).apply(payload, {now, ++index}, this).ok());
    done(status_, answer_, {command.group, index, {}, NodeId(1)});
  }
  void query(const service::Query& query, Done done) override {
    const Status today = weather_of(query.group);
    std::string answer;
    if (today.ok()) {
      ASSERT_TRUE(machine(query.group).query(query.service, query.body, now, answer).ok());
    }
    done(today, answer, {query.group, index, staleness, NodeId(1)});
  }
  LocalRead read_here(GroupId group, ServiceId service, ReadMode) override {
    if (!reads_here || !weather_of(group).ok()) {
      return {};
    }
    return {machine(group).service(service), now, {group, index, {}, NodeId(1)}};
  }
  [[nodiscard]] uint32_t groups() const override { return kGroups; }
  [[nodiscard]] GroupId group_of_slot(uint16_t slot) const override {
    return GroupId(slot * kGroups / kSlots + 1);
  }
  void on_answer(size_t, const Status& status, std::string_view answer) override {
    status_ = status;
    answer_ = answer;
  }

  Stamp now = Stamp::from_millis(1'000);
  Index index;
  Duration staleness;
  bool reads_here = true;
  size_t proposals = 0;
  std::map<GroupId, Status> weather;

 private:
  void found() {
    meta::Bootstrap first;
    first.settings.cluster_id = 1;
    first.settings.replication = 1;
    first.groups = kGroups;
    first.nodes = {{.id = NodeId(1), .addresses = {"a:1", "a:2", ""}, .label = "", .weight = 100}};
    const std::string body = meta::encode_command(first);
    service::Command command;
    command.service = ServiceId::kMeta;
    command.body = body;
    propose(command, [](const Status& status, std::string_view, const Origin&) {
      ASSERT_TRUE(status.ok()) << status.to_string();
    });
  }
  Status weather_of(GroupId group) const {
    const auto found = weather.find(group);
    return found == weather.end() ? Status() : found->second;
  }
  GroupMachine& machine(GroupId group) { return *machines_[group.value()]; }

  std::vector<std::unique_ptr<GroupMachine>> machines_;
  Status status_;
  std::string answer_;
};

}  // namespace quorate::service::kv
