// SPDX-License-Identifier: Apache-2.0
// The turn of a node, what makes groups wait for the next one, and the ticks.
#include <algorithm>

#include "node/node.h"
#include "service/slab.h"

namespace quorate::node {
namespace {

// A tick that comes this late tells of a process that was paused or starved.
constexpr Duration kStall = Duration::millis(50);

}  // namespace

void Node::mark_dirty(Group& group) {
  if (group.place == Group::kNoPlace) {
    activate(group);
  }
  if (!group.dirty) {
    group.dirty = true;
    dirty_.push_back(&group);
    schedule_turn();
  }
}

// The group is looked at in the next tick.
void Node::activate(Group& group) {
  if (group.place == Group::kNoPlace) {
    group.place = active_.size();
    active_.push_back({&group, Instant()});
  } else {
    active_[group.place].next = Instant();
  }
}

void Node::deactivate(Group& group) {
  if (group.place == Group::kNoPlace) {
    return;
  }
  active_[group.place] = active_.back();
  active_[group.place].group->place = group.place;
  active_.pop_back();
  group.place = Group::kNoPlace;
}

void Node::schedule_turn() {
  if (!turn_scheduled_) {
    turn_scheduled_ = true;
    Shell::timer.defer([this, alive = alive_] {
      if (*alive) {
        turn();
      }
    });
  }
}

// Thousands of groups do not fit into the processor's caches: what the next ones will touch is
// fetched while this one works.
void Node::look_ahead(const Group* near, const Group* far) {
  if (far != nullptr) {
    service::fetch_ahead(far, sizeof(*far));
  }
  if (near != nullptr) {
    near->raft().prefetch();
  }
}

// Likewise for settle(), which follows longer chains of pointers: each of the next groups is
// brought one step nearer.
void Node::look_ahead_to_settle(const std::vector<Group*>& groups, size_t i) {
  if (groups.size() < kWorthFetching) {
    return;
  }
  for (int step = 0; step < Group::kFetchSteps; ++step) {
    const size_t at = i + static_cast<size_t>(Group::kFetchSteps - step);
    if (at < groups.size() && groups[at] != nullptr) {
      groups[at]->fetch_ahead(step);
    }
  }
}

void Node::turn() {
  turn_scheduled_ = false;
  if (!failure_.ok()) {
    return;
  }
  ++Shell::counters.turns;
  now_ = Shell::clock.now();
  rounds_.begin_turn(now_);
  turning_.swap(dirty_);
  for (size_t i = 0; i < turning_.size(); ++i) {
    Group* const group = turning_[i];
    if (turning_.size() >= kWorthFetching) {
      const auto at = [this](size_t n) { return n < turning_.size() ? turning_[n] : nullptr; };
      look_ahead(at(i + kNear), at(i + kFar));
    }
    if (group == nullptr) {
      continue;  // destroyed by a neighbour's callback
    }
    group->dirty = false;
    if (failure_.ok()) {
      group->work(now_);
      if (turning_[i] != nullptr && std::exchange(group->tick_due, false)) {
        group->tick(now_);
      }
    }
    if (turning_[i] != nullptr) {
      group->wants_settle(now_) ? settling_.push_back(group) : await_tick(*group);
    }
  }
  turning_.clear();
  if (failure_.ok()) {
    settle();
  }
  settling_.clear();
  if (!failure_.ok()) {
    return;
  }
  outbox_.flush();
  flush();
  release_held();
  tell_listeners();
  tell_observer();
}

void Node::await_tick(Group& group) {
  if (!group.dirty && group.place != Group::kNoPlace) {
    active_[group.place].next = group.next_tick(now_);
  }
}

void Node::settle() {
  // The peers wait for frames and for our disk; applying makes nobody wait but our own callers.
  const bool awaited = !outbox_.empty() || (!flushing_ && wal_->dirty());
  outbox_.flush();
  flush();
  for (size_t i = 0; i < settling_.size(); ++i) {
    Group* const group = settling_[i];
    look_ahead_to_settle(settling_, i);
    if (group == nullptr || !failure_.ok()) {
      continue;  // destroyed by a neighbour's callback
    }
    const Index applied = group->applied();
    if ((awaited && group->may_settle_later()) || group->settle(now_)) {
      mark_dirty(*group);
    } else if (settling_[i] != nullptr) {
      await_tick(*group);
    }
    if (!listeners_.empty() && settling_[i] != nullptr && group->applied() != applied) {
      applied_.push_back(group->id());
    }
  }
}

bool Node::hold(Group& group) {
  if (!flushing_ && !rounds_.holds()) {
    return false;
  }
  if (!std::exchange(group.waits, true)) {
    held_.push_back(&group);
  }
  return true;
}

// Called whenever a reason to hold may have ended: after a turn, after a flush, by the timer.
void Node::release_held() {
  if (held_.empty() || flushing_) {
    return;
  }
  const Instant now = Shell::clock.now();
  if (!rounds_.will_hold(now)) {
    for (Group* const group : held_) {
      group->waits = false;
      mark_dirty(*group);
    }
    held_.clear();
  } else if (hold_timer_ == env::TimerId::kNone) {
    hold_timer_ = Shell::timer.start(now + Rounds::kWorthWaiting, [this, alive = alive_] {
      if (*alive) {
        hold_timer_ = env::TimerId::kNone;
        release_held();
      }
    });
  }
}

// What they do lands in the next turn: this one has sent and flushed what others wait for.
void Node::tell_listeners() {
  std::vector<GroupId> applied;
  applied.swap(applied_);
  for (const GroupId group : applied) {
    for (size_t at = 0; at < listeners_.size(); ++at) {
      listeners_[at]->on_applied(group);
    }
  }
}

void Node::tell_observer() {
  if (changed_.empty() || !observer_) {
    return;
  }
  std::vector<GroupId> changed;
  changed.swap(changed_);
  for (const GroupId id : changed) {
    observer_(id);
  }
}

void Node::on_group_changed(Group& group) {
  ++Shell::counters.leader_changes;
  forwarder_.leader_changed();
  lived_ = lived_ || !group.raft().leader().none();
  changed_.push_back(group.id());
}

void Node::when_persisted(Group& group, const raft::PersistPoint& point,
                          std::vector<raft::Message>& after) {
  waiting_.groups.push_back({group.id(), slots_[group.id().value()].birth, point, after.size()});
  std::move(after.begin(), after.end(), std::back_inserter(waiting_.messages));
  after.clear();
}

void Node::flush() {
  if (flushing_ || (!wal_->dirty() && waiting_.groups.empty())) {
    return;
  }
  flushing_ = true;
  std::swap(in_flush_, waiting_);
  wal_->flush([this, alive = alive_](const Status& status) {
    if (*alive) {
      flushed(status);
    }
  });
}

void Node::flushed(const Status& status) {
  flushing_ = false;
  if (!status.ok()) {
    ++Shell::counters.flush_failures;
    fail(status);
  }
  if (!failure_.ok()) {
    in_flush_.clear();
    return;
  }
  if (!identity_.established && !founding_) {
    identity_.established = true;
    const Status stored = store_identity(world_.disk, identity_);
    if (!stored.ok()) {
      fail(stored);
      return;
    }
  }
  now_ = Shell::clock.now();
  std::span<const raft::Message> messages = in_flush_.messages;
  for (size_t i = 0; i < in_flush_.groups.size(); ++i) {
    if (in_flush_.groups.size() >= kWorthFetching) {
      const auto at = [this](size_t n) {
        return n < in_flush_.groups.size() ? group(in_flush_.groups[n].group) : nullptr;
      };
      look_ahead(at(i + kNear), at(i + kFar));
    }
    const Waiting& waiting = in_flush_.groups[i];
    Slot& slot = slots_[waiting.group.value()];
    if (slot.group != nullptr && slot.birth == waiting.birth) {
      slot.group->on_persisted(waiting.point, messages.first(waiting.messages), now_);
    }
    messages = messages.subspan(waiting.messages);
  }
  in_flush_.clear();
  release_held();
  schedule_turn();
}

// ---- time --------------------------------------------------------------------------------------

void Node::arm_tick() {
  tick_timer_ = Shell::timer.start(Shell::clock.now() + options_.tick, [this, alive = alive_] {
    if (*alive) {
      tick();
    }
  });
}

void Node::tick() {
  now_ = Shell::clock.now();
  // After a stall of this process the words of leaders and followers still lie in the sockets. To
  // judge them by the clock first would depose leaders that never went silent, in thousands of
  // groups at once; so the input is taken in before anything is given up.
  const bool stalled = now_ - ticked_at_ > kStall && !stall_seen_;
  ticked_at_ = now_;
  stall_seen_ = stalled;
  if (stalled) {
    ++Shell::counters.stalls;
    arm_tick();
    return;
  }
  for (size_t i = 0; i < active_.size();) {
    if (active_[i].next > now_) {
      ++i;
      continue;
    }
    Group& group = *active_[i].group;
    // What its turn is about to send may spare what the tick would: an append a heartbeat, or the
    // notice of a commit index.
    if (group.dirty) {
      group.tick_due = true;
      ++i;
      continue;
    }
    group.tick(now_);
    if (!group.dirty && !group.wants_ticks()) {
      deactivate(group);
      continue;
    }
    if (!group.dirty) {
      active_[i].next = group.next_tick(now_);
    }
    ++i;
  }
  if (now_ >= beat_at_) {
    beat_at_ = now_ + options_.raft.heartbeat_interval;
    beat();
  }
  forwarder_.tick(now_);
  arm_tick();
}

void Node::beat() {
  for (const NodeId peer : peers_) {
    outbox_.add(peer, GroupId(), rpc::ItemKind::kHeartbeat,
                [this](std::string& out) { liveness_.write_beat(out); });
    outbox_.add(peer, GroupId(), rpc::ItemKind::kFounding,
                [this](std::string& out) { write_founding(out); });
  }
  trust_recovered();
  for (const NodeId lost : liveness_.take_lost(now_)) {
    on_peer_changed(lost);
  }
  outbox_.flush();
}

// Quiet groups rely on the nodes' heartbeats in place of their leaders'. A peer that was lost, came
// back or began anew may have missed something, or may not lead any more.
void Node::on_peer_changed(NodeId peer) {
  for (Slot& slot : slots_) {
    if (slot.group != nullptr && slot.group->raft().quiet() &&
        (slot.group->leads() || slot.group->raft().leader() == peer)) {
      slot.group->wake(now_);
    }
  }
}

}  // namespace quorate::node
