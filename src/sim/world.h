// SPDX-License-Identifier: Apache-2.0
// World: virtual time. One queue of events ordered by (time, number), one seed, one thread.
//
// Everything that happens in a simulation is an event of this queue, and every random choice is
// drawn from a stream that was forked from the world's seed, so a run is a function of its seed. A
// running hash over all events (and over the bytes that nodes send and write, folded in by the
// network and the disks) says so: two runs of one seed end with the same hash.
//
// A Life is one run of a process. Events belong to a life, or to the world itself. When a life ends
// its events are dropped, never run. While a life is paused (SIGSTOP) its events wait, in order,
// and come all at once when it resumes; its clock goes on.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/function.h"
#include "base/ids.h"
#include "base/prng.h"
#include "base/time.h"

namespace quorate::sim {

// Zero is the world itself.
using LifeId = Strong<struct LifeTag, uint32_t>;

class World {
 public:
  using Action = UniqueFunction<void()>;

  explicit World(uint64_t seed);
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // ---- events -------------------------------------------------------------------------------
  void at(Instant when, Action action) { at(LifeId(), when, std::move(action)); }
  void at(LifeId life, Instant when, Action action);
  void after(Duration delay, Action action) { at(now_ + delay, std::move(action)); }
  void after(LifeId life, Duration delay, Action action) {
    at(life, now_ + delay, std::move(action));
  }
  // Runs the next event; false if there is none.
  bool step();
  // Runs all events up to `when`, and leaves the time there, unless stop() is called.
  void run_until(Instant when);
  // Ends run_until after the event at hand.
  void stop() { stopped_ = true; }
  [[nodiscard]] bool stopped() const { return stopped_; }
  // Called after each event with the life that it belonged to.
  void set_after_event(UniqueFunction<void(LifeId)> hook) { after_event_ = std::move(hook); }

  // ---- lives --------------------------------------------------------------------------------
  [[nodiscard]] LifeId begin_life();
  void end_life(LifeId life);
  void pause(LifeId life);
  void resume(LifeId life);
  [[nodiscard]] bool alive(LifeId life) const;
  [[nodiscard]] bool paused(LifeId life) const;

  // ---- chance, hash, counters ---------------------------------------------------------------
  [[nodiscard]] Prng fork_prng() { return prng_.fork(); }
  Prng& prng() { return prng_; }
  // Uniform in [low, high], from the world's own stream.
  [[nodiscard]] Duration between(Duration low, Duration high);
  void fold(uint64_t value) { hash_ = mix64(hash_ ^ value); }
  [[nodiscard]] uint64_t hash() const { return hash_; }
  [[nodiscard]] uint64_t events() const { return events_; }
  [[nodiscard]] Instant now() const { return now_; }
  // Counts that something rare was reached; plans name what they must reach.
  void count(std::string_view path, uint64_t times = 1);
  [[nodiscard]] const std::map<std::string, uint64_t, std::less<>>& counts() const {
    return counts_;
  }

  // ---- timeline -----------------------------------------------------------------------------
  // With a limit above zero the last lines are kept, to be shown with a failure.
  void set_tracing(bool print, size_t keep_lines);
  [[nodiscard]] bool tracing() const { return print_ || keep_lines_ > 0; }
  // One line: the time, who (0 is the world), what. Build `what` only if tracing().
  void trace(NodeId who, const std::string& what);
  [[nodiscard]] const std::vector<std::string>& kept_lines() const { return lines_; }

 private:
  struct Event {
    LifeId life;
    Action action;
  };
  struct Position {
    Instant when;
    uint64_t number;
    uint32_t slot;
    // Reversed, as the standard heap keeps its greatest first.
    bool operator<(const Position& other) const {
      return when != other.when ? when > other.when : number > other.number;
    }
  };
  struct Life {
    bool alive = true;
    bool paused = false;
    std::vector<Action> waiting;
  };

  void run(LifeId life, Action action);

  Instant now_;
  uint64_t number_ = 0;
  uint64_t events_ = 0;
  uint64_t hash_;
  bool stopped_ = false;
  Prng prng_;
  std::vector<Position> heap_;
  std::vector<Event> slots_;
  std::vector<uint32_t> free_slots_;
  std::vector<Life> lives_;
  UniqueFunction<void(LifeId)> after_event_;
  std::map<std::string, uint64_t, std::less<>> counts_;
  bool print_ = false;
  size_t keep_lines_ = 0;
  std::vector<std::string> lines_;
};

// "1.234567s", for timelines and reports.
[[nodiscard]] std::string show(Duration duration);

}  // namespace quorate::sim
