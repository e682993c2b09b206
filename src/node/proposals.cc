// SPDX-License-Identifier: Apache-2.0
#include "node/proposals.h"

#include <algorithm>
#include <iterator>

namespace quorate::node {
namespace {

const Status kDisplaced(Code::kUnavailable, "another leader's entry took this one's place");
const Status kCutOff(Code::kUnknownOutcome, "another leader cut this entry off, and lost office");
const Status kJumped(Code::kUnknownOutcome, "a snapshot replaced the log before the answer came");
const Status kLate(Code::kUnknownOutcome, "no answer from the group in time");
const Status kLateUnstarted(Code::kTimeout, "the group took no proposal in time");
const Status kGone(Code::kUnknownOutcome, "the replica was shut down before the answer came");

// Enough capacity to serve the next batches without allocating, not so much that one burst stays.
constexpr size_t kSpareVectors = 8;
constexpr size_t kSpareCapacityMax = 65'536;

}  // namespace

void Proposals::add(const service::Command& command, service::Done done, Instant deadline) {
  batch_.add({command.service, command.session, command.sequence, command.key, command.body});
  if (open_.capacity() == 0 && !spare_.empty()) {
    open_ = std::move(spare_.back());
    spare_.pop_back();
  }
  open_.push_back({std::move(done), deadline});
  ++pending_;
}

Buffer Proposals::take_batch() {
  ASSERT(!open_.empty() && taken_.empty());
  taken_ = std::move(open_);
  open_.clear();
  taken_payload_ = Buffer::take(batch_.take());
  return taken_payload_;
}

void Proposals::proposed(Index index, Term term) {
  ASSERT(!taken_.empty());
  Flight flight{index, term, std::exchange(taken_payload_, {}), std::move(taken_)};
  taken_.clear();
  if (!flights_.empty() && flights_.front().term < term) {
    overtake();
  }
  for (const Pending& pending : flight.commands) {
    flight.earliest = std::min(flight.earliest, pending.deadline);
  }
  // Back in office with a shorter log: another leader cut off what we had proposed from here on.
  // Nothing is committed in its place yet, and it may live on in a third log (figure 8), so nobody
  // knows what becomes of it.
  std::vector<Pending> cut_off;
  while (!flights_.empty() && flights_.back().index >= index) {
    ASSERT(flights_.back().term < term, "a leader's entries rise");
    std::vector<Pending>& commands = flights_.back().commands;
    std::move(commands.begin(), commands.end(), std::back_inserter(cut_off));
    flights_.pop_back();
  }
  flights_.push_back(std::move(flight));
  fail(cut_off, kCutOff);
}

void Proposals::refused(const Status& status) {
  std::vector<Pending> commands = std::move(taken_);
  taken_.clear();
  taken_payload_ = Buffer();
  fail(commands, status);
}

void Proposals::give_back(TakeBack take_back) {
  const Buffer payload = take_batch();
  taken_payload_ = Buffer();
  std::vector<Pending> commands = std::move(taken_);
  taken_.clear();
  service::BatchReader reader(payload.view());
  service::BatchCommand command;
  for (Pending& pending : commands) {
    const bool is_there = reader.next(command);
    ASSERT(is_there && pending.done, "a batch holds what was added to it");
    --pending_;
    take_back(command, std::move(pending.done), pending.deadline);
  }
}

void Proposals::give_back_displaced(TakeBack take_back) {
  std::vector<Flight> flights = std::move(displaced_);
  displaced_.clear();
  for (; !flights.empty(); flights.pop_back()) {
    Flight& last = flights.back();
    last.overtaken ? fail(last.commands, kDisplaced) : give_back(last, take_back);
  }
}

void Proposals::give_back(Flight& flight, TakeBack& take_back) {
  std::vector<service::BatchCommand> commands;
  service::BatchReader reader(flight.payload.view());
  for (service::BatchCommand command; reader.next(command);) {
    commands.push_back(command);
  }
  ASSERT(commands.size() == flight.commands.size(), "a batch holds what was added to it");
  for (size_t i = commands.size(); i-- > 0;) {
    Pending& pending = flight.commands[i];
    if (pending.done) {
      --pending_;
      take_back(commands[i], std::move(pending.done), pending.deadline);
    }
  }
}

bool Proposals::outcome_open() const {
  return std::any_of(flights_.begin(), flights_.end(), [](const Flight& flight) {
    return !flight.overtaken && flight.earliest != Instant::never();
  });
}

void Proposals::overtake() {
  for (Flight& flight : flights_) {
    flight.overtaken = true;
  }
}

bool Proposals::begin_apply(Index index, Term term) {
  ASSERT(displaced_.empty(), "what an entry displaced is given back before the next is applied");
  while (!flights_.empty() && flights_.front().index <= index) {
    Flight flight = std::move(flights_.front());
    flights_.erase(flights_.begin());
    if (flight.index == index && flight.term == term) {
      ASSERT(applying_.empty());
      applying_ = std::move(flight.commands);
      return true;
    }
    displaced_.push_back(std::move(flight));
  }
  // A new leader's entry ends every longer log of an older term: what we proposed beyond it under
  // that older term can never be committed.
  while (!flights_.empty() && flights_.front().term < term) {
    displaced_.push_back(std::move(flights_.front()));
    flights_.erase(flights_.begin());
  }
  return false;
}

void Proposals::answer(size_t ordinal, const Status& status, std::string_view answer,
                       const service::Origin& origin) {
  ASSERT(ordinal < applying_.size());
  service::Done done = std::move(applying_[ordinal].done);
  if (done) {
    --pending_;
    done(status, answer, origin);
  }
}

void Proposals::finish() {
  // A payload that failed to decode answers nobody; its commands are refused alike everywhere.
  for (Pending& pending : applying_) {
    if (pending.done) {
      --pending_;
      std::move(pending.done)(Status(Code::kInternal, "the batch could not be read"), {},
                              service::Origin{group_, {}, {}, node_});
    }
  }
  applying_.clear();
  if (spare_.size() < kSpareVectors && applying_.capacity() <= kSpareCapacityMax) {
    spare_.push_back(std::move(applying_));
  }
  applying_ = std::vector<Pending>();
}

void Proposals::jumped_over(Index index) {
  while (!flights_.empty() && flights_.front().index <= index) {
    Flight flight = std::move(flights_.front());
    flights_.erase(flights_.begin());
    fail(flight.commands, kJumped);
  }
}

void Proposals::sweep(Instant now) {
  for (size_t i = 0; i < flights_.size(); ++i) {
    if (flights_[i].earliest <= now) {
      sweep(flights_[i], now, kLate);
    }
  }
  // The open batch waits only while there is no leader here to propose it; nothing was started, but
  // its payload is already encoded, so it goes as a whole.
  const bool late = std::any_of(open_.begin(), open_.end(),
                                [now](const Pending& p) { return p.deadline <= now; });
  if (late) {
    (void)take_batch();
    refused(kLateUnstarted);
  }
}

void Proposals::sweep(Flight& flight, Instant now, const Status& status) {
  std::vector<service::Done> late;
  flight.earliest = Instant::never();
  for (Pending& pending : flight.commands) {
    if (!pending.done) {
      continue;
    }
    if (pending.deadline <= now) {
      late.push_back(std::move(pending.done));
      pending.done.reset();
    } else {
      flight.earliest = std::min(flight.earliest, pending.deadline);
    }
  }
  pending_ -= late.size();
  for (service::Done& done : late) {
    done(status, {}, service::Origin{group_, {}, {}, node_});
  }
}

void Proposals::fail(std::vector<Pending>& commands, const Status& status) {
  std::vector<Pending> failed = std::move(commands);
  commands.clear();
  for (Pending& pending : failed) {
    if (pending.done) {
      --pending_;
      pending.done(status, {}, service::Origin{group_, {}, {}, node_});
    }
  }
}

void Proposals::abandon() {
  while (!flights_.empty()) {
    Flight flight = std::move(flights_.front());
    flights_.erase(flights_.begin());
    fail(flight.commands, kGone);
  }
  if (!open_.empty()) {
    (void)take_batch();
    refused(Status(Code::kUnavailable, "the replica was shut down"));
  }
}

}  // namespace quorate::node
