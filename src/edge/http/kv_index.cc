// SPDX-License-Identifier: Apache-2.0
// Rows of secondary indexes.
#include <boost/json/serialize.hpp>

#include "edge/http/arguments.h"
#include "edge/http/kv_rows.h"
#include "service/value/json_field.h"
#include "service/value/ordered.h"

namespace quorate::edge::http {

namespace json = boost::json;
namespace kv = service::kv;

namespace {

std::string_view name_of(kv::IndexStage stage) {
  switch (stage) {
    case kv::IndexStage::kBuilding: return "building";
    case kv::IndexStage::kReady: return "ready";
    case kv::IndexStage::kClearing:
    case kv::IndexStage::kFailed: return "failed";
    case kv::IndexStage::kDropping: return "dropping";
  }
  return "ready";
}

// A scalar in the order of an index; nothing if the field is not there.
Result<std::optional<std::string>> ordered_field(const json::object& body, std::string_view name) {
  const json::value* const value = body.if_contains({name.data(), name.size()});
  if (value == nullptr) {
    return std::optional<std::string>();
  }
  std::string ordered;
  if (!service::append_ordered(service::parse_scalar(json::serialize(*value)), ordered)) {
    return Status(Code::kInvalidArgument,
                  "'" + std::string(name) +
                      "' must be text, a number, true, false or null, of at "
                      "most " +
                      std::to_string(limits::kKvIndexedBytesMax) + " bytes");
  }
  return std::optional<std::string>(std::move(ordered));
}

struct Bounds {
  std::string begin;
  std::string end;
};

// One end alone goes as far as values of its kind: numbers are not compared with text.
Result<Bounds> read_bounds(const json::object& body) {
  const auto equals = ordered_field(body, "equals");
  const auto from = ordered_field(body, "from");
  const auto above = ordered_field(body, "above");
  const auto to = ordered_field(body, "to");
  const auto below = ordered_field(body, "below");
  for (const auto* field : {&equals, &from, &above, &to, &below}) {
    RETURN_IF_ERROR(*field);
  }
  const bool has_begin = from->has_value() || above->has_value();
  const bool has_end = to->has_value() || below->has_value();
  if ((equals->has_value() && (has_begin || has_end)) ||
      (from->has_value() && above->has_value()) || (to->has_value() && below->has_value())) {
    return Status(Code::kInvalidArgument,
                  "give 'equals', or one of 'from' and 'above' and one of 'to' and 'below'");
  }
  Bounds bounds;
  if (equals->has_value()) {
    return Bounds{**equals, kv::prefix_end(**equals)};
  }
  if (has_begin) {
    bounds.begin = from->has_value() ? **from : kv::prefix_end(**above);
    bounds.end = service::end_of_kind(from->has_value() ? **from : **above);
  }
  if (has_end) {
    bounds.end = below->has_value() ? **below : kv::prefix_end(**to);
    bounds.begin =
        has_begin ? bounds.begin : service::begin_of_kind(below->has_value() ? **below : **to);
  }
  return bounds;
}

constexpr auto write_settled = [](const kv::Settled& settled, JsonWriter& out, Stamp) {
  out.field("changed", settled.steps > 0);
};

}  // namespace

Status KvRows::create_index(const Asked& asked, const Responder& responder) {
  const Result<kv::WriteOptions> options = read_write_options(asked.request);
  const Result<json::object> body = read_body(asked.request, {"index", "field", "unique"});
  RETURN_IF_ERROR(options);
  RETURN_IF_ERROR(body);
  const Result<std::optional<std::string>> index = text_field(*body, "index");
  const Result<std::optional<std::string>> field = text_field(*body, "field");
  const Result<std::optional<bool>> unique = flag_field(*body, "unique");
  for (const Status& problem : {Status(index), Status(field), Status(unique)}) {
    RETURN_IF_ERROR(problem);
  }
  const std::string name = index->value_or("");
  const std::string path = field->value_or("");
  api_.create_index(
      {.keyspace = asked.keyspace, .index = name, .path = path, .unique = unique->value_or(false)},
      *options, answer<kv::Settled>(responder, write_settled));
  return Status::success();
}

Status KvRows::drop_index(const Asked& asked, const Responder& responder) {
  const Result<kv::WriteOptions> options = read_write_options(asked.request);
  const Result<json::object> body = read_body(asked.request, {"index"});
  RETURN_IF_ERROR(options);
  RETURN_IF_ERROR(body);
  const Result<std::optional<std::string>> index = text_field(*body, "index");
  RETURN_IF_ERROR(index);
  const std::string name = index->value_or("");
  api_.drop_index({.keyspace = asked.keyspace, .index = name}, *options,
                  answer<kv::Settled>(responder, write_settled));
  return Status::success();
}

Status KvRows::indexes(const Asked& asked, const Responder& responder) {
  const Result<kv::ReadOptions> options = read_read_options(asked.request);
  RETURN_IF_ERROR(options);
  const auto write = [](const kv::IndexList& list, JsonWriter& out, Stamp) {
    out.key("indexes").begin_array();
    for (const kv::IndexList::Index& index : list.indexes) {
      out.begin_object().field("index", index.name).field("field", index.path);
      out.field("unique", index.unique).field("state", name_of(index.stage));
      out.field("entries", index.entries);
      if (name_of(index.stage) == "failed") {
        write_bytes("conflict", index.cursor, out);
      }
      out.end_object();
    }
    out.end_array();
  };
  api_.indexes({.keyspace = asked.keyspace}, *options, answer<kv::IndexList>(responder, write));
  return Status::success();
}

Status KvRows::find(const Asked& asked, const Responder& responder) {
  const Result<kv::ReadOptions> options = read_read_options(asked.request);
  const Result<json::object> body =
      read_body(asked.request, {"index", "equals", "from", "above", "to", "below", "limit",
                                "reverse", "keys_only", "resume", "resume_base64"});
  RETURN_IF_ERROR(options);
  RETURN_IF_ERROR(body);
  Arena arena;
  const Result<std::optional<std::string>> index = text_field(*body, "index");
  const Result<Bounds> bounds = read_bounds(*body);
  const Result<std::optional<bool>> backwards = flag_field(*body, "reverse");
  const Result<std::optional<bool>> keys_only = flag_field(*body, "keys_only");
  const Result<std::optional<uint64_t>> limit = number_field(*body, "limit");
  const Result<std::optional<std::string_view>> resume = bytes_field(*body, "resume", arena);
  for (const Status& problem : {Status(index), Status(bounds), Status(backwards), Status(keys_only),
                                Status(limit), Status(resume)}) {
    RETURN_IF_ERROR(problem);
  }
  const std::string name = index->value_or("");
  const kv::Find find{.keyspace = asked.keyspace,
                      .index = name,
                      .begin = bounds->begin,
                      .end = bounds->end,
                      .after = resume->value_or(""),
                      .backwards = backwards->value_or(false),
                      .with_values = !keys_only->value_or(false),
                      .limit = limit->value_or(100)};
  const auto write = [with_values = find.with_values](const kv::Hits& hits, JsonWriter& out,
                                                      Stamp now) {
    out.key("items").begin_array();
    for (const kv::Hit& hit : hits.hits) {
      out.begin_object();
      write_bytes("key", hit.item.key, out);
      write_item(hit.item, with_values, now, out);
      out.end_object();
    }
    out.end_array();
    if (!hits.resume.empty()) {
      write_bytes("resume", hits.resume, out);
    }
  };
  api_.find(find, *options, answer<kv::Hits>(responder, write));
  return Status::success();
}

}  // namespace quorate::edge::http
