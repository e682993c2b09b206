// SPDX-License-Identifier: Apache-2.0
// Writing batches. What is written when, and what counts as durable:
//
//   kAlways    each batch is synced by the write itself.
//   kInterval  batches are only written; the timer asks for a synced one.
//   kNever     batches are only written.
//
// Under all three a segment is synced before the next one is begun: the log never has a batch that
// is durable behind one that may not be, but within its newest segment. After a while without a
// flush an empty batch is written whose header says that the one before was durable; without it,
// rot in the last batch could not be told from a torn write.
#include <algorithm>
#include <limits>

#include "base/assert.h"
#include "base/mutant.h"
#include "wal/log.h"

namespace quorate::wal {
namespace {

// The log has been still for this long: time to note what is durable.
constexpr Duration kMarkAfter = Duration::millis(20);

// A spare segment is written past the page cache, so a write of half a block would have to read the
// other half first: what is left of the last block is written as the zeros that it may hold anyway.
void pad(std::vector<std::string_view>& pieces, const Segment& segment, uint64_t end) {
  constexpr size_t kBlock = env::File::kBlockBytes;
  static constexpr char kZeros[kBlock] = {};
  const uint64_t left = (kBlock - end % kBlock) % kBlock;
  if (left > 0 && end + left <= segment.ahead) {
    pieces.emplace_back(kZeros, left);
  }
}

}  // namespace

bool Log::dirty() const { return !open_->batch.empty() || !sealed_.empty(); }

void Log::flush(FlushDone done) {
  const uint64_t number = open_->batch.empty() ? next_batch_ - 2 : open_->batch.number();
  if (failed_.ok() && number > written_) {
    waiting_.push_back({number, std::move(done)});
    flush_through_ = std::max(flush_through_, number);
    start_write();
    return;
  }
  // Nothing to wait for, or no hope: answered from the loop all the same, never inside the call.
  deferred_.push_back(std::move(done));
  if (deferred_.size() == 1) {
    timer_.defer([this, alive = std::weak_ptr<bool>(alive_)] {
      if (!alive.expired()) {
        call(std::exchange(deferred_, {}), failed_);
      }
    });
  }
}

bool Log::wants_write() const {
  const Batch& next = sealed_.empty() ? open_->batch : sealed_.front()->batch;
  return next.number() <= flush_through_ || mark_due_ || sync_due_;
}

void Log::take_open_batch() {
  open_ = idle_ != nullptr ? std::move(idle_) : std::make_unique<OpenBatch>(log_, next_batch_);
  open_->batch.reset(log_, next_batch_++);
  open_->oldest = oldest_;
  open_->touched.clear();
}

void Log::start_write() {
  if (flying_ != nullptr || !failed_.ok() || !wants_write()) {
    return;
  }
  if (sealed_.empty()) {
    tend();
  }
  auto pieces = launch();
  if (!pieces.ok()) {
    fail(pieces.status());
    return;
  }
  const bool sync = sync_due_ || (options_.sync == SyncPolicy::kAlways && !flying_->batch.empty());
  mark_due_ = sync_due_ = false;
  const auto how = sync && !MUTANT(flush_answers_before_sync) ? env::Sync::kData : env::Sync::kNone;
  Segment& segment = segments_.newest();
  segment.file->write(segment.places.back().at, std::move(pieces).value(), how,
                      [this, sync](Status status) { on_written(std::move(status), sync); });
}

// Takes the next batch, gives it its place, and closes it: the pieces to write there.
Result<std::vector<std::string_view>> Log::launch() {
  if (!sealed_.empty()) {
    flying_ = std::move(sealed_.front());
    sealed_.pop_front();
  } else {
    flying_ = std::move(open_);
    take_open_batch();
  }
  const uint64_t bytes = flying_->batch.bytes();
  RETURN_IF_ERROR(make_place(bytes));
  Segment& segment = segments_.newest();
  ASSERT(segment.first_batch + segment.places.size() == flying_->batch.number());
  BatchHeader header;
  header.log = log_;
  header.durable = durable_;
  header.segment = segment.number;
  header.oldest = flying_->oldest;
  header.ahead = segment.ahead;
  header.depth = depth(*flying_);
  auto pieces = flying_->batch.seal(header);
  segment.places.push_back(
      {static_cast<uint32_t>(segment.end), header.directory_bytes, header.payload_bytes});
  segment.end += bytes;
  pad(pieces, segment, segment.end);
  for (PinnedGroup* group : flying_->touched) {
    if (group != nullptr && group->pin == 0) {
      pin(*group);
    }
  }
  flying_->touched.clear();
  recorded_durable_ = durable_;
  flying_known_ = durable_oldest_;
  last_write_ = clock_.now();
  stats_.bytes += bytes;
  return pieces;
}

// The number of batches from the oldest that is needed to this one, as its header says it.
uint32_t Log::depth(const OpenBatch& batch) {
  size_t i = 0;
  while (segments_.at(i).number < batch.oldest) {
    ++i;
  }
  const uint64_t needed = batch.batch.number() - segments_.at(i).first_batch + 1;
  return needed <= std::numeric_limits<uint32_t>::max() ? static_cast<uint32_t>(needed) : 0;
}

// A segment with room for this many bytes. A batch longer than a segment gets one of its own size.
// A segment that grows as it is written gives way to one that was written ahead as soon as there is
// one: the sync of a growing file costs up to twice as much.
Status Log::make_place(uint64_t bytes) {
  Segment& segment = segments_.newest();
  const bool fits = segment.end + bytes <= options_.segment_bytes;
  const bool grows = segment.end + bytes > segment.ahead;
  if (segment.end == 0 || (fits && !(grows && segments_.has_spare()))) {
    return Status::success();
  }
  if (durable_ < written_) {
    RETURN_IF_ERROR(segment.file->sync_now());
    ++stats_.syncs;
    durable_ = written_;
    durable_oldest_ = written_oldest_;
    segments_.free_before(written_known_);
  }
  const uint32_t next = segments_.newest().number + 1;
  return segments_.begin(next, flying_->batch.number());
}

// The first batches of a process, blocking.
Status Log::write_opening() {
  do {
    const auto pieces = launch();
    RETURN_IF_ERROR(pieces);
    std::string bytes;
    for (const std::string_view piece : *pieces) {
      bytes.append(piece);
    }
    Segment& segment = segments_.newest();
    RETURN_IF_ERROR(segment.file->write_now(segment.places.back().at, bytes));
    written_ = flying_->batch.number();
    idle_ = std::move(flying_);
  } while (dirty());
  RETURN_IF_ERROR(segments_.newest().file->sync_now());
  durable_ = written_;
  return Status::success();
}

void Log::on_written(Status status, bool synced) {
  if (!status.ok()) {
    fail(std::move(status));
    return;
  }
  written_ = flying_->batch.number();
  written_oldest_ = flying_->oldest;
  written_known_ = flying_known_;
  if (synced) {
    durable_ = written_;
    durable_oldest_ = written_oldest_;
    segments_.free_before(written_known_);
    ++stats_.syncs;
  }
  if (!flying_->batch.empty()) {
    ++stats_.flushes;
  }
  idle_ = std::move(flying_);
  arm_timer();
  finish_waiting();
}

void Log::finish_waiting() {
  std::vector<FlushDone> done;
  while (!waiting_.empty() && waiting_.front().number <= written_) {
    done.push_back(std::move(waiting_.front().done));
    waiting_.pop_front();
  }
  const std::weak_ptr<bool> alive = alive_;
  call(std::move(done), Status::success());
  if (!alive.expired()) {
    start_write();
  }
}

// After a failed write or sync nobody knows what the disk holds, and a second sync that succeeds
// would prove nothing: the kernel has dropped the pages that it could not write.
void Log::fail(Status status) {
  failed_ = std::move(status);
  std::vector<FlushDone> done;
  for (Waiting& waiting : waiting_) {
    done.push_back(std::move(waiting.done));
  }
  waiting_.clear();
  for (FlushDone& each : done) {
    deferred_.push_back(std::move(each));
  }
  timer_.defer([this, alive = std::weak_ptr<bool>(alive_)] {
    if (!alive.expired()) {
      call(std::exchange(deferred_, {}), failed_);
    }
  });
}

void Log::call(std::vector<FlushDone> callbacks, const Status& status) {
  const Status answer = status;
  const std::weak_ptr<bool> alive = alive_;
  for (FlushDone& done : callbacks) {
    done(answer);
    if (alive.expired()) {
      return;  // the owner gave the log up in its callback
    }
  }
}

void Log::arm_timer() {
  const bool idle_mark = options_.sync == SyncPolicy::kAlways && recorded_durable_ < durable_;
  const bool interval = options_.sync == SyncPolicy::kInterval && durable_ < written_;
  if (timer_id_ != env::TimerId::kNone || !(idle_mark || interval)) {
    return;
  }
  const Duration after = interval ? options_.sync_interval : kMarkAfter;
  timer_id_ = timer_.start(clock_.now() + after, [this] { on_timer(); });
}

void Log::on_timer() {
  timer_id_ = env::TimerId::kNone;
  if (options_.sync == SyncPolicy::kInterval) {
    sync_due_ = true;
  } else if (flying_ == nullptr && clock_.now() >= last_write_ + kMarkAfter) {
    mark_due_ = true;
  } else {
    arm_timer();
  }
  start_write();
}

}  // namespace quorate::wal
