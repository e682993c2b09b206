// SPDX-License-Identifier: Apache-2.0
// EVAL, EVALSHA and SCRIPT, for the scripts of lock libraries: see session/scripts.h.
#include <charconv>

#include "base/limits.h"
#include "edge/resp/lock/lock_families.h"
#include "edge/resp/session/client.h"

namespace quorate::edge::resp {
namespace {

namespace kv = service::kv;

constexpr char kUnknown[] =
    "ERR no Lua runs here: the scripts known are those of lock libraries, which delete or prolong "
    "a key while it has their value";
constexpr char kNotLoaded[] = "NOSCRIPT No matching script. Please use EVAL.";

using Held = std::shared_ptr<Connection>;

// A script on its way: its own copies, for it may take two steps.
struct Call {
  Held connection;
  Ticket ticket;
  std::string key;
  std::string value;
  int64_t number = 0;
  bool is_beyond = false;  // the end that it has

  void fail(std::string_view error) const {
    connection->finish(ticket, [error](Reply& reply) { reply.error(error); });
  }
  void tell(const Status& status, bool done) const {
    connection->finish(ticket, [&](Reply& reply) {
      status.ok() ? reply.integer(done ? 1 : 0) : tell_failure(status, reply);
    });
  }
  [[nodiscard]] Client& client() const { return *static_cast<Client*>(connection->session()); }
};

void delete_if(const std::shared_ptr<Call>& call) {
  kv::Delete command;
  command.key = call->key;
  command.condition = {.kind = kv::Condition::Kind::kValue, .value = call->value};
  Client& client = call->client();
  client.context().kv.write(
      command, {.caller = client.caller()},
      [call](const Status& status, const kv::Removed&, const service::Origin&) {
        const bool is_other =
            status.code() == Code::kPreconditionFailed || status.code() == Code::kNotFound;
        call->tell(is_other ? Status() : status, status.ok());
      });
}

void touch_if(const std::shared_ptr<Call>& call, kv::Lifetime lifetime) {
  kv::Txn txn;
  txn.compares = {{.key = call->key, .what = kv::Compare::What::kValue, .value = call->value}};
  txn.then = {kv::Touch{.key = call->key, .lifetime = lifetime}};
  Client& client = call->client();
  client.context().kv.txn(txn, {.caller = client.caller()},
                          [call](const Status& status, const kv::TxnDone& done,
                                 const service::Origin&) { call->tell(status, done.held); });
}

// In Redis a key ends at once if the time is over.
void expire_if(const std::shared_ptr<Call>& call) {
  touch_if(call, call->number > 0 ? kv::Lifetime::lasting(Duration::millis(call->number))
                                  : kv::Lifetime::until(Stamp::from_micros(0)));
}

// Its end must be known first. It cannot move in between but by who has the same value, and
// whether the value is still the same is asked again.
void prolong_if(const std::shared_ptr<Call>& call) {
  Client& client = call->client();
  client.context().kv.get(
      kv::Get{.key = call->key}, {.caller = client.caller()},
      [call](const Status& status, const kv::Found& found, const service::Origin&) {
        const bool is_there =
            status.ok() && found.item.value == call->value && found.item.expires != Stamp::never();
        if (!is_there) {
          call->tell(status.code() == Code::kNotFound ? Status() : status, false);
        } else if (call->is_beyond) {
          touch_if(call, kv::Lifetime::until(found.item.expires + Duration::millis(call->number)));
        } else {
          expire_if(call);
        }
      });
}

bool read_integer(std::string_view text, int64_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return !text.empty() && error == std::errc() && end == text.data() + text.size();
}

// Behind the script: numkeys key value [number [flag]]
void run(Script script, const Held& connection, Arguments arguments, Ticket ticket) {
  const auto call = std::make_shared<Call>(Call{connection, ticket, {}, {}});
  if (arguments.size() != 2 + arguments_of(script) || arguments[0] != "1") {
    call->fail("ERR this script takes one key and " + std::to_string(arguments_of(script)) +
               " arguments");
    return;
  }
  call->key = arguments[1];
  call->value = arguments[2];
  if (call->key.empty() || call->key.size() > limits::kKeyBytesMax) {
    call->fail("ERR a key is not empty and not over " + std::to_string(limits::kKeyBytesMax) +
               " bytes");
    return;
  }
  const int64_t unit = script == Script::kExpireIfValueSeconds ? 1'000 : 1;
  if (script != Script::kDeleteIfValue &&
      (!read_integer(arguments[3], call->number) || call->number > limits::kTtlMillisMax / unit ||
       call->number < -limits::kTtlMillisMax)) {
    call->fail(kNotAnInteger);
    return;
  }
  call->number *= unit;
  if (script == Script::kDeleteIfValue) {
    delete_if(call);
  } else if (script == Script::kProlongIfValue) {
    call->is_beyond = arguments[4] == "0";
    prolong_if(call);
  } else {
    expire_if(call);
  }
}

void start_eval(Client& client, Arguments arguments, Ticket ticket) {
  const Held connection = client.connection().shared_from_this();
  const std::optional<Script> script = recognise(arguments[1]);
  if (!script) {
    connection->finish(ticket, [](Reply& reply) { reply.error(kUnknown); });
    return;
  }
  client.context().scripts.load(arguments[1], *script);
  run(*script, connection, arguments.subspan(2), ticket);
}

void start_evalsha(Client& client, Arguments arguments, Ticket ticket) {
  const Held connection = client.connection().shared_from_this();
  const std::optional<Script> script = client.context().scripts.find(arguments[1]);
  if (!script) {
    connection->finish(ticket, [](Reply& reply) { reply.error(kNotLoaded); });
    return;
  }
  run(*script, connection, arguments.subspan(2), ticket);
}

void run_load(Client& client, Arguments arguments, Reply& reply) {
  const std::optional<Script> script = recognise(arguments[2]);
  if (script) {
    reply.bulk(client.context().scripts.load(arguments[2], *script));
  } else {
    reply.error(kUnknown);
  }
}

void run_exists(Client& client, Arguments arguments, Reply& reply) {
  reply.array(arguments.size() - 2);
  for (const std::string_view digest : arguments.subspan(2)) {
    reply.integer(client.context().scripts.find(digest) ? 1 : 0);
  }
}

void run_flush(Client& client, Arguments, Reply& reply) {
  client.context().scripts.clear();
  reply.ok();
}

constexpr uint32_t kRuns = kWrite | kNoScript | kNoMulti;
constexpr uint32_t kHere = kNoScript | kLoading | kStale;

constexpr Row kScript[] = {
    {"load", 3, kHere, 0, 0, 0, "scripting", "2.6.0", "Keeps a known script and gives its digest.",
     nullptr, run_load},
    {"exists", -3, kHere, 0, 0, 0, "scripting", "2.6.0", "Whether scripts were loaded here.",
     nullptr, run_exists},
    {"flush", -2, kHere, 0, 0, 0, "scripting", "2.6.0", "Forgets all scripts.", nullptr, run_flush},
};

constexpr Row kRows[] = {
    {"eval", -3, kRuns, 0, 0, 0, "scripting", "2.6.0",
     "Does what a script of a lock library means; no other script runs.", nullptr, nullptr,
     start_eval},
    {"evalsha", -3, kRuns, 0, 0, 0, "scripting", "2.6.0",
     "As EVAL, by the digest of a script that was loaded.", nullptr, nullptr, start_evalsha},
    {.name = "script",
     .arity = -2,
     .flags = 0,
     .first_key = 0,
     .last_key = 0,
     .key_step = 0,
     .group = "scripting",
     .since = "2.6.0",
     .summary = "Loads and forgets the scripts of lock libraries.",
     .subcommands = kScript},
};

}  // namespace

std::span<const Row> script_rows() { return kRows; }

}  // namespace quorate::edge::resp
