// SPDX-License-Identifier: Apache-2.0
#include "service/lock/detector.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/limits.h"
#include "base/mutant.h"

namespace quorate::service::lock {
namespace {

// Waits that one search begins with; the others begin the next.
constexpr size_t kOriginsMax = 256;

}  // namespace

Detector::Detector(Proposer& proposer, const Options& options)
    : proposer_(proposer), options_(options) {
  proposer_.add_listener(*this);
}

Detector::~Detector() {
  *alive_ = false;
  proposer_.remove_listener(*this);
}

void Detector::on_applied(GroupId group) {
  if (is_busy_) {
    return;
  }
  const LocalRead here = proposer_.read_here(group, ServiceId::kLock, {});
  const State* const state = typed<State>(here.machine);
  if (state != nullptr && state->has_waits()) {
    is_busy_ = true;
    if (wake_) {
      wake_();
    }
  }
}

// A machine that may be read here and now as the newest there is belongs to the leader.
void Detector::poll(Instant now) {
  if (search_ != nullptr && now >= search_->give_up) {
    ++counts_.given_up;
    search_.reset();
  }
  auto search = std::make_unique<Search>();
  search->give_up = now + options_.patience;
  is_busy_ = search_ != nullptr;
  for (uint32_t number = 1; number <= proposer_.groups(); ++number) {
    const GroupId group(number);
    const LocalRead here = proposer_.read_here(group, ServiceId::kLock, {});
    const State* const state = typed<State>(here.machine);
    if (state == nullptr || !state->has_waits()) {
      watched_.erase(group);
      continue;
    }
    is_busy_ = true;
    watch(group, *state, now);
    if (search_ == nullptr) {
      pick(group, *state, now, *search);
    }
  }
  if (search_ == nullptr && !search->origins.empty() && !MUTANT(lock_cycles_unsought)) {
    begin(std::move(search));
  }
}

void Detector::watch(GroupId group, const State& state, Instant now) {
  Watched& watched = watched_[group];
  std::vector<Ticket> tickets;
  state.tickets_after(watched.seen, tickets);
  for (const Ticket ticket : tickets) {
    watched.young.emplace_back(now + options_.first_look, ticket);
    watched.seen = ticket;
  }
  if (std::exchange(watched.news, state.news()) != state.news()) {
    for (auto& [due, ticket] : watched.old) {
      due = std::min(due, now + options_.look_anew);
    }
  }
}

void Detector::pick(GroupId group, const State& state, Instant now, Search& search) {
  Watched& watched = watched_.at(group);
  for (const Ticket ticket : std::exchange(watched.again, {})) {
    watched.young.emplace_front(now, ticket);
  }
  for (auto* const line : {&watched.young, &watched.old}) {
    while (!line->empty() && line->front().first <= now && search.origins.size() < kOriginsMax) {
      const Ticket ticket = line->front().second;
      line->pop_front();
      WaitEdges edges;
      if (state.edges_of(ticket, edges)) {
        search.origins.push_back({group, ticket, std::string(edges.who.owner)});
        search.first.add(knot_wait(group, edges));
        watched.old.emplace_back(now + options_.next_look, ticket);
      }
    }
  }
}

void Detector::begin(std::unique_ptr<Search> search) {
  ++counts_.searches;
  search_ = std::move(search);
  search_->number = ++last_search_;
  ask(search_->first.blockers());
}

// Every group is asked for all of them: nobody knows where a name waits.
void Detector::ask(const std::set<std::string>& names) {
  Edges edges;
  for (const std::string& name : names) {
    edges.owners.push_back(name);
    search_->asked.insert(name);
  }
  const uint64_t number = search_->number;
  if (search_->asked.size() > limits::kLockGraphOwnersMax) {
    ++counts_.given_up;
    search_.reset();
    return;
  }
  std::string body;
  encode(Query(std::move(edges)), body);
  search_->answers_left = proposer_.groups();
  for (uint32_t group = 1; group <= proposer_.groups(); ++group) {
    proposer_.query({.group = GroupId(group),
                     .service = ServiceId::kLock,
                     .mode = {},
                     .body = body,
                     .timeout = options_.patience},
                    [this, number, group, alive = alive_](const Status& status,
                                                          std::string_view bytes, const Origin&) {
                      if (*alive) {
                        on_answer(number, GroupId(group), status, bytes);
                      }
                    });
  }
}

void Detector::on_answer(uint64_t number, GroupId group, const Status& status,
                         std::string_view bytes) {
  if (search_ == nullptr || search_->number != number) {
    return;
  }
  const Answer answer = status.ok() ? decode_answer(bytes) : Answer(status);
  const Graph* const graph = std::get_if<Graph>(&answer);
  Knot& knot = search_->pass == Pass::kAsk ? search_->first : search_->second;
  if (graph == nullptr || graph->cut) {
    search_->failed = true;
  } else {
    for (const WaitEdges& wait : graph->waits) {
      knot.add(knot_wait(group, wait));
    }
  }
  ASSERT(search_->answers_left > 0);
  if (--search_->answers_left == 0) {
    end_round();
  }
}

void Detector::end_round() {
  Search& search = *search_;
  if (search.failed || search.first.edges() > limits::kLockGraphEdgesMax) {
    ++counts_.given_up;
    search_.reset();  // what is wrong will not be over in a moment
    return;
  }
  if (search.pass == Pass::kConfirm) {
    resolve();
    return;
  }
  std::set<std::string> names = search.first.blockers();
  std::erase_if(names, [&](const std::string& name) { return search.asked.contains(name); });
  if (!names.empty()) {
    ask(names);
    return;
  }
  const std::set<std::string> stuck = search.first.stuck();
  if (stuck.empty()) {
    search_.reset();
  } else if (MUTANT(lock_cycles_unconfirmed)) {
    search.second = search.first;
    resolve();
  } else {
    confirm(stuck);
  }
}

void Detector::confirm(const std::set<std::string>& stuck) {
  search_->pass = Pass::kConfirm;
  ask(stuck);
}

// A victim sets others free, so who is stuck is asked anew after each. A wait may have closed
// several cycles at once, of which a victim breaks only those that it is in.
void Detector::resolve() {
  const std::unique_ptr<Search> search = std::move(search_);
  const std::set<std::string> seemed = search->first.stuck();
  Knot knot = search->first.both(search->second);
  std::set<std::string> stuck = knot.stuck();
  const uint64_t found = counts_.found;
  for (const Begun& origin : search->origins) {
    const uint64_t found_before = counts_.found;
    std::vector<Knot::Link> cycle = knot.cycle_through(origin.owner, stuck);
    while (!cycle.empty()) {
      refuse(cycle, origin);
      const KnotWait victim = victim_of(cycle);
      knot.remove(victim);
      stuck = knot.stuck();
      cycle = knot.cycle_through(origin.owner, stuck);
    }
    // It may be in one still: something moved between the two readings, which need not have been
    // a part of it. Or it stands behind one that is another's to break.
    if (counts_.found == found_before && seemed.contains(origin.owner)) {
      look_again(origin);
    }
  }
  counts_.unconfirmed += counts_.found == found ? 1 : 0;
}

void Detector::look_again(const Begun& origin) {
  const auto watched = watched_.find(origin.group);
  if (watched != watched_.end()) {
    watched->second.again.push_back(origin.ticket);
  }
}

// A wait names only the nearest who stand in its way: whom it waits for besides shows when these
// are gone, and may close another cycle. So the search goes on once the victim is refused.
void Detector::refuse(const std::vector<Knot::Link>& cycle, const Begun& origin) {
  ++counts_.found;
  const KnotWait& victim = victim_of(cycle);
  const std::string text = text_of(cycle);
  std::string body;
  encode(Command(Resolve{{victim.domain, victim.owner}, victim.ticket, text}), body);
  proposer_.propose(
      {.group = victim.group,
       .service = ServiceId::kLock,
       .session = {},
       .sequence = 0,
       .body = body,
       .timeout = options_.patience},
      [this, origin, alive = alive_](const Status& status, std::string_view bytes, const Origin&) {
        const Answer answer = status.ok() ? decode_answer(bytes) : Answer(status);
        const Cancelled* const done = std::get_if<Cancelled>(&answer);
        if (*alive && done != nullptr) {
          counts_.resolved += done->cancelled ? 1 : 0;
          look_again(origin);
        }
      });
}

}  // namespace quorate::service::lock
