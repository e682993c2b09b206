// SPDX-License-Identifier: Apache-2.0
// Random histories against the model, deadlocks included; replicas that take different ways to the
// same index agree.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/mutant.h"
#include "base/prng.h"
#include "service/lock/model_test.h"
#include "service/lock/state.h"

namespace quorate::service::lock {
namespace {

// The mutation table runs this binary once per deliberate bug.
[[maybe_unused]] const bool kMutantIsSet = [] {
  const char* const name = std::getenv("QUORATE_MUTANT");
  set_mutant(name == nullptr ? "" : name);
  return true;
}();

using Said = Model::Said;

constexpr Duration kDay = Duration::seconds(86'400);
constexpr size_t kOwners = 7;
constexpr size_t kLocks = 5;

std::string owner_name(uint64_t number) { return "o" + std::to_string(number); }
// The last of them are semaphores, mostly.
std::string lock_name(uint64_t number) { return "l" + std::to_string(number); }

Said said_of(const Answer& answer) {
  if (const Acquired* const acquired = std::get_if<Acquired>(&answer)) {
    return acquired->granted ? Said::kGranted : Said::kQueued;
  }
  const Status& status = std::get<Status>(answer);
  return status.code() == Code::kDeadlock             ? Said::kDeadlock
         : status.message() == "it is not free"       ? Said::kNotFree
                                                      : Said::kRefused;
}

class Game {
 public:
  explicit Game(uint64_t seed) : prng_(seed), seed_(seed) {
    for (uint64_t number = 0; number < kOwners; ++number) {
      (void)apply(Open{{DomainId(), keep(owner_name(number))}, kDay});
    }
  }

  void step() {
    const std::string owner = owner_name(prng_.below(kOwners));
    const std::string name = lock_name(prng_.below(kLocks));
    newest_before_ = newest_;
    // Asking again while one waits repeats the wait, if it is for the same; see the transcripts.
    const bool waits = model_.waits_of(owner) != nullptr;
    switch (prng_.below(waits ? 4 : 12)) {
      case 0: release(owner, name); break;
      case 1: cancel(owner); break;
      case 2: downgrade(owner, name); break;
      case 3: rare(owner, name); break;
      case 4:
      case 5: upgrade(owner, name); break;
      default: acquire(owner, name); break;
    }
    compare();
  }

  uint64_t deadlocks = 0;
  uint64_t queued = 0;

 private:
  // Views of a command must live until it is applied.
  std::string_view keep(std::string text) { return texts_.emplace_back(std::move(text)); }
  OwnerRef who(const std::string& owner) { return {DomainId(), keep(owner)}; }

  Answer apply(const Command& command) {
    now_ = now_ + Duration::millis(1);
    std::string bytes;
    encode(command, bytes);
    const Result<Command> decoded = decode_command(bytes);
    EXPECT_TRUE(decoded.ok()) << decoded.status().to_string();
    const Answer answer = state_.apply(*decoded, {now_, ++index_});
    state_.check_invariants();
    texts_.clear();
    return answer;
  }

  // Every token is new and greater than all before it, unless a lock was only entered again.
  void check(const Answer& answer, Said expected, bool is_fresh) {
    EXPECT_EQ(said_of(answer), expected) << "seed " << seed_ << " index " << index_.value();
    deadlocks += expected == Said::kDeadlock ? 1 : 0;
    queued += expected == Said::kQueued ? 1 : 0;
    if (expected == Said::kGranted && is_fresh) {
      const Token token = std::get<Acquired>(answer).token;
      EXPECT_GT(token, newest_) << "seed " << seed_ << " index " << index_.value();
      newest_ = token;
    }
  }

  void acquire(const std::string& owner, const std::string& name) {
    std::vector<Model::Item> items{item(name)};
    if (prng_.chance(1, 4)) {
      const std::string other = lock_name(prng_.below(kLocks));
      if (other != name) {
        items.push_back(item(other));
      }
    }
    Acquire command{who(owner), {}, prng_.chance(4, 5) ? kDay : Duration(), {}};
    bool is_fresh = false;
    for (const Model::Item& it : items) {
      command.items.push_back({keep(it.name), it.mode, it.permits, it.limit});
      is_fresh = is_fresh || it.limit != 0 || !holds(owner, it.name);
    }
    const Said expected = model_.acquire(owner, items, command.wait == kDay);
    check(apply(command), expected, is_fresh);
  }
  bool holds(const std::string& owner, const std::string& name) const {
    for (const std::string& holder : model_.holders(name)) {
      if (holder.starts_with(owner + " ")) {
        return true;
      }
    }
    return false;
  }
  Model::Item item(const std::string& name) {
    const bool is_semaphore = (name >= "l3") != prng_.chance(1, 20);
    if (is_semaphore) {
      return {name, Mode::kPermits, 1 + prng_.below(3), 4};
    }
    return {name, prng_.chance(1, 2) ? Mode::kShared : Mode::kExclusive, 0, 0};
  }
  void upgrade(const std::string& owner, const std::string& name) {
    const Duration wait = prng_.chance(4, 5) ? kDay : Duration();
    const std::vector<std::string> before = model_.holders(name);
    const Said expected = model_.upgrade(owner, name, wait == kDay);
    check(apply(Upgrade{who(owner), keep(name), wait}), expected, before != model_.holders(name));
  }
  void downgrade(const std::string& owner, const std::string& name) {
    const bool expected = model_.downgrade(owner, name);
    const Answer answer = apply(Downgrade{who(owner), keep(name)});
    EXPECT_EQ(!std::holds_alternative<Status>(answer), expected);
  }
  void release(const std::string& owner, const std::string& name) {
    const uint64_t count = prng_.below(3);
    const bool expected = model_.release(owner, name, count);
    const Answer answer = apply(Release{who(owner), keep(name), count, {}});
    EXPECT_EQ(std::holds_alternative<Released>(answer), expected);
  }
  void cancel(const std::string& owner) {
    const bool expected = model_.cancel(owner);
    EXPECT_EQ(std::get<Cancelled>(apply(Cancel{who(owner), {}})).cancelled, expected);
  }
  void rare(const std::string& owner, const std::string& name) {
    if (prng_.chance(1, 3)) {
      model_.break_all(name);
      (void)apply(Break{DomainId(), keep(name), {}});
    } else if (prng_.chance(1, 3)) {
      model_.end(owner);
      (void)apply(Close{who(owner)});
      (void)apply(Open{who(owner), kDay});
    }
  }

  void compare() {
    for (uint64_t number = 0; number < kLocks; ++number) {
      const std::string name = lock_name(number);
      const Answer answer = state_.query(Info{DomainId(), name}, now_);
      std::vector<std::string> holders;
      std::vector<std::string> waiters;
      if (const LockDetails* const details = std::get_if<LockDetails>(&answer)) {
        for (const Holder& it : details->holders) {
          holders.push_back(std::string(it.owner) + " " +
                            std::to_string(static_cast<int>(it.mode)) + " " +
                            std::to_string(it.count));
          check_token(std::string(it.owner) + " " + name, it.token);
        }
        for (const Waiter& it : details->waiters) {
          waiters.emplace_back(it.owner);
        }
      }
      std::sort(holders.begin(), holders.end());
      ASSERT_EQ(holders, model_.holders(name)) << "seed " << seed_ << " index " << index_.value();
      ASSERT_EQ(waiters, model_.waiters(name)) << "seed " << seed_ << " index " << index_.value();
    }
    for (uint64_t number = 0; number < kOwners; ++number) {
      ASSERT_FALSE(model_.is_stuck(owner_name(number)))
          << "seed " << seed_ << " index " << index_.value();
    }
  }

  // A token that a holder did not have is greater than all before this step.
  void check_token(const std::string& place, Token token) {
    Token& known = tokens_[place];
    if (known != token) {
      EXPECT_GT(token, newest_before_) << "seed " << seed_ << " index " << index_.value();
    }
    known = token;
    newest_ = std::max(newest_, token);
  }

  Prng prng_;
  uint64_t seed_;
  State state_;
  Model model_;
  Stamp now_ = Stamp::from_millis(1'000);
  Index index_;
  Token newest_;
  Token newest_before_;
  std::map<std::string, Token> tokens_;      // of owner and lock
  std::deque<std::string> texts_;
};

TEST(lock_model, the_machine_does_what_the_model_does_and_finds_the_true_deadlocks) {
  uint64_t deadlocks = 0;
  uint64_t queued = 0;
  for (uint64_t seed = 1; seed <= 150 && !::testing::Test::HasFailure(); ++seed) {
    Game game(seed);
    for (int step = 0; step < 300 && !::testing::Test::HasFailure(); ++step) {
      game.step();
    }
    deadlocks += game.deadlocks;
    queued += game.queued;
  }
  EXPECT_GT(deadlocks, 500u);
  EXPECT_GT(queued, 5'000u);
}

// Commands with short leases and waits over few names, so that everything meets.
class Story {
 public:
  explicit Story(uint64_t seed) : prng_(seed) {}

  std::string next() {
    std::string body;
    encode(command(), body);
    now_ = now_ + Duration::millis(prng_.between(0, 300));
    return body;
  }
  [[nodiscard]] Stamp now() const { return now_; }

 private:
  std::string_view name() { return texts_.emplace_back(lock_name(prng_.below(12))); }
  OwnerRef who() {
    return {DomainId(static_cast<uint32_t>(prng_.below(2))),
            texts_.emplace_back(owner_name(prng_.below(15)))};
  }
  Duration wait() { return Duration::millis(prng_.between(0, 3'000)); }
  Duration lease() { return Duration::millis(prng_.between(1'000, 4'000)); }
  Command command() {
    texts_.clear();
    switch (prng_.below(12)) {
      case 0: return Open{who(), lease()};
      case 1: return Renew{who()};
      case 2: return Release{who(), name(), prng_.below(2), {}};
      case 3: return Release{who(), name(), 0, {}};
      case 4: return Upgrade{who(), name(), wait()};
      case 5: return Downgrade{who(), name()};
      case 6: return Cancel{who(), {}};
      case 7: return ExpireDue{now_, 1 + prng_.below(9), {{who(), Duration()}}};
      case 8: return Acquire{who(), {{name(), Mode::kPermits, 1 + prng_.below(2), 2}}, wait(),
                             lease()};
      case 9: return Acquire{who(), {{.name = name()}, {name(), Mode::kShared, 0, 0}}, wait(),
                             lease()};
      case 10: return Acquire{who(), {{name(), Mode::kShared, 0, 0}}, wait(), lease()};
      default: return Acquire{who(), {{.name = name()}}, wait(), lease()};
    }
  }

  Prng prng_;
  Stamp now_ = Stamp::from_millis(1'000'000);
  std::deque<std::string> texts_;
};

std::unique_ptr<Hosted> make(uint64_t hash_seed) {
  return host<State>(State::Options{.hash_seed = hash_seed});
}

std::string image_of(Hosted& machine) {
  std::string image;
  const std::unique_ptr<SnapshotSource> source = machine.freeze();
  while (source->next(256, image)) {
  }
  return image;
}

Status restore(Hosted& machine, std::string_view image) {
  machine.restore_begin();
  RETURN_IF_ERROR(machine.restore_piece(image));
  return machine.restore_end();
}

TEST(lock_model, replicas_agree_also_through_snapshots_taken_under_change) {
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    Story story(seed);
    Prng prng(seed);
    const std::unique_ptr<Hosted> leader = make(1);
    std::unique_ptr<Hosted> follower = make(2);
    for (uint64_t index = 1; index <= 1'000; ++index) {
      const std::string body = story.next();
      std::string answer;
      std::string other_answer;
      leader->apply(body, {story.now(), Index(index)}, &answer);
      follower->apply(body, {story.now(), Index(index)}, &other_answer);
      ASSERT_EQ(answer, other_answer) << "seed " << seed << " index " << index;
      ASSERT_EQ(leader->digest(), follower->digest()) << "seed " << seed << " index " << index;
      if (prng.chance(1, 20)) {
        leader->check_invariants();
        follower = make(index);
        ASSERT_TRUE(restore(*follower, image_of(*leader)).ok());
        follower->check_invariants();
        ASSERT_EQ(leader->digest(), follower->digest()) << "seed " << seed << " index " << index;
      }
    }
  }
}

TEST(lock_model, an_image_shows_the_moment_of_its_freeze) {
  Story story(7);
  const std::unique_ptr<Hosted> machine = make(1);
  std::unique_ptr<SnapshotSource> source;
  std::string image;
  uint64_t digest_then = 0;
  for (uint64_t index = 1; index <= 2'000; ++index) {
    std::string answer;
    machine->apply(story.next(), {story.now(), Index(index)}, &answer);
    if (source == nullptr && index % 100 == 0) {
      digest_then = machine->digest();
      image.clear();
      source = machine->freeze();
    }
    if (source != nullptr && !source->next(32, image)) {
      source.reset();
      const std::unique_ptr<Hosted> fresh = make(3);
      ASSERT_TRUE(restore(*fresh, image).ok());
      fresh->check_invariants();
      ASSERT_EQ(fresh->digest(), digest_then);
    }
  }
}

}  // namespace
}  // namespace quorate::service::lock
