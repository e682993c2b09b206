// SPDX-License-Identifier: Apache-2.0
// The api over one group that answers at once, or not at all.
#include "service/lock/api.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "service/group_machine.h"
#include "service/registry.h"

namespace quorate::service::lock {
namespace {

class OneGroup final : public Proposer, public AnswerSink {
 public:
  OneGroup() {
    Registry registry;
    registry.add(ServiceId::kLock, [] { return host<State>(); });
    machine_ = std::make_unique<GroupMachine>(registry, GroupId(1));
  }

  void propose(const service::Command& command, Done done) override {
    if (!weather.ok()) {
      done(weather, {}, {});
      return;
    }
    if (holds_commands) {
      held.push_back([this, copy = command, body = std::string(command.body),
                      done = std::move(done)]() mutable {
        copy.body = body;
        propose(copy, std::move(done));
      });
      return;
    }
    BatchWriter batch;
    batch.add({.service = command.service,
               .session = command.session,
               .sequence = command.sequence,
               .key = command.key,
               .body = command.body});
    ASSERT_TRUE(machine_->apply(batch.take(), {now, ++index}, this).ok());
    const Origin origin{command.group, index, {}, NodeId(1)};
    if (holds_answers) {
      held.push_back([status = status_, answer = answer_, origin,
                      done = std::move(done)]() mutable { done(status, answer, origin); });
      return;
    }
    done(status_, answer_, origin);
  }
  void query(const service::Query& query, Done done) override {
    ++queries;
    std::string answer;
    ASSERT_TRUE(machine_->query(query.service, query.body, now, answer).ok());
    done(weather, weather.ok() ? answer : "", {query.group, index, {}, NodeId(1)});
  }
  void heartbeat(const service::Query& beat, Done done) override {
    ++heartbeats;
    heartbeat_timeout = beat.timeout;
    if (holds_heartbeats) {
      held.push_back([this, copy = beat, body = std::string(beat.body),
                      done = std::move(done)]() mutable {
        copy.body = body;
        query(copy, std::move(done));
      });
      return;
    }
    query(beat, std::move(done));
  }
  void add_listener(AppliedListener& listener) override { listener_ = &listener; }
  void remove_listener(AppliedListener&) override { listener_ = nullptr; }
  // As at the end of a turn in which something was applied.
  void tell() { listener_->on_applied(GroupId(1)); }
  LocalRead read_here(GroupId group, ServiceId service, ReadMode) override {
    if (!reads_here) {
      return {};
    }
    return {machine_->service(service), now, {group, index - behind, {}, NodeId(1)}};
  }
  [[nodiscard]] uint32_t groups() const override { return 1; }
  [[nodiscard]] GroupId group_of_slot(uint16_t) const override { return GroupId(1); }
  void on_answer(size_t, const Status& status, std::string_view answer) override {
    status_ = status;
    answer_ = answer;
  }
  // As the leader would.
  void run_due() {
    BatchWriter batch;
    machine_->add_due_commands(now, batch);
    if (!batch.empty()) {
      ASSERT_TRUE(machine_->apply(batch.take(), {now, ++index}, nullptr).ok());
    }
  }

  Stamp now = Stamp::from_millis(1'000);
  Index index;
  uint64_t behind = 0;
  bool reads_here = true;
  size_t queries = 0;
  size_t heartbeats = 0;
  Duration heartbeat_timeout;
  bool holds_heartbeats = false;
  bool holds_commands = false;
  bool holds_answers = false;
  std::vector<UniqueFunction<void()>> held;
  Status weather;

 private:
  AppliedListener* listener_ = nullptr;
  std::unique_ptr<GroupMachine> machine_;
  Status status_;
  std::string answer_;
};

class LockApiTest : public ::testing::Test {
 protected:
  static OwnerRef who(std::string_view owner) { return {DomainId(), owner}; }
  uint64_t wait(std::string_view owner, std::string& said) {
    const Acquire acquire{who(owner), {{.name = "x"}}, Duration::seconds(10),
                          Duration::seconds(5)};
    return api.wait(who(owner), acquire, {},
                    [&said](const Status& status, const Acquired& acquired, const Origin&) {
                      said = status.ok() ? "token " + std::to_string(acquired.token.value())
                                         : status.to_string();
                    });
  }
  void write(const Command& command) {
    api.write(DomainId(), command, {}, [](const Answer& answer, const Origin&) {
      EXPECT_FALSE(std::holds_alternative<Status>(answer)) << std::get<Status>(answer).to_string();
    });
  }
  void release(std::string_view owner) { write(Release{.who = who(owner), .name = "x"}); }

  OneGroup group;
  Api api{group};
  std::string a;
  std::string b;
};

TEST_F(LockApiTest, a_wait_ends_with_the_grant_and_not_before) {
  (void)wait("a", a);
  EXPECT_EQ(a, "token 1");
  (void)wait("b", b);
  api.poll();
  api.poll();
  EXPECT_EQ(b, "");
  EXPECT_EQ(api.waiting(), 1u);
  release("a");
  EXPECT_EQ(b, "");
  api.poll();
  EXPECT_EQ(b, "token 2");
  EXPECT_EQ(api.waiting(), 0u);
}

TEST_F(LockApiTest, whoever_polls_is_woken_by_the_first_wait_only) {
  size_t woken = 0;
  api.on_first_wait([&woken] { ++woken; });
  (void)wait("a", a);
  EXPECT_EQ(woken, 1u);
  (void)wait("b", b);
  EXPECT_EQ(woken, 2u);  // that of a is over
  std::string c;
  (void)wait("c", c);
  EXPECT_EQ(woken, 2u);
}

TEST_F(LockApiTest, a_caller_is_asked_before_anything_is_proposed) {
  const Caller nobody("nobody", {});
  Status said;
  const Acquire acquire{who("a"), {{.name = "x"}}, Duration::seconds(10), Duration::seconds(5)};
  (void)api.wait(who("a"), acquire, {.caller = &nobody},
                 [&](const Status& status, const Acquired&, const Origin&) { said = status; });
  EXPECT_EQ(said.code(), Code::kPermissionDenied);
  EXPECT_EQ(api.waiting(), 0u);
  api.read(DomainId(), Info{.name = "x"}, {.caller = &nobody},
           [&](const Answer& answer, const Origin&) { said = std::get<Status>(answer); });
  EXPECT_EQ(said.code(), Code::kPermissionDenied);
  said = {};
  api.heartbeat(who("a"), &nobody,
                [&](const Answer& answer, const Origin&) { said = std::get<Status>(answer); });
  EXPECT_EQ(said.code(), Code::kPermissionDenied);
  EXPECT_EQ(group.index, Index());
  EXPECT_EQ(group.queries, 0u);
}

TEST_F(LockApiTest, a_grant_is_heard_when_the_replica_has_applied_it_without_a_poll) {
  (void)wait("a", a);
  (void)wait("b", b);
  std::string c;
  (void)wait("c", c);
  group.tell();
  release("a");
  EXPECT_EQ(b, "");
  group.tell();
  EXPECT_EQ(b, "token 2");
  EXPECT_EQ(c, "");
  release("b");
  group.tell();
  EXPECT_EQ(c, "token 3");
  EXPECT_EQ(group.queries, 0u);
}

TEST_F(LockApiTest, when_more_waits_ended_than_a_replica_remembers_all_are_looked_at) {
  (void)wait("a", a);
  (void)wait("b", b);
  group.tell();
  release("a");
  for (int round = 0; round < 1'100; ++round) {
    write(Acquire{who("p"), {{.name = "y"}}, {}, Duration::seconds(5)});
    write(Acquire{who("q"), {{.name = "y"}}, Duration::seconds(5), Duration::seconds(5)});
    write(Release{.who = who("p"), .name = "y"});
    write(Release{.who = who("q"), .name = "y"});
  }
  group.tell();
  EXPECT_EQ(b, "token 2");
}

TEST_F(LockApiTest, the_victim_of_a_deadlock_through_other_groups_is_told_the_cycle) {
  (void)wait("a", a);
  (void)wait("b", b);
  write(Resolve{who("b"), Ticket(3), "b waits for x of a, a waits for y of b"});
  group.tell();
  EXPECT_EQ(b, "deadlock: b waits for x of a, a waits for y of b");
}

TEST_F(LockApiTest, heartbeats_that_come_while_one_is_under_way_go_together) {
  (void)wait("a", a);
  group.holds_heartbeats = true;
  std::string said;
  const auto beat = [&](std::string_view owner) {
    api.heartbeat(who(owner), nullptr, [&said, owner](const Answer& answer, const Origin&) {
      const Status* const refusal = std::get_if<Status>(&answer);
      said += std::string(owner) + " " +
              std::string(refusal == nullptr ? "lives" : row_of(refusal->code()).name) + ", ";
    });
  };
  beat("a");
  beat("b");
  beat("a");
  EXPECT_EQ(group.heartbeats, 1u);
  EXPECT_LT(group.heartbeat_timeout, Duration::millis(500)) << "a lease may last a second";
  group.held[0]();
  EXPECT_EQ(said, "a lives, ");
  EXPECT_EQ(group.heartbeats, 2u);
  group.weather = Status(Code::kUnavailable, "no leader");
  beat("c");
  group.held[1]();
  EXPECT_EQ(said, "a lives, b unavailable, a unavailable, ");
  group.weather = {};
  group.held[2]();
  EXPECT_EQ(said, "a lives, b unavailable, a unavailable, c lease_lost, ");
}

TEST_F(LockApiTest, a_renewal_is_a_heartbeat_and_no_entry) {
  (void)wait("a", a);
  const Index before = group.index;
  Answer said;
  const auto keep = [&](const Answer& answer, const Origin&) { said = answer; };
  api.write(DomainId(), Renew{who("a")}, {}, keep);
  const Stamp end = group.now + Duration::millis(6'250);
  EXPECT_EQ(said, Answer(Owned{OwnerNumber(1), false, end}));
  EXPECT_EQ(group.index, before);
  EXPECT_EQ(group.heartbeats, 1u);
  group.now = group.now + Duration::seconds(3);
  api.write(DomainId(), Renew{who("a")}, {}, keep);
  EXPECT_EQ(std::get<Owned>(said).lease_end, group.now + Duration::seconds(5));
}

TEST_F(LockApiTest, a_replica_that_is_behind_does_not_call_a_wait_lost) {
  (void)wait("a", a);
  (void)wait("b", b);
  release("a");
  group.behind = 2;
  api.poll();
  EXPECT_EQ(b, "");
  group.behind = 1;
  api.poll();
  EXPECT_EQ(b, "token 2");
}

TEST_F(LockApiTest, without_a_replica_the_leader_is_asked_now_and_then) {
  group.reads_here = false;
  (void)wait("a", a);
  (void)wait("b", b);
  for (int poll = 0; poll < 8; ++poll) {
    api.poll();
  }
  EXPECT_EQ(group.queries, 2u);
  release("a");
  group.weather = Status(Code::kUnavailable, "no leader");
  for (int poll = 0; poll < 4; ++poll) {
    api.poll();
  }
  EXPECT_EQ(b, "");
  group.weather = {};
  for (int poll = 0; poll < 4; ++poll) {
    api.poll();
  }
  EXPECT_EQ(b, "token 2");
}

TEST_F(LockApiTest, each_way_a_wait_ends_has_its_own_failure) {
  (void)wait("a", a);
  (void)wait("b", b);
  write(Cancel{who("b"), {}});
  api.poll();
  EXPECT_EQ(b, "lease_lost: there is no such owner, or no more");
  write(Open{who("b"), Duration::seconds(60)});
  (void)wait("b", b);
  write(Cancel{who("b"), {}});
  api.poll();
  EXPECT_EQ(b, "precondition_failed: the wait was cancelled");
  write(Open{who("a"), Duration::seconds(60)});
  (void)wait("b", b);
  group.now = group.now + Duration::seconds(10);
  group.run_due();
  api.poll();
  EXPECT_EQ(b, "timeout: it did not become free in time");
  (void)wait("a", a);
  EXPECT_EQ(a, "token 1");
}

TEST_F(LockApiTest, refusals_and_weather_end_a_wait_at_once) {
  group.weather = Status(Code::kUnavailable, "no leader");
  (void)wait("a", a);
  EXPECT_EQ(a, "unavailable: no leader");
  group.weather = {};
  (void)wait("", b);
  EXPECT_EQ(b, "invalid_argument: the name of an owner is not empty");
  EXPECT_EQ(api.waiting(), 0u);
}

TEST_F(LockApiTest, who_gives_up_is_not_called_and_leaves_the_queue) {
  (void)wait("a", a);
  const uint64_t id = wait("b", b);
  api.give_up(id);
  api.give_up(id);
  release("a");
  api.poll();
  EXPECT_EQ(b, "");
  api.read(DomainId(), Stats{}, {}, [](const Answer& answer, const Origin&) {
    EXPECT_EQ(std::get<Usage>(answer).holds, 0u);
    EXPECT_EQ(std::get<Usage>(answer).waits, 0u);
  });
}

// Gives up while the acquire is under way, and then lets it arrive.
TEST_F(LockApiTest, what_comes_for_somebody_who_gave_up_is_given_back) {
  const auto usage = [this] {
    Usage found;
    api.read(DomainId(), Stats{}, {},
             [&found](const Answer& answer, const Origin&) { found = std::get<Usage>(answer); });
    return found;
  };
  const auto arrive = [this](uint64_t id) {
    api.give_up(id);
    group.holds_commands = false;
    for (auto& command : std::exchange(group.held, {})) {
      command();
    }
  };
  group.holds_commands = true;
  arrive(wait("a", a));
  EXPECT_EQ(usage().holds, 0u) << "a grant";
  (void)wait("a", a);
  group.holds_commands = true;
  arrive(wait("b", b));
  EXPECT_EQ(usage().waits, 0u) << "a place in the queue";
  EXPECT_EQ(usage().holds, 1u);
  group.holds_commands = true;
  const Acquire repeatable{who("c"), {{.name = "y"}}, Duration(), Duration::seconds(5)};
  arrive(api.wait(who("c"), repeatable, {.key = CommandKey::of("c")},
                  [](const Status&, const Acquired&, const Origin&) { FAIL(); }));
  EXPECT_EQ(usage().holds, 2u) << "whoever repeats it is told of its grant";
  EXPECT_EQ(b, "");
  EXPECT_EQ(api.waiting(), 0u);
}

// A test in which whoever asks for several locks at once is gone before it hears of them.
class LockApiLeaveTest : public LockApiTest {
 protected:
  uint64_t wait_for(std::string_view owner, std::vector<Acquire::Item> items) {
    const Acquire acquire{who(owner), std::move(items), Duration::seconds(10),
                          Duration::seconds(5)};
    return api.wait(who(owner), acquire, {},
                    [](const Status&, const Acquired&, const Origin&) { FAIL(); });
  }
  void arrive() {
    group.holds_commands = false;
    group.holds_answers = false;
    for (auto& each : std::exchange(group.held, {})) {
      each();
    }
  }
  // "x 1, y 2": what the owner holds, and how often.
  std::string held_by(std::string_view owner) {
    std::string text;
    api.read(DomainId(), OwnerOf{who(owner), {}}, {}, [&](const Answer& answer, const Origin&) {
      if (const OwnerDetails* const found = std::get_if<OwnerDetails>(&answer)) {
        for (const Held& held : found->held) {
          text += (text.empty() ? "" : ", ") + std::string(held.name) + " " +
                  std::to_string(held.count);
        }
      }
    });
    return text;
  }
};

TEST_F(LockApiLeaveTest, a_level_of_what_was_held_before_is_given_back_too) {
  (void)wait("a", a);
  write(Acquire{who("a"), {{.name = "y"}}, {}, Duration::seconds(5)});
  group.holds_commands = true;
  api.give_up(wait_for("a", {{.name = "x"}, {.name = "y"}, {.name = "z"}}));
  arrive();
  EXPECT_EQ(held_by("a"), "x 1, y 1");
}

TEST_F(LockApiLeaveTest, among_very_many_locks_those_of_the_grant_are_found) {
  for (size_t number = 0; number < 3 * limits::kLockShownMax; ++number) {
    const std::string name = "k" + std::to_string(10'000 + number);
    write(Acquire{who("a"), {{.name = name}}, {}, Duration::seconds(5)});
  }
  (void)wait("a", a);
  write(Acquire{who("a"), {{.name = "a"}}, {}, Duration::seconds(5)});
  group.holds_commands = true;
  api.give_up(wait_for("a", {{.name = "x"}, {.name = "a"}, {.name = "y"}}));
  arrive();
  write(Release{.who = who("a"), .name = "x"});
  write(Release{.who = who("a"), .name = "a"});
  Usage usage;
  api.read(DomainId(), Stats{}, {},
           [&](const Answer& answer, const Origin&) { usage = std::get<Usage>(answer); });
  EXPECT_EQ(usage.holds, 3 * limits::kLockShownMax);
}

TEST_F(LockApiLeaveTest, permits_are_given_back_and_those_of_before_stay) {
  const Acquire::Item two{"s", Mode::kPermits, 2, 5};
  write(Acquire{who("a"), {two}, {}, Duration::seconds(5)});
  group.holds_commands = true;
  api.give_up(wait_for("a", {two, {.name = "x"}}));
  arrive();
  EXPECT_EQ(held_by("a"), "s 2");
}

TEST_F(LockApiLeaveTest, a_wait_that_is_granted_before_its_cancel_comes_is_given_back) {
  (void)wait("a", a);
  write(Acquire{who("b"), {{.name = "y"}}, {}, Duration::seconds(5)});
  const uint64_t id = wait_for("b", {{.name = "x"}, {.name = "y"}});
  group.holds_commands = true;
  api.give_up(id);
  group.holds_commands = false;
  release("a");
  EXPECT_EQ(held_by("b"), "x 1, y 2");
  arrive();
  EXPECT_EQ(held_by("b"), "y 1");
}

TEST_F(LockApiLeaveTest, what_the_owner_has_taken_since_is_let_be) {
  group.holds_answers = true;
  const uint64_t id = wait_for("a", {{.name = "x"}, {.name = "y"}});
  api.give_up(id);
  auto late = std::exchange(group.held, {});
  group.holds_answers = false;
  release("a");
  (void)wait("a", a);
  EXPECT_EQ(a, "token 2");
  late.front()();
  EXPECT_EQ(held_by("a"), "x 1");
}

}  // namespace
}  // namespace quorate::service::lock
