// SPDX-License-Identifier: Apache-2.0
// quorate user and quorate token: who may do what.
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <charconv>
#include <ctime>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/requests.h"

namespace quorate::cli {
namespace {

namespace json = boost::json;
using client::Answer;

constexpr Flag kGrantFlag = {"--grant", "GRANT,...",
                             "ROLE, ROLE:PREFIX or ROLE:SERVICE:PREFIX; roles: reader, writer, "
                             "admin; services: kv, lock, queue, cache, task, stream"};
constexpr Flag kScopeFlag = {"--keyspace", "NAME", "the names are in this keyspace; '*': in each"};
constexpr Flag kUserFlags[] = {
    {"--password-stdin", "", "read the password from standard input"}, kGrantFlag, kScopeFlag};
constexpr Flag kTokenFlags[] = {
    {"--ttl", "DURATION", "such as 12h or 30d; without it, for ever"}, kGrantFlag, kScopeFlag};

// ---- grants ------------------------------------------------------------------------------------

Result<json::array> rights_of(std::string_view role) {
  if (role == "reader") {
    return json::array{"read"};
  }
  if (role == "writer") {
    return json::array{"read", "write"};
  }
  if (role == "admin") {
    return json::array{"read", "write", "admin"};
  }
  return Status(Code::kInvalidArgument,
                "--grant: '" + std::string(role) + "' is none of reader, writer, admin");
}

bool is_service(std::string_view name) {
  for (const std::string_view known : {"kv", "lock", "queue", "cache", "task", "stream"}) {
    if (known == name) {
      return true;
    }
  }
  return false;
}

// "writer:kv:app/" and what it may be shortened to.
Result<json::object> grant_of(std::string_view text, const std::string& scope) {
  const size_t colon = text.find(':');
  const Result<json::array> rights = rights_of(text.substr(0, colon));
  RETURN_IF_ERROR(rights);
  std::string_view rest = colon == std::string_view::npos ? "" : text.substr(colon + 1);
  json::object grant;
  const size_t second = rest.find(':');
  if (second != std::string_view::npos && is_service(rest.substr(0, second))) {
    grant["service"] = std::string(rest.substr(0, second));
    rest.remove_prefix(second + 1);
  } else if (!scope.empty()) {
    grant["service"] = "kv";
  }
  if (!scope.empty()) {
    grant["scope"] = scope;
  }
  grant["prefix"] = std::string(rest);
  grant["rights"] = *rights;
  return grant;
}

Result<json::array> grants_of(const Arguments& arguments) {
  json::array grants;
  const std::string scope = arguments.value("--keyspace").value_or("");
  for (const std::string& text : split_nodes(arguments.value("--grant").value_or(""))) {
    const Result<json::object> grant = grant_of(text, scope);
    RETURN_IF_ERROR(grant);
    grants.push_back(*grant);
  }
  return grants;
}

std::string shown_grant(const json::object& grant) {
  const auto text = [&grant](std::string_view name) {
    const json::value* value = grant.if_contains({name.data(), name.size()});
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
  };
  std::string out;
  if (const json::value* rights = grant.if_contains("rights"); rights && rights->is_array()) {
    for (const json::value& right : rights->get_array()) {
      out += (out.empty() ? "" : "+") +
             (right.is_string() ? std::string(right.get_string()) : json::serialize(right));
    }
  }
  const std::string service = text("service");
  out += " of " + (service.empty() ? "all" : service);
  out += text("scope").empty() ? "" : " in " + text("scope");
  return out + (text("prefix").empty() ? "" : " under '" + text("prefix") + "'");
}

// ---- commands ----------------------------------------------------------------------------------

Exit finish(Session& session, const Result<Answer>& answer, const std::string& said) {
  if (!answer.ok()) {
    return session.fail(answer.status());
  }
  session.print(session.json() ? answer->body : said + "\n");
  return Exit::kDone;
}

std::string shown_time(uint64_t millis) {
  const auto seconds = static_cast<std::time_t>(millis / 1'000);
  std::tm utc{};
  char text[32];
  ::gmtime_r(&seconds, &utc);
  return {text, std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc)};
}

Exit list(Session& session, std::string_view kind) {
  std::string after;
  json::array all;
  while (true) {
    client::Call call;
    call.target =
        "/access/" + std::string(kind) + (after.empty() ? "" : "?after=" + percent_encode(after));
    const Result<Answer> answer = session.call(call);
    if (!answer.ok()) {
      return session.fail(answer.status());
    }
    const json::value body = parse_json(answer->body);
    const json::value* page =
        body.is_object() ? body.get_object().if_contains({kind.data(), kind.size()}) : nullptr;
    if (page == nullptr || !page->is_array() || page->get_array().empty()) {
      break;
    }
    for (const json::value& each : page->get_array()) {
      all.push_back(each);
    }
    const json::value* more = body.get_object().if_contains("more");
    if (more == nullptr || !more->is_bool() || !more->get_bool()) {
      break;
    }
    after = std::string(all.back().as_object()["name"].as_string());
  }
  if (session.json()) {
    session.print(json::serialize(all) + "\n");
    return Exit::kDone;
  }
  for (const json::value& each : all) {
    const json::object& object = each.as_object();
    std::string line = std::string(object.at("name").as_string());
    if (const uint64_t end = get_number(object, "expires_at_ms"); end != 0) {
      line += "  until " + shown_time(end);
    }
    for (const json::value& grant : object.at("grants").as_array()) {
      line += "\n    " + shown_grant(grant.as_object());
    }
    session.print(line + "\n");
  }
  return Exit::kDone;
}

Exit remove(Session& session, std::string_view kind) {
  client::Call call;
  const std::string& name = session.arguments().words[0];
  call.method = "DELETE";
  call.target = "/access/" + std::string(kind) + "/" + percent_encode(name);
  return finish(session, session.write(call), "removed " + name);
}

Exit list_users(Session& session) { return list(session, "users"); }
Exit list_tokens(Session& session) { return list(session, "tokens"); }
Exit remove_user(Session& session) { return remove(session, "users"); }
Exit remove_token(Session& session) { return remove(session, "tokens"); }

Exit put_user(Session& session) {
  const Result<json::array> grants = grants_of(session.arguments());
  if (!grants.ok()) {
    session.fail(grants.status());
    return Exit::kUsage;
  }
  json::object body = {{"grants", *grants}};
  if (session.arguments().has("--password-stdin")) {
    std::string password = session.io().read_input();
    password.erase(std::min(password.find('\n'), password.size()));
    body["password"] = password;
  }
  client::Call call;
  const std::string& name = session.arguments().words[0];
  call.method = "PUT";
  call.target = "/access/users/" + percent_encode(name);
  call.body = json::serialize(body);
  return finish(session, session.write(call), "ok");
}

Exit create_token(Session& session) {
  const Result<json::array> grants = grants_of(session.arguments());
  if (!grants.ok()) {
    session.fail(grants.status());
    return Exit::kUsage;
  }
  json::object body = {{"name", session.arguments().words[0]}, {"grants", *grants}};
  if (const auto ttl = session.arguments().value("--ttl")) {
    body["ttl"] = *ttl;
  }
  client::Call call;
  call.method = "POST";
  call.target = "/access/tokens";
  call.body = json::serialize(body);
  // Not repeated: a second one would be refused, and the first one's secret be lost.
  const Result<Answer> answer = session.call_once(call);
  std::string token;
  if (answer.ok()) {
    const json::value value = parse_json(answer->body);
    const json::value* text = value.is_object() ? value.get_object().if_contains("token") : nullptr;
    token = text != nullptr && text->is_string() ? std::string(text->get_string()) : "";
  }
  return finish(session, answer, token);
}

Exit show_self(Session& session) {
  client::Call call;
  call.target = "/access/self";
  const Result<Answer> answer = session.call(call);
  if (!answer.ok() || session.json()) {
    return finish(session, answer, "");
  }
  const json::value body = parse_json(answer->body);
  const json::value* name = body.is_object() ? body.get_object().if_contains("name") : nullptr;
  session.print(name == nullptr ? "access is not controlled: everybody may do everything\n"
                                : std::string(name->as_string()) + "\n");
  return Exit::kDone;
}

constexpr Command kUserCommands[] = {
    {"add", "NAME", "make or change a user",
     "Grants given replace those there were; without --password-stdin the password stays.\n"
     "  quorate user add ada --password-stdin --grant writer:kv:app/ < password\n"
     "  quorate user add ops --grant admin --password-stdin < password",
     kUserFlags, 1, 1, put_user},
    {"ls", "", "list users and what they may do", "", {}, 0, 0, list_users},
    {"rm", "NAME", "remove a user", "", {}, 1, 1, remove_user},
    {"whoami", "", "who this command line is for the cluster", "", {}, 0, 0, show_self},
};

constexpr Command kTokenCommands[] = {
    {"create", "NAME", "make a token and print it; it cannot be shown again",
     "  quorate token create ci --grant writer:kv:ci/ --ttl 30d\n"
     "  QUORATE_TOKEN=qt_ci_... quorate kv put ci/build 7",
     kTokenFlags, 1, 1, create_token},
    {"ls", "", "list tokens and what they may do", "", {}, 0, 0, list_tokens},
    {"rm", "NAME", "revoke a token", "", {}, 1, 1, remove_token},
};

}  // namespace

std::span<const Command> user_commands() { return kUserCommands; }
std::span<const Command> token_commands() { return kTokenCommands; }

Exit user_main(const std::vector<std::string>& words, Io& io) {
  return run_command("user", "Users of a cluster that controls access (access.control = true).",
                     kUserCommands, words, io);
}

Exit token_main(const std::vector<std::string>& words, Io& io) {
  return run_command("token", "Tokens for programs, where access is controlled.", kTokenCommands,
                     words, io);
}

}  // namespace quorate::cli
