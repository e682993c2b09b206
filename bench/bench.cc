// SPDX-License-Identifier: Apache-2.0
#include "bench/bench.h"

#include <cstdio>
#include <string_view>

#include "bench/core.h"
#include "bench/host.h"
#include "bench/kv.h"
#include "os/heap.h"

namespace quorate::bench {
namespace {

constexpr const char* kHelp =
    "usage: quorate bench NAME [--quick] [--json FILE] [--only ID] [--dir DIRECTORY]\n"
    "\n"
    "  core        the consensus core: latency, throughput, failover, many groups, restart\n"
    "  kv          keys and values by the Redis protocol, beside Redis itself\n"
    "  embedded    one caller inside a node's process, at one to seven nodes\n"
    "  lock        locks over HTTP and by RESP: rates, hand-over, deadlocks, failover\n"
    "\n"
    "  --quick     end within 40 seconds; the figures are rougher\n"
    "  --json      also write {\"machine\": ..., \"rows\": [...]} to FILE\n"
    "  --only      run one row\n"
    "  --dir       where the nodes keep their data (default: ./bench-data); use a real disk\n";

int usage(const char* complaint) {
  std::fprintf(stderr, "%s\n\n%s", complaint, kHelp);
  return 2;
}

}  // namespace

int bench_main(int argc, char** argv) {
  os::keep_freed_memory();  // as a server does
  if (argc >= 2 && std::string_view(argv[1]) == "node") {
    return node_main(argc, argv);
  }
  if (argc < 2 || std::string_view(argv[1]) == "--help" || std::string_view(argv[1]) == "help") {
    std::printf("%s", kHelp);
    return argc < 2 ? 2 : 0;
  }
  Arguments arguments;
  arguments.name = argv[1];
  for (int i = 2; i < argc; ++i) {
    const std::string_view word = argv[i];
    const bool has_next = i + 1 < argc;
    if (word == "--quick") {
      arguments.quick = true;
    } else if (word == "--json" && has_next) {
      arguments.json = argv[++i];
    } else if (word == "--only" && has_next) {
      arguments.only = argv[++i];
    } else if (word == "--dir" && has_next) {
      arguments.directory = argv[++i];
    } else {
      return usage(("bench: unknown or incomplete option " + std::string(word)).c_str());
    }
  }
  if (arguments.name == "core") {
    return run_core(arguments);
  }
  if (arguments.name == "kv") {
    return run_kv(arguments);
  }
  if (arguments.name == "embedded") {
    return run_embedded(arguments);
  }
  if (arguments.name == "lock") {
    return run_lock(arguments);
  }
  return usage(("bench: there is no bench called " + arguments.name).c_str());
}

}  // namespace quorate::bench
