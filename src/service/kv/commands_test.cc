// SPDX-License-Identifier: Apache-2.0
// The bytes of commands and answers: what goes in comes out, any bytes do no harm, and the bytes of
// version 0 stay what they are.
#include "service/kv/commands.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/codec.h"
#include "base/limits.h"
#include "base/prng.h"
#include "service/kv/answers.h"
#include "service/kv/state.h"

namespace quorate::service::kv {
namespace {

std::vector<Command> commands() {
  const KeyspaceId space(300);
  return {
      Put{.key = "k", .value = "v"},
      Put{space,
          "k",
          std::string_view("\0x", 2),
          Lifetime::lasting(Duration::seconds(5)),
          {Condition::Kind::kValue, 0, "old"},
          true},
      Put{space,
          "k",
          "",
          Lifetime::until(Stamp::from_millis(77)),
          {Condition::Kind::kVersion, 9, {}},
          false},
      Put{space, "k", "", Lifetime::keep(), {Condition::Kind::kAbsent, 0, {}}, false},
      Delete{space, "k", {Condition::Kind::kModified, 1u << 30, {}}, true},
      Touch{space, "k", Lifetime::lasting(Duration::millis(1)), Touch::When::kIfSooner},
      Touch{space, "k", Lifetime::lasting(Duration::millis(1)), Touch::When::kIfEndingSooner},
      Increment{space, "k", INT64_MIN, Lifetime::keep()},
      Append{space, "k", "more"},
      SetRange{space, "k", 70'000, "x"},
      Copy{space, "k", "t", true, true},
      AddDecimal{space, "k", "-1.5e3"},
      HashWrite{space, "k", HashWrite::Verb::kPut, {"f", "v", "", ""}},
      HashWrite{space, "k", HashWrite::Verb::kPutIfAbsent, {"f", "v"}},
      HashWrite{space, "k", HashWrite::Verb::kDelete, {"f", "g", "h"}},
      HashWrite{space, "k", HashWrite::Verb::kAdd, {"f", "-7"}},
      HashWrite{space, "k", HashWrite::Verb::kAddDecimal, {"f", "0.1"}},
      Put{space, "k", "", {}, {Condition::Kind::kPresentNoHash, 0, {}}, true},
      Touch{space, "k", {}, Touch::When::kIfNoHash},
      PutMany{space, true, {{"a", "1"}, {"b", "2"}}},
      PutMany{space, false, {{"a", "1", Lifetime::keep()}, {"b", "2"}}},
      DeleteMany{space, {"a", "b", "a"}},
      TouchMany{space, Lifetime::lasting(Duration::seconds(1)), {"a"}},
      DeleteRange{space, {"a", "b"}, 12},
      Txn{space,
          {{"k", Compare::What::kValue, Compare::Relation::kLess, 0, "v"},
           {"k", Compare::What::kModified, Compare::Relation::kGreater, 5, {}}},
          {Put{space, "k", "v"}, Get{space, "k", false}, Append{space, "k", "v"}},
          {Increment{space, "k", -1, {}}, Touch{space, "k"}, Delete{space, "k"},
           SetRange{space, "k", 1, "x"}, Copy{space, "k", "t"}, AddDecimal{space, "k", "0.1"},
           HashRead{space, "k", HashRead::Verb::kAll, {}},
           HashWrite{space, "k", HashWrite::Verb::kAdd, {"f", "1"}}}},
      RateLimit{space, "n", 10, 3, Duration::seconds(60), 2},
      ExpireDue{Stamp::from_micros(123), 45},
      SetKeyspace{space, 3, 1'000, 1u << 30},
      SetCompression{space, 4, 1'024},
      CreateIndex{space, "mails", "user.mail", true},
      DropIndex{space, "mails"},
      DropKeyspace{space},
      Tend{99},
      Fenced{{DomainId(3), "report", Token(1u << 20)},
             Put{space, "k", "v", {}, {Condition::Kind::kVersion, 9, {}}, true}},
      Fenced{{DomainId(), "report", Token(1)}, Txn{space, {}, {Get{space, "k", false}}, {}}},
      Fenced{{DomainId(), "r", Token(1)}, DeleteMany{space, {"a", "b"}}},
  };
}

std::vector<Query> queries() {
  const KeyspaceId space(1);
  return {Get{.key = "k"},
          Get{space, "k", false},
          GetMany{space, {"a", "b"}, false},
          Scan{space, {"a", "b"}, true, false, 7, 9},
          Changes{space, "p", Revision(8), 9},
          Stats{space},
          Dump{"after", true, true, Revision(7), 99},
          Find{space, "mails", "b", "e", "a", true, false, 7, 9},
          Indexes{space},
          HashRead{space, "k", HashRead::Verb::kFields, {"a", "b"}},
          HashRead{space, "k", HashRead::Verb::kCount, {}},
          HashRead{space, "k", HashRead::Verb::kMatching, {"a*"}},
          Trail{Revision(9), 5, 6}};
}

std::vector<Answer> answers() {
  const Item item{"k", "v", 3, Revision(1), Revision(9), Stamp::from_micros(5), 1};
  const Item forever{"k", "", 1, Revision(1), Revision(1), Stamp::never(), 99};
  Item forever_key = forever;
  forever_key.key = "key";
  return {Status(Code::kNotFound, "no such key"),
          Found{item},
          Written{Revision(9), 3, 10, item},
          Removed{2, Revision(10), true, forever},
          Touched{1, Stamp::from_micros(7)},
          Counted{-5, Revision(3), 2},
          Stored{10, Revision(500)},
          Items{{item, Item{}, forever}},
          Page{{item, forever}, "k", Revision(4)},
          TxnDone{true,
                  Revision(4),
                  {Status(Code::kTooLarge, "no"), Found{item}, Counted{1, Revision(1), 1},
                   Written{}, Removed{}, Touched{}, Hashed{}}},
          Hashed{-7, Revision(9), {{"f", "v", true}, {"", "", false}}},
          Rated{true, 3, Duration::micros(1), Duration::seconds(100)},
          ChangeList{{{Change::Kind::kPut, Revision(1), "k", "v", 1, "", false},
                      {Change::Kind::kExpire, Revision(2), "k", "", 0, "v", true}},
                     Revision(2),
                     Revision(3)},
          Usage{1, 2, 3, Revision(4), Revision(5), 6, 7, 8},
          Expired{17},
          Settled{3},
          Hits{{{std::string_view("\x20k"), item}, {std::string_view("\x21key"), forever_key}},
               "\x21key",
               Revision(4)},
          IndexList{{{"mails", "user.mail", true, IndexStage::kFailed, 7, "k"}}},
          Dumped{{{KeyspaceId(1), "k", item}, {KeyspaceId(2), "gone", {}}},
                 "k",
                 true,
                 Revision(3),
                 Revision(4),
                 Stamp::from_micros(5)},
          Trailed{{{KeyspaceId(1),
                    {Change::Kind::kTouch, Revision(2), "k", "", 3, "", false},
                    Stamp::from_micros(7),
                    Stamp::from_micros(8)},
                   {KeyspaceId(2),
                    {Change::Kind::kUnindex, Revision(3), "ages", "", 0, "", false},
                    Stamp::from_micros(9),
                    Stamp::never()}},
                  Revision(3),
                  Revision(4),
                  Stamp::from_micros(10)}};
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

TEST(kv_codec, commands_survive_and_a_cut_is_seen) {
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

TEST(kv_codec, queries_survive_and_a_cut_is_seen) {
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

TEST(kv_codec, answers_survive_and_a_cut_is_seen) {
  for (const Answer& answer : answers()) {
    const std::string bytes = bytes_of(answer);
    EXPECT_EQ(decode_answer(bytes), answer) << answer.index();
    for (size_t cut = 0; cut < bytes.size(); ++cut) {
      const Answer back = decode_answer(std::string_view(bytes).substr(0, cut));
      ASSERT_TRUE(std::holds_alternative<Status>(back));
      EXPECT_EQ(std::get<Status>(back).code(), Code::kCorrupted);
    }
  }
}

TEST(kv_codec, the_short_ways_give_the_same_bytes) {
  const Put put{.key = "k", .value = "v", .lifetime = Lifetime::keep()};
  const Get get{.key = "k"};
  EXPECT_EQ(bytes_of(put), bytes_of(Command(put)));
  EXPECT_EQ(bytes_of(get), bytes_of(Query(get)));
}

// These stand in logs and snapshots of the past.
TEST(kv_codec, the_bytes_of_version_0_stay) {
  EXPECT_EQ(hex(bytes_of(Command(Put{.key = "k", .value = "v"}))), "0000016b0176000000");
  EXPECT_EQ(hex(bytes_of(Command(Delete{.key = "k"}))), "0100016b0000");
  EXPECT_EQ(hex(bytes_of(Command(Increment{.key = "k", .delta = -2}))), "0300016b0301");
  EXPECT_EQ(hex(bytes_of(Command(PutMany{.items = {{"a", "1"}}}))), "060000010001016101" "31");
  EXPECT_EQ(hex(bytes_of(Command(ExpireDue{Stamp::from_micros(1), 2}))), "0c010000000000000002");
  EXPECT_EQ(hex(bytes_of(Query(Get{.key = "k"}))), "0000016b01");
  EXPECT_EQ(hex(bytes_of(Answer(Written{Revision(5), 1, 3, {}}))), "0002050103" "00");
  EXPECT_EQ(hex(bytes_of(Answer(Status(Code::kNotFound, "x")))), "010178");
}

std::string noise(Prng& prng) {
  std::string bytes(prng.below(80), 0);
  for (char& byte : bytes) {
    byte = static_cast<char>(prng.below(prng.chance(2, 3) ? 16 : 256));
  }
  return bytes;
}

// Beside the state by itself two that are hosted: of one the answers are heard, of the other not.
TEST(kv_codec, any_bytes_do_no_harm_and_are_the_same_to_every_replica) {
  Prng prng(1);
  State state;
  HostedMachine<State> heard;
  HostedMachine<State> unheard;
  uint64_t applied = 0;
  for (int round = 0; round < 100'000; ++round) {
    std::string bytes = noise(prng);
    if (prng.chance(1, 2)) {
      const std::vector<Command> all = commands();
      bytes = bytes_of(all[prng.below(all.size())]);
      bytes[prng.below(bytes.size())] = static_cast<char>(prng.below(256));
    }
    (void)decode_answer(bytes);
    const Moment moment{Stamp::from_micros(round), Index(static_cast<uint64_t>(round) + 1)};
    std::string answer;
    std::string expected;
    for (int step = 0; step < 3; ++step) {
      heard.prefetch_self(step);
    }
    heard.prefetch_more(heard.prefetch(bytes));
    heard.apply(bytes, moment, &answer);
    unheard.apply(bytes, moment, nullptr);
    const Result<Command> command = decode_command(bytes);
    Put put;
    const bool is_put = command.ok() && std::holds_alternative<Put>(*command);
    ASSERT_EQ(decode(bytes, put), is_put);
    if (command.ok()) {
      ASSERT_TRUE(!is_put || put == std::get<Put>(*command));
      encode(state.apply(*command, moment), expected);
      ASSERT_EQ(answer, expected);
      ++applied;
    }
    if (const Result<Query> query = decode_query(bytes); query.ok()) {
      (void)state.query(*query, moment.at);
    }
  }
  EXPECT_GT(applied, 1'000u);
  state.check_invariants();
  EXPECT_EQ(heard.digest(), state.digest());
  EXPECT_EQ(unheard.digest(), state.digest());
}

TEST(kv_codec, a_count_cannot_ask_for_more_memory_than_it_sent) {
  std::string bytes;
  Writer writer(bytes);
  writer.u8(7);             // delete_many
  writer.varint(0);
  writer.varint(limits::kBatchItemsMax + 1);
  bytes.append(20'000, '\0');
  EXPECT_FALSE(decode_command(bytes).ok());
}

struct LimitRow {
  const char* what;
  Command command;
  Code code;
};

TEST(kv_codec, what_is_over_a_limit_is_refused) {
  const std::string key(limits::kKeyBytesMax, 'k');
  const std::string long_key(limits::kKeyBytesMax + 1, 'k');
  const std::string value(limits::kValueBytesMax, 'v');
  const std::string long_value(limits::kValueBytesMax + 1, 'v');
  PutMany batch;
  batch.items.assign(limits::kBatchItemsMax, {"k", "v"});
  PutMany long_batch;
  long_batch.items.assign(limits::kBatchItemsMax + 1, {"k", "v"});
  const LimitRow rows[] = {
      {"the greatest key and value", Put{.key = key, .value = value}, Code::kOk},
      {"a key too long", Put{.key = long_key}, Code::kTooLarge},
      {"a value too long", Put{.key = "k", .value = long_value}, Code::kTooLarge},
      {"no key", Put{.value = "v"}, Code::kInvalidArgument},
      {"the greatest batch", batch, Code::kOk},
      {"a batch too long", long_batch, Code::kTooLarge},
      {"an empty batch", DeleteMany{}, Code::kInvalidArgument},
      {"a time to live of nothing",
       Put{.key = "k", .lifetime = Lifetime::lasting(Duration())}, Code::kInvalidArgument},
      {"a keyspace too great",
       Put{.keyspace = KeyspaceId(limits::kKeyspacesMax + 1), .key = "k"}, Code::kInvalidArgument},
      {"a range that reaches too far",
       SetRange{.key = "k", .offset = limits::kValueBytesMax, .value = "x"}, Code::kTooLarge},
  };
  for (const LimitRow& row : rows) {
    EXPECT_EQ(validate(row.command).code(), row.code) << row.what;
  }
}

TEST(kv_codec, the_end_of_a_prefix_is_just_behind_its_keys) {
  EXPECT_EQ(prefix_end("a"), "b");
  EXPECT_EQ(prefix_end("a\xff\xff"), "b");
  EXPECT_EQ(prefix_end("\xff"), "");
  EXPECT_EQ(prefix_end(""), "");
}

}  // namespace
}  // namespace quorate::service::kv
