// SPDX-License-Identifier: Apache-2.0
// Detector: finds deadlocks that go through several domains, in whichever groups they live, and
// ends each by refusing one wait of it.
//
// One per node. It looks after the waits of the groups that its node leads. Within a domain no wait
// begins that would close a cycle (wait_graph.h); between domains that cannot be known when it
// begins, so a wait that has lasted for a while starts a probe, which follows the edges from group
// to group (Chandy, Misra and Haas: edge chasing), all waits of one moment in one search:
//
//   ask      whom the waits at hand stand behind; ask all groups what those wait for; again, until
//            nobody new turns up                                                    (first Knot)
//   decide   who of them can never go on; nobody: done
//   confirm  ask all groups once more for those who are stuck; only waits that are exactly as they
//            were count                                                             (second Knot)
//   resolve  of each cycle the youngest wait ends, if it is still the one that was seen
//
// No false alarm: a wait that was read twice with one ticket lasted from the first reading to the
// second. Between the two passes there is one moment at which all waits that count were there,
// each behind the same owners, and these, who were waiting themselves, could not go on: a deadlock.
// It stays one until somebody from outside ends a wait of it (a time-out, a cancel, an end of a
// lease, a break), and then the victim's refusal is late by as much as one round trip.
// No deadlock is missed: a cycle is closed by the last of its waits to begin, and that wait starts
// a probe which finds all others there. If the probe is lost, another follows. While a wait that
// stands between two others is read, it may end: the probe has not seen then that the cycle goes on
// without it. So when waits have ended, those of the same group are looked at anew.
//
// It reads and proposes through the Proposer and owns no clock: poll() is called by who has a
// timer, every few milliseconds while is_busy(). All on one loop; the Proposer outlives it.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/function.h"
#include "base/time.h"
#include "service/lock/knot.h"
#include "service/lock/state.h"
#include "service/proposer.h"

namespace quorate::service::lock {

class Detector final : private AppliedListener {
 public:
  struct Options {
    Duration first_look = Duration::millis(20);  // after a wait began
    Duration next_look = Duration::millis(500);  // after a search, while it goes on
    Duration look_anew = Duration::millis(40);   // ... but when waits of its group have ended
    Duration patience = Duration::seconds(1);    // with one search
  };
  struct Counts {
    uint64_t searches = 0;
    uint64_t found = 0;        // cycles, confirmed
    uint64_t resolved = 0;     // of these, ended by this detector; the others by another
    uint64_t unconfirmed = 0;  // searches whose waits had moved on when they were read again
    uint64_t given_up = 0;     // a group did not answer, or the knot was too large
  };

  Detector(Proposer& proposer, const Options& options);
  explicit Detector(Proposer& proposer) : Detector(proposer, Options{}) {}
  ~Detector() override;
  Detector(const Detector&) = delete;
  Detector& operator=(const Detector&) = delete;

  void poll(Instant now);
  // Somebody waits in a group that this node leads.
  [[nodiscard]] bool is_busy() const { return is_busy_; }
  // `wake` is called when is_busy() becomes true: whoever polls may sleep until then.
  void on_busy(UniqueFunction<void()> wake) { wake_ = std::move(wake); }
  [[nodiscard]] const Counts& counts() const { return counts_; }

 private:
  // The waits of a group that is led here, in the order in which they are looked at.
  struct Watched {
    Ticket seen = {};
    uint64_t news = 0;  // State::news(), as of the last poll
    std::deque<std::pair<Instant, Ticket>> young;
    std::deque<std::pair<Instant, Ticket>> old;  // they were in a search already
    std::vector<Ticket> again;                   // ... which came to nothing certain
  };
  struct Begun {
    GroupId group = {};
    Ticket ticket = {};
    std::string owner;
  };
  enum class Pass : uint8_t { kAsk, kConfirm };
  struct Search {
    uint64_t number = 0;
    Instant give_up = {};
    Pass pass = Pass::kAsk;
    std::vector<Begun> origins;  // the waits that it began with
    std::set<std::string> asked;
    Knot first;
    Knot second;
    size_t answers_left = 0;  // of the round at hand
    bool failed = false;
  };

  void on_applied(GroupId group) override;
  void watch(GroupId group, const State& state, Instant now);
  void pick(GroupId group, const State& state, Instant now, Search& search);
  void begin(std::unique_ptr<Search> search);
  void ask(const std::set<std::string>& names);
  void on_answer(uint64_t search, GroupId group, const Status& status, std::string_view bytes);
  void end_round();
  void confirm(const std::set<std::string>& stuck);
  void resolve();
  void refuse(const std::vector<Knot::Link>& cycle, const Begun& origin);
  // The next poll begins with this wait anew, if it is still there.
  void look_again(const Begun& origin);

  Proposer& proposer_;
  const Options options_;
  UniqueFunction<void()> wake_;
  std::map<GroupId, Watched> watched_;
  std::unique_ptr<Search> search_;
  uint64_t last_search_ = 0;
  bool is_busy_ = false;
  Counts counts_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace quorate::service::lock
