// SPDX-License-Identifier: Apache-2.0
#include "sim/check/observer.h"

#include <algorithm>

#include "base/hash.h"

namespace quorate::sim {
namespace {

// Digests older than this are forgotten: a replica that lags so far is compared at the end.
constexpr size_t kDigestsMax = 4096;
// A new leader is compared with this many of the newest committed entries.
constexpr uint64_t kLeaderCheckEntriesMax = 2000;

std::string text(Index index) { return std::to_string(index.value()); }
std::string text(Term term) { return std::to_string(term.value()); }

uint64_t hash_of(const raft::Entry& entry) {
  const uint64_t head = mix64(entry.index.value() ^ mix64(entry.term.value())) ^
                        static_cast<uint64_t>(entry.at.micros()) ^
                        static_cast<uint64_t>(entry.kind);
  return hash64(entry.payload.view(), head) | 1;
}

const char* name_of(raft::Role role) {
  switch (role) {
    case raft::Role::kFollower: return "follower";
    case raft::Role::kPreCandidate: return "pre-candidate";
    case raft::Role::kCandidate: return "candidate";
    case raft::Role::kLeader: return "leader";
  }
  return "?";
}

}  // namespace

Observer::Observer(Cluster& cluster) : cluster_(cluster), world_(cluster.world()) {
  cluster_.network().set_tap([this](NodeId from, NodeId to, std::string_view frame) {
    const std::string broken = cluster_.speaks(from) ? promises_.note(from, to, frame) : "";
    if (!broken.empty()) {
      breach(from, broken);
    }
  });
}

void Observer::look(NodeId id) {
  node::Node* const node = cluster_.node(id);
  if (node == nullptr || !breach_.empty()) {
    return;
  }
  node->check_invariants();
  for (uint32_t g = 0; g <= cluster_.plan().groups; ++g) {
    const node::Group* const group = node->group(GroupId(g));
    if (group == nullptr) {
      promises_.forget(id, GroupId(g));
      continue;
    }
    Seen& seen = seen_[{id, GroupId(g)}];
    const uint64_t birth = cluster_.birth(id, GroupId(g));
    if (seen.life != cluster_.life(id) || seen.birth != birth) {
      seen = Seen{};
      seen.life = cluster_.life(id);
      seen.birth = birth;
      if (group->raft().suspect()) {
        promises_.forget(id, GroupId(g));  // its disk was lost, and it knows that
      }
      const std::string forgotten = promises_.check(id, GroupId(g), group->raft());
      if (!forgotten.empty() && !cluster_.damaged(id)) {
        breach(id, forgotten);
      }
    }
    look(id, *group, seen);
  }
}

void Observer::look(NodeId id, const node::Group& group, Seen& seen) {
  const raft::Node& raft = group.raft();
  if (raft.term() < seen.term) {
    report(id, group, "the term went back from " + text(seen.term));
  }
  if (raft.role() != seen.role || raft.term() != seen.term) {
    look_at_role(id, group, seen);
  }
  if (raft.has_holes() != seen.holes) {
    world_.count(seen.holes ? "hole_repaired" : "hole_found");
    seen.holes = raft.has_holes();
  }
  if (raft.quiet() != seen.quiet) {
    world_.count(seen.quiet ? "group_woken" : "group_quiet");
    seen.quiet = raft.quiet();
  }
  const Term last_term = raft.term_at(raft.last_index());
  if (raft.last_index() != seen.last || last_term != seen.last_term) {
    seen.last = raft.last_index();
    seen.last_term = last_term;
    look_at_config(id, group, seen);
  }
  if (raft.commit() != seen.commit) {
    look_at_commit(id, group, seen);
  }
  if (group.applied() != seen.applied) {
    look_at_digest(id, group, seen);
  }
}

void Observer::look_at_role(NodeId id, const node::Group& group, Seen& seen) {
  const raft::Node& raft = group.raft();
  if (world_.tracing()) {
    world_.trace(id, "group " + std::to_string(group.id().value()) + " " + name_of(raft.role()) +
                         " in term " + text(raft.term()) + ", last " + text(raft.last_index()) +
                         ", commit " + text(raft.commit()));
  }
  const bool began = raft.role() == raft::Role::kLeader &&
                     (seen.role != raft::Role::kLeader || seen.term != raft.term());
  seen.role = raft.role();
  seen.term = raft.term();
  if (!began) {
    return;
  }
  History& history = histories_[group.id()];
  if (!history.leaders.empty()) {
    world_.count("leader_change");
  }
  const auto [it, fresh] = history.leaders.emplace(raft.term(), id);
  if (!fresh && it->second != id) {
    report(id, group,
           "leads in term " + text(raft.term()) + ", and so did node " +
               std::to_string(it->second.value()));
  }
  check_leader(id, group, history);
  check_leases(id, group);
}

// Whoever leads under a lease would answer reads without asking anybody.
void Observer::check_leases(NodeId id, const node::Group& group) {
  for (const NodeId other : cluster_.ids()) {
    const node::Group* const peer =
        other == id || !cluster_.speaks(other) ? nullptr : cluster_.node(other)->group(group.id());
    if (peer != nullptr && peer->raft().term() < group.raft().term() &&
        peer->raft().lease_read(cluster_.clock(other).local()).has_value()) {
      report(id, group,
             "leads in term " + text(group.raft().term()) + " while the lease of node " +
                 std::to_string(other.value()) + " in term " + text(peer->raft().term()) +
                 " still runs");
    }
  }
}

void Observer::check_leader(NodeId id, const node::Group& group, const History& history) {
  const raft::Node& raft = group.raft();
  uint64_t newest = history.entries.empty() ? 0 : history.entries.size() - 1;
  while (newest > 0 && history.entries[newest].committed_in >= raft.term()) {
    --newest;
  }
  if (raft.last_index().value() < newest) {
    report(id, group,
           "was elected with last entry " + text(raft.last_index()) + ", but " +
               std::to_string(newest) + " is committed");
    return;
  }
  const uint64_t first =
      std::max<uint64_t>({1, raft.first_index().value(),
                          newest > kLeaderCheckEntriesMax ? newest - kLeaderCheckEntriesMax : 1});
  for (uint64_t i = first; i <= newest; ++i) {
    const Term committed = history.entries[i].term;
    if (!committed.none() && raft.term_at(Index(i)) != committed) {
      report(id, group,
             "was elected with entry " + std::to_string(i) + " of term " +
                 text(raft.term_at(Index(i))) + ", but that of term " + text(committed) +
                 " is committed");
      return;
    }
  }
}

void Observer::look_at_commit(NodeId id, const node::Group& group, Seen& seen) {
  const raft::Node& raft = group.raft();
  if (raft.commit() < seen.commit) {
    report(id, group, "the commit went back from " + text(seen.commit));
  }
  std::vector<Committed>& entries = histories_[group.id()].entries;
  const uint64_t last = raft.commit().value();
  if (entries.size() <= last) {
    entries.resize(last + 1);
  }
  const uint64_t first = std::max(seen.commit.next().value(), raft.first_index().value());
  for (uint64_t i = std::max<uint64_t>(first, 1); i <= last; ++i) {
    Committed& known = entries[i];
    const Term term = raft.term_at(Index(i));
    const raft::Entry* const entry = raft.entry_at(Index(i));
    const uint64_t hash = entry == nullptr ? 0 : hash_of(*entry);
    if (!known.term.none() && known.term != term) {
      report(id, group,
             "committed entry " + std::to_string(i) + " of term " + text(term) + ", but node " +
                 std::to_string(known.first_seen_at.value()) + " committed that of term " +
                 text(known.term));
      return;
    }
    if (known.hash != 0 && hash != 0 && known.hash != hash) {
      report(id, group,
             "entry " + std::to_string(i) + " differs from that of node " +
                 std::to_string(known.first_seen_at.value()) + " in equal terms");
      return;
    }
    if (known.term.none()) {
      known.term = term;
      known.committed_in = raft.term();
      known.first_seen_at = id;
    }
    known.hash = known.hash != 0 ? known.hash : hash;
  }
  seen.commit = raft.commit();
}

// Two majorities are sure to meet only if whoever holds an entry that changes them counts by it at
// once. To wait for its commit does harm only when several replicas restart between two changes
// and two elections meet in one term, so it is looked for here.
void Observer::look_at_config(NodeId id, const node::Group& group, Seen& seen) {
  const raft::Node& raft = group.raft();
  for (Index i = seen.last; i > seen.commit; i = Index(i.value() - 1)) {
    const raft::Entry* const entry = raft.entry_at(i);
    if (entry == nullptr || entry->kind != raft::EntryKind::kConfig) {
      continue;
    }
    if (raft.config_index() < i) {
      report(id, group,
             "counts by the configuration of entry " + text(raft.config_index()) +
                 ", but its log has one at " + text(i));
    }
    return;
  }
}

void Observer::look_at_digest(NodeId id, const node::Group& group, Seen& seen) {
  if (seen.applied > group.applied()) {
    report(id, group, "the applied index went back from " + text(seen.applied));
  }
  seen.applied = group.applied();
  std::map<Index, uint64_t>& digests = histories_[group.id()].digests;
  const uint64_t digest = group.machine().digest();
  const auto [it, fresh] = digests.emplace(group.applied(), digest);
  if (!fresh && it->second != digest) {
    report(id, group, "has another digest than a peer at applied index " + text(group.applied()));
  }
  if (digests.size() > kDigestsMax) {
    digests.erase(digests.begin());
  }
}

std::string Observer::differences() {
  for (uint32_t g = 0; g <= cluster_.plan().groups; ++g) {
    const GroupId id(g);
    const NodeId leader = cluster_.leader_of(id);
    if (leader.none()) {
      return "group " + std::to_string(g) + " has no leader";
    }
    const node::Group& first = *cluster_.node(leader)->group(id);
    const raft::Config& config = first.raft().config();
    if (config.joint()) {
      return "group " + std::to_string(g) + " is still joint";
    }
    if (std::count(config.voters.begin(), config.voters.end(), leader) == 0) {
      return "group " + std::to_string(g) + " is led by one that does not belong to it";
    }
    for (const NodeId peer : cluster_.ids()) {
      const bool member = std::count(config.voters.begin(), config.voters.end(), peer) +
                              std::count(config.learners.begin(), config.learners.end(), peer) >
                          0;
      if (!member || cluster_.refused(peer)) {
        continue;
      }
      node::Node* const node = cluster_.node(peer);
      const node::Group* const group = node == nullptr ? nullptr : node->group(id);
      const std::string who =
          "node " + std::to_string(peer.value()) + " group " + std::to_string(g);
      if (group == nullptr) {
        return who + " is not running";
      }
      if (group->applied() != first.raft().last_index() || group->raft().has_holes()) {
        return who + " applied " + text(group->applied()) + " of " +
               text(first.raft().last_index()) + (group->raft().has_holes() ? ", with holes" : "");
      }
      if (group->machine().digest() != first.machine().digest()) {
        return who + " has another digest than its leader";
      }
    }
  }
  return cluster_.plan().placement != 0 ? cluster_.unsettled() : "";
}

uint64_t Observer::committed() const {
  uint64_t sum = 0;
  for (const auto& [group, history] : histories_) {
    sum += history.entries.empty() ? 0 : history.entries.size() - 1;
  }
  return sum;
}

void Observer::report(NodeId id, const node::Group& group, const std::string& what) {
  breach(id, "node " + std::to_string(id.value()) + " group " + std::to_string(group.id().value()) +
                 ": " + what);
}

void Observer::breach(NodeId id, const std::string& what) {
  if (breach_.empty()) {
    breach_ = what;
    world_.trace(id, "BREACH " + breach_);
    world_.stop();
  }
}

}  // namespace quorate::sim
