// SPDX-License-Identifier: Apache-2.0
#include "wal/replay.h"

#include <algorithm>

namespace quorate::wal {
namespace {

uint32_t cost_of(const Item& item, uint32_t item_bytes) {
  uint64_t bytes = 2 * uint64_t{item_bytes};
  for (const ItemRecord& record : item.records) {
    bytes += record.bytes;
  }
  return static_cast<uint32_t>(std::min<uint64_t>(bytes, UINT32_MAX));
}

}  // namespace

BatchCheck check_batch(const SegmentBytes& segment, const FoundBatch& batch) {
  BatchCheck check;
  BatchScan scan(segment, batch);
  Item item;
  bool one_bit_each = true;
  while (scan.next(item)) {
    for (size_t i = 0; i < item.records.size(); ++i) {
      const ItemRecord& record = item.records[i];
      if (scan.payload_good(record)) {
        continue;
      }
      const std::string_view bytes = scan.payload(record);
      one_bit_each = one_bit_each && bytes.size() == record.bytes && one_bit_off(bytes, record.crc);
      check.bad.push_back("the payload of entry " + std::to_string((item.first + i).value()) +
                          " of group " + std::to_string(item.group.value()) + " fails");
    }
  }
  check.lost_items = scan.lost_items();
  check.repaired = scan.repaired();
  check.rotted = !check.whole() && !check.lost_items && one_bit_each;
  return check;
}

void Replay::apply(const SegmentBytes& segment, const FoundBatch& batch,
                   const BatchCheck& check) {
  verify_ = !check.bad.empty();
  BatchScan scan(segment, batch);
  Item item;
  while (scan.next(item)) {
    apply_item(item, {batch.header.number, scan.item_at(), scan.item_bytes()}, scan);
  }
  if (scan.lost_items()) {
    lose_batches(batch.header.number);
  }
}

void Replay::lose_batches(uint64_t first) {
  for (auto& [id, group] : groups_) {
    group.uncertain = true;
    // The lost part of a batch may say more of a group that its readable part speaks of.
    group.missed = group.missed || group.last_batch >= first;
  }
}

RebuiltGroup& Replay::group_of(const Item& item, uint64_t batch) {
  const auto known = groups_.find(item.group);
  if (known != groups_.end() && (item.back == 0 || item.life != known->second.life)) {
    groups_.erase(known);  // a new life; the end of the old one was lost
  }
  const auto [at, fresh] = groups_.try_emplace(item.group, item.group);
  RebuiltGroup& group = at->second;
  group.life = item.life;
  const uint64_t before = item.back == 0 ? 0 : batch + 1 - std::min(item.back, batch + 1);
  if (before != group.last_batch && (!fresh || before >= begin_)) {
    group.missed = true;
  }
  group.uncertain = false;  // what was lost either spoke of this group, or did not
  group.last_batch = batch;
  return group;
}

// Items of the group were lost and its log is now known to reach `last`, which is of `term`. What
// was committed had never changed; anything after may have been replaced in between.
//
// The terms of what is lost are not known either, and the owner takes an entry of the term that it
// is told from any peer. So it is told `term` for all of them: an entry of that term before `last`
// can only be the one that the leader of that term had there, which is the one that was lost. An
// older term could be that of an entry which another leader never got committed.
void Replay::doubt(RebuiltGroup& group, Index last, Term term) {
  const Index from = std::max(group.log.state().commit, group.log.compacted()).next();
  if (from <= last) {
    const Term before = group.log.term_at(std::min(from.previous(), group.log.last()));
    if (before != term && term > Term(1)) {
      const bool none = group.guessed.first.none();
      group.guessed.first = none ? from : std::min(group.guessed.first, from);
      group.guessed.last = std::max(group.guessed.last, last);
    }
    group.log.put(from, last, Run{});
    group.log.set_term(from, last, term);
  }
}

// A lost entry of which later items say that it was committed must not have a guessed term: the
// owner would refuse the very entry that its leader has there. What is certain ends before it; the
// replica counts as suspect until a leader has brought it up to date.
void Replay::cut_guesses(RebuiltGroup& group) {
  for (const Hole& hole : group.log.holes()) {
    const Index first = std::max(hole.first, group.guessed.first);
    if (first <= std::min(hole.last, group.guessed.last) && first <= group.log.state().commit) {
      cut_before(group, first);
      break;
    }
  }
  // Terms never fall along a log: where they seem to behind a lost entry, its term was a guess,
  // perhaps of an earlier start, and too high.
  const std::vector<TermRun> runs = group.log.terms();
  for (const Hole& hole : group.log.holes()) {
    const Term guess = group.log.term_at(hole.first);
    const bool belied = std::any_of(runs.begin(), runs.end(), [&](const TermRun& run) {
      return run.first > hole.first && run.term < guess;
    });
    if (belied) {
      cut_before(group, hole.first);
      break;
    }
  }
}

void Replay::cut_before(RebuiltGroup& group, Index first) {
  const Index keep = std::max(first.previous(), group.log.compacted());
  group.log.set_last(keep, group.log.term_at(keep));
  std::erase_if(group.marked, [keep](Index index) { return index > keep; });
  group.suspect = true;
}

std::map<GroupId, RebuiltGroup> Replay::take_groups() {
  for (auto& [id, group] : groups_) {
    cut_guesses(group);
  }
  return std::move(groups_);
}

void Replay::apply_item(const Item& item, Source source, const BatchScan& scan) {
  if (item.kind == ItemKind::kRemove) {
    groups_.erase(item.group);
    return;
  }
  RebuiltGroup& group = group_of(item, source.batch);
  if (item.has_state()) {
    if (item.kind != ItemKind::kAppend) {
      if (group.missed) {
        doubt(group, item.last, item.last_term);
      }
      group.log.set_last(item.last, item.last_term);
    } else if (group.missed && item.first.value() > 0) {
      doubt(group, item.first.previous(), item.before_term);
    }
    group.missed = false;
    group.suspect = item.suspect;
    group.log.set_state(item.state);
    group.state_batch = source.batch;
  }
  const Run run{item.first, source.batch, source.item, cost_of(item, source.item_bytes)};
  const Index last = item.count == 0 ? item.first : item.first + (item.count - 1);
  switch (item.kind) {
    case ItemKind::kAppend: apply_append(group, item, source); break;
    case ItemKind::kPut: group.log.put(item.first, last, run); break;
    case ItemKind::kMissing:
      group.log.put(item.first, last, Run{});
      group.log.set_term(item.first, last, item.last_term);
      break;
    case ItemKind::kBounds:
      group.log.compact(item.compacted, item.compacted_term);
      group.bounds_batch = source.batch;
      break;
    default: break;
  }
  if (item.has_records()) {
    apply_records(group, item, scan);
  }
}

void Replay::apply_append(RebuiltGroup& group, const Item& item, Source source) {
  GroupLog& log = group.log;
  if (item.first <= log.compacted()) {
    return;  // never written; a log of a later version might
  }
  if (item.first > log.last().next()) {
    // What lies between was given up with its segments, or a later item has it.
    log.set_last(item.first.previous(), item.before_term);
  }
  std::erase_if(group.marked, [&](Index index) { return index >= item.first; });
  log.append(item.first, item.first + (item.count - 1),
             Run{item.first, source.batch, source.item, cost_of(item, source.item_bytes)});
}

// Terms, marks and holes, entry by entry; the place of all of them is set already.
void Replay::apply_records(RebuiltGroup& group, const Item& item, const BatchScan& scan) {
  for (size_t i = 0; i < item.records.size(); ++i) {
    const ItemRecord& record = item.records[i];
    const Index index = item.first + i;
    if (index <= group.log.compacted()) {
      continue;
    }
    group.log.set_term(index, index, record.term);
    if (verify_ && !scan.payload_good(record)) {
      group.log.put(index, index, Run{});
    }
    const bool kept =
        std::find(kinds_kept_.begin(), kinds_kept_.end(), record.kind) != kinds_kept_.end();
    const auto at = std::lower_bound(group.marked.begin(), group.marked.end(), index);
    const bool there = at != group.marked.end() && *at == index;
    if (kept && !there) {
      group.marked.insert(at, index);
    }
  }
}

}  // namespace quorate::wal
