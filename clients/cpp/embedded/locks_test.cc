// SPDX-License-Identifier: Apache-2.0
// Locks of nodes inside this process.
#include "quorate/locks.h"

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <future>
#include <thread>

#include "service/lock/api.h"

namespace quorate {
namespace {

class EmbeddedLocks : public testing::Test {
 protected:
  EmbeddedLocks() {
    directory_ = testing::TempDir() + "/locks_" +
                 testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(directory_);
    Result<std::unique_ptr<Database>> opened = Database::open({.directory = directory_});
    EXPECT_TRUE(opened.ok()) << opened.status().to_string();
    database_ = std::move(*opened);
    EXPECT_EQ(database_->wait_ready(Duration::seconds(60)), Status());
  }
  ~EmbeddedLocks() override {
    database_.reset();
    std::filesystem::remove_all(directory_);
  }
  std::unique_ptr<LockSession> session(LockSessionOptions options = {}) {
    Result<std::unique_ptr<LockSession>> opened = LockSession::open(*database_, std::move(options));
    EXPECT_TRUE(opened.ok()) << opened.status().to_string();
    return std::move(*opened);
  }

  static constexpr LockOptions kNow = {.shared = false, .wait = Duration()};
  std::string directory_;
  std::unique_ptr<Database> database_;
};

TEST_F(EmbeddedLocks, what_is_held_is_given_back_when_it_goes) {
  const auto a = session();
  const auto b = session();
  uint64_t token = 0;
  {
    const Result<Held> held = a->acquire("x");
    ASSERT_TRUE(held.ok()) << held.status().to_string();
    token = held->token();
    EXPECT_EQ(b->acquire("x", kNow).status().code(), Code::kPreconditionFailed);
    EXPECT_EQ(b->acquire("x", {false, Duration::millis(50)}).status().code(), Code::kTimeout);
    EXPECT_EQ(a->holder("x")->first, a->owner());
  }
  EXPECT_EQ(a->holder("x").status().code(), Code::kNotFound);
  const Result<Held> held = b->acquire("x", kNow);
  ASSERT_TRUE(held.ok());
  EXPECT_GT(held->token(), token);
}

TEST_F(EmbeddedLocks, a_write_under_a_fence_is_refused_once_a_later_holder_has_written) {
  const auto a = session();
  const auto b = session();
  Fence late;
  {
    const Result<Held> held = a->acquire("x");
    ASSERT_TRUE(held.ok());
    late = held->fence();
    EXPECT_TRUE(database_->put("k", "first", {.fence = late}).ok());
  }
  const Result<Held> held = b->acquire("x");
  ASSERT_TRUE(held.ok());
  EXPECT_TRUE(database_->put("k", "again", {.fence = late}).ok()) << "nobody else has written";
  EXPECT_TRUE(database_->put("k", "second", {.fence = held->fence()}).ok());
  EXPECT_EQ(database_->put("k", "late", {.fence = late}).status().code(),
            Code::kPreconditionFailed);
  EXPECT_EQ(database_->put_many({{"k", "late"}}, {.fence = late}).status().code(),
            Code::kPreconditionFailed);
  EXPECT_EQ(database_->remove("k", late).status().code(), Code::kPreconditionFailed);
  EXPECT_EQ(database_->get("k")->value, "second");
  EXPECT_TRUE(database_->remove("k", held->fence()).ok());
}

TEST_F(EmbeddedLocks, no_more_permits_are_out_than_the_limit_of_a_semaphore) {
  const auto a = session();
  const auto b = session();
  Semaphore one(*a, "slots", 3);
  Semaphore two(*b, "slots", 3);
  {
    const Result<Held> held = one.acquire(2);
    ASSERT_TRUE(held.ok());
    EXPECT_EQ(two.acquire(2, Duration()).status().code(), Code::kPreconditionFailed);
    EXPECT_EQ(two.acquire(2, Duration::millis(50)).status().code(), Code::kTimeout);
    EXPECT_TRUE(two.acquire(1, Duration()).ok());
  }
  EXPECT_TRUE(two.acquire(3, Duration()).ok()) << "all were given back";
  EXPECT_FALSE(Semaphore(*a, "slots", 2).acquire(3, Duration()).ok()) << "more than there are";
}

TEST_F(EmbeddedLocks, a_barrier_lets_nobody_go_on_before_all_have_come) {
  constexpr uint32_t kParties = 3;
  std::atomic<uint32_t> come = 0;
  std::atomic<bool> too_early = false;
  std::vector<std::thread> threads;
  for (uint32_t party = 0; party < kParties; ++party) {
    threads.emplace_back([&] {
      Barrier barrier(*database_, "barrier", kParties);
      for (uint32_t round = 1; round <= 2; ++round) {
        ++come;
        const Result<uint32_t> number = barrier.wait(Duration::seconds(30));
        too_early = too_early || !number.ok() || *number >= kParties || come < round * kParties;
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_FALSE(too_early);
  EXPECT_EQ(Barrier(*database_, "alone", 2).wait(Duration::millis(30)).status().code(),
            Code::kTimeout);
}

TEST_F(EmbeddedLocks, recipes_exclude_and_share) {
  const auto a = session();
  const auto b = session();
  ReadWriteLock one(*a, "rw");
  ReadWriteLock two(*b, "rw");
  const Result<Held> first = one.read();
  const Result<Held> second = two.read();
  EXPECT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(b->upgrade("rw", Duration()).status().code(), Code::kPreconditionFailed);
  EXPECT_FALSE(two.write(Duration()).ok());
  EXPECT_TRUE(a->acquire_permits("s", {2, 3}).ok()) << "and given back at once";
  const Result<Held> permits = a->acquire_permits("s", {2, 3});
  EXPECT_FALSE(b->acquire_permits("s", {2, 3}, kNow).ok());
  EXPECT_TRUE(b->acquire_permits("s", {1, 3}, kNow).ok());
  const Result<Held> many = a->acquire_many({"m1", "m2"});
  EXPECT_FALSE(b->acquire_many({"m2", "m3"}, kNow).ok());
  EXPECT_TRUE(b->acquire("m3", kNow).ok());
  Election election(*a, "leader");
  EXPECT_FALSE(election.leads());
  EXPECT_TRUE(election.campaign().ok());
  EXPECT_TRUE(election.leads());
  election.resign();
  EXPECT_FALSE(election.leads());
}

TEST_F(EmbeddedLocks, a_session_lives_beyond_its_lease_and_ends_with_its_owner) {
  std::atomic<int> told = 0;
  const auto a = session({.owner = "a", .lease = Duration::seconds(3), .on_lost = [&] { ++told; }});
  const Result<Held> held = a->acquire("x");
  std::this_thread::sleep_for(std::chrono::milliseconds(3'500));
  EXPECT_FALSE(a->lost());
  EXPECT_EQ(a->holder("x")->first, "a");
  std::promise<void> closed;
  database_->run_with_locks([&closed](service::lock::Api& api) {
    api.write(
        {}, service::lock::Close{{{}, "a"}}, {},
        [&closed](const service::lock::Answer&, const service::Origin&) { closed.set_value(); });
  });
  closed.get_future().get();
  for (int tries = 0; tries < 3'000 && !a->lost(); ++tries) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_TRUE(a->lost() && held->lost());
  EXPECT_EQ(told, 1);
  EXPECT_EQ(a->acquire("y", kNow).status().code(), Code::kLeaseLost);
}

}  // namespace
}  // namespace quorate
