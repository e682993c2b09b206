// SPDX-License-Identifier: Apache-2.0
#include "os/heap.h"

#include <malloc.h>

#include "base/assert.h"

namespace quorate::os {

void keep_freed_memory() {
  // Setting one ends the allocator's own adjustment of the other, so the greatest that it would
  // come to by itself is set as well: larger blocks come from the system and go back to it.
  constexpr int kMappedBytesMin = 32 * 1024 * 1024;
  const bool was_set =
      ::mallopt(M_TRIM_THRESHOLD, -1) == 1 && ::mallopt(M_MMAP_THRESHOLD, kMappedBytesMin) == 1;
  ASSERT(was_set, "both are within what the allocator takes");
}

}  // namespace quorate::os
