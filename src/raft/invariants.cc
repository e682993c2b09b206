// SPDX-License-Identifier: Apache-2.0
// Invariants of one replica, checked after each step in tests and simulation. Those that compare
// two moments (terms, votes, committed entries) are asserted where they change, in node.cc; those
// that compare replicas (one leader a term, log matching) are the simulator's.
#include <algorithm>

#include "raft/core.h"

namespace quorate::raft {
namespace {

void check_peer(const Progress& peer, const Log& log) {
  ASSERT(peer.match < peer.next, "what is acknowledged is not sent again");
  ASSERT(peer.next <= log.last().next() && peer.match <= log.last());
  ASSERT(peer.flow == Flow::kReplicate || peer.inflight.messages() == 0);
}

}  // namespace

void Node::Core::check() const {
  log.check_invariants();
  ASSERT(well_formed(configs.newest()));
  ASSERT(log.base() <= commit && commit <= log.last());
  ASSERT(applied <= commit && commit_told <= commit);
  ASSERT(configs.newest_index() <= log.last());
  ASSERT(log.last_term() <= term || log.base() == log.last(), "entries are not from the future");
  if (const auto* leader = std::get_if<Leader>(&role)) {
    ASSERT(log.holes().empty() && !suspect, "a replica that lost entries does not lead");
    ASSERT(log.term_at(leader->first) == term || leader->first <= log.base());
    ASSERT(log.last_term() == term);
    ASSERT(!leader->quiet || commit == log.last());
    for (const Progress& peer : leader->peers) {
      check_peer(peer, log);
    }
  }
  if (const auto* follower = std::get_if<Follower>(&role)) {
    ASSERT(follower->matched <= log.last());
    ASSERT(!follower->quiet || commit == log.last());
  }
  if (const auto* candidate = std::get_if<Candidate>(&role); candidate && candidate->real) {
    ASSERT(vote == options.id, "a candidate votes for itself");
  }
}

void Node::check_invariants() const {
  core_->check();
}

}  // namespace quorate::raft
