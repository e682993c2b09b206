// SPDX-License-Identifier: Apache-2.0
#include "service/due.h"

#include <cstring>

#include "base/assert.h"

namespace quorate::service {
namespace {

constexpr uint64_t kSign = uint64_t{1} << 63;

}  // namespace

// Big-endian with the sign turned over, so that bytes sort as stamps do.
void Due::set_key(Stamp at, std::string_view item, std::string& key) {
  const uint64_t word = __builtin_bswap64(static_cast<uint64_t>(at.micros()) ^ kSign);
  key.assign(reinterpret_cast<const char*>(&word), sizeof(word));
  key.append(item);
}

Stamp Due::stamp_of(std::string_view key) {
  uint64_t word = 0;
  ASSERT(key.size() >= sizeof(word));
  std::memcpy(&word, key.data(), sizeof(word));
  return Stamp::from_micros(static_cast<int64_t>(__builtin_bswap64(word) ^ kSign));
}

void Due::add(Stamp at, std::string_view item) {
  ASSERT(at < Stamp::never() && item.size() <= kItemBytesMax);
  set_key(at, item, key_);
  order_.insert(entries_.make(key_, {}));
  if (at < next_) {
    next_ = at;
  }
}

void Due::remove(Stamp at, std::string_view item) {
  set_key(at, item, key_);
  const OrderedIndex::Cursor cursor = order_.at_or_after(key_);
  ASSERT(cursor.valid() && entries_.key(cursor.ref()) == key_, "removed what is not due");
  const Ref ref = cursor.ref();
  order_.erase(ref);
  entries_.free(ref);
  if (at == next_) {
    next_ = empty() ? Stamp::never() : stamp_of(entries_.key(order_.first().ref()));
  }
}

void Due::clear() {
  order_.clear();
  entries_.clear();
  next_ = Stamp::never();
}

Stamp Due::next() const { return next_; }

std::string_view Due::first_item() const {
  ASSERT(!empty());
  return entries_.key(order_.first().ref()).substr(sizeof(uint64_t));
}

void Due::remove_first() {
  ASSERT(!empty());
  const Ref ref = order_.first().ref();
  order_.erase(ref);
  entries_.free(ref);
  next_ = empty() ? Stamp::never() : stamp_of(entries_.key(order_.first().ref()));
}

bool Due::contains(Stamp at, std::string_view item) const {
  std::string key;
  set_key(at, item, key);
  const OrderedIndex::Cursor cursor = order_.at_or_after(key);
  return cursor.valid() && entries_.key(cursor.ref()) == key;
}

}  // namespace quorate::service
