// SPDX-License-Identifier: Apache-2.0
// Audit: who changed the cluster, and who was turned away, as a file of one JSON object a line.
// Each line's "chain" is the SHA-256 of the chain before it and of the line itself, so that a line
// that was changed, removed or put in shows; `quorate audit verify` finds it. What it cannot show
// is that the newest lines were cut off: keep the last chain elsewhere (GET /access/audit).
//
// A line is in the file when note() returns and on the disk after the next sync(), at most a second
// later. A flood of refusals is counted rather than written line by line, so that nobody fills the
// disk with knocking. After kFileBytesMax a new file is begun; the old one is kept as audit-<its
// last number>.log.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"
#include "env/clock.h"

namespace quorate::server {

inline constexpr std::string_view kAuditStart =
    "0000000000000000000000000000000000000000000000000000000000000000";

struct AuditEvent {
  std::string_view caller;  // empty: unknown
  std::string_view peer;
  std::string_view deed;
  std::string_view outcome;
};

class Audit {
 public:
  static constexpr uint64_t kFileBytesMax = 64 * 1024 * 1024;
  static constexpr uint32_t kLinesPerSecond = 100;

  // `directory`/audit.log; goes on where the file ends. Corrupted if its last line is no line of
  // such a file: a human should look at it before anything is added.
  [[nodiscard]] static Result<std::unique_ptr<Audit>> open(const env::Clock& clock,
                                                           const std::string& directory,
                                                           uint32_t node);
  ~Audit();
  Audit(const Audit&) = delete;
  Audit& operator=(const Audit&) = delete;

  void note(const AuditEvent& event);
  // What was noted is on the disk; call it now and then. Also tells of lines that were left out.
  void sync();

  [[nodiscard]] uint64_t lines() const { return next_ - 1; }
  [[nodiscard]] const std::string& chain() const { return chain_; }
  [[nodiscard]] bool failed() const { return failed_; }

 private:
  Audit(const env::Clock& clock, std::string directory, uint32_t node);

  [[nodiscard]] Status open_file();
  void append(const AuditEvent& event);
  void begin_new_file();

  const env::Clock& clock_;
  const std::string directory_;
  const uint32_t node_;
  int file_ = -1;
  uint64_t file_bytes_ = 0;
  uint64_t next_ = 1;
  std::string chain_{kAuditStart};
  int64_t second_ = 0;
  uint32_t in_second_ = 0;
  uint64_t left_out_ = 0;
  bool unsynced_ = false;
  bool failed_ = false;
};

struct AuditReport {
  uint64_t first = 0;
  uint64_t last = 0;
  std::string chain;  // after the last line
};
// Of the text of one file, or of several, one behind the other. Corrupted, with the number of the
// line, if the chain does not hold.
[[nodiscard]] Result<AuditReport> verify_audit(std::string_view text);

}  // namespace quorate::server
