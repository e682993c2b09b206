// SPDX-License-Identifier: Apache-2.0
#include "wal/log.h"

#include <algorithm>

#include "base/assert.h"
#include "base/crc.h"
#include "base/limits.h"
#include "base/prng.h"

namespace quorate::wal {
namespace {

Result<std::unique_ptr<Log>> open_log(env::Disk& disk, env::Clock& clock, env::Timer& timer,
                                      const Options& options, Recovered recovered) {
  auto log = std::make_unique<Log>(disk, clock, timer, options);
  RETURN_IF_ERROR(log->begin(std::move(recovered)));
  return log;
}

// Records of the kinds that the owner wants back; those that lie in holes are among the missing.
void read_marked(Wal& log, const std::vector<Index>& marked, RecoveredGroup& group) {
  for (const Index index : marked) {
    if (index <= group.compacted || index > group.last) {
      continue;
    }
    auto records = log.read(group.group, index, index, SIZE_MAX);
    if (records.ok()) {
      group.marked.push_back(std::move(records->front()));
    }
  }
}

void set_terms(GroupLog& log, std::span<const Record> records) {
  for (size_t begin = 0, end = 0; begin < records.size(); begin = end) {
    while (end < records.size() && records[end].term == records[begin].term) {
      ++end;
    }
    log.set_term(records[begin].index, records[end - 1].index, records[begin].term);
  }
}

RecoveredGroup describe(const RebuiltGroup& group) {
  RecoveredGroup out;
  out.group = group.log.group();
  out.state = group.log.state();
  out.compacted = group.log.compacted();
  out.compacted_term = group.log.compacted_term();
  out.last = group.log.last();
  out.terms = group.log.terms();
  out.holes = group.log.holes();
  out.tail_suspect = group.tail_suspect();
  return out;
}

}  // namespace

Result<Wal::Opened> Wal::open(env::Disk& disk, env::Clock& clock, env::Timer& timer,
                              const Options& options) {
  if (options.segment_bytes == 0 || options.segment_bytes > limits::kWalSegmentBytesMax) {
    return Status{Code::kInvalidArgument, "segment_bytes is out of range"};
  }
  RETURN_IF_ERROR(disk.make_directory(options.directory));
  auto recovered = recover(disk, options);
  RETURN_IF_ERROR(recovered);
  Opened opened;
  opened.notes = recovered->notes;
  opened.groups_unknown = recovered->groups_unknown;
  std::vector<std::vector<Index>> marked;
  for (auto& [id, group] : recovered->groups) {
    opened.groups.push_back(describe(group));
    marked.push_back(std::move(group.marked));
  }
  auto log = open_log(disk, clock, timer, options, std::move(recovered).value());
  RETURN_IF_ERROR(log);
  opened.wal = std::move(log).value();
  for (size_t i = 0; i < marked.size(); ++i) {
    read_marked(*opened.wal, marked[i], opened.groups[i]);
  }
  return opened;
}

Log::Log(env::Disk& disk, env::Clock& clock, env::Timer& timer, const Options& options)
    : disk_(disk),
      clock_(clock),
      timer_(timer),
      options_(options),
      batch_bytes_max_(std::min(limits::kWalBatchBytesMax, options.segment_bytes / 4 + 1)),
      segments_(disk, clock, timer, options_) {}

Log::~Log() { timer_.cancel(timer_id_); }

Status Log::begin(Recovered recovered) {
  const auto wall = static_cast<uint64_t>(clock_.wall().micros());
  log_ = recovered.log != 0 ? recovered.log
                            : mix64(wall ^ mix64(static_cast<uint64_t>(clock_.now().nanos()))) | 1;
  for (const std::string& name : recovered.garbage) {
    RETURN_IF_ERROR(disk_.remove(options_.directory + "/" + name));
  }
  RETURN_IF_ERROR(disk_.sync_directory(options_.directory));
  for (Segment& segment : recovered.segments) {
    // What recovery has read may stand in the page cache only; from now on it counts.
    if (segment.first_batch + segment.places.size() > recovered.durable + 1) {
      RETURN_IF_ERROR(segment.file->sync_now());
    }
    segments_.adopt(std::move(segment));
  }
  segments_.adopt_spares(recovered.spares);
  next_batch_ = recovered.next_batch;
  written_ = durable_ = next_batch_ - 1;
  oldest_ = durable_oldest_ = std::max(recovered.oldest, 1u);
  RETURN_IF_ERROR(segments_.begin(recovered.next_segment, next_batch_));
  take_open_batch();
  for (auto& [id, rebuilt] : recovered.groups) {
    std::unique_ptr<PinnedGroup>& place = place_of(id);
    place = std::make_unique<PinnedGroup>(rebuilt.log);
    PinnedGroup& group = *place;
    group.life = rebuilt.life;
    group.last_batch = rebuilt.last_batch;
    group.state_batch = rebuilt.state_batch;
    group.bounds_batch = rebuilt.bounds_batch;
    group.suspect = rebuilt.tail_suspect();
    pin(group);
    // What is damaged is said anew: the records that show it will be given up some day.
    if (group.suspect || !group.log.holes().empty()) {
      restate(group);
    }
  }
  // The opening batch settles where the log ends, whatever stands behind that place.
  return write_opening();
}

PinnedGroup* Log::find(GroupId id) const {
  return id.value() < groups_.size() ? groups_[id.value()].get() : nullptr;
}

std::unique_ptr<PinnedGroup>& Log::place_of(GroupId id) {
  ASSERT(id.value() <= limits::kGroupsMax);
  if (id.value() >= groups_.size()) {
    groups_.resize(id.value() + size_t{1});
  }
  return groups_[id.value()];
}

PinnedGroup& Log::group_of(GroupId id) {
  std::unique_ptr<PinnedGroup>& group = place_of(id);
  if (group == nullptr) {
    group = std::make_unique<PinnedGroup>(GroupLog(id));
    group->life = static_cast<uint16_t>(open_->batch.number());
  }
  return *group;
}

// The scratch item, for the open batch.
Item& Log::start_item(PinnedGroup& group, ItemKind kind) {
  item_.kind = kind;
  item_.suspect = group.suspect;
  item_.group = group.log.group();
  item_.life = group.life;
  item_.back = 0;
  item_.state = group.log.state();
  item_.last = group.log.last();
  item_.last_term = group.log.last_term();
  item_.compacted = group.log.compacted();
  item_.compacted_term = group.log.compacted_term();
  item_.count = 0;
  item_.records.clear();
  return item_;
}

uint32_t Log::add_item(PinnedGroup& group) {
  Batch& batch = open_->batch;
  // Set here, because making room may have begun a new batch since the item was started.
  item_.back = group.last_batch == 0 ? 0 : batch.number() - group.last_batch + 1;
  if (group.last_batch != batch.number()) {
    open_->touched.push_back(&group);
    group.last_batch = batch.number();
  }
  if (item_.has_state()) {
    group.state_batch = batch.number();
  }
  if (item_.kind == ItemKind::kBounds) {
    group.bounds_batch = batch.number();
  }
  stats_.records += item_.records.size();
  return batch.add_item(item_);
}

// A batch that would grow too long is closed; it is written before the next one, in its order.
void Log::make_room(uint64_t bytes) {
  if (open_->batch.empty() || open_->batch.bytes() + bytes <= batch_bytes_max_) {
    return;
  }
  sealed_.push_back(std::move(open_));
  take_open_batch();
}

void Log::append(GroupId id, const State* state, std::span<const Record> records) {
  if (!failed_.ok()) {
    return;  // nothing more will be durable, and the owner learns it from its flush
  }
  PinnedGroup& group = group_of(id);
  if (state != nullptr) {
    group.log.set_state(*state);
  }
  if (records.empty()) {
    if (state != nullptr) {
      append_state(group);
    }
    return;
  }
  ASSERT(records.front().index > group.log.compacted(), "an entry that a snapshot covers");
  ASSERT(records.front().index <= group.log.last().next(), "a gap in a group's log");
  const size_t filled = append_into_holes(group, records);
  if (filled < records.size()) {
    append_records(group, ItemKind::kAppend, records.subspan(filled));
  } else if (state != nullptr) {
    append_state(group);
  }
}

// Entries that begin in a hole and are of the terms known for their places are repairs: they take
// their places and nothing else changes. How many of `records` were done with in this way.
size_t Log::append_into_holes(PinnedGroup& group, std::span<const Record> records) {
  const GroupLog& log = group.log;
  const auto known = [&](const Record& record) {
    return record.index <= log.last() && log.term_at(record.index) == record.term;
  };
  if (records.front().index > log.last() || !log.hole_at(records.front().index)) {
    return 0;
  }
  size_t done = 0;
  while (done < records.size() && known(records[done])) {
    size_t end = done;
    while (end < records.size() && known(records[end]) && log.hole_at(records[end].index)) {
      ++end;
    }
    if (end == done) {
      ++done;  // whole here already
      continue;
    }
    append_records(group, ItemKind::kPut, records.subspan(done, end - done));
    done = end;
  }
  return done;
}

void Log::append_state(PinnedGroup& group) {
  make_room(kItemFixedBytesMax);
  start_item(group, ItemKind::kState);
  add_item(group);
}

// Cut into items so that a batch stays within its size, but one record is never cut.
void Log::append_records(PinnedGroup& group, ItemKind kind, std::span<const Record> records) {
  while (!records.empty()) {
    uint64_t bytes = 0;
    size_t count = 0;
    while (count < records.size() && count < kItemRecordsMax &&
           (count == 0 || bytes + records[count].payload.size() <= batch_bytes_max_ / 2)) {
      bytes += records[count].payload.size() + 2 * kItemRecordBytesMax;
      ++count;
    }
    make_room(bytes + 2 * kItemFixedBytesMax);
    Item& item = start_item(group, kind);
    item.first = records.front().index;
    item.before_term = group.log.term_at(
        std::max(group.log.compacted(), std::min(item.first.previous(), group.log.last())));
    for (const Record& record : records.first(count)) {
      ASSERT(record.index == item.first + item.records.size(), "records are contiguous");
      const uint32_t offset = open_->batch.add_payload(record.payload);
      item.records.push_back({record.term, record.kind, record.at,
                              static_cast<uint32_t>(record.payload.size()),
                              crc32c(record.payload.view()), offset});
    }
    const uint64_t number = open_->batch.number();
    const Index last = item.first + (count - 1);
    const Run run{item.first, number, add_item(group), static_cast<uint32_t>(bytes)};
    if (kind == ItemKind::kAppend) {
      group.log.append(item.first, last, run);
    } else {
      group.log.put(item.first, last, run);
    }
    set_terms(group.log, records.first(count));
    records = records.subspan(count);
  }
}

void Log::compact(GroupId id, Index index, Term term) {
  PinnedGroup& group = group_of(id);
  if (!failed_.ok() || (index <= group.log.compacted() && group.last_batch != 0)) {
    return;
  }
  group.log.compact(index, term);
  make_room(kItemFixedBytesMax);
  start_item(group, ItemKind::kBounds);
  add_item(group);
  pin(group);
}

void Log::remove_group(GroupId id) {
  PinnedGroup* group = find(id);
  if (group == nullptr || !failed_.ok()) {
    return;
  }
  make_room(kItemFixedBytesMax);
  start_item(*group, ItemKind::kRemove);
  add_item(*group);
  unpin(*group);
  const auto forget = [&](OpenBatch& batch) {
    std::replace(batch.touched.begin(), batch.touched.end(), group,
                 static_cast<PinnedGroup*>(nullptr));
  };
  forget(*open_);
  for (auto& batch : sealed_) {
    forget(*batch);
  }
  groups_[id.value()].reset();
}

void Log::trust(GroupId id) {
  PinnedGroup* group = find(id);
  if (group != nullptr && group->suspect && failed_.ok()) {
    group->suspect = false;
    append_state(*group);
  }
}

// All there is to say of a group but its entries, and which of those are lost.
void Log::restate(PinnedGroup& group) {
  make_room(kItemFixedBytesMax);
  start_item(group, ItemKind::kBounds);
  add_item(group);
  for (const Hole& hole : group.log.holes()) {
    Index first = hole.first;
    while (first <= hole.last) {
      Index last = first;
      const Term term = group.log.term_at(first);
      while (last < hole.last && group.log.term_at(last.next()) == term) {
        ++last;
      }
      make_room(kItemFixedBytesMax);
      Item& item = start_item(group, ItemKind::kMissing);
      item.first = first;
      item.last_term = term;
      item.count = last - first + 1;
      add_item(group);
      first = last.next();
    }
  }
}

uint64_t Log::bytes_of(GroupId id) const {
  const PinnedGroup* group = find(id);
  return group == nullptr ? 0 : group->log.bytes();
}

Stats Log::stats() const {
  Stats stats = stats_;
  stats.segments = segments_.size();
  return stats;
}

}  // namespace quorate::wal
