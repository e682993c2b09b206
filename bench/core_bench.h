// SPDX-License-Identifier: Apache-2.0
// The rows of bench core, one function each. Every row starts a cluster of its own in a directory
// of its own, so that rows do not disturb each other and can be run alone.
#pragma once

#include <string>

#include "bench/load.h"
#include "bench/report.h"

namespace quorate::bench {

class CoreBench {
 public:
  CoreBench(Report& report, const Arguments& arguments, std::string directory)
      : report_(report), quick_(arguments.quick), directory_(std::move(directory)) {}

  void put1();
  void put64();
  void bulk1() { bulk(1); }
  void bulk3() { bulk(3); }
  void lease_reads();
  void scale();
  void failover();
  void many_groups();
  void idle_groups();
  void restart();
  void catch_up();
  void idle();

 private:
  void bulk(uint32_t members);
  [[nodiscard]] HostOptions fresh(uint32_t groups);
  [[nodiscard]] Duration span(int64_t full_ms, int64_t quick_ms) const {
    return Duration::millis(quick_ ? quick_ms : full_ms);
  }
  [[nodiscard]] LoadResult load64(uint32_t members, uint32_t groups);
  // Three nodes as processes, and a gateway here that holds nothing and forwards everything.
  struct Outside;
  [[nodiscard]] double groups_throughput(uint32_t groups, std::string& note);
  void add(Row row) { report_.add(std::move(row)); }

  Report& report_;
  const bool quick_;
  const std::string directory_;
  int clusters_ = 0;
  double put64_ = 0;  // of this run, if that row has run
};

}  // namespace quorate::bench
