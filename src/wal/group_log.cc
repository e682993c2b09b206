// SPDX-License-Identifier: Apache-2.0
#include "wal/group_log.h"

#include <algorithm>

#include "base/assert.h"

namespace quorate::wal {
namespace {

// Both runs and terms are lists of parts, each of which reaches to the next.
template <class Part>
size_t part_of(const std::vector<Part>& parts, Index index) {
  auto next = std::upper_bound(parts.begin(), parts.end(), index,
                               [](Index at, const Part& part) { return at < part.first; });
  ASSERT(next != parts.begin());
  return static_cast<size_t>(next - parts.begin()) - 1;
}

// Parts that begin at or after `index` go; the one before ends there by itself.
template <class Part>
void cut_from(std::vector<Part>& parts, Index index) {
  while (!parts.empty() && parts.back().first >= index) {
    parts.pop_back();
  }
}

// first..last become `part`; what lay on either side keeps its meaning. Before: the parts cover
// first..log_last, or end right before `first` (then log_last is `last`).
template <class Part>
void assign(std::vector<Part>& parts, Index last, Index log_last, Part part) {
  const Index first = part.first;
  const auto begin = std::lower_bound(parts.begin(), parts.end(), first,
                                      [](const Part& p, Index at) { return p.first < at; });
  const auto end = std::upper_bound(begin, parts.end(), last,
                                    [](Index at, const Part& p) { return at < p.first; });
  const bool cuts = last < log_last && (end == parts.end() || end->first > last.next());
  if (!cuts) {
    parts.insert(parts.erase(begin, end), part);
    return;
  }
  ASSERT(end != parts.begin());
  Part rest = *(end - 1);
  rest.first = last.next();
  const auto at = parts.erase(begin, end);
  parts.insert(at, {part, rest});
}

// Before: the parts reach beyond `index`.
template <class Part>
void drop_through(std::vector<Part>& parts, Index index) {
  const auto keep = static_cast<ptrdiff_t>(part_of(parts, index.next()));
  parts.erase(parts.begin(), parts.begin() + keep);
  parts.front().first = std::max(parts.front().first, index.next());
  if (parts.capacity() > 64 && parts.capacity() > 4 * parts.size()) {
    parts.shrink_to_fit();
  }
}

}  // namespace

void GroupLog::append(Index first, Index last, Run run) {
  ASSERT(first > compacted_ && first <= last_.next() && first <= last);
  truncate(first);
  run.first = first;
  runs_.push_back(run);
  bytes_ += run.bytes;
  grow(last, term_at(last_));
}

void GroupLog::put(Index first, Index last, Run run) {
  first = std::max(first, compacted_.next());
  if (first > last) {
    return;
  }
  if (first > last_.next()) {
    runs_.push_back({last_.next(), 0, 0, 0});
    grow(first.previous(), last_term());
  }
  if (last > last_) {
    if (first > last_) {
      runs_.push_back({first, 0, 0, 0});
    }
    grow(last, last_term());
  }
  run.first = first;
  replace_runs(last, run);
}

void GroupLog::replace_runs(Index last, Run run) {
  // The bytes of a run that is cut count once: with the part before, or if that goes, the rest.
  const size_t over = run_of(last);
  const Run cut = runs_[over];
  for (size_t i = over; runs_[i].first >= run.first; --i) {
    bytes_ -= runs_[i].bytes;
    if (i == 0) {
      break;
    }
  }
  const bool rest = last < end_of(over);
  assign(runs_, last, last_, run);
  bytes_ += run.bytes;
  if (rest) {
    Run& remains = runs_[run_of(last.next())];
    remains.bytes = cut.first >= run.first ? cut.bytes : 0;
    bytes_ += remains.bytes;
  }
}

void GroupLog::grow(Index last, Term term) {
  if (terms_.empty()) {
    terms_.push_back({last_.next(), term});
  }
  last_ = last;
}

void GroupLog::set_term(Index first, Index last, Term term) {
  first = std::max(first, compacted_.next());
  if (first > last || terms_.empty()) {
    return;
  }
  ASSERT(last <= last_);
  const size_t at = part_of(terms_, first);
  const bool known =
      terms_[at].term == term && (at + 1 == terms_.size() || terms_[at + 1].first > last);
  if (!known) {
    assign(terms_, last, last_, TermRun{first, term});
    const auto end = std::unique(terms_.begin(), terms_.end(),
                                 [](const auto& a, const auto& b) { return a.term == b.term; });
    terms_.erase(end, terms_.end());
  }
}

void GroupLog::set_last(Index last, Term term) {
  if (last <= compacted_) {
    truncate(compacted_.next());
    return;
  }
  const Index known = std::min(last.previous(), last_);
  if (last < last_) {
    truncate(last.next());
  } else if (last > last_) {
    runs_.push_back({last_.next(), 0, 0, 0});
    grow(last, last_term());
  }
  set_term(known.next(), last, term);
}

void GroupLog::compact(Index index, Term term) {
  if (index <= compacted_) {
    return;
  }
  compacted_ = index;
  compacted_term_ = term;
  if (index >= last_) {
    last_ = index;
    bytes_ = 0;
    std::vector<Run>().swap(runs_);
    std::vector<TermRun>().swap(terms_);
    return;
  }
  for (size_t i = 0; end_of(i) <= index; ++i) {
    bytes_ -= runs_[i].bytes;
  }
  drop_through(runs_, index);
  drop_through(terms_, index);
}

void GroupLog::truncate(Index index) {
  while (!runs_.empty() && runs_.back().first >= index) {
    bytes_ -= runs_.back().bytes;
    runs_.pop_back();
  }
  cut_from(terms_, index);
  last_ = std::min(last_, index.previous());
}

Term GroupLog::term_at(Index index) const {
  if (index == compacted_ || terms_.empty()) {
    return compacted_term_;
  }
  return terms_[part_of(terms_, index)].term;
}

size_t GroupLog::run_of(Index index) const {
  ASSERT(index > compacted_ && index <= last_);
  return part_of(runs_, index);
}

Index GroupLog::end_of(size_t run) const {
  return run + 1 < runs_.size() ? runs_[run + 1].first.previous() : last_;
}

std::vector<Hole> GroupLog::holes() const {
  std::vector<Hole> holes;
  for (size_t i = 0; i < runs_.size(); ++i) {
    if (!runs_[i].hole()) {
      continue;
    }
    if (!holes.empty() && holes.back().last.next() == runs_[i].first) {
      holes.back().last = end_of(i);
    } else {
      holes.push_back({runs_[i].first, end_of(i)});
    }
  }
  return holes;
}

std::vector<TermRun> GroupLog::terms() const {
  std::vector<TermRun> terms = {{compacted_, compacted_term_}};
  for (const TermRun& run : terms_) {
    if (run.term != terms.back().term) {
      terms.push_back(run);
    }
  }
  return terms;
}

void GroupLog::check() const {
  ASSERT(compacted_ <= last_);
  ASSERT(runs_.empty() == (compacted_ == last_));
  ASSERT(terms_.empty() == runs_.empty());
  if (!runs_.empty()) {
    ASSERT(runs_.front().first == compacted_.next() && terms_.front().first == compacted_.next());
    ASSERT(runs_.back().first <= last_ && terms_.back().first <= last_);
  }
  for (size_t i = 1; i < runs_.size(); ++i) {
    ASSERT(runs_[i - 1].first < runs_[i].first);
  }
  for (size_t i = 1; i < terms_.size(); ++i) {
    ASSERT(terms_[i - 1].first < terms_[i].first);
  }
}

}  // namespace quorate::wal
