// SPDX-License-Identifier: Apache-2.0
// The command "quorate bench ...".
#pragma once

namespace quorate::bench {

// argv[0] is "bench".
[[nodiscard]] int bench_main(int argc, char** argv);

}  // namespace quorate::bench
