// SPDX-License-Identifier: Apache-2.0
// Heap: what the process's allocator does with memory that was freed.
//
// By itself it gives the end of its heap back to the system as soon as nothing is in use there, all
// of it within the one free() that made it so: after a million keys have ended that is one free of
// many milliseconds, on the loop. Kept, it costs nothing to free, and the next keys find it there.
#pragma once

namespace quorate::os {

// For the whole process and for good; before its loops begin. A library does not do so: the heap is
// its program's.
void keep_freed_memory();

}  // namespace quorate::os
