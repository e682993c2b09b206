// SPDX-License-Identifier: Apache-2.0
// Batches, the dedup gate and the group's image, with a machine that counts what reaches it.
#include "service/group_machine.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "base/limits.h"
#include "base/mutant.h"
#include "base/prng.h"

namespace quorate::service {
namespace {

// The mutation table runs this binary once per deliberate bug.
[[maybe_unused]] const bool kMutantIsSet = [] {
  const char* const name = std::getenv("QUORATE_MUTANT");
  set_mutant(name == nullptr ? "" : name);
  return true;
}();

// Appends each command to a log; answers "<how many>:<command>". "long" is answered at length.
class Journal {
 public:
  using Command = std::string_view;
  using Query = std::string_view;
  struct Answer {
    Answer(Status refusal) : status(std::move(refusal)) {}  // NOLINT: the concept asks for it
    explicit Answer(std::string said) : text(std::move(said)) {}
    Status status;
    std::string text;
  };

  static Result<Command> decode_command(std::string_view bytes) {
    if (bytes.starts_with("bad")) {
      return Status(Code::kInvalidArgument, "not a word for the journal");
    }
    return bytes;
  }
  static Result<Query> decode_query(std::string_view bytes) { return bytes; }
  static void encode_answer(const Answer& answer, std::string& out) {
    encode_status(answer.status, out);
    out += answer.text;
  }

  Answer apply(Command command, const Moment&) {
    ++count_;
    table_.put(std::to_string(count_), command);
    return Answer(command == "long" ? std::string(limits::kSessionAnswerBytesMax + 1, 'x')
                                    : std::to_string(count_) + ":" + std::string(command));
  }
  [[nodiscard]] Answer query(Query, Stamp) const { return Answer(std::to_string(count_)); }
  [[nodiscard]] Stamp next_due() const { return Stamp::never(); }
  [[nodiscard]] std::string due_command(Stamp) const { return {}; }
  [[nodiscard]] std::unique_ptr<SnapshotSource> freeze() { return table_.freeze(); }
  void restore_begin() { table_.restore_begin(); }
  [[nodiscard]] Status restore_piece(std::string_view piece) { return table_.restore_piece(piece); }
  [[nodiscard]] Status restore_end() {
    RETURN_IF_ERROR(table_.restore_end());
    count_ = table_.size();
    return Status::success();
  }
  [[nodiscard]] uint64_t digest() const { return table_.digest(); }
  void check_invariants() const { table_.check_invariants(); }
  [[nodiscard]] size_t memory_bytes() const { return table_.memory_bytes(); }

  void prefetch_self(int step) const { fetched += "self" + std::to_string(step) + " "; }
  [[nodiscard]] uint64_t prefetch(std::string_view command) const {
    fetched += std::string(command) + " ";
    return command.size();
  }
  void prefetch_more(uint64_t hint) const { fetched += "more" + std::to_string(hint) + " "; }
  mutable std::string fetched;  // what was asked for, ahead

 private:
  Table table_;
  uint64_t count_ = 0;
};
static_assert(Machine<Journal>);

Registry journal_registry() {
  Registry registry;
  registry.add(ServiceId::kKv, [] { return host<Journal>(); });
  return registry;
}

// Applies one command per entry and shows what came back.
class Group final : public AnswerSink {
 public:
  Group() : machine(journal_registry(), GroupId(1)) {}

  std::string apply(const BatchCommand& command) {
    BatchWriter batch;
    batch.add(command);
    EXPECT_TRUE(machine.apply(batch.take(), {now, ++index}, this).ok());
    return last;
  }
  std::string word(std::string_view word, SessionId session = {}, uint64_t sequence = 0) {
    return apply({.service = ServiceId::kKv,
                  .session = session,
                  .sequence = sequence,
                  .body = word});
  }
  std::string keyed(std::string_view word, std::string_view key) {
    return apply({.service = ServiceId::kKv, .key = CommandKey::of(key), .body = word});
  }
  Result<SessionLease> node(const NodeCommand& command) {
    const std::string body = encode(command);
    apply({.service = ServiceId::kNode, .body = body});
    return decode_session_lease(answer);
  }
  SessionId open(Duration ttl = Duration::seconds(10)) { return node(OpenSession{ttl})->id; }
  void run_due() {
    BatchWriter batch;
    machine.add_due_commands(now, batch);
    if (!batch.empty()) {
      EXPECT_TRUE(machine.apply(batch.take(), {now, ++index}, nullptr).ok());
    }
  }

  void on_answer(size_t, const Status& status, std::string_view bytes) override {
    ++answers;
    answer = bytes;
    if (!status.ok()) {
      last = status.to_string();
      return;
    }
    Reader reader(bytes);
    const Status said = decode_status(reader);
    last = said.ok() ? std::string(reader.rest()) : said.to_string();
  }

  GroupMachine machine;
  Stamp now = Stamp::from_millis(1'000'000);
  Index index;
  std::string answer;
  std::string last;
  size_t answers = 0;
};

std::string image_of(GroupMachine& machine, size_t piece) {
  std::string image;
  const std::unique_ptr<SnapshotSource> source = machine.freeze();
  while (source->next(piece, image)) {
  }
  return image;
}

Status restore(GroupMachine& machine, std::string_view image, Prng& prng) {
  machine.restore_begin();
  while (!image.empty()) {
    const size_t size = std::min<size_t>(1 + prng.below(300), image.size());
    RETURN_IF_ERROR(machine.restore_piece(image.substr(0, size)));
    image.remove_prefix(size);
  }
  return machine.restore_end();
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST(batch, what_is_written_is_read_back) {
  BatchWriter writer;
  const CommandKey key = CommandKey::of("order-17");
  writer.add({.service = ServiceId::kKv, .body = "plain"});
  writer.add({.service = ServiceId::kLock, .session = SessionId(300), .sequence = 7, .body = ""});
  writer.add({.service = ServiceId::kNode, .session = SessionId(1), .key = key, .body = "both"});
  EXPECT_EQ(writer.count(), 3u);
  const std::string payload = writer.take();
  EXPECT_TRUE(writer.empty());
  BatchReader reader(payload);
  BatchCommand command;
  ASSERT_TRUE(reader.next(command));
  EXPECT_EQ(command.service, ServiceId::kKv);
  EXPECT_EQ(command.body, "plain");
  EXPECT_TRUE(command.session.none());
  ASSERT_TRUE(reader.next(command));
  EXPECT_EQ(command.session, SessionId(300));
  EXPECT_EQ(command.sequence, 7u);
  ASSERT_TRUE(reader.next(command));
  EXPECT_EQ(command.key, key);
  EXPECT_FALSE(reader.next(command));
  EXPECT_TRUE(reader.ok());
}

TEST(batch, any_bytes_are_read_without_harm) {
  Prng prng(1);
  for (int round = 0; round < 20'000; ++round) {
    std::string payload(prng.below(60), 0);
    for (char& byte : payload) {
      byte = static_cast<char>(prng.below(prng.chance(1, 2) ? 4 : 256));
    }
    BatchReader reader(payload);
    BatchCommand command;
    size_t bytes = 0;
    while (reader.next(command)) {
      bytes += 1 + command.body.size();
    }
    EXPECT_LE(bytes, payload.size());
  }
}

TEST(batch, a_payload_cut_short_says_so) {
  BatchWriter writer;
  writer.add({.service = ServiceId::kKv, .body = "hello"});
  const std::string payload = writer.take();
  Group group;
  for (size_t cut = 0; cut < payload.size(); ++cut) {
    const Status status = group.machine.apply(payload.substr(0, cut), {}, nullptr);
    EXPECT_EQ(status.ok(), cut == 1) << cut;  // the version alone is an empty batch
  }
}

TEST(group_machine, what_the_next_command_looks_at_is_fetched_in_steps) {
  Group group;
  (void)group.word("first");
  const auto* const journal = typed<Journal>(group.machine.service(ServiceId::kKv));
  ASSERT_NE(journal, nullptr);
  BatchWriter batch;
  batch.add({.service = ServiceId::kKv, .body = "next"});
  const std::string payload = batch.take();
  journal->fetched.clear();
  uint64_t hint = 0;
  for (int step = 0; step < 5; ++step) {
    hint = group.machine.prefetch(step, step < 3 ? std::string_view() : payload, hint);
  }
  EXPECT_EQ(journal->fetched, "self0 self1 self2 next more4 ");
  EXPECT_EQ(group.machine.prefetch(3, "\xff", 0), 0u) << "bytes that are no payload";
}

TEST(node_commands, survive_the_codec_and_any_bytes) {
  const std::vector<NodeCommand> commands = {
      Noop{}, OpenSession{Duration::seconds(30)}, TouchSession{SessionId(9)},
      CloseSession{SessionId(1'000'000)}, ExpireSessions{Stamp::from_micros(12), 34}};
  for (const NodeCommand& command : commands) {
    const Result<NodeCommand> back = decode_node_command(encode(command));
    ASSERT_TRUE(back.ok());
    EXPECT_EQ(back->index(), command.index());
    EXPECT_EQ(encode(*back), encode(command));
    EXPECT_FALSE(decode_node_command(encode(command) + "x").ok());
  }
  Prng prng(2);
  Group group;
  for (int round = 0; round < 10'000; ++round) {
    std::string body(prng.below(20), 0);
    for (char& byte : body) {
      byte = static_cast<char>(prng.below(prng.chance(1, 2) ? 6 : 256));
    }
    group.apply({.service = ServiceId::kNode, .body = body});
  }
  group.machine.check_invariants();
}

TEST(sessions, a_retry_gets_the_first_answer_and_is_not_applied_again) {
  Group group;
  const SessionId session = group.open();
  EXPECT_EQ(group.word("a", session, 1), "1:a");
  EXPECT_EQ(group.word("b", session, 2), "2:b");
  EXPECT_EQ(group.word("a", session, 1), "1:a");
  EXPECT_EQ(group.word("c", session, 3), "3:c");
  group.machine.check_invariants();
}

TEST(sessions, commands_that_overtake_each_other_are_each_run_once) {
  Group group;
  const SessionId session = group.open();
  EXPECT_EQ(group.word("late", session, 5), "1:late");
  EXPECT_EQ(group.word("early", session, 2), "2:early");
  EXPECT_EQ(group.word("early", session, 2), "2:early");
}

TEST(sessions, what_may_have_been_forgotten_is_refused_not_run) {
  Group group;
  const SessionId session = group.open();
  for (uint64_t sequence = 1; sequence <= limits::kSessionAnswersMax + 1; ++sequence) {
    group.word("w", session, sequence);
  }
  EXPECT_TRUE(contains(group.word("w", session, 1), "unknown_outcome"));
  EXPECT_EQ(group.word("w", session, 2), "2:w");
  EXPECT_TRUE(contains(group.word("z", session, 0), "invalid_argument"));
  EXPECT_EQ(group.word("jump", session, uint64_t{1} << 63), "66:jump");
  EXPECT_TRUE(contains(group.word("w", session, 65), "unknown_outcome"));
  group.machine.check_invariants();
}

TEST(sessions, an_answer_too_long_to_keep_is_never_run_twice) {
  Group group;
  const SessionId session = group.open();
  EXPECT_EQ(group.word("long", session, 1).size(), limits::kSessionAnswerBytesMax + 1);
  EXPECT_TRUE(contains(group.word("long", session, 1), "unknown_outcome"));
  EXPECT_EQ(group.word("after", session, 2), "2:after");
}

TEST(sessions, an_unknown_or_closed_session_runs_nothing) {
  Group group;
  EXPECT_TRUE(contains(group.word("a", SessionId(9), 1), "lease_lost"));
  const SessionId session = group.open();
  group.word("a", session, 1);
  EXPECT_FALSE(group.node(CloseSession{session}).ok());  // ok, and no lease
  EXPECT_TRUE(contains(group.word("a", session, 1), "lease_lost"));
  EXPECT_NE(group.open(), session);
  EXPECT_EQ(group.word("b"), "2:b");
  group.machine.check_invariants();
}

TEST(sessions, expire_only_by_command_and_never_while_in_use) {
  Group group;
  const SessionId idle = group.open(Duration::seconds(8));
  const SessionId busy = group.open(Duration::seconds(8));
  EXPECT_EQ(group.machine.next_due(), group.now + Duration::seconds(9));
  for (int second = 0; second < 9; ++second) {
    group.now = group.now + Duration::seconds(1);
    group.word("w", busy, static_cast<uint64_t>(second) + 1);
  }
  EXPECT_TRUE(group.machine.sessions().is_open(idle));   // due, and nobody said so yet
  EXPECT_LE(group.machine.next_due(), group.now);
  group.run_due();
  EXPECT_FALSE(group.machine.sessions().is_open(idle));
  EXPECT_TRUE(group.machine.sessions().is_open(busy));
  EXPECT_TRUE(group.node(TouchSession{busy}).ok());
  EXPECT_EQ(group.node(TouchSession{idle}).status().code(), Code::kLeaseLost);
  group.machine.check_invariants();
}

TEST(sessions, an_expire_command_from_the_future_takes_only_what_is_due_now) {
  Group group;
  const SessionId session = group.open();
  EXPECT_FALSE(group.node(ExpireSessions{Stamp::never(), 1'000}).ok());  // no lease
  EXPECT_TRUE(group.machine.sessions().is_open(session));
}

TEST(keys, a_retry_by_key_is_recognised_until_its_time_is_over) {
  Group group;
  EXPECT_EQ(group.keyed("a", "order-1"), "1:a");
  EXPECT_EQ(group.keyed("a", "order-1"), "1:a");
  EXPECT_EQ(group.keyed("a", "order-2"), "2:a");
  EXPECT_TRUE(contains(group.keyed("other", "order-1"), "invalid_argument"));
  group.now = group.now + Duration::millis(limits::kKeyedAnswerMillis);
  group.run_due();
  EXPECT_EQ(group.keyed("a", "order-1"), "3:a");
  group.machine.check_invariants();
}

TEST(keys, the_oldest_go_when_there_are_too_many) {
  Group group;
  for (size_t number = 0; number <= limits::kKeyedAnswersMax; ++number) {
    if (number % 50 == 0) {
      group.now = group.now + Duration::millis(1);
    }
    group.keyed("w", std::to_string(number));
  }
  const std::string count = std::to_string(limits::kKeyedAnswersMax);
  EXPECT_EQ(group.keyed("w", count), std::to_string(limits::kKeyedAnswersMax + 1) + ":w");
  size_t again = 0;
  for (size_t number = 0; number < 50; ++number) {
    const std::string text = std::to_string(number);
    again += group.keyed("w", text) != std::to_string(number + 1) + ":w" ? 1 : 0;
  }
  EXPECT_GE(again, 1u);
}

TEST(group_machine, refusals_of_a_machine_are_kept_like_any_answer) {
  Group group;
  const SessionId session = group.open();
  EXPECT_TRUE(contains(group.word("bad", session, 1), "invalid_argument"));
  EXPECT_TRUE(contains(group.word("good", session, 1), "not a word"));
}

TEST(group_machine, a_service_that_is_not_here_is_refused) {
  Group group;
  EXPECT_TRUE(contains(group.apply({.service = ServiceId::kLock, .body = "x"}), "no such service"));
  EXPECT_EQ(group.machine.service(ServiceId::kLock), nullptr);
  std::string answer;
  EXPECT_FALSE(group.machine.query(ServiceId::kLock, "", group.now, answer).ok());
}

TEST(group_machine, the_typed_machine_is_found_behind_its_host) {
  Group group;
  EXPECT_NE(typed<Journal>(group.machine.service(ServiceId::kKv)), nullptr);
  EXPECT_EQ(typed<Journal>(nullptr), nullptr);
}

TEST(group_machine, meta_lives_in_group_zero_alone_and_alone) {
  Registry registry = journal_registry();
  registry.add(ServiceId::kMeta, [] { return host<Journal>(); });
  const GroupMachine meta(registry, GroupId(0));
  const GroupMachine data(registry, GroupId(1));
  EXPECT_NE(meta.service(ServiceId::kMeta), nullptr);
  EXPECT_EQ(meta.service(ServiceId::kKv), nullptr);
  EXPECT_EQ(data.service(ServiceId::kMeta), nullptr);
  EXPECT_NE(data.service(ServiceId::kKv), nullptr);
}

// A retry must be recognised by a replica that got its state as a snapshot.
TEST(group_machine, a_restored_replica_knows_the_answers_and_goes_on_alike) {
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    Prng prng(seed);
    Group group;
    const SessionId session = group.open();
    uint64_t sequence = 0;
    for (uint64_t step = prng.below(200); step > 0; --step) {
      group.word("w" + std::to_string(step), session, ++sequence);
      group.keyed("k", "key" + std::to_string(prng.below(50)));
    }
    Group other;
    const uint64_t digest = group.machine.digest();
    ASSERT_TRUE(restore(other.machine, image_of(group.machine, 1 + prng.below(500)), prng).ok());
    EXPECT_EQ(other.machine.digest(), digest);
    other.machine.check_invariants();
    other.now = group.now;
    other.index = group.index;
    EXPECT_EQ(other.machine.next_due(), group.machine.next_due());
    for (uint64_t retry = sequence > 5 ? sequence - 5 : 1; retry <= sequence + 1; ++retry) {
      EXPECT_EQ(group.word("w", session, retry), other.word("w", session, retry));
    }
    EXPECT_EQ(group.keyed("k", "key1"), other.keyed("k", "key1"));
    EXPECT_EQ(other.machine.digest(), group.machine.digest());
    EXPECT_EQ(image_of(other.machine, 100), image_of(group.machine, 100));
  }
}

TEST(group_machine, an_image_is_of_one_moment_over_all_parts) {
  Prng prng(5);
  Group group;
  const SessionId session = group.open();
  for (uint64_t sequence = 1; sequence <= 100; ++sequence) {
    group.word("w", session, sequence);
  }
  const uint64_t digest = group.machine.digest();
  std::string image;
  {
    const std::unique_ptr<SnapshotSource> source = group.machine.freeze();
    uint64_t sequence = 100;
    while (source->next(64, image)) {
      group.word("later", session, ++sequence);
    }
  }
  Group other;
  ASSERT_TRUE(restore(other.machine, image, prng).ok());
  EXPECT_EQ(other.machine.digest(), digest);
}

TEST(group_machine, a_damaged_image_is_refused_and_leaves_nothing) {
  Prng prng(7);
  Group group;
  const SessionId session = group.open();
  group.word("w", session, 1);
  const std::string image = image_of(group.machine, 50);
  Group other;
  const uint64_t empty = other.machine.digest();
  for (size_t cut = 0; cut < image.size(); ++cut) {
    EXPECT_FALSE(restore(other.machine, image.substr(0, cut), prng).ok());
    EXPECT_EQ(other.machine.digest(), empty);
  }
  for (size_t at = 0; at < image.size() * 8; ++at) {
    std::string bad = image;
    bad[at / 8] ^= static_cast<char>(1 << at % 8);
    EXPECT_FALSE(restore(other.machine, bad, prng).ok()) << at;
    EXPECT_EQ(other.machine.digest(), empty);
  }
  EXPECT_TRUE(restore(other.machine, image, prng).ok());
}

}  // namespace
}  // namespace quorate::service
