// SPDX-License-Identifier: Apache-2.0
// The door: what goes in is what the machine gets, and every failure comes out as one Status.
#include "service/meta/api.h"

#include <gtest/gtest.h>

#include "service/meta/state.h"

namespace quorate::service::meta {
namespace {

// One machine behind a Proposer, which can be told to fail as the weather does.
class OneMachine final : public Proposer {
 public:
  void propose(const service::Command& command, service::Done done) override {
    EXPECT_EQ(command.group, kMetaGroup);
    std::string answer;
    if (weather_.ok()) {
      hosted_->apply(command.body, {Stamp(), Index(++index_)}, &answer);
    }
    done(weather_, answer, {});
  }
  void query(const service::Query& query, service::Done done) override {
    std::string answer;
    hosted_->query(query.body, Stamp(), answer);
    done(weather_, answer, {});
  }
  LocalRead read_here(GroupId, ServiceId, ReadMode) override { return {}; }
  uint32_t groups() const override { return 1; }
  GroupId group_of_slot(uint16_t) const override { return GroupId(1); }

  Status weather_;

 private:
  std::unique_ptr<Hosted> hosted_ = host<State>();
  uint64_t index_ = 0;
};

TEST(meta_api, answers_refusals_and_weather_come_back_as_what_they_are) {
  OneMachine machine;
  Api api(machine);
  Bootstrap bootstrap;
  bootstrap.settings.cluster_id = 4;
  bootstrap.nodes.push_back({NodeId(1), {"a:1", "", ""}, "", kWeightDefault});
  int answers = 0;
  const auto expect = [&](Code code) {
    return [&answers, code](const Answer& answer, const Origin&) {
      EXPECT_EQ(answer.status().code(), code);
      ++answers;
    };
  };
  api.apply(CreateObject{ServiceId::kKv, "x", 1, ""}, expect(Code::kUnavailable));
  api.apply(bootstrap, expect(Code::kOk));
  api.apply(CreateObject{ServiceId::kKv, "x", 1, ""}, expect(Code::kOk));
  api.apply(CreateObject{ServiceId::kKv, "x", 1, ""}, expect(Code::kAlreadyExists));
  api.query(GetObject{ServiceId::kKv, "x"}, {}, [&](const Answer& answer, const Origin&) {
    EXPECT_EQ(std::get<ObjectFound>(*answer).object.id, 1u);
    ++answers;
  });
  machine.weather_ = Status(Code::kUnavailable, "no leader");
  api.apply(DeleteObject{ServiceId::kKv, "x"}, expect(Code::kUnavailable));
  EXPECT_EQ(answers, 6);
}

}  // namespace
}  // namespace quorate::service::meta
