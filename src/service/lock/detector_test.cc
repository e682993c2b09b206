// SPDX-License-Identifier: Apache-2.0
// Deadlocks through several groups, over groups that answer at once or when the test says so; and
// the knots by themselves.
#include "service/lock/detector.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/hash.h"
#include "service/group_machine.h"
#include "service/lock/knot.h"
#include "service/registry.h"

namespace quorate::service::lock {
namespace {

// Groups 1 to 3; domain d lives in group d, and domain 4 beside domain 1.
class Groups final : public Proposer, public AnswerSink {
 public:
  Groups() {
    Registry registry;
    registry.add(ServiceId::kLock, [] { return host<State>(); });
    for (uint32_t group = 1; group <= groups(); ++group) {
      machines_.push_back(std::make_unique<GroupMachine>(registry, GroupId(group)));
    }
  }
  void propose(const service::Command& command, Done done) override {
    BatchWriter batch;
    batch.add({.service = command.service, .body = command.body});
    ASSERT_TRUE(machine(command.group).apply(batch.take(), {now, ++index_}, this).ok());
    done(status_, answer_, {command.group, index_, {}, NodeId(1)});
  }
  void query(const service::Query& query, Done done) override {
    ++queries;
    if (holds_queries) {
      held.push_back(
          [this, copy = query, body = std::string(query.body), done = std::move(done)]() mutable {
            copy.body = body;
            answer(copy, std::move(done));
          });
      return;
    }
    answer(query, std::move(done));
  }
  LocalRead read_here(GroupId group, ServiceId service, ReadMode) override {
    const Hosted* const here =
        led_elsewhere.contains(group) ? nullptr : machine(group).service(service);
    return {here, now, {group, index_, {}, NodeId(1)}};
  }
  [[nodiscard]] uint32_t groups() const override { return 3; }
  [[nodiscard]] GroupId group_of_slot(uint16_t) const override { return GroupId(1); }
  void on_answer(size_t, const Status& status, std::string_view answer) override {
    status_ = status;
    answer_ = answer;
  }
  [[nodiscard]] static GroupId group_of(DomainId domain) {
    return GroupId(domain.value() == 4 ? 1 : domain.value());
  }
  Answer apply(DomainId domain, const Command& command) {
    std::string body;
    encode(command, body);
    Answer said;
    propose({.group = group_of(domain), .service = ServiceId::kLock, .session = {}, .body = body},
            [&](const Status&, std::string_view bytes, const Origin&) {
              said = decode_answer(bytes);
              if (const Status* const refusal = std::get_if<Status>(&said)) {
                said = Status(refusal->code(), refusal->message());
              }
            });
    now = now + Duration::millis(1);
    return said;
  }

  Stamp now = Stamp::from_millis(1'000);
  size_t queries = 0;
  std::set<GroupId> led_elsewhere;
  bool holds_queries = false;
  Status weather;
  std::vector<UniqueFunction<void()>> held;

 private:
  GroupMachine& machine(GroupId group) { return *machines_[group.value() - 1]; }
  void answer(const service::Query& query, Done done) {
    std::string answer;
    ASSERT_TRUE(machine(query.group).query(query.service, query.body, now, answer).ok());
    done(weather, weather.ok() ? answer : "", {query.group, index_, {}, NodeId(1)});
  }

  std::vector<std::unique_ptr<GroupMachine>> machines_;
  Index index_;
  Status status_;
  std::string answer_;
};

class DetectorTest : public ::testing::Test {
 protected:
  static OwnerRef who(uint32_t domain, std::string_view owner) { return {DomainId(domain), owner}; }
  Answer acquire(uint32_t domain, std::string_view owner, Acquire::Item item) {
    const Duration lease = Duration::seconds(60);
    return groups.apply(DomainId(domain), Acquire{who(domain, owner), {item}, lease, lease});
  }
  Answer acquire(uint32_t domain, std::string_view owner, std::string_view name) {
    return acquire(domain, owner, {.name = name});
  }
  // a holds x of domain 1, b holds y of domain 2, and each wants the other's; b asks last.
  void tie() {
    (void)acquire(1, "a", "x");
    (void)acquire(2, "b", "y");
    (void)acquire(2, "a", "y");
    (void)acquire(1, "b", "x");
  }
  [[nodiscard]] std::string wait_of(uint32_t domain, std::string_view owner) {
    std::string body;
    encode(Query(WaitOf{who(domain, owner)}), body);
    std::string said;
    const service::Query query{.group = Groups::group_of(DomainId(domain)),
                               .service = ServiceId::kLock,
                               .mode = {},
                               .body = body};
    groups.query(query, [&](const Status&, std::string_view bytes, const Origin&) {
      const Answer answer = decode_answer(bytes);
      const WaitStatus* const status = std::get_if<WaitStatus>(&answer);
      said = status == nullptr ? "lost" : std::string(name_of(status->state));
      said += status == nullptr || status->cycle.empty() ? "" : ": " + std::string(status->cycle);
    });
    return said;
  }
  void pass(Duration time) {
    now = now + time;
    detector.poll(now);
  }
  void answer_all() {
    while (!groups.held.empty()) {
      UniqueFunction<void()> next = std::move(groups.held.front());
      groups.held.erase(groups.held.begin());
      next();
    }
  }

  Groups groups;
  Detector detector{groups};
  Instant now = Instant::from_nanos(1'000'000'000);
};

TEST_F(DetectorTest, a_cycle_through_two_groups_ends_with_its_youngest_wait) {
  tie();
  pass({});
  pass(Duration::millis(19));
  EXPECT_EQ(detector.counts().searches, 0u);
  pass(Duration::millis(1));
  EXPECT_EQ(wait_of(2, "a"), "waiting");
  EXPECT_EQ(wait_of(1, "b"),
            "deadlock: b waits for x (domain 1) of a, a waits for y (domain 2) of b");
  EXPECT_EQ(detector.counts().found, 1u);
  EXPECT_EQ(detector.counts().resolved, 1u);
  (void)groups.apply(DomainId(2), Close{who(2, "b")});
  EXPECT_EQ(wait_of(2, "a"), "granted");
}

TEST_F(DetectorTest, so_does_one_through_two_domains_of_one_group) {
  (void)acquire(1, "a", "x");
  (void)acquire(4, "b", "y");
  (void)acquire(4, "a", "y");
  (void)acquire(1, "b", "x");
  pass({});
  pass(Duration::millis(20));
  EXPECT_EQ(wait_of(1, "b").substr(0, 8), "deadlock");
}

TEST_F(DetectorTest, and_one_through_three_groups_with_others_in_between) {
  (void)acquire(1, "a", "x");
  (void)acquire(2, "b", "y");
  (void)acquire(3, "c", "z");
  (void)acquire(1, "p", "x");
  (void)acquire(1, "c", "x");
  (void)acquire(2, "a", "y");
  (void)acquire(3, "b", "z");
  pass({});
  pass(Duration::millis(20));
  EXPECT_EQ(wait_of(3, "b").substr(0, 8), "deadlock");
  EXPECT_EQ(wait_of(1, "p"), "waiting");
  EXPECT_EQ(detector.counts().found, 1u);
}

// x is shared by a and b, whose waits are others' to look after.
TEST_F(DetectorTest, all_cycles_that_one_wait_closes_end_at_once) {
  groups.led_elsewhere = {GroupId(2), GroupId(3)};
  (void)acquire(1, "a", {.name = "x", .mode = Mode::kShared});
  (void)acquire(1, "b", {.name = "x", .mode = Mode::kShared});
  (void)acquire(2, "c", "y");
  (void)acquire(3, "c", "z");
  (void)acquire(1, "c", "x");
  (void)acquire(2, "a", "y");
  (void)acquire(3, "b", "z");
  pass({});
  pass(Duration::millis(20));
  EXPECT_EQ(wait_of(2, "a").substr(0, 8), "deadlock");
  EXPECT_EQ(wait_of(3, "b").substr(0, 8), "deadlock");
  EXPECT_EQ(detector.counts().found, 2u);
}

// b waits for x behind the upgrade of a, and besides for c, who shares it.
TEST_F(DetectorTest, a_cycle_that_stood_behind_the_victim_ends_next) {
  groups.led_elsewhere = {GroupId(1), GroupId(3)};
  (void)acquire(1, "a", {.name = "x", .mode = Mode::kShared});
  (void)acquire(1, "c", {.name = "x", .mode = Mode::kShared});
  (void)acquire(2, "b", "y");
  (void)acquire(1, "b", "x");
  (void)acquire(2, "c", "y");
  (void)groups.apply(DomainId(1), Upgrade{who(1, "a"), "x", Duration::seconds(60)});
  pass({});
  pass(Duration::millis(20));
  EXPECT_EQ(wait_of(1, "a").substr(0, 8), "deadlock");
  EXPECT_EQ(wait_of(2, "c"), "waiting");
  pass(Duration::millis(5));
  EXPECT_EQ(wait_of(2, "c").substr(0, 8), "deadlock");
}

TEST_F(DetectorTest, who_waits_for_somebody_that_can_go_on_is_let_be) {
  (void)acquire(1, "a", "x");
  (void)acquire(2, "b", "y");
  (void)acquire(1, "b", "x");
  (void)acquire(2, "c", "y");
  for (int round = 0; round < 100; ++round) {
    pass(Duration::millis(10));
  }
  EXPECT_GT(detector.counts().searches, 1u);
  EXPECT_EQ(detector.counts().found, 0u);
  EXPECT_EQ(wait_of(1, "b"), "waiting");
  EXPECT_EQ(wait_of(2, "c"), "waiting");
}

TEST_F(DetectorTest, permits_count) {
  const auto permits = [](uint64_t count) {
    return Acquire::Item{.name = "s", .mode = Mode::kPermits, .permits = count, .limit = 3};
  };
  (void)acquire(1, "a", permits(1));
  (void)acquire(1, "b", permits(1));
  (void)acquire(1, "free", permits(1));
  (void)acquire(2, "c", "y");
  (void)acquire(2, "a", "y");
  (void)acquire(1, "c", permits(1));
  pass({});
  pass(Duration::millis(20));
  EXPECT_EQ(wait_of(1, "c"), "waiting");  // `free` may give its own back
  (void)acquire(2, "b", "y");
  (void)acquire(2, "free", "y");
  pass({});
  pass(Duration::millis(20));
  EXPECT_EQ(wait_of(2, "b"),
            "deadlock: b waits for y (domain 2) of a, a waits for y (domain 2) of c, "
            "c waits for s (domain 1) of b");
  EXPECT_EQ(wait_of(2, "free"), "waiting");  // one permit is enough
}

TEST_F(DetectorTest, a_cycle_that_is_gone_when_it_is_read_again_is_none) {
  groups.holds_queries = true;
  tie();
  pass({});
  pass(Duration::millis(20));
  // The first pass is answered: then the wait of a ends by itself, and the second finds it gone.
  for (int round = 0; groups.queries < 6 && round < 20; ++round) {
    UniqueFunction<void()> next = std::move(groups.held.front());
    groups.held.erase(groups.held.begin());
    next();
  }
  (void)groups.apply(DomainId(2), Cancel{who(2, "a"), {}});
  (void)groups.apply(DomainId(1), Release{.who = who(1, "a"), .name = "x"});
  groups.holds_queries = false;
  answer_all();
  EXPECT_EQ(wait_of(1, "b"), "granted");
  EXPECT_EQ(detector.counts().found, 0u);
  EXPECT_EQ(detector.counts().unconfirmed, 1u);
}

// Seed 810084 of the plan lock_deadlocks. The search reads that a stands behind w, then w ends, and
// nobody has seen that a stands behind b now.
TEST_F(DetectorTest, a_wait_in_the_middle_that_ends_while_it_is_read_hides_no_cycle_for_long) {
  (void)acquire(1, "a", "x");
  (void)acquire(2, "b", "y");
  (void)acquire(2, "w", "y");
  (void)acquire(2, "a", "y");
  pass({});
  pass(Duration::millis(20));
  groups.holds_queries = true;
  (void)acquire(1, "b", "x");
  pass({});
  pass(Duration::millis(20));
  ASSERT_EQ(groups.held.size(), 3u) << "all groups are asked for a";
  for (size_t n = 0; n < 3; ++n) {
    UniqueFunction<void()> next = std::move(groups.held.front());
    groups.held.erase(groups.held.begin());
    next();
  }
  (void)groups.apply(DomainId(2), Cancel{who(2, "w"), {}});
  groups.holds_queries = false;
  answer_all();
  pass(Duration::millis(5));
  EXPECT_EQ(detector.counts().found, 0u);
  pass(Duration::millis(40));
  EXPECT_EQ(detector.counts().found, 1u);
  EXPECT_EQ(wait_of(1, "b"),
            "deadlock: a waits for y (domain 2) of b, b waits for x (domain 1) of a");
}

TEST_F(DetectorTest, a_search_that_gets_no_answer_is_given_up_and_another_follows) {
  groups.weather = Status(Code::kUnavailable, "no leader");
  tie();
  pass({});
  pass(Duration::millis(20));
  EXPECT_EQ(detector.counts().given_up, 1u);
  groups.weather = {};
  pass(Duration::millis(499));
  EXPECT_EQ(detector.counts().found, 0u);
  pass(Duration::millis(1));
  EXPECT_EQ(detector.counts().found, 1u);
  groups.holds_queries = true;
  (void)acquire(1, "c", "x");
  pass({});
  pass(Duration::millis(20));
  EXPECT_FALSE(groups.held.empty());
  pass(Duration::seconds(1));
  EXPECT_EQ(detector.counts().given_up, 2u);
  groups.holds_queries = false;
  answer_all();  // late, and heard by nobody
}

TEST_F(DetectorTest, is_not_busy_when_nobody_waits) {
  (void)acquire(1, "a", "x");
  pass({});
  EXPECT_FALSE(detector.is_busy());
  (void)acquire(1, "b", "x");
  pass({});
  EXPECT_TRUE(detector.is_busy());
  (void)groups.apply(DomainId(1), Close{who(1, "b")});
  pass({});
  EXPECT_FALSE(detector.is_busy());
}

// ---- knots by themselves -----------------------------------------------------------------------

KnotWait wait_for(std::string owner, uint32_t domain, std::vector<KnotWait::Blocker> blockers) {
  return {.group = GroupId(1),
          .domain = DomainId(domain),
          .owner = std::move(owner),
          .ticket = Ticket(1),
          .since = {},
          .items = {{"x", 0, 0, std::move(blockers)}}};
}

TEST(lock_knot, who_was_not_read_counts_as_free) {
  Knot knot;
  knot.add(wait_for("a", 1, {{"b", 0}}));
  EXPECT_TRUE(knot.stuck().empty());
  EXPECT_EQ(knot.blockers(), std::set<std::string>{"b"});
  knot.add(wait_for("b", 2, {{"a", 0}}));
  EXPECT_EQ(knot.stuck().size(), 2u);
}

TEST(lock_knot, who_waits_behind_a_cycle_is_stuck_and_not_in_it) {
  Knot knot;
  knot.add(wait_for("a", 1, {{"b", 0}}));
  knot.add(wait_for("b", 2, {{"a", 0}}));
  knot.add(wait_for("c", 1, {{"a", 0}}));
  const std::set<std::string> stuck = knot.stuck();
  EXPECT_EQ(stuck.size(), 3u);
  EXPECT_TRUE(knot.cycle_through("c", stuck).empty());
  EXPECT_EQ(knot.cycle_through("a", stuck).size(), 2u);
}

TEST(lock_knot, an_owner_with_two_waits_goes_on_when_both_are_served) {
  Knot knot;
  knot.add(wait_for("a", 1, {{"free", 0}}));
  knot.add(wait_for("a", 2, {{"b", 0}}));
  knot.add(wait_for("b", 1, {{"a", 0}}));
  EXPECT_EQ(knot.stuck().size(), 2u);
  knot.add(wait_for("a", 2, {{"free", 0}}));
  EXPECT_TRUE(knot.stuck().empty());
}

TEST(lock_knot, the_youngest_is_the_victim_whoever_looks) {
  Knot knot;
  KnotWait young = wait_for("b", 2, {{"a", 0}});
  young.since = Stamp::from_millis(5);
  knot.add(wait_for("a", 1, {{"b", 0}}));
  knot.add(young);
  for (const char* const owner : {"a", "b"}) {
    EXPECT_EQ(victim_of(knot.cycle_through(owner, knot.stuck())), young);
  }
}

}  // namespace
}  // namespace quorate::service::lock
