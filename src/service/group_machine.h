// SPDX-License-Identifier: Apache-2.0
// GroupMachine: the whole replicated state of one group: its sessions and one machine per service.
//
// The node applies an entry's payload (batch.h) here and holds nothing else of the state. A command
// passes the dedup gate first (sessions.h): a retry gets the answer of the first time, whichever
// replica leads by then, because the gate is part of the state, of the snapshot and of the digest.
//
//   1. Equal payloads and moments in equal order give equal digests and equal snapshot bytes.
//   2. A command is applied at most once per (session, sequence) and per key while those are kept.
//   3. A refusal by the gate applies nothing.
//
// Image: magic "QGM1", then frames (service u8, length u32, bytes), parts in the order of their
// service numbers, then 0xff and the digest u64.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "service/batch.h"
#include "service/machine.h"
#include "service/registry.h"
#include "service/sessions.h"

namespace quorate::service {

// Takes the answers of one entry, in the order of its commands. `status` is not ok if the gate
// refused; otherwise `answer` is what the service encoded, valid during the call only.
class AnswerSink {
 public:
  virtual ~AnswerSink() = default;
  virtual void on_answer(size_t ordinal, const Status& status, std::string_view answer) = 0;
};

class GroupMachine {
 public:
  // One machine for each service that the registry has, except kMeta outside of group 0.
  GroupMachine(const Registry& registry, GroupId group);

  // Before: moments never go back. `sink` may be null: nobody waits here. A failure means that the
  // payload is damaged or of a newer version: what stood before the damage was applied, and the
  // replica must not go on.
  [[nodiscard]] Status apply(std::string_view payload, const Moment& moment, AnswerSink* sink);
  // Begins to fetch what apply() will look at, in steps 0 to 4 with other work between them, each
  // of which looks at what the one before has fetched; the payload is looked at in step 3. Gives
  // what the next step takes. Changes nothing.
  [[nodiscard]] uint64_t prefetch(int step, std::string_view payload, uint64_t hint) const;
  // Appends the encoded answer, or fails if there is no such service.
  [[nodiscard]] Status query(ServiceId service, std::string_view query, Stamp now,
                             std::string& answer) const;

  // The machine of a service for reads in place; null if there is none.
  [[nodiscard]] const Hosted* service(ServiceId service) const;
  [[nodiscard]] const Sessions& sessions() const { return sessions_; }

  // When something is due (a lease, a TTL), the leader proposes what add_due_commands() gives. It
  // adds nothing if nothing is due, or if all whose leases are over were heard, and may leave more
  // for the next time. If it adds nothing, nothing is to be done for as long as it says, or until
  // the machine changes.
  [[nodiscard]] Stamp next_due() const;
  Duration add_due_commands(Stamp now, const Heard& heard, BatchWriter& batch) const;
  // Of a leader that has heard nobody, ever.
  void add_due_commands(Stamp now, BatchWriter& batch) const;
  // See Hosted.
  void subjects(ServiceId service, std::string_view query, std::vector<std::string>& out) const;
  [[nodiscard]] bool has_subject(ServiceId service, std::string_view subject) const;
  [[nodiscard]] uint64_t news() const;

  // At most one source at a time; it must not outlive the machine, nor a restore_begin().
  [[nodiscard]] std::unique_ptr<SnapshotSource> freeze();
  void restore_begin();
  [[nodiscard]] Status restore_piece(std::string_view piece);
  [[nodiscard]] Status restore_end();

  [[nodiscard]] uint64_t digest() const;
  void check_invariants() const;
  [[nodiscard]] size_t memory_bytes() const;

 private:
  // Where the restore stands inside the image.
  struct Restore {
    std::string pending;       // a header that is not whole yet
    uint32_t frame_left = 0;   // bytes of the frame that are still to come
    uint8_t part = 0;
    uint32_t parts_seen = 0;   // a bit for each
    bool magic_seen = false;
    bool ended = false;
    uint64_t digest = 0;       // as the end of the image states it
  };

  class Ahead;
  [[nodiscard]] Status apply_one(const BatchCommand& command, const Moment& moment, bool is_heard);
  [[nodiscard]] Status restore_header(std::string_view& piece);
  [[nodiscard]] Status restore_part(uint8_t part, std::string_view bytes);
  [[nodiscard]] Status restore_fail(std::string message);

  Sessions sessions_;
  std::array<std::unique_ptr<Hosted>, kServicesMax> machines_;
  ServiceId last_ = ServiceId::kNode;  // of the newest command: likely that of the next; no state
  std::string answer_;    // of the command at hand; reused, so that no command allocates
  Restore restore_;
};

}  // namespace quorate::service
