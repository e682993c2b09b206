// SPDX-License-Identifier: Apache-2.0
// The benches alone, without the server: quorate-bench core --quick.
#include "bench/bench.h"

int main(int argc, char** argv) {
  const bool named = argc >= 2 && argv[1][0] == 'b';  // as a child: "quorate bench node ..."
  return quorate::bench::bench_main(named ? argc - 1 : argc, named ? argv + 1 : argv);
}
