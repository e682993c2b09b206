// SPDX-License-Identifier: Apache-2.0
#include "node/placement.h"

#include <algorithm>
#include <utility>

#include "base/limits.h"

namespace quorate::node {
namespace {

namespace meta = service::meta;

// A command that got no answer is said again with the next look at things that still calls for it.
constexpr Duration kSayTimeout = Duration::seconds(2);

// Looks in a hurry take at most one in so many of the loop's time.
constexpr int kLookShare = 10;

bool is_settled(const raft::Node& raft) {
  return !raft.config().joint() && raft.config_index() <= raft.commit();
}

meta::Members members_of(const raft::Config& config) {
  return {config.voters, config.outgoing, config.learners, config.witnesses};
}

raft::ConfigChange change_of(const meta::Step& step) {
  raft::ConfigChange change;
  for (const meta::MemberChange& one : step.changes) {
    change.changes.push_back({static_cast<raft::ChangeKind>(one.kind), one.node});
  }
  return change;
}

// The leader of the group would find nothing to do, and the map knows all that it could tell.
bool is_as_wanted(const meta::Group& wanted, const raft::Node& raft, NodeId self) {
  const raft::Config& config = raft.config();
  const bool same_voters =
      config.voters.size() == wanted.wanted.size() &&
      std::equal(config.voters.begin(), config.voters.end(), wanted.wanted.begin(),
                 [](NodeId voter, const meta::Replica& replica) { return voter == replica.node; });
  return same_voters && config.learners == wanted.learners && is_settled(raft) &&
         wanted.reported.term == raft.term() &&
         wanted.reported.config_index == raft.config_index() &&
         (wanted.preferred.none() || wanted.preferred == self);
}

static_assert(static_cast<int>(meta::MemberKind::kVoter) ==
              static_cast<int>(raft::ChangeKind::kAddVoter));
static_assert(static_cast<int>(meta::MemberKind::kLearner) ==
              static_cast<int>(raft::ChangeKind::kAddLearner));
static_assert(static_cast<int>(meta::MemberKind::kRemove) ==
              static_cast<int>(raft::ChangeKind::kRemove));
static_assert(static_cast<int>(meta::MemberKind::kWitness) ==
              static_cast<int>(raft::ChangeKind::kAddWitness));

}  // namespace

Placement::Placement(Node& node, env::Clock& clock, env::Timer& timer, PlacementOptions options)
    : node_(node),
      api_(node),
      clock_(clock),
      timer_(timer),
      options_(std::move(options)),
      now_(clock.now()) {
  node_.set_observer([this](GroupId group) {
    restless_.insert(group);
    hurry();
  });
  node_.set_routes([this](GroupId group) { return routes(group); });
  node_.create_group(meta::kMetaGroup);
  for (const GroupId group : node_.group_ids()) {
    restless_.insert(group);
  }
  arm();
}

Placement::~Placement() {
  *alive_ = false;
  timer_.cancel(look_timer_);
  node_.set_observer(nullptr);
  node_.set_routes(nullptr);
}

void Placement::arm() {
  const Instant now = clock_.now();
  const Duration pause =
      now < hurry_until_
          ? std::clamp(look_took_ * kLookShare, options_.hurry_interval, options_.look_interval)
          : options_.look_interval;
  look_at_ = now + pause;
  look_timer_ = timer_.start(look_at_, [this, alive = alive_] {
    if (*alive) {
      look_timer_ = env::TimerId::kNone;
      look();
      look_took_ = clock_.now() - now_;
      arm();
    }
  });
}

void Placement::hurry() {
  const Instant now = clock_.now();
  hurry_until_ = now + options_.look_interval * 2;
  if (look_timer_ != env::TimerId::kNone && look_at_ > now + options_.hurry_interval) {
    timer_.cancel(look_timer_);
    arm();
  }
}

const meta::State* Placement::state() const {
  const Group* const group = node_.group(meta::kMetaGroup);
  if (group == nullptr) {
    return nullptr;
  }
  const auto* state =
      service::typed<meta::State>(group->machine().service(service::ServiceId::kMeta));
  return state == nullptr || state->map().settings.cluster_id == 0 ? nullptr : state;
}

const meta::Map* Placement::map() const {
  const meta::State* const known = state();
  return known == nullptr ? nullptr : &known->map();
}

bool Placement::leads(GroupId group) const {
  const Group* const here = node_.group(group);
  return here != nullptr && here->leads();
}

meta::Reason Placement::reason(GroupId group) const {
  const auto found = led_.find(group);
  return found == led_.end() ? meta::Reason::kAsWanted : found->second.reason;
}

void Placement::look() {
  now_ = clock_.now();
  if (!node_.failure().ok()) {
    return;
  }
  const meta::Map* const map = this->map();
  if (map == nullptr) {
    found_cluster();
    return;
  }
  if (map->generation != generation_) {
    adopt(*map);
  }
  destroy_due(*map);
  const std::vector<GroupId> restless(restless_.begin(), restless_.end());
  for (const GroupId id : restless) {
    if (const meta::Group* const wanted = map->group(id); wanted != nullptr && leads(id)) {
      attend(*wanted);
    } else {
      restless_.erase(id);
      led_.erase(id);
    }
  }
  send_reports();
  keep_self(*map);
  watch_nodes(*map);
}

// ---- as any node -------------------------------------------------------------------------------

void Placement::adopt(const meta::Map& map) {
  generation_ = map.generation;
  hurry();
  adopt_peers(map);
  turns_ = meta::turns(map, options_.moves_per_node);
  keep_replicas(map);
  for (const meta::Group& group : map.groups) {
    if (leads(group.id) && !is_as_wanted(group, node_.group(group.id)->raft(), node_.id())) {
      restless_.insert(group.id);
    }
  }
}

void Placement::adopt_peers(const meta::Map& map) {
  for (const meta::Node& peer : map.nodes) {
    if (peer.id == node_.id()) {
      continue;
    }
    if (peer.state == meta::NodeState::kRemoved) {
      addresses_.erase(peer.id);
      node_.remove_peer(peer.id);
    } else if (std::string& known = addresses_[peer.id]; known != peer.addresses.raft) {
      known = peer.addresses.raft;
      node_.set_peer(peer.id, known);
    }
  }
}

void Placement::keep_replicas(const meta::Map& map) {
  std::vector<meta::LocalReplica> local;
  for (const GroupId id : node_.group_ids()) {
    const raft::Node& raft = node_.group(id)->raft();
    local.push_back({id, std::min(raft.config_index(), raft.commit())});
  }
  const meta::ReplicaWork work = meta::replica_work(map, node_.id(), local);
  for (const GroupId id : work.create) {
    node_.create_group(id);
  }
  std::map<GroupId, Instant> leaving;
  for (const GroupId id : work.destroy) {
    const auto since = leaving_.find(id);
    leaving[id] = since == leaving_.end() ? now_ : since->second;
  }
  leaving_ = std::move(leaving);
}

void Placement::destroy_due(const meta::Map& map) {
  if (leaving_.empty()) {
    return;
  }
  keep_replicas(map);  // what the replica itself knows may have changed without the map
  for (auto at = leaving_.begin(); at != leaving_.end();) {
    if (now_ - at->second >= options_.destroy_after && !leads(at->first)) {
      node_.destroy_group(at->first);
      restless_.erase(at->first);
      led_.erase(at->first);
      at = leaving_.erase(at);
    } else {
      ++at;
    }
  }
}

void Placement::keep_self(const meta::Map& map) {
  const meta::Node* const self = map.node(node_.id());
  if (self == nullptr || self->state == meta::NodeState::kRemoved) {
    return;
  }
  if (self->state == meta::NodeState::kJoining) {
    say(meta::ActivateNode{self->id});
  } else if (!options_.self.raft.empty() && self->addresses != options_.self) {
    say(meta::SetNodeAddresses{self->id, options_.self});
  }
}

std::vector<NodeId> Placement::routes(GroupId id) const {
  const meta::Map* const map = this->map();
  const meta::Group* const group = map == nullptr ? nullptr : map->group(id);
  std::vector<NodeId> nodes;
  if (group == nullptr) {
    return nodes;
  }
  const auto add = [&](NodeId node) {
    if (node != node_.id() && !node.none() && !meta::contains(nodes, node)) {
      nodes.push_back(node);
    }
  };
  add(group->reported.leader);
  for (const NodeId voter : group->reported.members.voters) {
    add(voter);
  }
  for (const meta::Replica& replica : group->wanted) {
    add(replica.node);
  }
  return nodes;
}

// ---- as a group's leader -----------------------------------------------------------------------

void Placement::attend(const meta::Group& wanted) {
  Group& group = *node_.group(wanted.id);
  Led& led = led_[wanted.id];
  if (led.term != group.raft().term()) {
    led = {group.raft().term(), now_, Index(), now_ + options_.balance_after,
           meta::Reason::kAsWanted};
  }
  note_report(wanted, group);
  const bool looked_before = !led.last_seen.none();
  const meta::Step step = meta::next_step(wanted, view_of(wanted, group, led));
  led.last_seen = group.raft().last_index();
  led.reason = step.reason;
  take(step, group, led);
  const bool balanced = wanted.preferred.none() || wanted.preferred == node_.id();
  const bool told = reports_.empty() || reports_.back().group != wanted.id;
  if (looked_before && step.reason == meta::Reason::kAsWanted && balanced && told) {
    restless_.erase(wanted.id);
  }
}

meta::LeaderView Placement::view_of(const meta::Group& wanted, const Group& group,
                                    const Led& led) const {
  const raft::Node& raft = group.raft();
  meta::LeaderView view;
  view.self = node_.id();
  view.config = members_of(raft.config());
  view.settled = is_settled(raft);
  view.has_turn = std::binary_search(turns_.begin(), turns_.end(), wanted.id);
  view.may_balance = now_ >= led.balance_at && now_ >= next_balance_;
  // Who has what was there at the last look lags by less than one look's time.
  for (const raft::PeerView& peer : raft.peers()) {
    const bool near = !led.last_seen.none() && peer.match >= led.last_seen && !peer.snapshotting;
    view.peers.push_back({peer.node, peer.active && node_.peer_alive(peer.node), near});
  }
  const auto invite = [&](NodeId node) {
    if (!meta::names(view.config, node) && node != node_.id()) {
      view.peers.push_back({node, node_.peer_alive(node), false});
    }
  };
  for (const meta::Replica& replica : wanted.wanted) {
    invite(replica.node);
  }
  for (const NodeId learner : wanted.learners) {
    invite(learner);
  }
  return view;
}

void Placement::take(const meta::Step& step, Group& group, Led& led) {
  switch (step.kind) {
    case meta::StepKind::kNone: return;
    case meta::StepKind::kChange:
      // A refusal (too much uncommitted, a transfer under way) is met again at the next look.
      (void)group.propose_config(change_of(step));
      hurry();
      return;
    case meta::StepKind::kTransfer:
      if (step.reason == meta::Reason::kBalance) {
        next_balance_ = now_ + options_.balance_interval;
        led.balance_at = now_ + options_.balance_after;
      }
      (void)group.transfer(step.target);
      return;
  }
}

void Placement::note_report(const meta::Group& wanted, const Group& group) {
  const raft::Node& raft = group.raft();
  const meta::Reported& known = wanted.reported;
  const bool news = raft.term() > known.term || raft.config_index() > known.config_index;
  if (news && is_settled(raft) && reports_.size() < limits::kBatchItemsMax) {
    reports_.push_back(
        {wanted.id, {raft.term(), node_.id(), raft.config_index(), members_of(raft.config())}});
  }
}

void Placement::send_reports() {
  if (reports_.empty() || reporting_) {
    reports_.clear();  // they are noted again as long as the map does not show them
    return;
  }
  reporting_ = true;
  propose(meta::ReportGroups{std::exchange(reports_, {})},
          [this](const meta::Answer&) { reporting_ = false; });
}

// ---- as the leader of group 0 ------------------------------------------------------------------

void Placement::found_cluster() {
  if (!leads(meta::kMetaGroup)) {
    return;
  }
  if (const std::optional<meta::Bootstrap> bootstrap = node_.first_map()) {
    say(*bootstrap);
  }
}

void Placement::watch_nodes(const meta::Map& map) {
  if (!leads(meta::kMetaGroup)) {
    health_.clear();
    return;
  }
  for (const meta::Node& node : map.nodes) {
    if (node.state == meta::NodeState::kRemoved || node.state == meta::NodeState::kJoining) {
      continue;
    }
    const bool alive = node_.peer_alive(node.id);
    Health& health = health_[node.id];
    if (health.alive != alive || health.since == Instant()) {
      health = {alive, now_};
    }
    const Duration patience = alive ? options_.alive_after : options_.dead_after;
    if (node.dead == alive && now_ - health.since >= patience) {
      say(meta::SetNodeDead{node.id, !alive});
    }
  }
}

// ---- words to the meta group -------------------------------------------------------------------

void Placement::say(const meta::Command& command) {
  if (!saying_) {
    saying_ = true;
    propose(command, [this](const meta::Answer&) { saying_ = false; });
  }
}

void Placement::propose(const meta::Command& command, Done done) {
  api_.apply(
      command,
      [alive = alive_, done = std::move(done)](meta::Answer answer,
                                               const service::Origin&) mutable {
        if (*alive) {
          done(std::move(answer));
        }
      },
      kSayTimeout);
}

}  // namespace quorate::node
