// SPDX-License-Identifier: Apache-2.0
// Sessions: what makes a retry exactly-once. Part of the state of every group.
//
// A client opens a session and numbers its commands; the last answers of each session are kept, and
// a number that was seen gets its answer again instead of being applied. A client without a session
// may name a command by a key instead (HTTP's Idempotency-Key); its answer is kept for a while.
//
//   sequence   ... floor | floor + 1 ... highest | highest + 1 ...
//              refused   | repeated, or run if   | run
//                        | it never came         |      floor = highest - kSessionAnswersMax
//
// A session ends by close, or by an expire command that the leader proposes once its lease ran out;
// never by a stamp alone, so that a new leader can grant a grace period by holding that command
// back. Whatever may have been forgotten is refused, never run again.
//
// All of it is one Table, so that snapshot and digest hold all of it:
//   "c"                      -> the greatest session id ever given, u64
//   "s" id                   -> ttl millis varint, lease end stamp, highest sequence varint
//   "a" id sequence          -> kept u8, answer
//   "k" key                  -> due stamp, fingerprint of the command u64, kept u8, answer
// (ids and sequences big-endian; kept 0: the answer was too long to be kept)
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "base/status.h"
#include "base/time.h"
#include "service/batch.h"
#include "service/due.h"
#include "service/machine.h"
#include "service/table.h"

namespace quorate::service {

// The commands of ServiceId::kNode. The numbers are in the log.
struct Noop {};                                   // 0
struct OpenSession { Duration ttl; };             // 1, answers SessionLease
struct TouchSession { SessionId id; };            // 2, answers SessionLease
struct CloseSession { SessionId id; };            // 3, answers ok, also if it is gone already
struct ExpireSessions { Stamp through; uint64_t records_max = 0; };   // 4, answers ok
using NodeCommand = std::variant<Noop, OpenSession, TouchSession, CloseSession, ExpireSessions>;

struct SessionLease {
  SessionId id;
  Stamp end;
};

[[nodiscard]] std::string encode(const NodeCommand& command);
[[nodiscard]] Result<NodeCommand> decode_node_command(std::string_view bytes);
// Of an encoded answer to OpenSession or TouchSession.
[[nodiscard]] Result<SessionLease> decode_session_lease(std::string_view answer);

class Sessions : private Table::RestoreObserver {
 public:
  enum class Gate : uint8_t {
    kRun,       // not seen before: run it, then keep() its answer
    kRepeat,    // done before: `answer` is that of the first time
    kRefuse,    // nothing may be run: see the status
  };
  struct Verdict {
    Gate gate = Gate::kRun;
    Status refusal;
  };

  // Before: command names a session or a key. Renews the session's lease.
  [[nodiscard]] Verdict admit(const BatchCommand& command, const Moment& moment,
                              std::string& answer);
  // Before: admit() said kRun for this command, and it was run.
  void keep(const BatchCommand& command, const Moment& moment, std::string_view answer);
  // Applies a command of the node; appends the encoded answer.
  void apply(std::string_view body, const Moment& moment, std::string& answer);

  [[nodiscard]] bool is_open(SessionId id) const;
  [[nodiscard]] size_t open_count() const { return open_count_; }

  [[nodiscard]] Stamp next_due() const { return due_.next(); }
  [[nodiscard]] std::string due_command(Stamp now) const;

  [[nodiscard]] std::unique_ptr<SnapshotSource> freeze() { return table_.freeze(); }
  void restore_begin();
  [[nodiscard]] Status restore_piece(std::string_view piece);
  [[nodiscard]] Status restore_end();
  [[nodiscard]] uint64_t digest() const { return table_.digest(); }
  void check_invariants() const;
  [[nodiscard]] size_t memory_bytes() const {
    return table_.memory_bytes() + due_.memory_bytes();
  }

 private:
  struct Session {
    int64_t ttl_millis = 0;
    Stamp end;
    uint64_t highest = 0;
  };

  [[nodiscard]] Verdict admit_session(const BatchCommand& command, const Moment& moment,
                                      std::string& answer);
  [[nodiscard]] Verdict admit_key(const BatchCommand& command, std::string& answer) const;
  void keep_in_session(const BatchCommand& command, std::string_view answer);
  void keep_by_key(const BatchCommand& command, const Moment& moment, std::string_view answer);
  void make_room();

  Status open(const OpenSession& command, const Moment& moment, SessionLease& lease);
  Status touch(SessionId id, const Moment& moment, SessionLease& lease);
  void close(SessionId id);
  void expire(const ExpireSessions& command, const Moment& moment);
  size_t remove_first_due();

  [[nodiscard]] bool load(SessionId id, Session& session) const;
  void store(SessionId id, const Session& session);
  void renew(SessionId id, Session& session, Stamp at);
  size_t forget_answers(SessionId id, uint64_t through);
  [[nodiscard]] SessionId next_id();
  bool on_restored(std::string_view key, std::string_view record) override;

  Table table_;
  Due due_;                  // items are keys of table_: sessions by lease, keyed answers by age
  size_t open_count_ = 0;    // derived, as is the next
  size_t keyed_count_ = 0;
};

}  // namespace quorate::service
