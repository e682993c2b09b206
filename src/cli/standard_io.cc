// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <iostream>
#include <iterator>

#include "cli/commands.h"

namespace quorate::cli {

Io standard_io() {
  Io io;
  io.out = [](std::string_view text) {
    std::cout.write(text.data(), static_cast<std::streamsize>(text.size())).flush();
  };
  io.error = [](std::string_view text) {
    std::cerr.write(text.data(), static_cast<std::streamsize>(text.size())).flush();
  };
  io.read_input = [] {
    return std::string{std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>()};
  };
  io.out_is_terminal = isatty(STDOUT_FILENO) == 1;
  return io;
}

}  // namespace quorate::cli
