// SPDX-License-Identifier: Apache-2.0
// A store of sessions: ten thousand connections, one per session, that read and refresh it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/histogram.h"
#include "base/time.h"

namespace quorate::bench {

struct SessionLoad {
  uint32_t sessions = 10'000;
  uint32_t reads_percent = 70;  // the others write the session anew
  uint32_t lifetime_s = 1'800;
  Duration lasts = Duration::seconds(5);       // at each rate
  std::vector<uint32_t> rates = {3'000};       // requests a second, one after the other
  Duration p999_max = Duration::seconds(100);  // a rate that takes longer is the last one
};

struct SessionResult {
  uint32_t per_second = 0;
  Histogram seconds;  // from when a request was due, not from when it could be sent
  uint64_t failed = 0;
};

// `ports_by_slot`: where the leader of each of the 16,384 slots serves Redis clients. The requests
// are due at even distances, whether or not those before them were answered.
// One result per rate; nothing if not all sessions could be begun.
[[nodiscard]] std::vector<SessionResult> run_sessions(const std::vector<uint16_t>& ports_by_slot,
                                                      const SessionLoad& load);

}  // namespace quorate::bench
