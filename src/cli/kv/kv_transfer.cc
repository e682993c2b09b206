// SPDX-License-Identifier: Apache-2.0
// quorate kv: export and import as JSON lines, with one page or batch in memory.
#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <fstream>
#include <iostream>

#include "cli/kv/kv_commands.h"
#include "cli/kv/upload.h"
#include "cli/requests.h"

namespace quorate::cli {

namespace json = boost::json;
using client::Answer;

namespace {

constexpr uint64_t kPageItems = 1'000;

std::string line_of(const json::object& item) {
  json::object line;
  for (const char* name : {"key", "key_base64", "value", "value_base64", "version"}) {
    if (const json::value* value = item.if_contains(name)) {
      line[name] = *value;
    }
  }
  if (const uint64_t end = get_number(item, "expires_at_ms"); end != 0) {
    line["expires_at_ms"] = end;
  }
  return json::serialize(line) + "\n";
}

// One page; false at the end.
Result<bool> export_page(Session& session, const Target& target, json::object& query,
                         std::ostream* file, uint64_t& exported) {
  const Result<Answer> answer =
      session.call({.method = "POST", .target = target.text(), .body = json::serialize(query)});
  RETURN_IF_ERROR(answer);
  const json::value page = parse_json(answer->body);
  const json::value* items = page.is_object() ? page.get_object().if_contains("items") : nullptr;
  if (items == nullptr || !items->is_array()) {
    return Status(Code::kInternal, "the answer is no page of keys");
  }
  std::string lines;
  for (const json::value& item : items->get_array()) {
    lines += line_of(item.get_object());
  }
  exported += items->get_array().size();
  if (file == nullptr) {
    session.print(lines);
  } else if (!file->write(lines.data(), static_cast<std::streamsize>(lines.size()))) {
    return Status(Code::kUnavailable, "cannot write the file");
  }
  const std::string after = get_bytes(page.get_object(), "resume");
  query.erase("resume");
  query.erase("resume_base64");
  put_bytes(query, "resume", after);
  return !after.empty();
}

// A field that is not read would be lost in silence: an end, for one.
Status check_line(const json::object& entry) {
  constexpr std::string_view kKnown[] = {"key",     "key_base64",    "value", "value_base64",
                                         "version", "expires_at_ms", "ttl",   "gone"};
  for (const auto& [name, value] : entry) {
    if (std::find(std::begin(kKnown), std::end(kKnown), std::string_view(name)) ==
        std::end(kKnown)) {
      return Status(Code::kInvalidArgument, "unknown field '" + std::string(name) + "'");
    }
  }
  const bool has_value = entry.contains("value") || entry.contains("value_base64");
  return has_value || entry.contains("gone")
             ? Status::success()
             : Status(Code::kInvalidArgument, "an entry without a value");
}

Status add_line(std::string_view line, Upload& upload) {
  const json::value entry = parse_json(line);
  if (!entry.is_object()) {
    return Status(Code::kInvalidArgument, "no JSON object");
  }
  RETURN_IF_ERROR(check_line(entry.get_object()));
  return upload.add(entry.get_object());
}

Status import_lines(std::istream& lines, Upload& upload) {
  std::string line;
  for (uint64_t number = 1; std::getline(lines, line); ++number) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) {
      continue;
    }
    const Status status = add_line(line, upload);
    if (status.code() == Code::kInvalidArgument) {
      return Status(status.code(), "line " + std::to_string(number) + ": " + status.message());
    }
    RETURN_IF_ERROR(status);
  }
  return upload.finish();
}

}  // namespace

Exit kv_export(Session& session) {
  const Arguments& arguments = session.arguments();
  json::object query = {{"limit", kPageItems}};
  put_bytes(query, "prefix", arguments.value("--prefix").value_or(""));
  Target target = target_of(session, "/v1/kv:scan");
  pass_read_flags(session, target);
  std::ofstream file;
  const bool to_file = !arguments.words.empty() && arguments.words[0] != "-";
  if (to_file) {
    file.open(arguments.words[0], std::ios::binary);
  }
  uint64_t exported = 0;
  for (bool more = true; more;) {
    const Result<bool> page =
        export_page(session, target, query, to_file ? &file : nullptr, exported);
    if (!page.ok()) {
      return session.fail(page.status());
    }
    more = *page;
  }
  if (to_file && !file.flush()) {
    return session.fail(Status(Code::kUnavailable, "cannot write " + arguments.words[0]));
  }
  if (to_file) {
    session.print(session.json() ? "{\"exported\":" + std::to_string(exported) + "}\n"
                                 : "ok, " + std::to_string(exported) + " exported\n");
  }
  return Exit::kDone;
}

Exit kv_import(Session& session) {
  const Arguments& arguments = session.arguments();
  const bool from_file = !arguments.words.empty() && arguments.words[0] != "-";
  std::ifstream file;
  if (from_file) {
    file.open(arguments.words[0], std::ios::binary);
    if (!file) {
      return session.fail(Status(Code::kNotFound, "cannot read " + arguments.words[0]));
    }
  }
  Upload upload(session, arguments.value("--keyspace").value_or(""));
  const Status status = import_lines(from_file ? file : std::cin, upload);
  if (!status.ok()) {
    if (upload.stored() > 0) {
      session.io().error("stored " + std::to_string(upload.stored()) + " before this\n");
    }
    return session.fail_input(status);
  }
  session.print(session.json() ? "{\"stored\":" + std::to_string(upload.stored()) + "}\n"
                               : "ok, " + std::to_string(upload.stored()) + " stored\n");
  return Exit::kDone;
}

}  // namespace quorate::cli
