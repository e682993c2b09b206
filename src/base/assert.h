// SPDX-License-Identifier: Apache-2.0
// ASSERT stays on in release: a broken invariant stops the process before it can spread.
// It is for what our own code guarantees, never for input from a socket or a disk.
#pragma once

namespace quorate {

[[noreturn]] void assert_failed(const char* condition, const char* file, int line,
                                const char* explanation);

// Called with the failure's text just before the process ends, so that the owner of the loop can
// print the state that broke. One hook; the last one set stays.
using AssertHook = void (*)(const char* text);
void set_assert_hook(AssertHook hook);

}  // namespace quorate

#define QUORATE_ASSERT_PICK(_1, _2, NAME, ...) NAME
#define QUORATE_ASSERT_1(condition) QUORATE_ASSERT_2(condition, "")
#define QUORATE_ASSERT_2(condition, explanation)                                \
  do {                                                                          \
    if (!(condition)) [[unlikely]] {                                            \
      ::quorate::assert_failed(#condition, __FILE__, __LINE__, (explanation));  \
    }                                                                           \
  } while (false)
#define ASSERT(...) \
  QUORATE_ASSERT_PICK(__VA_ARGS__, QUORATE_ASSERT_2, QUORATE_ASSERT_1)(__VA_ARGS__)
