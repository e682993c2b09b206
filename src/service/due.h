// SPDX-License-Identifier: Apache-2.0
// Due: which items are due when; for millions of them, without a scan.
//
// An ordered index of (stamp, item). A timing wheel is cheaper per item, but it moves whole slots
// at once (a million keys that were set together stop the loop), and its order within a slot is
// that of insertion, which a replica restored from a snapshot does not know. This order is a
// function of the content alone, so a command "expire up to T, at most n" does the same everywhere.
//
// Derived state: a machine rebuilds it from its table on restore.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/time.h"
#include "service/entries.h"
#include "service/ordered_index.h"

namespace quorate::service {

class Due {
 public:
  static constexpr size_t kItemBytesMax = Entries::kKeyBytesMax - sizeof(uint64_t);

  Due() : order_(entries_) {}

  // Before: (at, item) is not there; at < Stamp::never().
  void add(Stamp at, std::string_view item);
  // Before: it is there.
  void remove(Stamp at, std::string_view item);
  void clear();

  // Stamp::never() if nothing is there.
  [[nodiscard]] Stamp next() const;
  // The item of next(); good until the next change. Before: not empty().
  [[nodiscard]] std::string_view first_item() const;
  void remove_first();
  // Calls visit(stamp, item) for those due by `through`, in order, until it says false. The stamp
  // of the one after the last that it agreed to, or never().
  template <class Visit>
  Stamp walk(Stamp through, Visit&& visit) const {
    for (OrderedIndex::Cursor cursor = order_.first(); cursor.valid(); cursor.next()) {
      const std::string_view key = entries_.key(cursor.ref());
      const Stamp at = stamp_of(key);
      if (at > through || !visit(at, key.substr(sizeof(uint64_t)))) {
        return at;
      }
    }
    return Stamp::never();
  }

  [[nodiscard]] bool contains(Stamp at, std::string_view item) const;
  [[nodiscard]] size_t size() const { return order_.size(); }
  [[nodiscard]] bool empty() const { return size() == 0; }
  [[nodiscard]] size_t memory_bytes() const {
    return entries_.memory_bytes() + order_.memory_bytes();
  }
  void check_invariants() const {
    entries_.check_invariants();
    order_.check_invariants();
  }

 private:
  static void set_key(Stamp at, std::string_view item, std::string& key);
  [[nodiscard]] static Stamp stamp_of(std::string_view key);

  Entries entries_;
  OrderedIndex order_;
  std::string key_;               // in the making; kept for its capacity
  Stamp next_ = Stamp::never();   // asked for at every turn of the loop
};

}  // namespace quorate::service
