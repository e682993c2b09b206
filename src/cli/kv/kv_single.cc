// SPDX-License-Identifier: Apache-2.0
// quorate kv: commands on one key, and on one bucket.
#include <boost/json/serialize.hpp>
#include <charconv>

#include "base/text.h"
#include "cli/kv/kv_commands.h"
#include "cli/requests.h"

namespace quorate::cli {

namespace json = boost::json;
using client::Answer;
using client::Call;

namespace {

struct ConditionRow {
  std::string_view flag;
  std::string_view name;
};
constexpr ConditionRow kConditions[] = {{"--if-absent", "if_absent"},
                                        {"--if-present", "if_present"},
                                        {"--if-version", "if_version"},
                                        {"--if-modified", "if_modified"}};

// Of a value the bytes may be anything, also nothing at all.
size_t pass_conditions(const Arguments& arguments, Target& target) {
  size_t passed = 0;
  for (const ConditionRow& row : kConditions) {
    passed += arguments.has(row.flag) ? 1 : 0;
    target.pass(arguments, row.flag, row.name);
  }
  if (const auto value = arguments.value("--if-value")) {
    ++passed;
    target.add("if_value_base64", base64_encode(*value));
  }
  return passed;
}

Exit write_raw(Session& session, std::string_view method, const Target& target, std::string value) {
  return show(session,
              session.write({.method = std::string(method),
                             .target = target.text(),
                             .body = std::move(value),
                             .headers = {{"Content-Type", "application/octet-stream"}}}),
              [](const json::object& body) {
                return "ok, version " + std::to_string(get_number(body, "version")) + "\n";
              });
}

Exit put_with(Session& session, size_t conditions_min) {
  const Arguments& arguments = session.arguments();
  Target target = target_of_key(session, arguments.words[0]);
  target.pass(arguments, "--ttl", "ttl").pass(arguments, "--keep-ttl", "keep_ttl");
  const size_t conditions = pass_conditions(arguments, target);
  if (conditions < conditions_min || conditions > 1) {
    return session.usage_error(conditions_min == 1 ? "give exactly one of the --if- flags"
                                                   : "give at most one of the --if- flags");
  }
  Result<std::string> value = read_value(session, 1);
  if (!value.ok()) {
    return session.fail_input(value.status());
  }
  return write_raw(session, "PUT", target, std::move(*value));
}

std::string describe_item(const json::object& body, const Answer& answer) {
  return get_bytes(body, "value") + "\nversion " + std::to_string(get_number(body, "version")) +
         ", created at " + std::to_string(get_number(body, "created")) + ", modified at " +
         std::to_string(get_number(body, "modified")) + ", " + describe_expiry(body) +
         "\nfrom node " + std::string(answer.header("Quorate-Node").value_or("?")) + ", group " +
         std::string(answer.header("Quorate-Group").value_or("?")) + ", index " +
         std::string(answer.header("Quorate-Index").value_or("?")) + ", stale by " +
         std::string(answer.header("Quorate-Staleness-Ms").value_or("?")) + " ms\n";
}

Exit increment(Session& session, bool down) {
  const Arguments& arguments = session.arguments();
  const std::string text = arguments.words.size() > 1 ? arguments.words[1] : "1";
  int64_t by = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), by);
  if (error != std::errc() || end != text.data() + text.size() || (down && by == INT64_MIN)) {
    return session.usage_error("'" + text + "' is not a whole number");
  }
  Target target = target_of_key(session, arguments.words[0], "/increment");
  target.add("by", std::to_string(down ? -by : by)).pass(arguments, "--ttl", "ttl");
  return show(session, session.write({.method = "POST", .target = target.text()}),
              [](const json::object& body) {
                const json::value* value = body.if_contains("value");
                return (value == nullptr ? "?" : json::serialize(*value)) + "\n";
              });
}

Exit touch_with(Session& session, Target target) {
  return show(session, session.write({.method = "POST", .target = target.text()}),
              [](const json::object& body) {
                return (get_number(body, "count") == 0 ? "unchanged, " : "ok, ") +
                       describe_expiry(body) + "\n";
              });
}

}  // namespace

Exit kv_put(Session& session) { return put_with(session, 0); }
Exit kv_cas(Session& session) { return put_with(session, 1); }

Exit kv_get(Session& session) {
  const Arguments& arguments = session.arguments();
  const bool details = session.json() || arguments.has("--meta");
  Target target = target_of_key(session, arguments.words[0]);
  Call call{.target = pass_read_flags(session, target).text()};
  if (details) {
    call.headers.emplace_back("Accept", "application/json");
  }
  const Result<Answer> answer = session.call(call);
  if (answer.ok() && !details) {
    session.print(answer->body);
    session.print(session.io().out_is_terminal && !answer->body.ends_with('\n') ? "\n" : "");
    return Exit::kDone;
  }
  return show(session, answer,
              [&answer](const json::object& body) { return describe_item(body, *answer); });
}

Exit kv_ttl(Session& session) {
  Target target = target_of_key(session, session.arguments().words[0]);
  pass_read_flags(session, target).add("meta", "true");
  return show(session,
              session.call({.target = target.text(), .headers = {{"Accept", "application/json"}}}),
              [](const json::object& body) { return describe_expiry(body) + "\n"; });
}

Exit kv_del(Session& session) {
  const Arguments& arguments = session.arguments();
  const auto line = [](const json::object& body) {
    return std::to_string(get_number(body, "count")) + " deleted\n";
  };
  Target one = target_of_key(session, arguments.words[0]);
  const size_t conditions = pass_conditions(arguments, one);
  if (conditions > 1 || (conditions == 1 && arguments.words.size() > 1)) {
    return session.usage_error("one condition, and that for one key");
  }
  if (arguments.words.size() == 1) {
    return show(session, session.write({.method = "DELETE", .target = one.text()}), line);
  }
  const json::object body = {{"keys", key_list(arguments.words)}};
  return show(session,
              session.write({.method = "POST",
                             .target = target_of(session, "/v1/kv:delete_many").text(),
                             .body = json::serialize(body)}),
              line);
}

Exit kv_touch(Session& session) {
  const Arguments& arguments = session.arguments();
  if (arguments.has("--ttl") == arguments.has("--persist")) {
    return session.usage_error("give either --ttl or --persist");
  }
  Target target = target_of_key(session, arguments.words[0], "/touch");
  target.pass(arguments, "--ttl", "ttl").pass(arguments, "--persist", "persist");
  return touch_with(session, target.pass(arguments, "--when", "when"));
}

Exit kv_persist(Session& session) {
  Target target = target_of_key(session, session.arguments().words[0], "/touch");
  return touch_with(session, target.add("persist", "true"));
}

Exit kv_incr(Session& session) { return increment(session, false); }
Exit kv_decr(Session& session) { return increment(session, true); }

Exit kv_append(Session& session) {
  Result<std::string> value = read_value(session, 1);
  if (!value.ok()) {
    return session.fail_input(value.status());
  }
  return write_raw(session, "POST", target_of_key(session, session.arguments().words[0], "/append"),
                   std::move(*value));
}

Exit kv_set_range(Session& session) {
  const Arguments& arguments = session.arguments();
  const Result<uint64_t> offset = parse_whole(arguments.words[1], "OFFSET");
  if (!offset.ok()) {
    return session.usage_error(offset.status().message());
  }
  Result<std::string> value = read_value(session, 2);
  if (!value.ok()) {
    return session.fail_input(value.status());
  }
  Target target = target_of_key(session, arguments.words[0], "/set_range");
  return write_raw(session, "POST", target.add("offset", arguments.words[1]), std::move(*value));
}

// Done if the tokens were there, refused if not: a script may go by the exit code alone.
Exit kv_rate_limit(Session& session) {
  const Arguments& arguments = session.arguments();
  json::object body = {{"name", arguments.words[0]}};
  for (const char* name : {"burst", "tokens", "cost"}) {
    if (const auto text = arguments.value(std::string("--") + name)) {
      const Result<uint64_t> number = parse_whole(*text, std::string("--") + name);
      if (!number.ok()) {
        return session.usage_error(number.status().message());
      }
      body[name] = *number;
    }
  }
  if (const auto period = arguments.value("--period")) {
    body["period"] = *period;
  }
  const Result<Answer> answer =
      session.write({.method = "POST",
                     .target = target_of(session, "/v1/kv:rate_limit").text(),
                     .body = json::serialize(body)});
  const Exit shown = show(session, answer, [](const json::object& rated) {
    const json::value* allowed = rated.if_contains("allowed");
    const std::string left = std::to_string(get_number(rated, "tokens_left"));
    if (allowed != nullptr && allowed->is_bool() && allowed->get_bool()) {
      return "allowed, " + left + " left\n";
    }
    return "refused, try again in " + std::to_string(get_number(rated, "retry_after_ms")) + " ms\n";
  });
  const bool refused = answer.ok() && answer->body.find("\"allowed\":false") != std::string::npos;
  return refused ? Exit::kRefused : shown;
}

}  // namespace quorate::cli
