// SPDX-License-Identifier: Apache-2.0
// The rows of one key.
#include <charconv>

#include "edge/http/arguments.h"
#include "edge/http/kv_rows.h"
#include "service/value/hash_value.h"

namespace quorate::edge::http {

namespace kv = service::kv;

namespace {

// "previous" if the request asked for it and there was one.
void write_previous(const kv::Item& previous, Stamp now, JsonWriter& json) {
  if (previous.found()) {
    json.key("previous").begin_object();
    write_item(previous, true, now, json);
    json.end_object();
  }
}

// Of append and set_range.
void write_grown(const kv::Written& written, JsonWriter& json, Stamp) {
  json.field("version", written.version).field("bytes", written.value_bytes);
  json.field("revision", written.revision.value());
}

Result<int64_t> read_delta(const Request& request) {
  const std::string_view text = request.query_value("by").value_or("1");
  int64_t delta = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), delta);
  if (error != std::errc() || end != text.data() + text.size()) {
    return Status(Code::kInvalidArgument, "'by' must be a whole number");
  }
  return delta;
}

// The value itself, or JSON if that is what the client accepts or the value is a hash.
Response value_response(const Request& request, const kv::Item& item, bool meta, Stamp now) {
  Response response;
  const std::string tag = "\"" + std::to_string(item.version) + "\"";
  const bool is_hash = service::is_hash(item.value);
  constexpr std::string_view kJson = "application/json";
  if (request.header("If-None-Match").value_or("") == tag) {
    response.status = 304;
  } else if (meta || is_hash || request.header("Accept").value_or("").starts_with(kJson)) {
    JsonWriter json(response.body);
    json.begin_object();
    write_bytes("key", request.parameter("key"), json);
    write_item(item, !meta, now, json);
    json.end_object();
    response.body += '\n';
  } else {
    response.content_type = "application/octet-stream";
    response.body = std::string(item.value);
  }
  response.headers.reserve(10);
  if (is_hash) {
    response.headers.emplace_back("Quorate-Type", "hash");
  }
  response.headers.emplace_back("ETag", tag);
  response.headers.emplace_back("Quorate-Version", std::to_string(item.version));
  response.headers.emplace_back("Quorate-Created", std::to_string(item.created.value()));
  response.headers.emplace_back("Quorate-Modified", std::to_string(item.modified.value()));
  if (item.expires != Stamp::never()) {
    response.headers.emplace_back("Quorate-Expires-At-Ms", std::to_string(item.expires.millis()));
  }
  return response;
}

}  // namespace

Status KvRows::put(const Asked& asked, const Responder& responder) {
  const Request& request = asked.request;
  const Result<kv::WriteOptions> options = read_write_options(request);
  const Result<kv::Lifetime> lifetime = read_lifetime(request);
  Arena arena;
  const Result<kv::Condition> condition = read_condition(request, arena);
  const Result<bool> with_previous = read_flag(request, "return_previous");
  RETURN_IF_ERROR(options);
  RETURN_IF_ERROR(lifetime);
  RETURN_IF_ERROR(condition);
  RETURN_IF_ERROR(with_previous);
  kv::Put put;
  put.keyspace = asked.keyspace;
  put.key = request.parameter("key");
  put.value = request.body;
  put.lifetime = *lifetime;
  put.condition = *condition;
  put.with_previous = *with_previous;
  RETURN_IF_ERROR(kv::validate(kv::Command(put)));
  api_.write(put, *options,
             answer<kv::Written>(responder, [](const kv::Written& written, JsonWriter& json,
                                               Stamp now) {
               json.field("version", written.version);
               json.field("revision", written.revision.value());
               write_previous(written.previous, now, json);
             }));
  return Status::success();
}

Status KvRows::get(const Asked& asked, const Responder& responder) {
  const Request& request = asked.request;
  const Result<kv::ReadOptions> options = read_read_options(request);
  const Result<bool> meta = read_flag(request, "meta");
  RETURN_IF_ERROR(options);
  RETURN_IF_ERROR(meta);
  kv::Get get;
  get.keyspace = asked.keyspace;
  get.key = request.parameter("key");
  get.with_value = !*meta;
  RETURN_IF_ERROR(kv::validate(kv::Query(get)));
  api_.get(get, *options,
           [responder, meta = *meta, this](const Status& status, const kv::Found& found,
                                           const service::Origin& origin) {
             if (!status.ok()) {
               fail_from(responder, status, origin);
               return;
             }
             Response response =
                 value_response(responder.request(), found.item, meta, clock_.wall());
             add_origin(origin, response);
             responder.send(std::move(response));
           });
  return Status::success();
}

// Deleting what is not there is not an error: the count says so.
Status KvRows::remove(const Asked& asked, const Responder& responder) {
  const Request& request = asked.request;
  const Result<kv::WriteOptions> options = read_write_options(request);
  Arena arena;
  const Result<kv::Condition> condition = read_condition(request, arena);
  const Result<bool> with_previous = read_flag(request, "return_previous");
  RETURN_IF_ERROR(options);
  RETURN_IF_ERROR(condition);
  RETURN_IF_ERROR(with_previous);
  kv::Delete command;
  command.keyspace = asked.keyspace;
  command.key = request.parameter("key");
  command.condition = *condition;
  command.with_previous = *with_previous;
  RETURN_IF_ERROR(kv::validate(kv::Command(command)));
  api_.write(command, *options,
             answer<kv::Removed>(responder, [](const kv::Removed& removed, JsonWriter& json,
                                               Stamp now) {
               json.field("count", removed.count).field("revision", removed.revision.value());
               write_previous(removed.previous, now, json);
             }));
  return Status::success();
}

Status KvRows::touch(const Asked& asked, const Responder& responder) {
  const Request& request = asked.request;
  const Result<kv::WriteOptions> options = read_write_options(request);
  const Result<kv::Lifetime> lifetime = read_lifetime(request);
  const Result<bool> persist = read_flag(request, "persist");
  const Result<kv::Touch::When> when = parse_when(request.query_value("when").value_or("always"));
  RETURN_IF_ERROR(options);
  RETURN_IF_ERROR(lifetime);
  RETURN_IF_ERROR(persist);
  RETURN_IF_ERROR(when);
  const bool forever = lifetime->kind() == kv::Lifetime::Kind::kForever;
  if (forever != *persist) {
    return Status(Code::kInvalidArgument, "give either 'ttl' or 'persist'");
  }
  kv::Touch touch;
  touch.keyspace = asked.keyspace;
  touch.key = request.parameter("key");
  touch.lifetime = *lifetime;
  touch.when = *when;
  RETURN_IF_ERROR(kv::validate(kv::Command(touch)));
  api_.write(touch, *options,
             answer<kv::Touched>(responder, [](const kv::Touched& touched, JsonWriter& json,
                                               Stamp now) {
               json.field("count", touched.count);
               write_expiry(touched.expires, now, json);
             }));
  return Status::success();
}

Status KvRows::increment(const Asked& asked, const Responder& responder) {
  const Request& request = asked.request;
  const Result<kv::WriteOptions> options = read_write_options(request);
  const Result<int64_t> delta = read_delta(request);
  const Result<kv::Lifetime> lifetime = read_lifetime(request);
  RETURN_IF_ERROR(options);
  RETURN_IF_ERROR(delta);
  RETURN_IF_ERROR(lifetime);
  kv::Increment command;
  command.keyspace = asked.keyspace;
  command.key = request.parameter("key");
  command.delta = *delta;
  const bool unsaid = lifetime->kind() == kv::Lifetime::Kind::kForever;
  command.lifetime = unsaid ? kv::Lifetime::keep() : *lifetime;
  RETURN_IF_ERROR(kv::validate(kv::Command(command)));
  api_.write(command, *options,
             answer<kv::Counted>(responder, [](const kv::Counted& counted, JsonWriter& json,
                                               Stamp) {
               json.field("value", counted.value).field("version", counted.version);
               json.field("revision", counted.revision.value());
             }));
  return Status::success();
}

Status KvRows::append(const Asked& asked, const Responder& responder) {
  const Request& request = asked.request;
  const Result<kv::WriteOptions> options = read_write_options(request);
  RETURN_IF_ERROR(options);
  kv::Append command;
  command.keyspace = asked.keyspace;
  command.key = request.parameter("key");
  command.value = request.body;
  RETURN_IF_ERROR(kv::validate(kv::Command(command)));
  api_.write(command, *options, answer<kv::Written>(responder, write_grown));
  return Status::success();
}

Status KvRows::set_range(const Asked& asked, const Responder& responder) {
  const Request& request = asked.request;
  const Result<kv::WriteOptions> options = read_write_options(request);
  const Result<uint64_t> offset =
      parse_number(request.query_value("offset").value_or(""), "offset");
  RETURN_IF_ERROR(options);
  RETURN_IF_ERROR(offset);
  kv::SetRange command;
  command.keyspace = asked.keyspace;
  command.key = request.parameter("key");
  command.offset = *offset;
  command.value = request.body;
  RETURN_IF_ERROR(kv::validate(kv::Command(command)));
  api_.write(command, *options, answer<kv::Written>(responder, write_grown));
  return Status::success();
}

Status KvRows::rate_limit(const Asked& asked, const Responder& responder) {
  const Request& request = asked.request;
  const Result<kv::WriteOptions> options = read_write_options(request);
  const Result<boost::json::object> body = parse_object(request.body);
  RETURN_IF_ERROR(options);
  RETURN_IF_ERROR(body);
  RETURN_IF_ERROR(check_fields(*body, {"name", "burst", "tokens", "period", "cost"}));
  const Result<std::optional<std::string>> name = text_field(*body, "name");
  const Result<std::optional<uint64_t>> burst = number_field(*body, "burst");
  const Result<std::optional<uint64_t>> tokens = number_field(*body, "tokens");
  const Result<std::optional<uint64_t>> cost = number_field(*body, "cost");
  const Result<std::optional<Duration>> period = duration_field(*body, "period");
  for (const Status& problem : {Status(name), Status(burst), Status(tokens), Status(cost),
                                Status(period)}) {
    RETURN_IF_ERROR(problem);
  }
  kv::RateLimit command;
  command.keyspace = asked.keyspace;
  command.name = name->has_value() ? std::string_view(**name) : std::string_view();
  command.burst = burst->value_or(1);
  command.tokens = tokens->value_or(1);
  command.cost = cost->value_or(1);
  command.period = period->value_or(Duration::seconds(1));
  RETURN_IF_ERROR(kv::validate(kv::Command(command)));
  api_.rate_limit(command, *options,
                  answer<kv::Rated>(responder, [](const kv::Rated& rated, JsonWriter& json,
                                                  Stamp) {
                    json.field("allowed", rated.allowed).field("tokens_left", rated.tokens_left);
                    json.field("retry_after_ms", rated.retry_after.millis());
                    json.field("full_after_ms", rated.full_after.millis());
                  }));
  return Status::success();
}

}  // namespace quorate::edge::http
