// SPDX-License-Identifier: Apache-2.0
// Repair: a replica that cannot read some of its entries gets them back from its peers.
//
// It knows their index and term, and two entries with the same index and term are the same entry
// (log matching), so any peer's copy will do, whoever leads, and even while nobody can lead. Until
// they are back and durable the replica neither votes nor stands nor counts beyond the hole: if a
// majority lost its copies of an acknowledged entry, the group waits for the one that has it
// rather than elect a leader without it.
#include <algorithm>

#include "raft/core.h"

namespace quorate::raft {

void Node::Core::ask_for_repair() {
  if (log.holes().empty()) {
    repair_at = Instant::never();
    return;
  }
  const Hole& hole = log.holes().front();
  for (const NodeId node : members(configs.newest())) {
    if (node != options.id) {
      Message message = make(MessageKind::kRepair, node);
      message.index = hole.first;
      message.hint_index = hole.last;
      out().messages.push_back(std::move(message));
    }
  }
  repair_at = now + options.election_timeout_min;
}

// Answered from memory if all of it is there, else from the owner's log.
void Node::Core::on_repair(const Message& message) {
  const Index first = message.index;
  Index last = std::min(message.hint_index, log.persisted());
  for (const Hole& hole : log.holes()) {
    if (hole.last >= first) {
      last = std::min(last, hole.first.previous());
    }
  }
  if (first <= log.base() || first > last) {
    return;
  }
  if (first >= log.cached_from()) {
    std::vector<Entry> entries = log.copy(first, options.append_bytes_max);
    entries.resize(std::min<size_t>(entries.size(), last - first + 1));
    return answer_repair(message.from, std::move(entries));
  }
  const bool busy = std::any_of(serving.begin(), serving.end(),
                                [&](const Serving& one) { return one.peer == message.from; });
  if (busy || serving.size() >= 2 * limits::kReplicasMax) {
    return;
  }
  serving.push_back({message.from, first});
  out().log_reads.push_back({message.from, first, last, options.append_bytes_max});
}

void Node::Core::answer_repair(NodeId peer, std::vector<Entry> entries) {
  if (entries.empty()) {
    return;
  }
  Message answer = make(MessageKind::kRepairAnswer, peer);
  answer.commit = commit;
  answer.entries = std::move(entries);
  out().messages.push_back(std::move(answer));
}

void Node::Core::on_repair_answer(const Message& message) {
  bool found = false;
  for (const Entry& entry : message.entries) {
    found |= fill(entry);
  }
  if (found && !log.holes().empty()) {
    repair_at = now;  // the rest, without waiting
  }
}

void Node::Core::on_hole(const Hole& hole) {
  log.lose(hole);
  for (Index i = std::max(hole.first, log.cached_from()); i <= std::min(hole.last, log.last());
       ++i) {
    const Entry copy = *log.find(i);
    (void)fill(copy);  // the disk lost it, the memory did not
  }
  if (!log.has_holes()) {
    return;
  }
  repair_at = now;
  if (std::holds_alternative<Leader>(role)) {
    become_follower(term, NodeId());
  }
}

bool Node::Core::fill(const Entry& entry) {
  if (!log.has_holes() || !log.fill(entry)) {
    return false;
  }
  if (entry.kind == EntryKind::kConfig) {
    configs.add(entry);
    config_changed();
  }
  return true;
}

}  // namespace quorate::raft
