// SPDX-License-Identifier: Apache-2.0
// Runs testdata/*.txt against an in-memory cluster. The verbs:
//
//   cluster n=3 [learners=4,5] [witness=3] [option=value ...]   empty=1: replicas without a group
//   campaign N | wake N | tick N                    | propose N WORD [count=] [bytes=]
//   change N [add|learner|remove|witness ID]... [joint] | leave N | transfer N ID
//   read N CONTEXT [quorum] | lease N                | compact N [INDEX]
//   deliver [FROM->TO] [count=] | drop [FROM->TO] [count=] | double FROM->TO | messages
//   cut A B [oneway] | isolate N | heal              | link N PEER up|down
//   persist auto|manual|N [count=] | disk N slow|fast | machine N slow|fast | io auto|manual|N
//   advance TIME (nothing is delivered) | run TIME (everything is, at once)
//   crash N | restart N [lost=A-B] [suspect] [cut=INDEX] | hole N A B
//   state [N] | log N | words N | trace on|off
//
// A step prints what happened: changes of role, answered reads, installed snapshots; with trace
// also every message. Invariants are checked after each step of each replica.
#include <gtest/gtest.h>

#include <algorithm>

#include "raft/cluster_test.h"
#include "testing/transcript.h"

namespace quorate::raft::testing {
namespace {

using quorate::testing::Line;
using quorate::testing::parse_duration_micros;
using quorate::testing::parse_number;
using quorate::testing::ScriptError;

std::vector<NodeId> parse_nodes(const std::string& text) {
  std::vector<NodeId> nodes;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    nodes.push_back(NodeId(static_cast<uint32_t>(parse_number(text.substr(begin, end - begin)))));
    begin = end + 1;
  }
  return nodes;
}

Duration duration_of(const std::string& text) {
  return Duration::micros(parse_duration_micros(text));
}

std::string text_of(const Status& status) {
  return status.ok() ? "ok" : std::string(row_of(status.code()).name) + ": " + status.message();
}

class RaftScript : public quorate::testing::Script {
 public:
  std::string run(const Line& line) override {
    cluster_.events.clear();
    const std::string answer = dispatch(line);
    std::string out;
    for (const std::string& event : cluster_.events) {
      out += event + "\n";
    }
    return out + answer;
  }

 private:
  using Verb = std::string (RaftScript::*)(const Line&);

  std::string dispatch(const Line& line) {
    static const std::map<std::string, Verb> kVerbs = {
        {"cluster", &RaftScript::cluster},   {"campaign", &RaftScript::campaign},
        {"wake", &RaftScript::wake},         {"tick", &RaftScript::tick},
        {"propose", &RaftScript::propose},   {"change", &RaftScript::change},
        {"leave", &RaftScript::leave},       {"transfer", &RaftScript::transfer},
        {"read", &RaftScript::read},         {"lease", &RaftScript::lease},
        {"compact", &RaftScript::compact},   {"deliver", &RaftScript::deliver},
        {"drop", &RaftScript::drop},         {"double", &RaftScript::twice},
        {"messages", &RaftScript::messages}, {"cut", &RaftScript::cut},
        {"isolate", &RaftScript::isolate},   {"heal", &RaftScript::heal},
        {"link", &RaftScript::link},         {"persist", &RaftScript::persist},
        {"disk", &RaftScript::disk},         {"io", &RaftScript::io},
        {"advance", &RaftScript::advance},   {"run", &RaftScript::run_time},
        {"crash", &RaftScript::crash},       {"restart", &RaftScript::restart},
        {"hole", &RaftScript::hole},         {"machine", &RaftScript::machine},
        {"state", &RaftScript::state},       {"log", &RaftScript::log},
        {"words", &RaftScript::words},       {"trace", &RaftScript::trace}};
    const auto verb = kVerbs.find(line.verb);
    if (verb == kVerbs.end()) {
      throw ScriptError("unknown verb " + line.verb);
    }
    return (this->*verb->second)(line);
  }

  uint32_t id(const Line& line, size_t place = 0) {
    const auto number = static_cast<uint32_t>(line.arg_number(place));
    if (!cluster_.replicas.contains(number)) {
      throw ScriptError("no replica " + std::to_string(number));
    }
    return number;
  }
  Node& node(const Line& line) {
    const uint32_t number = id(line);
    if (cluster_.at(number).node == nullptr) {
      throw ScriptError("replica " + std::to_string(number) + " is down");
    }
    return cluster_.node(number);
  }

  static Options options_of(const Line& line) {
    Options options;
    options.append_bytes_max = line.option_number("append_bytes", options.append_bytes_max);
    options.inflight_bytes_max = line.option_number("inflight_bytes", options.inflight_bytes_max);
    options.inflight_messages_max =
        line.option_number("inflight_messages", options.inflight_messages_max);
    options.uncommitted_bytes_max =
        line.option_number("uncommitted_bytes", options.uncommitted_bytes_max);
    options.cached_bytes_max = line.option_number("cached_bytes", options.cached_bytes_max);
    options.snapshot_chunk_bytes = line.option_number("chunk", options.snapshot_chunk_bytes);
    options.lease_reads = line.option("lease", "on") == "on";
    options.quiet_after = duration_of(line.option("quiet", "0s"));
    return options;
  }

  std::string cluster(const Line& line) {
    Config config;
    const auto count = static_cast<uint32_t>(line.option_number("n"));
    for (uint32_t i = 1; i <= count; ++i) {
      config.voters.push_back(NodeId(i));
    }
    config.learners = parse_nodes(line.option("learners", ""));
    config.witnesses = parse_nodes(line.option("witness", ""));
    const std::vector<NodeId> spare = parse_nodes(line.option("spare", ""));
    const std::vector<NodeId> preferred = parse_nodes(line.option("preferred", ""));
    std::vector<NodeId> all = config.voters;
    all.insert(all.end(), config.learners.begin(), config.learners.end());
    all.insert(all.end(), spare.begin(), spare.end());
    for (const NodeId member : all) {
      Options options = options_of(line);
      options.id = member;
      options.witness = std::count(config.witnesses.begin(), config.witnesses.end(), member) > 0 ||
                        line.option("spare_witness", "") == std::to_string(member.value());
      options.priority = std::count(preferred.begin(), preferred.end(), member) > 0 ? 1 : 0;
      const bool stranger = std::count(spare.begin(), spare.end(), member) > 0;
      cluster_.add(options, stranger ? Config() : config);
      cluster_.start(member.value());
    }
    return "";
  }

  std::string campaign(const Line& line) {
    node(line).campaign(cluster_.now);
    cluster_.drain(id(line));
    return "";
  }
  std::string wake(const Line& line) {
    node(line).wake(cluster_.now);
    cluster_.drain(id(line));
    return "";
  }
  std::string tick(const Line& line) {
    cluster_.tick(id(line));
    return "";
  }

  std::string propose(const Line& line) {
    const uint64_t count = line.option_number("count", 1);
    const uint64_t bytes = line.option_number("bytes", 0);
    std::string last;
    for (uint64_t i = 0; i < count; ++i) {
      std::string word = line.arg(1) + (count > 1 ? std::to_string(i + 1) : "");
      word.resize(std::max<size_t>(word.size(), bytes), '.');
      const Result<Index> index = node(line).propose(EntryKind::kCommand, Stamp(),
                                                     Buffer::take(std::move(word)), cluster_.now);
      last = index.ok() ? "entry " + std::to_string(index->value()) : text_of(index.status());
    }
    cluster_.drain(id(line));
    return last;
  }

  std::string change(const Line& line) {
    static const std::map<std::string, ChangeKind> kKinds = {{"add", ChangeKind::kAddVoter},
                                                             {"learner", ChangeKind::kAddLearner},
                                                             {"remove", ChangeKind::kRemove},
                                                             {"witness", ChangeKind::kAddWitness}};
    ConfigChange change;
    for (size_t i = 1; line.has_arg(i); ++i) {
      if (line.arg(i) == "joint") {
        change.joint = true;
        continue;
      }
      const auto kind = kKinds.find(line.arg(i));
      if (kind == kKinds.end()) {
        throw ScriptError("unknown change " + line.arg(i));
      }
      change.changes.push_back({kind->second, NodeId(static_cast<uint32_t>(line.arg_number(++i)))});
    }
    return propose_change(line, change);
  }
  std::string leave(const Line& line) { return propose_change(line, ConfigChange()); }
  std::string propose_change(const Line& line, const ConfigChange& change) {
    const Result<Index> index = node(line).propose_config(change, Stamp(), cluster_.now);
    const std::string answer =
        index.ok() ? "entry " + std::to_string(index->value()) : text_of(index.status());
    cluster_.drain(id(line));
    return answer;
  }

  std::string transfer(const Line& line) {
    const Status status = node(line).transfer_leadership(
        NodeId(static_cast<uint32_t>(line.arg_number(1))), cluster_.now);
    cluster_.drain(id(line));
    return text_of(status);
  }
  std::string read(const Line& line) {
    const bool quorum = line.has_arg(2) && line.arg(2) == "quorum";
    const Status status = node(line).read(
        line.arg_number(1), quorum ? ReadKind::kQuorum : ReadKind::kLeaseOrQuorum, cluster_.now);
    cluster_.drain(id(line));
    return status.ok() ? "" : text_of(status);
  }
  std::string lease(const Line& line) {
    const std::optional<Index> index = node(line).lease_read(cluster_.now);
    return index.has_value() ? "may read at " + std::to_string(index->value()) : "no lease";
  }
  std::string compact(const Line& line) {
    const Index index = line.has_arg(1) ? Index(line.arg_number(1)) : Index(node(line).applied());
    if (index > cluster_.at(id(line)).machine.applied) {
      throw ScriptError("not applied yet");
    }
    cluster_.take_snapshot(id(line), index);
    return "log begins at " + std::to_string(node(line).first_index().value());
  }

  // "1->2", or nothing for all links.
  static bool matches(const Line& line, const Message& message) {
    if (!line.has_arg(0)) {
      return true;
    }
    const std::string& link = line.arg(0);
    const size_t arrow = link.find("->");
    if (arrow == std::string::npos) {
      throw ScriptError("a link is written 1->2");
    }
    const auto fits = [](const std::string& side, NodeId node) {
      return side.empty() || parse_number(side) == node.value();
    };
    return fits(link.substr(0, arrow), message.from) && fits(link.substr(arrow + 2), message.to);
  }

  std::vector<Message> take(const Line& line) {
    std::vector<Message> taken;
    uint64_t count = line.option_number("count", UINT64_MAX);
    for (size_t i = 0; i < cluster_.network.size() && count > 0;) {
      if (matches(line, cluster_.network[i])) {
        taken.push_back(cluster_.network[i]);
        cluster_.network.erase(cluster_.network.begin() + static_cast<std::ptrdiff_t>(i));
        --count;
      } else {
        ++i;
      }
    }
    return taken;
  }

  // All links: until silence. One link: what is on it now.
  std::string deliver(const Line& line) {
    if (!line.has_arg(0) && !line.has("count")) {
      cluster_.settle();
      return "";
    }
    for (Message& message : take(line)) {
      cluster_.deliver(std::move(message));
    }
    return "";
  }
  std::string drop(const Line& line) { return "lost " + std::to_string(take(line).size()); }
  std::string twice(const Line& line) {
    for (const Message& message : std::vector(cluster_.network.begin(), cluster_.network.end())) {
      if (matches(line, message)) {
        cluster_.network.push_back(message);
      }
    }
    return "";
  }
  std::string messages(const Line& line) {
    std::string out;
    for (const Message& message : cluster_.network) {
      if (matches(line, message)) {
        out += render(message) + "\n";
      }
    }
    return out.empty() ? "none" : out;
  }

  std::string cut(const Line& line) {
    const uint32_t a = id(line, 0);
    const uint32_t b = id(line, 1);
    cluster_.cuts.insert({a, b});
    if (!line.has_arg(2)) {
      cluster_.cuts.insert({b, a});
    }
    return "";
  }
  std::string isolate(const Line& line) {
    for (const auto& [other, replica] : cluster_.replicas) {
      cluster_.cuts.insert({id(line), other});
      cluster_.cuts.insert({other, id(line)});
    }
    return "";
  }
  std::string heal(const Line&) {
    cluster_.cuts.clear();
    return "";
  }
  std::string link(const Line& line) {
    node(line).on_link(NodeId(id(line, 1)), line.arg(2) == "up", cluster_.now);
    cluster_.drain(id(line));
    return "";
  }

  std::string persist(const Line& line) {
    if (line.arg(0) == "auto" || line.arg(0) == "manual") {
      cluster_.auto_persist = line.arg(0) == "auto";
      for (const auto& [number, replica] : cluster_.replicas) {
        if (cluster_.auto_persist && replica.node != nullptr) {
          cluster_.persist(number);
          cluster_.drain(number);
        }
      }
      return "";
    }
    uint64_t count = line.option_number("count", UINT64_MAX);
    while (count-- > 0 && cluster_.persist_one(id(line))) {
      cluster_.drain(id(line));
    }
    return "";
  }
  std::string disk(const Line& line) {
    if (line.arg(1) == "slow") {
      cluster_.slow.insert(id(line));
    } else {
      cluster_.slow.erase(id(line));
    }
    return "";
  }
  std::string machine(const Line& line) {
    if (line.arg(1) == "slow") {
      cluster_.lazy.insert(id(line));
    } else {
      cluster_.lazy.erase(id(line));
      cluster_.apply(id(line));
    }
    return "";
  }
  std::string io(const Line& line) {
    if (line.arg(0) == "auto" || line.arg(0) == "manual") {
      cluster_.auto_io = line.arg(0) == "auto";
      return "";
    }
    cluster_.io_one(id(line));
    cluster_.drain(id(line));
    return "";
  }
  std::string advance(const Line& line) {
    cluster_.advance(duration_of(line.arg(0)), false);
    return "";
  }
  std::string run_time(const Line& line) {
    cluster_.settle();
    cluster_.advance(duration_of(line.arg(0)), true);
    return "";
  }

  std::string crash(const Line& line) {
    cluster_.crash(id(line));
    return "";
  }
  std::string restart(const Line& line) {
    cluster_.crash(id(line));
    Disk& disk = cluster_.at(id(line)).durable;
    disk.suspect = line.has_arg(1) && line.arg(1) == "suspect";
    if (line.has("cut")) {
      disk.log.erase(disk.log.upper_bound(line.option_number("cut")), disk.log.end());
    }
    if (line.has("lost")) {
      const std::string range = line.option("lost");
      const size_t dash = range.find('-');
      const uint64_t first = parse_number(range.substr(0, dash));
      const uint64_t last =
          dash == std::string::npos ? first : parse_number(range.substr(dash + 1));
      for (uint64_t i = first; i <= last; ++i) {
        disk.lost.insert(i);
      }
    }
    cluster_.start(id(line));
    return "";
  }
  std::string hole(const Line& line) {
    const Hole lost{Index(line.arg_number(1)), Index(line.arg_number(2))};
    for (uint64_t i = lost.first.value(); i <= lost.last.value(); ++i) {
      cluster_.at(id(line)).durable.lost.insert(i);
      cluster_.at(id(line)).written.lost.insert(i);
    }
    node(line).on_hole(lost, cluster_.now);
    cluster_.drain(id(line));
    return "";
  }

  std::string state(const Line& line) {
    std::string out;
    for (const auto& [number, replica] : cluster_.replicas) {
      if (!line.has_arg(0) || line.arg_number(0) == number) {
        out += (replica.node ? replica.node->describe() : std::to_string(number) + ": down") + "\n";
      }
    }
    return out;
  }
  std::string log(const Line& line) {
    static const char* kNames[] = {"noop", "command", "config"};
    std::string out;
    const Disk& disk = cluster_.at(id(line)).written;
    for (const auto& [index, entry] : disk.log) {
      out += std::to_string(index) + " term " + std::to_string(entry.term.value()) + " " +
             kNames[static_cast<size_t>(entry.kind)];
      if (entry.kind == EntryKind::kCommand) {
        out += " " + std::string(entry.payload.view().substr(0, 40));
      }
      out += disk.lost.contains(index) ? " (lost)\n" : "\n";
    }
    return out.empty() ? "empty" : out;
  }
  std::string words(const Line& line) { return cluster_.at(id(line)).machine.words; }
  std::string trace(const Line& line) {
    cluster_.trace = line.arg(0) == "on";
    return "";
  }

  Cluster cluster_;
};

TEST(raft, transcripts) {
  choose_mutant();
  quorate::testing::check_transcripts(QUORATE_TESTDATA,
                                      [] { return std::make_unique<RaftScript>(); });
}

}  // namespace
}  // namespace quorate::raft::testing
