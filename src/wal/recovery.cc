// SPDX-License-Identifier: Apache-2.0
#include "wal/recovery.h"

#include <algorithm>
#include <limits>

#include "base/mutant.h"
#include "wal/replay.h"

namespace quorate::wal {
namespace {

constexpr uint64_t kUnknown = std::numeric_limits<uint64_t>::max();

struct SegmentFile {
  uint32_t number;
  std::string name;
};

class Recovery {
 public:
  Recovery(env::Disk& disk, const Options& options)
      : disk_(disk), options_(options), replay_(options.kinds_kept) {}

  Result<Recovered> run() {
    RETURN_IF_ERROR(list());
    RETURN_IF_ERROR(find_evidence());
    if (out_.log == 0) {
      RETURN_IF_ERROR(check_unborn());
      return std::move(out_);
    }
    drop_freed();
    for (size_t i = 0; i < files_.size() && !ended_; ++i) {
      RETURN_IF_ERROR(replay_segment(i));
    }
    if (!ended_ && expected_ <= durable_) {
      lose(durable_, "the end of the log");
    }
    finish();
    return std::move(out_);
  }

 private:
  Status list();
  Status find_evidence();
  Status check_unborn();
  void drop_freed();
  Result<SegmentBytes*> load(size_t i);
  uint64_t first_number(size_t i);
  Status replay_segment(size_t i);
  bool take(const SegmentBytes& bytes, const FoundBatch& batch, Segment& segment);
  void lose(uint64_t last, const std::string& where);
  void end_at(size_t file, const std::string& why);
  void finish();
  void note(std::string text) { out_.notes.push_back(std::move(text)); }

  env::Disk& disk_;
  const Options& options_;
  Recovered out_;
  Replay replay_;
  std::vector<SegmentFile> files_;
  SegmentBytes loaded_;              // the only one in memory
  std::unique_ptr<env::File> file_;  // of loaded_
  uint64_t durable_ = 0;
  uint64_t expected_ = 0;  // number of the next batch; 0: whatever comes first
  bool ended_ = false;
};

Status Recovery::list() {
  auto names = disk_.list(options_.directory);
  RETURN_IF_ERROR(names);
  for (std::string& name : *names) {
    if (const uint32_t number = segment_number(name); number != 0) {
      files_.push_back({number, std::move(name)});
    } else {
      out_.spares.push_back(std::move(name));
    }
  }
  std::sort(files_.begin(), files_.end(),
            [](const SegmentFile& a, const SegmentFile& b) { return a.number < b.number; });
  out_.next_segment = files_.empty() ? 1 : files_.back().number + 1;
  return Status::success();
}

Result<SegmentBytes*> Recovery::load(size_t i) {
  if (loaded_.number == files_[i].number) {
    return &loaded_;
  }
  std::string memory = std::move(loaded_.bytes);
  loaded_ = {};
  auto file = disk_.open(options_.directory + "/" + files_[i].name, env::OpenMode::kWrite);
  RETURN_IF_ERROR(file);
  auto bytes = load_segment(**file, files_[i].number, std::move(memory));
  RETURN_IF_ERROR(bytes);
  if (bytes->unreadable_bytes > 0) {
    note("the disk refuses " + std::to_string(bytes->unreadable_bytes) + " bytes of " +
         files_[i].name);
  }
  file_ = std::move(file).value();
  loaded_ = std::move(bytes).value();
  return &loaded_;
}

// From the newest segment backwards until one holds a batch that is known durable: the headers of
// older ones can know nothing newer. Only which segments are needed was perhaps known better before
// a crash, when that was not durable yet, than after it; so where one is missing, all are asked.
Status Recovery::find_evidence() {
  for (size_t i = files_.size(); i > 0; --i) {
    const auto bytes = load(i - 1);
    RETURN_IF_ERROR(bytes);
    std::vector<BatchHeader> oldest;  // the first header that names each
    uint64_t at = 0;
    while (const auto found = next_batch(**bytes, out_.log, at)) {
      out_.log = found->header.log;
      durable_ = std::max(durable_, found->header.durable);
      if (oldest.empty() || oldest.back().oldest != found->header.oldest) {
        oldest.push_back(found->header);
      }
      at = found->end();
    }
    for (const BatchHeader& header : oldest) {
      if (header.number <= durable_ && header.oldest >= out_.oldest) {
        out_.oldest = header.oldest;
        out_.needed_from = header.needed_from();
      }
    }
    const bool missing = files_.front().number > out_.oldest;
    if (!oldest.empty() && oldest.front().number <= durable_ && !missing) {
      break;
    }
  }
  return Status::success();
}

// Segments but no batch in them: a crash while the first one was made, or all of it destroyed.
Status Recovery::check_unborn() {
  constexpr size_t kOpeningBytes = 4096;
  for (size_t i = 0; i < files_.size(); ++i) {
    const auto bytes = load(i);
    RETURN_IF_ERROR(bytes);
    const std::string_view rest =
        std::string_view((*bytes)->bytes).substr(std::min(kOpeningBytes, (*bytes)->bytes.size()));
    if (files_[i].number > 1 || rest.find_first_not_of('\0') != std::string_view::npos) {
      return {Code::kCorrupted, "no batch can be read in the log's segments"};
    }
    out_.garbage.push_back(files_[i].name);
  }
  return Status::success();
}

void Recovery::drop_freed() {
  while (!files_.empty() && files_.front().number < out_.oldest) {
    out_.garbage.push_back(files_.front().name);
    files_.erase(files_.begin());
  }
  // Where headers say which batch the log begins with, its loss is noticed like any other's.
  if (!files_.empty() && files_.front().number > out_.oldest && out_.needed_from == 0) {
    note("segment " + std::to_string(out_.oldest) + " is missing");
    out_.groups_unknown = true;
  }
}

// The number of the first batch that a later segment shows: where this one ended.
uint64_t Recovery::first_number(size_t i) {
  if (i >= files_.size()) {
    return kUnknown;
  }
  const auto file = disk_.open(options_.directory + "/" + files_[i].name, env::OpenMode::kRead);
  if (!file.ok()) {
    return kUnknown;
  }
  // Ordinarily its first bytes say; if those are damaged, all of it is searched.
  std::string head(kHeaderBytes, '\0');
  const auto got = (*file)->read(0, head);
  const auto header = decode_header(head, Edge::kHead);
  if (got.ok() && header && header->segment == files_[i].number && header->log == out_.log) {
    return header->number;
  }
  const auto bytes = load_segment(**file, files_[i].number);
  const auto found = bytes.ok() ? next_batch(*bytes, out_.log, 0) : std::nullopt;
  return found ? found->header.number : first_number(i + 1);
}

Status Recovery::replay_segment(size_t i) {
  const auto bytes = load(i);
  RETURN_IF_ERROR(bytes);
  const uint64_t next_first = first_number(i + 1);
  if (expected_ == 0) {
    const auto first = next_batch(loaded_, out_.log, 0);
    expected_ = first ? first->header.number : next_first;
    if (out_.needed_from != 0) {
      expected_ = std::min(expected_, out_.needed_from);
    }
    replay_.begin(expected_ == kUnknown ? 1 : expected_);
  }
  Segment segment;
  segment.number = files_[i].number;
  segment.first_batch = expected_;
  uint32_t ahead = 0;
  while (!ended_) {
    const auto found = next_batch(loaded_, out_.log, segment.end);
    // What stands behind the batch that the next segment goes on from is a tail that was cut.
    if (!found || found->header.number >= next_first) {
      break;
    }
    ahead = std::max(ahead, found->header.ahead);
    if (found->header.number < expected_) {
      segment.end = found->at + kHeaderBytes;
      continue;
    }
    if (found->header.number > expected_) {
      if (expected_ > durable_) {
        end_at(i, "batch " + std::to_string(expected_) + " was never synced and is not whole");
        break;
      }
      lose(found->header.number - 1, files_[i].name);
      segment.places.resize(expected_ - segment.first_batch);
    }
    if (!take(loaded_, *found, segment)) {
      end_at(i, "batch " + std::to_string(expected_) + " was never synced and is not whole");
    }
  }
  if (!ended_ && loaded_.bytes.size() < ahead) {
    note(files_[i].name + " is shorter than it was made");
    replay_.lose_batches(expected_);
    out_.groups_unknown = true;
  }
  if (!ended_ && next_first != kUnknown && next_first > expected_) {
    if (expected_ <= durable_) {
      lose(next_first - 1, files_[i].name);
    } else {
      end_at(i, "batch " + std::to_string(expected_) + " was never synced and is missing");
    }
  }
  segment.file = std::move(file_);
  loaded_.number = 0;
  out_.segments.push_back(std::move(segment));
  return Status::success();
}

// False: the log ends before this batch.
bool Recovery::take(const SegmentBytes& bytes, const FoundBatch& batch, Segment& segment) {
  const BatchCheck check = check_batch(bytes, batch);
  const std::string name = "batch " + std::to_string(batch.header.number);
  bool synced = batch.header.number <= durable_;
  if (MUTANT(cut_damaged_synced_record)) {
    synced = false;
  }
  if (!check.whole() && !synced && !check.rotted) {
    return false;
  }
  if (batch.head_damaged || batch.tail_damaged || check.repaired) {
    note(name + ": a damaged header or directory was read from its other copy");
  }
  if (check.lost_items) {
    note(name + ": a part of its directory cannot be read");
    out_.groups_unknown = true;
  }
  for (const std::string& text : check.bad) {
    note(name + ": " + text);
  }
  replay_.apply(bytes, batch, check);
  segment.places.push_back(
      {static_cast<uint32_t>(batch.at), batch.header.directory_bytes, batch.header.payload_bytes});
  segment.end = batch.end();
  segment.ahead = batch.header.ahead;
  expected_ = batch.header.number + 1;
  return true;
}

// Batches expected_..last had been synced and cannot be read.
void Recovery::lose(uint64_t last, const std::string& where) {
  note("batches " + std::to_string(expected_) + " to " + std::to_string(last) +
       " cannot be read in " + where);
  replay_.lose_batches(expected_);
  out_.groups_unknown = true;
  expected_ = last + 1;
}

void Recovery::end_at(size_t file, const std::string& why) {
  note(why + "; the log ends before it");
  ended_ = true;
  for (size_t i = file + 1; i < files_.size(); ++i) {
    out_.garbage.push_back(files_[i].name);
  }
}

void Recovery::finish() {
  out_.durable = durable_;
  out_.next_batch = expected_ == 0 || expected_ == kUnknown ? 1 : expected_;
  out_.groups = replay_.take_groups();
}

}  // namespace

Result<Recovered> recover(env::Disk& disk, const Options& options) {
  return Recovery(disk, options).run();
}

}  // namespace quorate::wal
