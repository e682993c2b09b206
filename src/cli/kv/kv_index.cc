// SPDX-License-Identifier: Apache-2.0
// quorate kv: secondary indexes, and what is found by them.
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include "cli/kv/kv_commands.h"
#include "cli/requests.h"

namespace quorate::cli {

namespace json = boost::json;
using client::Answer;

namespace {

// A number, true, false, null or "text" as in JSON; what is none of them is text itself.
json::value scalar_of(const std::string& word) {
  json::value value = parse_json(word);
  const bool is_word = value.is_null() && word != "null";
  return is_word || value.is_object() || value.is_array() ? json::value(word) : value;
}

std::string line_of(const json::object& index) {
  std::string line = get_bytes(index, "index") + " on " + get_bytes(index, "field");
  const json::value* const unique = index.if_contains("unique");
  line += unique != nullptr && unique->is_bool() && unique->get_bool() ? ", unique: " : ": ";
  line +=
      get_bytes(index, "state") + ", " + std::to_string(get_number(index, "entries")) + " entries";
  const std::string conflict = get_bytes(index, "conflict");
  return line + (conflict.empty() ? "" : "; not unique at " + conflict) + "\n";
}

// "ok", or what else there is to say of a command that found nothing to do.
std::string done_or(const json::object& answer, std::string_view otherwise) {
  const json::value* const changed = answer.if_contains("changed");
  const bool idle = changed != nullptr && changed->is_bool() && !changed->get_bool();
  return idle ? std::string(otherwise) + "\n" : "ok\n";
}

}  // namespace

Exit kv_create_index(Session& session) {
  const Arguments& arguments = session.arguments();
  const json::object body = {{"index", arguments.words[0]},
                             {"field", arguments.words[1]},
                             {"unique", arguments.has("--unique")}};
  return show(session,
              session.write({.method = "POST",
                             .target = target_of(session, "/v1/kv:create_index").text(),
                             .body = json::serialize(body)}),
              [](const json::object& answer) { return done_or(answer, "ok, it was there"); });
}

Exit kv_drop_index(Session& session) {
  const json::object body = {{"index", session.arguments().words[0]}};
  return show(
      session,
      session.write({.method = "POST",
                     .target = target_of(session, "/v1/kv:drop_index").text(),
                     .body = json::serialize(body)}),
      [](const json::object& answer) { return done_or(answer, "there was no such index"); });
}

Exit kv_indexes(Session& session) {
  Target target = target_of(session, "/v1/kv:indexes");
  return show(session, session.call({.target = pass_read_flags(session, target).text()}),
              [](const json::object& answer) {
                std::string lines;
                const json::value* const list = answer.if_contains("indexes");
                if (list != nullptr && list->is_array()) {
                  for (const json::value& index : list->get_array()) {
                    lines += index.is_object() ? line_of(index.get_object()) : "";
                  }
                }
                return lines;
              });
}

// Pages until the limit or the end.
Exit kv_find(Session& session) {
  const Arguments& arguments = session.arguments();
  const Result<uint64_t> limit =
      parse_whole(arguments.value("--limit").value_or("1000"), "--limit");
  if (!limit.ok()) {
    return session.usage_error(limit.status().message());
  }
  json::object query = {{"index", arguments.words[0]},
                        {"keys_only", arguments.has("--keys-only")},
                        {"reverse", arguments.has("--reverse")}};
  if (arguments.words.size() > 1) {
    query["equals"] = scalar_of(arguments.words[1]);
  }
  for (const char* const name : {"from", "above", "to", "below"}) {
    if (const auto text = arguments.value(std::string("--") + name)) {
      query[name] = scalar_of(*text);
    }
  }
  Target target = target_of(session, "/v1/kv:find");
  pass_read_flags(session, target);
  for (uint64_t left = *limit; left > 0;) {
    const Result<bool> more = print_page(session, target, query, left);
    if (!more.ok()) {
      return session.fail(more.status());
    }
    if (!*more) {
      break;
    }
  }
  return Exit::kDone;
}

}  // namespace quorate::cli
