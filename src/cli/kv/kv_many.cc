// SPDX-License-Identifier: Apache-2.0
// quorate kv: commands on many keys.
#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include "base/limits.h"
#include "cli/kv/kv_commands.h"
#include "cli/requests.h"

namespace quorate::cli {

namespace json = boost::json;
using client::Answer;
using client::Call;

namespace {

Result<json::array> items_of_lines(std::string_view text) {
  json::array items;
  for (int line = 1; !text.empty(); ++line) {
    const size_t end = text.find('\n');
    const std::string_view part = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    if (part.find_first_not_of(" \t\r") == std::string_view::npos) {
      continue;
    }
    json::value item = parse_json(part);
    if (!item.is_object()) {
      return Status(Code::kInvalidArgument,
                    "line " + std::to_string(line) + " is not a JSON object");
    }
    items.push_back(std::move(item));
  }
  return items;
}

Result<json::array> items_to_put(Session& session) {
  const Arguments& arguments = session.arguments();
  if (const std::optional<std::string> file = arguments.value("--file")) {
    const Result<std::string> text = read_file(*file);
    RETURN_IF_ERROR(text);
    return items_of_lines(*text);
  }
  if (arguments.words.empty() || arguments.words[0] == "-") {
    return items_of_lines(session.io().read_input());
  }
  json::array items;
  for (const std::string& word : arguments.words) {
    const size_t equals = word.find('=');
    if (equals == std::string::npos) {
      return Status(Code::kInvalidArgument, "'" + word + "' is not KEY=VALUE");
    }
    json::object item;
    put_bytes(item, "key", std::string_view(word).substr(0, equals));
    put_bytes(item, "value", std::string_view(word).substr(equals + 1));
    if (const auto ttl = arguments.value("--ttl")) {
      item["ttl"] = *ttl;
    }
    items.push_back(std::move(item));
  }
  return items;
}

std::string line_of(const json::object& item, bool keys_only) {
  const std::string key = get_bytes(item, "key");
  return keys_only ? key + "\n" : key + "\t" + get_bytes(item, "value") + "\n";
}

json::array items_of(const json::object& answer) {
  const json::value* items = answer.if_contains("items");
  return items != nullptr && items->is_array() ? items->get_array() : json::array();
}

Result<Answer> ask_for(Session& session, const std::vector<std::string>& keys, bool keys_only) {
  const json::object body = {{"keys", key_list(keys)}, {"keys_only", keys_only}};
  Target target = target_of(session, "/v1/kv:get_many");
  return session.call({.method = "POST",
                       .target = pass_read_flags(session, target).text(),
                       .body = json::serialize(body)});
}

// PREFIX or --prefix, or --start and --end; false if several were given.
bool put_range(const Arguments& arguments, json::object& query) {
  const auto flag = arguments.value("--prefix");
  const bool has_word = !arguments.words.empty();
  const bool has_ends = arguments.has("--start") || arguments.has("--end");
  if ((has_word ? 1 : 0) + (flag ? 1 : 0) + (has_ends ? 1 : 0) > 1) {
    return false;
  }
  if (has_ends) {
    put_bytes(query, "start", arguments.value("--start").value_or(""));
    put_bytes(query, "end", arguments.value("--end").value_or(""));
  } else if (has_word || flag) {
    put_bytes(query, "prefix", flag ? *flag : arguments.words[0]);
  }
  return true;
}

constexpr std::string_view kRangeUsage = "give a prefix, or --start and --end, not both";

}  // namespace

// Sends batches of a size that the server takes; each is one request, stored as a whole per group.
Exit kv_put_many(Session& session) {
  const Result<json::array> items = items_to_put(session);
  if (!items.ok()) {
    return session.fail_input(items.status());
  }
  uint64_t count = 0;
  for (size_t begin = 0; begin < items->size();) {
    std::string body = session.arguments().has("--if-all-absent")
                           ? "{\"if_all_absent\":true,\"items\":["
                           : "{\"items\":[";
    size_t end = begin;
    while (end < items->size() && end - begin < limits::kBatchItemsMax &&
           body.size() < limits::kRequestBytesMax / 4) {
      body += (end == begin ? "" : ",") + json::serialize((*items)[end]);
      ++end;
    }
    begin = end;
    const Result<Answer> answer =
        session.write({.method = "POST",
                       .target = target_of(session, "/v1/kv:put_many").text(),
                       .body = body + "]}"});
    if (!answer.ok()) {
      session.io().error("stored " + std::to_string(count) + " before this\n");
      return session.fail(answer.status());
    }
    const json::value parsed = parse_json(answer->body);
    count += parsed.is_object() ? get_number(parsed.get_object(), "count") : 0;
  }
  session.print(session.json() ? "{\"count\":" + std::to_string(count) + "}\n"
                               : "ok, " + std::to_string(count) + " stored\n");
  return Exit::kDone;
}

Exit kv_get_many(Session& session) {
  return show(session, ask_for(session, session.arguments().words, false),
              [](const json::object& answer) {
                std::string lines;
                for (const json::value& item : items_of(answer)) {
                  lines += item.is_object() ? line_of(item.get_object(), false) : "";
                }
                return lines;
              });
}

Exit kv_exists(Session& session) {
  const std::vector<std::string>& keys = session.arguments().words;
  const Result<Answer> answer = ask_for(session, keys, true);
  size_t absent = 0;
  std::string lines;
  if (answer.ok()) {
    const json::value body = parse_json(answer->body);
    const json::array items = body.is_object() ? items_of(body.get_object()) : json::array();
    for (size_t at = 0; at < items.size() && at < keys.size(); ++at) {
      absent += items[at].is_object() ? 0 : 1;
      lines += keys[at] + "\t" + (items[at].is_object() ? "yes" : "no") + "\n";
    }
  }
  const Exit shown = show(session, answer, [&](const json::object&) { return lines; });
  return absent > 0 ? Exit::kRefused : shown;
}

Exit kv_touch_many(Session& session) {
  const Arguments& arguments = session.arguments();
  if (arguments.has("--ttl") == arguments.has("--persist")) {
    return session.usage_error("give either --ttl or --persist");
  }
  json::object body = {{"keys", key_list(arguments.words)}};
  if (const auto ttl = arguments.value("--ttl")) {
    body["ttl"] = *ttl;
  } else {
    body["persist"] = true;
  }
  return show(session,
              session.write({.method = "POST",
                             .target = target_of(session, "/v1/kv:touch_many").text(),
                             .body = json::serialize(body)}),
              [](const json::object& answer) {
                return std::to_string(get_number(answer, "count")) + " touched\n";
              });
}

Result<bool> print_page(Session& session, const Target& target, json::object& query,
                        uint64_t& left) {
  query["limit"] = std::min<uint64_t>(left, limits::kBatchItemsMax);
  const Result<Answer> answer =
      session.call({.method = "POST", .target = target.text(), .body = json::serialize(query)});
  RETURN_IF_ERROR(answer);
  const json::value page = parse_json(answer->body);
  if (!page.is_object() || !page.get_object().contains("items")) {
    return Status(Code::kInternal, "the answer is no page of keys");
  }
  const json::array items = items_of(page.get_object());
  for (const json::value& item : items) {
    session.print(session.json() || !item.is_object()
                      ? json::serialize(item) + "\n"
                      : line_of(item.get_object(), session.arguments().has("--keys-only")));
  }
  left -= std::min<uint64_t>(left, items.size());
  const std::string after = get_bytes(page.get_object(), "resume");
  query.erase("resume");
  query.erase("resume_base64");
  put_bytes(query, "resume", after);
  return !after.empty();
}

// Pages until the limit or the end.
Exit kv_scan(Session& session) {
  const Arguments& arguments = session.arguments();
  const Result<uint64_t> limit =
      parse_whole(arguments.value("--limit").value_or("1000"), "--limit");
  json::object query;
  if (!limit.ok() || !put_range(arguments, query)) {
    return session.usage_error(limit.ok() ? kRangeUsage : limit.status().message());
  }
  query["keys_only"] = arguments.has("--keys-only");
  query["reverse"] = arguments.has("--reverse");
  Target target = target_of(session, "/v1/kv:scan");
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

// Steps until nothing is left, so that no step holds the others up.
Exit kv_delete_range(Session& session) {
  const Arguments& arguments = session.arguments();
  json::object query;
  if (!put_range(arguments, query)) {
    return session.usage_error(kRangeUsage);
  }
  if (query.empty() != arguments.has("--all")) {
    return session.usage_error("give --prefix, --start, --end; or --all to delete every key");
  }
  if (query.empty()) {
    query["all"] = true;
  }
  uint64_t count = 0;
  bool more = true;
  while (more) {
    const Result<Answer> answer =
        session.write({.method = "POST",
                       .target = target_of(session, "/v1/kv:delete_range").text(),
                       .body = json::serialize(query)});
    if (!answer.ok()) {
      session.io().error("deleted " + std::to_string(count) + " before this\n");
      return session.fail(answer.status());
    }
    const json::value body = parse_json(answer->body);
    count += body.is_object() ? get_number(body.get_object(), "count") : 0;
    more = answer->body.find("\"more\":true") != std::string::npos;
  }
  session.print(session.json() ? "{\"count\":" + std::to_string(count) + "}\n"
                               : std::to_string(count) + " deleted\n");
  return Exit::kDone;
}

Exit kv_stats(Session& session) {
  Target target = target_of(session, "/v1/kv:stats");
  return show(session, session.call({.target = pass_read_flags(session, target).text()}),
              [](const json::object& body) {
                return std::to_string(get_number(body, "keys")) + " keys, " +
                       std::to_string(get_number(body, "bytes")) + " bytes of keys and values, " +
                       std::to_string(get_number(body, "expiring")) + " with an end\n";
              });
}

}  // namespace quorate::cli
