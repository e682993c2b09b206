// SPDX-License-Identifier: Apache-2.0
// bench core: see core.cc.
#pragma once

#include "bench/report.h"

namespace quorate::bench {

[[nodiscard]] int run_core(const Arguments& arguments);

}  // namespace quorate::bench
