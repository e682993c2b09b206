// SPDX-License-Identifier: Apache-2.0
// Fence: the condition for a write under a lock: only if no holder with a greater token has written
// there. What that gives, and what not: docs/guide/locks.md.
#pragma once

#include <cstdint>
#include <string>

namespace quorate {

struct Fence {
  std::string lock = {};
  uint64_t token = 0;  // zero: no condition
  uint32_t domain = 0;
};

}  // namespace quorate
