// SPDX-License-Identifier: Apache-2.0
// What a replica has to say: gathered while it is stepped, handed over as a Ready, and what follows
// once that is durable.
#include "raft/ready.h"

#include <algorithm>
#include <utility>

#include "raft/core.h"

namespace quorate::raft {

Ready& Node::Core::out() {
  if (outbox == nullptr) {
    outbox = std::make_unique<Ready>();
  }
  return *outbox;
}

Message Node::Core::make(MessageKind kind, NodeId to) const {
  Message message;
  message.kind = kind;
  message.from = options.id;
  message.to = to;
  message.term = term;
  return message;
}

bool Node::Core::vote_durable() const { return !state_dirty && persisted_number >= state_number; }

void Node::Core::send(Message&& message) {
  if (vote_durable() || MUTANT(vote_before_persist)) {
    out().messages.push_back(std::move(message));
  } else {
    out().after_persist.push_back(std::move(message));
  }
}

bool Node::Core::has_ready() const {
  if (state_dirty || pump_due || log.untaken()) {
    return true;
  }
  if (commit > commit_told && appliable() > commit_told) {
    return true;
  }
  if (outbox == nullptr) {
    return false;
  }
  const Ready& ready = *outbox;
  return !ready.messages.empty() || !ready.after_persist.empty() || !ready.reads.empty() ||
         !ready.log_reads.empty() || !ready.snapshot_reads.empty() ||
         !ready.snapshot_writes.empty() || ready.role_changed || ready.config_changed;
}

void Ready::clear() {
  hard_state.reset();
  entries.clear();
  messages.clear();
  after_persist.clear();
  persist_through = {};
  commit = Index();
  reads.clear();
  log_reads.clear();
  snapshot_reads.clear();
  snapshot_writes.clear();
  role_changed = false;
  config_changed = false;
}

void Node::Core::take_ready(Ready& ready) {
  if (auto* leader = std::get_if<Leader>(&role)) {
    if (leader->reads.wants_round()) {
      begin_round();
    } else if (appends_make_round()) {
      begin_append_round();
    }
    pump_all();
  }
  pump_due = false;
  if (auto* follower = std::get_if<Follower>(&role)) {
    follower->open_question = 0;
  }
  ready.clear();
  if (outbox != nullptr) {
    ready.messages.swap(outbox->messages);
    ready.after_persist.swap(outbox->after_persist);
    ready.reads.swap(outbox->reads);
    ready.log_reads.swap(outbox->log_reads);
    ready.snapshot_reads.swap(outbox->snapshot_reads);
    ready.snapshot_writes.swap(outbox->snapshot_writes);
    ready.role_changed = std::exchange(outbox->role_changed, false);
    ready.config_changed = std::exchange(outbox->config_changed, false);
  }
  if (is_quiet()) {
    outbox.reset();
  }
  ++ready_number;
  take_durable(ready);
  commit_told = std::max(commit_told, appliable());
  ready.commit = commit_told;
  ready.persist_through = {ready_number, log.taken(), term};
  evict();
}

// Entries that every follower has will hardly be asked for again, nor those of a replica that leads
// nobody: few of them stay, so that the same memory, still warm, serves the next ones.
void Node::Core::evict() {
  constexpr size_t kFew = 16;
  Index settled = applied_now();
  if (const auto* leader = std::get_if<Leader>(&role)) {
    for (const Progress& peer : leader->peers) {
      settled = std::min(settled, peer.match);
    }
  }
  const size_t most = is_quiet() ? 0 : options.cached_bytes_max;
  log.evict(settled, most / kFew);
  log.evict(applied_now(), most);
}

// Entries that cannot be read here cannot be applied here, and a machine that is about to be
// replaced by a snapshot takes no more.
Index Node::Core::appliable() const {
  if (receiving != nullptr && receiving->last) {
    return commit_told;
  }
  return std::min(commit, log.readable_after(commit_told));
}

// What becomes durable next, and the messages that wait for it. Entries that were found again go
// alone, so that they replace nothing; the messages then wait for the Ready that takes the rest.
void Node::Core::take_durable(Ready& ready) {
  log.take(ready_number, ready.entries);
  if (state_dirty || (!ready.entries.empty() && commit != commit_saved)) {
    // A commit index that is never ahead of the durable log: found ahead of it after a crash, it
    // proves a loss.
    ready.hard_state = HardState{term, vote, std::min(commit, log.persisted())};
    commit_saved = ready.hard_state->commit;
  }
  if (state_dirty) {
    state_dirty = false;
    state_number = ready_number;
  }
  if (log.untaken()) {
    std::swap(out().after_persist, ready.after_persist);
    ready.after_persist.clear();
  }
}

void Node::Core::on_persisted(const PersistPoint& point) {
  ASSERT(point.number <= ready_number);
  if (point.number <= persisted_number) {
    return;
  }
  persisted_number = point.number;
  log.on_persisted(point.number);
  if (auto* candidate = std::get_if<Candidate>(&role)) {
    // Its own vote counts like any other: once it is durable.
    if (candidate->real && vote_durable()) {
      record_vote(options.id, true);
    }
  } else if (std::holds_alternative<Leader>(role)) {
    count_commit();
  } else {
    end_suspicion();
  }
}

}  // namespace quorate::raft
