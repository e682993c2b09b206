// SPDX-License-Identifier: Apache-2.0
// The bare limit of a replicated write on this machine, measured in the run that is judged by it.
//
// sync:  one process overwrites 4 KiB of a written file and calls fdatasync.
// round: three processes, each with its own file, over loopback TCP: the first sends 128 bytes to
//        the other two, writes and syncs itself, and is done when one of them has answered that it
//        has written and synced too. Nothing else: no log, no checksum, no state. What a consensus
//        round costs above this is what our code costs.
#pragma once

#include <string>
#include <vector>

namespace quorate::bench {

struct Latency {
  double p50_us = 0;
  double p99_us = 0;
};

// Before: `directory` exists and is writable. Throws nothing; zero figures mean it failed.
[[nodiscard]] Latency measure_bare_sync(const std::string& directory, int rounds);
[[nodiscard]] Latency measure_bare_round(const std::string& directory, int rounds);
[[nodiscard]] Latency latency_of(std::vector<double> micros);

}  // namespace quorate::bench
