// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"

#include <cstdio>
#include <cstdlib>

namespace quorate {
namespace {
AssertHook hook = nullptr;
}

void set_assert_hook(AssertHook replacement) { hook = replacement; }

void assert_failed(const char* condition, const char* file, int line, const char* explanation) {
  char text[1024];
  std::snprintf(text, sizeof(text), "%s:%d: broken invariant: %s%s%s", file, line, condition,
                *explanation ? ": " : "", explanation);
  std::fprintf(stderr, "%s\n", text);
  if (hook != nullptr) {
    hook(text);
  }
  std::abort();
}

}  // namespace quorate
