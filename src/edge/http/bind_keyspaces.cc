// SPDX-License-Identifier: Apache-2.0
#include "edge/http/bind_keyspaces.h"

#include <algorithm>
#include <optional>

#include "edge/http/arguments.h"
#include "edge/http/kv_arguments.h"
#include "edge/http/wire/json.h"

namespace quorate::edge::http {

namespace kv = service::kv;

namespace {

struct Rows {
  kv::Keyspaces& keyspaces;
  kv::Api& api;
};

using Run = Status (*)(const Rows& rows, const Request& request, const Responder& responder);

struct Row {
  RouteText text;
  Run run;
};

// ---- answers -----------------------------------------------------------------------------------

std::string_view name_of(kv::KeyspaceSettings::Stage stage) {
  switch (stage) {
    case kv::KeyspaceSettings::Stage::kSettling: return "settling";
    case kv::KeyspaceSettings::Stage::kReady: return "ready";
    case kv::KeyspaceSettings::Stage::kDropping: return "dropping";
  }
  return "ready";
}

void write_quota(std::string_view name, uint64_t quota, JsonWriter& json) {
  quota == 0 ? json.key(name).null() : json.field(name, quota);
}

// Without braces.
void write_keyspace(const kv::Keyspace& keyspace, JsonWriter& json) {
  json.field("name", std::string_view(keyspace.name)).field("id", keyspace.id.value());
  json.field("state", name_of(keyspace.settings.stage));
  json.field("revision", keyspace.settings.revision);
  if (keyspace.partitions.empty()) {
    json.key("partitions").null();  // the default one: as many as groups
  } else {
    json.field("partitions", keyspace.partitions.size());
  }
  write_quota("keys_max", keyspace.settings.keys_max, json);
  write_quota("bytes_max", keyspace.settings.bytes_max, json);
  write_quota("compress_above", keyspace.settings.compress_above, json);
}

kv::Keyspaces::Done<kv::Keyspace> answer_with(const Responder& responder) {
  return [responder](const Status& status, const kv::Keyspace& keyspace) {
    if (!status.ok()) {
      responder.fail(status);
      return;
    }
    Response response;
    JsonWriter json(response.body);
    json.begin_object();
    write_keyspace(keyspace, json);
    json.end_object();
    response.body += '\n';
    responder.send(std::move(response));
  };
}

// ---- rows --------------------------------------------------------------------------------------

// A quota of null takes it away, and so it is with compression.
Status read_wish(const boost::json::object& body, std::string_view name,
                 std::optional<uint64_t>& wish) {
  const Result<std::optional<uint64_t>> number = number_field(body, name);
  RETURN_IF_ERROR(number);
  if (body.contains({name.data(), name.size()})) {
    wish = number->value_or(0);
  }
  return Status::success();
}

Status read_wishes(const boost::json::object& body, kv::Keyspaces::Wishes& wishes) {
  RETURN_IF_ERROR(read_wish(body, "keys_max", wishes.keys_max));
  RETURN_IF_ERROR(read_wish(body, "bytes_max", wishes.bytes_max));
  return read_wish(body, "compress_above", wishes.compress_above);
}

Status create(const Rows& rows, const Request& request, const Responder& responder) {
  RETURN_IF_ERROR(check_query(request, {}));
  const Result<kv::WriteOptions> options = read_write_options(request);
  const Result<boost::json::object> body =
      read_body(request, {"name", "partitions", "keys_max", "bytes_max", "compress_above"});
  RETURN_IF_ERROR(options);
  RETURN_IF_ERROR(body);
  const Result<std::optional<std::string>> name = text_field(*body, "name");
  const Result<std::optional<uint64_t>> partitions = number_field(*body, "partitions");
  RETURN_IF_ERROR(name);
  RETURN_IF_ERROR(partitions);
  if (partitions->value_or(1) > UINT32_MAX) {
    return Status(Code::kInvalidArgument, "'partitions' is too great");
  }
  kv::Keyspaces::Creation creation;
  RETURN_IF_ERROR(read_wishes(*body, creation.wishes));
  creation.name = name->value_or("");
  creation.partitions = static_cast<uint32_t>(partitions->value_or(1));
  creation.key = options->key;
  rows.keyspaces.create(creation, answer_with(responder));
  return Status::success();
}

Status change(const Rows& rows, const Request& request, const Responder& responder) {
  RETURN_IF_ERROR(check_query(request, {}));
  const Result<boost::json::object> body =
      read_body(request, {"keys_max", "bytes_max", "compress_above"});
  RETURN_IF_ERROR(body);
  kv::Keyspaces::Wishes wishes;
  RETURN_IF_ERROR(read_wishes(*body, wishes));
  rows.keyspaces.change(request.parameter("name"), wishes, answer_with(responder));
  return Status::success();
}

Status drop(const Rows& rows, const Request& request, const Responder& responder) {
  RETURN_IF_ERROR(check_query(request, {}));
  rows.keyspaces.drop(request.parameter("name"),
                      [responder](const Status& status, const kv::Keyspace&) {
                        if (!status.ok()) {
                          responder.fail(status);
                          return;
                        }
                        responder.send({.body = "{}\n"});
                      });
  return Status::success();
}

void write_usage(const kv::Keyspace& keyspace, const kv::Usage& usage, Response& response) {
  JsonWriter json(response.body);
  json.begin_object();
  write_keyspace(keyspace, json);
  json.field("keys", usage.keys).field("bytes", usage.bytes);
  json.field("saved_bytes", usage.saved_bytes).end_object();
  response.body += '\n';
}

Status describe(const Rows& rows, const Request& request, const Responder& responder) {
  RETURN_IF_ERROR(check_query(request, {}));
  const Result<kv::ReadOptions> options = read_read_options(request);
  RETURN_IF_ERROR(options);
  rows.keyspaces.find(
      request.parameter("name"), [&api = rows.api, options = *options, responder](
                                     const Status& status, const kv::Keyspace& keyspace) {
        if (!status.ok()) {
          responder.fail(status);
          return;
        }
        api.define(keyspace.id, keyspace.partitions);
        api.stats({.keyspace = keyspace.id}, options,
                  [keyspace, responder](const Status& counted, const kv::Usage& usage,
                                        const service::Origin&) {
                    if (!counted.ok()) {
                      responder.fail(counted);
                      return;
                    }
                    Response response;
                    write_usage(keyspace, usage, response);
                    responder.send(std::move(response));
                  });
      });
  return Status::success();
}

Status list(const Rows& rows, const Request& request, const Responder& responder) {
  RETURN_IF_ERROR(check_query(request, {"after", "limit"}));
  const Result<uint64_t> limit =
      parse_number(request.query_value("limit").value_or("100"), "limit");
  RETURN_IF_ERROR(limit);
  rows.keyspaces.list(std::string(request.query_value("after").value_or("")),
                      static_cast<uint32_t>(std::min<uint64_t>(*limit, UINT32_MAX)),
                      [responder](const Status& status, const kv::Keyspaces::List& found) {
                        if (!status.ok()) {
                          responder.fail(status);
                          return;
                        }
                        Response response;
                        JsonWriter json(response.body);
                        json.begin_object().key("keyspaces").begin_array();
                        for (const kv::Keyspace& keyspace : found.keyspaces) {
                          json.begin_object();
                          write_keyspace(keyspace, json);
                          json.end_object();
                        }
                        json.end_array();
                        if (found.more) {
                          json.field("after", std::string_view(found.keyspaces.back().name));
                        }
                        json.end_object();
                        response.body += '\n';
                        responder.send(std::move(response));
                      });
  return Status::success();
}

// ---- the table ---------------------------------------------------------------------------------

constexpr Parameter kName[] = {{"name", In::kPath, "string", "The keyspace."}};
constexpr Parameter kCreate[] = {
    {"Idempotency-Key", In::kHeader, "string",
     "Names this creation: repeated with the same key it is done once and answered alike."}};
constexpr Parameter kList[] = {{"after", In::kQuery, "string", "Names behind this one."},
                               {"limit", In::kQuery, "integer", "At most so many (100)."}};
constexpr std::string_view kExample =
    R"({"name":"orders","id":3,"state":"ready","revision":1,"partitions":1,"keys_max":1000000,)"
    R"("bytes_max":null,"compress_above":1024})";

const Row kRows[] = {
    {{Method::kGet, "/v1/keyspaces", "Keyspaces",
      "All keyspaces in order of name, the default one among them. To go on, pass after.", kList,
      Body::kNone, "", R"({"keyspaces":[]})"},
     list},
    {{Method::kPost, "/v1/keyspaces", "Keyspaces",
      "Create one. With one partition all its keys are in one group: one order of revisions, one "
      "watch, transactions over any keys; more partitions scale. A quota is shared out to the "
      "groups that hold it. Values of compress_above bytes or more (1024; null: never) are kept "
      "compressed where that saves an eighth.",
      kCreate, Body::kJson, R"({"name":"orders","partitions":1,"keys_max":1000000})", kExample,
      Access::kAdmin, R"({"bytes_max":1073741824,"compress_above":null})"},
     create},
    {{Method::kGet, "/v1/keyspaces/{name}", "Keyspaces", "One keyspace, with what it holds.", kName,
      Body::kNone, "",
      R"({"name":"orders","id":3,"state":"ready","revision":1,"partitions":1,"keys_max":1000000,)"
      R"("bytes_max":null,"compress_above":1024,"keys":12,"bytes":48000,"saved_bytes":21000})"},
     describe},
    {{Method::kPut, "/v1/keyspaces/{name}", "Keyspaces",
      "Change its quota, or from which size on values are kept compressed; what is not named "
      "stays, "
      "null takes it away. Nothing is deleted by a smaller quota, and values that are there stay "
      "as they are.",
      kName, Body::kJson, R"({"bytes_max":1073741824})", kExample, Access::kAdmin,
      R"({"keys_max":null,"bytes_max":null,"compress_above":null})"},
     change},
    {{Method::kDelete, "/v1/keyspaces/{name}", "Keyspaces",
      "Drop it: refuses every write from now on and removes all its keys in the background. May "
      "be repeated when its outcome is unknown.",
      kName, Body::kNone, "", "{}", Access::kAdmin},
     drop},
};

}  // namespace

void bind_keyspaces(kv::Keyspaces& keyspaces, kv::Api& api, Router& router) {
  const Rows rows{keyspaces, api};
  for (const Row& row : kRows) {
    router.add(row.text, [rows, &row](const Request& request, Responder responder) {
      if (const Status status = row.run(rows, request, responder); !status.ok()) {
        responder.fail(status);
      }
    });
  }
}

}  // namespace quorate::edge::http
