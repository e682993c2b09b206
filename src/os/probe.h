// SPDX-License-Identifier: Apache-2.0
// What this machine and this process are like: the time of one sync of a disk, by which every
// durable figure is judged, and what the process uses.
#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"
#include "base/time.h"

namespace quorate::os {

struct SyncProbe {
  int samples = 0;
  Duration p50;
  Duration p90;
  Duration p99;
};

// Overwrites 4 KiB and calls fdatasync, `samples` times, within a written file of 1 MiB that is
// made in `directory` and removed afterwards. Blocking. Before: samples > 0.
[[nodiscard]] Result<SyncProbe> measure_sync(const std::string& directory, int samples);

struct ProcessUsage {
  int pid = 0;
  uint64_t resident_bytes = 0;
  Duration user;  // CPU time
  Duration system;
  uint64_t descriptors = 0;
};

// What cannot be read is zero.
[[nodiscard]] ProcessUsage process_usage();

}  // namespace quorate::os
