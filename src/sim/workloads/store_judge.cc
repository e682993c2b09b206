// SPDX-License-Identifier: Apache-2.0
#include "sim/workloads/store_judge.h"

#include <algorithm>
#include <deque>
#include <set>

namespace quorate::sim {
namespace {

using Kind = service::kv::Change::Kind;

bool is_of_a_key(Kind kind) {
  return kind == Kind::kPut || kind == Kind::kDelete || kind == Kind::kExpire;
}

std::string at(uint64_t revision) { return " at revision " + std::to_string(revision); }

}  // namespace

void StoreJudge::learn(GroupId group, const service::kv::State& state, Instant now) {
  Truth& truth = truths_[group];
  const Revision known(truth.events.size());
  if (truth.gap || state.revision() <= known) {
    return;
  }
  if (state.history().begin() > known) {
    truth.gap = true;
    return;
  }
  std::deque<std::string> unpacked;
  state.history().visit(known, [&](service::kv::History::Entry& entry) {
    service::kv::History::open(entry, unpacked);
    truth.events.push_back({.kind = entry.change.kind,
                            .is_ours = entry.keyspace.value() == group.value(),
                            .key = std::string(entry.change.key),
                            .value = std::string(entry.change.value),
                            .at = entry.at,
                            .expires = entry.expires,
                            .seen = now});
    return true;
  });
}

uint64_t StoreJudge::known(GroupId group) const {
  const auto found = truths_.find(group);
  return found == truths_.end() ? 0 : found->second.events.size();
}

bool StoreJudge::has_gap() const {
  return std::any_of(truths_.begin(), truths_.end(), [](const auto& it) { return it.second.gap; });
}

std::string StoreJudge::judge() const {
  for (const auto& [id, group] : groups_) {
    const auto truth = truths_.find(id);
    if (truth == truths_.end() || truth->second.gap) {
      continue;
    }
    const std::string why = judge(truth->second, group);
    if (!why.empty()) {
      return "store of group " + std::to_string(id.value()) + ": " + why;
    }
  }
  return "";
}

std::string StoreJudge::judge(const Truth& truth, const Group& group) const {
  Case it{truth, group, {}, {}};
  std::multimap<uint64_t, const Search*> searches;
  for (const Search& search : group.searches) {
    searches.emplace(search.revision, &search);
  }
  std::string why;
  for (uint64_t revision = 1; revision <= truth.events.size() && why.empty(); ++revision) {
    why = happen(it, revision);
    const auto [begin, end] = searches.equal_range(revision);
    for (auto search = begin; search != end && why.empty(); ++search) {
      why = judge(it, *search->second);
    }
  }
  const auto all = [&](const auto& what) {
    for (size_t i = 0; i < what.size() && why.empty(); ++i) {
      why = judge(it, what[i]);
    }
  };
  all(group.told);
  all(group.got);
  all(group.refusals);
  all(group.watched);
  return why;
}

// One change more: the keys are what they are after it.
std::string StoreJudge::happen(Case& it, uint64_t revision) const {
  const Event& event = it.truth.events[revision - 1];
  if (!event.is_ours || !is_of_a_key(event.kind)) {
    return "";
  }
  const auto before = it.keys.find(event.key);
  if (before != it.keys.end()) {
    const StoreValue& old = value_of(before->second.value);
    if (old.owner) {
      for (Tenure& tenure : it.tenures[*old.owner]) {
        tenure.end = tenure.key == event.key ? std::min(tenure.end, revision) : tenure.end;
      }
    }
    it.keys.erase(before);
  }
  if (event.kind != Kind::kPut) {
    return "";
  }
  std::string why = judge_put(it, revision);
  const StoreValue& value = value_of(event.value);
  if (value.owner) {
    it.tenures[*value.owner].push_back({.key = event.key, .begin = revision});
  }
  it.keys[event.key] = {event.value, event.expires, revision};
  return why;
}

std::string StoreJudge::judge_put(const Case& it, uint64_t revision) const {
  const Event& event = it.truth.events[revision - 1];
  const StoreValue& value = value_of(event.value);
  for (const auto& [key, live] : it.keys) {
    if (value.owner && value_of(live.value).owner == value.owner && live.expires > event.at) {
      return key + " and " + event.key + " hold one value of a unique index" + at(revision);
    }
  }
  if (it.keys.size() >= keys_max_) {
    return "more keys than the quota" + at(revision);
  }
  if (value.part != 0) {
    const uint64_t other = value.part == 1 ? revision + 1 : revision - 1;
    const bool is_there = other >= 1 && other <= it.truth.events.size();
    const StoreValue beside = is_there ? value_of(it.truth.events[other - 1].value) : StoreValue();
    if (beside.pair != value.pair || beside.part == value.part) {
      return "half a transaction" + at(revision);
    }
  }
  return "";
}

std::string StoreJudge::judge(const Case& it, const Search& search) const {
  const std::string name = search.by_owner ? "the unique index" : "an index";
  if (search.revision < search.floor) {
    return name + " was read" + at(search.revision) + ", behind " + std::to_string(search.floor);
  }
  std::set<std::string> seen;
  for (const Hit& hit : search.hits) {
    const auto live = it.keys.find(hit.key);
    if (!seen.insert(hit.key).second) {
      return name + " has " + hit.key + " twice" + at(search.revision);
    }
    if (live == it.keys.end() || live->second.value != hit.value ||
        live->second.modified != hit.modified) {
      return name + " shows " + hit.key + " as it is not" + at(search.revision);
    }
  }
  for (const auto& [key, live] : it.keys) {
    const StoreValue& value = value_of(live.value);
    const std::optional<uint64_t> field = search.by_owner ? value.owner : value.number;
    const bool is_due = field && (!search.wanted || *search.wanted == *field);
    if (is_due != seen.contains(key) && (!is_due || live.expires == Stamp::never())) {
      return name + (is_due ? " misses " : " has no business with ") + key + at(search.revision);
    }
  }
  return "";
}

std::string StoreJudge::judge(const Case& it, const Told& told) {
  if (told.revision == 0 || told.revision > it.truth.events.size()) {
    return told.key + " was written" + at(told.revision) + ", which there is not";
  }
  const Event& event = it.truth.events[told.revision - 1];
  const bool is_same = event.is_ours && event.key == told.key && event.value == told.value;
  return is_same ? "" : told.key + " was not written" + at(told.revision);
}

std::string StoreJudge::judge(const Case& it, const Got& got) {
  if (got.modified > it.truth.events.size()) {
    return got.key + " was read" + at(got.modified) + ", which there is not";
  }
  if (got.modified != 0) {
    const Event& event = it.truth.events[got.modified - 1];
    if (!event.is_ours || event.key != got.key || event.value != got.value) {
      return got.key + " was read as it never was" + at(got.modified);
    }
  }
  // What was there when the read began, if it is still there, is what must be read.
  for (uint64_t revision = got.floor; revision > got.modified; --revision) {
    const Event& event = it.truth.events[revision - 1];
    if (event.is_ours && event.key == got.key && is_of_a_key(event.kind)) {
      const bool may_be_gone = event.kind != Kind::kPut || event.expires != Stamp::never();
      const bool is_later = std::any_of(
          it.truth.events.begin() + static_cast<ptrdiff_t>(revision), it.truth.events.end(),
          [&](const Event& next) { return next.is_ours && next.key == got.key; });
      const bool is_stale = got.modified != 0 || (!may_be_gone && !is_later);
      return is_stale ? got.key + " was read stale: not" + at(revision) : "";
    }
  }
  return "";
}

std::string StoreJudge::judge(const Case& it, const Refusal& refusal) {
  const auto& events = it.truth.events;
  const uint64_t last = static_cast<uint64_t>(
      std::upper_bound(events.begin(), events.end(), refusal.answered,
                       [](Instant when, const Event& event) { return when < event.seen; }) -
      events.begin());
  const auto held = it.tenures.find(refusal.owner);
  if (held != it.tenures.end()) {
    for (const Tenure& tenure : held->second) {
      if (tenure.key != refusal.key && tenure.begin <= last && tenure.end > refusal.floor) {
        return "";
      }
    }
  }
  return refusal.key + " was refused for a unique value that nobody had between revisions " +
         std::to_string(refusal.floor) + " and " + std::to_string(last);
}

std::string StoreJudge::judge(const Case& it, const Watched& watched) {
  size_t next = 0;
  const uint64_t through = std::min<uint64_t>(watched.through, it.truth.events.size());
  for (uint64_t revision = watched.begin + 1; revision <= through; ++revision) {
    const Event& event = it.truth.events[revision - 1];
    if (!event.is_ours || !is_of_a_key(event.kind) || !event.key.starts_with(watched.prefix)) {
      continue;
    }
    if (next == watched.changes.size() || watched.changes[next].revision != revision) {
      return "a watch did not hear of " + event.key + at(revision) + " in its turn";
    }
    const Heard& heard = watched.changes[next++];
    if (heard.key != event.key || heard.kind != event.kind || heard.value != event.value) {
      return "a watch heard of " + heard.key + at(revision) + " what was not so";
    }
  }
  return next == watched.changes.size()
             ? ""
             : "a watch heard of a change twice or too early" + at(watched.changes[next].revision);
}

const StoreValue& StoreJudge::value_of(const std::string& text) const {
  static const StoreValue kNothing;
  const auto found = made_.find(text);
  return found == made_.end() ? kNothing : found->second;
}

}  // namespace quorate::sim
