// SPDX-License-Identifier: Apache-2.0
// Machine: what the core replicates. Every service is one: a pure function of its commands.
//
// Rules, which tidy and the simulator enforce:
//   1. apply() and the state depend on nothing but the commands, their stamps and their order.
//   2. No clock, thread, file, socket, random, global, floating point, or order of a hash table.
//   3. apply() refuses or asserts; it never fails for another reason.
//   4. Equal state gives equal digest() and equal snapshot bytes on every replica.
//
// Two faces: a service writes a class that meets the concept Machine; the node hosts it through the
// virtual interface Hosted, made by host<M>() in registry.h.
#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/status.h"
#include "base/time.h"

namespace quorate::service {

// The numbers are in the log.
enum class ServiceId : uint8_t {
  kNode = 0,    // the node's own commands: sessions, noops
  kKv = 1,
  kLock = 2,
  kQueue = 3,
  kCache = 4,
  kTask = 5,
  kStream = 6,
  kMeta = 7,    // members, groups, placement, catalogue; in group 0 only
};
inline constexpr size_t kServicesMax = 16;

// Where in the history a command stands.
struct Moment {
  Stamp at;
  Index index;
};

// What a leader knows of those whose leases a machine keeps, by heartbeats that are in no log.
class Heard {
 public:
  virtual ~Heard() = default;
  // For how long nothing was heard of the subject. Never more than the leader has led: one that has
  // just begun knows of nobody that he is gone, and so grants every lease once more.
  [[nodiscard]] virtual Duration silence_of(ServiceId service, std::string_view subject) const = 0;
};

// What is to be done about what is due.
struct DueStep {
  std::string command = {};      // to be proposed; empty: nothing yet ...
  Duration pause = {};           // ... nor for this long, but for changes of the machine
};

// Produces a frozen image piece by piece while the machine goes on changing: the machine keeps the
// old value of whatever changes before it was written. Dropping it ends the freeze.
class SnapshotSource {
 public:
  virtual ~SnapshotSource() = default;
  // Appends about `bytes_target` bytes to `out`; false when the image is complete.
  virtual bool next(size_t bytes_target, std::string& out) = 0;
};

// A service's machine as the node holds it.
class Hosted {
 public:
  virtual ~Hosted() = default;
  // Decodes and applies; appends the encoded answer, unless that is null: nobody waits for it. A
  // command that does not decode is answered with kInvalidArgument on every replica alike.
  virtual void apply(std::string_view command, const Moment& moment, std::string* answer) = 0;
  // Begins to fetch what apply() will look at whatever the command, in steps 0, 1, 2 with other
  // work between them: each looks at what the one before has fetched. Changes nothing.
  virtual void prefetch_self(int) const {}
  // Likewise what apply() of this command will look at, in two steps: the first gives what the
  // second takes. Neither need be followed.
  [[nodiscard]] virtual uint64_t prefetch(std::string_view) const { return 0; }
  virtual void prefetch_more(uint64_t) const {}
  // Reads; `now` is the newest stamp of the group, or the leader's wall time if later.
  virtual void query(std::string_view query, Stamp now, std::string& answer) const = 0;
  // The earliest stamp at which something is due (expiry); Stamp::never() if nothing is. When the
  // leader's wall time passes it, the node proposes due_command().
  [[nodiscard]] virtual Stamp next_due() const = 0;
  [[nodiscard]] virtual std::string due_command(Stamp now) const = 0;
  // ---- leases that heartbeats keep alive; of machines that keep such ----------------------------
  // As due_command(), but whoever was heard stays.
  [[nodiscard]] virtual DueStep due_step(Stamp now, const Heard&) const {
    return {due_command(now), {}};
  }
  // The subjects that a query names as alive, as far as they are here.
  virtual void subjects(std::string_view, std::vector<std::string>&) const {}
  [[nodiscard]] virtual bool has_subject(std::string_view) const { return false; }
  // Grows when something has ended that somebody waits for, at whichever replica. Not state.
  [[nodiscard]] virtual uint64_t news() const { return 0; }
  // At most one source at a time.
  [[nodiscard]] virtual std::unique_ptr<SnapshotSource> freeze() = 0;
  // restore_begin() empties the machine; pieces may be cut anywhere; restore_end() tells whether
  // what came was whole. After a failure the machine is empty.
  virtual void restore_begin() = 0;
  [[nodiscard]] virtual Status restore_piece(std::string_view piece) = 0;
  [[nodiscard]] virtual Status restore_end() = 0;
  [[nodiscard]] virtual uint64_t digest() const = 0;
  virtual void check_invariants() const = 0;
  [[nodiscard]] virtual size_t memory_bytes() const = 0;
};

}  // namespace quorate::service
