// SPDX-License-Identifier: Apache-2.0
// quorate audit: looks at audit logs, without a server.
#include <fstream>
#include <iostream>
#include <iterator>

#include "server/access/audit.h"
#include "server/commands.h"

namespace quorate::server {
namespace {

constexpr std::string_view kHelp = R"(quorate audit verify FILE...

Checks that no line of an audit log was changed, removed or put in. A node writes
DATA/audit.log and keeps older ones as DATA/audit-N.log; give them in their order:

  quorate audit verify data/audit-81234.log data/audit.log

Prints the first and the last line's number and the last chain. That the newest lines were cut off
shows only by comparison with a chain kept elsewhere: GET /access/audit tells it.
Exit codes: 0 whole; 1 tampered with, or it cannot be read; 2 wrong usage.
)";

}  // namespace

int audit_main(const Words& words) {
  const bool helps =
      !words.empty() && (words[0] == "help" || words[0] == "--help" || words[0] == "-h");
  if (helps) {
    std::cout << kHelp;
    return 0;
  }
  if (words.size() < 2 || words[0] != "verify") {
    std::cerr << kHelp;
    return 2;
  }
  std::string text;
  for (size_t i = 1; i < words.size(); ++i) {
    std::ifstream file(words[i], std::ios::binary);
    if (!file) {
      std::cerr << "quorate: " << words[i] << " cannot be read\n";
      return 1;
    }
    text.append(std::istreambuf_iterator<char>(file), {});
  }
  const Result<AuditReport> report = verify_audit(text);
  if (!report.ok()) {
    std::cerr << "quorate: " << report.status().message() << "\n";
    return 1;
  }
  std::cout << "whole: lines " << report->first << " to " << report->last << ", chain "
            << report->chain << "\n";
  return 0;
}

}  // namespace quorate::server
