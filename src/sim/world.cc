// SPDX-License-Identifier: Apache-2.0
#include "sim/world.h"

#include <algorithm>
#include <cstdio>

namespace quorate::sim {

World::World(uint64_t seed)
    : now_(Instant::from_nanos(0)), hash_(mix64(seed)), prng_(seed), lives_(1) {}

void World::at(LifeId life, Instant when, Action action) {
  ASSERT(when >= now_, "an event cannot be in the past");
  uint32_t slot = 0;
  if (free_slots_.empty()) {
    slot = static_cast<uint32_t>(slots_.size());
    slots_.push_back({life, std::move(action)});
  } else {
    slot = free_slots_.back();
    free_slots_.pop_back();
    slots_[slot] = {life, std::move(action)};
  }
  heap_.push_back({when, ++number_, slot});
  std::push_heap(heap_.begin(), heap_.end());
}

bool World::step() {
  if (heap_.empty()) {
    return false;
  }
  std::pop_heap(heap_.begin(), heap_.end());
  const Position position = heap_.back();
  heap_.pop_back();
  Event event = std::move(slots_[position.slot]);
  free_slots_.push_back(position.slot);
  ASSERT(position.when >= now_);
  now_ = position.when;
  Life& life = lives_[event.life.value()];
  if (!life.alive) {
    return true;
  }
  if (life.paused) {
    life.waiting.push_back(std::move(event.action));
    return true;
  }
  fold(static_cast<uint64_t>(now_.nanos()) ^ (position.number << 40));
  run(event.life, std::move(event.action));
  return true;
}

void World::run(LifeId life, Action action) {
  ++events_;
  action();
  if (after_event_) {
    after_event_(life);
  }
}

void World::run_until(Instant when) {
  stopped_ = false;
  while (!stopped_ && !heap_.empty() && heap_.front().when <= when) {
    step();
  }
  if (!stopped_) {
    now_ = std::max(now_, when);
  }
}

LifeId World::begin_life() {
  lives_.emplace_back();
  return LifeId(static_cast<uint32_t>(lives_.size() - 1));
}

void World::end_life(LifeId life) {
  ASSERT(!life.none() && lives_[life.value()].alive);
  lives_[life.value()].alive = false;
  lives_[life.value()].waiting.clear();
}

void World::pause(LifeId life) {
  ASSERT(!life.none() && alive(life));
  lives_[life.value()].paused = true;
}

void World::resume(LifeId life) {
  Life& entry = lives_[life.value()];
  if (!entry.alive || !entry.paused) {
    return;
  }
  entry.paused = false;
  std::vector<Action> waiting = std::move(entry.waiting);
  entry.waiting.clear();
  for (Action& action : waiting) {
    at(life, now_, std::move(action));
  }
}

bool World::alive(LifeId life) const { return lives_[life.value()].alive; }
bool World::paused(LifeId life) const { return lives_[life.value()].paused; }

Duration World::between(Duration low, Duration high) {
  return Duration::nanos(prng_.between(low.nanos(), high.nanos()));
}

void World::count(std::string_view path, uint64_t times) {
  const auto it = counts_.find(path);
  if (it == counts_.end()) {
    counts_.emplace(std::string(path), times);
  } else {
    it->second += times;
  }
}

void World::set_tracing(bool print, size_t keep_lines) {
  print_ = print;
  keep_lines_ = keep_lines;
}

void World::trace(NodeId who, const std::string& what) {
  const std::string line =
      show(now_ - Instant()) + (who.none() ? " world " : " n" + std::to_string(who.value()) + " ") +
      what;
  if (print_) {
    std::puts(line.c_str());
  }
  if (keep_lines_ == 0) {
    return;
  }
  if (lines_.size() >= 2 * keep_lines_) {
    lines_.erase(lines_.begin(), lines_.begin() + static_cast<std::ptrdiff_t>(keep_lines_));
  }
  lines_.push_back(line);
}

std::string show(Duration duration) {
  char text[48];
  std::snprintf(text, sizeof text, "%lld.%06llds",
                static_cast<long long>(duration.micros() / 1'000'000),
                static_cast<long long>(duration.micros() % 1'000'000));
  return text;
}

}  // namespace quorate::sim
