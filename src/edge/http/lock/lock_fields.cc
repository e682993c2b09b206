// SPDX-License-Identifier: Apache-2.0
#include "edge/http/lock/lock_fields.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/value.hpp>
#include <vector>

#include "base/limits.h"

namespace quorate::edge::http {

namespace json = boost::json;
namespace lock = service::lock;

namespace {

constexpr std::string_view kCoded = "_base64";

Status check_known(const json::object& object, std::initializer_list<std::string_view> known) {
  std::string list;
  for (const std::string_view name : known) {
    list.append(list.empty() ? "" : ", ").append(name);
  }
  for (const auto& field : object) {
    const std::string_view given(field.key().data(), field.key().size());
    std::string_view name = given;
    if (name.ends_with(kCoded)) {
      name.remove_suffix(kCoded.size());
    }
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      return Status(Code::kInvalidArgument,
                    "unknown field '" + std::string(given) + "'; known here: " + list);
    }
  }
  return Status::success();
}

}  // namespace

LockFields::LockFields(const Request& request, std::initializer_list<std::string_view> known) {
  take(parse_object(request.body), known);
}

LockFields::LockFields(const json::value& value, std::initializer_list<std::string_view> known) {
  take(value.is_object() ? Result<json::object>(value.get_object())
                         : Result<json::object>(
                               Status(Code::kInvalidArgument, "each of a list must be an object")),
       known);
}

void LockFields::take(Result<json::object> object, std::initializer_list<std::string_view> known) {
  note(object.ok() ? check_known(*object, known) : object.status());
  if (object.ok()) {
    object_ = std::move(*object);
  }
}

void LockFields::note(const Status& status) {
  if (status_.ok()) {
    status_ = status;
  }
}

bool LockFields::has(std::string_view name) const {
  return object_.contains({name.data(), name.size()});
}

std::string_view LockFields::bytes(std::string_view name) {
  const Result<std::optional<std::string_view>> field = bytes_field(object_, name, arena_);
  note(field.ok() ? Status() : field.status());
  return field.ok() ? field->value_or("") : std::string_view();
}

Duration LockFields::duration(std::string_view name, Duration otherwise) {
  const Result<std::optional<Duration>> field = duration_field(object_, name);
  note(field.ok() ? Status() : field.status());
  return field.ok() ? field->value_or(otherwise) : otherwise;
}

uint64_t LockFields::number(std::string_view name, uint64_t otherwise) {
  const Result<std::optional<uint64_t>> field = number_field(object_, name);
  note(field.ok() ? Status() : field.status());
  return field.ok() ? field->value_or(otherwise) : otherwise;
}

bool LockFields::flag(std::string_view name) {
  const Result<std::optional<bool>> field = flag_field(object_, name);
  note(field.ok() ? Status() : field.status());
  return field.ok() && field->value_or(false);
}

// Whoever names permits means a semaphore.
lock::Acquire::Item LockFields::item(std::string_view name) {
  lock::Acquire::Item item{.name = name};
  const std::string_view mode = bytes("mode");
  const bool counts = has("permits") || has("limit") || mode == "permits";
  if (counts && (mode.empty() || mode == "permits")) {
    item.mode = lock::Mode::kPermits;
    item.permits = number("permits", 1);
    item.limit = number("limit", 0);
  } else if (mode == "shared") {
    item.mode = lock::Mode::kShared;
  } else if (!mode.empty() && mode != "exclusive") {
    note(Status(Code::kInvalidArgument, "'mode' must be shared, exclusive or permits"));
  }
  if (counts && item.mode != lock::Mode::kPermits) {
    note(Status(Code::kInvalidArgument, "only a semaphore has 'permits' and a 'limit'"));
  }
  return item;
}

const json::array* LockFields::list(std::string_view name) {
  const json::value* const value = object_.if_contains({name.data(), name.size()});
  if (value == nullptr || !value->is_array()) {
    note(Status(Code::kInvalidArgument, "'" + std::string(name) + "' must be a list"));
    return nullptr;
  }
  return &value->get_array();
}

Result<lock::DomainId> read_domain(const Request& request) {
  const auto text = request.query_value("domain");
  if (!text) {
    return lock::DomainId();
  }
  const Result<uint64_t> number = parse_number(*text, "domain");
  RETURN_IF_ERROR(number);
  if (*number > limits::kKeyspacesMax) {
    return Status(Code::kInvalidArgument, "'domain' is too great");
  }
  return lock::DomainId(static_cast<uint32_t>(*number));
}

Result<lock::WriteOptions> read_lock_write(const Request& request) {
  const Result<CallOptions> call = read_call_options(request);
  RETURN_IF_ERROR(call);
  return lock::WriteOptions{.key = call->key, .timeout = call->timeout, .caller = call->caller};
}

Result<lock::ReadOptions> read_lock_read(const Request& request) {
  const Result<CallOptions> call = read_call_options(request);
  const Result<service::ReadMode> mode = read_mode(request);
  RETURN_IF_ERROR(call);
  RETURN_IF_ERROR(mode);
  return lock::ReadOptions{.mode = *mode, .timeout = call->timeout, .caller = call->caller};
}

}  // namespace quorate::edge::http
