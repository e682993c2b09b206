// SPDX-License-Identifier: Apache-2.0
// The rows of many keys, in JSON.
#include <boost/json/array.hpp>

#include "base/limits.h"
#include "edge/http/arguments.h"
#include "edge/http/kv_rows.h"

namespace quorate::edge::http {

namespace json = boost::json;
namespace kv = service::kv;

namespace {

// Goes on behind the last key of the page before.
void resume_after(std::string_view last, bool backwards, kv::Range& range, Arena& arena) {
  if (backwards) {
    range.end = last;
  } else {
    arena.push_back(std::string(last) + '\0');  // the least key that is greater
    range.begin = arena.back();
  }
}

Result<kv::Scan> read_scan(const json::object& body, Arena& arena) {
  const Result<kv::Range> range = read_range(body, arena);
  const Result<std::optional<bool>> backwards = flag_field(body, "reverse");
  const Result<std::optional<bool>> keys_only = flag_field(body, "keys_only");
  const Result<std::optional<uint64_t>> limit = number_field(body, "limit");
  const Result<std::optional<std::string_view>> resume = bytes_field(body, "resume", arena);
  RETURN_IF_ERROR(range);
  for (const Status& problem : {Status(backwards), Status(keys_only), Status(limit),
                                Status(resume)}) {
    RETURN_IF_ERROR(problem);
  }
  kv::Scan scan;
  scan.range = *range;
  scan.backwards = backwards->value_or(false);
  scan.with_values = !keys_only->value_or(false);
  scan.limit = limit->value_or(100);
  if (resume->has_value() && !(*resume)->empty()) {
    resume_after(**resume, scan.backwards, scan.range, arena);
  }
  return scan;
}

}  // namespace

Status KvRows::put_many(const Asked& asked, const Responder& responder) {
  const Request& request = asked.request;
  const Result<kv::WriteOptions> options = read_write_options(request);
  const Result<json::object> body = read_body(request, {"items", "if_all_absent"});
  RETURN_IF_ERROR(options);
  RETURN_IF_ERROR(body);
  const Result<std::optional<bool>> absent = flag_field(*body, "if_all_absent");
  RETURN_IF_ERROR(absent);
  const json::value* items = body->if_contains("items");
  if (items == nullptr || !items->is_array()) {
    return Status(Code::kInvalidArgument, "'items' must be a list");
  }
  Arena arena;
  kv::PutMany command;
  command.keyspace = asked.keyspace;
  command.if_all_absent = absent->value_or(false);
  command.items.reserve(std::min(items->get_array().size(), limits::kBatchItemsMax));
  for (const json::value& entry : items->get_array()) {
    const Result<kv::PutMany::Item> item = read_item(entry, arena);
    RETURN_IF_ERROR(item);
    command.items.push_back(*item);
  }
  RETURN_IF_ERROR(kv::validate(kv::Command(command)));
  api_.put_many(command, *options,
                answer<kv::Stored>(responder, [](const kv::Stored& stored, JsonWriter& out,
                                                 Stamp) { out.field("count", stored.count); }));
  return Status::success();
}

Status KvRows::get_many(const Asked& asked, const Responder& responder) {
  const Request& request = asked.request;
  const Result<kv::ReadOptions> options = read_read_options(request);
  const Result<json::object> body = read_body(request, {"keys", "keys_only"});
  RETURN_IF_ERROR(options);
  RETURN_IF_ERROR(body);
  const Result<std::optional<bool>> keys_only = flag_field(*body, "keys_only");
  RETURN_IF_ERROR(keys_only);
  auto arena = std::make_shared<Arena>();
  const Result<std::vector<std::string_view>> keys = read_keys(*body, *arena);
  RETURN_IF_ERROR(keys);
  kv::GetMany query;
  query.keyspace = asked.keyspace;
  query.keys = *keys;
  query.with_values = !keys_only->value_or(false);
  RETURN_IF_ERROR(kv::validate(kv::Query(query)));
  // The items come in the order of the question and do not repeat its keys.
  const auto write = [arena, asked = *keys, with_values = query.with_values](
                         const kv::Items& items, JsonWriter& out, Stamp now) {
    out.key("items").begin_array();
    for (size_t i = 0; i < items.items.size() && i < asked.size(); ++i) {
      if (!items.items[i].found()) {
        out.null();
        continue;
      }
      out.begin_object();
      write_bytes("key", asked[i], out);
      write_item(items.items[i], with_values, now, out);
      out.end_object();
    }
    out.end_array();
  };
  api_.get_many(query, *options, answer<kv::Items>(responder, write));
  return Status::success();
}

Status KvRows::delete_many(const Asked& asked, const Responder& responder) {
  const Request& request = asked.request;
  const Result<kv::WriteOptions> options = read_write_options(request);
  const Result<json::object> body = read_body(request, {"keys"});
  RETURN_IF_ERROR(options);
  RETURN_IF_ERROR(body);
  Arena arena;
  const Result<std::vector<std::string_view>> keys = read_keys(*body, arena);
  RETURN_IF_ERROR(keys);
  kv::DeleteMany command;
  command.keyspace = asked.keyspace;
  command.keys = *keys;
  RETURN_IF_ERROR(kv::validate(kv::Command(command)));
  api_.delete_many(command, *options,
                   answer<kv::Removed>(responder, [](const kv::Removed& removed, JsonWriter& out,
                                                     Stamp) {
                     out.field("count", removed.count);
                   }));
  return Status::success();
}

Status KvRows::touch_many(const Asked& asked, const Responder& responder) {
  const Request& request = asked.request;
  const Result<kv::WriteOptions> options = read_write_options(request);
  const Result<json::object> body = read_body(request, {"keys", "ttl", "persist"});
  RETURN_IF_ERROR(options);
  RETURN_IF_ERROR(body);
  const Result<std::optional<Duration>> ttl = duration_field(*body, "ttl");
  const Result<std::optional<bool>> persist = flag_field(*body, "persist");
  RETURN_IF_ERROR(ttl);
  RETURN_IF_ERROR(persist);
  if (ttl->has_value() == persist->value_or(false)) {
    return Status(Code::kInvalidArgument, "give either 'ttl' or 'persist'");
  }
  Arena arena;
  const Result<std::vector<std::string_view>> keys = read_keys(*body, arena);
  RETURN_IF_ERROR(keys);
  kv::TouchMany command;
  command.keyspace = asked.keyspace;
  command.keys = *keys;
  command.lifetime = ttl->has_value() ? kv::Lifetime::lasting(**ttl) : kv::Lifetime();
  RETURN_IF_ERROR(kv::validate(kv::Command(command)));
  api_.touch_many(command, *options,
                  answer<kv::Touched>(responder, [](const kv::Touched& touched, JsonWriter& out,
                                                    Stamp) {
                    out.field("count", touched.count);
                  }));
  return Status::success();
}

// At most `limit` keys of each group, so that no step is a long one; `more` says to go on.
Status KvRows::delete_range(const Asked& asked, const Responder& responder) {
  const Request& request = asked.request;
  const Result<kv::WriteOptions> options = read_write_options(request);
  const Result<json::object> body = read_body(
      request,
      {"prefix", "prefix_base64", "start", "start_base64", "end", "end_base64", "limit", "all"});
  RETURN_IF_ERROR(options);
  RETURN_IF_ERROR(body);
  Arena arena;
  const Result<kv::Range> range = read_range(*body, arena);
  const Result<std::optional<uint64_t>> limit = number_field(*body, "limit");
  const Result<std::optional<bool>> all = flag_field(*body, "all");
  RETURN_IF_ERROR(range);
  RETURN_IF_ERROR(limit);
  RETURN_IF_ERROR(all);
  if ((range->begin.empty() && range->end.empty()) != all->value_or(false)) {
    return Status(Code::kInvalidArgument,
                  "give 'prefix', 'start' or 'end'; or 'all', to delete every key");
  }
  const kv::DeleteRange command{
      .keyspace = asked.keyspace, .range = *range, .limit = limit->value_or(0)};
  RETURN_IF_ERROR(kv::validate(kv::Command(command)));
  api_.delete_range(
      command, *options,
      answer<kv::Removed>(responder, [](const kv::Removed& removed, JsonWriter& out, Stamp) {
        out.field("count", removed.count).field("more", removed.more);
      }));
  return Status::success();
}

Status KvRows::scan(const Asked& asked, const Responder& responder) {
  const Request& request = asked.request;
  const Result<kv::ReadOptions> options = read_read_options(request);
  const Result<json::object> body =
      read_body(request, {"prefix", "prefix_base64", "start", "start_base64", "end", "end_base64",
                          "limit", "reverse", "keys_only", "resume", "resume_base64"});
  RETURN_IF_ERROR(options);
  RETURN_IF_ERROR(body);
  Arena arena;
  Result<kv::Scan> scan = read_scan(*body, arena);
  RETURN_IF_ERROR(scan);
  scan->keyspace = asked.keyspace;
  RETURN_IF_ERROR(kv::validate(kv::Query(*scan)));
  const auto write = [with_values = scan->with_values](const kv::Page& page, JsonWriter& out,
                                                       Stamp now) {
    out.key("items").begin_array();
    for (const kv::Item& item : page.items) {
      out.begin_object();
      write_bytes("key", item.key, out);
      write_item(item, with_values, now, out);
      out.end_object();
    }
    out.end_array();
    if (!page.resume.empty()) {
      write_bytes("resume", page.resume, out);
    }
  };
  api_.scan(*scan, *options, answer<kv::Page>(responder, write));
  return Status::success();
}

Status KvRows::stats(const Asked& asked, const Responder& responder) {
  const Request& request = asked.request;
  const Result<kv::ReadOptions> options = read_read_options(request);
  RETURN_IF_ERROR(options);
  api_.stats({.keyspace = asked.keyspace}, *options,
             answer<kv::Usage>(responder, [](const kv::Usage& usage, JsonWriter& out, Stamp) {
               out.field("keys", usage.keys).field("bytes", usage.bytes);
               out.field("expiring", usage.expiring).field("saved_bytes", usage.saved_bytes);
             }));
  return Status::success();
}

}  // namespace quorate::edge::http
