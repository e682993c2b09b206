// SPDX-License-Identifier: Apache-2.0
// Founding: how a new cluster begins, and how a node with an empty directory tells a new cluster
// from one that has lived without it.
//
// A founding replica is a voter from its first moment, with a log that is complete by definition.
// That is only true once. A node whose directory was lost looks the same, but what it had
// acknowledged is gone, and a vote of its empty log could elect a leader that lacks it too. So a
// node with an empty directory asks before it founds anything:
//
//   all other founding nodes say "I have not seen the cluster live"    found the groups
//   anybody says "I have"                                              hold no group but group 0,
//                                                                      and that as a suspect
//
// A suspect replica neither votes nor stands until a leader has brought it up to date; the mark is
// durable. See docs/decisions/090-founding.md.
#include <algorithm>

#include "base/mutant.h"
#include "node/node.h"
#include "service/meta/placement.h"

namespace quorate::node {

Status Node::begin_founding(bool groups_unknown) {
  if (options_.initial.empty()) {
    return Status::success();  // joins an existing cluster: placement will ask for replicas
  }
  if (options_.initial.size() > 1 && !MUTANT(founds_without_asking)) {
    founding_ = true;
    return Status::success();
  }
  // A group that the log has lost without a trace may have lived here, and nobody else would know.
  if (groups_unknown) {
    return Status(Code::kCorrupted,
                  "the directory does not say that its cluster has lived, but its log has lost "
                  "groups that it cannot name: restore a backup, or empty the directory if it was "
                  "never in use");
  }
  found_groups();
  return Status::success();
}

void Node::write_founding(std::string& out) const { Writer(out).boolean(lived_); }

void Node::on_founding(NodeId from, std::string_view bytes) {
  Reader reader(bytes);
  const bool lived = reader.boolean();
  const bool founder = std::any_of(options_.initial.begin(), options_.initial.end(),
                                   [from](const Peer& peer) { return peer.id == from; });
  if (!founding_ || !reader.done()) {
    return;
  }
  // Whoever has seen the cluster live may say so: all who founded it may have been replaced since.
  if (lived) {
    founding_ = false;
    enter_living_cluster();
    return;
  }
  if (founder && std::find(newborn_.begin(), newborn_.end(), from) == newborn_.end()) {
    newborn_.push_back(from);
  }
  if (newborn_.size() + 1 >= options_.initial.size()) {
    founding_ = false;
    found_groups();
    for (const GroupId id : group_ids()) {
      changed_.push_back(id);
    }
  }
}

// Placement asks for the other groups once group 0 is here and says which.
void Node::enter_living_cluster() {
  notes_.push_back(
      "the data directory is new, but its cluster has lived: rebuilding from the others");
  // What is here was founded by a start that was cut short; nothing of it was ever acknowledged.
  for (const GroupId id : group_ids()) {
    destroy_group(id);
  }
  identity_.established = true;
  create_group(GroupId(0));
  founding_ =
      group(GroupId(0)) == nullptr;  // not written down: the next word of a peer tries again
  schedule_turn();
}

Status Node::set_suspect(GroupId id, bool suspect) {
  Identity changed = identity_;
  const auto at = std::lower_bound(changed.suspects.begin(), changed.suspects.end(), id);
  const bool known = at != changed.suspects.end() && *at == id;
  if (known == suspect) {
    return Status::success();
  }
  if (suspect) {
    changed.suspects.insert(at, id);
  } else {
    changed.suspects.erase(at);
  }
  RETURN_IF_ERROR(store_identity(world_.disk, changed));
  identity_ = std::move(changed);
  return Status::success();
}

// Of replicas that a leader has brought up to date: they vote from now on, also after a restart.
void Node::trust_recovered() {
  clear_marks_of_gone();
  std::vector<GroupId> recovered;
  for (const GroupId id : identity_.suspects) {
    const Group* const here = group(id);
    if (here != nullptr && !here->raft().suspect() && !here->raft().has_holes()) {
      recovered.push_back(id);
    }
  }
  for (const GroupId id : recovered) {
    if (!set_suspect(id, false).ok()) {
      return;  // said again at the next beat
    }
    wal_->trust(id);
  }
}

void Node::clear_marks_of_gone() {
  std::erase_if(gone_, [this](const std::pair<GroupId, uint64_t>& gone) {
    const auto& [id, birth] = gone;
    const bool has_successor = group(id) != nullptr || slots_[id.value()].birth != birth;
    return has_successor || set_suspect(id, false).ok();  // else at the next beat
  });
}

std::optional<service::meta::Bootstrap> Node::first_map() const {
  if (options_.initial.empty()) {
    return std::nullopt;
  }
  service::meta::Bootstrap bootstrap;
  bootstrap.settings.cluster_id = identity_.cluster_id;
  bootstrap.settings.replication = options_.replication_factor;
  bootstrap.groups = identity_.groups;
  for (const Peer& peer : options_.initial) {
    service::meta::NodeSpec spec;
    spec.id = peer.id;
    spec.addresses = {peer.address, peer.http_address, peer.resp_address};
    bootstrap.nodes.push_back(std::move(spec));
  }
  return bootstrap;
}

// The groups of a new cluster. Each founding replica writes the same first entry, the configuration
// of index 1 in term 1, as if a leader of term 1 had sent and committed it; so all agree without a
// word between them.
void Node::found_groups() {
  if (options_.initial.empty()) {
    return;  // joins an existing cluster: placement will ask for replicas
  }
  // The meta machine's bootstrap command computes the same from the same, so that what is there is
  // also what is wanted.
  service::meta::PlacementRules rules;
  rules.seed = identity_.cluster_id;
  rules.replication = options_.replication_factor;
  for (const Peer& peer : options_.initial) {
    rules.nodes.push_back({peer.id});
  }
  std::sort(rules.nodes.begin(), rules.nodes.end(),
            [](const auto& a, const auto& b) { return a.node < b.node; });
  found_group(GroupId(0),
              service::meta::place_meta(rules, service::meta::Settings().meta_voters_max, {}));
  const service::meta::Placement placement =
      service::meta::place(rules, service::meta::Placement(identity_.groups));
  for (uint32_t g = 1; g <= identity_.groups; ++g) {
    std::vector<NodeId> voters;
    for (const service::meta::Replica& replica : placement[g - 1]) {
      voters.push_back(replica.node);
    }
    found_group(GroupId(g), voters);
  }
}

void Node::found_group(GroupId id, const std::vector<NodeId>& voters) {
  const bool ours = std::find(voters.begin(), voters.end(), options_.id) != voters.end();
  if (!ours || slots_[id.value()].group != nullptr) {
    return;
  }
  raft::ConfigChange change;
  for (const NodeId voter : voters) {
    change.changes.push_back({raft::ChangeKind::kAddVoter, voter});
  }
  const raft::Entry first{Index(1), Term(1), raft::EntryKind::kConfig, Stamp(),
                          Buffer::take(raft::encode(change))};
  const wal::State state{Term(1), NodeId(), Index(1)};
  const wal::Record record{first.index, first.term, static_cast<uint8_t>(first.kind), first.at,
                           first.payload};
  wal_->append(id, &state, {&record, 1});
  raft::Restored restored;
  restored.hard_state = {Term(1), NodeId(), Index(1)};
  restored.last = Index(1);
  restored.terms = {{Index(1), Term(1)}};
  restored.configs = {first};
  Group& group = add_group(id, {std::move(restored), new_machine(id), Stamp()});
  mark_dirty(group);
}

}  // namespace quorate::node
