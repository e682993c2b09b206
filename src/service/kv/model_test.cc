// SPDX-License-Identifier: Apache-2.0
// Random histories: replicas that take different ways to the same index agree, images show the
// moment of their freeze, rate limits never let one through too many.
#include <gtest/gtest.h>

#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/mutant.h"
#include "base/prng.h"
#include "service/group_machine.h"
#include "service/kv/state.h"
#include "service/value/json_field.h"
#include "service/value/ordered.h"

namespace quorate::service::kv {
namespace {

// The mutation table runs this binary once per deliberate bug.
[[maybe_unused]] const bool kMutantIsSet = [] {
  const char* const name = std::getenv("QUORATE_MUTANT");
  set_mutant(name == nullptr ? "" : name);
  return true;
}();

constexpr Stamp kBegin = Stamp::from_millis(1'000'000);

// Commands over few keys, so that they meet.
class Story {
 public:
  explicit Story(uint64_t seed) : prng_(seed) {}

  std::string next() {
    std::string body;
    encode(command(), body);
    now_ = now_ + Duration::millis(prng_.between(0, 400));
    return body;
  }
  [[nodiscard]] Stamp now() const { return now_; }

 private:
  std::string_view key() {
    return texts_.emplace_back("key" + std::to_string(prng_.below(60)));
  }
  std::string_view value() {
    const size_t size = prng_.chance(1, 100) ? 9'000 : prng_.below(50);
    if (prng_.chance(1, 2)) {
      return texts_.emplace_back("{\"a\":" + std::to_string(prng_.between(-5, 5)) +
                                 ",\"b\":{\"c\":\"" + std::to_string(prng_.below(90)) + "\"}}");
    }
    std::string& text = texts_.emplace_back(size, static_cast<char>('a' + prng_.below(26)));
    for (uint64_t at = prng_.below(4); at > 0 && size > 0; --at) {
      text[prng_.below(size)] = static_cast<char>('A' + prng_.below(26));
    }
    return text;
  }
  Lifetime lifetime() {
    switch (prng_.below(4)) {
      case 0: return Lifetime::lasting(Duration::millis(prng_.between(1, 5'000)));
      case 1: return Lifetime::keep();
      default: return {};
    }
  }
  Command command() {
    texts_.clear();
    const KeyspaceId space(static_cast<uint32_t>(prng_.below(3)));
    if (prng_.chance(1, 50)) {
      return prng_.chance(1, 3) ? index_command() : space_command();
    }
    if (prng_.chance(1, 8)) {
      return Fenced{{DomainId(), prng_.chance(1, 2) ? "l" : "m", Token(1 + prng_.below(40))},
                    Put{space, key(), value(), lifetime()}};
    }
    switch (prng_.below(12)) {
      case 0: return Delete{space, key(), {}, prng_.chance(1, 2)};
      case 1: return Touch{space, key(), lifetime(), static_cast<Touch::When>(prng_.below(5))};
      case 2: return Increment{space, key(), prng_.between(-9, 9), lifetime()};
      case 3: return Append{space, key(), value()};
      case 4: return SetRange{space, key(), prng_.below(100), value()};
      case 5: return PutMany{space, prng_.chance(1, 4), {{key(), value(), lifetime()},
                                                         {key(), value(), lifetime()}}};
      case 6: return DeleteMany{space, {key(), key()}};
      case 7: return RateLimit{space, key(), 1 + prng_.below(5), 1 + prng_.below(3),
                               Duration::millis(prng_.between(1, 3'000)), 1};
      case 8: return Txn{space, {{key()}}, {Put{space, key(), value()}, Get{space, key()}},
                         {Delete{space, key()}}};
      case 9: return ExpireDue{now_, 1 + prng_.below(5)};
      case 10: return DeleteRange{space, {key(), {}}, prng_.below(3)};
      default: return Put{space, key(), value(), lifetime(), {}, prng_.chance(1, 3)};
    }
  }

  Command index_command() {
    const KeyspaceId space(static_cast<uint32_t>(prng_.below(6)));
    const std::string_view index = prng_.chance(1, 2) ? "first" : "second";
    switch (prng_.below(6)) {
      case 0: return DropIndex{space, index};
      case 1:
      case 2: return Tend{1 + prng_.below(30)};
      case 3: return CreateIndex{space, index, "b.c", true};
      default: return CreateIndex{space, index, "a", false};
    }
  }

  Command space_command() {
    const KeyspaceId space(static_cast<uint32_t>(3 + prng_.below(40)));
    switch (prng_.below(6)) {
      case 0: return DropKeyspace{space};
      case 3:
      case 4:
        return SetCompression{KeyspaceId(static_cast<uint32_t>(prng_.below(4))), ++revision_,
                              prng_.below(3) * 16};
      case 1: return Tend{1 + prng_.below(5)};
      case 2: return PutMany{space, false, {{key(), value(), lifetime()}, {key(), value()}}};
      default:
        return SetKeyspace{KeyspaceId(static_cast<uint32_t>(prng_.below(4))), ++revision_,
                           20 + prng_.below(60), prng_.below(2) * 3'000};
    }
  }

  Prng prng_;
  uint64_t revision_ = 0;
  Stamp now_ = kBegin;
  std::deque<std::string> texts_;
};

std::unique_ptr<Hosted> make(uint64_t hash_seed) {
  return host<State>(State::Options{.hash_seed = hash_seed, .history_bytes_max = 10'000});
}

std::string image_of(Hosted& machine) {
  std::string image;
  const std::unique_ptr<SnapshotSource> source = machine.freeze();
  while (source->next(4'096, image)) {
  }
  return image;
}

Status restore(Hosted& machine, std::string_view image) {
  machine.restore_begin();
  RETURN_IF_ERROR(machine.restore_piece(image));
  return machine.restore_end();
}

TEST(kv_model, replicas_agree_also_through_snapshots_taken_under_change) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    Story story(seed);
    Prng prng(seed);
    std::unique_ptr<Hosted> leader = make(1);
    std::unique_ptr<Hosted> follower = make(2);
    std::unique_ptr<SnapshotSource> source;
    std::string image;
    uint64_t digest_then = 0;
    for (uint64_t index = 1; index <= 1'500; ++index) {
      const std::string body = story.next();
      std::string answer;
      std::string other_answer;
      leader->apply(body, {story.now(), Index(index)}, &answer);
      follower->apply(body, {story.now(), Index(index)}, &other_answer);
      ASSERT_EQ(answer, other_answer) << "seed " << seed << " index " << index;
      ASSERT_EQ(leader->digest(), follower->digest()) << "seed " << seed << " index " << index;
      if (source == nullptr && prng.chance(1, 100)) {
        digest_then = leader->digest();
        image.clear();
        source = leader->freeze();
      }
      if (source != nullptr && !source->next(1 + prng.below(300), image)) {
        source.reset();
        std::unique_ptr<Hosted> restored = make(index);
        ASSERT_TRUE(restore(*restored, image).ok()) << "seed " << seed;
        ASSERT_EQ(restored->digest(), digest_then) << "seed " << seed << " index " << index;
        restored->check_invariants();
      }
      if (source == nullptr && prng.chance(1, 200)) {
        std::unique_ptr<Hosted> fresh = make(index);
        ASSERT_TRUE(restore(*fresh, image_of(*follower)).ok());
        follower = std::move(fresh);
      }
    }
    source.reset();
    leader->check_invariants();
    follower->check_invariants();
    EXPECT_EQ(leader->next_due(), follower->next_due());
    EXPECT_EQ(image_of(*leader), image_of(*follower));
  }
}

TEST(kv_model, a_damaged_image_is_refused_and_leaves_nothing) {
  Story story(7);
  std::unique_ptr<Hosted> machine = make(1);
  for (uint64_t index = 1; index <= 100; ++index) {
    std::string answer;
    machine->apply(story.next(), {story.now(), Index(index)}, &answer);
  }
  const std::string image = image_of(*machine);
  std::unique_ptr<Hosted> other = make(2);
  for (size_t cut = 0; cut < image.size(); cut += 3) {
    EXPECT_FALSE(restore(*other, std::string_view(image).substr(0, cut)).ok());
    EXPECT_EQ(other->digest(), 0u);
  }
  for (size_t at = 0; at < image.size() * 8; ++at) {
    std::string bad = image;
    bad[at / 8] ^= static_cast<char>(1 << at % 8);
    const Status status = restore(*other, bad);
    // The revision stands before the table; the digest of the group covers it.
    ASSERT_TRUE(!status.ok() || other->digest() != machine->digest()) << at;
  }
  EXPECT_TRUE(restore(*other, image).ok());
  EXPECT_EQ(other->digest(), machine->digest());
}

// Reading the changes since any revision and applying them gives the keys as they are.
TEST(kv_model, a_watcher_that_follows_the_changes_ends_with_the_same_keys) {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    Story story(seed);
    State state;
    std::map<std::string, std::string> mirror;
    Revision seen;
    for (uint64_t index = 1; index <= 800; ++index) {
      const std::string body = story.next();
      const Result<Command> command = State::decode_command(body);
      ASSERT_TRUE(command.ok());
      (void)state.apply(*command, {story.now(), Index(index)});
      if (index % 7 != 0) {
        continue;
      }
      const Answer answer = state.query(Query(Changes{{}, {}, seen, 0}), story.now());
      for (const Change& change : std::get<ChangeList>(answer).changes) {
        EXPECT_GT(change.revision, seen);
        const auto found = mirror.find(std::string(change.key));
        EXPECT_EQ(change.had_previous, found != mirror.end());
        EXPECT_TRUE(!change.had_previous || change.previous == found->second);
        mirror.erase(std::string(change.key));
        if (change.kind == Change::Kind::kPut) {
          mirror[std::string(change.key)] = change.value;
        }
      }
      seen = std::get<ChangeList>(answer).through;
    }
    const Answer last = state.query(Query(Changes{{}, {}, seen, 0}), story.now());
    for (const Change& change : std::get<ChangeList>(last).changes) {
      mirror.erase(std::string(change.key));
      if (change.kind == Change::Kind::kPut) {
        mirror[std::string(change.key)] = change.value;
      }
    }
    // Keys that have ended and were not removed yet are still in the mirror, so look at the past.
    const Answer page = state.query(Query(Scan{}), kBegin);
    EXPECT_EQ(std::get<Page>(page).items.size(), mirror.size());
    for (const Item& item : std::get<Page>(page).items) {
      EXPECT_EQ(mirror.at(std::string(item.key)), item.value);
    }
  }
}

// Over any stretch of time no more is granted than the bucket held and gained.
TEST(kv_model, a_bucket_never_grants_one_too_many_and_loses_none) {
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    Prng prng(seed);
    State state;
    const RateLimit ask{.name = "b",
                        .burst = 1 + prng.below(10),
                        .tokens = 1 + prng.below(7),
                        .period = Duration::micros(prng.between(1, 3'000'000)),
                        .cost = 1};
    const auto period = static_cast<uint64_t>(ask.period.micros());
    Stamp now = kBegin;
    uint64_t granted = 0;
    bool was_refused = true;
    for (int step = 0; step < 5'000; ++step) {
      now = now + Duration::micros(prng.between(0, ask.period.micros() / 4));
      const Rated rated = std::get<Rated>(state.apply(Command(ask), {now, Index(1)}));
      granted += rated.allowed ? 1 : 0;
      was_refused = was_refused && (rated.allowed || rated.retry_after > Duration());
      const auto elapsed = static_cast<uint64_t>((now - kBegin).micros());
      ASSERT_LE(granted * period, ask.burst * period + elapsed * ask.tokens) << "seed " << seed;
      if (!rated.allowed) {
        const Stamp then = now + rated.retry_after;
        now = then;
        const Rated again = std::get<Rated>(state.apply(Command(ask), {then, Index(1)}));
        ASSERT_TRUE(again.allowed) << "what retry_after promised, seed " << seed;
        ++granted;
      }
    }
    EXPECT_TRUE(was_refused);
    state.check_invariants();
  }
}

// A value and its end.
std::string text_of(const Item& item) {
  return std::string(item.value) + " until " + std::to_string(item.expires.micros());
}

// What a backup does: page after page while the machine changes.
class Dumper {
 public:
  // True once the copy is complete.
  bool step(const Hosted& machine, Stamp now) {
    std::string body;
    std::string bytes;
    Dump query{.bytes_max = 200};
    if (begun_) {
      query = {.after = after_, .is_behind = true, .is_done = done_, .since = since_,
               .bytes_max = 200};
    }
    encode(Query(query), body);
    machine.query(body, now, bytes);
    const Answer answer = decode_answer(bytes);
    const auto* dumped = std::get_if<Dumped>(&answer);
    if (dumped == nullptr) {   // compacted: anew
      *this = {};
      return false;
    }
    for (const Dumped::Entry& entry : dumped->entries) {
      auto& keys = copy[entry.keyspace];
      if (entry.item.found()) {
        keys[std::string(entry.key)] = text_of(entry.item);
      } else {
        keys.erase(std::string(entry.key));
      }
    }
    begun_ = true;
    after_ = dumped->after;
    done_ = dumped->is_done;
    since_ = dumped->since;
    return done_ && since_ == dumped->revision;
  }

  std::map<KeyspaceId, std::map<std::string, std::string>> copy;

 private:
  bool begun_ = false;
  bool done_ = false;
  std::string after_;
  Revision since_;
};

std::map<std::string, std::string> keys_of(const Hosted& machine, KeyspaceId space, Stamp now) {
  std::string body;
  std::string bytes;
  encode(Query(Scan{.keyspace = space}), body);
  machine.query(body, now, bytes);
  std::map<std::string, std::string> keys;
  const Answer answer = decode_answer(bytes);
  for (const Item& item : std::get<Page>(answer).items) {
    keys[std::string(item.key)] = text_of(item);
  }
  return keys;
}

TEST(kv_model, a_dump_under_change_is_the_state_at_its_end) {
  size_t complete = 0;
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    Story story(seed);
    const std::unique_ptr<Hosted> machine = make(seed);
    Dumper dumper;
    for (uint64_t index = 1; index <= 1'000; ++index) {
      std::string answer;
      machine->apply(story.next(), {story.now(), Index(index)}, &answer);
      if (index < 200 || !dumper.step(*machine, story.now())) {
        continue;
      }
      ++complete;
      for (uint32_t space = 0; space < 3; ++space) {
        // What has ended is no change before somebody removes it, so it may still be in the copy.
        for (const auto& [key, value] : keys_of(*machine, KeyspaceId(space), story.now())) {
          ASSERT_EQ(dumper.copy[KeyspaceId(space)][key], value) << "seed " << seed;
        }
      }
      dumper = {};
    }
  }
  EXPECT_GT(complete, 100u);
}

// What an archive does: the changes of all keyspaces, page after page and each once.
class Archivist {
 public:
  void read(const Hosted& machine, Stamp now) {
    for (Revision revision = after_.next(); after_ < revision;) {
      std::string body;
      std::string bytes;
      encode(Query(Trail{.after = after_, .limit = 7}), body);
      machine.query(body, now, bytes);
      const Answer answer = decode_answer(bytes);
      const auto& trailed = std::get<Trailed>(answer);
      for (const Trailed::Entry& entry : trailed.entries) {
        ASSERT_EQ(entry.change.revision, ++after_);
        ASSERT_LE(at_, entry.at);
        at_ = entry.at;
        take(entry);
      }
      ASSERT_EQ(trailed.through, after_);
      revision = trailed.revision;
    }
  }

  [[nodiscard]] std::map<std::string, std::string> keys_of(KeyspaceId space, Stamp now) {
    std::map<std::string, std::string> kept;
    for (const auto& [key, item] : items_[space]) {
      if (item.expires > now) {
        kept[key] = text_of(item);
      }
    }
    return kept;
  }

 private:
  void take(const Trailed::Entry& entry) {
    auto& keys = items_[entry.keyspace];
    const std::string key(entry.change.key);
    if (entry.change.kind == Change::Kind::kPut) {
      const std::string& value = values_.emplace_back(entry.change.value);
      keys[key] = {.value = value, .version = entry.change.version, .expires = entry.expires};
    } else if (entry.change.kind == Change::Kind::kTouch) {
      ASSERT_EQ(keys.at(key).version, entry.change.version);
      keys.at(key).expires = entry.expires;
    } else if (entry.change.kind <= Change::Kind::kExpire) {
      ASSERT_EQ(keys.erase(key), 1u);
    }
  }

  std::map<KeyspaceId, std::map<std::string, Item>> items_;
  Revision after_;
  Stamp at_;
  std::deque<std::string> values_;
};

TEST(kv_model, the_changes_of_a_trail_make_the_state) {
  size_t compared = 0;
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    Story story(seed);
    const std::unique_ptr<Hosted> machine = host<State>();
    Archivist archivist;
    for (uint64_t index = 1; index <= 1'000; ++index) {
      std::string answer;
      machine->apply(story.next(), {story.now(), Index(index)}, &answer);
      if (index % 10 != 0) {
        continue;
      }
      archivist.read(*machine, story.now());
      for (uint32_t space = 0; space < 3; ++space) {
        const auto kept = archivist.keys_of(KeyspaceId(space), story.now());
        ASSERT_EQ(kept, keys_of(*machine, KeyspaceId(space), story.now())) << "seed " << seed;
        compared += kept.size();
      }
    }
  }
  EXPECT_GT(compared, 10'000u);
}

// What an index finds is what a walk over all keys finds, after any history.
TEST(kv_model, an_index_finds_what_a_walk_finds) {
  size_t found = 0;
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    Story story(seed);
    State state;
    (void)state.apply(Command(CreateIndex{{}, "numbers", "a", false}), {kBegin, Index(1)});
    for (uint64_t index = 2; index <= 600; ++index) {
      const std::string body = story.next();
      const Result<Command> command = State::decode_command(body);
      ASSERT_TRUE(command.ok());
      (void)state.apply(*command, {story.now(), Index(index)});
      if (index % 50 != 0) {
        continue;
      }
      std::string three;
      ASSERT_TRUE(append_ordered(parse_scalar("3"), three));
      const std::string end = prefix_end(three);
      std::vector<std::string> expected;
      const Answer page = state.query(Query(Scan{}), story.now());
      for (const Item& item : std::get<Page>(page).items) {
        if (find_field(item.value, "a").text == "3") {
          expected.emplace_back(item.key);
        }
      }
      const Answer hits =
          state.query(Query(Find{.index = "numbers", .begin = three, .end = end}), story.now());
      std::vector<std::string> keys;
      for (const Hit& hit : std::get<Hits>(hits).hits) {
        keys.emplace_back(hit.item.key);
      }
      ASSERT_EQ(keys, expected) << "seed " << seed << " index " << index;
      found += keys.size();
      state.check_invariants();
    }
  }
  EXPECT_GT(found, 100u);
}

}  // namespace
}  // namespace quorate::service::kv
