// SPDX-License-Identifier: Apache-2.0
// The configuration file's text, taken apart; what the keys mean is in config.h.
//
//   # a comment
//   [http]                                   the section goes before its keys: http.listen
//   listen = "0.0.0.0:8001"                  quotes around text; \" \\ \n \t inside
//   connections_max = 20000                  numbers and true/false stand bare
//   [cluster]
//   nodes = ["1=10.0.0.1:9001",              a list may span lines
//            "2=10.0.0.2:9001"]
//
// This is a subset of TOML: every such file is TOML, and what is not understood is an error with
// its line, never skipped.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace quorate::server {

struct Setting {
  std::string name;                  // with its section: "http.listen"
  std::vector<std::string> values;   // one, unless it is a list
  bool list = false;
  std::string origin;                // for errors: "quorate.conf:12", "--http-listen"
};

// `file` is its name, for the origins. Fails at the first line that cannot be read.
[[nodiscard]] Result<std::vector<Setting>> parse_config_file(std::string_view text,
                                                             std::string_view file);

}  // namespace quorate::server
