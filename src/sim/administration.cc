// SPDX-License-Identifier: Apache-2.0
// The nemesis as an administrator with no sense of timing: leaders moved, members exchanged,
// machines brought and taken away, whatever else is broken at the moment.
#include <algorithm>

#include "sim/nemesis.h"

namespace quorate::sim {

void Nemesis::transfer(const FaultRule&) {
  const GroupId group(static_cast<uint32_t>(prng_.below(cluster_.plan().groups + 1)));
  const NodeId leader = cluster_.leader_of(group);
  if (!leader.none()) {
    hand_over(group, leader);
  }
}

void Nemesis::hand_over(GroupId group, NodeId leader) {
  const std::vector<NodeId> voters = cluster_.node(leader)->group(group)->raft().config().voters;
  const NodeId target = voters[prng_.below(voters.size())];
  world_.after(cluster_.life(leader), Duration(), [this, group, leader, target] {
    node::Group* const replica = cluster_.node(leader)->group(group);
    if (replica != nullptr && replica->transfer(target).ok()) {
      note("group " + std::to_string(group.value()) + " is handed from n" +
           std::to_string(leader.value()) + " to n" + std::to_string(target.value()));
      world_.count("transfer_asked");
    }
  });
}

// Leadership is handed over, and whoever gave it away hears nothing more of what follows: the
// moment in which two may think that they lead.
void Nemesis::transfer_and_cut(const FaultRule& rule) {
  const GroupId group(static_cast<uint32_t>(prng_.below(cluster_.plan().groups + 1)));
  const NodeId leader = cluster_.leader_of(group);
  if (leader.none()) {
    return;
  }
  hand_over(group, leader);
  world_.after(Duration::micros(prng_.between(100, 4'000)), [this, leader, rule] {
    if (!stopped_) {
      isolate(leader, true);
      mend_after(rule, [this, leader] { isolate(leader, false); });
    }
  });
}

// One random step: in comes somebody who is out, out goes somebody who is in, or both at once; now
// and then two of each, so that the old and the new majority share one voter only. Who is to vote
// learns first, as placement has it: a group whose new voters are empty and whose leader dies could
// not elect another, and rightly so.
void Nemesis::membership(const FaultRule&) {
  const GroupId group(static_cast<uint32_t>(prng_.below(cluster_.plan().groups + 1)));
  change_members(group);
  if (prng_.chance(1, 2)) {
    // Asked for again before the first is committed: it must be refused.
    world_.after(Duration::micros(prng_.between(0, 3'000)), [this, group] {
      if (!stopped_) {
        change_members(group);
      }
    });
  }
}

void Nemesis::change_members(GroupId group) {
  const NodeId leader = cluster_.leader_of(group);
  if (leader.none() || cluster_.is_paused(leader)) {
    return;
  }
  std::string text = "group " + std::to_string(group.value()) + " membership:";
  const raft::ConfigChange change =
      random_change(cluster_.node(leader)->group(group)->raft(), text);
  if (change.changes.empty()) {
    return;
  }
  world_.after(cluster_.life(leader), Duration(), [this, group, leader, change, text] {
    node::Group* const replica = cluster_.node(leader)->group(group);
    if (replica != nullptr && replica->propose_config(change).ok()) {
      note(text);
      world_.count(change.changes.size() > 1 ? "membership_replaced" : "membership_changed");
    }
  });
}

raft::ConfigChange Nemesis::random_change(const raft::Node& leader, std::string& text) {
  std::vector<NodeId> inside = leader.config().voters;
  const std::vector<raft::PeerView> peers = leader.peers();
  const auto caught_up = [&](NodeId id) {
    return std::any_of(peers.begin(), peers.end(), [&](const raft::PeerView& peer) {
      return peer.node == id && peer.match >= leader.commit();
    });
  };
  std::vector<NodeId> outside;
  for (const NodeId id : cluster_.ids()) {
    if (cluster_.running(id) && std::count(inside.begin(), inside.end(), id) == 0) {
      outside.push_back(id);
    }
  }
  const auto take = [this](std::vector<NodeId>& from) {
    const auto at = from.begin() + static_cast<std::ptrdiff_t>(prng_.below(from.size()));
    const NodeId id = *at;
    from.erase(at);
    return id;
  };
  raft::ConfigChange change;
  const bool full = inside.size() >= cluster_.plan().replication;
  for (uint64_t i = prng_.chance(1, 3) ? 2 : 1; i > 0; --i) {
    if (!outside.empty() && (!full || prng_.chance(1, 2))) {
      const NodeId in = take(outside);
      const bool votes = caught_up(in);
      change.changes.push_back(
          {votes ? raft::ChangeKind::kAddVoter : raft::ChangeKind::kAddLearner, in});
      text += (votes ? " +n" : " learner n") + std::to_string(in.value());
    }
    if (full && inside.size() > 2) {
      const NodeId out = take(inside);
      change.changes.push_back({raft::ChangeKind::kRemove, out});
      text += " -n" + std::to_string(out.value());
    }
  }
  change.joint = prng_.chance(1, 3);
  for (const raft::Change& one : change.changes) {
    if (one.kind == raft::ChangeKind::kAddVoter) {
      inside.push_back(one.node);
    }
  }
  return outlives_rot(inside) ? change : raft::ConfigChange();
}

// Rot may take the disks of its victims for good, and a group of which half the voters are victims
// would rightly never elect again; no administrator is to be blamed with having made one.
bool Nemesis::outlives_rot(const std::vector<NodeId>& voters) const {
  const bool rots = std::any_of(rules_.begin(), rules_.end(),
                                [](const FaultRule& rule) { return rule.kind == "bit_rot"; });
  const auto lost = std::count_if(voters.begin(), voters.end(), [this](NodeId id) {
    return std::count(rot_victims_.begin(), rot_victims_.end(), id) != 0;
  });
  return !rots || static_cast<size_t>(lost) * 2 < voters.size();
}

// ---- machines ----------------------------------------------------------------------------------

void Nemesis::join(const FaultRule&) { operator_.join(); }
void Nemesis::leave(const FaultRule&) { operator_.leave(); }
void Nemesis::rest(const FaultRule& rule) { operator_.rest(around(rule.length)); }
void Nemesis::replace(const FaultRule&) { operator_.replace(); }
void Nemesis::lose_directory(const FaultRule& rule) {
  const NodeId victim = operator_.choose_loss();
  if (victim.none()) {
    return;
  }
  if (prng_.chance(1, 3) || cluster_.ids().size() != 3) {
    operator_.lose_directory(victim, around(rule.length));
    return;
  }
  // The hard way: what was acknowledged lately is on the victim and on one other, which loses power
  // when the victim's disk is gone. The third does not have it, and must not lead with an empty
  // one.
  std::vector<NodeId> others = cluster_.ids();
  std::erase(others, victim);
  const NodeId behind = others[prng_.below(2)];
  const NodeId holder = others[0] == behind ? others[1] : others[0];
  isolate(behind, true);
  world_.after(Duration::millis(prng_.between(300, 900)), [this, victim, behind, holder, rule] {
    operator_.lose_directory(victim, around(rule.length));
    cluster_.restart_after(holder, Cluster::End::kPowerCut, Duration::millis(1500));
    isolate(behind, false);
  });
}

}  // namespace quorate::sim
