// SPDX-License-Identifier: Apache-2.0
// MUTANT(name): a deliberate bug, for the mutation table. Tests that never saw a bug prove little;
// each mutant is a plausible mistake at the very place where it would be made, and some test or
// plan must catch it.
//
// Without the build option QUORATE_MUTANTS the macro is the constant false and no trace of the bug
// is left in the binary. With it, one mutant at a time is active: the one that set_mutant() named;
// programs that run tests and plans take its name from the environment variable QUORATE_MUTANT.
#pragma once

#include <string_view>

namespace quorate {

// An empty name: none.
void set_mutant(std::string_view name);
[[nodiscard]] bool mutant_active(std::string_view name);

}  // namespace quorate

#ifdef QUORATE_MUTANTS
#define MUTANT(name) (::quorate::mutant_active(#name))
#else
#define MUTANT(name) false
#endif
