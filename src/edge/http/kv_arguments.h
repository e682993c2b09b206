// SPDX-License-Identifier: Apache-2.0
// What the rows of bind_kv read from requests and write into answers. Internal to the folder.
#pragma once

#include <boost/json/object.hpp>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "base/time.h"
#include "edge/http/wire/json.h"
#include "edge/http/wire/message.h"
#include "service/kv/api.h"

namespace quorate::edge::http {

// Idempotency-Key and timeout.
[[nodiscard]] Result<service::kv::WriteOptions> read_write_options(const Request& request);
// consistency, bound and timeout.
[[nodiscard]] Result<service::kv::ReadOptions> read_read_options(const Request& request);
// ttl (or the header Quorate-Ttl) and keep_ttl.
[[nodiscard]] Result<service::kv::Lifetime> read_lifetime(const Request& request);
// if_absent (If-None-Match: *), if_present (If-Match: *), if_version (If-Match: "3").
[[nodiscard]] Result<service::kv::Condition> read_condition(const Request& request);
[[nodiscard]] Result<bool> read_flag(const Request& request, std::string_view name);

// Holds the bytes that JSON fields decode to, for as long as the commands that view them.
using Arena = std::deque<std::string>;

// "name" as text or "name_base64"; nothing if neither is there.
[[nodiscard]] Result<std::optional<std::string_view>> bytes_field(
    const boost::json::object& object, std::string_view name, Arena& arena);
// A list of keys: each a string, or {"key"} or {"key_base64"}.
[[nodiscard]] Result<std::vector<std::string_view>> read_keys(const boost::json::object& object,
                                                              Arena& arena);
[[nodiscard]] Result<service::kv::PutMany::Item> read_item(const boost::json::value& value,
                                                           Arena& arena);

void write_bytes(std::string_view name, std::string_view bytes, JsonWriter& json);
void write_expiry(Stamp expires, Stamp now, JsonWriter& json);
// The fields of an item, without braces.
void write_item(const service::kv::Item& item, bool with_value, Stamp now, JsonWriter& json);
void add_origin(const service::Origin& origin, Response& response);

}  // namespace quorate::edge::http
