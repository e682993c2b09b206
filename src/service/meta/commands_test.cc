// SPDX-License-Identifier: Apache-2.0
// Codecs: everything that is encoded is read back the same; anything else is refused.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/prng.h"
#include "service/meta/answers.h"
#include "service/meta/commands.h"

namespace quorate::service::meta {
namespace {

NodeSpec spec(uint32_t id) {
  return {NodeId(id), {"host:900" + std::to_string(id), "host:800", ""}, "rack", 70};
}

Group group() {
  Group group;
  group.id = GroupId(3);
  group.slot_begin = 100;
  group.slot_end = 16384;
  group.birth = {{NodeId(1), Role::kVoter}, {NodeId(2), Role::kWitness}};
  group.wanted = {{NodeId(4), Role::kVoter}};
  group.learners = {NodeId(7)};
  group.preferred = NodeId(4);
  group.epoch = 9;
  group.reported = {Term(5), NodeId(1), Index(77), {{NodeId(1)}, {NodeId(2)}, {NodeId(3)}, {}}};
  return group;
}

std::vector<Command> every_command() {
  return {Bootstrap{{7, 3, true, 5}, 12, {spec(1), spec(2)}},
          AddNode{spec(4), NodeId(2)},
          ActivateNode{NodeId(4)},
          SetNodeAddresses{NodeId(4), {"a:1", "b:2", "c:3"}},
          SetNodeWeight{NodeId(4), 200},
          DrainNode{NodeId(4), true},
          ResumeNode{NodeId(4)},
          RemoveNode{NodeId(4), true},
          ReplaceNode{NodeId(4), NodeId(5)},
          SetNodeDead{NodeId(4), true},
          SetReplication{5},
          ReportGroups{{{GroupId(3), group().reported}, {GroupId(0), group().reported}}},
          Rebalance{},
          CreateObject{ServiceId::kQueue, "jobs", 12, std::string("\0opt", 4)},
          DeleteObject{ServiceId::kLock, "leader"},
          PutPrincipal{{PrincipalKind::kToken, "t1", "hash", {{ServiceId::kKv, "a/", 3}}, Stamp()}},
          DeletePrincipal{PrincipalKind::kUser, "u"},
          ChangeObject{ServiceId::kKv, "users", 7, "old", "new", true}};
}

std::vector<Query> every_query() {
  return {GetMap{12}, GetObject{ServiceId::kKv, "a"}, ListObjects{ServiceId::kTask, "b", 7},
          GetPrincipal{PrincipalKind::kToken, "t"}, ListPrincipals{PrincipalKind::kUser, "", 9}};
}

std::vector<Success> every_success() {
  Map map;
  map.settings.cluster_id = 1;
  map.nodes.resize(2);
  map.groups = {group()};
  const Object object{ServiceId::kQueue, "q", 4, {GroupId(1), GroupId(2)}, "o", Stamp()};
  const Principal principal{PrincipalKind::kUser, "u", "h", {{ServiceId::kNode, "", 7}}, Stamp()};
  return {Done{4},
          Added{NodeId(4), 77, 5},
          Placed{9, 3, 6},
          ObjectFound{object},
          ObjectList{{object, object}, true},
          PrincipalFound{principal},
          PrincipalList{{principal}, false},
          MapUnchanged{8},
          MapFound{map}};
}

TEST(meta_codec, every_command_comes_back_as_it_was) {
  const std::vector<Command> commands = every_command();
  ASSERT_EQ(commands.size(), std::variant_size_v<Command>);
  for (size_t i = 0; i < commands.size(); ++i) {
    EXPECT_EQ(commands[i].index(), i) << "the numbers are in the log";
    const Result<Command> decoded = decode_command(encode_command(commands[i]));
    ASSERT_TRUE(decoded.ok()) << i;
    EXPECT_EQ(*decoded, commands[i]) << i;
  }
}

TEST(meta_codec, every_query_and_answer_comes_back_as_it_was) {
  const std::vector<Query> queries = every_query();
  ASSERT_EQ(queries.size(), std::variant_size_v<Query>);
  for (const Query& query : queries) {
    EXPECT_EQ(*decode_query(encode_query(query)), query);
  }
  const std::vector<Success> answers = every_success();
  ASSERT_EQ(answers.size(), std::variant_size_v<Success>);
  for (size_t i = 0; i < answers.size(); ++i) {
    EXPECT_EQ(answers[i].index(), i);
    std::string bytes;
    encode_answer(answers[i], bytes);
    EXPECT_EQ(*decode_answer(bytes), answers[i]);
  }
  std::string refusal;
  encode_answer(Status(Code::kNotFound, "no"), refusal);
  EXPECT_EQ(decode_answer(refusal).status(), Status(Code::kNotFound, "no"));
}

// What lies in logs may not change its meaning: version 1, AddNode, id 4, three addresses, label,
// weight 70, replaces 2.
TEST(meta_codec, the_bytes_of_version_one_stay) {
  EXPECT_EQ(encode_command(AddNode{{NodeId(4), {"a:1", "b:2", ""}, "r", 70}, NodeId(2)}),
            std::string("\x01\x02\x04\x03"
                        "a:1\x03"
                        "b:2\x00\x01"
                        "rF\x02",
                        16));
}

TEST(meta_codec, a_cut_or_lengthened_command_is_refused) {
  for (const Command& command : every_command()) {
    const std::string bytes = encode_command(command);
    for (size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_FALSE(decode_command(bytes.substr(0, size)).ok());
    }
    EXPECT_EQ(decode_command(bytes + '\0').status().code(), Code::kInvalidArgument);
  }
}

TEST(meta_codec, another_version_is_refused) {
  std::string bytes = encode_command(Rebalance{});
  bytes[0] = static_cast<char>(kFormatVersion + 1);
  EXPECT_FALSE(decode_command(bytes).ok());
}

TEST(meta_codec, enumerators_and_tags_that_are_not_known_are_refused) {
  for (const std::string_view bytes :
       {std::string_view("\x01\x00", 2), std::string_view("\x01\x12"),
        std::string_view("\x01\xff")}) {
    EXPECT_FALSE(decode_command(bytes).ok());
  }
  std::string bytes = encode_command(DeletePrincipal{PrincipalKind::kUser, "u"});
  for (const char kind : {'\0', '\3', '\x7f'}) {
    bytes[2] = kind;
    EXPECT_FALSE(decode_command(bytes).ok());
  }
}

// What decodes must encode to something that decodes to the same; no byte string may do worse.
TEST(meta_codec, damaged_bytes_never_crash_and_what_decodes_is_stable) {
  Prng prng(7);
  const std::vector<Command> commands = every_command();
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes = encode_command(commands[prng.below(commands.size())]);
    for (uint64_t flips = 1 + prng.below(4); flips > 0; --flips) {
      bytes[prng.below(bytes.size())] = static_cast<char>(prng.next());
    }
    const Result<Command> first = decode_command(bytes);
    if (first.ok()) {
      const Result<Command> second = decode_command(encode_command(*first));
      ASSERT_TRUE(second.ok());
      EXPECT_EQ(*first, *second);
    }
  }
}

TEST(meta_codec, a_huge_count_allocates_nothing) {
  std::string bytes = "\x01\x0c";  // ReportGroups
  Writer(bytes).varint(uint64_t{1} << 60);
  EXPECT_FALSE(decode_command(bytes).ok());
}

}  // namespace
}  // namespace quorate::service::meta
