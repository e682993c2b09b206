// SPDX-License-Identifier: Apache-2.0
// The commands about the server: CONFIG, COMMAND, TIME, INFO, WAIT and those that are refused.
#include <algorithm>

#include "edge/resp/command_docs.h"
#include "edge/resp/families.h"
#include "edge/resp/help.h"
#include "edge/resp/info.h"
#include "edge/resp/session/client.h"
#include "service/value/glob.h"

namespace quorate::edge::resp {
namespace {

void run_time(Client& client, Arguments, Reply& reply) {
  const int64_t micros = client.context().clock.wall().micros();
  reply.array(2);
  reply.bulk(std::to_string(micros / 1'000'000));
  reply.bulk(std::to_string(micros % 1'000'000));
}

void run_role(Client&, Arguments, Reply& reply) {
  reply.array(3);
  reply.bulk("master");
  reply.integer(0);
  reply.array(0);
}

void run_debug(Client&, Arguments, Reply& reply) {
  reply.error("ERR DEBUG is not served: it could stop a node that others count on");
}

// Whatever was answered is on a majority's disks: of every group, on so many besides its leader.
void run_wait(Client& client, Arguments arguments, Reply& reply) {
  int64_t wanted = 0;
  int64_t timeout = 0;
  if (!parse_integer(arguments[1], wanted)) {
    reply.error(kNotAnInteger);
    return;
  }
  if (!parse_integer(arguments[2], timeout)) {
    reply.error("ERR timeout is not an integer or out of range");
    return;
  }
  if (timeout < 0) {
    reply.error("ERR timeout is negative");
    return;
  }
  size_t least = SIZE_MAX;
  for (const SlotsView& slots : client.context().topology.view().slots) {
    least = std::min(least, (slots.others.size() + 1) / 2);
  }
  reply.integer(least == SIZE_MAX ? 0 : static_cast<int64_t>(least));
}

// ---- CONFIG -------------------------------------------------------------------------------------

struct Parameter {
  std::string_view name;
  std::string (*value)(Context& context);
};

constexpr Parameter kParameters[] = {
    {"appendfsync", [](Context&) { return std::string("always"); }},
    {"appendonly", [](Context&) { return std::string("yes"); }},
    {"cluster-enabled", [](Context&) { return std::string("yes"); }},
    {"databases", [](Context&) { return std::string("1"); }},
    {"maxclients",
     [](Context& context) { return std::to_string(context.server.connections_max()); }},
    {"maxmemory", [](Context&) { return std::string("0"); }},
    {"maxmemory-policy", [](Context&) { return std::string("noeviction"); }},
    {"notify-keyspace-events", [](Context&) { return std::string(); }},
    {"proto-max-bulk-len", [](Context&) { return std::to_string(limits::kValueBytesMax); }},
    {"save", [](Context&) { return std::string(); }},
    {"timeout",
     [](Context& context) { return std::to_string(context.idle_timeout.millis() / 1'000); }},
};

void run_config_get(Client& client, Arguments arguments, Reply& reply) {
  std::vector<const Parameter*> found;
  for (const Parameter& parameter : kParameters) {
    const Arguments patterns = arguments.subspan(2);
    if (std::any_of(patterns.begin(), patterns.end(), [&](std::string_view pattern) {
          return service::matches(lower_case(pattern), parameter.name);
        })) {
      found.push_back(&parameter);
    }
  }
  reply.map(found.size());
  for (const Parameter* parameter : found) {
    reply.bulk(parameter->name);
    reply.bulk(parameter->value(client.context()));
  }
}

// What a node does is told by its own configuration; here a value may only be what it is.
void run_config_set(Client& client, Arguments arguments, Reply& reply) {
  if (arguments.size() % 2 != 0) {
    reply.error("ERR wrong number of arguments for 'config|set' command");
    return;
  }
  for (size_t at = 2; at < arguments.size(); at += 2) {
    const auto* const known =
        std::find_if(std::begin(kParameters), std::end(kParameters),
                     [&](const Parameter& each) { return is_word(arguments[at], each.name); });
    const std::string name(arguments[at].substr(0, 128));
    if (known == std::end(kParameters)) {
      reply.error("ERR Unknown option or number of arguments for CONFIG SET - '" + name + "'");
      return;
    }
    if (known->value(client.context()) != arguments[at + 1]) {
      reply.error("ERR CONFIG SET failed (possibly related to argument '" + name +
                  "') - can't set immutable config");
      return;
    }
  }
  reply.ok();
}

void run_config_resetstat(Client& client, Arguments, Reply& reply) {
  Context& context = client.context();
  context.commands = context.errors = context.reads_here = 0;
  context.table.forget_counts();
  reply.ok();
}

void run_config_rewrite(Client&, Arguments, Reply& reply) {
  reply.error("ERR The server is running without a config file");
}

// ---- ACL and MODULE: as much as tools ask for first ---------------------------------------------

void run_acl_whoami(Client& client, Arguments, Reply& reply) {
  reply.bulk(client.caller() == nullptr ? "default" : client.caller()->name());
}

void run_module_list(Client&, Arguments, Reply& reply) { reply.array(0); }

constexpr uint32_t kAny = kLoading | kStale | kNoScript;

constexpr Row kAclRows[] = {
    {"whoami", 2, kAny, 0, 0, 0, "server", "6.0.0", "Who this connection is.", nullptr,
     run_acl_whoami},
    {"help", 2, kAny, 0, 0, 0, "server", "6.0.0", "Lists the subcommands.", nullptr, run_help},
};

constexpr Row kModuleRows[] = {
    {"list", 2, kAny, 0, 0, 0, "server", "4.0.0", "There are none.", nullptr, run_module_list},
    {"help", 2, kAny, 0, 0, 0, "server", "5.0.0", "Lists the subcommands.", nullptr, run_help},
};

constexpr Row kConfigRows[] = {
    {"get", -3, kAny | kAdmin, 0, 0, 0, "server", "2.0.0", "Gives settings that match patterns.",
     nullptr, run_config_get},
    {"set", -4, kAny | kAdmin, 0, 0, 0, "server", "2.0.0", "Takes what is set already.", nullptr,
     run_config_set},
    {"resetstat", 2, kAny | kAdmin, 0, 0, 0, "server", "2.0.0", "Forgets what INFO has counted.",
     nullptr, run_config_resetstat},
    {"rewrite", 2, kAny | kAdmin, 0, 0, 0, "server", "2.8.0", "Refused.", nullptr,
     run_config_rewrite},
    {"help", 2, kAny, 0, 0, 0, "server", "5.0.0", "Lists the subcommands.", nullptr, run_help},
};

constexpr Row kCommandRows[] = {
    {"count", 2, kAny, 0, 0, 0, "server", "2.8.13", "Counts the commands.", nullptr,
     run_command_count},
    {"info", -2, kAny, 0, 0, 0, "server", "2.8.13", "Describes commands to clients.", nullptr,
     run_command_info},
    {"docs", -2, kAny, 0, 0, 0, "server", "7.0.0", "Describes commands to people.", nullptr,
     run_command_docs},
    {"list", -2, kAny, 0, 0, 0, "server", "7.0.0", "Lists the names of commands.", nullptr,
     run_command_list},
    {"getkeys", -3, kAny, 0, 0, 0, "server", "2.8.13", "Gives the keys of a whole command.",
     nullptr, run_command_getkeys},
    {"getkeysandflags", -3, kAny, 0, 0, 0, "server", "7.0.0", "Its keys, and what it does to them.",
     nullptr, run_command_getkeysandflags},
    {"help", 2, kAny, 0, 0, 0, "server", "5.0.0", "Lists the subcommands.", nullptr, run_help},
};

constexpr Row kRows[] = {
    {"info", -1, kLoading | kStale, 0, 0, 0, "server", "1.0.0", "Says how the node is.", nullptr,
     nullptr, start_info},
    {"time", 1, kFast | kLoading | kStale, 0, 0, 0, "server", "2.6.0", "Gives the time.", nullptr,
     run_time},
    {"role", 1, kFast | kAny, 0, 0, 0, "server", "2.8.12", "Any node takes any command.", nullptr,
     run_role},
    {"wait", 3, kNoScript, 0, 0, 0, "generic", "3.0.0",
     "Says on how many further nodes each answered write is.", nullptr, run_wait},
    {"debug", -2, kAny | kAdmin, 0, 0, 0, "server", "1.0.0", "Refused.", nullptr, run_debug},
    {"config", -2, kAny | kAdmin, 0, 0, 0, "server", "2.0.0", "About settings.", nullptr, nullptr,
     nullptr, kConfigRows},
    {"acl", -2, kAny, 0, 0, 0, "server", "6.0.0", "Who a connection is.", nullptr, nullptr, nullptr,
     kAclRows},
    {"module", -2, kAny, 0, 0, 0, "server", "4.0.0", "There are none.", nullptr, nullptr, nullptr,
     kModuleRows},
    {"command", -1, kLoading | kStale, 0, 0, 0, "server", "2.8.13", "About commands.", nullptr,
     run_command, nullptr, kCommandRows},
};

}  // namespace

std::span<const Row> server_rows() { return kRows; }

}  // namespace quorate::edge::resp
