// SPDX-License-Identifier: Apache-2.0
// Arguments: numbers, durations and JSON fields read from requests, with errors that name what was
// wrong. Bindings use these, so that all of them complain alike.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "base/time.h"
#include "edge/http/wire/message.h"

namespace quorate::edge::http {

[[nodiscard]] Result<uint64_t> parse_number(std::string_view text, std::string_view name);
// "1500ms", "30s", "10m", "2h", "7d"; a bare number is seconds.
[[nodiscard]] Result<Duration> parse_duration(std::string_view text, std::string_view name);
// "true", "1" or nothing at all ("?force") is true; "false" and "0" are false.
[[nodiscard]] Result<bool> parse_flag(std::string_view text, std::string_view name);

// The query parameter `name`, or else the header; nothing if neither is there.
[[nodiscard]] std::optional<std::string_view> argument(const Request& request,
                                                       std::string_view name,
                                                       std::string_view header = {});

// Refuses query parameters that are not in `known`, so that a typing error is not silently ignored.
[[nodiscard]] Status check_query(const Request& request,
                                 std::initializer_list<std::string_view> known);

// The body as a JSON object; an empty body is an empty object.
[[nodiscard]] Result<boost::json::object> parse_object(std::string_view body);
[[nodiscard]] Status check_fields(const boost::json::object& object,
                                  std::initializer_list<std::string_view> known);
// Fields that may be missing.
[[nodiscard]] Result<std::optional<std::string>> text_field(const boost::json::object& object,
                                                            std::string_view name);
[[nodiscard]] Result<std::optional<uint64_t>> number_field(const boost::json::object& object,
                                                           std::string_view name);
[[nodiscard]] Result<std::optional<bool>> flag_field(const boost::json::object& object,
                                                     std::string_view name);
// A number of seconds, or text as parse_duration takes it.
[[nodiscard]] Result<std::optional<Duration>> duration_field(const boost::json::object& object,
                                                             std::string_view name);

}  // namespace quorate::edge::http
