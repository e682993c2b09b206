// SPDX-License-Identifier: Apache-2.0
#include "rpc/heartbeat.h"

#include "base/codec.h"
#include "base/limits.h"

namespace quorate::rpc {

void Liveness::write_beat(std::string& out) const { Writer(out).u64(incarnation_); }

Heard Liveness::on_beat(NodeId from, std::string_view bytes, Instant now) {
  Reader in(bytes);
  const uint64_t incarnation = in.u64();
  // What a later version may add behind it is not our concern.
  if (!in.ok()) {
    return Heard::kMalformed;
  }
  const auto found = peers_.find(from);
  if (found == peers_.end()) {
    if (peers_.size() >= limits::kPeersMax) {
      return Heard::kMalformed;
    }
    peers_.emplace(from, Peer{now, incarnation, false});
    return Heard::kReturned;
  }
  Peer& peer = found->second;
  const bool was_lost = peer.lost || now - peer.heard > timeout_;
  const bool restarted = peer.incarnation != incarnation;
  peer = Peer{now, incarnation, false};
  if (restarted) {
    return Heard::kRestarted;
  }
  return was_lost ? Heard::kReturned : Heard::kSame;
}

void Liveness::on_word(NodeId from, Instant now) {
  const auto found = peers_.find(from);
  if (found != peers_.end() && !found->second.lost && now - found->second.heard <= timeout_) {
    found->second.heard = now;
  }
}

bool Liveness::alive(NodeId peer, Instant now) const {
  const auto found = peers_.find(peer);
  return found != peers_.end() && !found->second.lost && now - found->second.heard <= timeout_;
}

uint64_t Liveness::incarnation_of(NodeId peer) const {
  const auto found = peers_.find(peer);
  return found == peers_.end() ? 0 : found->second.incarnation;
}

Instant Liveness::last_heard(NodeId peer) const {
  const auto found = peers_.find(peer);
  return found == peers_.end() ? Instant() : found->second.heard;
}

std::vector<NodeId> Liveness::take_lost(Instant now) {
  std::vector<NodeId> lost;
  for (auto& [id, peer] : peers_) {
    if (!peer.lost && now - peer.heard > timeout_) {
      peer.lost = true;
      lost.push_back(id);
    }
  }
  return lost;
}

}  // namespace quorate::rpc
