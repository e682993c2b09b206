// SPDX-License-Identifier: Apache-2.0
// Table: columns as wide as their widest cell.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace quorate::cli {

// For a terminal: a control character as \x1b, so that a name cannot move the cursor or colour what
// others read.
[[nodiscard]] std::string shown(std::string_view bytes);

// Cells are as shown() gives them. The first `left` columns begin at the left of their place, the
// others end at its right.
[[nodiscard]] std::string table(const std::vector<std::vector<std::string>>& rows,
                                size_t left = SIZE_MAX);

}  // namespace quorate::cli
