// SPDX-License-Identifier: Apache-2.0
// What holds for any history of the machine.
#include <gtest/gtest.h>

#include <memory>

#include "base/limits.h"
#include "base/prng.h"
#include "service/meta/image_testing.h"
#include "service/meta/state.h"
#include "service/registry.h"

namespace quorate::service::meta {
namespace {

Command random_command(Prng& prng) {
  const auto node = [&] { return NodeId(static_cast<uint32_t>(prng.below(12))); };
  switch (prng.below(16)) {
    case 0:
    case 1: {
      NodeSpec spec;
      spec.id = prng.chance(1, 2) ? NodeId() : node();
      spec.addresses.raft = "h" + std::to_string(prng.below(14)) + ":900";
      return AddNode{spec, prng.chance(1, 3) ? node() : NodeId()};
    }
    case 2:
    case 3: return ActivateNode{node()};
    case 4: return SetNodeWeight{node(), static_cast<uint32_t>(prng.below(4) * 50)};
    case 5: return DrainNode{node(), prng.chance(1, 2)};
    case 6: return ResumeNode{node()};
    case 7: return RemoveNode{node(), prng.chance(1, 3)};
    case 8: return ReplaceNode{node(), node()};
    case 9: return SetNodeDead{node(), prng.chance(1, 2)};
    case 10: return SetReplication{static_cast<uint32_t>(prng.below(7))};
    case 11: return Rebalance{};
    case 12: {
      GroupReport report{GroupId(static_cast<uint32_t>(prng.below(6))),
                         {Term(prng.below(20)), node(), Index(prng.below(40)), {}}};
      for (uint32_t voter = 1; voter < 10; ++voter) {
        if (prng.chance(1, 3)) {
          report.reported.members.voters.emplace_back(voter);
        }
      }
      return ReportGroups{{report}};
    }
    case 13:
      return CreateObject{ServiceId::kKv, "o" + std::to_string(prng.below(40)),
                          static_cast<uint32_t>(prng.below(9)), "x"};
    case 14:
      return prng.chance(1, 2)
                 ? Command(DeleteObject{ServiceId::kKv, "o" + std::to_string(prng.below(40))})
                 : Command(ChangeObject{ServiceId::kKv, "o" + std::to_string(prng.below(40)),
                                        prng.below(60), "x", "x", prng.chance(1, 4)});
    default: {
      Principal principal;
      principal.name = "u" + std::to_string(prng.below(9));
      principal.grants = {{ServiceId::kNode, "", static_cast<uint8_t>(prng.below(9))}};
      return PutPrincipal{principal};
    }
  }
}

Bootstrap small_cluster() {
  Bootstrap bootstrap;
  bootstrap.settings.cluster_id = 77;
  bootstrap.groups = 5;
  for (uint32_t node = 1; node <= 3; ++node) {
    NodeSpec spec;
    spec.id = NodeId(node);
    spec.addresses.raft = "h" + std::to_string(node) + ":900";
    bootstrap.nodes.push_back(spec);
  }
  return bootstrap;
}

TEST(meta, replicas_of_any_history_agree_and_keep_the_invariants) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    Prng prng(seed);
    State first;
    State second;
    for (State* state : {&first, &second}) {
      ASSERT_TRUE(state->apply(small_cluster(), {Stamp(), Index(1)}).ok());
    }
    for (uint64_t index = 2; index < 300; ++index) {
      const Command command = random_command(prng);
      const uint64_t digest = first.digest();
      const Answer answer = first.apply(command, {Stamp(), Index(index)});
      first.check_invariants();
      if (!answer.ok()) {
        ASSERT_EQ(first.digest(), digest) << "a refusal changes nothing";
      }
      (void)second.apply(command, {Stamp(), Index(index)});
      ASSERT_EQ(first.digest(), second.digest()) << seed << " " << index;
      if (index % 50 == 0) {  // from here on the second replica is one that got a snapshot
        ASSERT_TRUE(copy_by_image(first, second, index).ok());
        ASSERT_EQ(first.digest(), second.digest());
      }
    }
  }
}

TEST(meta, an_image_shows_the_moment_of_the_freeze_whatever_happens_meanwhile) {
  State state;
  ASSERT_TRUE(state.apply(small_cluster(), {Stamp(), Index(1)}).ok());
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(state
                    .apply(CreateObject{ServiceId::kKv, "o" + std::to_string(i), 1, ""},
                           {Stamp(), Index(2)})
                    .ok());
  }
  const uint64_t digest = state.digest();
  const auto source = state.freeze();
  std::string image;
  Prng prng(3);
  while (source->next(40, image)) {
    (void)state.apply(random_command(prng), {Stamp(), Index(3)});
  }
  State copy;
  copy.restore_begin();
  ASSERT_TRUE(copy.restore_piece(image).ok());
  ASSERT_TRUE(copy.restore_end().ok());
  EXPECT_EQ(copy.digest(), digest);
  EXPECT_NE(state.digest(), digest);
}

TEST(meta, a_damaged_or_cut_image_is_refused_and_leaves_nothing) {
  State state;
  ASSERT_TRUE(state.apply(small_cluster(), {Stamp(), Index(1)}).ok());
  ASSERT_TRUE(state.apply(CreateObject{ServiceId::kKv, "o", 1, "x"}, {Stamp(), Index(2)}).ok());
  std::string image;
  const auto source = state.freeze();
  while (source->next(1000, image)) {
  }
  const auto restores = [](const std::string& bytes) {
    State copy;
    copy.restore_begin();
    Status status = copy.restore_piece(bytes);
    status = status.ok() ? copy.restore_end() : status;
    EXPECT_TRUE(status.ok() || copy.digest() == State().digest());
    return status.ok();
  };
  EXPECT_TRUE(restores(image));
  for (size_t size = 0; size < image.size(); ++size) {
    EXPECT_FALSE(restores(image.substr(0, size))) << size;
  }
  for (size_t at = 0; at < image.size(); ++at) {
    std::string damaged = image;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    EXPECT_FALSE(restores(damaged)) << at;
  }
  EXPECT_FALSE(restores(image + "x"));
}

TEST(meta, the_catalogue_and_the_lists_are_bounded) {
  State state;
  ASSERT_TRUE(state.apply(small_cluster(), {Stamp(), Index(1)}).ok());
  const std::string too_long(limits::kNameBytesMax + 1, 'x');
  const std::string far_too_long(100'000, 'x');
  for (const std::string& name : {std::string(), too_long, far_too_long}) {
    EXPECT_FALSE(state.apply(CreateObject{ServiceId::kKv, name, 1, ""}, {}).ok());
    EXPECT_FALSE(state.apply(DeleteObject{ServiceId::kKv, name}, {}).ok());
    EXPECT_FALSE(state.query(GetObject{ServiceId::kKv, name}, Stamp()).ok());
    EXPECT_TRUE(state.query(ListObjects{ServiceId::kKv, name, 10}, Stamp()).ok());
  }
  Bootstrap other = small_cluster();
  other.settings.cluster_id = 78;
  EXPECT_EQ(state.apply(other, {}).status().code(), Code::kAlreadyExists);
}

TEST(meta, identifiers_of_removed_nodes_are_never_given_again_even_when_forgotten) {
  State state;
  ASSERT_TRUE(state.apply(small_cluster(), {Stamp(), Index(1)}).ok());
  for (uint32_t round = 0; round < 3 * limits::kNodesMax; ++round) {
    NodeSpec spec;
    spec.addresses.raft = "x:" + std::to_string(round);
    const Answer answer = state.apply(AddNode{spec, NodeId()}, {});
    ASSERT_TRUE(answer.ok());
    ASSERT_EQ(std::get<Added>(*answer).node, NodeId(4 + round));
    ASSERT_TRUE(state.apply(RemoveNode{NodeId(4 + round), false}, {}).ok());
  }
  EXPECT_LE(state.map().nodes.size(), 2 * limits::kNodesMax);
  EXPECT_EQ(state.map().node(NodeId(4)), nullptr) << "forgotten";
  NodeSpec again;
  again.id = NodeId(4);
  again.addresses.raft = "y:1";
  EXPECT_EQ(state.apply(AddNode{again, NodeId()}, {}).status().code(), Code::kAlreadyExists);
  state.check_invariants();
}

TEST(meta, hosted_it_answers_in_bytes) {
  const auto hosted = host<State>();
  std::string answer;
  hosted->apply(encode_command(small_cluster()), {Stamp(), Index(1)}, &answer);
  EXPECT_TRUE(decode_answer(answer).ok());
  answer.clear();
  hosted->apply("rubbish", {Stamp(), Index(2)}, &answer);
  EXPECT_EQ(decode_answer(answer).status().code(), Code::kInvalidArgument);
  answer.clear();
  hosted->query(encode_query(GetMap{}), Stamp(), answer);
  EXPECT_EQ(std::get<MapFound>(*decode_answer(answer)).map, typed<State>(hosted.get())->map());
}

}  // namespace
}  // namespace quorate::service::meta
