// SPDX-License-Identifier: Apache-2.0
// The commands about the connection itself.
#include <algorithm>
#include <optional>

#include "edge/resp/client_list.h"
#include "edge/resp/families.h"
#include "edge/resp/help.h"
#include "edge/resp/session/client.h"

namespace quorate::edge::resp {
namespace {

// ---- small ones ---------------------------------------------------------------------------------

void run_ping(Client&, Arguments arguments, Reply& reply) {
  if (arguments.size() > 2) {
    reply.error("ERR wrong number of arguments for 'ping' command");
  } else if (arguments.size() == 2) {
    reply.bulk(arguments[1]);
  } else {
    reply.simple("PONG");
  }
}

void run_echo(Client&, Arguments arguments, Reply& reply) { reply.bulk(arguments[1]); }

void run_quit(Client& client, Arguments, Reply& reply) {
  reply.ok();
  client.connection().end();
}

void run_reset(Client& client, Arguments, Reply& reply) {
  client.reset();
  reply.simple("RESET");
}

void run_select(Client&, Arguments arguments, Reply& reply) {
  int64_t number = 0;
  if (!parse_integer(arguments[1], number)) {
    reply.error(kNotAnInteger);
  } else if (number != 0) {
    reply.error("ERR SELECT is not allowed in cluster mode");
  } else {
    reply.ok();
  }
}

constexpr char kWrongPass[] = "WRONGPASS invalid username-password pair or user is disabled.";
constexpr char kNoPassword[] =
    "ERR AUTH <password> called without any password configured for the default user. Are you sure "
    "your configuration is correct?";

// The default user of Redis has no password; here its password is a token.
Credentials credentials_of(std::string_view user, std::string_view secret) {
  return {user == "default" ? "" : std::string(user), std::string(secret)};
}

void tell_admitted(const Status& status, Reply& reply) {
  if (status.ok()) {
    reply.ok();
  } else if (status.code() == Code::kUnauthenticated) {
    reply.error(kWrongPass);
  } else {
    tell_failure(status, reply);
  }
}

void start_auth(Client& client, Arguments arguments, Ticket ticket) {
  Connection& connection = client.connection();
  const bool has_user = arguments.size() == 3;
  const std::string_view user = has_user ? arguments[1] : "default";
  if (arguments.size() > 3) {
    connection.finish(ticket, [](Reply& reply) { reply.error(kSyntaxError); });
  } else if (client.context().gate != nullptr) {
    client.admit(credentials_of(user, arguments.back()),
                 [ticket, owner = connection.shared_from_this()](const Status& status) {
                   owner->finish(ticket, [&](Reply& reply) { tell_admitted(status, reply); });
                 });
  } else if (user != "default") {
    connection.finish(ticket, [](Reply& reply) { reply.error(kWrongPass); });
  } else {
    connection.finish(
        ticket, [has_user](Reply& reply) { has_user ? reply.ok() : reply.error(kNoPassword); });
  }
}

bool is_printable(std::string_view name) {
  return std::all_of(name.begin(), name.end(), [](char c) { return c >= '!' && c <= '~'; });
}

constexpr char kBadName[] =
    "ERR Client names cannot contain spaces, newlines or special characters.";

// ---- HELLO --------------------------------------------------------------------------------------

struct Hello {
  int64_t protocol = 2;
  bool has_credentials = false;
  std::string user;
  std::string secret;
  std::optional<std::string> name;
};

std::string parse_hello(Arguments arguments, Hello& hello) {
  if (arguments.size() > 1) {
    if (!parse_integer(arguments[1], hello.protocol)) {
      return "ERR Protocol version is not an integer or out of range";
    }
    if (hello.protocol != 2 && hello.protocol != 3) {
      return "NOPROTO unsupported protocol version";
    }
  }
  for (size_t at = 2; at < arguments.size(); ++at) {
    const size_t left = arguments.size() - at - 1;
    if (is_word(arguments[at], "auth") && left >= 2) {
      hello.has_credentials = true;
      hello.user = arguments[at + 1];
      hello.secret = arguments[at + 2];
      at += 2;
    } else if (is_word(arguments[at], "setname") && left >= 1) {
      hello.name = arguments[++at];
      if (!is_printable(*hello.name)) {
        return kBadName;
      }
    } else {
      return "ERR Syntax error in HELLO option '" + std::string(arguments[at]) + "'";
    }
  }
  return {};
}

void tell_hello(uint64_t id, int64_t protocol, Reply& reply) {
  reply.map(7);
  reply.bulk("server");
  reply.bulk("redis");
  reply.bulk("version");
  reply.bulk(kRedisVersion);
  reply.bulk("proto");
  reply.integer(protocol);
  reply.bulk("id");
  reply.integer(static_cast<int64_t>(id));
  reply.bulk("mode");
  reply.bulk("cluster");
  reply.bulk("role");
  reply.bulk("master");
  reply.bulk("modules");
  reply.array(0);
}

// Before: whoever says it has been admitted, if that is needed.
void greet(Client& client, const Hello& hello, Ticket ticket) {
  Connection& connection = client.connection();
  if (hello.name) {
    client.name = *hello.name;
  }
  connection.set_protocol(static_cast<int>(hello.protocol));
  connection.finish(ticket,
                    [&](Reply& reply) { tell_hello(connection.id(), hello.protocol, reply); });
}

constexpr char kHelloNoAuth[] =
    "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO "
    "<proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP "
    "protocol version at the same time";

void start_hello(Client& client, Arguments arguments, Ticket ticket) {
  Hello hello;
  hello.protocol = client.connection().protocol();
  std::string error = parse_hello(arguments, hello);
  const bool is_controlled = client.context().gate != nullptr;
  if (error.empty() && is_controlled && !hello.has_credentials && client.caller() == nullptr) {
    error = kHelloNoAuth;
  }
  if (error.empty() && !is_controlled && hello.has_credentials && hello.user != "default") {
    error = kWrongPass;
  }
  if (!error.empty()) {
    client.connection().finish(ticket, [&](Reply& reply) { reply.error(error); });
    return;
  }
  if (!is_controlled || !hello.has_credentials) {
    greet(client, hello, ticket);
    return;
  }
  client.admit(credentials_of(hello.user, hello.secret),
               [&client, hello, ticket,
                owner = client.connection().shared_from_this()](const Status& status) {
                 if (status.ok()) {
                   greet(client, hello, ticket);
                 } else {
                   owner->finish(ticket, [&](Reply& reply) { tell_admitted(status, reply); });
                 }
               });
}

// ---- CLIENT -------------------------------------------------------------------------------------

void run_client_id(Client& client, Arguments, Reply& reply) {
  reply.integer(static_cast<int64_t>(client.connection().id()));
}

void run_client_getname(Client& client, Arguments, Reply& reply) {
  client.name.empty() ? reply.null() : reply.bulk(client.name);
}

void run_client_setname(Client& client, Arguments arguments, Reply& reply) {
  if (!is_printable(arguments[2])) {
    reply.error(kBadName);
    return;
  }
  client.name = arguments[2];
  reply.ok();
}

void run_client_setinfo(Client& client, Arguments arguments, Reply& reply) {
  const bool is_name = is_word(arguments[2], "lib-name");
  if (!is_name && !is_word(arguments[2], "lib-ver")) {
    reply.error("ERR Unrecognized option '" + std::string(arguments[2]) + "'");
  } else if (!is_printable(arguments[3])) {
    reply.error("ERR " + lower_case(arguments[2]) +
                " cannot contain spaces, newlines or special characters.");
  } else {
    (is_name ? client.library_name : client.library_version) = arguments[3];
    reply.ok();
  }
}

void run_switch(bool& flag, Arguments arguments, Reply& reply) {
  if (is_word(arguments[2], "on") || is_word(arguments[2], "off")) {
    flag = is_word(arguments[2], "on");
    reply.ok();
  } else {
    reply.error(kSyntaxError);
  }
}

void run_client_no_evict(Client& client, Arguments arguments, Reply& reply) {
  run_switch(client.no_evict, arguments, reply);
}

void run_client_no_touch(Client& client, Arguments arguments, Reply& reply) {
  run_switch(client.no_touch, arguments, reply);
}

// ON is answered; OFF and SKIP are not, by their meaning.
void run_client_reply(Client& client, Arguments arguments, Reply& reply) {
  Connection& connection = client.connection();
  if (is_word(arguments[2], "on")) {
    connection.mute(false);
    Reply answer = connection.reply();
    answer.ok();
  } else if (is_word(arguments[2], "off")) {
    connection.mute(true);
  } else if (is_word(arguments[2], "skip")) {
    connection.skip_next();
  } else {
    reply.error(kSyntaxError);
  }
}

void run_client_pause(Client&, Arguments, Reply& reply) {
  reply.error("ERR CLIENT PAUSE is not served: the other nodes would go on");
}

void run_client_unpause(Client&, Arguments, Reply& reply) { reply.ok(); }

void run_client_getredir(Client&, Arguments, Reply& reply) { reply.integer(-1); }

void run_client_unblock(Client&, Arguments arguments, Reply& reply) {
  int64_t id = 0;
  parse_integer(arguments[2], id) ? reply.integer(0) : reply.error(kNotAnInteger);
}

void run_client_tracking(Client&, Arguments arguments, Reply& reply) {
  if (is_word(arguments[2], "off")) {
    reply.ok();
  } else {
    reply.error("ERR client tracking is not served");
  }
}

void run_client_trackinginfo(Client&, Arguments, Reply& reply) {
  reply.map(3);
  reply.bulk("flags");
  reply.set(1);
  reply.bulk("off");
  reply.bulk("redirect");
  reply.integer(-1);
  reply.bulk("prefixes");
  reply.array(0);
}

void run_client_caching(Client&, Arguments, Reply& reply) {
  reply.error(
      "ERR CLIENT CACHING can be called only when the client is in tracking mode with "
      "OPTIN or OPTOUT mode enabled");
}

constexpr uint32_t kAny = kLoading | kStale | kNoScript;
constexpr uint32_t kAnyAlone = kAny | kNoMulti;

constexpr Row kClientRows[] = {
    {"id", 2, kAny, 0, 0, 0, "connection", "5.0.0", "The number of this connection.", nullptr,
     run_client_id},
    {"getname", 2, kAny, 0, 0, 0, "connection", "2.6.9", "The name of this connection.", nullptr,
     run_client_getname},
    {"setname", 3, kAny, 0, 0, 0, "connection", "2.6.9", "Names this connection.", nullptr,
     run_client_setname},
    {"setinfo", 4, kAny, 0, 0, 0, "connection", "7.2.0", "Tells the client's library.", nullptr,
     run_client_setinfo},
    {"list", -2, kAny | kAdmin, 0, 0, 0, "connection", "2.4.0", "Lists the connections.", nullptr,
     run_client_list},
    {"info", 2, kAny, 0, 0, 0, "connection", "6.2.0", "Describes this connection.", nullptr,
     run_client_info},
    {"kill", -3, kAny | kAdmin, 0, 0, 0, "connection", "2.4.0", "Closes connections.", nullptr,
     run_client_kill},
    {"no-evict", 3, kAny | kAdmin, 0, 0, 0, "connection", "7.0.0", "Taken note of.", nullptr,
     run_client_no_evict},
    {"no-touch", 3, kAny, 0, 0, 0, "connection", "7.2.0", "Taken note of.", nullptr,
     run_client_no_touch},
    {"reply", 3, kAnyAlone, 0, 0, 0, "connection", "3.2.0", "Turns answers off and on.", nullptr,
     run_client_reply},
    {"pause", -3, kAny | kAdmin, 0, 0, 0, "connection", "3.0.0", "Refused.", nullptr,
     run_client_pause},
    {"unpause", 2, kAny | kAdmin, 0, 0, 0, "connection", "6.2.0", "Nothing is ever paused.",
     nullptr, run_client_unpause},
    {"getredir", 2, kAny, 0, 0, 0, "connection", "6.0.0", "Always -1: no tracking.", nullptr,
     run_client_getredir},
    {"unblock", -3, kAny | kAdmin, 0, 0, 0, "connection", "5.0.0", "Nothing is ever blocked.",
     nullptr, run_client_unblock},
    {"tracking", -3, kAny, 0, 0, 0, "connection", "6.0.0", "Refused, but for OFF.", nullptr,
     run_client_tracking},
    {"trackinginfo", 2, kAny, 0, 0, 0, "connection", "6.2.0", "Always off.", nullptr,
     run_client_trackinginfo},
    {"caching", 3, kAny, 0, 0, 0, "connection", "6.0.0", "Refused: no tracking.", nullptr,
     run_client_caching},
    {"help", 2, kAny, 0, 0, 0, "connection", "5.0.0", "Lists the subcommands.", nullptr, run_help},
};

constexpr Row kRows[] = {
    {"ping", -1, kFast | kAny, 0, 0, 0, "connection", "1.0.0", "Answers PONG, or what it is given.",
     nullptr, run_ping},
    {"echo", 2, kFast | kAny, 0, 0, 0, "connection", "1.0.0", "Gives back what it is given.",
     nullptr, run_echo},
    {"select", 2, kFast | kAny, 0, 0, 0, "connection", "1.0.0", "There is database 0 only.",
     nullptr, run_select},
    {"auth", -2, kFast | kAnyAlone | kNoAuth, 0, 0, 0, "connection", "1.0.0",
     "Shows who the client is.", nullptr, nullptr, start_auth},
    {"hello", -1, kFast | kAnyAlone | kNoAuth, 0, 0, 0, "connection", "6.0.0",
     "Chooses the protocol.", nullptr, nullptr, start_hello},
    {"quit", -1, kFast | kAny | kNoAuth | kOwnInMulti, 0, 0, 0, "connection", "1.0.0",
     "Closes the connection.", nullptr, run_quit},
    {"reset", 1, kFast | kAny | kNoAuth | kOwnInMulti, 0, 0, 0, "connection", "6.2.0",
     "Makes the connection as if it were new.", nullptr, run_reset},
    {"client", -2, kAny, 0, 0, 0, "connection", "2.4.0", "About connections.", nullptr, nullptr,
     nullptr, kClientRows},
};

}  // namespace

std::span<const Row> connection_rows() { return kRows; }

}  // namespace quorate::edge::resp
