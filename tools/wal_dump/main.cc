// SPDX-License-Identifier: Apache-2.0
// quorate-wal-dump: prints what a log or a snapshot directory holds. Reads only; safe on a copy,
// and on the files of a stopped node. Ends with 0 if nothing is damaged, 1 if something is, 2 if
// it cannot be told.
#include <charconv>
#include <iostream>
#include <string_view>

#include "tools/wal_dump/dump.h"

namespace {

constexpr std::string_view kUsage =
    "usage: quorate-wal-dump [--json] [--payloads] [--group N] PATH...\n"
    "  PATH        a wal or snapshots directory, or one file of it\n"
    "  --json      one JSON object per line\n"
    "  --payloads  the first bytes of each entry, in hexadecimal\n"
    "  --group N   only what is said of group N\n";

bool parse_group(std::string_view text, quorate::wal::DumpOptions& options) {
  uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  options.group = quorate::GroupId(number);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

int main(int argc, char** argv) {
  quorate::wal::DumpOptions options;
  std::vector<std::string> paths;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "--json") {
      options.json = true;
    } else if (word == "--payloads") {
      options.payloads = true;
    } else if (word == "--group" && i + 1 < argc && parse_group(argv[i + 1], options)) {
      ++i;
    } else if (word.starts_with("-")) {
      std::cerr << kUsage;
      return 2;
    } else {
      paths.emplace_back(word);
    }
  }
  if (paths.empty()) {
    std::cerr << kUsage;
    return 2;
  }
  size_t damages = 0;
  for (const std::string& path : paths) {
    const auto dump = quorate::wal::dump_path(path, options);
    if (!dump.ok()) {
      std::cerr << dump.status().to_string() << "\n";
      return 2;
    }
    std::cout << dump->text;
    damages += dump->damages;
  }
  return damages == 0 ? 0 : 1;
}
