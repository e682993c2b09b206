// SPDX-License-Identifier: Apache-2.0
// The version of this build, from the project's CMake file.
#pragma once

#include <string_view>

namespace quorate::server {

inline constexpr std::string_view kVersion = QUORATE_VERSION;

}  // namespace quorate::server
