// SPDX-License-Identifier: Apache-2.0
// Heartbeats between nodes, one per pair and interval whatever the number of groups. Quiet groups
// send nothing of their own and rely on these: a follower of a quiet group starts an election when
// the leader's node is lost or has begun anew.
//
//   kHeartbeat item = incarnation u64
//
// An incarnation is a number that a node has once per process start. A changed one says that the
// peer lost whatever it had in memory, even if no beat was missed in between.
//
// Pure: time enters as data.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/time.h"

namespace quorate::rpc {

enum class Heard : uint8_t {
  kSame,       // alive as before
  kReturned,   // first word ever, or after it was lost
  kRestarted,  // another incarnation
  kMalformed,  // ignored
};

class Liveness {
 public:
  // A peer is lost when nothing is heard from it for `timeout`.
  Liveness(Duration timeout, uint64_t incarnation) : timeout_(timeout), incarnation_(incarnation) {}

  void write_beat(std::string& out) const;
  [[nodiscard]] Heard on_beat(NodeId from, std::string_view bytes, Instant now);
  // Any other word of a peer is as good as a beat, if the peer is alive.
  void on_word(NodeId from, Instant now);
  void forget(NodeId peer) { peers_.erase(peer); }

  [[nodiscard]] bool alive(NodeId peer, Instant now) const;
  // Zero if the peer was never heard.
  [[nodiscard]] uint64_t incarnation_of(NodeId peer) const;
  // Never heard: nothing.
  [[nodiscard]] Instant last_heard(NodeId peer) const;
  // The peers that were alive at the last call or have been heard since, and are not any more.
  // Each loss is told once.
  [[nodiscard]] std::vector<NodeId> take_lost(Instant now);

 private:
  struct Peer {
    Instant heard;
    uint64_t incarnation = 0;
    bool lost = false;
  };

  const Duration timeout_;
  const uint64_t incarnation_;
  std::map<NodeId, Peer> peers_;
};

}  // namespace quorate::rpc
