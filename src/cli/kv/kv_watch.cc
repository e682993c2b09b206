// SPDX-License-Identifier: Apache-2.0
// quorate kv: transactions and watching.
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include "base/text.h"
#include "cli/kv/kv_commands.h"
#include "cli/requests.h"

namespace quorate::cli {

namespace json = boost::json;
using client::Answer;

namespace {

// A watch that says nothing for longer than this has lost its node: progress comes every 5 s.
constexpr Duration kSilence = Duration::seconds(15);

std::string describe_answers(const json::object& body, bool held) {
  std::string text = held ? "then" : "else";
  text += ", revision " + std::to_string(get_number(body, "revision")) + "\n";
  const json::value* answers = body.if_contains("answers");
  if (answers != nullptr && answers->is_array()) {
    for (const json::value& each : answers->get_array()) {
      text += "  " + json::serialize(each) + "\n";
    }
  }
  return text;
}

// The lines of one watch: cut, shown, counted; and the cursor to go on from.
class Follower {
 public:
  Follower(Session& session, uint64_t most) : session_(session), left_(most) {}

  // False when enough was seen, or the watch has ended with an error.
  bool take(std::string_view piece) {
    rest_ += piece;
    for (size_t end = rest_.find('\n'); end != std::string::npos; end = rest_.find('\n')) {
      const std::string line = rest_.substr(0, end);
      rest_.erase(0, end + 1);
      if (!show_line(line)) {
        return false;
      }
    }
    return true;
  }
  void begin_again() { rest_.clear(); }

  [[nodiscard]] const std::string& cursor() const { return cursor_; }
  [[nodiscard]] const Status& failure() const { return failure_; }
  [[nodiscard]] bool is_enough() const { return left_ == 0; }
  [[nodiscard]] bool moved() { return std::exchange(moved_, false); }

 private:
  bool show_line(const std::string& line) {
    const json::value parsed = parse_json(line);
    if (!parsed.is_object()) {
      return true;
    }
    const json::object& event = parsed.get_object();
    moved_ = true;
    if (const json::value* error = event.if_contains("error")) {
      const json::object fields = error->is_object() ? error->get_object() : json::object();
      const Code code = get_bytes(fields, "code") == "precondition_failed"
                            ? Code::kPreconditionFailed
                            : Code::kUnavailable;
      failure_ = Status(code, get_bytes(fields, "message"));
      return false;
    }
    cursor_ = get_bytes(event, "cursor");
    const std::string type = get_bytes(event, "type");
    if (type == "ready" || type == "progress") {
      return true;
    }
    session_.print(session_.json() ? line + "\n" : describe(type, event));
    return --left_ > 0;
  }

  static std::string describe(const std::string& type, const json::object& event) {
    std::string text = type + "\t" + get_bytes(event, "key");
    return text + (type == "put" ? "\t" + get_bytes(event, "value") : "") + "\n";
  }

  Session& session_;
  uint64_t left_;
  std::string rest_;
  std::string cursor_;
  Status failure_;
  bool moved_ = false;
};

}  // namespace

Exit kv_txn(Session& session) {
  Result<std::string> text = read_value(session, 0);
  if (!text.ok()) {
    return session.fail_input(text.status());
  }
  if (!parse_json(*text).is_object()) {
    return session.usage_error("the transaction is not a JSON object");
  }
  const Result<Answer> answer = session.write({.method = "POST",
                                               .target = target_of(session, "/v1/kv:txn").text(),
                                               .body = std::move(*text)});
  const bool held = answer.ok() && answer->body.starts_with("{\"held\":true");
  const Exit shown =
      show(session, answer, [&](const json::object& body) { return describe_answers(body, held); });
  return shown == Exit::kDone && !held ? Exit::kRefused : shown;
}

// Goes on at another node when one is lost, from the last cursor; gives up when no node has let it
// go on within --timeout.
Exit kv_watch(Session& session) {
  const Arguments& arguments = session.arguments();
  const Result<uint64_t> count = parse_whole(arguments.value("--count").value_or("0"), "--count");
  if (!count.ok() || (!arguments.words.empty() && arguments.has("--prefix"))) {
    return session.usage_error(count.ok() ? "give the prefix once" : count.status().message());
  }
  const std::string prefix =
      arguments.words.empty() ? arguments.value("--prefix").value_or("") : arguments.words[0];
  Follower follower(session, *count == 0 ? UINT64_MAX : *count);
  std::string after = arguments.value("--after").value_or("");
  for (Patience patience = session.patience();;) {
    Target target = target_of(session, "/v1/kv:watch");
    target.add("prefix_base64", base64_encode(prefix)).add("format", "lines");
    if (!after.empty()) {
      target.add("after", after);
    }
    follower.begin_again();
    const Status status = session.stream({.target = target.text()}, kSilence,
                                         [&](std::string piece) { return follower.take(piece); });
    if (!follower.failure().ok()) {
      return session.fail(follower.failure());
    }
    if (row_of(status.code()).retry == Retry::kNo && !status.ok()) {
      return session.fail(status);
    }
    if (status.ok() && follower.is_enough()) {
      return Exit::kDone;
    }
    // Ended or lost: the node stops, or is gone.
    if (follower.moved()) {
      patience = session.patience();
      after = follower.cursor();
    }
    if (!patience.wait()) {
      return session.fail(status.ok() ? Status(Code::kUnavailable, "the watch ended") : status);
    }
  }
}

}  // namespace quorate::cli
