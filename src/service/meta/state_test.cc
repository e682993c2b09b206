// SPDX-License-Identifier: Apache-2.0
// The machine as a story (testdata/*.txt).
#include "service/meta/state.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <sstream>

#include "base/hash.h"
#include "service/meta/image_testing.h"
#include "testing/transcript.h"

namespace quorate::service::meta {
namespace {

using testing::Line;
using testing::Script;
using testing::ScriptError;

std::vector<NodeId> ids(const std::string& list) {
  std::vector<NodeId> nodes;
  std::istringstream in(list);
  for (std::string word; std::getline(in, word, ',');) {
    nodes.emplace_back(static_cast<uint32_t>(testing::parse_number(word)));
  }
  return nodes;
}

std::string text_of(const std::vector<NodeId>& nodes) {
  std::string out;
  for (const NodeId node : nodes) {
    out += (out.empty() ? "" : ",") + std::to_string(node.value());
  }
  return out.empty() ? "-" : out;
}

std::string text_of(const std::vector<Replica>& replicas) {
  std::string out;
  for (const Replica& replica : replicas) {
    out += (out.empty() ? "" : ",") + std::to_string(replica.node.value());
    out += replica.role == Role::kWitness ? "w" : "";
  }
  return out.empty() ? "-" : out;
}

NodeSpec spec_of(NodeId id, const Line& line) {
  NodeSpec spec;
  spec.id = id;
  const std::string number = std::to_string(id.value());
  spec.addresses = {line.option("raft", "n" + number + ":900"), "n" + number + ":800", ""};
  spec.label = line.option("label", "");
  spec.weight = static_cast<uint32_t>(line.option_number("weight", kWeightDefault));
  return spec;
}

std::string say(const Success& success) {
  struct Text {
    std::string operator()(const Done& done) {
      return "done, generation " + std::to_string(done.generation);
    }
    std::string operator()(const Added& added) {
      return "node " + std::to_string(added.node.value()) + " of cluster " +
             std::to_string(added.cluster_id);
    }
    std::string operator()(const Placed& placed) {
      return std::to_string(placed.replicas_moved) + " replicas and " +
             std::to_string(placed.leaders_moved) + " leaders move";
    }
    std::string operator()(const ObjectFound& found) { return say(found.object); }
    std::string operator()(const ObjectList& list) {
      std::string out;
      for (const Object& object : list.objects) {
        out += say(object) + "\n";
      }
      return out + (list.more ? "and more" : "no more");
    }
    std::string operator()(const PrincipalFound& found) { return say(found.principal); }
    std::string operator()(const PrincipalList& list) {
      std::string out;
      for (const Principal& principal : list.principals) {
        out += say(principal) + "\n";
      }
      return out + (list.more ? "and more" : "no more");
    }
    std::string operator()(const MapUnchanged& same) {
      return "still generation " + std::to_string(same.generation);
    }
    std::string operator()(const MapFound& found) {
      return "map of generation " + std::to_string(found.map.generation);
    }
    static std::string say(const Object& object) {
      std::string out = std::string(name_of(object.kind)) + " " + object.name + " id " +
                        std::to_string(object.id) + " groups ";
      for (size_t i = 0; i < object.partitions.size(); ++i) {
        out += (i == 0 ? "" : ",") + std::to_string(object.partitions[i].value());
      }
      return out;
    }
    static std::string say(const Principal& principal) {
      std::string out = principal.kind == PrincipalKind::kUser ? "user " : "token ";
      out += principal.name + " hash " + principal.hash;
      for (const Grant& grant : principal.grants) {
        out += " " + std::string(name_of(grant.service)) + ":" +
               (grant.scope.empty() ? "" : grant.scope + "/") + grant.prefix + ":" +
               std::to_string(grant.rights);
      }
      return out;
    }
  };
  return std::visit(Text(), success);
}

class MetaScript final : public Script {
 public:
  std::string run(const Line& line) override {
    if (line.verb == "nodes") {
      return nodes();
    }
    if (line.verb == "group") {
      return group(map().groups.at(line.arg_number(0)));
    }
    if (line.verb == "loads") {
      return loads();
    }
    if (line.verb == "settle") {
      return settle();
    }
    if (line.verb == "slots") {
      return slots();
    }
    if (line.verb == "snapshot") {
      return snapshot();
    }
    if (const std::optional<Query> query = query_of(line)) {
      return said(state_->query(*decode_query(encode_query(*query)), Stamp()));
    }
    // Through the bytes of the log, as in production.
    const uint64_t generation = map().generation;
    const uint64_t digest = state_->digest();
    const Answer answer = apply(command_of(line));
    state_->check_invariants();
    if ((digest != state_->digest()) != (generation != map().generation)) {
      throw ScriptError("the generation does not tell whether something changed");
    }
    return said(answer);
  }

 private:
  [[nodiscard]] const Map& map() const { return state_->map(); }

  Answer apply(const Command& command) {
    const Result<Command> decoded = decode_command(encode_command(command));
    return state_->apply(*decoded, {Stamp::from_millis(1000), Index(++index_)});
  }

  static std::string said(const Answer& answer) {
    return answer.ok() ? say(*answer) : answer.status().to_string();
  }

  static NodeId node_arg(const Line& line, size_t position = 0) {
    return NodeId(static_cast<uint32_t>(line.arg_number(position)));
  }

  static ServiceId kind_of(const std::string& name) {
    for (uint8_t number = 0; number <= static_cast<uint8_t>(ServiceId::kMeta); ++number) {
      if (name_of(static_cast<ServiceId>(number)) == name) {
        return static_cast<ServiceId>(number);
      }
    }
    throw ScriptError("no such kind: " + name);
  }

  static std::optional<Query> query_of(const Line& line) {
    if (line.verb == "map") {
      return GetMap{line.option_number("known", 0)};
    }
    if (line.verb == "get") {
      return GetObject{kind_of(line.arg(0)), line.arg(1)};
    }
    if (line.verb == "list") {
      return ListObjects{kind_of(line.arg(0)), line.option("after", ""),
                         static_cast<uint32_t>(line.option_number("limit", 100))};
    }
    if (line.verb == "get_user") {
      return GetPrincipal{PrincipalKind::kUser, line.arg(0)};
    }
    if (line.verb == "list_users") {
      return ListPrincipals{PrincipalKind::kUser, line.option("after", ""),
                            static_cast<uint32_t>(line.option_number("limit", 100))};
    }
    return std::nullopt;
  }

  static Command command_of(const Line& line) {
    if (line.verb == "bootstrap") {
      return bootstrap(line);
    }
    if (line.verb == "report") {
      return report(line);
    }
    if (line.verb == "create") {
      return CreateObject{kind_of(line.arg(0)), line.arg(1),
                          static_cast<uint32_t>(line.option_number("partitions", 1)),
                          line.option("options", "")};
    }
    if (line.verb == "delete") {
      return DeleteObject{kind_of(line.arg(0)), line.arg(1)};
    }
    if (line.verb == "change") {
      return ChangeObject{kind_of(line.arg(0)),       line.arg(1),
                          line.option_number("id"),   line.option("expected", ""),
                          line.option("options", ""), line.option("remove", "") == "yes"};
    }
    if (line.verb == "put_user") {
      Principal principal;
      principal.name = line.arg(0);
      principal.hash = line.option("hash", "");
      principal.grants = {{kind_of(line.option("service", "node")), line.option("prefix", ""),
                           static_cast<uint8_t>(line.option_number("rights", kRightsAll)),
                           line.option("scope", "")}};
      return PutPrincipal{principal};
    }
    if (line.verb == "delete_user") {
      return DeletePrincipal{PrincipalKind::kUser, line.arg(0)};
    }
    return node_command(line);
  }

  static Command node_command(const Line& line) {
    const std::string& verb = line.verb;
    const auto flag = [&](std::string_view word) { return line.has_arg(1) && line.arg(1) == word; };
    if (verb == "add") {
      const NodeId id(static_cast<uint32_t>(line.option_number("id", 0)));
      return AddNode{spec_of(id, line),
                     NodeId(static_cast<uint32_t>(line.option_number("replaces", 0)))};
    }
    if (verb == "rebalance") {
      return Rebalance{};
    }
    if (verb == "replication") {
      return SetReplication{static_cast<uint32_t>(line.arg_number(0))};
    }
    const NodeId node = node_arg(line);
    if (verb == "activate") {
      return ActivateNode{node};
    }
    if (verb == "addresses") {
      return SetNodeAddresses{node, spec_of(node, line).addresses};
    }
    if (verb == "weight") {
      return SetNodeWeight{node, static_cast<uint32_t>(line.arg_number(1))};
    }
    if (verb == "drain") {
      return DrainNode{node, flag("then_remove")};
    }
    if (verb == "resume") {
      return ResumeNode{node};
    }
    if (verb == "remove") {
      return RemoveNode{node, flag("force")};
    }
    if (verb == "replace") {
      return ReplaceNode{node, node_arg(line, 1)};
    }
    if (verb == "dead" || verb == "alive") {
      return SetNodeDead{node, verb == "dead"};
    }
    throw ScriptError("unknown verb " + verb);
  }

  static Command bootstrap(const Line& line) {
    Bootstrap command;
    command.settings.cluster_id = line.option_number("id");
    command.settings.replication = static_cast<uint32_t>(line.option_number("replication", 3));
    command.settings.witness = line.option_number("witness", 0) != 0;
    command.groups = static_cast<uint32_t>(line.option_number("groups", 12));
    for (const NodeId node : ids(line.option("nodes"))) {
      command.nodes.push_back(spec_of(node, line));
    }
    return command;
  }

  static Command report(const Line& line) {
    GroupReport report;
    report.group = GroupId(static_cast<uint32_t>(line.arg_number(0)));
    report.reported.term = Term(line.option_number("term"));
    report.reported.leader = NodeId(static_cast<uint32_t>(line.option_number("leader")));
    report.reported.config_index = Index(line.option_number("index"));
    report.reported.members = {ids(line.option("voters")), ids(line.option("outgoing", "")),
                               ids(line.option("learners", "")), ids(line.option("witnesses", ""))};
    return ReportGroups{{report}};
  }

  std::string nodes() {
    std::string out;
    for (const Node& node : map().nodes) {
      out += std::to_string(node.id.value()) + " " + node.addresses.raft + " " +
             std::string(name_of(node.state));
      out += node.leaving ? " leaving" : "";
      out += node.dead ? " dead" : "";
      out += node.replaces.none() ? "" : " replaces " + std::to_string(node.replaces.value());
      out += node.weight == kWeightDefault ? "" : " weight " + std::to_string(node.weight);
      out += "\n";
    }
    return out;
  }

  static std::string group(const Group& group) {
    const Members& members = group.reported.members;
    std::string out = "wanted " + text_of(group.wanted) + " learners " + text_of(group.learners) +
                      " preferred " + std::to_string(group.preferred.value()) + " epoch " +
                      std::to_string(group.epoch) + "\n";
    if (group.reported.term.none()) {
      return out + "nothing reported, born with " + text_of(group.birth);
    }
    return out + "term " + std::to_string(group.reported.term.value()) + " leader " +
           std::to_string(group.reported.leader.value()) + " index " +
           std::to_string(group.reported.config_index.value()) + " voters " +
           text_of(members.voters) + " outgoing " + text_of(members.outgoing) + " learners " +
           text_of(members.learners);
  }

  // Per node that is not removed: replicas and leaders that it shall have.
  std::string loads() {
    std::string out;
    for (const Node& node : map().nodes) {
      int replicas = 0;
      int leaders = 0;
      for (size_t i = 1; i < map().groups.size(); ++i) {
        replicas += find_replica(map().groups[i].wanted, node.id) != nullptr ? 1 : 0;
        leaders += map().groups[i].preferred == node.id ? 1 : 0;
      }
      out += std::to_string(node.id.value()) + ": " + std::to_string(replicas) + " replicas, " +
             std::to_string(leaders) + " leaders\n";
    }
    return out;
  }

  // Every group's leader reports that all is as wanted.
  std::string settle() {
    ReportGroups command;
    for (const Group& group : map().groups) {
      GroupReport report;
      report.group = group.id;
      report.reported.term = group.reported.term.next();
      report.reported.config_index = Index(1000 + ++index_);
      for (const Replica& replica : group.wanted) {
        report.reported.members.voters.push_back(replica.node);
      }
      report.reported.members.learners = group.learners;
      report.reported.leader = group.preferred.none() ? group.wanted.front().node : group.preferred;
      command.reports.push_back(report);
    }
    const Answer answer = apply(command);
    state_->check_invariants();
    return answer.ok() ? "settled" : said(answer);
  }

  std::string slots() {
    std::string out;
    for (const Group& group : map().groups) {
      out += std::to_string(group.id.value()) + ": " + std::to_string(group.slot_begin) + ".." +
             std::to_string(group.slot_end) + "\n";
    }
    for (uint32_t slot = 0; slot < kSlots; ++slot) {
      const Group& group = *map().group(map().group_of_slot(static_cast<uint16_t>(slot)));
      const uint32_t share = share_of_slot(slot, static_cast<uint32_t>(map().groups.size()) - 1);
      if (slot < group.slot_begin || slot >= group.slot_end || group.id.value() != share + 1) {
        throw ScriptError("slot " + std::to_string(slot) + " is at the wrong group");
      }
    }
    return out;
  }

  std::string snapshot() {
    auto copy = std::make_unique<State>();
    const Status status = copy_by_image(*state_, *copy, index_);
    if (!status.ok()) {
      return status.to_string();
    }
    copy->check_invariants();
    const bool same = copy->digest() == state_->digest() && copy->map() == map();
    state_ = std::move(copy);
    return same ? "the copy is the same, and goes on" : "the copy differs";
  }

  std::unique_ptr<State> state_ = std::make_unique<State>();
  uint64_t index_ = 0;
};

TEST(meta, transcripts) {
  testing::check_transcripts(QUORATE_TESTDATA, [] { return std::make_unique<MetaScript>(); });
}

}  // namespace
}  // namespace quorate::service::meta
