// SPDX-License-Identifier: Apache-2.0
#include "service/lock/api.h"

#include <algorithm>
#include <iterator>
#include <vector>

#include "base/assert.h"
#include "base/hash.h"
#include "base/limits.h"
#include "service/lock/permit.h"

namespace quorate::service::lock {
namespace {

// A group without a replica here is asked over the network, which is not for every poll.
constexpr uint64_t kPollsBetweenQuestions = 4;
// Now and then all waits are looked at: a replica may have been made anew under the Api.
constexpr uint64_t kPollsBetweenLooks = 500;
// What is lost on the way holds up the heartbeats behind it, and a lease may last a second.
constexpr Duration kHeartbeatTimeout = Duration::millis(300);

Status lost() { return Status(Code::kLeaseLost, "there is no such owner, or no more"); }

// What a wait that is over and not granted says to who waited.
Status failure_of(const WaitStatus& status) {
  switch (status.state) {
    case WaitState::kDeadlock: return Status(Code::kDeadlock, std::string(status.cycle));
    case WaitState::kTimedOut: return Status(Code::kTimeout, "it did not become free in time");
    case WaitState::kCancelled: return Status(Code::kPreconditionFailed, "the wait was cancelled");
    case WaitState::kBroken: return Status(Code::kLeaseLost, "a lock it was built on was broken");
    case WaitState::kNone:
    case WaitState::kWaiting:
    case WaitState::kGranted: break;
  }
  return Status(Code::kInternal, "the wait is not over");
}

}  // namespace

GroupId Api::group_of(DomainId domain) const {
  return proposer_.group_of_slot(slot_of(std::to_string(domain.value())));
}

Index Api::applied_here(DomainId domain) const {
  const ReadMode mode = {.consistency = Consistency::kEventual, .bound = {}};
  const LocalRead here = proposer_.read_here(group_of(domain), ServiceId::kLock, mode);
  return here.machine == nullptr ? Index() : here.origin.index;
}

void Api::write(DomainId domain, const Command& command, const WriteOptions& options, Done done) {
  if (Status status = permit(options.caller, command); !status.ok()) {
    done(Answer(status), Origin{});
    return;
  }
  if (const Renew* const renew = std::get_if<Renew>(&command)) {
    heartbeat(renew->who, options.caller, std::move(done));
    return;
  }
  std::string body;
  encode(command, body);
  proposer_.propose({.group = group_of(domain),
                     .service = ServiceId::kLock,
                     .session = options.session,
                     .sequence = options.sequence,
                     .body = body,
                     .timeout = options.timeout,
                     .key = options.key},
                    [done = std::move(done)](const Status& status, std::string_view answer,
                                             const Origin& origin) mutable {
                      done(status.ok() ? decode_answer(answer) : Answer(status), origin);
                    });
}

void Api::read(DomainId domain, const Query& query, const ReadOptions& options, Done done) {
  if (Status status = permit(options.caller, query); !status.ok()) {
    done(Answer(status), Origin{});
    return;
  }
  std::string body;
  encode(query, body);
  proposer_.query({.group = group_of(domain),
                   .service = ServiceId::kLock,
                   .mode = options.mode,
                   .body = body,
                   .timeout = options.timeout},
                  [done = std::move(done)](const Status& status, std::string_view answer,
                                           const Origin& origin) mutable {
                    done(status.ok() ? decode_answer(answer) : Answer(status), origin);
                  });
}

uint64_t Api::wait(const OwnerRef& who, const Command& command, const WriteOptions& options,
                   WaitDone done) {
  const uint64_t id = ++last_id_;
  const auto waiting = std::make_shared<Waiting>();
  waiting->domain = who.domain;
  waiting->owner = who.owner;
  waiting->done = std::move(done);
  const Acquire* const acquire = std::get_if<Acquire>(&command);
  if (acquire != nullptr && options.key.none() && options.session.none()) {
    for (const Acquire::Item& item : acquire->items) {
      waiting->takes.emplace(item.name, std::max<uint64_t>(item.permits, 1));
    }
  }
  waits_.emplace(id, waiting);
  if (waits_.size() == 1 && wake_) {
    wake_();
  }
  write(who.domain, command, options,
        [this, id, alive = alive_](const Answer& answer, const Origin& origin) {
          if (*alive) {
            begin(id, answer, origin);
          }
        });
  return id;
}

void Api::begin(uint64_t id, const Answer& answer, const Origin& origin) {
  const auto found = waits_.find(id);
  const Acquired* const acquired = std::get_if<Acquired>(&answer);
  if (const auto left = leaving_.extract(id); !left.empty()) {
    leave(left.mapped(), answer);
    return;
  }
  if (found == waits_.end()) {
    return;
  }
  if (acquired == nullptr) {
    const Status* const refusal = std::get_if<Status>(&answer);
    end(id, refusal != nullptr ? *refusal : Status(Code::kCorrupted, "another verb's answer"), {},
        origin);
  } else if (acquired->granted) {
    end(id, {}, *acquired, origin);
  } else {
    found->second->ticket = acquired->ticket;
    found->second->index = origin.index;
    GroupWaits& group = groups_[group_of(found->second->domain)];
    group.ids[acquired->ticket] = id;
    group.unseen.push_back(id);
    (void)look(group_of(found->second->domain), false);   // it may be over, and nothing follow
  }
}

void Api::give_up(uint64_t wait) {
  if (!waits_.contains(wait)) {
    return;
  }
  const Kept waiting = remove(wait);
  if (waiting->ticket.none()) {
    leaving_.emplace(wait, waiting);
  } else {
    cancel(waiting);
  }
}

// What nobody is there for any more. A grant whose answer is lost too stays until its lease ends.
void Api::leave(const Kept& waiting, const Answer& answer) {
  const Acquired* const acquired = std::get_if<Acquired>(&answer);
  if (acquired == nullptr) {
    return;
  }
  if (acquired->granted) {
    give_back(waiting, acquired->token);
  } else {
    waiting->ticket = acquired->ticket;
    cancel(waiting);
  }
}

// It may have been granted since anybody here looked at it.
void Api::cancel(const Kept& waiting) {
  write(waiting->domain, Cancel{waiting->who(), waiting->ticket}, {},
        [this, waiting, alive = alive_](const Answer& answer, const Origin&) {
          const Cancelled* const said = std::get_if<Cancelled>(&answer);
          if (*alive && said != nullptr && !said->cancelled) {
            leave_ended(waiting);
          }
        });
}

void Api::leave_ended(const Kept& waiting) {
  if (waiting->takes.empty()) {
    return;
  }
  read(waiting->domain, WaitOf{waiting->who()}, {},
       [this, waiting, alive = alive_](const Answer& answer, const Origin&) {
         const WaitStatus* const status = std::get_if<WaitStatus>(&answer);
         if (*alive && status != nullptr && status->ticket == waiting->ticket &&
             status->state == WaitState::kGranted) {
           give_back(waiting, status->token);
         }
       });
}

// What the owner had already, the grant has only entered once more: that keeps the token that it
// had, which a release has to name. So its tokens are asked for first.
void Api::give_back(const Kept& waiting, Token granted, std::string_view after) {
  if (waiting->takes.empty()) {
    return;
  }
  read(waiting->domain, OwnerOf{waiting->who(), after}, {},
       [this, waiting, granted, alive = alive_](const Answer& answer, const Origin&) {
         const OwnerDetails* const owner = std::get_if<OwnerDetails>(&answer);
         if (!*alive || owner == nullptr || owner->held.empty()) {
           return;
         }
         const std::string last(owner->held.back().name);
         release(*waiting, granted, owner->held);
         give_back(waiting, granted, last);
       });
}

// A hold with a greater token was made after the grant, and is none of its business.
void Api::release(const Waiting& waiting, Token granted, const std::vector<Held>& held) {
  for (const Held& each : held) {
    const auto taken = waiting.takes.find(each.name);
    if (taken != waiting.takes.end() && each.token <= granted) {
      write(waiting.domain, Release{waiting.who(), each.name, taken->second, each.token}, {},
            [](const Answer&, const Origin&) {});
    }
  }
}

Api::Kept Api::remove(uint64_t id) {
  const auto found = waits_.find(id);
  ASSERT(found != waits_.end());
  Kept waiting = std::move(found->second);
  waits_.erase(found);
  const auto group = groups_.find(group_of(waiting->domain));
  if (group != groups_.end() && !waiting->ticket.none()) {
    const auto place = group->second.ids.find(waiting->ticket);
    if (place != group->second.ids.end() && place->second == id) {
      group->second.ids.erase(place);
    }
  }
  return waiting;
}

void Api::on_applied(GroupId group) { (void)look(group, false); }

// A `done` may begin or give up waits, so the walk is over numbers.
void Api::poll() {
  ++polls_;
  std::vector<GroupId> groups;
  for (const auto& [group, waits] : groups_) {
    groups.push_back(group);
  }
  for (const GroupId group : groups) {
    if (!look(group, polls_ % kPollsBetweenLooks == 0)) {
      ask_leaders(group);
    }
  }
}

// What became of a wait is final, so a replica that knows the wait need not be the newest.
bool Api::look(GroupId group, bool at_all) {
  const auto found = groups_.find(group);
  if (found == groups_.end() || found->second.ids.empty()) {
    return true;
  }
  GroupWaits& waits = found->second;
  const LocalRead here = proposer_.read_here(
      group, ServiceId::kLock, {.consistency = Consistency::kEventual, .bound = {}});
  const State* const state = typed<State>(here.machine);
  if (state == nullptr) {
    return false;
  }
  std::vector<uint64_t> ids;
  std::vector<Ticket> tickets;
  if (at_all || !state->ended_since(waits.news, tickets)) {
    for (const auto& [ticket, id] : waits.ids) {
      ids.push_back(id);
    }
  }
  for (const Ticket ticket : tickets) {
    const auto id = waits.ids.find(ticket);
    if (id != waits.ids.end()) {
      ids.push_back(id->second);
    }
  }
  ids.insert(ids.end(), waits.unseen.begin(), waits.unseen.end());
  waits.unseen.clear();
  waits.news = state->news();
  for (const uint64_t id : ids) {
    if (waits_.contains(id)) {
      look_at(id, *state, here.origin);
    }
  }
  return true;
}

void Api::look_at(uint64_t id, const State& state, const Origin& origin) {
  const Kept waiting = waits_.at(id);
  WaitStatus status;
  if (origin.index < waiting->index) {
    groups_[origin.group].unseen.push_back(id);
  } else if (state.wait_of(waiting->who(), status)) {
    take(id, status, origin);
  } else {
    end(id, lost(), {}, origin);
  }
}

void Api::ask_leaders(GroupId group) {
  std::vector<uint64_t> ids;
  for (const auto& [ticket, id] : groups_[group].ids) {
    ids.push_back(id);
  }
  for (const uint64_t id : ids) {
    const auto found = waits_.find(id);
    if (found != waits_.end()) {
      const Kept waiting = found->second;
      ask_leader(id, *waiting);
    }
  }
}

void Api::ask_leader(uint64_t id, Waiting& waiting) {
  if (waiting.asked || polls_ < waiting.ask_again) {
    return;
  }
  waiting.asked = true;
  waiting.ask_again = polls_ + kPollsBetweenQuestions;
  read(waiting.domain, WaitOf{waiting.who()}, {},
       [this, id, alive = alive_](const Answer& answer, const Origin& origin) {
         if (*alive && waits_.contains(id)) {
           on_leader(id, answer, origin);
         }
       });
}

void Api::on_leader(uint64_t id, const Answer& answer, const Origin& origin) {
  waits_.at(id)->asked = false;
  const Status* const refusal = std::get_if<Status>(&answer);
  if (const WaitStatus* const status = std::get_if<WaitStatus>(&answer)) {
    take(id, *status, origin);
  } else if (refusal != nullptr && refusal->code() == Code::kLeaseLost) {
    end(id, *refusal, {}, origin);
  }
}

void Api::take(uint64_t id, const WaitStatus& status, const Origin& origin) {
  const Waiting& waiting = *waits_.at(id);
  if (status.ticket != waiting.ticket) {
    end(id, Status(Code::kUnknownOutcome, "the owner has begun another wait since"), {}, origin);
  } else if (status.state == WaitState::kGranted) {
    end(id, {},
        {.granted = true, .token = status.token, .lease_end = status.lease_end}, origin);
  } else if (status.state != WaitState::kWaiting) {
    end(id, failure_of(status), {}, origin);
  }
}

void Api::end(uint64_t id, const Status& status, const Acquired& acquired, const Origin& origin) {
  remove(id)->done(status, acquired, origin);
}

// ---- heartbeats --------------------------------------------------------------------------------

void Api::heartbeat(const OwnerRef& who, const Caller* caller, Done done) {
  const Query query = Heartbeat{{who}};
  Status refusal = permit(caller, query);
  refusal = refusal.ok() ? validate(query) : refusal;
  if (!refusal.ok()) {
    done(refusal, Origin{});
    return;
  }
  const GroupId group = group_of(who.domain);
  Beats& beats = beats_[group];
  beats.next.push_back({who.domain, std::string(who.owner), std::move(done)});
  if (beats.asked.empty()) {
    send_beats(group);
  }
}

void Api::send_beats(GroupId group) {
  Beats& beats = beats_[group];
  const size_t count = std::min(beats.next.size(), limits::kLockHeartbeatOwnersMax);
  const auto end = beats.next.begin() + static_cast<std::ptrdiff_t>(count);
  beats.asked.assign(std::make_move_iterator(beats.next.begin()), std::make_move_iterator(end));
  beats.next.erase(beats.next.begin(), end);
  Heartbeat beat;
  for (const Beat& each : beats.asked) {
    beat.owners.push_back({each.domain, each.owner});
  }
  std::string body;
  encode(Query(std::move(beat)), body);
  proposer_.heartbeat({.group = group,
                       .service = ServiceId::kLock,
                       .mode = {},
                       .body = body,
                       .timeout = kHeartbeatTimeout},
                      [this, group, here = alive_](const Status& status, std::string_view bytes,
                                                    const Origin& origin) {
                        if (!*here) {
                          return;
                        }
                        const Answer answer = status.ok() ? decode_answer(bytes) : Answer(status);
                        const Status* const refusal = std::get_if<Status>(&answer);
                        const Alive* const alive = std::get_if<Alive>(&answer);
                        take_beats(group, refusal != nullptr ? *refusal : Status(),
                                   alive != nullptr ? *alive : Alive(), origin);
                      });
}

void Api::take_beats(GroupId group, const Status& status, const Alive& alive,
                     const Origin& origin) {
  std::vector<Beat> beats;
  beats.swap(beats_[group].asked);
  const bool is_whole = alive.lives.size() == beats.size();
  const Status said = status.ok() && !is_whole
                          ? Status(Code::kCorrupted, "another heartbeat's answer")
                          : status;
  if (!beats_[group].next.empty()) {
    send_beats(group);
  }
  for (size_t at = 0; at < beats.size(); ++at) {
    const Alive::Life life = said.ok() ? alive.lives[at] : Alive::Life();
    const Answer owned = life.number.none() ? Answer(lost())
                                            : Answer(Owned{life.number, false, life.lease_end});
    beats[at].done(said.ok() ? owned : Answer(said), origin);
  }
}

}  // namespace quorate::service::lock
