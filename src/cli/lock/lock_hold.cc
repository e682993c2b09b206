// SPDX-License-Identifier: Apache-2.0
// quorate lock: taking and giving by hand.
#include <unistd.h>

#include <array>
#include <boost/json/serialize.hpp>

#include "cli/lock/lock_commands.h"
#include "cli/requests.h"

namespace quorate::cli {

namespace json = boost::json;
using client::Answer;

std::string new_owner() {
  std::array<char, 256> host{};
  if (gethostname(host.data(), host.size() - 1) != 0) {
    host[0] = '\0';
  }
  return std::string(host.data()).substr(0, 128) + ":" + std::to_string(getpid()) + ":" +
         client::new_idempotency_key().substr(0, 8);
}

Exit fail_to_take(Session& session, const Status& status) {
  const Exit exit = session.fail(status);
  const bool is_refusal = status.code() == Code::kTimeout || status.code() == Code::kDeadlock;
  return is_refusal ? Exit::kRefused : exit;
}

Result<json::object> acquire_body(const Session& session) {
  const Arguments& arguments = session.arguments();
  json::object body;
  if (arguments.has("--shared") && arguments.has("--permits")) {
    return Status(Code::kInvalidArgument, "--shared and --permits exclude each other");
  }
  if (const auto text = arguments.value("--permits")) {  // "2/10", or "/10" for one of them
    const size_t slash = text->find('/');
    const Result<uint64_t> permits =
        parse_whole(slash == 0 ? "1" : text->substr(0, slash), "--permits");
    const Result<uint64_t> limit =
        parse_whole(slash == std::string::npos ? "" : text->substr(slash + 1), "--permits");
    RETURN_IF_ERROR(permits);
    RETURN_IF_ERROR(limit);
    body["mode"] = "permits";
    body["permits"] = *permits;
    body["limit"] = *limit;
  } else {
    body["mode"] = arguments.has("--shared") ? "shared" : "exclusive";
  }
  return body;
}

Exit lock_acquire(Session& session) {
  const Arguments& arguments = session.arguments();
  Result<json::object> body = acquire_body(session);
  if (!body.ok()) {
    return session.usage_error(body.status().message());
  }
  const std::string owner = arguments.value("--owner").value_or(new_owner());
  put_bytes(*body, "owner", owner);
  (*body)["wait"] = arguments.value("--wait").value_or("0");
  (*body)["lease"] = arguments.value("--lease").value_or("30s");
  const Result<Answer> answer =
      session.write({.method = "POST",
                     .target = lock_target(session, arguments.words[0], "acquire"),
                     .body = json::serialize(*body),
                     .waits = true});
  if (!answer.ok()) {
    return fail_to_take(session, answer.status());
  }
  return show(session, answer, [&](const json::object& taken) {
    return "token " + std::to_string(get_number(taken, "token")) + "\towner " + owner + "\n";
  });
}

Exit lock_release(Session& session) {
  const Arguments& arguments = session.arguments();
  json::object body;
  put_bytes(body, "owner", arguments.words[1]);
  if (const auto text = arguments.value("--token")) {
    const Result<uint64_t> token = parse_whole(*text, "--token");
    if (!token.ok()) {
      return session.usage_error(token.status().message());
    }
    body["token"] = *token;
  }
  if (arguments.has("--all")) {
    body["count"] = 0;
  }
  const Result<Answer> answer =
      session.write({.method = "POST",
                     .target = lock_target(session, arguments.words[0], "release"),
                     .body = json::serialize(body)});
  return show(session, answer, [](const json::object& released) {
    const uint64_t left = get_number(released, "left");
    return left == 0 ? std::string("released\n")
                     : "still held " + std::to_string(left) + " time(s)\n";
  });
}

Exit lock_break(Session& session) {
  const Arguments& arguments = session.arguments();
  json::object body;
  if (const auto owner = arguments.value("--owner")) {
    put_bytes(body, "owner", *owner);
  }
  const Result<Answer> answer =
      session.write({.method = "POST",
                     .target = lock_target(session, arguments.words[0], "break"),
                     .body = json::serialize(body)});
  return show(session, answer, [](const json::object& broken) {
    return "taken from " + std::to_string(get_number(broken, "count")) + " holder(s)\n";
  });
}

}  // namespace quorate::cli
