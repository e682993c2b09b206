// SPDX-License-Identifier: Apache-2.0
// The bytes of commands and answers: what goes in comes out, any bytes do no harm, and the bytes of
// version 0 stay what they are.
#include "service/lock/commands.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/codec.h"
#include "base/limits.h"
#include "base/prng.h"
#include "service/lock/answers.h"
#include "service/lock/state.h"

namespace quorate::service::lock {
namespace {

const OwnerRef kWho{DomainId(300), "o"};

std::vector<Command> commands() {
  return {Open{kWho, Duration::seconds(5)},
          Renew{kWho},
          Close{kWho},
          Acquire{kWho, {{.name = "x"}}, {}, Duration::seconds(9)},
          Acquire{kWho,
                  {{.name = "x", .mode = Mode::kShared},
                   {.name = std::string_view("\0y", 2), .mode = Mode::kPermits, .permits = 2,
                    .limit = 300}},
                  Duration::millis(1'500),
                  {}},
          Upgrade{kWho, "x", Duration::seconds(1)},
          Downgrade{kWho, "x"},
          Release{kWho, "x", 0, Token(1u << 20)},
          Cancel{kWho, Ticket(7)},
          Break{DomainId(1), "x", ""},
          Break{DomainId(1), "x", "o"},
          ExpireDue{Stamp::from_micros(5),
                    9,
                    {{kWho, Duration::seconds(1)}, {{DomainId(), "p"}, {}}}},
          Resolve{kWho, Ticket(8), "o waits for x of p, p waits for y of o"}};
}

std::vector<Query> queries() {
  return {WaitOf{kWho}, Info{DomainId(2), "x"}, List{DomainId(), "p", "q", 4}, OwnerOf{kWho, "x"},
          Stats{}, Heartbeat{{kWho, {DomainId(), "p"}}}, Edges{{"o", "p"}}};
}

std::vector<Answer> answers() {
  const Stamp end = Stamp::from_micros(99);
  const WaitStatus wait{WaitState::kTimedOut, Ticket(4), Token(5), 6, end, end, "c"};
  return {Status(Code::kDeadlock, "a waits for x of a"),
          Owned{OwnerNumber(3), true, end},
          Closed{4},
          Acquired{.granted = true, .token = Token(300), .lease_end = end},
          Acquired{.ticket = Ticket(2), .ahead = 1, .deadline = end, .lease_end = end},
          Released{2},
          Cancelled{true},
          Broken{3},
          Expired{1, 2},
          wait,
          LockDetails{5, 4, 1, 1, {{"o", Mode::kPermits, 4, Token(8), end}},
                      {{"p", Mode::kExclusive, 0, true, Ticket(9), end, end}}},
          LockPage{{{"x", Mode::kExclusive, 0, 0, 1, 2, "a", Token(7)}}, true},
          OwnerDetails{OwnerNumber(1), Duration::seconds(2), true, 1,
                       {{"x", Mode::kShared, 2, Token(3)}}, wait, {"y", "z"}},
          Usage{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11},
          Alive{{{OwnerNumber(3), end}, {}}},
          Graph{{{kWho, Ticket(2), end, {{"x", 0, 0, {{"p", 0}}}, {"s", 1, 2, {{"q", 2}}}}}},
                true}};
}

template <class T>
std::string bytes_of(const T& value) {
  std::string bytes;
  encode(value, bytes);
  return bytes;
}

std::string hex(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) {
    constexpr char kDigits[] = "0123456789abcdef";
    text += kDigits[static_cast<uint8_t>(byte) >> 4];
    text += kDigits[static_cast<uint8_t>(byte) & 15];
  }
  return text;
}

TEST(lock_codec, commands_survive_and_a_cut_is_seen) {
  for (const Command& command : commands()) {
    const std::string bytes = bytes_of(command);
    const Result<Command> back = decode_command(bytes);
    ASSERT_TRUE(back.ok()) << command.index() << " " << back.status().to_string();
    EXPECT_EQ(*back, command) << command.index();
    for (size_t cut = 0; cut < bytes.size(); ++cut) {
      EXPECT_FALSE(decode_command(bytes.substr(0, cut)).ok());
    }
    EXPECT_FALSE(decode_command(bytes + "x").ok());
  }
}

TEST(lock_codec, queries_survive_and_a_cut_is_seen) {
  for (const Query& query : queries()) {
    const std::string bytes = bytes_of(query);
    const Result<Query> back = decode_query(bytes);
    ASSERT_TRUE(back.ok()) << query.index();
    EXPECT_EQ(*back, query) << query.index();
    for (size_t cut = 0; cut < bytes.size(); ++cut) {
      EXPECT_FALSE(decode_query(bytes.substr(0, cut)).ok());
    }
  }
}

TEST(lock_codec, answers_survive_and_a_cut_is_seen) {
  for (const Answer& answer : answers()) {
    const std::string bytes = bytes_of(answer);
    EXPECT_EQ(decode_answer(bytes), answer) << answer.index();
    if (std::holds_alternative<Status>(answer)) {
      continue;   // the rest of a refusal is its message
    }
    for (size_t cut = 0; cut < bytes.size(); ++cut) {
      const Answer back = decode_answer(std::string_view(bytes).substr(0, cut));
      ASSERT_TRUE(std::holds_alternative<Status>(back));
      EXPECT_EQ(std::get<Status>(back).code(), Code::kCorrupted);
    }
  }
}

// These stand in logs and snapshots of the past.
TEST(lock_codec, the_bytes_of_version_0_stay) {
  const OwnerRef who{DomainId(), "o"};
  const Duration second = Duration::seconds(1);
  EXPECT_EQ(hex(bytes_of(Command(Open{who, second}))), "0000016fc0843d");
  EXPECT_EQ(hex(bytes_of(Command(Acquire{who, {{.name = "x"}}, {}, second}))),
            "0300016f0101780100c0843d");
  EXPECT_EQ(hex(bytes_of(Command(Release{.who = who, .name = "x"}))), "0600016f01780100");
  EXPECT_EQ(hex(bytes_of(Command(ExpireDue{Stamp::from_micros(1), 2, {}}))),
            "0901000000000000000200");
  EXPECT_EQ(hex(bytes_of(Query(WaitOf{who}))), "0000016f");
  EXPECT_EQ(hex(bytes_of(Answer(Acquired{.granted = true, .token = Token(5)}))),
            "00030105" "0000000000000000");
}

std::string noise(Prng& prng) {
  std::string bytes(prng.below(80), 0);
  for (char& byte : bytes) {
    byte = static_cast<char>(prng.below(prng.chance(2, 3) ? 16 : 256));
  }
  return bytes;
}

TEST(lock_codec, any_bytes_do_no_harm) {
  Prng prng(1);
  State state;
  uint64_t applied = 0;
  for (int round = 0; round < 50'000; ++round) {
    std::string bytes = noise(prng);
    if (prng.chance(1, 2)) {
      const std::vector<Command> all = commands();
      bytes = bytes_of(all[prng.below(all.size())]);
      bytes[prng.below(bytes.size())] = static_cast<char>(prng.below(256));
    }
    (void)decode_answer(bytes);
    const Moment moment{Stamp::from_micros(round), Index(static_cast<uint64_t>(round) + 1)};
    if (const Result<Command> command = decode_command(bytes); command.ok()) {
      (void)state.apply(*command, moment);
      ++applied;
    }
    if (const Result<Query> query = decode_query(bytes); query.ok()) {
      (void)state.query(*query, moment.at);
    }
  }
  EXPECT_GT(applied, 1'000u);
  state.check_invariants();
}

struct LimitRow {
  const char* what;
  Command command;
  Code code;
};

TEST(lock_codec, what_is_over_a_limit_is_refused) {
  const std::string name(limits::kLockNameBytesMax, 'n');
  const std::string long_name(limits::kLockNameBytesMax + 1, 'n');
  const std::string long_owner(limits::kNameBytesMax + 1, 'o');
  const Duration second = Duration::seconds(1);
  std::vector<std::string> names;
  Acquire many{kWho, {}, {}, second};
  for (size_t number = 0; number <= limits::kLockItemsMax; ++number) {
    names.push_back("n" + std::to_string(number));
  }
  for (const std::string& each : names) {
    many.items.push_back({.name = each});
  }
  const auto semaphore = [](uint64_t permits, uint64_t limit) {
    return Acquire{
        kWho, {{.name = "s", .mode = Mode::kPermits, .permits = permits, .limit = limit}}, {}, {}};
  };
  const LimitRow rows[] = {
      {"the greatest name", Downgrade{kWho, name}, Code::kOk},
      {"a name too long", Downgrade{kWho, long_name}, Code::kTooLarge},
      {"no name", Downgrade{kWho, ""}, Code::kInvalidArgument},
      {"an owner too long", Renew{{DomainId(), long_owner}}, Code::kTooLarge},
      {"no owner", Renew{}, Code::kInvalidArgument},
      {"a domain too great", Renew{{DomainId(limits::kKeyspacesMax + 1), "o"}},
       Code::kInvalidArgument},
      {"a lease too short", Open{kWho, Duration::millis(999)}, Code::kInvalidArgument},
      {"a lease too long", Open{kWho, Duration::seconds(86'401)}, Code::kInvalidArgument},
      {"a wait too long", Upgrade{kWho, "x", Duration::seconds(86'401)}, Code::kInvalidArgument},
      {"a wait into the past", Upgrade{kWho, "x", Duration::micros(-1)}, Code::kInvalidArgument},
      {"too many locks", many, Code::kTooLarge},
      {"no locks", Acquire{kWho, {}, {}, second}, Code::kInvalidArgument},
      {"permits of a lock", Acquire{kWho, {{.name = "x", .permits = 1}}, {}, {}},
       Code::kInvalidArgument},
      {"all permits", semaphore(3, 3), Code::kOk},
      {"more permits than there are", semaphore(4, 3), Code::kInvalidArgument},
      {"no permits", semaphore(0, 3), Code::kInvalidArgument},
      {"a semaphore too great", semaphore(1, limits::kLockPermitsMax + 1), Code::kInvalidArgument},
  };
  for (const LimitRow& row : rows) {
    EXPECT_EQ(validate(row.command).code(), row.code) << row.what;
  }
}

}  // namespace
}  // namespace quorate::service::lock
