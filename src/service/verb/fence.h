// SPDX-License-Identifier: Apache-2.0
// Fence: the condition under which the holder of a lock writes: "unless somebody to whom the lock
// was granted later has written here".
//
// No lock can stop a holder that slept through its lease; what he writes to can. Whoever keeps such
// state remembers of each lock the greatest token that came with a write, and refuses smaller ones.
// A lock and what it guards mostly live in different groups, so nobody asks the lock: what counts
// is what came here, which every replica knows alike.
//
//   holder of 33     paused past his lease ............ write, fence 33: refused
//   holder of 34              write, fence 34: done
//
// The condition, its bytes, what is remembered and the rule stand here, for every service whose
// writes can be fenced; the service keeps the marks among its own records.
//
//   fence     = domain varint, lock bytes, token varint
//   mark      = greatest token varint, end stamp; its name: domain varint, lock
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/codec.h"
#include "base/ids.h"
#include "base/status.h"
#include "base/time.h"

namespace quorate::service {

// A set of locks that live together in one group.
using DomainId = Strong<struct DomainTag, uint32_t>;

struct Fence {
  DomainId domain = {};
  std::string_view lock = {};
  Token token = {};

  // There is no condition.
  [[nodiscard]] bool none() const { return lock.empty() && token.none(); }
  bool operator==(const Fence&) const = default;
};

void write_fields(Writer& writer, const Fence& fence);
void read_fields(Reader& reader, Fence& fence);
// Whether it names a lock that there can be, and a token.
[[nodiscard]] Status check_fence(const Fence& fence);

// How long the greatest token is remembered after its last use: longer than any process sleeps that
// is still to wake up with a request in its hands.
inline constexpr Duration kFenceKept = Duration::seconds(int64_t{7} * 24 * 3'600);

// What is remembered of one lock, and until when: so that locks which nobody uses any more are
// forgotten.
struct FenceMark {
  Token greatest = {};
  Stamp end = {};
  bool operator==(const FenceMark&) const = default;
};

[[nodiscard]] std::string mark_name(const Fence& fence);
[[nodiscard]] std::string encode_mark(const FenceMark& mark);
// Of bytes that may be anything.
[[nodiscard]] bool parse_mark(std::string_view record, FenceMark& mark);

// Before: `record` was made by encode_mark().
[[nodiscard]] FenceMark mark_of(std::string_view record);

// What is to be remembered from now on, which often is `before`; or precondition_failed, with both
// tokens, if a greater one came before. `before` has the token zero if nothing is remembered.
[[nodiscard]] Result<FenceMark> pass(const Fence& fence, const FenceMark& before, Stamp at);

}  // namespace quorate::service
