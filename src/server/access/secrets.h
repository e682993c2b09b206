// SPDX-License-Identifier: Apache-2.0
// Secrets: how passwords and tokens are made, kept and compared. Nothing here is ever logged.
//
//   a token's hash      "sha256$<hex>": a token is 256 random bits, which nobody guesses
//   a password's hash   "scrypt$<log2 n>$<r>$<p>$<salt>$<hash>", base64: slow on purpose, some tens
//                       of milliseconds and 16 MiB a try
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace quorate::server {

[[nodiscard]] std::string sha256(std::string_view bytes);  // 32 bytes
[[nodiscard]] std::string hex(std::string_view bytes);
[[nodiscard]] std::string random_bytes(size_t size);  // of the system's generator

// Takes as long whatever the difference.
[[nodiscard]] bool equal_in_constant_time(std::string_view left, std::string_view right);

[[nodiscard]] std::string hash_token(std::string_view secret);
// Slow: not on a loop.
[[nodiscard]] Result<std::string> hash_password(std::string_view password);
[[nodiscard]] bool password_matches(std::string_view password, std::string_view hash);

}  // namespace quorate::server
