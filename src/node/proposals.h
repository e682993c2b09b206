// SPDX-License-Identifier: Apache-2.0
// Proposals: the commands of one group between a caller and their answer, on the replica that took
// them as leader.
//
//   add()  ->  open batch  ->  take_batch()/proposed()  ->  in flight  ->  answered by apply
//
// There is no batching window: the open batch is whatever arrived since the last one was taken.
// An entry in flight ends in exactly one of three ways, told apart by the (index, term) at which it
// was proposed:
//   1. an entry of the same term is applied at its index: its commands get their answers;
//   2. an entry of another term is applied there: it never happened, and its commands are given
//      back, to be proposed once more; but if a later command of the group has left this node
//      meanwhile, which they would come behind, kUnavailable, safe to retry;
//   3. neither is known when a command's time is up, or a snapshot jumped over the index:
//      kUnknownOutcome.
// Losing the leadership answers nothing by itself: the next leader may still commit the entry.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/time.h"
#include "service/batch.h"
#include "service/proposer.h"

namespace quorate::node {

class Proposals {
 public:
  explicit Proposals(GroupId group, NodeId node) : group_(group), node_(node) {}

  // ---- the open batch ---------------------------------------------------------------------------
  void add(const service::Command& command, service::Done done, Instant deadline);
  [[nodiscard]] bool has_batch() const { return !open_.empty(); }
  [[nodiscard]] size_t batch_bytes() const { return batch_.bytes(); }
  [[nodiscard]] size_t pending() const { return pending_; }

  // Takes the batch's payload; it must be followed by proposed() or refused().
  [[nodiscard]] Buffer take_batch();
  void proposed(Index index, Term term);
  void refused(const Status& status);
  // Takes the open batch apart: its commands are in no log, and may be proposed elsewhere. The
  // views of a command are good during the call.
  using TakeBack =
      UniqueFunction<void(const service::BatchCommand&, service::Done, Instant deadline)>;
  void give_back(TakeBack take_back);

  // ---- outcomes ---------------------------------------------------------------------------------
  // Entry (index, term) is being applied. True if it is ours: then answer() follows for each of its
  // commands in order, and finish() ends it. What it displaced is to be given back.
  [[nodiscard]] bool begin_apply(Index index, Term term);
  [[nodiscard]] bool has_displaced() const { return !displaced_.empty(); }
  // From the last to the first, so that each may be put before the one that came after it.
  void give_back_displaced(TakeBack take_back);
  // Somebody waits for commands in flight, which may yet come back.
  [[nodiscard]] bool outcome_open() const;
  // A later command of the group goes its way: what is in flight is not given back any more.
  void overtake();
  void answer(size_t ordinal, const Status& status, std::string_view answer,
              const service::Origin&);
  void finish();
  // A snapshot replaced everything through `index`.
  void jumped_over(Index index);
  // Fails what has waited too long. Call now and then.
  void sweep(Instant now);
  // The replica goes away: nothing more will be known.
  void abandon();

 private:
  struct Pending {
    service::Done done;
    Instant deadline;
  };
  struct Flight {
    Index index;
    Term term;
    Buffer payload;
    std::vector<Pending> commands;
    Instant earliest = Instant::never();  // of those that still wait; never: nobody does
    bool overtaken = false;
  };

  void fail(std::vector<Pending>& commands, const Status& status);
  void give_back(Flight& flight, TakeBack& take_back);
  void sweep(Flight& flight, Instant now, const Status& status);

  const GroupId group_;
  const NodeId node_;
  service::BatchWriter batch_;
  std::vector<Pending> open_;
  std::vector<Pending> taken_;     // between take_batch() and proposed()
  Buffer taken_payload_;           // likewise
  std::vector<Flight> flights_;    // by rising index
  std::vector<Flight> displaced_;  // by rising index, until they are given back
  std::vector<Pending> applying_;
  std::vector<std::vector<Pending>> spare_;  // emptied vectors, for their capacity
  size_t pending_ = 0;
};

}  // namespace quorate::node
