// SPDX-License-Identifier: Apache-2.0
#include "edge/http/kv_arguments.h"

#include <array>
#include <boost/json/array.hpp>
#include <boost/json/value.hpp>

#include "base/limits.h"
#include "base/text.h"
#include "edge/http/arguments.h"
#include "service/value/hash_value.h"

namespace quorate::edge::http {

namespace json = boost::json;
namespace kv = service::kv;

namespace {

Status wrong(std::string text) { return Status(Code::kInvalidArgument, std::move(text)); }

// An entity tag is a version in quotes.
Result<kv::Condition> version_condition(std::string_view text, std::string_view name) {
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') {
    text = text.substr(1, text.size() - 2);
  }
  const Result<uint64_t> version = parse_number(text, name);
  RETURN_IF_ERROR(version);
  return kv::Condition{kv::Condition::Kind::kVersion, *version};
}

Result<kv::Condition> the_only(const std::vector<kv::Condition>& found) {
  if (found.size() > 1) {
    return wrong("give one condition only");
  }
  return found.empty() ? kv::Condition() : found[0];
}

Status read_value_condition(const Request& request, Arena& arena,
                            std::vector<kv::Condition>& found) {
  const auto text = request.query_value("if_value");
  const auto coded = request.query_value("if_value_base64");
  if (text) {
    found.push_back({.kind = kv::Condition::Kind::kValue, .value = *text});
  }
  if (coded) {
    std::optional<std::string> bytes = base64_decode(*coded);
    if (!bytes) {
      return wrong("'if_value_base64' is not base64");
    }
    arena.push_back(std::move(*bytes));
    found.push_back({.kind = kv::Condition::Kind::kValue, .value = arena.back()});
  }
  return Status::success();
}

// LOCK=TOKEN; the token stands behind the last =, for a name may have some of its own.
Result<service::Fence> fence_of(const Request& request) {
  service::Fence fence;
  const auto text = argument(request, "fence", "Quorate-Fence");
  const auto domain = request.query_value("fence_domain");
  if (!text) {
    return domain ? Result<service::Fence>(wrong("'fence_domain' goes with 'fence'")) : fence;
  }
  const size_t split = text->rfind('=');
  if (split == std::string_view::npos) {
    return wrong("'fence' must be LOCK=TOKEN");
  }
  const Result<uint64_t> token = parse_number(text->substr(split + 1), "fence");
  const Result<uint64_t> number = domain ? parse_number(*domain, "fence_domain") : uint64_t{0};
  RETURN_IF_ERROR(token);
  RETURN_IF_ERROR(number);
  if (*number > UINT32_MAX) {
    return wrong("'fence_domain' is too great");
  }
  fence = {service::DomainId(static_cast<uint32_t>(*number)), text->substr(0, split),
           Token(*token)};
  RETURN_IF_ERROR(service::check_fence(fence));
  return fence;
}

struct WhenRow {
  std::string_view name;
  kv::Touch::When value;
};
constexpr std::array<WhenRow, 5> kWhens = {{
    {"always", kv::Touch::When::kAlways},
    {"if_forever", kv::Touch::When::kIfForever},
    {"if_ending", kv::Touch::When::kIfEnding},
    {"if_later", kv::Touch::When::kIfLater},
    {"if_sooner", kv::Touch::When::kIfSooner},
}};

}  // namespace

Result<kv::WriteOptions> read_write_options(const Request& request) {
  const Result<CallOptions> call = read_call_options(request);
  const Result<service::Fence> fence = fence_of(request);
  RETURN_IF_ERROR(call);
  RETURN_IF_ERROR(fence);
  return kv::WriteOptions{
      .key = call->key, .timeout = call->timeout, .fence = *fence, .caller = call->caller};
}

Status read_fence(const json::object& object, Arena& arena, kv::WriteOptions& options) {
  const json::value* const found = object.if_contains("fence");
  if (found == nullptr) {
    return Status::success();
  }
  if (!found->is_object() || !options.fence.none()) {
    return wrong("'fence' must be an object, and stand in one place");
  }
  const json::object& fence = found->get_object();
  RETURN_IF_ERROR(check_fields(fence, {"lock", "lock_base64", "token", "domain"}));
  const Result<std::optional<std::string_view>> lock = bytes_field(fence, "lock", arena);
  const Result<std::optional<uint64_t>> token = number_field(fence, "token");
  const Result<std::optional<uint64_t>> domain = number_field(fence, "domain");
  RETURN_IF_ERROR(lock);
  RETURN_IF_ERROR(token);
  RETURN_IF_ERROR(domain);
  if (domain->value_or(0) > UINT32_MAX) {
    return wrong("the 'domain' of a fence is too great");
  }
  options.fence = {service::DomainId(static_cast<uint32_t>(domain->value_or(0))),
                   lock->value_or(""), Token(token->value_or(0))};
  return service::check_fence(options.fence);
}

Result<kv::ReadOptions> read_read_options(const Request& request) {
  const Result<CallOptions> call = read_call_options(request);
  const Result<service::ReadMode> mode = read_mode(request);
  RETURN_IF_ERROR(call);
  RETURN_IF_ERROR(mode);
  return kv::ReadOptions{.mode = *mode, .timeout = call->timeout, .caller = call->caller};
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

Result<kv::Condition> read_condition(const Request& request, Arena& arena) {
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
  if (const auto modified = request.query_value("if_modified")) {
    const Result<uint64_t> revision = parse_number(*modified, "if_modified");
    RETURN_IF_ERROR(revision);
    found.push_back({kv::Condition::Kind::kModified, *revision});
  }
  RETURN_IF_ERROR(read_value_condition(request, arena, found));
  return the_only(found);
}

Result<kv::Condition> read_condition(const json::object& object, Arena& arena) {
  std::vector<kv::Condition> found;
  const Result<std::optional<bool>> absent = flag_field(object, "if_absent");
  const Result<std::optional<bool>> present = flag_field(object, "if_present");
  const Result<std::optional<uint64_t>> version = number_field(object, "if_version");
  const Result<std::optional<uint64_t>> modified = number_field(object, "if_modified");
  const Result<std::optional<std::string_view>> value = bytes_field(object, "if_value", arena);
  for (const Status& problem :
       {Status(absent), Status(present), Status(version), Status(modified), Status(value)}) {
    RETURN_IF_ERROR(problem);
  }
  if (absent->value_or(false)) {
    found.push_back({kv::Condition::Kind::kAbsent});
  }
  if (present->value_or(false)) {
    found.push_back({kv::Condition::Kind::kPresent});
  }
  if (version->has_value()) {
    found.push_back({kv::Condition::Kind::kVersion, **version});
  }
  if (modified->has_value()) {
    found.push_back({kv::Condition::Kind::kModified, **modified});
  }
  if (value->has_value()) {
    found.push_back({.kind = kv::Condition::Kind::kValue, .value = **value});
  }
  return the_only(found);
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

Result<kv::Range> read_range(const json::object& body, Arena& arena) {
  const Result<std::optional<std::string_view>> prefix = bytes_field(body, "prefix", arena);
  const Result<std::optional<std::string_view>> start = bytes_field(body, "start", arena);
  const Result<std::optional<std::string_view>> end = bytes_field(body, "end", arena);
  RETURN_IF_ERROR(prefix);
  RETURN_IF_ERROR(start);
  RETURN_IF_ERROR(end);
  if (prefix->has_value() && (start->has_value() || end->has_value())) {
    return Status(Code::kInvalidArgument, "give 'prefix', or 'start' and 'end', not both");
  }
  if (!prefix->has_value()) {
    return kv::Range{start->value_or(""), end->value_or("")};
  }
  arena.push_back(kv::prefix_end(**prefix));
  return kv::Range{**prefix, arena.back()};
}

Result<kv::Touch::When> parse_when(std::string_view text) {
  for (const WhenRow& row : kWhens) {
    if (row.name == text) {
      return row.value;
    }
  }
  return wrong("'when' must be always, if_forever, if_ending, if_later or if_sooner");
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

std::string_view name_of(kv::Change::Kind kind) {
  switch (kind) {
    case kv::Change::Kind::kPut: return "put";
    case kv::Change::Kind::kDelete: return "delete";
    case kv::Change::Kind::kExpire: return "expire";
    case kv::Change::Kind::kTouch: return "touch";
    case kv::Change::Kind::kSettle: return "settle";
    case kv::Change::Kind::kDrop: return "drop";
    case kv::Change::Kind::kIndex: return "index";
    case kv::Change::Kind::kUnindex: return "unindex";
  }
  return "put";
}

void write_expiry(Stamp expires, Stamp now, JsonWriter& json) {
  if (expires == Stamp::never()) {
    json.key("expires_at_ms").null().key("ttl_ms").null();
    return;
  }
  json.field("expires_at_ms", expires.millis());
  json.field("ttl_ms", expires > now ? (expires - now).millis() : int64_t{0});
}

namespace {

// Beside the value itself, which may be put again as it is.
void write_hash(std::string_view image, JsonWriter& json) {
  json.field("type", "hash");
  json.key("fields").begin_array();
  service::HashReader reader(image);
  for (service::HashField field; reader.next(field);) {
    json.begin_object();
    write_bytes("field", field.name, json);
    write_bytes("value", field.value, json);
    json.end_object();
  }
  json.end_array();
}

}  // namespace

void write_item(const kv::Item& item, bool with_value, Stamp now, JsonWriter& json) {
  if (with_value) {
    write_bytes("value", item.value, json);
  }
  if (service::is_hash(item.value)) {
    write_hash(item.value, json);
  }
  json.field("version", item.version).field("created", item.created.value());
  json.field("modified", item.modified.value()).field("bytes", item.value_bytes);
  write_expiry(item.expires, now, json);
}

}  // namespace quorate::edge::http
