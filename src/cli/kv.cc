// SPDX-License-Identifier: Apache-2.0
// quorate kv: keys and values.
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <charconv>
#include <fstream>
#include <iterator>

#include "base/limits.h"
#include "base/text.h"
#include "cli/commands.h"

namespace quorate::cli {
namespace {

namespace json = boost::json;
using client::Answer;
using client::Call;

// ---- requests ----------------------------------------------------------------------------------

// "/v1/kv/KEY?a=b&c=d"; flags that were not given are left out, those without a value are "=true".
class Target {
 public:
  explicit Target(std::string path) : text_(std::move(path)) {}
  static Target of_key(std::string_view key, std::string_view verb = {}) {
    return Target("/v1/kv/" + percent_encode(key) + std::string(verb));
  }
  Target& add(std::string_view name, std::string_view value) {
    text_ += std::exchange(separator_, '&');
    text_.append(name).append("=").append(percent_encode(value));
    return *this;
  }
  Target& pass(const Arguments& arguments, std::string_view flag, std::string_view name) {
    if (const auto value = arguments.value(flag)) {
      add(name, value->empty() ? "true" : *value);
    }
    return *this;
  }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string text_;
  char separator_ = '?';
};

// Bytes as a JSON field: "key" if it is text, else "key_base64".
void put_bytes(json::object& object, std::string name, std::string_view bytes) {
  if (is_utf8(bytes)) {
    object[name] = std::string(bytes);
  } else {
    object[name + "_base64"] = base64_encode(bytes);
  }
}

std::string get_bytes(const json::object& object, const std::string& name) {
  if (const json::value* text = object.if_contains(name); text != nullptr && text->is_string()) {
    return std::string(text->get_string());
  }
  const json::value* coded = object.if_contains(name + "_base64");
  if (coded == nullptr || !coded->is_string()) {
    return {};
  }
  return base64_decode(std::string_view(coded->get_string())).value_or("");
}

uint64_t get_number(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains({name.data(), name.size()});
  const bool number = value != nullptr && (value->is_int64() || value->is_uint64());
  return number ? value->to_number<uint64_t>() : 0;
}

// Prints the body as it came with --json, else what `line` makes of it.
template <class Line>
Exit show(Session& session, const Result<Answer>& answer, Line line) {
  if (!answer.ok()) {
    return session.fail(answer.status());
  }
  if (session.json()) {
    session.print(answer->body);
    return Exit::kDone;
  }
  const json::value body = parse_json(answer->body);
  session.print(line(body.is_object() ? body.get_object() : json::object()));
  return Exit::kDone;
}

std::string expiry(const json::object& object) {
  const json::value* ttl = object.if_contains("ttl_ms");
  if (ttl == nullptr || ttl->is_null()) {
    return "no expiry";
  }
  const uint64_t millis = get_number(object, "ttl_ms");
  return "expires in " + (millis < 10'000 ? std::to_string(millis) + " ms"
                                          : std::to_string(millis / 1'000) + " s");
}

Result<std::string> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (!file) {
    return Status(Code::kNotFound, "cannot read " + path);
  }
  return bytes;
}

// ---- one key -----------------------------------------------------------------------------------

Result<std::string> value_to_put(Session& session) {
  const Arguments& arguments = session.arguments();
  const std::optional<std::string> file = arguments.value("--file");
  if (file && arguments.words.size() > 1) {
    return Status(Code::kInvalidArgument, "give a value or --file, not both");
  }
  if (file) {
    return read_file(*file);
  }
  const bool piped = arguments.words.size() < 2 || arguments.words[1] == "-";
  return piped ? session.io().read_input() : arguments.words[1];
}

Exit put(Session& session) {
  const Arguments& arguments = session.arguments();
  Result<std::string> value = value_to_put(session);
  if (!value.ok()) {
    return session.fail(value.status());
  }
  Target target = Target::of_key(arguments.words[0]);
  target.pass(arguments, "--ttl", "ttl").pass(arguments, "--keep-ttl", "keep_ttl");
  target.pass(arguments, "--if-absent", "if_absent");
  target.pass(arguments, "--if-present", "if_present");
  target.pass(arguments, "--if-version", "if_version");
  return show(session,
              session.write({.method = "PUT", .target = target.text(), .body = std::move(*value),
                             .headers = {{"Content-Type", "application/octet-stream"}}}),
              [](const json::object& body) {
                return "ok, version " + std::to_string(get_number(body, "version")) + "\n";
              });
}

Target read_target(Session& session, Target target) {
  const Arguments& arguments = session.arguments();
  return target.pass(arguments, "--consistency", "consistency")
      .pass(arguments, "--bound", "bound");
}

Exit get(Session& session) {
  const Arguments& arguments = session.arguments();
  const bool details = session.json() || arguments.has("--meta");
  Call call{.target = read_target(session, Target::of_key(arguments.words[0])).text()};
  if (details) {
    call.headers.emplace_back("Accept", "application/json");
  }
  const Result<Answer> answer = session.call(call);
  if (answer.ok() && !details) {
    session.print(answer->body);
    session.print(session.io().out_is_terminal && !answer->body.ends_with('\n') ? "\n" : "");
    return Exit::kDone;
  }
  return show(session, answer, [&answer](const json::object& body) {
    return get_bytes(body, "value") + "\nversion " + std::to_string(get_number(body, "version")) +
           ", created at " + std::to_string(get_number(body, "created")) + ", modified at " +
           std::to_string(get_number(body, "modified")) + ", " + expiry(body) + "\nfrom node " +
           std::string(answer->header("Quorate-Node").value_or("?")) + ", group " +
           std::string(answer->header("Quorate-Group").value_or("?")) + ", index " +
           std::string(answer->header("Quorate-Index").value_or("?")) + ", stale by " +
           std::string(answer->header("Quorate-Staleness-Ms").value_or("?")) + " ms\n";
  });
}

Exit ttl(Session& session) {
  Target target = read_target(session, Target::of_key(session.arguments().words[0]));
  target.add("meta", "true");
  return show(session,
              session.call({.target = target.text(), .headers = {{"Accept", "application/json"}}}),
              [](const json::object& body) { return expiry(body) + "\n"; });
}

Exit del(Session& session) {
  const Arguments& arguments = session.arguments();
  const auto line = [](const json::object& body) {
    return std::to_string(get_number(body, "count")) + " deleted\n";
  };
  if (arguments.words.size() == 1) {
    Target target = Target::of_key(arguments.words[0]);
    target.pass(arguments, "--if-version", "if_version");
    return show(session, session.write({.method = "DELETE", .target = target.text()}), line);
  }
  if (arguments.has("--if-version")) {
    return session.fail(Status(Code::kInvalidArgument, "--if-version is for one key"));
  }
  json::array keys;
  for (const std::string& key : arguments.words) {
    json::object entry;
    put_bytes(entry, "key", key);
    keys.push_back(entry);
  }
  const json::object body = {{"keys", keys}};
  return show(session,
              session.write({.method = "POST", .target = "/v1/kv:delete_many",
                             .body = json::serialize(body)}),
              line);
}

Exit touch(Session& session) {
  const Arguments& arguments = session.arguments();
  if (arguments.has("--ttl") == arguments.has("--persist")) {
    return session.fail(Status(Code::kInvalidArgument, "give either --ttl or --persist"));
  }
  Target target = Target::of_key(arguments.words[0], "/touch");
  target.pass(arguments, "--ttl", "ttl").pass(arguments, "--persist", "persist");
  return show(session, session.write({.method = "POST", .target = target.text()}),
              [](const json::object& body) { return "ok, " + expiry(body) + "\n"; });
}

Exit incr(Session& session) {
  const Arguments& arguments = session.arguments();
  Target target = Target::of_key(arguments.words[0], "/increment");
  target.add("by", arguments.words.size() > 1 ? arguments.words[1] : "1");
  return show(session, session.write({.method = "POST", .target = target.text()}),
              [](const json::object& body) {
                const json::value* value = body.if_contains("value");
                return (value == nullptr ? "?" : json::serialize(*value)) + "\n";
              });
}

// ---- many keys ---------------------------------------------------------------------------------

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

// Sends batches of a size that the server takes; each is one request, stored as a whole per group.
Exit put_many(Session& session) {
  const Result<json::array> items = items_to_put(session);
  if (!items.ok()) {
    return session.fail(items.status());
  }
  uint64_t count = 0;
  for (size_t begin = 0; begin < items->size();) {
    std::string body = "{\"items\":[";
    size_t end = begin;
    while (end < items->size() && end - begin < limits::kBatchItemsMax &&
           body.size() < limits::kRequestBytesMax / 4) {
      body += (end == begin ? "" : ",") + json::serialize((*items)[end]);
      ++end;
    }
    begin = end;
    const Result<Answer> answer = session.write(
        {.method = "POST", .target = "/v1/kv:put_many", .body = body + "]}"});
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

std::string line_of(const json::object& item, bool keys_only) {
  const std::string key = get_bytes(item, "key");
  return keys_only ? key + "\n" : key + "\t" + get_bytes(item, "value") + "\n";
}

Exit get_many(Session& session) {
  json::array keys;
  for (const std::string& key : session.arguments().words) {
    json::object entry;
    put_bytes(entry, "key", key);
    keys.push_back(entry);
  }
  const json::object body = {{"keys", keys}};
  const Target target = read_target(session, Target("/v1/kv:get_many"));
  return show(session,
              session.call({.method = "POST", .target = target.text(),
                            .body = json::serialize(body)}),
              [](const json::object& answer) {
                std::string lines;
                const json::value* items = answer.if_contains("items");
                for (const json::value& item :
                     items != nullptr && items->is_array() ? items->get_array() : json::array()) {
                  lines += item.is_object() ? line_of(item.get_object(), false) : "";
                }
                return lines;
              });
}

// Pages until the limit or the end.
Exit scan(Session& session) {
  const Arguments& arguments = session.arguments();
  const std::string limit_text = arguments.value("--limit").value_or("1000");
  uint64_t left = 0;
  const auto [end, error] =
      std::from_chars(limit_text.data(), limit_text.data() + limit_text.size(), left);
  if (error != std::errc() || end != limit_text.data() + limit_text.size()) {
    return session.fail(Status(Code::kInvalidArgument, "--limit must be a whole number"));
  }
  json::object query;
  put_bytes(query, "prefix", arguments.words.empty() ? "" : arguments.words[0]);
  query["keys_only"] = arguments.has("--keys-only");
  query["reverse"] = arguments.has("--reverse");
  const Target target = read_target(session, Target("/v1/kv:scan"));
  while (left > 0) {
    query["limit"] = std::min<uint64_t>(left, limits::kBatchItemsMax);
    const Result<Answer> answer = session.call(
        {.method = "POST", .target = target.text(), .body = json::serialize(query)});
    if (!answer.ok()) {
      return session.fail(answer.status());
    }
    const json::value page = parse_json(answer->body);
    const json::value* items = page.is_object() ? page.get_object().if_contains("items") : nullptr;
    if (items == nullptr || !items->is_array()) {
      return session.fail(Status(Code::kInternal, "the answer is no page of keys"));
    }
    for (const json::value& item : items->get_array()) {
      session.print(session.json() ? json::serialize(item) + "\n"
                                   : line_of(item.get_object(), arguments.has("--keys-only")));
    }
    left -= std::min<uint64_t>(left, items->get_array().size());
    const std::string after = get_bytes(page.get_object(), "resume");
    if (after.empty()) {
      break;
    }
    query.erase("resume");
    query.erase("resume_base64");
    put_bytes(query, "resume", after);
  }
  return Exit::kDone;
}

// ---- the table ---------------------------------------------------------------------------------

constexpr Flag kConsistency = {"--consistency", "LEVEL",
                               "linearizable (default), follower, bounded or eventual"};
constexpr Flag kBound = {"--bound", "DURATION", "for bounded: how stale it may be, such as 100ms"};
constexpr Flag kTtl = {"--ttl", "DURATION", "1500ms, 30s, 10m, 2h, 7d, or seconds"};

constexpr Flag kPutFlags[] = {kTtl,
                              {"--keep-ttl", "", "leave the expiry as it is"},
                              {"--if-absent", "", "only if there is no such key"},
                              {"--if-present", "", "only if there is such a key"},
                              {"--if-version", "N", "only if the key has this version"},
                              {"--file", "FILE", "take the value from a file"}};
constexpr Flag kGetFlags[] = {kConsistency, kBound,
                              {"--meta", "", "also version, revisions, expiry and origin"}};
constexpr Flag kReadFlags[] = {kConsistency, kBound};
constexpr Flag kDelFlags[] = {{"--if-version", "N", "only if the key has this version"}};
constexpr Flag kTouchFlags[] = {kTtl, {"--persist", "", "let it never expire"}};
constexpr Flag kPutManyFlags[] = {
    kTtl, {"--file", "FILE", "JSON lines: {\"key\",\"value\",\"ttl\"}"}};
constexpr Flag kScanFlags[] = {kConsistency,
                               kBound,
                               {"--limit", "N", "at most so many keys (1000)"},
                               {"--keys-only", "", "no values"},
                               {"--reverse", "", "from the last key to the first"}};

constexpr size_t kMany = limits::kBatchItemsMax;

const Command kCommands[] = {
    {"put", "KEY [VALUE|-]", "Store a value; from standard input if none is given.",
     "Durable on a majority when it returns. Examples:\n"
     "  quorate kv put greeting hello\n"
     "  quorate kv put session:42 '{\"user\":7}' --ttl 30m\n"
     "  quorate kv put lock me --if-absent --ttl 10s\n"
     "  tar c dir | quorate kv put backup -",
     kPutFlags, 1, 2, put},
    {"get", "KEY", "Print a value, byte for byte.",
     "Examples:\n  quorate kv get greeting\n  quorate kv get greeting --meta\n"
     "  quorate kv get greeting --consistency bounded --bound 200ms",
     kGetFlags, 1, 1, get},
    {"del", "KEY...", "Delete keys.", "Deleting what is not there is not an error.", kDelFlags, 1,
     kMany, del},
    {"touch", "KEY", "Change when a key expires.",
     "Examples:\n  quorate kv touch session:42 --ttl 30m\n  quorate kv touch session:42 --persist",
     kTouchFlags, 1, 1, touch},
    {"ttl", "KEY", "How long a key has to live.", "", kReadFlags, 1, 1, ttl},
    {"incr", "KEY [N]", "Add to a number, atomically; the new value.",
     "A missing key counts as 0. For a negative N: quorate kv incr KEY -- -5", {}, 1, 2, incr},
    {"put-many", "[KEY=VALUE...|-]", "Store many; one round of consensus per group touched.",
     "Examples:\n  quorate kv put-many a=1 b=2 c=3\n  quorate kv put-many --file items.jsonl\n"
     "A line of the file: {\"key\":\"a\",\"value\":\"1\",\"ttl\":\"1h\"}; bytes that are not text "
     "go into\n\"key_base64\" and \"value_base64\".",
     kPutManyFlags, 0, kMany, put_many},
    {"get-many", "KEY...", "Print many: key, tab, value; absent ones are left out.", "",
     kReadFlags, 1, kMany, get_many},
    {"scan", "[PREFIX]", "List keys in order: key, tab, value.",
     "Examples:\n  quorate kv scan user: --limit 20\n  quorate kv scan --keys-only", kScanFlags, 0,
     1, scan},
};

}  // namespace

Exit kv_main(const std::vector<std::string>& words, Io& io) {
  return run_command("kv", "Keys and values, replicated and durable.", kCommands, words, io);
}

}  // namespace quorate::cli
