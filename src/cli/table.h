// SPDX-License-Identifier: Apache-2.0
// Table: columns as wide as their widest cell.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace quorate::cli {

// The first `left` columns begin at the left of their place, the others end at its right.
[[nodiscard]] std::string table(const std::vector<std::vector<std::string>>& rows,
                                size_t left = SIZE_MAX);

}  // namespace quorate::cli
