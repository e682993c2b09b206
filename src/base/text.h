// SPDX-License-Identifier: Apache-2.0
// Text: how bytes that may be anything travel through places that take only text, which both ends
// of a wire need; and what a mistyped word was meant to be, for every face that people type to.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace quorate {

[[nodiscard]] bool is_utf8(std::string_view bytes);

[[nodiscard]] std::string base64_encode(std::string_view bytes);
// Padded or not; nothing for any other character.
[[nodiscard]] std::optional<std::string> base64_decode(std::string_view text);

// Everything but letters, digits and -._~ becomes %XX.
[[nodiscard]] std::string percent_encode(std::string_view bytes);
// Nothing if a percent sign is not followed by two hex digits. In a query, '+' is a space.
[[nodiscard]] std::optional<std::string> percent_decode(std::string_view text,
                                                        bool plus_is_space = false);

// What is closest to `word` by edit distance, if it is close enough to be meant; else empty.
[[nodiscard]] std::string_view closest(std::string_view word,
                                       const std::vector<std::string_view>& known);

}  // namespace quorate
