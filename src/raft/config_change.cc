// SPDX-License-Identifier: Apache-2.0
#include "raft/config_change.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/limits.h"
#include "raft/message.h"

namespace quorate::raft {
namespace {

void insert(std::vector<NodeId>& sorted, NodeId node) {
  const auto at = std::lower_bound(sorted.begin(), sorted.end(), node);
  if (at == sorted.end() || *at != node) {
    sorted.insert(at, node);
  }
}

void erase(std::vector<NodeId>& sorted, NodeId node) { std::erase(sorted, node); }

std::vector<NodeId> intersection(const std::vector<NodeId>& a, const std::vector<NodeId>& b) {
  std::vector<NodeId> both;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(both));
  return both;
}

std::vector<NodeId> united(const std::vector<NodeId>& a, const std::vector<NodeId>& b) {
  std::vector<NodeId> either;
  std::set_union(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(either));
  return either;
}

size_t difference(const std::vector<NodeId>& a, const std::vector<NodeId>& b) {
  std::vector<NodeId> apart;
  std::set_symmetric_difference(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(apart));
  return apart.size();
}

bool sorted_distinct(const std::vector<NodeId>& nodes) {
  return std::adjacent_find(nodes.begin(), nodes.end(),
                            [](NodeId a, NodeId b) { return a >= b; }) == nodes.end() &&
         (nodes.empty() || !nodes.front().none());
}

Result<Config> leave_joint(const Config& config) {
  if (!config.joint()) {
    return Status(Code::kPreconditionFailed, "the configuration is not joint");
  }
  Config next = config;
  next.outgoing.clear();
  for (const NodeId node : next.learners_next) {
    insert(next.learners, node);
  }
  next.learners_next.clear();
  next.witnesses = intersection(next.witnesses, next.voters);
  return next;
}

// A witness holds no state, and a voter cannot drop its state while it may be needed: turning one
// into the other goes by way of removal.
Status add_voter(Config& next, const Change& change) {
  const bool witness = change.kind == ChangeKind::kAddWitness;
  if (contains(next.voters, change.node)) {
    return contains(next.witnesses, change.node) == witness
               ? Status(Code::kAlreadyExists, "the node is a voter already")
               : Status(Code::kInvalidArgument, "a voter and a witness do not turn into another");
  }
  insert(next.voters, change.node);
  erase(next.learners, change.node);
  if (witness) {
    insert(next.witnesses, change.node);
  }
  return Status::success();
}

Status add_learner(Config& next, const Change& change) {
  if (contains(next.learners, change.node)) {
    return Status(Code::kAlreadyExists, "the node is a learner already");
  }
  if (contains(next.witnesses, change.node)) {
    return Status(Code::kInvalidArgument, "a witness has no state to learn on");
  }
  erase(next.voters, change.node);
  insert(next.learners, change.node);
  return Status::success();
}

Status remove(Config& next, const Change& change) {
  if (!contains(next.voters, change.node) && !contains(next.learners, change.node)) {
    return Status(Code::kNotFound, "the node is not a member");
  }
  erase(next.voters, change.node);
  erase(next.learners, change.node);
  erase(next.witnesses, change.node);
  return Status::success();
}

Status apply_one(Config& next, const Change& change) {
  if (change.node.none()) {
    return Status(Code::kInvalidArgument, "a change needs a node");
  }
  switch (change.kind) {
    case ChangeKind::kAddVoter:
    case ChangeKind::kAddWitness: return add_voter(next, change);
    case ChangeKind::kAddLearner: return add_learner(next, change);
    case ChangeKind::kRemove: return remove(next, change);
  }
  return Status(Code::kInvalidArgument, "unknown kind of change");
}

Status check_changes(const ConfigChange& change) {
  if (change.changes.size() > 2 * limits::kReplicasMax) {
    return Status(Code::kTooLarge, "too many changes at once");
  }
  for (size_t i = 0; i < change.changes.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      if (change.changes[i].node == change.changes[j].node) {
        return Status(Code::kInvalidArgument, "a node is changed twice");
      }
    }
  }
  return Status::success();
}

Status check_result(const Config& next) {
  if (next.witnesses.size() >= next.voters.size()) {
    return Status(Code::kInvalidArgument, "a group needs a voter with state");
  }
  if (!well_formed(next)) {
    return Status(Code::kTooLarge, "too many replicas");
  }
  return Status::success();
}

// The old voters keep their say until the joint configuration is left, and those that become
// learners stay voters of the old half until then.
void make_joint(const Config& old, Config& next) {
  next.outgoing = old.voters;
  next.learners_next = intersection(next.learners, old.voters);
  for (const NodeId node : next.learners_next) {
    erase(next.learners, node);
  }
  next.witnesses = united(next.witnesses, old.witnesses);
}

}  // namespace

bool contains(const std::vector<NodeId>& sorted, NodeId node) {
  return std::find(sorted.begin(), sorted.end(), node) != sorted.end();
}

bool is_voter(const Config& config, NodeId node) {
  return contains(config.voters, node) || contains(config.outgoing, node);
}

bool is_member(const Config& config, NodeId node) {
  return is_voter(config, node) || contains(config.learners, node);
}

bool is_witness(const Config& config, NodeId node) { return contains(config.witnesses, node); }

std::vector<NodeId> members(const Config& config) {
  return united(united(config.voters, config.outgoing), config.learners);
}

bool well_formed(const Config& config) {
  for (const std::vector<NodeId>* nodes :
       {&config.voters, &config.outgoing, &config.learners, &config.learners_next,
        &config.witnesses}) {
    // Witnesses may stand in both halves; of the meta group every node is a voter or a learner.
    const size_t most = nodes == &config.witnesses  ? 2 * limits::kReplicasMax
                        : nodes == &config.learners ? limits::kNodesMax
                                                    : limits::kReplicasMax;
    if (nodes->size() > most || !sorted_distinct(*nodes)) {
      return false;
    }
  }
  return intersection(config.learners, united(config.voters, config.outgoing)).empty() &&
         intersection(config.learners_next, config.outgoing) == config.learners_next &&
         intersection(config.witnesses, united(config.voters, config.outgoing)) ==
             config.witnesses;
}

Result<Config> apply_change(const Config& config, const ConfigChange& change) {
  if (change.changes.empty()) {
    return leave_joint(config);
  }
  if (config.joint()) {
    return Status(Code::kPreconditionFailed, "another change is under way");
  }
  RETURN_IF_ERROR(check_changes(change));
  Config next = config;
  for (const Change& one : change.changes) {
    RETURN_IF_ERROR(apply_one(next, one));
  }
  const bool joint = change.joint || difference(config.voters, next.voters) > 1;
  const Status status = check_result(next);
  if (!status.ok()) {
    return status;
  }
  if (joint) {
    make_joint(config, next);
    ASSERT(well_formed(next), "a joint configuration of two good halves is good");
  }
  return next;
}

Configs::Configs(Index base, Config config) { reset(base, std::move(config)); }

void Configs::reset(Index base, Config config) {
  all_.clear();
  all_.push_back(Step{base, {}, std::move(config), true});
}

void Configs::replay(size_t first) {
  ASSERT(first > 0 && first <= all_.size());
  for (size_t i = first; i < all_.size(); ++i) {
    if (all_[i].stated) {
      continue;
    }
    Result<Config> next = apply_change(all_[i - 1].config, all_[i].change);
    all_[i].config = next.ok() ? *std::move(next) : all_[i - 1].config;
  }
}

void Configs::add(const Entry& entry) {
  ASSERT(entry.kind == EntryKind::kConfig && entry.index > all_.front().index);
  Result<ConfigChange> change = decode_config_change(entry.payload.view());
  if (!change.ok()) {
    return;
  }
  const auto at = std::find_if(all_.begin(), all_.end(),
                               [&](const Step& step) { return step.index >= entry.index; });
  if (at != all_.end() && at->index == entry.index) {
    return;
  }
  std::optional<Config> result = decode_config_result(entry.payload.view());
  const bool stated = result.has_value();
  const auto added = all_.insert(at, Step{entry.index, *std::move(change),
                                          std::move(result).value_or(Config()), stated});
  replay(static_cast<size_t>(added - all_.begin()));
}

bool Configs::truncate(Index last) {
  const size_t before = all_.size();
  while (all_.size() > 1 && all_.back().index > last) {
    all_.pop_back();
  }
  return all_.size() != before;
}

void Configs::compact(Index base) {
  size_t kept = 0;
  while (kept + 1 < all_.size() && all_[kept + 1].index <= base) {
    ++kept;
  }
  all_.erase(all_.begin(), all_.begin() + static_cast<std::ptrdiff_t>(kept));
}

void Configs::rebase(Index base, Config config) {
  compact(base);
  all_.front() = Step{base, {}, std::move(config), true};
  if (all_.size() > 1) {
    replay(1);
  }
}

const Config& Configs::at(Index index) const {
  size_t i = all_.size() - 1;
  while (i > 0 && all_[i].index > index) {
    --i;
  }
  return all_[i].config;
}

}  // namespace quorate::raft
