// SPDX-License-Identifier: Apache-2.0
// The rows of backups: all that a group holds, page by page, and all that changes in it.
#include "base/limits.h"
#include "base/text.h"
#include "edge/http/arguments.h"
#include "edge/http/kv_rows.h"

namespace quorate::edge::http {

namespace kv = service::kv;

namespace {

// In JSON and base64 a page is larger by a third, and must stay below what a client takes.
constexpr uint64_t kPageBytes = 4 * 1024 * 1024;

// A cursor is the question that goes on, as its own bytes.
std::string cursor_of(const kv::Dumped& dumped) {
  std::string bytes;
  kv::encode(kv::Query(kv::Dump{.after = dumped.after,
                                .is_behind = true,
                                .is_done = dumped.is_done,
                                .since = dumped.since,
                                .bytes_max = kPageBytes}),
             bytes);
  return base64_encode(bytes);
}

// The views of the question live in `bytes`.
Result<kv::Dump> read_cursor(const std::optional<std::string>& text, std::string& bytes) {
  if (!text.has_value()) {
    return kv::Dump{.bytes_max = kPageBytes};
  }
  bytes = base64_decode(*text).value_or("");
  Result<kv::Query> query = kv::decode_query(bytes);
  if (!query.ok() || !std::holds_alternative<kv::Dump>(*query)) {
    return Status(Code::kInvalidArgument, "'cursor' must be what the page before gave");
  }
  return std::get<kv::Dump>(*query);
}

void write_entry(const kv::Dumped::Entry& entry, JsonWriter& json) {
  json.begin_object().field("keyspace", entry.keyspace.value());
  write_bytes("key", entry.key, json);
  if (!entry.item.found()) {
    json.field("gone", true).end_object();
    return;
  }
  write_bytes("value", entry.item.value, json);
  json.field("version", entry.item.version);
  if (entry.item.expires != Stamp::never()) {
    json.field("expires_at_ms", entry.item.expires.millis());
  }
  json.end_object();
}

// One of the groups that hold keys.
Result<GroupId> read_group(const boost::json::object& body, uint64_t groups) {
  const Result<std::optional<uint64_t>> group = number_field(body, "group");
  RETURN_IF_ERROR(group);
  if (group->value_or(0) == 0 || **group > groups) {
    return Status(Code::kInvalidArgument, "'group' must be the number of a group that holds keys");
  }
  return GroupId(static_cast<uint32_t>(**group));
}

void write_entry(const kv::Trailed::Entry& entry, JsonWriter& json) {
  using Kind = kv::Change::Kind;
  const kv::Change& change = entry.change;
  json.begin_object().field("type", name_of(change.kind));
  json.field("keyspace", entry.keyspace.value());
  json.field("revision", change.revision.value()).field("at_ms", entry.at.millis());
  if (change.kind == Kind::kIndex || change.kind == Kind::kUnindex) {
    write_bytes("index", change.key, json);
  } else if (!change.key.empty()) {
    write_bytes("key", change.key, json);
  }
  if (change.kind == Kind::kIndex) {
    write_bytes("field", change.value, json);
    json.field("unique", change.version != 0);
  } else if (change.kind == Kind::kPut) {
    write_bytes("value", change.value, json);
  }
  if (change.kind == Kind::kPut || change.kind == Kind::kTouch) {
    json.field("version", change.version);
  } else if (change.kind == Kind::kSettle) {
    json.field("settings", change.version);
  }
  if (entry.expires != Stamp::never()) {
    json.field("expires_at_ms", entry.expires.millis());
  }
  json.end_object();
}

}  // namespace

// Of whole groups: who may ask is asked by the route.
Status KvRows::trail(const Asked& asked, const Responder& responder) {
  const Result<kv::ReadOptions> options = read_read_options(asked.request);
  const Result<boost::json::object> body = read_body(asked.request, {"group", "after", "limit"});
  RETURN_IF_ERROR(options);
  RETURN_IF_ERROR(body);
  const Result<GroupId> group = read_group(*body, api_.proposer().groups());
  const Result<std::optional<uint64_t>> after = number_field(*body, "after");
  const Result<std::optional<uint64_t>> limit = number_field(*body, "limit");
  RETURN_IF_ERROR(group);
  RETURN_IF_ERROR(after);
  RETURN_IF_ERROR(limit);
  if (!after->has_value()) {
    return Status(Code::kInvalidArgument, "'after' must be a revision of the group");
  }
  const kv::Trail trail{
      .after = Revision(**after), .limit = limit->value_or(0), .bytes_max = kPageBytes};
  api_.trail(
      *group, trail, *options,
      answer<kv::Trailed>(responder, [](const kv::Trailed& trailed, JsonWriter& json, Stamp) {
        json.field("through", trailed.through.value());
        json.field("revision", trailed.revision.value());
        json.field("at_ms", trailed.at.millis());
        json.key("changes").begin_array();
        for (const kv::Trailed::Entry& entry : trailed.entries) {
          write_entry(entry, json);
        }
        json.end_array();
      }));
  return Status::success();
}

Status KvRows::dump(const Asked& asked, const Responder& responder) {
  const Result<kv::ReadOptions> options = read_read_options(asked.request);
  const Result<boost::json::object> body = read_body(asked.request, {"group", "cursor"});
  RETURN_IF_ERROR(options);
  RETURN_IF_ERROR(body);
  const Result<GroupId> group = read_group(*body, api_.proposer().groups());
  const Result<std::optional<std::string>> cursor = text_field(*body, "cursor");
  RETURN_IF_ERROR(group);
  RETURN_IF_ERROR(cursor);
  std::string bytes;
  const Result<kv::Dump> dump = read_cursor(*cursor, bytes);
  RETURN_IF_ERROR(dump);
  api_.dump(*group, *dump, *options,
            answer<kv::Dumped>(responder, [](const kv::Dumped& dumped, JsonWriter& json, Stamp) {
              json.field("complete", dumped.is_done && dumped.since == dumped.revision);
              json.field("revision", dumped.since.value());
              json.field("at_ms", dumped.at.millis());
              json.field("cursor", std::string_view(cursor_of(dumped)));
              json.key("entries").begin_array();
              for (const kv::Dumped::Entry& entry : dumped.entries) {
                write_entry(entry, json);
              }
              json.end_array();
            }));
  return Status::success();
}

}  // namespace quorate::edge::http
