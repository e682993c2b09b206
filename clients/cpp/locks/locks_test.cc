// SPDX-License-Identifier: Apache-2.0
// Locks of a cluster that is reached over HTTP: the door, and what is built of it.
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "quorate/client.h"
#include "quorate/database.h"
#include "quorate/locks.h"

namespace quorate {
namespace {

class RemoteLocks : public testing::Test {
 protected:
  RemoteLocks() {
    directory_ = testing::TempDir() + "/remote_locks_" +
                 testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(directory_);
    Result<std::unique_ptr<Database>> opened = Database::open(
        {.directory = directory_,
         .settings = {{"http.listen", "127.0.0.1:0"}, {"resp.listen", "127.0.0.1:0"}},
         .http = true});
    EXPECT_TRUE(opened.ok()) << opened.status().to_string();
    database_ = std::move(*opened);
    EXPECT_EQ(database_->wait_ready(Duration::seconds(60)), Status());
    cluster_.nodes = {"127.0.0.1:" + std::to_string(database_->http_port())};
  }
  ~RemoteLocks() override {
    database_.reset();
    std::filesystem::remove_all(directory_);
  }
  std::unique_ptr<LockSession> session(LockSessionOptions options = {}) {
    Result<std::unique_ptr<LockSession>> opened =
        LockSession::connect(cluster_, std::move(options));
    EXPECT_TRUE(opened.ok()) << opened.status().to_string();
    return std::move(*opened);
  }

  static constexpr LockOptions kNow = {.shared = false, .wait = Duration()};
  std::string directory_;
  std::unique_ptr<Database> database_;
  LockCluster cluster_;
};

TEST_F(RemoteLocks, what_is_held_is_given_back_when_it_goes) {
  const auto a = session();
  const auto b = session();
  uint64_t token = 0;
  {
    const Result<Held> held = a->acquire("x");
    ASSERT_TRUE(held.ok()) << held.status().to_string();
    token = held->token();
    EXPECT_EQ(b->acquire("x", kNow).status().code(), Code::kPreconditionFailed);
    EXPECT_EQ(b->acquire("x", {false, Duration::millis(50)}).status().code(), Code::kTimeout);
    EXPECT_EQ(*a->holder("x"), std::pair(a->owner(), token));
  }
  EXPECT_EQ(a->holder("x").status().code(), Code::kNotFound);
  const Result<Held> held = b->acquire("x", kNow);
  ASSERT_TRUE(held.ok());
  EXPECT_GT(held->token(), token);
}

TEST_F(RemoteLocks, who_waits_is_granted_by_the_release) {
  const auto a = session();
  Result<Held> held = a->acquire("x");
  ASSERT_TRUE(held.ok());
  std::atomic<uint64_t> token = 0;
  std::thread waiter([&] {
    const auto b = session();
    const Result<Held> theirs = b->acquire("x");
    token = theirs.ok() ? theirs->token() : 0;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_EQ(token, 0u);
  const uint64_t mine = held->token();
  held->release();
  waiter.join();
  EXPECT_GT(token, mine);
}

TEST_F(RemoteLocks, recipes_exclude_and_share) {
  const auto a = session();
  const auto b = session();
  ReadWriteLock one(*a, "rw");
  ReadWriteLock two(*b, "rw");
  {
    const Result<Held> first = one.read();
    const Result<Held> second = two.read();
    EXPECT_TRUE(first.ok() && second.ok());
    EXPECT_EQ(b->upgrade("rw", Duration()).status().code(), Code::kPreconditionFailed);
    EXPECT_FALSE(two.write(Duration()).ok());
  }
  const Result<Held> alone = one.write(Duration());
  ASSERT_TRUE(alone.ok());
  EXPECT_EQ(*a->downgrade("rw"), alone->token());
  EXPECT_TRUE(two.read(Duration()).ok());
  EXPECT_GT(*a->upgrade("rw", Duration()), alone->token());
  Semaphore slots(*a, "slots", 3);
  const Result<Held> permits = slots.acquire(2);
  EXPECT_TRUE(permits.ok());
  EXPECT_FALSE(Semaphore(*b, "slots", 3).acquire(2, Duration()).ok());
  EXPECT_TRUE(Semaphore(*b, "slots", 3).acquire(1, Duration()).ok());
  EXPECT_FALSE(Semaphore(*b, "slots", 4).acquire(1, Duration::millis(200)).ok()) << "of 3";
  const Result<Held> many = a->acquire_many({"m1", "m2"});
  ASSERT_TRUE(many.ok()) << many.status().to_string();
  EXPECT_FALSE(b->acquire_many({"m2", "m3"}, kNow).ok());
  EXPECT_TRUE(b->acquire("m3", kNow).ok());
}

TEST_F(RemoteLocks, a_leader_resigns_and_the_next_one_has_a_greater_term) {
  const auto a = session();
  const auto b = session();
  Election one(*a, "leader");
  Election two(*b, "leader");
  EXPECT_EQ(two.leader().status().code(), Code::kNotFound);
  const uint64_t term = *one.campaign();
  EXPECT_TRUE(one.leads());
  EXPECT_EQ(*two.leader(), std::pair(a->owner(), term));
  EXPECT_FALSE(two.campaign(Duration::millis(50)).ok());
  EXPECT_FALSE(two.leads());
  one.resign();
  EXPECT_GT(*two.campaign(), term);
}

TEST_F(RemoteLocks, a_barrier_lets_nobody_go_on_before_all_have_come) {
  constexpr uint32_t kParties = 3;
  const auto client =
      Client::connect({.nodes = {"127.0.0.1:" + std::to_string(database_->resp_port())}}).value();
  std::atomic<uint32_t> come = 0;
  std::atomic<bool> too_early = false;
  std::vector<std::thread> threads;
  for (uint32_t party = 0; party < kParties; ++party) {
    threads.emplace_back([&] {
      Barrier barrier(*client, "barrier", kParties);
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
  EXPECT_EQ(Barrier(*client, "alone", 2).wait(Duration::millis(30)).status().code(),
            Code::kTimeout);
  EXPECT_EQ(Barrier(*client, "none", 0).wait(Duration()).status().code(), Code::kInvalidArgument);
}

TEST_F(RemoteLocks, a_late_write_is_refused_by_its_fence) {
  const auto client =
      Client::connect({.nodes = {"127.0.0.1:" + std::to_string(database_->resp_port())}}).value();
  const auto a = session();
  const auto b = session();
  Fence late;
  {
    const Result<Held> held = a->acquire("x");
    ASSERT_TRUE(held.ok());
    late = held->fence();
    EXPECT_TRUE(client->set("k", "first", {.fence = &late}).wait().ok());
  }
  const Result<Held> held = b->acquire("x");
  ASSERT_TRUE(held.ok());
  const Fence newest = held->fence();
  EXPECT_TRUE(client->set("k", "second", {.fence = &newest}).wait().ok());
  EXPECT_EQ(client->set("k", "late", {.fence = &late}).wait().status().code(),
            Code::kPreconditionFailed);
}

TEST_F(RemoteLocks, names_and_owners_are_any_bytes_and_domains_are_apart) {
  const std::string odd("a/b\0?\xff ", 7);
  const auto a = session({.owner = odd});
  const auto b = session({.owner = odd, .domain = 7});
  const Result<Held> held = a->acquire(odd);
  ASSERT_TRUE(held.ok()) << held.status().to_string();
  EXPECT_EQ(a->holder(odd)->first, odd);
  EXPECT_EQ(b->holder(odd).status().code(), Code::kNotFound);
  const Result<Held> many = b->acquire_many({odd, "\xfe"});
  EXPECT_TRUE(many.ok()) << many.status().to_string();
}

TEST_F(RemoteLocks, a_session_lives_beyond_its_lease_and_ends_when_nobody_can_be_reached) {
  std::atomic<int> told = 0;
  cluster_.timeout = Duration::millis(500);
  const auto a = session({.lease = Duration::seconds(2), .on_lost = [&] { ++told; }});
  const Result<Held> held = a->acquire("x");
  std::this_thread::sleep_for(std::chrono::milliseconds(2'500));
  EXPECT_FALSE(a->lost());
  EXPECT_EQ(a->holder("x")->first, a->owner());
  database_.reset();
  for (int tries = 0; tries < 3'000 && told == 0; ++tries) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_TRUE(a->lost() && held->lost());
  EXPECT_EQ(told, 1);
  EXPECT_EQ(LockSession::connect(cluster_, {}).status().code(), Code::kUnavailable);
  EXPECT_EQ(LockSession::connect({.nodes = {}}, {}).status().code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace quorate
