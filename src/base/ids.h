// SPDX-License-Identifier: Apache-2.0
// Strong integers: a term is never mistaken for an index, nor a group for a node.
// Zero is "none" for every identifier; logs begin at index 1 and terms at 1.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace quorate {

template <class Tag, class Rep = uint64_t>
class Strong {
 public:
  using rep = Rep;

  constexpr Strong() = default;
  constexpr explicit Strong(Rep value) : value_(value) {}

  [[nodiscard]] constexpr Rep value() const { return value_; }
  [[nodiscard]] constexpr bool none() const { return value_ == 0; }
  constexpr auto operator<=>(const Strong&) const = default;

  // Positions and counters advance; only the distance between two of a kind has a meaning.
  constexpr Strong& operator++() {
    ++value_;
    return *this;
  }
  [[nodiscard]] constexpr Strong next() const { return Strong(value_ + 1); }
  [[nodiscard]] constexpr Strong previous() const { return Strong(value_ - 1); }
  friend constexpr Strong operator+(Strong a, Rep n) { return Strong(a.value_ + n); }
  friend constexpr Strong operator-(Strong a, Rep n) { return Strong(a.value_ - n); }
  friend constexpr Rep operator-(Strong a, Strong b) { return a.value_ - b.value_; }

 private:
  Rep value_ = 0;
};

using Term = Strong<struct TermTag>;
using Index = Strong<struct IndexTag>;
using GroupId = Strong<struct GroupTag, uint32_t>;
using NodeId = Strong<struct NodeTag, uint32_t>;
using SessionId = Strong<struct SessionTag>;
using Token = Strong<struct TokenTag>;
using Offset = Strong<struct OffsetTag>;
using Revision = Strong<struct RevisionTag>;

}  // namespace quorate

template <class Tag, class Rep>
struct std::hash<quorate::Strong<Tag, Rep>> {
  size_t operator()(quorate::Strong<Tag, Rep> id) const noexcept {
    return std::hash<Rep>{}(id.value());
  }
};
