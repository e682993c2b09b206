// SPDX-License-Identifier: Apache-2.0
#include "edge/http/bind_access.h"

#include <boost/json/array.hpp>
#include <string>

#include "base/caller.h"
#include "edge/http/arguments.h"
#include "edge/http/wire/json.h"

namespace quorate::edge::http {
namespace {

namespace json = boost::json;
namespace meta = service::meta;
using Kind = AccessAdmin::Kind;
using Run = void (*)(AccessAdmin&, const Request&, Responder);

struct Row {
  RouteText text;
  Run run;
};

struct RightName {
  std::string_view name;
  uint8_t bit;
};
constexpr RightName kRights[] = {
    {"read", rights::kRead}, {"write", rights::kWrite}, {"admin", rights::kAdmin}};
constexpr service::ServiceId kServices[] = {service::ServiceId::kNode,  service::ServiceId::kKv,
                                            service::ServiceId::kLock,  service::ServiceId::kQueue,
                                            service::ServiceId::kCache, service::ServiceId::kTask,
                                            service::ServiceId::kStream};

Status wrong(std::string text) { return Status(Code::kInvalidArgument, std::move(text)); }

// ---- reading -----------------------------------------------------------------------------------

Result<service::ServiceId> read_service(const std::string& name) {
  if (name.empty()) {
    return service::ServiceId::kNode;
  }
  for (const service::ServiceId id : kServices) {
    if (id != service::ServiceId::kNode && meta::name_of(id) == name) {
      return id;
    }
  }
  return wrong("'service' must be kv, lock, queue, cache, task or stream, or be left out");
}

Result<uint8_t> read_rights(const json::object& object) {
  const json::value* list = object.if_contains("rights");
  if (list == nullptr || !list->is_array() || list->get_array().empty()) {
    return wrong("'rights' must be a list of read, write, admin");
  }
  uint8_t bits = 0;
  for (const json::value& value : list->get_array()) {
    uint8_t bit = 0;
    for (const RightName& right : kRights) {
      const bool this_one = value.is_string() && std::string_view(value.get_string()) == right.name;
      bit = this_one ? right.bit : bit;
    }
    if (bit == 0) {
      return wrong("'rights' must be a list of read, write, admin");
    }
    bits |= bit;
  }
  return bits;
}

Result<meta::Grant> read_grant(const json::value& value) {
  if (!value.is_object()) {
    return wrong("a grant must be an object");
  }
  const json::object& object = value.get_object();
  RETURN_IF_ERROR(check_fields(object, {"service", "scope", "prefix", "rights"}));
  const auto service = text_field(object, "service");
  const auto scope = text_field(object, "scope");
  const auto prefix = text_field(object, "prefix");
  const auto bits = read_rights(object);
  for (const Status& problem : {Status(service), Status(scope), Status(prefix), Status(bits)}) {
    RETURN_IF_ERROR(problem);
  }
  const Result<service::ServiceId> id = read_service(service->value_or(""));
  RETURN_IF_ERROR(id);
  meta::Grant grant;
  grant.service = *id;
  grant.scope = scope->value_or("");
  grant.prefix = prefix->value_or("");
  grant.rights = *bits;
  return grant;
}

Result<AccessAdmin::Grants> read_grants(const json::object& object) {
  AccessAdmin::Grants grants;
  const json::value* list = object.if_contains("grants");
  if (list == nullptr) {
    return grants;
  }
  if (!list->is_array()) {
    return wrong("'grants' must be a list");
  }
  for (const json::value& value : list->get_array()) {
    const Result<meta::Grant> grant = read_grant(value);
    RETURN_IF_ERROR(grant);
    grants.push_back(*grant);
  }
  return grants;
}

// ---- writing -----------------------------------------------------------------------------------

void write_grant(const meta::Grant& grant, JsonWriter& json) {
  json.begin_object();
  if (grant.service != service::ServiceId::kNode) {
    json.field("service", meta::name_of(grant.service));
  }
  if (!grant.scope.empty()) {
    json.field("scope", grant.scope);
  }
  json.field("prefix", grant.prefix).key("rights").begin_array();
  for (const RightName& right : kRights) {
    if ((grant.rights & right.bit) != 0) {
      json.text(right.name);
    }
  }
  json.end_array().end_object();
}

void write_principal(const meta::Principal& principal, JsonWriter& json) {
  json.begin_object().field("name", principal.name).key("grants").begin_array();
  for (const meta::Grant& grant : principal.grants) {
    write_grant(grant, json);
  }
  json.end_array();
  if (principal.expires_at != Stamp::never()) {
    json.field("expires_at_ms", principal.expires_at.millis());
  }
  json.end_object();
}

UniqueFunction<void(Status)> answer_done(const Responder& responder) {
  return [responder](const Status& status) {
    if (status.ok()) {
      responder.send({.body = "{}\n"});
    } else {
      responder.fail(status);
    }
  };
}

// ---- the verbs ---------------------------------------------------------------------------------

template <Kind kind>
void list(AccessAdmin& access, const Request& request, Responder responder) {
  if (const Status status = check_query(request, {"after"}); !status.ok()) {
    responder.fail(status);
    return;
  }
  access.list(kind, std::string(request.query_value("after").value_or("")),
              [responder](const Result<AccessPage>& page) {
                if (!page.ok()) {
                  responder.fail(page.status());
                  return;
                }
                Response response;
                JsonWriter json(response.body);
                json.begin_object();
                json.key(kind == Kind::kUser ? "users" : "tokens").begin_array();
                for (const meta::Principal& principal : page->principals) {
                  write_principal(principal, json);
                }
                json.end_array().field("more", page->more).end_object();
                response.body += '\n';
                responder.send(std::move(response));
              });
}

template <Kind kind>
void remove(AccessAdmin& access, const Request& request, Responder responder) {
  access.remove(kind, request.parameter("name"), answer_done(responder));
}

void put_user(AccessAdmin& access, const Request& request, Responder responder) {
  const Result<json::object> body = parse_object(request.body);
  const auto read = [&]() -> Status {
    RETURN_IF_ERROR(body);
    RETURN_IF_ERROR(check_fields(*body, {"password", "grants"}));
    const auto password = text_field(*body, "password");
    RETURN_IF_ERROR(password);
    const auto grants = read_grants(*body);
    RETURN_IF_ERROR(grants);
    access.put_user(request.parameter("name"), password->value_or(""), *grants,
                    answer_done(responder));
    return Status::success();
  };
  if (const Status status = read(); !status.ok()) {
    responder.fail(status);
  }
}

void create_token(AccessAdmin& access, const Request& request, Responder responder) {
  const Result<json::object> body = parse_object(request.body);
  const auto read = [&]() -> Status {
    RETURN_IF_ERROR(body);
    RETURN_IF_ERROR(check_fields(*body, {"name", "grants", "ttl"}));
    const auto name = text_field(*body, "name");
    RETURN_IF_ERROR(name);
    const auto ttl = duration_field(*body, "ttl");
    RETURN_IF_ERROR(ttl);
    const auto grants = read_grants(*body);
    RETURN_IF_ERROR(grants);
    access.create_token(name->value_or(""), *grants, ttl->value_or(Duration()),
                        [responder](const Result<std::string>& token) {
                          if (!token.ok()) {
                            responder.fail(token.status());
                            return;
                          }
                          Response response;
                          JsonWriter json(response.body);
                          json.begin_object().field("token", *token).end_object();
                          response.body += '\n';
                          responder.send(std::move(response));
                        });
    return Status::success();
  };
  if (const Status status = read(); !status.ok()) {
    responder.fail(status);
  }
}

void audit_head(AccessAdmin& access, const Request&, Responder responder) {
  const AuditHead head = access.audit();
  Response response;
  JsonWriter json(response.body);
  json.begin_object().field("on", head.on).field("lines", head.lines);
  json.field("chain", head.chain).end_object();
  response.body += '\n';
  responder.send(std::move(response));
}

void who_am_i(AccessAdmin&, const Request& request, Responder responder) {
  Response response;
  JsonWriter json(response.body);
  json.begin_object().field("controlled", request.caller != nullptr);
  if (request.caller != nullptr) {
    json.field("name", request.caller->name());
    json.field("administers", request.caller->administers());
  }
  json.end_object();
  response.body += '\n';
  responder.send(std::move(response));
}

// ---- the table ---------------------------------------------------------------------------------

constexpr Parameter kName[] = {{"name", In::kPath, "string", "Of the user or token."}};
constexpr Parameter kAfter[] = {
    {"after", In::kQuery, "string", "The last name of the page before."}};
constexpr std::string_view kUserExample =
    R"({"password":"...","grants":[{"service":"kv","prefix":"app/","rights":["read","write"]}]})";
constexpr std::string_view kGrantsExample =
    R"([{"name":"ada","grants":[{"service":"kv","prefix":"app/","rights":["read","write"]}]}])";

const Row kRows[] = {
    {{.method = Method::kGet,
      .pattern = "/access/self",
      .group = "Access",
      .summary = "Who the caller is.",
      .answer_example = R"({"controlled":true,"name":"ada"})"},
     who_am_i},
    {{.method = Method::kGet,
      .pattern = "/access/users",
      .group = "Access",
      .summary = "Users and what they may do, in pages.",
      .parameters = kAfter,
      .answer_example = kGrantsExample,
      .access = Access::kAdmin},
     list<Kind::kUser>},
    {{.method = Method::kPut,
      .pattern = "/access/users/{name}",
      .group = "Access",
      .summary = "Make or change a user. Without a password the old one stays.",
      .parameters = kName,
      .body = Body::kJson,
      .body_example = kUserExample,
      .access = Access::kAdmin},
     put_user},
    {{.method = Method::kDelete,
      .pattern = "/access/users/{name}",
      .group = "Access",
      .summary = "Remove a user; requests are refused from now on.",
      .parameters = kName,
      .access = Access::kAdmin},
     remove<Kind::kUser>},
    {{.method = Method::kGet,
      .pattern = "/access/tokens",
      .group = "Access",
      .summary = "Tokens and what they may do, in pages; not the tokens themselves.",
      .parameters = kAfter,
      .answer_example = kGrantsExample,
      .access = Access::kAdmin},
     list<Kind::kToken>},
    {{.method = Method::kPost,
      .pattern = "/access/tokens",
      .group = "Access",
      .summary = "Make a token; it is told only in this answer. Send it as Authorization: Bearer.",
      .body = Body::kJson,
      .body_example = R"({"name":"ci","ttl":"30d","grants":[{"rights":["read"]}]})",
      .answer_example = R"({"token":"qt_ci_..."})",
      .access = Access::kAdmin},
     create_token},
    {{.method = Method::kDelete,
      .pattern = "/access/tokens/{name}",
      .group = "Access",
      .summary = "Revoke a token.",
      .parameters = kName,
      .access = Access::kAdmin},
     remove<Kind::kToken>},
    {{.method = Method::kGet,
      .pattern = "/access/audit",
      .group = "Access",
      .summary = "Where this node's audit log stands: keep the chain elsewhere to notice a cut.",
      .answer_example = R"({"on":true,"lines":12,"chain":"9f86d0..."})",
      .access = Access::kAdmin},
     audit_head},
};

}  // namespace

void bind_access(AccessAdmin& access, Router& router) {
  for (const Row& row : kRows) {
    router.add(row.text, [&access, run = row.run](const Request& request, Responder responder) {
      run(access, request, std::move(responder));
    });
  }
}

}  // namespace quorate::edge::http
