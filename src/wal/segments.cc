// SPDX-License-Identifier: Apache-2.0
#include "wal/segments.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <utility>

#include "base/assert.h"

namespace quorate::wal {
namespace {

constexpr std::string_view kSegmentPrefix = "segment-";
constexpr std::string_view kSparePrefix = "spare-";
constexpr std::string_view kFillingSuffix = ".new";
// One piece of a spare segment: it costs the disk less than twice a small flush.
constexpr size_t kPieceBytes = env::File::kZeroBytesMax;
// Between two pieces; leaves the disk to the flushes for most of the time.
constexpr Duration kPause = Duration::millis(1);
// While there is time, this often it is asked whether there still is.
constexpr Duration kLook = Duration::millis(8);

// The number after `prefix`, or 0 if the name is not of that form.
uint32_t number_in(std::string_view name, std::string_view prefix) {
  if (!name.starts_with(prefix)) {
    return 0;
  }
  name.remove_prefix(prefix.size());
  uint32_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  return error == std::errc() && end == name.data() + name.size() ? number : 0;
}

std::string spare_name(uint32_t number) {
  return std::string(kSparePrefix) + std::to_string(number);
}

}  // namespace

std::string segment_name(uint32_t number) {
  char digits[16];
  std::snprintf(digits, sizeof(digits), "%010u", number);
  return std::string(kSegmentPrefix) + digits;
}

uint32_t segment_number(const std::string& name) { return number_in(name, kSegmentPrefix); }

Segments::Segments(env::Disk& disk, env::Clock& clock, env::Timer& timer, const Options& options)
    : disk_(disk), clock_(clock), timer_(timer), options_(options) {}

Segments::~Segments() { timer_.cancel(pause_); }

std::string Segments::path(const std::string& name) const {
  return options_.directory + "/" + name;
}

void Segments::adopt_spares(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    const uint32_t number = number_in(name, kSparePrefix);
    if (number != 0 && spares_.size() < options_.spare_segments) {
      spares_.push_back(number);
      next_spare_ = std::max(next_spare_, number + 1);
    } else if (name.starts_with(kSparePrefix)) {
      // Left half-written by a crash, or more than are wanted now. If it cannot be removed it does
      // no harm but to the space it takes.
      (void)disk_.remove(path(name));
    }
  }
}

Status Segments::begin(uint32_t number, uint64_t first_batch) {
  const std::string target = path(segment_name(number));
  auto file = spares_.empty() ? disk_.open(target, env::OpenMode::kCreate) : take_spare(target);
  RETURN_IF_ERROR(file);
  Segment segment;
  segment.number = number;
  segment.file = std::move(file).value();
  segment.first_batch = first_batch;
  const auto size = segment.file->size();
  RETURN_IF_ERROR(size);
  segment.ahead = static_cast<uint32_t>(std::min<uint64_t>(*size, UINT32_MAX));
  RETURN_IF_ERROR(disk_.sync_directory(options_.directory));
  segments_.push_back(std::move(segment));
  prepare();
  return Status::success();
}

Result<std::unique_ptr<env::File>> Segments::take_spare(const std::string& target) {
  const std::string source = path(spare_name(spares_.back()));
  spares_.pop_back();
  RETURN_IF_ERROR(disk_.rename(source, target));
  return disk_.open(target, env::OpenMode::kWrite);
}

void Segments::free_before(uint32_t number) {
  filled_last_.reset();  // a file that is open does not give back its room in pieces
  while (segments_.size() > 1 && segments_.front().number < number) {
    Segment& segment = segments_.front();
    ASSERT(segment.pinned == nullptr, "a segment is freed while a group needs it");
    const std::string source = path(segment_name(segment.number));
    // Neither the oversized segment of a giant batch nor one that hardly began is a good spare.
    const uint64_t size = std::max<uint64_t>(segment.ahead, segment.end);
    const bool usual_size = size <= options_.segment_bytes &&
                            size >= options_.segment_bytes - options_.segment_bytes / 4;
    segment.file.reset();
    // A file that stays where it was is told from the log by its number: a durable batch has said
    // that nothing before `number` counts, so a failure here costs space, not truth.
    if (spares_.size() >= options_.spare_segments || !usual_size) {
      (void)disk_.remove(source);
    } else if (disk_.rename(source, path(spare_name(next_spare_))).ok()) {
      spares_.push_back(next_spare_++);
    }
    segments_.pop_front();
  }
}

void Segments::prepare() {
  if (filling_ != nullptr || spares_.size() >= options_.spare_segments) {
    return;
  }
  filling_number_ = next_spare_++;
  const std::string name = path(spare_name(filling_number_)) + std::string(kFillingSuffix);
  auto file = disk_.open(name, env::OpenMode::kCreate);
  if (!file.ok()) {
    return;  // the next segment grows as it is written
  }
  filling_ = std::move(file).value();
  filled_ = 0;
  // A file that has its size beforehand takes its bytes in a third of the time. If it cannot have
  // it, the writes will say why.
  (void)filling_->truncate(options_.segment_bytes);
  wait_and_write_ahead();
}

// Every piece costs the processor and the disk more than the flushes that it delays, and only the
// log's growth makes it needed. So while the log is busy and another spare is at hand, the first
// half of a segment passes without a piece; the spare is then filled in step with the second half.
void Segments::wait_and_write_ahead() {
  const uint64_t end = segments_.back().end;
  const bool log_is_busy = std::exchange(end_seen_, end) != end;
  const uint64_t half = options_.segment_bytes / 2;
  const uint64_t due = end <= half ? 0 : 2 * (end - half);
  const bool there_is_time = log_is_busy && !spares_.empty() && filled_ >= due;
  pause_ = timer_.start(clock_.now() + (there_is_time ? kLook : kPause), [this, there_is_time] {
    there_is_time ? wait_and_write_ahead() : write_ahead();
  });
}

void Segments::write_ahead() {
  const uint64_t left = options_.segment_bytes - filled_;
  const auto piece = static_cast<size_t>(std::min<uint64_t>(left, kPieceBytes));
  filling_->zero(filled_, piece, piece == left ? env::Sync::kData : env::Sync::kNone,
                 [this, piece](Status status) {
                   filled_ += piece;
                   if (!status.ok()) {
                     give_up_spare();
                   } else if (filled_ >= options_.segment_bytes) {
                     finish_spare();
                   } else {
                     wait_and_write_ahead();
                   }
                 });
}

void Segments::finish_spare() {
  const std::string ready = path(spare_name(filling_number_));
  if (spares_.size() >= options_.spare_segments ||
      !disk_.rename(ready + std::string(kFillingSuffix), ready).ok()) {
    give_up_spare();
    return;
  }
  filled_last_ = std::move(filling_);
  spares_.push_back(filling_number_);
  prepare();
}

void Segments::give_up_spare() {
  // A full disk, most likely. The next segment asks again.
  filled_last_ = std::move(filling_);
  (void)disk_.remove(path(spare_name(filling_number_)) + std::string(kFillingSuffix));
}

Segment* Segments::of_batch(uint64_t batch) {
  for (size_t i = segments_.size(); i > 0; --i) {
    Segment& segment = segments_[i - 1];
    if (batch >= segment.first_batch) {
      return batch - segment.first_batch < segment.places.size() ? &segment : nullptr;
    }
  }
  return nullptr;
}

Segment* Segments::of_number(uint32_t number) {
  if (segments_.empty() || number < segments_.front().number) {
    return nullptr;
  }
  for (Segment& segment : segments_) {
    if (segment.number == number) {
      return &segment;
    }
  }
  return nullptr;
}

}  // namespace quorate::wal
