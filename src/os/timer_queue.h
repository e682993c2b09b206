// SPDX-License-Identifier: Apache-2.0
// TimerQueue: the timers of one loop, earliest first; of two for the same instant, the one that
// was added first.
//
// A four-ary heap of small keys beside a table of slots that hold the callbacks, so that sifting
// moves 24 bytes and a cancel knows its place: add, cancel and take cost O(log n), and a hundred
// thousand timers cost no allocation each.
//
// Invariants:
//   1. heap_[slots_[s].place].slot == s for every slot in use.
//   2. A TimerId names a slot and its generation; a slot's generation grows when it is freed, so an
//      old id never cancels a new timer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "env/timer.h"

namespace quorate::os {

class TimerQueue {
 public:
  using Callback = env::Timer::Callback;

  env::TimerId add(Instant when, Callback callback) {
    const uint32_t slot = take_slot();
    slots_[slot].callback = std::move(callback);
    heap_.push_back(Key{when, ++added_, slot});
    sift_up(heap_.size() - 1);
    return env::TimerId{uint64_t{slots_[slot].generation} << 32 | slot};
  }

  // False if the timer has been taken or was cancelled before.
  bool cancel(env::TimerId id) {
    const auto slot = static_cast<uint32_t>(static_cast<uint64_t>(id));
    const auto generation = static_cast<uint32_t>(static_cast<uint64_t>(id) >> 32);
    if (slot >= slots_.size() || slots_[slot].generation != generation) {
      return false;
    }
    const Callback dropped = std::move(slots_[slot].callback);
    erase(slots_[slot].place);
    free_slot(slot);
    return true;
  }

  // Empty if nothing is due.
  [[nodiscard]] Callback take_due(Instant now) {
    if (heap_.empty() || heap_.front().when > now) {
      return {};
    }
    const uint32_t slot = heap_.front().slot;
    Callback callback = std::move(slots_[slot].callback);
    erase(0);
    free_slot(slot);
    return callback;
  }

  [[nodiscard]] Instant next() const {
    return heap_.empty() ? Instant::never() : heap_.front().when;
  }
  [[nodiscard]] size_t size() const { return heap_.size(); }

 private:
  struct Key {
    Instant when;
    uint64_t number;
    uint32_t slot;
    bool operator<(const Key& other) const {
      return when != other.when ? when < other.when : number < other.number;
    }
  };
  struct Slot {
    Callback callback;
    uint32_t generation = 1;  // never 0, so that no id equals TimerId::kNone
    uint32_t place = 0;
  };

  uint32_t take_slot() {
    if (free_.empty()) {
      slots_.emplace_back();
      return static_cast<uint32_t>(slots_.size() - 1);
    }
    const uint32_t slot = free_.back();
    free_.pop_back();
    return slot;
  }

  void free_slot(uint32_t slot) {
    uint32_t& generation = slots_[slot].generation;
    generation = generation == UINT32_MAX ? 1 : generation + 1;
    free_.push_back(slot);
  }

  void put(size_t place, const Key& key) {
    heap_[place] = key;
    slots_[key.slot].place = static_cast<uint32_t>(place);
  }

  void sift_up(size_t place) {
    const Key key = heap_[place];
    while (place > 0 && key < heap_[(place - 1) / 4]) {
      put(place, heap_[(place - 1) / 4]);
      place = (place - 1) / 4;
    }
    put(place, key);
  }

  void sift_down(size_t place) {
    const Key key = heap_[place];
    while (true) {
      const size_t first = place * 4 + 1;
      if (first >= heap_.size()) {
        break;
      }
      size_t least = first;
      for (size_t child = first + 1; child < first + 4 && child < heap_.size(); ++child) {
        if (heap_[child] < heap_[least]) {
          least = child;
        }
      }
      if (!(heap_[least] < key)) {
        break;
      }
      put(place, heap_[least]);
      place = least;
    }
    put(place, key);
  }

  void erase(size_t place) {
    ASSERT(place < heap_.size());
    const Key last = heap_.back();
    heap_.pop_back();
    if (place == heap_.size()) {
      return;
    }
    put(place, last);
    sift_down(place);
    sift_up(slots_[last.slot].place);
  }

  std::vector<Key> heap_;
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_;
  uint64_t added_ = 0;
};

}  // namespace quorate::os
