// SPDX-License-Identifier: Apache-2.0
// StartFiles: what a start of a server reads and writes besides its configuration, looked at
// beforehand.
#pragma once

#include <optional>
#include <string>

#include "base/status.h"

namespace quorate::server {

struct StartFiles {
  std::string data;            // the directory
  std::string authority = {};  // PEM files, all three or none
  std::string certificate = {};
  std::string key = {};
  std::optional<std::string> root_token = {};  // if access is controlled; may be empty
};

// Certificates that can be read and fit their key, a root token that only its owner may read, a
// directory that can be written. All problems at once, one per line. Changes nothing.
[[nodiscard]] Status check_files(const StartFiles& files);

}  // namespace quorate::server
