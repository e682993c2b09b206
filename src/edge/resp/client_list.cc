// SPDX-License-Identifier: Apache-2.0
#include "edge/resp/client_list.h"

#include <algorithm>
#include <optional>

#include "edge/resp/session/client.h"

namespace quorate::edge::resp {
namespace {

Client& client_of(Connection& connection) { return static_cast<Client&>(*connection.session()); }

std::string local_address(Connection& connection) {
  return client_of(connection).context().host + ":" + std::to_string(connection.port());
}

std::string flags_of(Client& client) {
  std::string flags;
  flags += client.read_only ? "r" : "";
  flags += client.queued() >= 0 ? "x" : "";
  flags += client.no_evict ? "e" : "";
  flags += client.no_touch ? "T" : "";
  return flags.empty() ? "N" : flags;
}

std::string described(Connection& connection, Instant now) {
  Client& client = client_of(connection);
  const auto field = [](std::string_view name, std::string_view value) {
    return " " + std::string(name) + "=" + std::string(value);
  };
  const auto number = [&](std::string_view name, uint64_t value) {
    return field(name, std::to_string(value));
  };
  const auto seconds = [now](Instant since) {
    return static_cast<uint64_t>(std::max<int64_t>((now - since).millis(), 0) / 1'000);
  };
  return "id=" + std::to_string(connection.id()) + field("addr", connection.peer()) +
         field("laddr", local_address(connection)) + field("name", client.name) +
         number("age", seconds(connection.since())) +
         number("idle", seconds(connection.used_at())) + field("flags", flags_of(client)) +
         " db=0 sub=0 psub=0 ssub=0" + field("multi", std::to_string(client.queued())) +
         number("watch", client.watched()) + number("qbuf", connection.input_bytes()) +
         number("qbuf-free", connection.input_room()) + number("obl", connection.output_bytes()) +
         number("tot-cmds", client.commands()) + field("cmd", client.last_command()) +
         " user=default redir=-1" + field("resp", std::to_string(connection.protocol())) +
         field("lib-name", client.library_name) + field("lib-ver", client.library_version) + "\n";
}

bool is_known_type(std::string_view type) {
  return is_word(type, "normal") || is_word(type, "master") || is_word(type, "replica") ||
         is_word(type, "slave") || is_word(type, "pubsub");
}

// ---- CLIENT KILL --------------------------------------------------------------------------------

struct KillFilter {
  std::optional<uint64_t> id;
  std::string_view address;
  std::string_view local;
  bool nobody = false;  // a type or user that no connection has
  bool skip_me = true;

  [[nodiscard]] bool takes(Connection& connection) const {
    return !nobody && (!id || *id == connection.id()) &&
           (address.empty() || address == connection.peer()) &&
           (local.empty() || local == local_address(connection));
  }
};

std::string parse_filter(Arguments words, KillFilter& filter) {
  for (size_t at = 0; at < words.size(); at += 2) {
    if (at + 1 == words.size()) {
      return kSyntaxError;
    }
    const std::string_view value = words[at + 1];
    int64_t id = 0;
    if (is_word(words[at], "id")) {
      if (!parse_integer(value, id) || id < 1) {
        return "ERR client-id should be greater than 0";
      }
      filter.id = static_cast<uint64_t>(id);
    } else if (is_word(words[at], "addr")) {
      filter.address = value;
    } else if (is_word(words[at], "laddr")) {
      filter.local = value;
    } else if (is_word(words[at], "type")) {
      if (!is_known_type(value)) {
        return "ERR Unknown client type '" + std::string(value) + "'";
      }
      filter.nobody = filter.nobody || !is_word(value, "normal");
    } else if (is_word(words[at], "user")) {
      if (value != "default") {
        return "ERR No such user '" + std::string(value) + "'";
      }
    } else if (is_word(words[at], "skipme") && (is_word(value, "yes") || is_word(value, "no"))) {
      filter.skip_me = is_word(value, "yes");
    } else {
      return kSyntaxError;
    }
  }
  return {};
}

// The caller's own connection gets its answer first.
int64_t kill(Client& client, const KillFilter& filter) {
  int64_t killed = 0;
  for (const std::shared_ptr<Connection>& each : client.context().server.all()) {
    const bool is_me = each.get() == &client.connection();
    if (!filter.takes(*each) || (is_me && filter.skip_me)) {
      continue;
    }
    ++killed;
    is_me ? each->end() : each->close();
  }
  return killed;
}

}  // namespace

void run_client_list(Client& client, Arguments arguments, Reply& reply) {
  std::vector<uint64_t> ids;
  bool nobody = false;
  if (arguments.size() == 4 && is_word(arguments[2], "type")) {
    if (!is_known_type(arguments[3])) {
      reply.error("ERR Unknown client type '" + std::string(arguments[3]) + "'");
      return;
    }
    nobody = !is_word(arguments[3], "normal");
  } else if (arguments.size() > 3 && is_word(arguments[2], "id")) {
    for (const std::string_view word : arguments.subspan(3)) {
      int64_t id = 0;
      if (!parse_integer(word, id) || id < 0) {
        reply.error("ERR Invalid client ID");
        return;
      }
      ids.push_back(static_cast<uint64_t>(id));
    }
  } else if (arguments.size() > 2) {
    reply.error(kSyntaxError);
    return;
  }
  std::string text;
  for (const std::shared_ptr<Connection>& each : client.context().server.all()) {
    const bool is_asked = ids.empty() || std::find(ids.begin(), ids.end(), each->id()) != ids.end();
    if (is_asked && !nobody) {
      text += described(*each, client.context().clock.now());
    }
  }
  reply.verbatim(text);
}

void run_client_info(Client& client, Arguments, Reply& reply) {
  reply.verbatim(described(client.connection(), client.context().clock.now()));
}

void run_client_kill(Client& client, Arguments arguments, Reply& reply) {
  KillFilter filter;
  if (arguments.size() == 3) {  // the old form: one address, and OK
    filter.address = arguments[2];
    filter.skip_me = false;
    kill(client, filter) > 0 ? reply.ok() : reply.error("ERR No such client");
    return;
  }
  if (const std::string error = parse_filter(arguments.subspan(2), filter); !error.empty()) {
    reply.error(error);
    return;
  }
  reply.integer(kill(client, filter));
}

}  // namespace quorate::edge::resp
