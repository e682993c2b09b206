// SPDX-License-Identifier: Apache-2.0
// The benches of services, by the protocols that they are used by, and from inside a process: see
// kv.cc, lock.cc and embedded.cc.
#pragma once

#include "bench/report.h"

namespace quorate::bench {

[[nodiscard]] int run_kv(const Arguments& arguments);
[[nodiscard]] int run_embedded(const Arguments& arguments);
[[nodiscard]] int run_lock(const Arguments& arguments);

}  // namespace quorate::bench
