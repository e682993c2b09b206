// SPDX-License-Identifier: Apache-2.0
#include "sim/nemesis.h"

#include <algorithm>

namespace quorate::sim {

struct FaultTable {
  std::string_view kind;
  void (Nemesis::*strike)(const FaultRule&);
  static const std::vector<FaultTable>& rows();
};

const std::vector<FaultTable>& FaultTable::rows() {
  static const std::vector<FaultTable> table = {
      {"crash", &Nemesis::crash},
      {"crash_leader", &Nemesis::crash_leader},
      {"crash_inside", &Nemesis::crash_inside},
      {"crash_all", &Nemesis::crash_all},
      {"pause", &Nemesis::pause},
      {"partition", &Nemesis::partition},
      {"isolate_leader", &Nemesis::isolate_leader},
      {"one_way", &Nemesis::one_way},
      {"flap", &Nemesis::flap},
      {"storm", &Nemesis::storm},
      {"slow_disk", &Nemesis::slow_disk},
      {"full_disk", &Nemesis::full_disk},
      {"failing_disk", &Nemesis::failing_disk},
      {"bit_rot", &Nemesis::bit_rot},
      {"drift", &Nemesis::drift},
      {"jump", &Nemesis::jump},
      {"transfer", &Nemesis::transfer},
      {"half_told", &Nemesis::half_told},
      {"hunt", &Nemesis::hunt},
      {"flicker", &Nemesis::flicker},
      {"transfer_and_cut", &Nemesis::transfer_and_cut},
      {"membership", &Nemesis::membership},
      {"join", &Nemesis::join},
      {"leave", &Nemesis::leave},
      {"rest", &Nemesis::rest},
      {"replace", &Nemesis::replace},
      {"lose_directory", &Nemesis::lose_directory},
  };
  return table;
}

std::vector<std::string_view> Nemesis::kinds() {
  std::vector<std::string_view> out;
  for (const FaultTable& row : FaultTable::rows()) {
    out.push_back(row.kind);
  }
  return out;
}

bool is_fault(std::string_view kind) {
  const std::vector<std::string_view> kinds = Nemesis::kinds();
  return std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
}

Nemesis::Nemesis(Cluster& cluster)
    : cluster_(cluster),
      world_(cluster.world()),
      prng_(world_.fork_prng()),
      operator_(cluster),
      rules_(cluster.plan().faults) {
  // A minority of the replicas of any group, so that of the machines if every one holds all.
  const uint64_t minority = (cluster.plan().replication - 1) / 2;
  while (rot_victims_.size() < minority) {
    const NodeId id = cluster_.ids()[prng_.below(cluster.plan().nodes)];
    if (std::find(rot_victims_.begin(), rot_victims_.end(), id) == rot_victims_.end()) {
      rot_victims_.push_back(id);
    }
  }
}

void Nemesis::start() {
  for (size_t i = 0; i < rules_.size(); ++i) {
    schedule(i);
  }
}

void Nemesis::stop() {
  stopped_ = true;
  operator_.stop();
  cluster_.network().heal_all();
  cluster_.network().set_model(cluster_.plan().link);
  for (const NodeId id : cluster_.ids()) {
    cluster_.resume(id);
    cluster_.disk(id).set_model(cluster_.plan().disk);
    cluster_.disk(id).arm_freeze(0);
    cluster_.clock(id).set_drift(0);
    if (!cluster_.running(id) && !cluster_.refused(id)) {
      cluster_.start(id);
    }
  }
}

void Nemesis::schedule(size_t rule) {
  world_.after(around(rules_[rule].every), [this, rule] {
    if (!stopped_) {
      strike(rule);
      schedule(rule);
    }
  });
}

void Nemesis::strike(size_t rule) {
  for (const FaultTable& row : FaultTable::rows()) {
    if (row.kind == rules_[rule].kind) {
      ++injected_;
      (this->*row.strike)(rules_[rule]);
      return;
    }
  }
}

void Nemesis::note(const std::string& what) {
  if (world_.tracing()) {
    world_.trace(NodeId(), "fault: " + what);
  }
}

void Nemesis::mend_after(const FaultRule& rule, UniqueFunction<void()> mend) {
  world_.after(around(rule.length), [this, action = std::move(mend)]() mutable {
    if (!stopped_) {
      action();
    }
  });
}

Duration Nemesis::around(Duration mean) {
  return Duration::nanos(prng_.between(mean.nanos() / 4, mean.nanos() * 7 / 4));
}

NodeId Nemesis::any_node() { return cluster_.ids()[prng_.below(cluster_.ids().size())]; }

NodeId Nemesis::any_running() {
  std::vector<NodeId> running;
  for (const NodeId id : cluster_.ids()) {
    if (cluster_.running(id)) {
      running.push_back(id);
    }
  }
  return running.empty() ? NodeId() : running[prng_.below(running.size())];
}

NodeId Nemesis::any_leader() {
  const GroupId group(static_cast<uint32_t>(prng_.below(cluster_.plan().groups + 1)));
  const NodeId leader = cluster_.leader_of(group);
  return leader.none() ? any_running() : leader;
}

// ---- processes ---------------------------------------------------------------------------------

void Nemesis::crash(const FaultRule& rule) {
  const NodeId id = any_running();
  if (id.none()) {
    return;
  }
  const auto how = prng_.chance(2, 3) ? Cluster::End::kPowerCut : Cluster::End::kKill;
  world_.count("crashed");
  cluster_.restart_after(id, how, around(rule.length));
}

void Nemesis::crash_leader(const FaultRule& rule) {
  const NodeId id = any_leader();
  if (id.none()) {
    return;
  }
  world_.count("crashed");
  const auto how = prng_.chance(2, 3) ? Cluster::End::kPowerCut : Cluster::End::kKill;
  cluster_.restart_after(id, how, around(rule.length));
}

// The crash falls between two disk operations of one event: inside a sequence of blocking steps, or
// between a write's completion and what the node does upon it.
void Nemesis::crash_inside(const FaultRule&) {
  const NodeId id = any_node();
  const uint64_t operations = 1 + prng_.below(prng_.chance(1, 2) ? 8 : 200);
  note("n" + std::to_string(id.value()) + " will lose power at its disk operation " +
       std::to_string(operations));
  cluster_.disk(id).arm_freeze(operations);
  if (cluster_.running(id) && prng_.chance(1, 3)) {
    // So that recovery itself is cut apart.
    cluster_.restart_after(id, Cluster::End::kKill, Duration::millis(prng_.between(1, 300)));
    cluster_.disk(id).arm_freeze(operations);
  }
}

void Nemesis::crash_all(const FaultRule& rule) {
  note("power cut everywhere");
  world_.count("crashed_all");
  for (const NodeId id : cluster_.ids()) {
    if (cluster_.running(id)) {
      cluster_.restart_after(id, Cluster::End::kPowerCut, around(rule.length));
    }
  }
}

void Nemesis::pause(const FaultRule& rule) {
  const NodeId id = prng_.chance(1, 2) ? any_leader() : any_running();
  if (id.none()) {
    return;
  }
  cluster_.pause(id);
  mend_after(rule, [this, id] { cluster_.resume(id); });
}

// ---- network -----------------------------------------------------------------------------------

void Nemesis::partition(const FaultRule& rule) {
  std::vector<NodeId> one, other;
  for (const NodeId id : cluster_.ids()) {
    (prng_.chance(1, 2) ? one : other).push_back(id);
  }
  std::string text = "partition:";
  for (const NodeId a : one) {
    text += " n" + std::to_string(a.value());
    for (const NodeId b : other) {
      cluster_.network().cut(a, b);
      cluster_.network().cut(b, a);
    }
  }
  note(text + " | the rest");
  world_.count("partitioned");
  mend_after(rule, [this, one, other] {
    note("partition heals");
    for (const NodeId a : one) {
      for (const NodeId b : other) {
        cluster_.network().heal(a, b);
        cluster_.network().heal(b, a);
      }
    }
  });
}

void Nemesis::isolate_leader(const FaultRule& rule) {
  const NodeId leader = any_leader();
  if (leader.none()) {
    return;
  }
  world_.count("partitioned");
  isolate(leader, true);
  mend_after(rule, [this, leader] { isolate(leader, false); });
}

void Nemesis::isolate(NodeId id, bool cut) {
  note("n" + std::to_string(id.value()) + (cut ? " is cut off" : " is back"));
  for (const NodeId other : cluster_.ids()) {
    if (cut) {
      cluster_.network().cut(id, other);
      cluster_.network().cut(other, id);
    } else {
      cluster_.network().heal(id, other);
      cluster_.network().heal(other, id);
    }
  }
}

void Nemesis::one_way(const FaultRule& rule) {
  const NodeId from = prng_.chance(1, 2) ? any_leader() : any_node();
  const bool outgoing = prng_.chance(1, 2);
  std::vector<std::pair<NodeId, NodeId>> cuts;
  for (const NodeId id : cluster_.ids()) {
    if (id != from && !from.none() && prng_.chance(2, 3)) {
      cuts.emplace_back(outgoing ? from : id, outgoing ? id : from);
    }
  }
  std::string text = "one way:";
  for (const auto& [a, b] : cuts) {
    text += " n" + std::to_string(a.value()) + "->n" + std::to_string(b.value());
    cluster_.network().cut(a, b);
  }
  note(text);
  world_.count("cut_one_way");
  mend_after(rule, [this, cuts] {
    note("one way heals");
    for (const auto& [a, b] : cuts) {
      cluster_.network().heal(a, b);
    }
  });
}

void Nemesis::flap(const FaultRule&) {
  const NodeId a = any_node();
  const NodeId b = any_node();
  if (a != b) {
    note("link n" + std::to_string(a.value()) + " - n" + std::to_string(b.value()) + " flaps");
    world_.count("link_flapped");
    cluster_.network().flap(a, b);
  }
}

// The leader of a group still reaches a few, too few for a majority, then dies or falls silent: its
// last entries live on in a minority, to be replaced by another leader's or to be brought back.
// Rows of such leaders make figure 8 of the Raft paper.
void Nemesis::half_told(const FaultRule& rule) {
  const NodeId leader = any_leader();
  if (leader.none()) {
    return;
  }
  const uint64_t told = prng_.below((cluster_.ids().size() - 1) / 2 + 1);
  std::vector<NodeId> others = cluster_.ids();
  std::erase(others, leader);
  while (others.size() > cluster_.ids().size() - 1 - told) {
    others.erase(others.begin() + static_cast<std::ptrdiff_t>(prng_.below(others.size())));
  }
  note("n" + std::to_string(leader.value()) + " reaches " + std::to_string(told) + " others only");
  world_.count("half_told");
  for (const NodeId id : others) {
    cluster_.network().cut(leader, id);
    if (prng_.chance(1, 2)) {
      cluster_.network().cut(id, leader);
    }
  }
  mend_after(rule, [this, leader, others] {
    if (prng_.chance(2, 3) && cluster_.running(leader)) {
      cluster_.restart_after(leader, Cluster::End::kPowerCut,
                             Duration::millis(prng_.between(1, 250)));
    }
    for (const NodeId id : others) {
      cluster_.network().heal(leader, id);
      cluster_.network().heal(id, leader);
    }
  });
}

// For a while every new leader is silenced and killed within a few messages of its election, and
// the ones before it come back meanwhile: logs with the tails of many terms.
void Nemesis::hunt(const FaultRule& rule) {
  const GroupId group(static_cast<uint32_t>(prng_.below(cluster_.plan().groups + 1)));
  note("the leaders of group " + std::to_string(group.value()) + " are hunted");
  world_.count("leaders_hunted");
  hunt_again(group, Term(), world_.now() + around(rule.length));
}

void Nemesis::hunt_again(GroupId group, Term seen, Instant until) {
  if (stopped_ || world_.now() >= until) {
    return;
  }
  const NodeId leader = cluster_.leader_of(group);
  const Term term = leader.none() ? seen : cluster_.node(leader)->group(group)->raft().term();
  if (term > seen) {
    silence(leader, prng_.below((cluster_.ids().size() - 1) / 2 + 1),
            Duration::micros(prng_.between(0, 20'000)),
            Duration::millis(prng_.between(10, 120)));
  }
  world_.after(Duration::millis(1),
               [this, group, term, until] { hunt_again(group, term, until); });
}

// After `delay` the node reaches `told` others only; after `length` it loses power for a moment.
void Nemesis::silence(NodeId id, uint64_t told, Duration delay, Duration length) {
  std::vector<NodeId> others = cluster_.ids();
  std::erase(others, id);
  for (uint64_t i = 0; i < told; ++i) {
    others.erase(others.begin() + static_cast<std::ptrdiff_t>(prng_.below(others.size())));
  }
  world_.after(delay, [this, id, others] {
    for (const NodeId other : others) {
      if (!stopped_) {
        cluster_.network().cut(id, other);
      }
    }
  });
  world_.after(delay + length, [this, id, others] {
    if (!stopped_ && cluster_.running(id)) {
      cluster_.restart_after(id, Cluster::End::kPowerCut,
                             Duration::millis(prng_.between(20, 400)));
    }
    for (const NodeId other : others) {
      cluster_.network().heal(id, other);
    }
  });
}

// All links of one node come and go, each direction by itself, faster than anybody's patience.
void Nemesis::flicker(const FaultRule& rule) {
  const NodeId victim = any_node();
  note("the links of n" + std::to_string(victim.value()) + " flicker");
  world_.count("links_flickered");
  flicker_again(victim, world_.now() + around(rule.length));
}

void Nemesis::flicker_again(NodeId victim, Instant until) {
  Network& network = cluster_.network();
  const bool over = stopped_ || world_.now() >= until;
  const uint64_t cut_percent = prng_.below(100);
  for (const NodeId other : cluster_.ids()) {
    for (const auto& [from, to] : {std::pair(victim, other), std::pair(other, victim)}) {
      if (!over && prng_.chance(cut_percent, 100)) {
        network.cut(from, to);
      } else {
        network.heal(from, to);
      }
    }
  }
  if (!over) {
    world_.after(Duration::millis(prng_.between(5, 250)),
                 [this, victim, until] { flicker_again(victim, until); });
  }
}

// A while in which the network does everything that a frame can suffer.
void Nemesis::storm(const FaultRule& rule) {
  LinkModel model = cluster_.plan().link;
  model.loss_ppm = static_cast<uint32_t>(prng_.below(200'000));
  model.duplicate_ppm = static_cast<uint32_t>(prng_.below(200'000));
  model.reorder_ppm = static_cast<uint32_t>(prng_.below(300'000));
  model.delay_max = Duration::millis(prng_.between(1, 60));
  model.rare_ppm = 20'000;
  model.delay_rare_max = Duration::millis(prng_.between(50, 800));
  cluster_.network().set_model(model);
  note("storm");
  world_.count("stormed");
  mend_after(rule, [this] {
    note("storm ends");
    cluster_.network().set_model(cluster_.plan().link);
  });
}

// ---- disks -------------------------------------------------------------------------------------

void Nemesis::slow_disk(const FaultRule& rule) {
  const NodeId id = any_node();
  DiskModel model = cluster_.plan().disk;
  const int64_t factor = prng_.between(10, 400);
  model.write_max = model.write_max * factor;
  model.sync_max = model.sync_max * factor;
  model.bytes_per_second /= static_cast<uint64_t>(factor);
  cluster_.disk(id).set_model(model);
  note("n" + std::to_string(id.value()) + " disk " + std::to_string(factor) + " times slower");
  world_.count("disk_slowed");
  mend_after(rule, [this, id] { cluster_.disk(id).set_model(cluster_.plan().disk); });
}

void Nemesis::full_disk(const FaultRule& rule) {
  const NodeId id = any_node();
  DiskModel model = cluster_.plan().disk;
  model.capacity_bytes = cluster_.disk(id).bytes() + prng_.below(64 * 1024);
  cluster_.disk(id).set_model(model);
  note("n" + std::to_string(id.value()) + " disk is about full");
  mend_after(rule, [this, id] {
    note("n" + std::to_string(id.value()) + " disk has room again");
    cluster_.disk(id).set_model(cluster_.plan().disk);
  });
}

void Nemesis::failing_disk(const FaultRule& rule) {
  const NodeId id = any_node();
  DiskModel model = cluster_.plan().disk;
  model.write_fails_ppm = static_cast<uint32_t>(prng_.below(20'000));
  model.sync_fails_ppm = static_cast<uint32_t>(prng_.below(20'000));
  model.read_fails_ppm = static_cast<uint32_t>(prng_.below(20'000));
  cluster_.disk(id).set_model(model);
  note("n" + std::to_string(id.value()) + " disk fails now and then");
  mend_after(rule, [this, id] { cluster_.disk(id).set_model(cluster_.plan().disk); });
}

void Nemesis::bit_rot(const FaultRule& rule) {
  if (rot_victims_.empty()) {
    return;
  }
  const NodeId id = rot_victims_[prng_.below(rot_victims_.size())];
  cluster_.forgive_damage(id);
  const uint64_t bits = 1 + prng_.below(4);
  for (uint64_t i = 0; i < bits; ++i) {
    DiskImage& disk = cluster_.disk(id);
    const bool garbles = prng_.chance(1, 3);
    const std::string where =
        garbles ? disk.garble("wal") : disk.rot(prng_.chance(2, 3) ? "wal" : "");
    if (!where.empty()) {
      note("n" + std::to_string(id.value()) + (garbles ? " garbled " : " bit rot in ") + where);
    }
  }
  // What is wrong on a disk shows when it is read.
  if (cluster_.running(id) && prng_.chance(2, 3)) {
    cluster_.restart_after(id, Cluster::End::kPowerCut, around(rule.length));
  }
}

// ---- clocks ------------------------------------------------------------------------------------

// The lease margin is a tenth of the shortest election timeout: two clocks may differ by that much.
void Nemesis::drift(const FaultRule&) {
  constexpr int64_t kDriftPpmMax = 45'000;
  const NodeId id = any_node();
  // The edge of what is allowed is where leases break, so it is tried most.
  const int64_t drift = prng_.chance(1, 3)   ? prng_.between(-kDriftPpmMax, kDriftPpmMax)
                        : prng_.chance(1, 2) ? kDriftPpmMax
                                             : -kDriftPpmMax;
  cluster_.clock(id).set_drift(drift);
  note("n" + std::to_string(id.value()) + " clock drifts by " + std::to_string(drift) + " ppm");
  world_.count("clock_drifted");
}

void Nemesis::jump(const FaultRule&) {
  const NodeId id = any_node();
  const Duration by =
      Duration::millis(prng_.between(-3'600'000, 3'600'000) >> prng_.between(0, 16));
  cluster_.clock(id).jump(by);
  note("n" + std::to_string(id.value()) + " wall clock jumps by " + std::to_string(by.millis()) +
       "ms");
  world_.count("clock_jumped");
}

}  // namespace quorate::sim
