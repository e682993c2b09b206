// SPDX-License-Identifier: Apache-2.0
#include "edge/http/kv_arguments.h"

#include <array>
#include <boost/json/array.hpp>
#include <boost/json/value.hpp>

#include "base/limits.h"
#include "base/text.h"
#include "edge/http/arguments.h"

namespace quorate::edge::http {

namespace json = boost::json;
namespace kv = service::kv;

namespace {

constexpr Duration kTimeoutDefault = Duration::seconds(10);
constexpr Duration kTimeoutMost = Duration::seconds(300);

struct ConsistencyRow {
  std::string_view name;
  service::Consistency value;
};
constexpr std::array<ConsistencyRow, 4> kConsistencies = {{
    {"linearizable", service::Consistency::kLinearizable},
    {"follower", service::Consistency::kFollower},
    {"bounded", service::Consistency::kBounded},
    {"eventual", service::Consistency::kEventual},
}};

Status wrong(std::string text) { return Status(Code::kInvalidArgument, std::move(text)); }

Result<Duration> read_timeout(const Request& request) {
  const auto text = argument(request, "timeout", "Quorate-Timeout");
  if (!text) {
    return kTimeoutDefault;
  }
  const Result<Duration> timeout = parse_duration(*text, "timeout");
  RETURN_IF_ERROR(timeout);
  if (*timeout == Duration() || *timeout > kTimeoutMost) {
    return wrong("'timeout' must be more than nothing and at most 300s");
  }
  return timeout;
}

// An entity tag is a version in quotes.
Result<kv::Condition> version_condition(std::string_view text, std::string_view name) {
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') {
    text = text.substr(1, text.size() - 2);
  }
  const Result<uint64_t> version = parse_number(text, name);
  RETURN_IF_ERROR(version);
  return kv::Condition{kv::Condition::Kind::kVersion, *version};
}

}  // namespace

Result<kv::WriteOptions> read_write_options(const Request& request) {
  kv::WriteOptions options;
  const Result<Duration> timeout = read_timeout(request);
  RETURN_IF_ERROR(timeout);
  options.timeout = *timeout;
  if (const auto key = request.header("Idempotency-Key")) {
    if (key->empty() || key->size() > 256) {
      return wrong("Idempotency-Key must have from 1 to 256 characters");
    }
    options.key = service::CommandKey::of(*key);
  }
  return options;
}

Result<kv::ReadOptions> read_read_options(const Request& request) {
  kv::ReadOptions options;
  const Result<Duration> timeout = read_timeout(request);
  RETURN_IF_ERROR(timeout);
  options.timeout = *timeout;
  const auto name = argument(request, "consistency", "Quorate-Consistency");
  const auto bound = argument(request, "bound", "Quorate-Bound");
  if (name) {
    const ConsistencyRow* found = nullptr;
    for (const ConsistencyRow& row : kConsistencies) {
      found = row.name == *name ? &row : found;
    }
    if (found == nullptr) {
      return wrong("'consistency' must be linearizable, follower, bounded or eventual");
    }
    options.mode.consistency = found->value;
  }
  if ((options.mode.consistency == service::Consistency::kBounded) != bound.has_value()) {
    return wrong("'bound' goes with consistency=bounded, and is needed there");
  }
  if (bound) {
    const Result<Duration> duration = parse_duration(*bound, "bound");
    RETURN_IF_ERROR(duration);
    options.mode.bound = *duration;
  }
  return options;
}

Result<bool> read_flag(const Request& request, std::string_view name) {
  const auto text = request.query_value(name);
  return text ? parse_flag(*text, name) : Result<bool>(false);
}

Result<kv::Lifetime> read_lifetime(const Request& request) {
  const Result<bool> keep = read_flag(request, "keep_ttl");
  RETURN_IF_ERROR(keep);
  const auto text = argument(request, "ttl", "Quorate-Ttl");
  if (!text) {
    return *keep ? kv::Lifetime::keep() : kv::Lifetime();
  }
  if (*keep) {
    return wrong("'ttl' and 'keep_ttl' exclude each other");
  }
  const Result<Duration> ttl = parse_duration(*text, "ttl");
  RETURN_IF_ERROR(ttl);
  return kv::Lifetime::lasting(*ttl);
}

Result<kv::Condition> read_condition(const Request& request) {
  std::vector<kv::Condition> found;
  const Result<bool> absent = read_flag(request, "if_absent");
  const Result<bool> present = read_flag(request, "if_present");
  RETURN_IF_ERROR(absent);
  RETURN_IF_ERROR(present);
  const auto none_match = request.header("If-None-Match");
  const auto match = request.header("If-Match");
  if (none_match && *none_match != "*") {
    return wrong("If-None-Match takes only * in a write");
  }
  if (*absent || none_match) {
    found.push_back({kv::Condition::Kind::kAbsent});
  }
  if (*present || (match && *match == "*")) {
    found.push_back({kv::Condition::Kind::kPresent});
  }
  const auto version = request.query_value("if_version");
  if (version || (match && *match != "*")) {
    const Result<kv::Condition> condition =
        version ? version_condition(*version, "if_version") : version_condition(*match, "If-Match");
    RETURN_IF_ERROR(condition);
    found.push_back(*condition);
  }
  if (found.size() > 1) {
    return wrong("give one condition only");
  }
  return found.empty() ? kv::Condition() : found[0];
}

Result<std::optional<std::string_view>> bytes_field(const json::object& object,
                                                    std::string_view name, Arena& arena) {
  const std::string coded_name = std::string(name) + "_base64";
  Result<std::optional<std::string>> text = text_field(object, name);
  RETURN_IF_ERROR(text);
  const Result<std::optional<std::string>> coded = text_field(object, coded_name);
  RETURN_IF_ERROR(coded);
  if (text->has_value() && coded->has_value()) {
    return wrong("give '" + std::string(name) + "' or '" + coded_name + "', not both");
  }
  if (text->has_value()) {
    arena.push_back(std::move(**text));
    return std::optional<std::string_view>(arena.back());
  }
  if (!coded->has_value()) {
    return std::optional<std::string_view>();
  }
  std::optional<std::string> bytes = base64_decode(**coded);
  if (!bytes) {
    return wrong("'" + coded_name + "' is not base64");
  }
  arena.push_back(std::move(*bytes));
  return std::optional<std::string_view>(arena.back());
}

Result<std::vector<std::string_view>> read_keys(const json::object& object, Arena& arena) {
  const json::value* list = object.if_contains("keys");
  if (list == nullptr || !list->is_array()) {
    return wrong("'keys' must be a list");
  }
  std::vector<std::string_view> keys;
  keys.reserve(list->get_array().size());
  for (const json::value& entry : list->get_array()) {
    if (entry.is_string()) {
      arena.emplace_back(entry.get_string());
      keys.push_back(arena.back());
      continue;
    }
    if (!entry.is_object()) {
      return wrong("each of 'keys' must be a string, or an object with 'key' or 'key_base64'");
    }
    RETURN_IF_ERROR(check_fields(entry.get_object(), {"key", "key_base64"}));
    const Result<std::optional<std::string_view>> key =
        bytes_field(entry.get_object(), "key", arena);
    RETURN_IF_ERROR(key);
    if (!key->has_value()) {
      return wrong("one of 'keys' has no key");
    }
    keys.push_back(**key);
  }
  return keys;
}

Result<kv::PutMany::Item> read_item(const json::value& value, Arena& arena) {
  if (!value.is_object()) {
    return wrong("each of 'items' must be an object");
  }
  const json::object& object = value.get_object();
  RETURN_IF_ERROR(check_fields(object, {"key", "key_base64", "value", "value_base64", "ttl"}));
  const Result<std::optional<std::string_view>> key = bytes_field(object, "key", arena);
  const Result<std::optional<std::string_view>> bytes = bytes_field(object, "value", arena);
  const Result<std::optional<Duration>> ttl = duration_field(object, "ttl");
  RETURN_IF_ERROR(key);
  RETURN_IF_ERROR(bytes);
  RETURN_IF_ERROR(ttl);
  if (!key->has_value() || !bytes->has_value()) {
    return wrong("each of 'items' needs a key and a value");
  }
  kv::PutMany::Item item;
  item.key = **key;
  item.value = **bytes;
  item.lifetime = ttl->has_value() ? kv::Lifetime::lasting(**ttl) : kv::Lifetime();
  return item;
}

void write_bytes(std::string_view name, std::string_view bytes, JsonWriter& json) {
  if (is_utf8(bytes)) {
    json.field(name, bytes);
  } else {
    json.field(std::string(name) + "_base64", std::string_view(base64_encode(bytes)));
  }
}

void write_expiry(Stamp expires, Stamp now, JsonWriter& json) {
  if (expires == Stamp::never()) {
    json.key("expires_at_ms").null().key("ttl_ms").null();
    return;
  }
  json.field("expires_at_ms", expires.millis());
  json.field("ttl_ms", expires > now ? (expires - now).millis() : int64_t{0});
}

void write_item(const kv::Item& item, bool with_value, Stamp now, JsonWriter& json) {
  if (with_value) {
    write_bytes("value", item.value, json);
  }
  json.field("version", item.version).field("created", item.created.value());
  json.field("modified", item.modified.value()).field("bytes", item.value_bytes);
  write_expiry(item.expires, now, json);
}

void add_origin(const service::Origin& origin, Response& response) {
  response.headers.emplace_back("Quorate-Group", std::to_string(origin.group.value()));
  response.headers.emplace_back("Quorate-Index", std::to_string(origin.index.value()));
  response.headers.emplace_back("Quorate-Node", std::to_string(origin.node.value()));
  response.headers.emplace_back("Quorate-Staleness-Ms", std::to_string(origin.staleness.millis()));
}

}  // namespace quorate::edge::http
