// SPDX-License-Identifier: Apache-2.0
// Arguments: numbers, durations, bytes and JSON fields read from requests, with errors that name
// what was wrong, and what answers have in common. Bindings use these, so that all of them complain
// and answer alike.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <deque>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "base/time.h"
#include "edge/http/wire/json.h"
#include "edge/http/wire/message.h"
#include "edge/http/wire/router.h"
#include "service/proposer.h"

namespace quorate::edge::http {

// Holds the bytes that JSON fields decode to, for as long as the commands that view them.
using Arena = std::deque<std::string>;

// What every call of a service takes.
struct CallOptions {
  service::CommandKey key = {};        // Idempotency-Key
  Duration timeout = {};
  const Caller* caller = nullptr;
};

[[nodiscard]] Result<CallOptions> read_call_options(const Request& request);
// consistency and bound.
[[nodiscard]] Result<service::ReadMode> read_mode(const Request& request);
[[nodiscard]] Result<bool> read_flag(const Request& request, std::string_view name);

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
[[nodiscard]] Status check_query(const Request& request, const RouteText& text);

// The body as a JSON object; an empty body is an empty object.
[[nodiscard]] Result<boost::json::object> parse_object(std::string_view body);
// A body that is an object of these fields.
[[nodiscard]] Result<boost::json::object> read_body(const Request& request,
                                                    std::initializer_list<std::string_view> fields);
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

// "name" as text or "name_base64"; nothing if neither is there.
[[nodiscard]] Result<std::optional<std::string_view>> bytes_field(
    const boost::json::object& object, std::string_view name, Arena& arena);

// Bytes that are not text become "name_base64".
void write_bytes(std::string_view name, std::string_view bytes, JsonWriter& json);
void add_origin(const service::Origin& origin, Response& response);
// With the origin, if it was somebody who refused, rather than nobody who answered.
void fail_from(const Responder& responder, const Status& status, const service::Origin& origin);

}  // namespace quorate::edge::http
