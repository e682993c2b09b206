// SPDX-License-Identifier: Apache-2.0
// Content codings: gzip and zstd, for bodies in both directions.
//
// What comes in may be a bomb: it is unpacked only for a request that may be handled, never to more
// than a body may have, and with a window of 8 MiB at most, whatever its head asks for. What goes
// out is packed on the loop, so only where that is short work.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace quorate::edge::http {

enum class Coding { kIdentity, kGzip, kZstd };

// What stands in Content-Encoding; nothing for a coding that is not known here.
[[nodiscard]] std::optional<Coding> coding_of(std::string_view content_encoding);
[[nodiscard]] std::string_view name_of(Coding coding);
// For requests, as an answer's Accept-Encoding says it.
inline constexpr std::string_view kCodingsTaken = "gzip, zstd";

// What the Accept-Encoding of a request likes best: by weight, of equal ones zstd. '*' means gzip,
// unless that is refused: it is what everybody has.
[[nodiscard]] Coding choose_coding(std::string_view accept_encoding);

// False, and `packed` is of no use, unless that takes at least an eighth less.
[[nodiscard]] bool pack(Coding coding, std::string_view body, std::string& packed);

// kTooLarge if the body has more than `bytes_max` bytes; kInvalidArgument if `packed` is not whole.
// Members, or frames, behind each other are one body, as the formats have it.
[[nodiscard]] Result<std::string> unpack(Coding coding, std::string_view packed, size_t bytes_max);

}  // namespace quorate::edge::http
