// SPDX-License-Identifier: Apache-2.0
// quorate keyspace: named sets of keys with a quota and an order of their own.
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/requests.h"

namespace quorate::cli {
namespace {

namespace json = boost::json;
using client::Answer;

std::string target_of_name(const std::string& name) {
  return "/v1/keyspaces/" + percent_encode(name);
}

std::string quota_text(const json::object& keyspace, std::string_view name) {
  const uint64_t quota = get_number(keyspace, name);
  return quota == 0 ? "no quota" : "at most " + std::to_string(quota);
}

std::string describe(const json::object& keyspace) {
  const uint64_t partitions = get_number(keyspace, "partitions");
  std::string text =
      get_bytes(keyspace, "name") + ": " + get_bytes(keyspace, "state") + ", " +
      (partitions == 0 ? "over all groups" : std::to_string(partitions) + " partition(s)");
  text += "; keys: " + quota_text(keyspace, "keys_max");
  text += "; bytes: " + quota_text(keyspace, "bytes_max");
  const uint64_t above = get_number(keyspace, "compress_above");
  text += above == 0 ? "; values: not compressed"
                     : "; values: compressed from " + std::to_string(above) + " bytes on";
  if (keyspace.contains("keys")) {
    text += "; holds " + std::to_string(get_number(keyspace, "keys")) + " keys, " +
            std::to_string(get_number(keyspace, "bytes")) + " bytes in " +
            std::to_string(get_number(keyspace, "bytes") - get_number(keyspace, "saved_bytes"));
  }
  return text + "\n";
}

// "none" takes a quota, or the compression, away.
Status put_wishes(const Arguments& arguments, json::object& body) {
  for (const auto& [flag, name] :
       {std::pair("--keys-max", "keys_max"), std::pair("--bytes-max", "bytes_max"),
        std::pair("--compress-above", "compress_above")}) {
    const auto text = arguments.value(flag);
    if (!text.has_value()) {
      continue;
    }
    if (*text == "none") {
      body[name] = nullptr;
      continue;
    }
    const Result<uint64_t> number = parse_whole(*text, flag);
    RETURN_IF_ERROR(number);
    body[name] = *number;
  }
  return Status::success();
}

Exit create(Session& session) {
  const Arguments& arguments = session.arguments();
  json::object body = {{"name", arguments.words[0]}};
  if (const Status status = put_wishes(arguments, body); !status.ok()) {
    return session.usage_error(status.message());
  }
  if (const auto text = arguments.value("--partitions")) {
    const Result<uint64_t> partitions = parse_whole(*text, "--partitions");
    if (!partitions.ok()) {
      return session.usage_error(partitions.status().message());
    }
    body["partitions"] = *partitions;
  }
  return show(
      session,
      session.write({.method = "POST", .target = "/v1/keyspaces", .body = json::serialize(body)}),
      describe);
}

Exit change(Session& session) {
  json::object body;
  const Status status = put_wishes(session.arguments(), body);
  if (!status.ok() || body.empty()) {
    return session.usage_error(status.ok() ? "give --keys-max, --bytes-max or --compress-above"
                                           : status.message());
  }
  return show(session,
              session.write({.method = "PUT",
                             .target = target_of_name(session.arguments().words[0]),
                             .body = json::serialize(body)}),
              describe);
}

Exit status(Session& session) {
  return show(session, session.call({.target = target_of_name(session.arguments().words[0])}),
              describe);
}

Exit drop(Session& session) {
  return show(
      session,
      session.write({.method = "DELETE", .target = target_of_name(session.arguments().words[0])}),
      [](const json::object&) { return std::string("dropped\n"); });
}

// All pages.
Exit list(Session& session) {
  std::string after;
  for (;;) {
    const Result<Answer> answer =
        session.call({.target = "/v1/keyspaces?after=" + percent_encode(after)});
    if (!answer.ok()) {
      return session.fail(answer.status());
    }
    const json::value body = parse_json(answer->body);
    const json::value* found =
        body.is_object() ? body.get_object().if_contains("keyspaces") : nullptr;
    if (found == nullptr || !found->is_array()) {
      return session.fail(Status(Code::kInternal, "the answer is no list of keyspaces"));
    }
    for (const json::value& each : found->get_array()) {
      session.print(session.json() || !each.is_object() ? json::serialize(each) + "\n"
                                                        : describe(each.get_object()));
    }
    after = get_bytes(body.get_object(), "after");
    if (after.empty()) {
      return Exit::kDone;
    }
  }
}

constexpr Flag kKeysMax = {"--keys-max", "N", "how many keys it may hold; none: no quota"};
constexpr Flag kBytesMax = {"--bytes-max", "N", "how many bytes of keys and values; or none"};
constexpr Flag kCompressAbove = {"--compress-above", "BYTES",
                                 "keep values of that size compressed (1024), or none"};
constexpr Flag kCreateFlags[] = {
    {"--partitions", "N", "groups to spread over (1: one order over all keys)"},
    kKeysMax,
    kBytesMax,
    kCompressAbove};
constexpr Flag kChangeFlags[] = {kKeysMax, kBytesMax, kCompressAbove};

const Command kCommands[] = {
    {"create", "NAME", "Create a keyspace.",
     "With one partition all its keys are in one group: one order of revisions, one watch,\n"
     "transactions over any keys. More partitions scale. Examples:\n"
     "  quorate keyspace create orders --keys-max 1000000\n"
     "  quorate keyspace create sessions --partitions 12\n"
     "  quorate kv put 17 '{...}' --keyspace orders",
     kCreateFlags, 1, 1, create},
    {"list",
     "",
     "All keyspaces, with their quotas.",
     "Example:\n  quorate keyspace list --json",
     {},
     0,
     0,
     list},
    {"status",
     "NAME",
     "One keyspace, with what it holds.",
     "Example:\n  quorate keyspace status orders",
     {},
     1,
     1,
     status},
    {"change", "NAME", "Change a quota or the compression.",
     "A smaller quota deletes nothing; nothing grows until there is room. Examples:\n"
     "  quorate keyspace change orders --bytes-max 1073741824\n"
     "  quorate keyspace change orders --keys-max none\n"
     "  quorate keyspace change orders --compress-above 4096",
     kChangeFlags, 1, 1, change},
    {"drop",
     "NAME",
     "Drop a keyspace with all its keys.",
     "Writes are refused at once, the keys go in the background. Example:\n"
     "  quorate keyspace drop orders",
     {},
     1,
     1,
     drop},
};

}  // namespace

std::span<const Command> keyspace_commands() { return kCommands; }

Exit keyspace_main(const std::vector<std::string>& words, Io& io) {
  return run_command("keyspace", "Named sets of keys with a quota and an order of their own.",
                     kCommands, words, io);
}

}  // namespace quorate::cli
