// SPDX-License-Identifier: Apache-2.0
#include "edge/http/docs_page.h"

#include <algorithm>
#include <boost/json.hpp>
#include <map>
#include <vector>

#include "base/status.h"
#include "edge/http/wire/json.h"

namespace quorate::edge::http {
namespace {

std::string_view name_of(In in) {
  switch (in) {
    case In::kPath: return "path";
    case In::kQuery: return "query";
    case In::kHeader: return "header";
  }
  return "query";
}

// OpenAPI knows no parameter of several segments: "{key...}" is shown as "{key}".
std::string plain_pattern(std::string_view pattern) {
  std::string text(pattern);
  for (size_t at = text.find("...}"); at != std::string::npos; at = text.find("...}")) {
    text.erase(at, 3);
  }
  return text;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return out;
}

bool is_json(std::string_view example) {
  return example.starts_with("{") || example.starts_with("[");
}

void write_parameters(const RouteText& text, JsonWriter& json) {
  json.key("parameters").begin_array();
  for (const Parameter& parameter : text.parameters) {
    json.begin_object().field("name", parameter.name).field("in", name_of(parameter.in));
    json.field("required", parameter.in == In::kPath).field("description", parameter.text);
    json.key("schema").begin_object().field("type", parameter.type).end_object();
    json.end_object();
  }
  json.end_array();
}

std::string_view type_of(const boost::json::value& example) {
  switch (example.kind()) {
    case boost::json::kind::null: return "";
    case boost::json::kind::bool_: return "boolean";
    case boost::json::kind::int64:
    case boost::json::kind::uint64: return "integer";
    case boost::json::kind::double_: return "number";
    case boost::json::kind::string: return "string";
    case boost::json::kind::array: return "array";
    case boost::json::kind::object: return "object";
  }
  return "";
}

struct Shape {
  bool is_answer = false;
  bool may_be_null = false;
};

void write_schema(const boost::json::value& example, Shape shape, JsonWriter& json);

// What an element is: anything, if the examples of one list differ. A null among them says that
// each may be one.
void write_items(boost::json::array list, Shape shape, JsonWriter& json) {
  json.key("items");
  const size_t before = list.size();
  list.erase(std::remove_if(list.begin(), list.end(),
                            [](const boost::json::value& each) { return each.is_null(); }),
             list.end());
  shape.may_be_null = list.size() < before;
  const bool is_one_kind =
      !list.empty() && std::all_of(list.begin(), list.end(), [&](const boost::json::value& each) {
        return type_of(each) == type_of(list.front());
      });
  if (is_one_kind && (list.size() == 1 || !list.front().is_object())) {
    write_schema(list.front(), shape, json);
  } else {
    json.begin_object();
    if (is_one_kind) {
      json.field("type", "object");
    }
    json.end_object();
  }
}

// Of what an example shows. Nothing is required, more may come, and a scalar of an answer may be
// null: the examples are of the common case.
void write_schema(const boost::json::value& example, Shape shape, JsonWriter& json) {
  const std::string_view type = type_of(example);
  const bool is_scalar = !example.is_object() && !example.is_array();
  json.begin_object();
  if (!type.empty()) {
    json.field("type", type);
    if (shape.may_be_null || (shape.is_answer && is_scalar)) {
      json.field("nullable", true);
    }
  }
  shape.may_be_null = false;
  if (example.is_object()) {
    json.key("properties").begin_object();
    for (const auto& [name, value] : example.get_object()) {
      json.key({name.data(), name.size()});
      write_schema(value, shape, json);
    }
    json.end_object();
  } else if (example.is_array()) {
    write_items(example.get_array(), shape, json);
  }
  json.end_object();
}

struct Content {
  std::string_view type;
  std::string_view example;
  bool is_answer = false;
  std::string_view more = {};  // fields beside those of the example, or in their place
};

boost::json::value parsed(std::string_view text) {
  boost::system::error_code error;
  boost::json::value value = boost::json::parse({text.data(), text.size()}, error);
  return error ? boost::json::value() : value;
}

void write_content(const Content& content, JsonWriter& json) {
  json.key(content.type).begin_object();
  json.key("schema");
  boost::json::value shape = parsed(content.example);
  if (content.type != "application/json") {
    json.begin_object().field("type", "string");
    if (content.type == "application/octet-stream") {
      json.field("format", "binary");
    }
    json.end_object();
  } else {
    if (const boost::json::value more = parsed(content.more); more.is_object()) {
      for (const auto& [name, value] : more.get_object()) {
        shape.as_object()[name] = value;
      }
    }
    write_schema(shape, {.is_answer = content.is_answer}, json);
  }
  if (is_json(content.example) && !shape.is_null()) {
    json.key("example").raw(content.example);
  } else if (!content.example.empty()) {
    json.field("example", content.example);
  }
  json.end_object();
}

void write_operation(const RouteText& text, JsonWriter& json) {
  json.key(lower(name_of(text.method))).begin_object();
  json.field("summary", text.summary).key("tags").begin_array().text(text.group).end_array();
  write_parameters(text, json);
  if (text.body != Body::kNone) {
    json.key("requestBody").begin_object().key("content").begin_object();
    write_content({text.body == Body::kRaw ? "application/octet-stream" : "application/json",
                   text.body_example, false, text.body_more},
                  json);
    json.end_object().end_object();
  }
  json.key("responses").begin_object().key("200").begin_object().field("description", "Done.");
  json.key("content").begin_object();
  write_content(
      {is_json(text.answer_example) ? "application/json" : "text/plain", text.answer_example, true},
      json);
  if (text.answers_raw) {
    write_content({"application/octet-stream", "", true}, json);
  }
  json.end_object().end_object().key("default").begin_object();
  json.field("$ref", "#/components/responses/Error").end_object();
  json.end_object().end_object();
}

void write_error_schema(JsonWriter& json) {
  json.key("components").begin_object().key("responses").begin_object().key("Error");
  json.begin_object().field("description", "Refused or failed; `retry` says whether to try again.");
  json.key("content").begin_object().key("application/json").begin_object();
  json.key("schema").begin_object().field("type", "object").key("properties").begin_object();
  json.key("error").begin_object().field("type", "object").key("properties").begin_object();
  json.key("code").begin_object().field("type", "string").key("enum").begin_array();
  for (const CodeRow& row : code_table()) {
    if (row.code != Code::kOk) {
      json.text(row.name);
    }
  }
  json.end_array().end_object();
  json.key("message").begin_object().field("type", "string").end_object();
  json.key("retry").begin_object().field("type", "string").key("enum").begin_array();
  json.text("no").text("safe").text("with_key").end_array().end_object();
  json.key("details").begin_object().field("type", "object").end_object();
  json.end_object().end_object().end_object().end_object().end_object().end_object();
  json.end_object().end_object().end_object();
}

std::string escape_html(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      default: out += c;
    }
  }
  return out;
}

constexpr std::string_view kStyle =
    "<style>"
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;"
    "color:#1c2733}"
    "h2{margin-top:2.5rem;border-bottom:1px solid #ccd5dd}"
    "section{margin:1.5rem 0}"
    "code,pre{font:14px/1.4 ui-monospace,monospace;background:#f2f5f7;border-radius:4px}"
    "code{padding:.1rem .3rem}"
    "pre{padding:.6rem .8rem;overflow-x:auto}"
    "b.m{display:inline-block;min-width:4.5rem;color:#06629a}"
    "nav ul{columns:22rem 2;list-style:none;padding:0;margin:.3rem 0 1rem}"
    "nav code{background:none;padding:0}"
    "nav b.m{min-width:4rem;font-size:.8rem}"
    "a{color:#06629a}nav a,h2 a,section a{color:inherit;text-decoration:none}"
    "nav a:hover code,section a:hover code{text-decoration:underline}"
    "table{border-collapse:collapse}"
    "section td:first-child{min-width:10rem}"
    "section td:nth-child(2),section td:nth-child(3){min-width:3.5rem;color:#5a6a78}"
    "small{color:#5a6a78}small+pre{margin-top:.2rem}"
    "td,th{text-align:left;padding:.15rem 1rem .15rem 0;vertical-align:top}"
    "@media(prefers-color-scheme:dark){body{background:#12181e;color:#d8e0e7}"
    "code,pre{background:#1e2830}b.m,a{color:#6cbcf0}h2{border-color:#3a4650}"
    "small,section td:nth-child(2),section td:nth-child(3){color:#93a1ad}}"
    "</style>";

// What stands behind the # of a link: letters, digits, and a hyphen for all between them.
std::string anchor_of(std::string_view text) {
  std::string anchor;
  for (const char c : lower(text)) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (plain || (!anchor.empty() && anchor.back() != '-')) {
      anchor += plain ? c : '-';
    }
  }
  return anchor;
}

std::string name_of(const RouteText& text) {
  return std::string(name_of(text.method)) + " " + std::string(text.pattern);
}

std::string link_to(const RouteText& text) {
  std::string out = "<a href=\"#" + anchor_of(name_of(text)) + "\"><b class=m>";
  out.append(name_of(text.method)).append("</b> <code>").append(escape_html(text.pattern));
  return out + "</code></a>";
}

void write_contents(const Router& router, std::string& out) {
  std::string_view group;
  out += "<nav>";
  for (const Router::Route& route : router.routes()) {
    if (route.text.group != group) {
      out += group.empty() ? "" : "</ul>";
      group = route.text.group;
      out.append("<a href=\"#").append(anchor_of(group)).append("\"><b>").append(group);
      out += "</b></a><ul>";
    }
    out += "<li>" + link_to(route.text);
  }
  out += "</ul><a href=\"#errors\"><b>Errors</b></a></nav>";
}

void write_route(const RouteText& text, std::string& out) {
  out.append("<section id=\"").append(anchor_of(name_of(text))).append("\">");
  out.append(link_to(text)).append("<p>").append(escape_html(text.summary)).append("</p>");
  if (!text.parameters.empty()) {
    out += "<table>";
    for (const Parameter& parameter : text.parameters) {
      out.append("<tr><td><code>").append(parameter.name).append("</code><td>");
      out.append(name_of(parameter.in)).append("<td>").append(parameter.type).append("<td>");
      out += escape_html(parameter.text);
    }
    out += "</table>";
  }
  if (!text.body_example.empty()) {
    out.append("<small>body</small><pre>").append(escape_html(text.body_example));
    out += "</pre>";
  }
  if (!text.body_more.empty()) {
    out.append("<small>may also say</small><pre>").append(escape_html(text.body_more));
    out += "</pre>";
  }
  if (!text.answer_example.empty()) {
    out.append("<small>answer</small><pre>").append(escape_html(text.answer_example));
    out += "</pre>";
  }
  out += "</section>\n";
}

}  // namespace

std::string openapi_document(const Router& router, std::string_view version) {
  std::map<std::string, std::vector<const RouteText*>> by_path;
  for (const Router::Route& route : router.routes()) {
    by_path[plain_pattern(route.text.pattern)].push_back(&route.text);
  }
  std::string out;
  JsonWriter json(out);
  json.begin_object().field("openapi", "3.0.3").key("info").begin_object();
  json.field("title", "Quorate").field("version", version).end_object();
  json.key("paths").begin_object();
  for (const auto& [path, texts] : by_path) {
    json.key(path).begin_object();
    for (const RouteText* text : texts) {
      write_operation(*text, json);
    }
    json.end_object();
  }
  json.end_object();
  write_error_schema(json);
  json.end_object();
  return out + "\n";
}

std::string docs_page(const Router& router, std::string_view version) {
  std::string out =
      "<!doctype html><html lang=en><meta charset=utf-8>"
      "<title>Quorate HTTP API</title>"
      "<meta name=viewport content=\"width=device-width\">";
  out.append(kStyle).append("<h1>Quorate HTTP API</h1><p>Version ").append(version);
  out +=
      ". The same for programs: <a href=/openapi.json>/openapi.json</a>. Answers carry "
      "<code>Quorate-Group</code>, <code>Quorate-Index</code>, <code>Quorate-Node</code> and "
      "<code>Quorate-Staleness-Ms</code>.</p>"
      "<pre>curl -X PUT --data-binary hello 'http://127.0.0.1:8001/v1/kv/greeting?ttl=1h'\n"
      "curl http://127.0.0.1:8001/v1/kv/greeting</pre>";
  write_contents(router, out);
  std::string_view group;
  for (const Router::Route& route : router.routes()) {
    if (route.text.group != group) {
      group = route.text.group;
      out.append("<h2 id=\"").append(anchor_of(group)).append("\">").append(group);
      out += "</h2>\n";
    }
    write_route(route.text, out);
  }
  out +=
      "<h2 id=errors>Errors</h2>"
      "<p>Every error has the body <code>{\"error\":{\"code\",\"message\","
      "\"retry\",\"details\"}}</code>. Retry <code>safe</code>: nothing was done. "
      "<code>with_key</code>: it may have been done; repeat it with the same "
      "<code>Idempotency-Key</code>.</p><table><tr><th>code<th>HTTP<th>retry<th>meaning";
  for (const CodeRow& row : code_table()) {
    if (row.code != Code::kOk) {
      out.append("<tr><td><code>").append(row.name).append("</code><td>");
      out.append(std::to_string(row.http)).append("<td>").append(name_of(row.retry));
      out.append("<td>").append(escape_html(row.meaning));
    }
  }
  return out + "</table></html>\n";
}

void bind_docs(Router& router, std::string_view version) {
  const std::string text(version);
  router.add({.method = Method::kGet,
              .pattern = "/openapi.json",
              .group = "Documentation",
              .summary = "This API as an OpenAPI 3 document.",
              .access = Access::kAnyone},
             [&router, text](const Request&, Responder responder) {
               responder.send({.body = openapi_document(router, text)});
             });
  router.add({.method = Method::kGet,
              .pattern = "/docs",
              .group = "Documentation",
              .summary = "This page.",
              .access = Access::kAnyone},
             [&router, text](const Request&, Responder responder) {
               responder.send(
                   {.content_type = "text/html; charset=utf-8", .body = docs_page(router, text)});
             });
  router.add({.method = Method::kGet,
              .pattern = "/",
              .group = "Documentation",
              .summary = "Leads to /docs.",
              .access = Access::kAnyone},
             [](const Request&, Responder responder) {
               responder.send({.status = 302, .headers = {{"Location", "/docs"}}});
             });
}

}  // namespace quorate::edge::http
