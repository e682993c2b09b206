// SPDX-License-Identifier: Apache-2.0
// The benches of services, by the protocols that they are used by, and from inside a process: see
// kv.cc, lock.cc and embedded.cc.
#pragma once

#include <string>

#include "bench/report.h"

namespace quorate::bench {

[[nodiscard]] int run_kv(const Arguments& arguments);

// Its rows of what a client of a real node sees while a million keys end, and while a snapshot of a
// million keys is made. Too long for --quick, where each is run by --only.
void run_kv_pauses(Report& report, const Arguments& arguments, const std::string& directory);
[[nodiscard]] int run_embedded(const Arguments& arguments);
[[nodiscard]] int run_lock(const Arguments& arguments);

}  // namespace quorate::bench
