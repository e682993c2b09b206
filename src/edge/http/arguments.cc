// SPDX-License-Identifier: Apache-2.0
#include "edge/http/arguments.h"

#include <algorithm>
#include <array>
#include <boost/json/parse.hpp>
#include <charconv>

#include "base/limits.h"
#include "base/text.h"

namespace quorate::edge::http {
namespace {

namespace json = boost::json;

Status wrong(std::string_view name, std::string_view expected) {
  return Status(Code::kInvalidArgument,
                "'" + std::string(name) + "' must be " + std::string(expected));
}

struct UnitRow {
  std::string_view suffix;
  int64_t millis;
};
// "ms" before "s" and "m", for the first that fits is taken.
constexpr std::array<UnitRow, 6> kUnits = {{{"ms", 1}, {"s", 1'000}, {"m", 60'000},
                                            {"h", 3'600'000}, {"d", 86'400'000}, {"", 1'000}}};

constexpr Duration kTimeoutDefault = Duration::seconds(10);
constexpr Duration kTimeoutMost = Duration::seconds(300);
constexpr size_t kIdempotencyKeyBytesMax = 256;

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

// A hundred years: later than anyone means, and safe to add to any stamp.
constexpr uint64_t kDurationMillisMax = 100ull * 366 * 86'400'000;

std::string list(std::initializer_list<std::string_view> names) {
  std::string text;
  for (const std::string_view name : names) {
    text.append(text.empty() ? "" : ", ").append(name);
  }
  return text.empty() ? "none" : text;
}

}  // namespace

Result<uint64_t> parse_number(std::string_view text, std::string_view name) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) {
    return wrong(name, "a whole number, not negative");
  }
  return value;
}

Result<Duration> parse_duration(std::string_view text, std::string_view name) {
  const auto row = std::find_if(kUnits.begin(), kUnits.end(), [text](const UnitRow& unit) {
    return text.ends_with(unit.suffix);
  });
  const Result<uint64_t> count = parse_number(text.substr(0, text.size() - row->suffix.size()),
                                              name);
  if (!count.ok() || *count > kDurationMillisMax / static_cast<uint64_t>(row->millis)) {
    return wrong(name, "a duration such as 1500ms, 30s, 10m, 2h, 7d or a number of seconds");
  }
  return Duration::millis(static_cast<int64_t>(*count) * row->millis);
}

Result<bool> parse_flag(std::string_view text, std::string_view name) {
  if (text.empty() || text == "true" || text == "1") {
    return true;
  }
  if (text == "false" || text == "0") {
    return false;
  }
  return wrong(name, "true or false");
}

std::optional<std::string_view> argument(const Request& request, std::string_view name,
                                         std::string_view header) {
  if (const auto value = request.query_value(name)) {
    return value;
  }
  return header.empty() ? std::nullopt : request.header(header);
}

Status check_query(const Request& request, std::initializer_list<std::string_view> known) {
  for (const auto& [name, value] : request.query) {
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      return Status(Code::kInvalidArgument,
                    "unknown query parameter '" + name + "'; known here: " + list(known));
    }
  }
  return Status::success();
}

Status check_query(const Request& request, const RouteText& text) {
  for (const auto& [name, value] : request.query) {
    std::string known;
    bool is_known = false;
    for (const Parameter& parameter : text.parameters) {
      if (parameter.in == In::kQuery) {
        is_known = is_known || parameter.name == name;
        known.append(known.empty() ? "" : ", ").append(parameter.name);
      }
    }
    if (!is_known) {
      return Status(Code::kInvalidArgument,
                    "unknown query parameter '" + name + "'; known here: " + known);
    }
  }
  return Status::success();
}

Result<json::object> parse_object(std::string_view body) {
  if (body.empty()) {
    return json::object();
  }
  json::parse_options options;
  options.max_depth = limits::kJsonDepthMax;
  json::error_code error;
  json::value value = json::parse({body.data(), body.size()}, error, {}, options);
  if (error) {
    return Status(Code::kInvalidArgument, "the body is not JSON: " + error.message());
  }
  if (!value.is_object()) {
    return Status(Code::kInvalidArgument, "the body must be a JSON object");
  }
  return std::move(value.get_object());
}

Status check_fields(const json::object& object, std::initializer_list<std::string_view> known) {
  for (const auto& field : object) {
    const std::string_view name(field.key().data(), field.key().size());
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      return Status(Code::kInvalidArgument,
                    "unknown field '" + std::string(name) + "'; known here: " + list(known));
    }
  }
  return Status::success();
}

namespace {

const json::value* find(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains({name.data(), name.size()});
  return value == nullptr || value->is_null() ? nullptr : value;
}

}  // namespace

Result<std::optional<std::string>> text_field(const json::object& object, std::string_view name) {
  const json::value* value = find(object, name);
  if (value == nullptr) {
    return std::optional<std::string>();
  }
  if (!value->is_string()) {
    return wrong(name, "a string");
  }
  return std::optional<std::string>(std::string(value->get_string()));
}

Result<std::optional<uint64_t>> number_field(const json::object& object, std::string_view name) {
  const json::value* value = find(object, name);
  if (value == nullptr) {
    return std::optional<uint64_t>();
  }
  if (value->is_uint64()) {
    return std::optional<uint64_t>(value->get_uint64());
  }
  if (value->is_int64() && value->get_int64() >= 0) {
    return std::optional<uint64_t>(static_cast<uint64_t>(value->get_int64()));
  }
  return wrong(name, "a whole number, not negative");
}

Result<std::optional<bool>> flag_field(const json::object& object, std::string_view name) {
  const json::value* value = find(object, name);
  if (value == nullptr) {
    return std::optional<bool>();
  }
  if (!value->is_bool()) {
    return wrong(name, "true or false");
  }
  return std::optional<bool>(value->get_bool());
}

Result<std::optional<Duration>> duration_field(const json::object& object, std::string_view name) {
  const json::value* value = find(object, name);
  if (value == nullptr) {
    return std::optional<Duration>();
  }
  std::string text;
  if (value->is_string()) {
    text = std::string(value->get_string());
  } else {
    const Result<std::optional<uint64_t>> seconds = number_field(object, name);
    RETURN_IF_ERROR(seconds);
    text = std::to_string(seconds->value());
  }
  const Result<Duration> duration = parse_duration(text, name);
  RETURN_IF_ERROR(duration);
  return std::optional<Duration>(*duration);
}

namespace {

Result<Duration> read_timeout(const Request& request) {
  const auto text = argument(request, "timeout", "Quorate-Timeout");
  if (!text) {
    return kTimeoutDefault;
  }
  const Result<Duration> timeout = parse_duration(*text, "timeout");
  RETURN_IF_ERROR(timeout);
  if (*timeout == Duration() || *timeout > kTimeoutMost) {
    return wrong("timeout", "more than nothing and at most 300s");
  }
  return timeout;
}

}  // namespace

Result<CallOptions> read_call_options(const Request& request) {
  const Result<Duration> timeout = read_timeout(request);
  RETURN_IF_ERROR(timeout);
  CallOptions options = {.timeout = *timeout, .caller = request.caller.get()};
  if (const auto key = request.header("Idempotency-Key")) {
    if (key->empty() || key->size() > kIdempotencyKeyBytesMax) {
      return wrong("Idempotency-Key", "from 1 to 256 characters");
    }
    options.key = service::CommandKey::of(*key);
  }
  return options;
}

Result<service::ReadMode> read_mode(const Request& request) {
  service::ReadMode mode;
  const auto name = argument(request, "consistency", "Quorate-Consistency");
  const auto bound = argument(request, "bound", "Quorate-Bound");
  if (name) {
    const auto* const found =
        std::find_if(kConsistencies.begin(), kConsistencies.end(),
                     [&name](const ConsistencyRow& row) { return row.name == *name; });
    if (found == kConsistencies.end()) {
      return wrong("consistency", "linearizable, follower, bounded or eventual");
    }
    mode.consistency = found->value;
  }
  if ((mode.consistency == service::Consistency::kBounded) != bound.has_value()) {
    return Status(Code::kInvalidArgument,
                  "'bound' goes with consistency=bounded, and is needed there");
  }
  if (bound) {
    const Result<Duration> duration = parse_duration(*bound, "bound");
    RETURN_IF_ERROR(duration);
    mode.bound = *duration;
  }
  return mode;
}

Result<bool> read_flag(const Request& request, std::string_view name) {
  const auto text = request.query_value(name);
  return text ? parse_flag(*text, name) : Result<bool>(false);
}

Result<json::object> read_body(const Request& request,
                               std::initializer_list<std::string_view> fields) {
  Result<json::object> body = parse_object(request.body);
  RETURN_IF_ERROR(body);
  RETURN_IF_ERROR(check_fields(*body, fields));
  return body;
}

Result<std::optional<std::string_view>> bytes_field(const json::object& object,
                                                    std::string_view name, Arena& arena) {
  const std::string coded_name = std::string(name) + "_base64";
  Result<std::optional<std::string>> text = text_field(object, name);
  RETURN_IF_ERROR(text);
  const Result<std::optional<std::string>> coded = text_field(object, coded_name);
  RETURN_IF_ERROR(coded);
  if (text->has_value() && coded->has_value()) {
    return Status(Code::kInvalidArgument,
                  "give '" + std::string(name) + "' or '" + coded_name + "', not both");
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
    return wrong(coded_name, "base64");
  }
  arena.push_back(std::move(*bytes));
  return std::optional<std::string_view>(arena.back());
}

void write_bytes(std::string_view name, std::string_view bytes, JsonWriter& json) {
  if (is_utf8(bytes)) {
    json.field(name, bytes);
  } else {
    json.field(std::string(name) + "_base64", std::string_view(base64_encode(bytes)));
  }
}

void add_origin(const service::Origin& origin, Response& response) {
  response.headers.emplace_back("Quorate-Group", std::to_string(origin.group.value()));
  response.headers.emplace_back("Quorate-Index", std::to_string(origin.index.value()));
  response.headers.emplace_back("Quorate-Node", std::to_string(origin.node.value()));
  response.headers.emplace_back("Quorate-Staleness-Ms", std::to_string(origin.staleness.millis()));
}

void fail_from(const Responder& responder, const Status& status, const service::Origin& origin) {
  Response response = error_response(status);
  if (!origin.node.none()) {
    add_origin(origin, response);
  }
  responder.send(std::move(response));
}

}  // namespace quorate::edge::http
