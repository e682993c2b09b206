// SPDX-License-Identifier: Apache-2.0
// The mutation table: deliberate bugs, and how soon some plan must catch each. A mutant that lives
// past its bound means that the checkers are blind there.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "sim/plan.h"

namespace quorate::sim {

struct MutantRow {
  std::string_view name;      // as in MUTANT(name)
  std::string_view plan;      // where it shows
  uint64_t bound;             // seeds of that plan within which it must be caught
  std::string_view mistake;
};

[[nodiscard]] std::span<const MutantRow> mutant_table();

// Runs the table and prints it; the number of survivors.
[[nodiscard]] size_t run_mutants(const std::vector<Plan>& plans, std::string_view only,
                                 size_t jobs);

}  // namespace quorate::sim
