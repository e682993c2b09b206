// SPDX-License-Identifier: Apache-2.0
// One field of a value that is a JSON text, without a tree and without a number type: what an index
// needs of each value that is written.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"

namespace quorate::service {

// What stands at a path. `text` is a number as it is written, or a string without its quotes and
// still with its escapes; a view of the JSON text.
struct JsonScalar {
  enum class Kind : uint8_t { kNone, kNull, kFalse, kTrue, kNumber, kString };
  Kind kind = Kind::kNone;
  std::string_view text = {};
};

// The scalar at `path`: names of fields with dots between them. None if there is no such field, if
// an object or an array stands there, or if the whole of `json` is no JSON text that is at most
// limits::kJsonDepthMax deep. Of fields of one name the last counts.
[[nodiscard]] JsonScalar find_field(std::string_view json, std::string_view path);

// Without escapes, in UTF-8; half a surrogate pair becomes U+FFFD. Before: `text` is that of a
// string that find_field() or parse_scalar() gave.
[[nodiscard]] std::string unescape(std::string_view text);

// A JSON text that is one scalar; none if it is anything else.
[[nodiscard]] JsonScalar parse_scalar(std::string_view json);

// kInvalidArgument unless it is 1 to limits::kKvIndexPathBytesMax bytes with no empty name.
[[nodiscard]] Status check_path(std::string_view path);

}  // namespace quorate::service
