// SPDX-License-Identifier: Apache-2.0
// Replication: proposals, and the pipeline of appends to each follower.
//
//   propose -> log -> take_ready: one append per follower with all that is new, within its window
//   answer  -> match, window    -> commit counted          refused -> probe where the logs part
#include <algorithm>

#include "raft/core.h"

namespace quorate::raft {

Progress* Node::Core::find_peer(NodeId node) {
  for (Progress& peer : lead().peers) {
    if (peer.node == node) {
      return &peer;
    }
  }
  return nullptr;
}

const Progress* Node::Core::find_peer(NodeId node) const {
  for (const Progress& peer : lead().peers) {
    if (peer.node == node) {
      return &peer;
    }
  }
  return nullptr;
}

Status Node::Core::may_propose(size_t bytes) const {
  const auto* leader = std::get_if<Leader>(&role);
  if (leader == nullptr) {
    return {Code::kNotLeader, "this replica does not lead"};
  }
  if (!leader->transfer.target.none()) {
    return {Code::kResourceExhausted, "leadership is being handed over"};
  }
  if (bytes > limits::kEntryBytesMax) {
    return {Code::kTooLarge, "the entry is too large"};
  }
  if (leader->uncommitted_bytes > 0 &&
      leader->uncommitted_bytes + bytes > options.uncommitted_bytes_max) {
    return {Code::kResourceExhausted, "too much is proposed and not yet committed"};
  }
  return Status::success();
}

Result<Index> Node::Core::propose(EntryKind kind, Stamp at, Buffer payload) {
  RETURN_IF_ERROR(may_propose(payload.size()));
  if (kind == EntryKind::kConfig) {
    return Status(Code::kInvalidArgument, "a configuration is proposed by propose_config");
  }
  append_own(kind, at, std::move(payload));
  return log.last();
}

void Node::Core::append_own(EntryKind kind, Stamp at, Buffer payload) {
  Leader& leader = lead();
  if (leader.quiet) {
    wake();
  }
  Entry entry{log.last().next(), term, kind, at, std::move(payload)};
  leader.uncommitted_bytes += cost_of(entry);
  leader.busy_at = now;
  append(std::move(entry));
  pump_due = true;
}

// Something may be left to send to it.
bool Node::Core::wants_pump(const Progress& peer) const {
  return peer.flow != Flow::kReplicate || peer.next <= log.last();
}

void Node::Core::pump_all() {
  for (Progress& peer : lead().peers) {
    pump(peer);
  }
}

// Sends what the follower's state and window allow.
void Node::Core::pump(Progress& peer) {
  while (peer.may_append(options)) {
    if (peer.next <= log.base()) {
      peer.become_snapshot();
      break;
    }
    if (peer.next > log.last()) {
      if (peer.flow == Flow::kProbe) {
        send_append(peer, {});
      }
      return;
    }
    if (peer.next < log.cached_from()) {
      peer.reading = true;
      const Index last = log.cached_from().previous();
      out().log_reads.push_back({peer.node, peer.next, last, options.append_bytes_max});
      return;
    }
    send_append(peer, log.copy(peer.next, options.append_bytes_max));
  }
  if (peer.flow == Flow::kSnapshot) {
    pump_snapshot(peer);
  }
}

void Node::Core::send_append(Progress& peer, Entries entries) {
  Message message = make(MessageKind::kAppend, peer.node);
  message.index = peer.next.previous();
  message.log_term = log.term_at(message.index);
  message.commit = commit;
  message.context = lead().rounds.newest();
  peer.commit_sent = commit;
  if (!entries.empty() || peer.flow == Flow::kProbe) {
    size_t bytes = 0;
    for (const Entry& entry : entries) {
      bytes += cost_of(entry);
    }
    peer.sent(message.index + entries.size(), bytes);
  }
  message.entries = std::move(entries);
  send(std::move(message));
}

void Node::Core::on_append_answer(const Message& message) {
  Progress& peer = *find_peer(message.from);
  note_round(peer, message.context);
  if (message.reject) {
    pump_due = true;
    lead().busy_at = now;
    Index hint = message.hint_index;
    if (hint >= log.base()) {
      const Index agreed = log.last_with_term_at_most(hint, message.hint_term);
      hint = agreed.none() && !log.base().none() ? log.base().previous() : agreed;
    }
    peer.refuse(message.index, hint);
    return;
  }
  Index index = message.index;
  if (MUTANT(partial_batch_counted_whole)) {
    index = log.last();  // what the follower has of the batch is not asked
  }
  if (index > log.last()) {
    return;
  }
  const bool news = peer.acknowledge(index);
  if (peer.flow == Flow::kSnapshot && peer.match >= log.base()) {
    peer.become_probe();  // it caught up another way
  }
  pump_due = pump_due || wants_pump(peer);
  if (news) {
    push_transfer();
    count_commit();
  }
}

void Node::Core::on_log_read(NodeId node, Index first, Entries entries) {
  const auto asked = std::find_if(serving.begin(), serving.end(), [&](const Serving& one) {
    return one.peer == node && one.first == first;
  });
  if (asked != serving.end()) {
    serving.erase(asked);
    answer_repair(node, std::move(entries));
    return;
  }
  if (!std::holds_alternative<Leader>(role)) {
    return;
  }
  Progress* peer = find_peer(node);
  if (peer == nullptr || !peer->reading) {
    return;
  }
  peer->reading = false;
  pump_due = true;
  if (peer->next != first || !peer->may_append(options)) {
    return;  // it moved on meanwhile
  }
  if (entries.empty()) {
    peer->become_snapshot();
    return;
  }
  if (entries.back().index <= log.last() && log.term_at(first) == entries.front().term) {
    send_append(*peer, std::move(entries));
  }
}

// What was on its way is lost; what is acknowledged stays.
void Node::Core::on_link(NodeId node, bool up) {
  if (!std::holds_alternative<Leader>(role)) {
    return;
  }
  Progress* peer = find_peer(node);
  if (peer == nullptr) {
    return;
  }
  if (peer->flow != Flow::kSnapshot) {
    peer->become_probe();
  }
  peer->waiting = !up;
  pump_due = true;
}

}  // namespace quorate::raft
