// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <iterator>

#include "cli/commands.h"

namespace quorate::cli {

Io standard_io() {
  Io io;
  // What could not be written must not look as if it had been: a full disk ends the command.
  io.out = [](std::string_view text) {
    if (!std::cout.write(text.data(), static_cast<std::streamsize>(text.size())).flush()) {
      std::cerr << "quorate: cannot write to standard output: " << std::strerror(errno) << "\n";
      std::exit(static_cast<int>(Exit::kRefused));
    }
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
