// SPDX-License-Identifier: Apache-2.0
// MULTI, EXEC, DISCARD, WATCH, UNWATCH: a transaction is one command of the log, so that nothing
// comes in between; its WATCHes are compares of the revisions that were seen.
#include "base/assert.h"
#include "base/limits.h"
#include "edge/resp/session/client.h"

namespace quorate::edge::resp {

namespace kv = service::kv;

struct Client::Exec {
  struct Part {
    const Row* row = nullptr;
    Arguments arguments = {};
    Form form = {};
    size_t begin = 0;  // its operations
    size_t count = 0;
    std::string error = {};  // it cannot be done, and says so at its place
  };
  std::unique_ptr<Multi> multi;  // whose bytes the arguments are
  std::vector<Part> parts;
  Ops ops;
  std::vector<kv::Compare> compares;
  std::vector<Watched> watched;  // whose keys the compares are
};

void Client::multi(Reply& reply) {
  if (multi_ != nullptr) {
    reply.error("ERR MULTI calls can not be nested");
    return;
  }
  multi_ = std::make_unique<Multi>();
  reply.ok();
}

void Client::discard(Reply& reply) {
  if (multi_ == nullptr) {
    reply.error("ERR DISCARD without MULTI");
    return;
  }
  multi_.reset();
  unwatch();
  reply.ok();
}

void Client::unwatch() { watched_.clear(); }

std::shared_ptr<Client::Exec> Client::build_exec() {
  auto exec = std::make_shared<Exec>();
  exec->multi = std::move(multi_);
  exec->watched = std::move(watched_);
  watched_.clear();
  for (const Queued& queued : exec->multi->commands) {
    Exec::Part part{.row = queued.entry->row, .arguments = queued.arguments};
    part.begin = exec->ops.size();
    if (part.row->build != nullptr) {
      ops_.clear();
      Task task{ops_, context_.chance()};
      part.error = part.row->build(part.arguments, task);
      part.error = part.error.empty() ? check(ops_) : part.error;
      part.form = task.form;
      part.count = part.error.empty() ? ops_.size() : 0;
      exec->ops.insert(exec->ops.end(), ops_.begin(),
                       ops_.begin() + static_cast<std::ptrdiff_t>(part.count));
    }
    exec->parts.push_back(std::move(part));
  }
  for (const Watched& watched : exec->watched) {
    exec->compares.push_back({.key = watched.key,
                              .what = kv::Compare::What::kModified,
                              .number = watched.modified.value()});
  }
  return exec;
}

void Client::exec(Ticket ticket) {
  const auto say = [this, ticket](std::string_view error) {
    ++context_.errors;
    connection_.finish(ticket, [error](Reply& reply) { reply.error(error); });
  };
  if (multi_ == nullptr) {
    say("ERR EXEC without MULTI");
    return;
  }
  if (multi_->broken) {
    multi_.reset();
    unwatch();
    say("EXECABORT Transaction discarded because of previous errors.");
    return;
  }
  const std::shared_ptr<Exec> exec = build_exec();
  Ops everything = exec->ops;  // the watched keys have to live in the same group
  for (const kv::Compare& compare : exec->compares) {
    everything.emplace_back(kv::Get{.key = compare.key});
  }
  if (everything.size() > limits::kBatchItemsMax) {
    say("TOOLARGE the transaction is over its limit");
  } else if (!everything.empty() && !common_group(context_.kv, everything)) {
    say(kCrossSlot);
  } else {
    run_exec(exec, ticket);
  }
}

void Client::run_exec(const std::shared_ptr<Exec>& exec, Ticket ticket) {
  Stamp now = context_.clock.wall();
  ops_ = exec->ops;
  const bool is_read = exec->compares.empty() && reads_only(ops_) && fence_.none();
  if (ops_.empty() && exec->compares.empty()) {
    connection_.finish(ticket, [&](Reply& reply) { tell_exec(*exec, {}, now, reply); });
    return;
  }
  if (is_read && read_here(*common_group(context_.kv, ops_), now)) {
    connection_.finish(ticket, [&](Reply& reply) { tell_exec(*exec, answers_, now, reply); });
    return;
  }
  kv::Txn txn;
  txn.compares = exec->compares;
  txn.then = exec->ops;
  context_.kv.txn(txn, {.fence = fence_, .caller = caller()},
                  [this, exec, ticket, connection = connection_.shared_from_this()](
                      const Status& status, const kv::TxnDone& done, const service::Origin&) {
                    connection->finish(ticket, [&](Reply& reply) {
                      if (!status.ok()) {
                        tell_refusal(status, reply);
                      } else if (!done.held) {
                        reply.null_array();
                      } else {
                        tell_exec(*exec, done.answers, context_.clock.wall(), reply);
                      }
                    });
                  });
}

void Client::tell_exec(const Exec& exec, std::span<const kv::OpAnswer> answers, Stamp now,
                       Reply& reply) {
  reply.array(exec.parts.size());
  for (const Exec::Part& part : exec.parts) {
    if (!part.error.empty()) {
      reply.error(part.error);
    } else if (part.row->build != nullptr) {
      ASSERT(part.begin + part.count <= answers.size());
      part.form.tell({part.form, answers.subspan(part.begin, part.count), now}, reply);
    } else {
      part.row->run(*this, part.arguments, reply);
    }
  }
}

// ---- WATCH --------------------------------------------------------------------------------------

// What is seen now must still be there at EXEC. All keys are read before the answer, since a client
// reads them next and decides by what it finds.
void Client::watch(Arguments keys, Ticket ticket) {
  ops_.clear();
  for (const std::string_view key : keys) {
    ops_.emplace_back(kv::Get{.key = key, .with_value = false});
  }
  std::string error = check(ops_);
  if (error.empty() && watched_.size() + keys.size() > limits::kRespWatchedMax) {
    error =
        "TOOLARGE a client watches at most " + std::to_string(limits::kRespWatchedMax) + " keys";
  }
  if (error.empty() && !common_group(context_.kv, ops_)) {
    error = kCrossSlot;
  }
  if (!error.empty()) {
    connection_.finish(ticket, [&](Reply& reply) { reply.error(error); });
    return;
  }
  kv::GetMany many;
  many.with_values = false;
  many.keys.assign(keys.begin(), keys.end());
  std::vector<std::string> names(keys.begin(), keys.end());
  context_.kv.get_many(
      many, {.caller = caller()},
      [this, ticket, names = std::move(names), connection = connection_.shared_from_this()](
          const Status& status, const kv::Items& items, const service::Origin&) {
        connection->finish(ticket, [&](Reply& reply) {
          if (!status.ok()) {
            tell_failure(status, reply);
            return;
          }
          for (size_t at = 0; at < names.size(); ++at) {
            watched_.push_back({names[at], items.items[at].modified});
          }
          reply.ok();
        });
      });
}

// ---- the rows -----------------------------------------------------------------------------------

namespace {

void run_multi(Client& client, Arguments, Reply& reply) { client.multi(reply); }
void run_discard(Client& client, Arguments, Reply& reply) { client.discard(reply); }

void run_unwatch(Client& client, Arguments, Reply& reply) {
  client.unwatch();
  reply.ok();
}

void start_exec(Client& client, Arguments, Ticket ticket) { client.exec(ticket); }

void start_watch(Client& client, Arguments arguments, Ticket ticket) {
  if (client.queued() >= 0) {
    client.connection().finish(
        ticket, [](Reply& reply) { reply.error("ERR WATCH inside MULTI is not allowed"); });
    return;
  }
  client.watch(arguments.subspan(1), ticket);
}

constexpr uint32_t kHere = kFast | kNoScript | kLoading | kStale | kAllowBusy;

constexpr Row kRows[] = {
    {"once", -3, kWrite | kNoMulti | kPrefix, 0, 0, 0, "generic", "0.1.0",
     "Does the command behind it once, however often it is sent with the same id."},
    {"fence", -4, kWrite | kNoMulti | kPrefix | kOwnInMulti, 0, 0, 0, "generic", "0.1.0",
     "Does the command behind it unless a later holder of the lock has written: FENCE lock token "
     "[DOMAIN n] command. In a MULTI it stands before EXEC."},
    {"multi", 1, kHere | kOwnInMulti, 0, 0, 0, "transactions", "1.2.0", "Begins a transaction.",
     nullptr, run_multi},
    {"exec", 1, kNoScript | kLoading | kStale | kOwnInMulti, 0, 0, 0, "transactions", "1.2.0",
     "Does all commands of a transaction at once.", nullptr, nullptr, start_exec},
    {"discard", 1, kHere | kOwnInMulti, 0, 0, 0, "transactions", "2.0.0", "Drops a transaction.",
     nullptr, run_discard},
    {"watch", -2, kHere | kOwnInMulti, 1, -1, 1, "transactions", "2.2.0",
     "Lets EXEC do nothing if a key has changed by then.", nullptr, nullptr, start_watch},
    {"unwatch", 1, kHere, 0, 0, 0, "transactions", "2.2.0", "Forgets the watched keys.", nullptr,
     run_unwatch},
};

}  // namespace

std::span<const Row> transaction_rows() { return kRows; }

}  // namespace quorate::edge::resp
