// SPDX-License-Identifier: Apache-2.0
// Log: the Wal. Collects items in the open batch, writes one batch at a time, and looks after the
// segments.
//
//   append --> open batch --flush--> in flight --synced--> callbacks, segments freed
//                 ^  collects meanwhile  |
//
// What pins a segment: a group needs the entries it has not compacted, the newest word on its state
// and the newest on its bounds. Each group is on the list of the oldest segment that it needs. A
// pin is only ever too old, never too new; upkeep.cc makes it exact when it matters. When a
// segment is the oldest and holds nothing but the state of idle groups, those are restated in the
// batches that are written anyway, a few at a time; when it is too far back its entries are
// rewritten forward. A segment is given up once a durable batch has said that it is not needed.
//
// Everything runs on the shard's loop.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "wal/batch.h"
#include "wal/group_log.h"
#include "wal/recovery.h"
#include "wal/segments.h"
#include "wal/wal.h"

namespace quorate::wal {

struct PinnedGroup {
  explicit PinnedGroup(GroupLog entries) : log(std::move(entries)) {}

  GroupLog log;
  uint16_t life = 0;  // two of one number that follow each other differ
  uint64_t last_batch = 0;
  uint64_t state_batch = 0;
  uint64_t bounds_batch = 0;  // 0: nothing to say but the state
  bool suspect = false;
  bool by_entries = false;  // the pin is (also) due to an entry
  uint32_t pin = 0;         // segment on whose list this is; 0: on none
  PinnedGroup* before = nullptr;
  PinnedGroup* after = nullptr;
};

class Log final : public Wal {
 public:
  Log(env::Disk& disk, env::Clock& clock, env::Timer& timer, const Options& options);
  ~Log() override;

  // Takes over what recovery found; writes the opening batch. Blocking.
  [[nodiscard]] Status begin(Recovered recovered);

  void append(GroupId group, const State* state, std::span<const Record> records) override;
  void compact(GroupId group, Index index, Term term) override;
  void remove_group(GroupId group) override;
  void trust(GroupId group) override;
  [[nodiscard]] bool dirty() const override;
  void flush(FlushDone done) override;
  [[nodiscard]] Result<std::vector<Record>> read(GroupId group, Index first, Index last,
                                                 size_t bytes_max) override;
  [[nodiscard]] uint64_t bytes_of(GroupId group) const override;
  [[nodiscard]] Stats stats() const override;

 private:
  struct OpenBatch {
    OpenBatch(uint64_t log, uint64_t number) : batch(log, number) {}
    Batch batch;
    // Segments before this one are needless once this batch is durable: what was restated or
    // rewritten to make them so stands in this batch or before it.
    uint32_t oldest = 1;
    std::vector<PinnedGroup*> touched;  // groups it speaks of; null: removed meanwhile
  };
  struct Waiting {
    uint64_t number;
    FlushDone done;
  };
  struct Where {
    const Batch* batch = nullptr;  // still in memory
    Segment* segment = nullptr;    // or on disk
  };

  // log.cc: beginning and appending.
  [[nodiscard]] Status write_opening();
  PinnedGroup& group_of(GroupId id);
  PinnedGroup* find(GroupId id) const;
  std::unique_ptr<PinnedGroup>& place_of(GroupId id);
  Item& start_item(PinnedGroup& group, ItemKind kind);
  uint32_t add_item(PinnedGroup& group);
  void make_room(uint64_t bytes);
  void append_state(PinnedGroup& group);
  void append_records(PinnedGroup& group, ItemKind kind, std::span<const Record> records);
  size_t append_into_holes(PinnedGroup& group, std::span<const Record> records);
  void restate(PinnedGroup& group);

  // flush.cc: writing.
  void start_write();
  [[nodiscard]] bool wants_write() const;
  [[nodiscard]] Status make_place(uint64_t bytes);
  void take_open_batch();
  [[nodiscard]] Result<std::vector<std::string_view>> launch();
  [[nodiscard]] uint32_t depth(const OpenBatch& batch);
  void on_written(Status status, bool synced);
  void finish_waiting();
  void fail(Status status);
  void call(std::vector<FlushDone> callbacks, const Status& status);
  void arm_timer();
  void on_timer();

  // read.cc: reading back.
  [[nodiscard]] Where where_is(uint64_t batch);
  [[nodiscard]] Status load_item(const Where& where, const Run& run, Item& item);
  [[nodiscard]] Result<Buffer> load_payloads(const Where& where, uint64_t batch, uint32_t offset,
                                             uint32_t bytes);
  [[nodiscard]] Status load_records(const Where& where, uint64_t batch, const Item& item,
                                    std::pair<size_t, size_t> range, std::vector<Record>& out);
  [[nodiscard]] Status read_run(PinnedGroup& group, std::pair<Index, Index> range,
                                size_t& bytes_left, std::vector<Record>& out);
  void lose_entry(PinnedGroup& group, Index index);

  // upkeep.cc: pins, restating, rewriting forward.
  void pin(PinnedGroup& group);
  void unpin(PinnedGroup& group);
  void tend();
  [[nodiscard]] bool tend_oldest(Segment& segment, uint64_t& budget);
  // How many segments back an entry may lie before it is rewritten forward.
  [[nodiscard]] uint64_t window();
  [[nodiscard]] bool rewrite(PinnedGroup& group, Segment& segment, uint64_t& budget);

  env::Disk& disk_;
  env::Clock& clock_;
  env::Timer& timer_;
  const Options options_;
  uint64_t batch_bytes_max_;
  uint64_t log_ = 0;
  Segments segments_;
  uint64_t window_ = 0;
  uint32_t window_of_ = 0;  // the newest segment when window_ was reckoned
  std::vector<std::unique_ptr<PinnedGroup>> groups_;  // by number

  std::unique_ptr<OpenBatch> open_;
  std::deque<std::unique_ptr<OpenBatch>> sealed_;  // full before they were flushed
  std::unique_ptr<OpenBatch> flying_;
  std::unique_ptr<OpenBatch> idle_;  // its memory is used again
  uint64_t next_batch_ = 1;
  uint64_t flush_through_ = 0;
  uint64_t written_ = 0;
  uint64_t durable_ = 0;
  uint64_t recorded_durable_ = 0;  // the newest that a written header says
  uint32_t oldest_ = 1;            // segments before it are not needed
  // A segment is given up in two steps, so that recovery sees why it is gone: a batch says that it
  // is needless, and once that is durable, a later batch whose header says that it is.
  uint32_t written_oldest_ = 1;  // said by the last batch written
  uint32_t durable_oldest_ = 1;  // said by the last batch known durable
  uint32_t flying_known_ = 1;    // durable_oldest_ when the batch in flight was closed
  uint32_t written_known_ = 1;
  std::deque<Waiting> waiting_;
  std::vector<FlushDone> deferred_;
  Status failed_;

  env::TimerId timer_id_ = env::TimerId::kNone;
  Instant last_write_;
  bool mark_due_ = false;  // write a batch even if it says nothing
  bool sync_due_ = false;
  Item item_;  // scratch
  Stats stats_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace quorate::wal
