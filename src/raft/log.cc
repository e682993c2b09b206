// SPDX-License-Identifier: Apache-2.0
#include "raft/log.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/assert.h"
#include "base/limits.h"

namespace quorate::raft {
namespace {

// An entry's own fields, in memory and on the wire.
constexpr size_t kEntryOverheadBytes = 64;
// Points on their way; beyond it neighbours are merged, which only delays an acknowledgement.
constexpr size_t kPointsMax = 1024;

bool overlaps(const Hole& hole, Index first, Index last) {
  return hole.first <= last && hole.last >= first;
}

}  // namespace

size_t cost_of(const Entry& entry) { return entry.payload.size() + kEntryOverheadBytes; }

Restored mended(Restored restored) {
  const Index base = restored.snapshot.index;
  restored.last = std::max(restored.last, base);
  std::vector<TermRun>& runs = restored.terms;
  std::erase_if(runs, [&](const TermRun& run) { return run.first > restored.last; });
  while (runs.size() > 1 && runs[1].first <= base.next()) {
    runs.erase(runs.begin());
  }
  if (restored.last > base && (runs.empty() || runs.front().first > base.next())) {
    restored.last = base;  // a gap after the snapshot
    restored.tail_suspect = true;
  } else if (restored.last > base && runs.front().term < restored.snapshot.term) {
    restored.last = base;  // remains of a log that the snapshot replaced
  }
  if (restored.last == base) {
    runs.clear();
    restored.configs.clear();
    restored.holes.clear();
  }
  restored.tail_suspect |= restored.hard_state.commit > restored.last;
  restored.hard_state.commit = std::clamp(restored.hard_state.commit, base, restored.last);
  return restored;
}

Log::Log(const Restored& restored)
    : base_(restored.snapshot.index), last_(restored.last), taken_(last_), persisted_(last_) {
  runs_.push_back({base_, restored.snapshot.term});
  for (const TermRun& run : restored.terms) {
    note_term(std::max(run.first, base_.next()), run.term);
  }
  for (const Hole& hole : restored.holes) {
    lose(hole);
  }
}

void Log::note_term(Index index, Term term) {
  while (runs_.size() > 1 && runs_.back().first >= index) {
    runs_.pop_back();
  }
  ASSERT(term >= runs_.back().term, "terms never fall along the log");
  if (term != runs_.back().term) {
    runs_.push_back({index, term});
  }
}

Term Log::term_at(Index index) const {
  if (index < base_ || index > last_) {
    return Term();
  }
  size_t i = runs_.size() - 1;
  while (runs_[i].first > index) {
    --i;
  }
  return runs_[i].term;
}

Index Log::last_with_term_at_most(Index upto, Term term) const {
  Index end = std::min(upto, last_);
  for (size_t i = runs_.size(); i-- > 0;) {
    if (runs_[i].first > end) {
      continue;
    }
    if (runs_[i].term <= term) {
      return end;
    }
    if (runs_[i].first == base_) {
      break;
    }
    end = runs_[i].first.previous();
  }
  return Index();
}

Index Log::cached_from() const { return last_ - cached() + 1; }

const Entry* Log::find(Index index) const {
  if (index > last_ || index < cached_from()) {
    return nullptr;
  }
  return &entries_[head_ + (index - cached_from())];
}

Entries Log::copy(Index first, size_t bytes_max) const {
  ASSERT(first >= cached_from() && first <= last_);
  const size_t skipped = first - cached_from();
  const auto begin = entries_.begin() + static_cast<std::ptrdiff_t>(head_ + skipped);
  auto end = begin;
  size_t bytes = 0;
  size_t count = 0;
  do {
    bytes += cost_of(*end);
    ++end;
    ++count;
  } while (end != entries_.end() && count < limits::kAppendEntriesMax &&
           bytes + cost_of(*end) <= bytes_max);
  return Entries(begin, end);
}

void Log::append(Entry entry) {
  ASSERT(entry.index == last_.next(), "the log has no gaps");
  note_term(entry.index, entry.term);
  last_ = entry.index;
  cached_bytes_ += cost_of(entry);
  entries_.push_back(std::move(entry));
}

void Log::truncate(Index keep) {
  ASSERT(keep >= base_);
  if (keep >= last_) {
    return;
  }
  while (cached() > 0 && entries_.back().index > keep) {
    cached_bytes_ -= cost_of(entries_.back());
    entries_.pop_back();
  }
  while (runs_.size() > 1 && runs_.back().first > keep) {
    runs_.pop_back();
  }
  last_ = keep;
  taken_ = std::min(taken_, keep);
  persisted_ = std::min(persisted_, keep);
  for (Point& point : points_) {
    point.last = std::min(point.last, keep);
  }
  cut_holes_after(keep);
}

void Log::compact(Index base) {
  ASSERT(base <= last_);
  if (base <= base_) {
    return;
  }
  const Term term = term_at(base);
  while (runs_.size() > 1 && runs_[1].first <= base) {
    runs_.erase(runs_.begin());
  }
  runs_.front() = {base, term};
  if (base >= cached_from()) {
    drop_front(base - cached_from() + 1);
  }
  base_ = base;
  taken_ = std::max(taken_, base);
  persisted_ = std::max(persisted_, base);
  cut_holes_through(base);
}

void Log::reset(Index base, Term term) {
  entries_.clear();
  head_ = 0;
  cached_bytes_ = 0;
  base_ = last_ = taken_ = persisted_ = base;
  runs_.assign(1, {base, term});
  for (Point& point : points_) {
    point.last = base;
  }
  holes_.clear();
  filling_.clear();
  fills_.clear();
}

void Log::drop_front(size_t count) {
  ASSERT(count <= cached());
  for (size_t i = 0; i < count; ++i) {
    cached_bytes_ -= cost_of(entries_[head_ + i]);
    entries_[head_ + i] = Entry();
  }
  head_ += count;
  // Moving the rest to the front is paid for by as many entries dropped.
  if (head_ * 2 >= entries_.size()) {
    entries_.erase(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(head_));
    head_ = 0;
  }
}

void Log::evict(Index applied, size_t bytes_max) {
  const Index upto = std::min({applied, persisted_, taken_});
  size_t count = 0;
  size_t bytes = cached_bytes_;
  while (count < cached() && bytes > bytes_max && entries_[head_ + count].index <= upto) {
    bytes -= cost_of(entries_[head_ + count]);
    ++count;
  }
  if (count > 0) {
    drop_front(count);
  }
  if (bytes_max == 0 && entries_.empty()) {
    entries_.shrink_to_fit();
    points_.shrink_to_fit();
  }
}

void Log::take(uint64_t number, Entries& entries) {
  entries.clear();
  if (!fills_.empty()) {
    return take_fills(number, entries);
  }
  if (taken_ < last_) {
    ASSERT(taken_.next() >= cached_from(), "what is not durable is in memory");
    const size_t skipped = taken_.next() - cached_from();
    entries.assign(entries_.begin() + static_cast<std::ptrdiff_t>(head_ + skipped), entries_.end());
    taken_ = last_;
    if (points_.size() >= kPointsMax) {
      points_.back() = {number, taken_};
    } else {
      points_.push_back({number, taken_});
    }
  }
}

void Log::take_fills(uint64_t number, Entries& entries) {
  size_t count = 1;
  while (count < fills_.size() && fills_[count].index == fills_[count - 1].index.next()) {
    ++count;
  }
  const auto end = fills_.begin() + static_cast<std::ptrdiff_t>(count);
  entries.assign(fills_.begin(), end);
  fills_.erase(fills_.begin(), end);
  for (Filling& filling : filling_) {
    if (filling.index >= entries.front().index && filling.index <= entries.back().index) {
      filling.number = number;
    }
  }
}

void Log::on_persisted(uint64_t number) {
  size_t done = 0;
  while (done < points_.size() && points_[done].number <= number) {
    persisted_ = std::max(persisted_, std::min(points_[done].last, taken_));
    ++done;
  }
  points_.erase(points_.begin(), points_.begin() + static_cast<std::ptrdiff_t>(done));
  std::erase_if(filling_, [&](const Filling& filling) {
    return filling.number != 0 && filling.number <= number;
  });
}

Index Log::durable() const { return std::min(persisted_, whole()); }

Index Log::readable_after(Index applied) const {
  Index end = last_;
  for (const Hole& hole : holes_) {
    if (hole.last > applied) {
      end = std::min(end, std::max(applied, hole.first.previous()));
    }
  }
  for (const Entry& entry : fills_) {
    if (entry.index > applied) {
      end = std::min(end, entry.index.previous());
    }
  }
  return end;
}

Index Log::whole() const {
  Index end = last_;
  for (const Hole& hole : holes_) {
    end = std::min(end, hole.first.previous());
  }
  for (const Filling& filling : filling_) {
    end = std::min(end, filling.index.previous());
  }
  return end;
}

bool Log::end_lost() const {
  return (!holes_.empty() && holes_.back().last == last_) ||
         std::any_of(filling_.begin(), filling_.end(),
                     [&](const Filling& filling) { return filling.index == last_; });
}

void Log::lose(Hole hole) {
  hole.first = std::max(hole.first, base_.next());
  hole.last = std::min(hole.last, persisted_);
  if (hole.first > hole.last) {
    return;
  }
  // Joined with every hole that it touches, so that they stay apart and sorted.
  std::erase_if(holes_, [&](const Hole& other) {
    if (!overlaps(other, hole.first.previous(), hole.last.next())) {
      return false;
    }
    hole.first = std::min(hole.first, other.first);
    hole.last = std::max(hole.last, other.last);
    return true;
  });
  const auto at = std::find_if(holes_.begin(), holes_.end(),
                               [&](const Hole& other) { return other.first > hole.last; });
  holes_.insert(at, hole);
}

bool Log::fill(const Entry& entry) {
  const auto at = std::find_if(holes_.begin(), holes_.end(), [&](const Hole& hole) {
    return overlaps(hole, entry.index, entry.index);
  });
  if (at == holes_.end() || term_at(entry.index) != entry.term) {
    return false;
  }
  const Hole hole = *at;
  const auto next = holes_.erase(at);
  if (hole.last > entry.index) {
    holes_.insert(next, Hole{entry.index.next(), hole.last});
  }
  if (hole.first < entry.index) {
    const auto before = std::find_if(holes_.begin(), holes_.end(),
                                     [&](const Hole& other) { return other.first > hole.first; });
    holes_.insert(before, Hole{hole.first, entry.index.previous()});
  }
  const auto place =
      std::upper_bound(fills_.begin(), fills_.end(), entry,
                       [](const Entry& a, const Entry& b) { return a.index < b.index; });
  fills_.insert(place, entry);
  filling_.push_back({entry.index, 0});
  return true;
}

void Log::cut_holes_after(Index keep) {
  std::erase_if(holes_, [&](const Hole& hole) { return hole.first > keep; });
  for (Hole& hole : holes_) {
    hole.last = std::min(hole.last, keep);
  }
  std::erase_if(filling_, [&](const Filling& filling) { return filling.index > keep; });
  std::erase_if(fills_, [&](const Entry& entry) { return entry.index > keep; });
}

void Log::cut_holes_through(Index base) {
  std::erase_if(holes_, [&](const Hole& hole) { return hole.last <= base; });
  for (Hole& hole : holes_) {
    hole.first = std::max(hole.first, base.next());
  }
  std::erase_if(filling_, [&](const Filling& filling) { return filling.index <= base; });
  std::erase_if(fills_, [&](const Entry& entry) { return entry.index <= base; });
}

void Log::check_invariants() const {
  ASSERT(base_ <= persisted_ && persisted_ <= taken_ && taken_ <= last_);
  ASSERT(runs_.front().first == base_ && runs_.back().first <= last_);
  for (size_t i = 1; i < runs_.size(); ++i) {
    ASSERT(runs_[i - 1].first < runs_[i].first && runs_[i - 1].term < runs_[i].term);
  }
  ASSERT(taken_.next() >= cached_from() || taken_ == last_, "what is not durable is in memory");
  size_t bytes = 0;
  for (size_t i = head_; i < entries_.size(); ++i) {
    ASSERT(entries_[i].index == cached_from() + (i - head_), "the cache has no gaps");
    ASSERT(entries_[i].term == term_at(entries_[i].index));
    bytes += cost_of(entries_[i]);
  }
  ASSERT(bytes == cached_bytes_);
  for (size_t i = 0; i < holes_.size(); ++i) {
    ASSERT(holes_[i].first <= holes_[i].last && holes_[i].last <= last_ && holes_[i].first > base_);
    ASSERT(i == 0 || holes_[i - 1].last < holes_[i].first, "holes are sorted and apart");
  }
}

}  // namespace quorate::raft
