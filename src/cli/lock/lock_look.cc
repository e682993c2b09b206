// SPDX-License-Identifier: Apache-2.0
// quorate lock: what there is to see.
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <utility>
#include <vector>

#include "base/text.h"
#include "cli/lock/lock_commands.h"
#include "cli/requests.h"
#include "cli/table.h"

namespace quorate::cli {

namespace json = boost::json;
using client::Answer;

namespace {

// A watch that says nothing for longer than this has lost its node: progress comes every 5 s.
constexpr Duration kSilence = Duration::seconds(15);

Target with_domain(const Session& session, std::string path) {
  Target target(std::move(path));
  target.pass(session.arguments(), "--domain", "domain");
  return target;
}

std::string mode_of(const json::object& lock) {
  const uint64_t limit = get_number(lock, "limit");
  return limit == 0 ? get_bytes(lock, "mode")
                    : std::to_string(get_number(lock, "used")) + "/" + std::to_string(limit);
}

std::string holder_of(const json::object& lock) {
  const uint64_t holders = get_number(lock, "holders");
  const std::string others = holders > 1 ? " +" + std::to_string(holders - 1) : "";
  return holders == 0 ? "-" : shown(get_bytes(lock, "owner")) + others;
}

std::string seconds_of(uint64_t millis) {
  return std::to_string(millis / 1'000) + "." + std::to_string(millis % 1'000 / 100) + " s";
}

const json::array* list_of(const json::object& object, std::string_view name) {
  const json::value* const value = object.if_contains({name.data(), name.size()});
  return value != nullptr && value->is_array() ? &value->get_array() : nullptr;
}

std::string describe_details(const std::string& name, const json::object& lock) {
  const uint64_t limit = get_number(lock, "limit");
  std::string text = shown(name) + ": " + std::to_string(get_number(lock, "holder_count")) +
                     " holder(s), " + std::to_string(get_number(lock, "waiter_count")) +
                     " waiter(s)";
  if (limit != 0) {
    text += ", " + std::to_string(get_number(lock, "used")) + " of " + std::to_string(limit) +
            " permits";
  }
  text += "\n";
  for (const auto& [key, word] : {std::pair("holders", "holds"), std::pair("waiters", "waits")}) {
    const json::array* const list = list_of(lock, key);
    for (const json::value& each : list == nullptr ? json::array() : *list) {
      const json::object& who = each.as_object();
      text += std::string("  ") + word + "  " + get_bytes(who, "mode") + "  " +
              shown(get_bytes(who, "owner"));
      if (who.contains("token")) {
        text += "  token " + std::to_string(get_number(who, "token"));
      } else {
        text += "  for at most " + seconds_of(get_number(who, "wait_left_ms"));
      }
      text += "\n";
    }
  }
  return text;
}

std::string describe_owner(const std::string& name, const json::object& owner) {
  std::string text = name + ": lease " + seconds_of(get_number(owner, "lease_ms")) + ", " +
                     seconds_of(get_number(owner, "lease_left_ms")) + " left\n";
  const json::array* const held = list_of(owner, "held");
  for (const json::value& each : held == nullptr ? json::array() : *held) {
    const json::object& lock = each.as_object();
    text += "  holds  " + get_bytes(lock, "mode") + "  " + shown(get_bytes(lock, "name")) +
            "  token " + std::to_string(get_number(lock, "token")) + "\n";
  }
  const json::value* const wait = owner.if_contains("wait");
  const json::array* const locks =
      wait != nullptr && wait->is_object() ? list_of(wait->get_object(), "locks") : nullptr;
  for (const json::value& each : locks == nullptr ? json::array() : *locks) {
    text += "  waits  " + shown(get_bytes(each.as_object(), "name")) + "\n";
  }
  return text;
}

// The lines of one watch, cut and shown.
class LockLines {
 public:
  LockLines(Session& session, uint64_t most) : session_(session), left_(most) {}

  // False when enough was seen.
  bool take(std::string_view piece) {
    rest_ += piece;
    for (size_t end = rest_.find('\n'); end != std::string::npos; end = rest_.find('\n')) {
      const std::string line = rest_.substr(0, end);
      rest_.erase(0, end + 1);
      moved_ = true;
      if (!show_line(line)) {
        return false;
      }
    }
    return true;
  }
  void begin_again() { rest_.clear(); }
  [[nodiscard]] bool is_enough() const { return left_ == 0; }
  [[nodiscard]] bool moved() { return std::exchange(moved_, false); }

 private:
  bool show_line(const std::string& line) {
    const json::value parsed = parse_json(line);
    if (!parsed.is_object()) {
      return true;
    }
    const json::object& event = parsed.get_object();
    const std::string type = get_bytes(event, "type");
    if (type != "lock" && type != "free") {
      return true;
    }
    session_.print(session_.json() ? line + "\n" : describe(type, event));
    return --left_ > 0;
  }
  static std::string describe(const std::string& type, const json::object& event) {
    const std::string name = shown(get_bytes(event, "name"));
    return type == "free"
               ? "free\t" + name + "\n"
               : "lock\t" + name + "\t" + mode_of(event) + "\t" + holder_of(event) + "\t" +
                     std::to_string(get_number(event, "waiters")) + " waiting\ttoken " +
                     std::to_string(get_number(event, "token")) + "\n";
  }

  Session& session_;
  uint64_t left_;
  std::string rest_;
  bool moved_ = false;
};

}  // namespace

std::string lock_target(const Session& session, std::string_view name, std::string_view verb) {
  std::string path = "/v1/locks/" + percent_encode(name);
  path += verb.empty() ? "" : "/" + std::string(verb);
  return with_domain(session, std::move(path)).text();
}

std::string owner_target(const Session& session, std::string_view owner, std::string_view verb) {
  std::string path = "/v1/lock-owners/" + percent_encode(owner);
  path += verb.empty() ? "" : "/" + std::string(verb);
  return with_domain(session, std::move(path)).text();
}

// All pages.
Exit lock_list(Session& session) {
  const std::string prefix = session.arguments().words.empty() ? "" : session.arguments().words[0];
  std::vector<std::vector<std::string>> rows = {{"NAME", "MODE", "HELD BY", "WAITING", "TOKEN"}};
  std::string after;
  for (bool more = true; more;) {
    Target target = with_domain(session, "/v1/locks");
    target.add("prefix", prefix).add("after", after);
    const Result<Answer> answer = session.call({.target = target.text()});
    if (!answer.ok()) {
      return session.fail(answer.status());
    }
    const json::value body = parse_json(answer->body);
    const json::array* const locks =
        body.is_object() ? list_of(body.get_object(), "locks") : nullptr;
    if (locks == nullptr) {
      return session.fail(Status(Code::kInternal, "the answer is no list of locks"));
    }
    for (const json::value& each : *locks) {
      const json::object& lock = each.as_object();
      after = get_bytes(lock, "name");
      if (session.json()) {
        session.print(json::serialize(lock) + "\n");
      } else {
        rows.push_back({after, mode_of(lock), holder_of(lock),
                        std::to_string(get_number(lock, "waiters")),
                        std::to_string(get_number(lock, "token"))});
      }
    }
    const json::value* const goes_on = body.get_object().if_contains("more");
    more = !locks->empty() && goes_on != nullptr && goes_on->is_bool() && goes_on->get_bool();
  }
  if (!session.json()) {
    session.print(table(rows, 3));
  }
  return Exit::kDone;
}

Exit lock_info(Session& session) {
  const std::string& name = session.arguments().words[0];
  return show(session, session.call({.target = lock_target(session, name)}),
              [&](const json::object& body) { return describe_details(name, body); });
}

Exit lock_owner(Session& session) {
  const std::string& name = session.arguments().words[0];
  return show(session, session.call({.target = owner_target(session, name)}),
              [&](const json::object& body) { return describe_owner(name, body); });
}

Exit lock_stats(Session& session) {
  return show(session, session.call({.target = with_domain(session, "/v1/locks:stats").text()}),
              [](const json::object& body) {
                std::string text;
                for (const auto& field : body) {
                  text += std::string(field.key()) + "\t" + json::serialize(field.value()) + "\n";
                }
                return text;
              });
}

// Goes on at another node when one is lost: it is told all that is, once more.
Exit lock_watch(Session& session) {
  const Arguments& arguments = session.arguments();
  const Result<uint64_t> count = parse_whole(arguments.value("--count").value_or("0"), "--count");
  if (!count.ok()) {
    return session.usage_error(count.status().message());
  }
  LockLines lines(session, *count == 0 ? UINT64_MAX : *count);
  for (Patience patience = session.patience();;) {
    Target target = with_domain(session, "/v1/locks:watch");
    target.add("prefix", arguments.words.empty() ? "" : arguments.words[0]).add("format", "lines");
    lines.begin_again();
    const Status status = session.stream({.target = target.text()}, kSilence,
                                         [&](std::string piece) { return lines.take(piece); });
    if (!status.ok() && row_of(status.code()).retry == Retry::kNo) {
      return session.fail(status);
    }
    if (status.ok() && lines.is_enough()) {
      return Exit::kDone;
    }
    if (lines.moved()) {
      patience = session.patience();
    }
    if (!patience.wait()) {
      return session.fail(status.ok() ? Status(Code::kUnavailable, "the watch ended") : status);
    }
  }
}

}  // namespace quorate::cli
