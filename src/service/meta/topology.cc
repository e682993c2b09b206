// SPDX-License-Identifier: Apache-2.0
#include "service/meta/topology.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/hash.h"
#include "base/limits.h"
#include "service/meta/node_rules.h"

namespace quorate::service::meta {
namespace {

Status check_addresses(const Addresses& addresses) {
  if (addresses.raft.empty()) {
    return refuse(Code::kInvalidArgument, "a node needs an address for the other nodes");
  }
  for (const std::string* address : {&addresses.raft, &addresses.http, &addresses.resp}) {
    if (address->size() > limits::kAddressBytesMax) {
      return refuse(Code::kTooLarge, "an address is longer than any host name and port");
    }
  }
  return Status::success();
}

Status check_spec(const NodeSpec& spec) {
  RETURN_IF_ERROR(check_addresses(spec.addresses));
  if (spec.label.size() > limits::kNameBytesMax) {
    return refuse(Code::kTooLarge, "the label is too long");
  }
  if (spec.weight > kWeightMax) {
    return refuse(Code::kInvalidArgument,
                  "the weight must be between 0 and " + std::to_string(kWeightMax));
  }
  return Status::success();
}

Status check_replication(uint32_t replication) {
  if (replication == 0 || replication > limits::kReplicasMax) {
    return refuse(Code::kInvalidArgument, "the replication factor must be between 1 and " +
                                              std::to_string(limits::kReplicasMax));
  }
  return Status::success();
}

Status check_bootstrap(const Bootstrap& command) {
  if (command.settings.cluster_id == 0) {
    return refuse(Code::kInvalidArgument, "a cluster needs an id");
  }
  RETURN_IF_ERROR(check_replication(command.settings.replication));
  if (command.settings.meta_voters_max == 0 ||
      command.settings.meta_voters_max > limits::kReplicasMax) {
    return refuse(Code::kInvalidArgument, "the number of meta voters must be between 1 and " +
                                              std::to_string(limits::kReplicasMax));
  }
  if (command.groups == 0 || command.groups > kSlots) {
    return refuse(Code::kInvalidArgument,
                  "the number of groups must be between 1 and " + std::to_string(kSlots));
  }
  if (command.nodes.empty() || command.nodes.size() > limits::kNodesMax) {
    return refuse(Code::kInvalidArgument,
                  "the number of nodes must be between 1 and " + std::to_string(limits::kNodesMax));
  }
  bool can_host = false;
  for (const NodeSpec& spec : command.nodes) {
    RETURN_IF_ERROR(check_spec(spec));
    if (spec.id.none()) {
      return refuse(Code::kInvalidArgument, "a first node needs an id");
    }
    can_host = can_host || spec.weight > 0;
    for (const NodeSpec& other : command.nodes) {
      if (&other != &spec &&
          (other.id == spec.id || other.addresses.raft == spec.addresses.raft)) {
        return refuse(Code::kInvalidArgument, text(spec.id) + " stands there twice");
      }
    }
  }
  return can_host ? Status::success()
                  : refuse(Code::kInvalidArgument, "no node has a weight above zero");
}

Status check_members(const Members& members) {
  for (const auto* part :
       {&members.voters, &members.outgoing, &members.learners, &members.witnesses}) {
    if (part->size() > limits::kNodesMax || !ascending(*part)) {
      return refuse(Code::kInvalidArgument, "the members of a group must ascend");
    }
  }
  return members.voters.empty() ? refuse(Code::kInvalidArgument, "a group without voters")
                                : Status::success();
}

}  // namespace

Answer Topology::apply(const Bootstrap& command, Stamp at) {
  RETURN_IF_ERROR(check_bootstrap(command));
  if (bootstrapped()) {
    if (map_.settings.cluster_id == command.settings.cluster_id) {
      return Success(Done{map_.generation});
    }
    return refuse(Code::kAlreadyExists, "this is another cluster already");
  }
  map_.settings = command.settings;
  for (const NodeSpec& spec : command.nodes) {
    map_.nodes.push_back(make_node(spec, NodeState::kActive, at));
  }
  std::sort(map_.nodes.begin(), map_.nodes.end(),
            [](const Node& a, const Node& b) { return a.id < b.id; });
  make_groups(command.groups);
  const Placed placed = replan();
  for (Group& group : map_.groups) {
    group.birth = group.wanted;
  }
  return Success(Done{placed.generation});
}

Answer Topology::apply(const AddNode& command, Stamp at) {
  const NodeSpec& spec = command.node;
  RETURN_IF_ERROR(check_spec(spec));
  if (const Node* known = joining_at(spec.addresses.raft);
      known != nullptr && (spec.id.none() || spec.id == known->id)) {
    return Success(Added{known->id, map_.settings.cluster_id, map_.generation});
  }
  RETURN_IF_ERROR(check_free(spec.addresses.raft, command.replaces));
  RETURN_IF_ERROR(check_new(spec));
  Node node = make_node(spec, NodeState::kJoining, at);
  if (node.id.none()) {
    node.id = std::max(map_.nodes.back().id, map_.ids_spent).next();
  }
  if (!command.replaces.none()) {
    RETURN_IF_ERROR(may_replace(command.replaces, node.id));
    node.replaces = command.replaces;
  }
  const auto place = std::lower_bound(map_.nodes.begin(), map_.nodes.end(), node.id,
                                      [](const Node& a, NodeId id) { return a.id < id; });
  const NodeId id = node.id;
  map_.nodes.insert(place, std::move(node));
  forget_removed();
  const Placed placed = replan();
  return Success(Added{id, map_.settings.cluster_id, placed.generation});
}

Answer Topology::apply(const ActivateNode& command, Stamp at) {
  const Result<Node*> found = find(command.node);
  RETURN_IF_ERROR(found);
  Node& node = **found;
  if (node.state != NodeState::kJoining) {
    return Success(Placed{0, 0, map_.generation});  // said twice; a draining node goes on draining
  }
  set_state(node, NodeState::kActive, at);
  node.dead = false;
  Node* source = map_.node(node.replaces);
  if (source != nullptr && source->state != NodeState::kRemoved) {
    hand_share(*source, node, at);
  }
  const Placed placed = replan();
  remove_who_left(at);
  return Success(placed);
}

Answer Topology::apply(const SetNodeAddresses& command, Stamp at) {
  RETURN_IF_ERROR(check_addresses(command.addresses));
  const Result<Node*> found = find(command.node);
  RETURN_IF_ERROR(found);
  RETURN_IF_ERROR(check_free(command.addresses.raft, command.node));
  Node& node = **found;
  if (node.addresses != command.addresses) {
    node.addresses = command.addresses;
    node.changed_at = at;
    touch();
  }
  return Success(Done{map_.generation});
}

Answer Topology::apply(const SetNodeWeight& command, Stamp at) {
  const Result<Node*> found = find(command.node);
  RETURN_IF_ERROR(found);
  if (command.weight > kWeightMax) {
    return refuse(Code::kInvalidArgument,
                  "the weight must be between 0 and " + std::to_string(kWeightMax));
  }
  Node& node = **found;
  if (command.weight == 0) {
    RETURN_IF_ERROR(may_lose(node));
  }
  if (node.weight == command.weight) {
    return Success(Placed{0, 0, map_.generation});
  }
  node.weight = command.weight;
  node.changed_at = at;
  return Success(replan());
}

Answer Topology::apply(const DrainNode& command, Stamp at) {
  const Result<Node*> found = find(command.node);
  RETURN_IF_ERROR(found);
  Node& node = **found;
  RETURN_IF_ERROR(may_lose(node));
  if (node.state == NodeState::kDraining && (node.leaving || !command.then_remove)) {
    return Success(Placed{0, 0, map_.generation});
  }
  set_state(node, NodeState::kDraining, at);
  node.leaving = node.leaving || command.then_remove;
  const Placed placed = replan();
  remove_who_left(at);
  return Success(placed);
}

Answer Topology::apply(const ResumeNode& command, Stamp at) {
  const Result<Node*> found = find(command.node);
  RETURN_IF_ERROR(found);
  Node& node = **found;
  if (node.state == NodeState::kJoining) {
    return refuse(Code::kPreconditionFailed, text(node.id) + " has not joined yet");
  }
  if (node.state == NodeState::kActive) {
    return Success(Placed{0, 0, map_.generation});
  }
  set_state(node, NodeState::kActive, at);
  return Success(replan());
}

Answer Topology::apply(const RemoveNode& command, Stamp at) {
  Node* node = map_.node(command.node);
  if (node == nullptr) {
    return refuse(Code::kNotFound, text(command.node) + " is not known");
  }
  if (node->state == NodeState::kRemoved) {
    return Success(Placed{0, 0, map_.generation});
  }
  const auto needing = std::count_if(map_.groups.begin(), map_.groups.end(),
                                     [&](const Group& group) { return needs(group, node->id); });
  if (!command.force && needing > 0) {
    return refuse(Code::kPreconditionFailed, text(node->id) + " is needed by " +
                                                 std::to_string(needing) +
                                                 " groups; drain it first");
  }
  if (node->state == NodeState::kActive && node->weight > 0 && hosts() == 1) {
    return refuse(Code::kPreconditionFailed, "no node would be left");
  }
  set_state(*node, NodeState::kRemoved, at);
  return Success(replan());
}

Answer Topology::apply(const ReplaceNode& command, Stamp at) {
  const Result<Node*> found = find(command.target);
  RETURN_IF_ERROR(found);
  RETURN_IF_ERROR(may_replace(command.source, command.target));
  Node& target = **found;
  if (target.state == NodeState::kJoining) {
    target.replaces = command.source;
    target.changed_at = at;
    touch();
    return Success(Placed{0, 0, map_.generation});
  }
  hand_share(*map_.node(command.source), target, at);
  const Placed placed = replan();
  remove_who_left(at);
  return Success(placed);
}

Answer Topology::apply(const SetNodeDead& command, Stamp at) {
  const Result<Node*> found = find(command.node);
  RETURN_IF_ERROR(found);
  Node& node = **found;
  if (node.dead == command.dead) {
    return Success(Placed{0, 0, map_.generation});
  }
  node.dead = command.dead;
  node.changed_at = at;
  return Success(replan());
}

Answer Topology::apply(const SetReplication& command, Stamp) {
  RETURN_IF_ERROR(check_replication(command.replication));
  if (map_.settings.replication == command.replication) {
    return Success(Placed{0, 0, map_.generation});
  }
  map_.settings.replication = command.replication;
  return Success(replan());
}

Answer Topology::apply(const ReportGroups& command, Stamp at) {
  if (command.reports.size() > limits::kBatchItemsMax) {
    return refuse(Code::kTooLarge, "too many reports at once");
  }
  for (const GroupReport& report : command.reports) {
    if (map_.group(report.group) == nullptr) {
      return refuse(Code::kNotFound,
                    "group " + std::to_string(report.group.value()) + " is not known");
    }
    if (report.reported.term.none()) {
      return refuse(Code::kInvalidArgument, "a report without a term");
    }
    RETURN_IF_ERROR(check_members(report.reported.members));
  }
  bool changed = false;
  for (const GroupReport& report : command.reports) {
    changed = merge_report(report) || changed;
  }
  if (changed) {
    touch();
    remove_who_left(at);
  }
  return Success(Done{map_.generation});
}

Answer Topology::apply(const Rebalance&, Stamp) {
  const Map before = map_;
  const Placed placed = replan();
  if (placed.replicas_moved == 0 && placed.leaders_moved == 0) {
    map_.generation = before.generation;
    ASSERT(map_ == before, "an even placement stays as it is");
    return Success(Placed{0, 0, map_.generation});
  }
  return Success(placed);
}

}  // namespace quorate::service::meta
