// SPDX-License-Identifier: Apache-2.0
// What the rows of bind_kv read from requests and write into answers. Internal to the folder.
#pragma once

#include <boost/json/object.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "base/time.h"
#include "edge/http/arguments.h"
#include "edge/http/wire/json.h"
#include "edge/http/wire/message.h"
#include "service/kv/api.h"

namespace quorate::edge::http {

// Idempotency-Key, timeout, fence (or the header Quorate-Fence) and fence_domain.
[[nodiscard]] Result<service::kv::WriteOptions> read_write_options(const Request& request);
// consistency, bound and timeout.
[[nodiscard]] Result<service::kv::ReadOptions> read_read_options(const Request& request);
// ttl (or the header Quorate-Ttl) and keep_ttl.
[[nodiscard]] Result<service::kv::Lifetime> read_lifetime(const Request& request);
// if_absent (If-None-Match: *), if_present (If-Match: *), if_version (If-Match: "3"), if_modified,
// if_value, if_value_base64; the arena holds the last.
[[nodiscard]] Result<service::kv::Condition> read_condition(const Request& request, Arena& arena);

// The field "fence", with lock, token and domain; what `options` has if there is none.
[[nodiscard]] Status read_fence(const boost::json::object& object, Arena& arena,
                                service::kv::WriteOptions& options);

// A list of keys: each a string, or {"key"} or {"key_base64"}.
[[nodiscard]] Result<std::vector<std::string_view>> read_keys(const boost::json::object& object,
                                                              Arena& arena);
// The same conditions as fields of a JSON object.
[[nodiscard]] Result<service::kv::Condition> read_condition(const boost::json::object& object,
                                                            Arena& arena);
// "prefix", or "start" and "end": the range between them, whose views live in the arena.
[[nodiscard]] Result<service::kv::Range> read_range(const boost::json::object& object,
                                                    Arena& arena);
[[nodiscard]] Result<service::kv::Touch::When> parse_when(std::string_view text);
[[nodiscard]] Result<service::kv::PutMany::Item> read_item(const boost::json::value& value,
                                                           Arena& arena);

[[nodiscard]] std::string_view name_of(service::kv::Change::Kind kind);
void write_expiry(Stamp expires, Stamp now, JsonWriter& json);
// The fields of an item, without braces; of one that is a hash also those.
void write_item(const service::kv::Item& item, bool with_value, Stamp now, JsonWriter& json);

}  // namespace quorate::edge::http
