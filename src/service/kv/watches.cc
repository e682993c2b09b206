// SPDX-License-Identifier: Apache-2.0
#include "service/kv/watches.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/mutant.h"

namespace quorate::service::kv {
namespace {

// Changes of one page: a watch that is far behind must not hold the loop for long.
constexpr uint64_t kPageItems = 256;
// A group without a replica here is asked over the network, which is not for every poll.
constexpr uint64_t kPollsBetweenQuestions = 20;

Status compacted(GroupId group, Revision begin) {
  return Status(Code::kPreconditionFailed,
                "compacted: the history of group " + std::to_string(group.value()) +
                    " begins after revision " + std::to_string(begin.value()) +
                    "; read the keys anew and watch from there");
}

}  // namespace

uint64_t Watches::start(Spec spec, std::shared_ptr<Sink> sink) {
  const auto watch = std::make_shared<Watch>();
  watch->id = ++last_id_;
  watch->sink = std::move(sink);
  const std::string end = prefix_end(spec.prefix);
  const std::vector<GroupId> groups = api_.groups_of(spec.keyspace, {spec.prefix, end});
  for (const GroupId group : groups) {
    watch->places.push_back({.at = {group, {}}});
  }
  watch->spec = std::move(spec);
  watch->starting = groups.size();
  watches_.emplace(watch->id, watch);
  for (size_t number = 0; number < groups.size(); ++number) {
    ask_where(watch, number);
  }
  return watch->id;
}

// Linearizable, so that whoever starts a watch and then writes will see that write.
void Watches::ask_where(const Held& watch, size_t number) {
  api_.stats_of(watch->places[number].at.group, {.keyspace = watch->spec.keyspace}, {},
                [this, weak = std::weak_ptr(watch), number](const Status& status,
                                                            const Usage& usage, const Origin&) {
                  const Held held = weak.lock();
                  if (held == nullptr || held->gone) {
                    return;
                  }
                  if (status.ok()) {
                    take_where(held, number, usage);
                  } else if (held->failure.ok()) {
                    held->failure = status;
                  }
                  if (--held->starting == 0) {
                    finish_start(held);
                  }
                });
}

void Watches::take_where(const Held& watch, size_t number, const Usage& usage) {
  Position& at = watch->places[number].at;
  if (watch->spec.after.empty() || MUTANT(watch_begins_anew)) {
    at.after = usage.revision;
    return;
  }
  const auto told = std::find_if(watch->spec.after.begin(), watch->spec.after.end(),
                                 [&](const Position& it) { return it.group == at.group; });
  if (told == watch->spec.after.end()) {
    watch->failure = Status(Code::kInvalidArgument, "the position is one of another watch");
    return;
  }
  if (told->after > usage.revision) {
    watch->failure = Status(Code::kInvalidArgument, "group " + std::to_string(at.group.value()) +
                                                        " has not reached that revision");
    return;
  }
  at.after = told->after;
  const State* const here = replica(at.group);
  const bool is_here = here != nullptr && here->history().begin() <= at.after;
  if (at.after < usage.history_begin && !is_here) {
    watch->failure = compacted(at.group, usage.history_begin);
  }
}

void Watches::finish_start(const Held& watch) {
  if (!watch->failure.ok()) {
    end(watch, watch->failure);
    return;
  }
  watch->started = true;
  watch->spec.after.clear();
  std::vector<Position> positions;
  for (const Place& place : watch->places) {
    positions.push_back(place.at);
  }
  watch->sink->on_start(positions);
}

void Watches::stop(uint64_t id) {
  const auto found = watches_.find(id);
  if (found != watches_.end()) {
    found->second->gone = true;  // poll() may stand on it, and takes it out
  }
}

void Watches::end(const Held& watch, const Status& status) {
  if (!std::exchange(watch->gone, true)) {
    watch->sink->on_end(status);
  }
}

void Watches::poll() {
  ++polls_;
  replicas_.clear();
  for (auto at = watches_.begin(); at != watches_.end();) {
    const Held watch = at->second;
    if (polls_ % kPollsBetweenQuestions == 0 && watch->started && watch->sink->has_left()) {
      watch->gone = true;
    }
    for (size_t number = 0; number < watch->places.size() && watch->started; ++number) {
      poll_place(watch, number);
    }
    at = watch->gone ? watches_.erase(at) : std::next(at);
  }
}

void Watches::poll_place(const Held& watch, size_t number) {
  Place& place = watch->places[number];
  if (watch->gone || place.asked) {
    return;
  }
  auto known = replicas_.find(place.at.group);
  if (known == replicas_.end()) {
    known = replicas_.emplace(place.at.group, replica(place.at.group)).first;
  }
  const State* const here = known->second;
  if (here != nullptr && here->revision() <= place.at.after) {
    return;  // nothing new, or this replica lags behind where the watch was before
  }
  if (!watch->sink->has_room()) {
    return;
  }
  if (here == nullptr || here->history().begin() > place.at.after) {
    if (polls_ >= place.ask_again) {
      ask_leader(watch, number);
    }
    return;
  }
  ChangeList list;
  std::deque<std::string> unpacked;
  here->history().read({.keyspace = watch->spec.keyspace,
                        .prefix = watch->spec.prefix,
                        .after = place.at.after,
                        .limit = kPageItems},
                       list, unpacked);
  list.revision = here->revision();
  hand_over(watch, number, list);
}

void Watches::ask_leader(const Held& watch, size_t number) {
  Place& place = watch->places[number];
  place.asked = true;
  place.ask_again = polls_ + kPollsBetweenQuestions;
  api_.changes(place.at.group,
               {.keyspace = watch->spec.keyspace,
                .prefix = watch->spec.prefix,
                .after = place.at.after,
                .limit = kPageItems},
               {},
               [this, weak = std::weak_ptr(watch), number](const Status& status,
                                                           const ChangeList& list, const Origin&) {
                 const Held held = weak.lock();
                 if (held == nullptr || held->gone) {
                   return;
                 }
                 held->places[number].asked = false;
                 if (status.ok()) {
                   hand_over(held, number, list);
                 } else if (row_of(status.code()).retry == Retry::kNo) {
                   end(held, status);
                 }
               });
}

void Watches::hand_over(const Held& watch, size_t number, const ChangeList& list) {
  Position& at = watch->places[number].at;
  ASSERT(list.through >= at.after);
  if (list.through == at.after) {
    return;
  }
  at.after = list.through;
  watch->sink->on_changes(at.group, list);
}

const State* Watches::replica(GroupId group) const {
  const LocalRead here =
      api_.proposer().read_here(group, ServiceId::kKv, {Consistency::kEventual, {}});
  return typed<State>(here.machine);
}

}  // namespace quorate::service::kv
