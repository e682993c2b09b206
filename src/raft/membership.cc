// SPDX-License-Identifier: Apache-2.0
// Membership and hand-over, on the leader: one change at a time, in effect when appended; joint
// configurations are left by the leader itself; a leader that is no longer a voter goes.
#include <algorithm>

#include "raft/core.h"

namespace quorate::raft {

// Two changes at once, or one before the leader has committed anything of its own, could give two
// majorities that do not meet: an earlier leader's uncommitted change may still be out there.
Result<Index> Node::Core::propose_config(const ConfigChange& change, Stamp at) {
  RETURN_IF_ERROR(may_propose(0));
  if (!committed_own_term() || configs.newest_index() > commit) {
    return Status(Code::kUnavailable, "another change is not yet committed");
  }
  const Result<Config> next = apply_change(configs.newest(), change);
  RETURN_IF_ERROR(next);
  append_own(EntryKind::kConfig, at, Buffer::take(encode(change, *next)));
  return log.last();
}

bool Node::Core::committed_own_term() const {
  const auto* leader = std::get_if<Leader>(&role);
  return leader != nullptr && commit >= leader->first;
}

void Node::Core::config_changed() {
  out().config_changed = true;
  if (std::holds_alternative<Leader>(role)) {
    sync_peers();
    settle_rounds();
    pump_due = true;
  }
}

// One Progress per member, keeping what is known of those who stay.
void Node::Core::sync_peers() {
  Leader& leader = lead();
  std::vector<Progress> peers;
  for (const NodeId node : members(configs.newest())) {
    if (node == options.id) {
      continue;
    }
    if (Progress* known = find_peer(node); known != nullptr) {
      peers.push_back(std::move(*known));
      continue;
    }
    Progress& fresh = peers.emplace_back();
    fresh.node = node;
    fresh.next = log.last().next();
    fresh.heard = now;
  }
  leader.peers = std::move(peers);
  leader.check_at = now;  // other voters, another quorum
  if (!leader.transfer.target.none() && !is_voter(configs.newest(), leader.transfer.target)) {
    leader.transfer = Transfer();
  }
}

void Node::Core::leave_joint_when_committed() {
  if (configs.newest().joint() && configs.newest_index() <= commit &&
      lead().transfer.target.none()) {
    const ConfigChange leave;
    const Result<Config> next = apply_change(configs.newest(), leave);
    append_own(EntryKind::kConfig, stamp, Buffer::take(encode(leave, *next)));
  }
}

// The members learn that the change is committed, and the best of them need not wait for a
// timeout to take over.
void Node::Core::step_down_if_removed() {
  if (is_voter(configs.newest(), options.id) || configs.newest_index() > commit ||
      MUTANT(removed_leader_stays)) {
    return;
  }
  const Progress* heir = nullptr;
  for (Progress& peer : lead().peers) {
    heartbeat(peer, 0, false);
    if (is_voter(configs.newest(), peer.node) && !is_witness(configs.newest(), peer.node) &&
        (heir == nullptr || peer.match > heir->match)) {
      heir = &peer;
    }
  }
  if (heir != nullptr) {
    send_timeout_now(heir->node);
  }
  become_follower(term, NodeId());
}

Status Node::Core::transfer_leadership(NodeId target) {
  auto* leader = std::get_if<Leader>(&role);
  if (leader == nullptr) {
    return {Code::kNotLeader, "this replica does not lead"};
  }
  if (target == options.id || target == leader->transfer.target) {
    return Status::success();
  }
  if (!leader->transfer.target.none()) {
    return {Code::kResourceExhausted, "leadership is being handed over"};
  }
  if (!is_voter(configs.newest(), target)) {
    return {Code::kInvalidArgument, "the target is no voter of this group"};
  }
  if (is_witness(configs.newest(), target)) {
    return {Code::kInvalidArgument, "the target is a witness, which cannot lead"};
  }
  wake();
  leader->transfer = {target, now + options.election_timeout_max, false};
  leader->busy_at = now;
  pump_due = true;
  push_transfer();
  return Status::success();
}

// Proposals are refused meanwhile, so the target catches up in the end.
void Node::Core::push_transfer() {
  Transfer& transfer = lead().transfer;
  if (transfer.target.none() || transfer.sent) {
    return;
  }
  const Progress* peer = find_peer(transfer.target);
  if (peer != nullptr && peer->match == log.last()) {
    transfer.sent = true;
    send_timeout_now(transfer.target);
  }
}

// From here on another leader may be elected against everyone's loyalty, whenever the message
// arrives: the lease is void for the rest of the term, even if the transfer fails.
void Node::Core::send_timeout_now(NodeId target) {
  lead().lease_given_up = true;
  send(make(MessageKind::kTimeoutNow, target));
}

}  // namespace quorate::raft
