// SPDX-License-Identifier: Apache-2.0
// Segments: the files of the log, oldest to newest, and the spare ones.
//
//   segment-<number>     in use; numbers grow by one and are never used twice
//   spare-<n>            written ahead with zeros, or given up by the log, to become a segment
//   spare-<n>.new        being written ahead; worthless after a crash
//
// The log is a queue: batches enter at the newest segment, and only the oldest one leaves. So what
// a record says (an entry replaced, a group removed) always outlives what it says it of.
//
// A new segment is a spare one under a new name; its old bytes cannot pass for batches of the new
// number. A spare one is written ahead in pieces with pauses, so that no flush waits for all of it;
// without one the log simply grows a new file, which is slower, not wrong.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "env/disk.h"
#include "env/timer.h"
#include "wal/wal.h"

namespace quorate::wal {

struct PinnedGroup;

// Where a batch stands in its segment, and where its parts do: enough to read without its headers.
struct Place {
  uint32_t at = 0;
  uint32_t directory_bytes = 0;
  uint32_t payload_bytes = 0;
};

struct Segment {
  uint32_t number = 0;
  std::unique_ptr<env::File> file;
  uint64_t first_batch = 0;
  std::vector<Place> places;      // of first_batch and on; empty for one that was lost
  uint64_t end = 0;               // where the next batch goes
  uint32_t ahead = 0;             // bytes the file had when the segment was begun
  PinnedGroup* pinned = nullptr;  // groups whose oldest needed record is here, as a list
  size_t pinned_by_entries = 0;   // those of them that need an entry, not just their state
};

[[nodiscard]] std::string segment_name(uint32_t number);
// The number in a segment's name, or 0 for any other name.
[[nodiscard]] uint32_t segment_number(const std::string& name);

class Segments {
 public:
  Segments(env::Disk& disk, env::Clock& clock, env::Timer& timer, const Options& options);
  ~Segments();

  // Takes over what recovery found in the directory.
  void adopt(Segment segment) { segments_.push_back(std::move(segment)); }
  void adopt_spares(const std::vector<std::string>& names);
  // Makes the next segment; its name is durable afterwards.
  [[nodiscard]] Status begin(uint32_t number, uint64_t first_batch);
  // Gives up the segments before `number`.
  void free_before(uint32_t number);
  // Starts to write a spare segment ahead if one is missing.
  void prepare();

  [[nodiscard]] bool has_spare() const { return !spares_.empty(); }
  [[nodiscard]] bool empty() const { return segments_.empty(); }
  [[nodiscard]] size_t size() const { return segments_.size(); }
  [[nodiscard]] Segment& at(size_t i) { return segments_[i]; }
  [[nodiscard]] Segment& oldest() { return segments_.front(); }
  [[nodiscard]] Segment& newest() { return segments_.back(); }
  // The segment of a batch that has its place, or nullptr.
  [[nodiscard]] Segment* of_batch(uint64_t batch);
  [[nodiscard]] Segment* of_number(uint32_t number);

 private:
  [[nodiscard]] std::string path(const std::string& name) const;
  [[nodiscard]] Result<std::unique_ptr<env::File>> take_spare(const std::string& target);
  void write_ahead();
  void wait_and_write_ahead();
  void finish_spare();
  void give_up_spare();

  env::Disk& disk_;
  env::Clock& clock_;
  env::Timer& timer_;
  const Options& options_;
  std::deque<Segment> segments_;
  std::vector<uint32_t> spares_;
  uint32_t next_spare_ = 1;
  // The spare segment that is being written.
  std::unique_ptr<env::File> filling_;
  uint32_t filling_number_ = 0;
  // The one before, kept until the next because its own callback was running when it was done.
  std::unique_ptr<env::File> filled_last_;
  uint64_t filled_ = 0;
  uint64_t end_seen_ = 0;  // of the newest segment, when the last piece was due
  env::TimerId pause_ = env::TimerId::kNone;
};

}  // namespace quorate::wal
