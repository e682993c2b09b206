// SPDX-License-Identifier: Apache-2.0
#include "edge/http/wire/message.h"

#include <algorithm>

#include "base/assert.h"
#include "base/text.h"
#include "edge/http/wire/exchange.h"
#include "edge/http/wire/json.h"

namespace quorate::edge::http {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool same_name(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
           return lower(x) == lower(y);
         });
}

}  // namespace

std::string_view name_of(Method method) {
  switch (method) {
    case Method::kGet: return "GET";
    case Method::kHead: return "HEAD";
    case Method::kPut: return "PUT";
    case Method::kPost: return "POST";
    case Method::kDelete: return "DELETE";
    case Method::kOptions: return "OPTIONS";
    case Method::kOther: break;
  }
  return "OTHER";
}

std::optional<std::string_view> Request::header(std::string_view name) const {
  for (const auto& [header_name, value] : headers) {
    if (same_name(header_name, name)) {
      return value;
    }
  }
  return std::nullopt;
}

std::optional<std::string_view> Request::query_value(std::string_view name) const {
  for (const auto& [query_name, value] : query) {
    if (query_name == name) {
      return value;
    }
  }
  return std::nullopt;
}

const std::string& Request::parameter(std::string_view name) const {
  for (const auto& [parameter_name, value] : parameters) {
    if (parameter_name == name) {
      return value;
    }
  }
  ASSERT(false, "the route's pattern names its parameters");
  static const std::string kNone;
  return kNone;
}

Response error_response(const Status& status, std::string_view details) {
  const CodeRow& row = row_of(status.code());
  Response response;
  response.status = row.http;
  // A message may quote what a client sent; what is not text is shown as such.
  std::string message = status.message();
  if (!is_utf8(message)) {
    std::replace_if(
        message.begin(), message.end(), [](char c) { return (c & 0x80) != 0; }, '?');
  }
  JsonWriter json(response.body);
  json.begin_object().key("error").begin_object();
  json.field("code", row.name).field("message", message.empty() ? row.meaning : message);
  json.field("retry", name_of(row.retry));
  json.key("details").raw(details.empty() ? "{}" : details);
  json.end_object().end_object();
  response.body += '\n';
  return response;
}

std::string sse_event(std::string_view event, std::string_view id, std::string_view data) {
  std::string text;
  if (!event.empty()) {
    text.append("event: ").append(event).append("\n");
  }
  if (!id.empty()) {
    text.append("id: ").append(id).append("\n");
  }
  do {  // each line of the data needs its own prefix
    const size_t end = data.find('\n');
    text.append("data: ").append(data.substr(0, end)).append("\n");
    data = end == std::string_view::npos ? std::string_view() : data.substr(end + 1);
  } while (!data.empty());
  return text + "\n";
}

const Request& Responder::request() const { return exchange_->request(); }

void Responder::send(Response response) const { exchange_->send(std::move(response)); }

void Responder::fail(const Status& status, std::string_view details) const {
  exchange_->send(error_response(status, details));
}

void Responder::on_gone(UniqueFunction<void()> gone) const {
  exchange_->on_gone(std::move(gone));
}

std::shared_ptr<BodyStream> Responder::stream(Response response,
                                              UniqueFunction<void()> gone) const {
  return exchange_->stream(std::move(response), std::move(gone));
}

}  // namespace quorate::edge::http
