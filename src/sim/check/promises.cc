// SPDX-License-Identifier: Apache-2.0
#include "sim/check/promises.h"

#include "rpc/frame.h"

namespace quorate::sim {
namespace {

std::string who(NodeId id, GroupId group) {
  return "node " + std::to_string(id.value()) + " group " + std::to_string(group.value()) + ": ";
}

bool promises(const Buffer& bytes) {
  const auto kind = bytes.empty() ? raft::MessageKind::kHeartbeat
                                  : static_cast<raft::MessageKind>(bytes.view().front());
  return kind == raft::MessageKind::kVoteAnswer || kind == raft::MessageKind::kAppendAnswer;
}

}  // namespace

std::string Promises::note(NodeId from, NodeId to, std::string_view frame) {
  rpc::FrameReader reader(Buffer::copy(frame));
  rpc::Item item;
  while (reader.next(item)) {
    if (item.kind != rpc::ItemKind::kRaft || !promises(item.bytes)) {
      continue;
    }
    Result<raft::Message> message = raft::decode_message(item.bytes);
    if (message.ok() && !message->reject) {
      message->to = to;
      const std::string broken = note(from, item.group, *message);
      if (!broken.empty()) {
        return broken;
      }
    }
  }
  return "";
}

std::string Promises::note(NodeId from, GroupId group, const raft::Message& message) {
  Made& made = made_[{from, group}];
  if (message.kind == raft::MessageKind::kVoteAnswer) {
    if (message.term == made.voted_in && message.to != made.candidate) {
      return who(from, group) + "votes for node " + std::to_string(message.to.value()) +
             " in term " + std::to_string(message.term.value()) + ", and voted for node " +
             std::to_string(made.candidate.value());
    }
    if (message.term > made.voted_in) {
      made.voted_in = message.term;
      made.candidate = message.to;
    }
    return "";
  }
  if (message.term > made.acked_in) {
    made.acked_in = message.term;
    made.acked = message.index;
  } else if (message.term == made.acked_in) {
    made.acked = std::max(made.acked, message.index);
  }
  return "";
}

std::string Promises::check(NodeId id, GroupId group, const raft::Node& raft) const {
  const auto found = made_.find({id, group});
  if (found == made_.end()) {
    return "";
  }
  const Made& made = found->second;
  const bool voted = raft.term() == made.voted_in && raft.vote() == made.candidate;
  if (raft.term() < made.voted_in || (raft.term() == made.voted_in && !voted)) {
    return who(id, group) + "was restarted and has forgotten its vote in term " +
           std::to_string(made.voted_in.value());
  }
  if (raft.term() == made.acked_in && raft.last_index() < made.acked) {
    return who(id, group) + "was restarted and has entries up to " +
           std::to_string(raft.last_index().value()) + ", but had acknowledged " +
           std::to_string(made.acked.value());
  }
  return "";
}

}  // namespace quorate::sim
