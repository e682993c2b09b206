// SPDX-License-Identifier: Apache-2.0
#include "edge/resp/session/client.h"

#include <charconv>

#include "base/assert.h"

namespace quorate::edge::resp {
namespace {

constexpr size_t kOnceBytesMax = 256;

template <class Number>
bool read_whole(std::string_view text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return !text.empty() && error == std::errc() && end == text.data() + text.size();
}

constexpr char kNoHttp[] = "ERR this port speaks the Redis protocol, not HTTP";

// A page in a browser can make it send HTTP to any port that the machine reaches, and what it sends
// behind the head would be taken for commands. As Redis does, the connection ends at a request
// that may have a body, or at the header that all of them have.
bool speaks_http(std::string_view name) {
  return (name.size() == 4 && is_word(name, "post")) ||
         (name.size() == 5 && is_word(name, "host:"));
}

bool may_be_fenced(const Row& row, bool in_multi) {
  return in_multi ? row.name == "exec" : row.build != nullptr || row.name == "once";
}

}  // namespace

// A pipeline mostly repeats one command, spelt the same way. A command with subcommands is none
// that its name alone would find again.
Table::Entry* Client::find(Arguments arguments, std::string& error) {
  if (last_ != nullptr && arguments[0] == last_name_) {
    const int arity = last_->row->arity;
    const auto count = static_cast<int>(arguments.size());
    if (arity < 0 ? count >= -arity : count == arity) {
      return last_;
    }
  }
  Table::Entry* const entry = context_.table.find(arguments, error);
  if (entry != nullptr && entry->parent == nullptr && entry->subcommands.empty()) {
    last_ = entry;
    last_name_ = arguments[0];
  }
  return entry;
}

Session::Taken Client::take(Arguments arguments) {
  if (speaks_http(arguments[0])) {
    answer([](Reply& reply) { reply.error(kNoHttp); });
    connection_.end();
    return Taken::kYes;
  }
  std::string error;
  Table::Entry* const entry = find(arguments, error);
  if (context_.gate != nullptr && entry != nullptr) {
    error = turned_away(*entry);
    if (!error.empty()) {
      refuse(error);
      return Taken::kYes;
    }
  }
  if (entry == nullptr) {
    if (is_word(arguments[0], "exec")) {  // spelt wrong, it ends the transaction too
      multi_.reset();
      unwatch();
      error = "EXECABORT Transaction discarded because of: " + error.substr(error.find(' ') + 1);
    }
    refuse(error);
    return Taken::kYes;
  }
  if (multi_ != nullptr && (entry->row->flags & kOwnInMulti) == 0) {
    queue(*entry, arguments);
    return Taken::kYes;
  }
  if ((entry->row->flags & kPrefix) != 0) {
    return entry->row->name == "fence" ? fence(arguments) : once(arguments);
  }
  const Taken taken =
      entry->row->build != nullptr ? on_keys(*entry, arguments) : alone(*entry, arguments);
  if (taken == Taken::kYes) {
    ++context_.commands;
    ++commands_;
    ++entry->calls;
    if (entry->calls_total != nullptr) {
      entry->calls_total->add();
    }
  }
  return taken;
}

// ONCE id command: the cluster knows the command again by the id, and answers as it did then.
Session::Taken Client::once(Arguments arguments) {
  std::string error;
  const std::string_view id = arguments[1];
  const Arguments command = arguments.subspan(2);
  const Table::Entry* const entry = find(command, error);
  const bool reads = entry != nullptr && (entry->row->flags & kWrite) == 0 && fence_.none();
  if (entry != nullptr && (entry->row->build == nullptr || reads)) {
    error = "ERR ONCE stands before a command that writes keys";
  }
  if (id.empty() || id.size() > kOnceBytesMax) {
    error = "ERR the id of ONCE has from 1 to " + std::to_string(kOnceBytesMax) + " bytes";
  }
  if (!error.empty()) {
    refuse(error);
    return Taken::kYes;
  }
  once_ = service::CommandKey::of(id);
  const Taken taken = take(command);
  once_ = {};
  return taken;
}

// FENCE lock token [DOMAIN n] command: a command on keys, alone or behind ONCE, or an EXEC.
Session::Taken Client::fence(Arguments arguments) {
  std::string error;
  service::Fence fence{{}, arguments[1], {}};
  Arguments command = arguments.subspan(3);
  uint64_t token = 0;
  uint32_t domain = 0;
  bool is_read = read_whole(arguments[2], token);
  if (is_word(command[0], "domain") && command.size() > 2) {
    is_read = is_read && read_whole(command[1], domain);
    command = command.subspan(2);
  }
  fence.token = Token(token);
  fence.domain = service::DomainId(domain);
  const Table::Entry* const entry = find(command, error);
  if (!is_read) {
    error = kNotAnInteger;
  } else if (const Status status = service::check_fence(fence); !status.ok()) {
    error = "ERR " + status.message();
  } else if (entry != nullptr && !may_be_fenced(*entry->row, multi_ != nullptr)) {
    error = multi_ != nullptr ? "ERR inside a MULTI, FENCE stands before EXEC"
                              : "ERR FENCE stands before a command on keys";
  }
  if (!error.empty()) {
    refuse(error);
    return Taken::kYes;
  }
  fence_ = fence;
  const Taken taken = take(command);
  fence_ = {};
  return taken;
}

void Client::on_gone() {
  if (give_up_) {
    UniqueFunction<void()> give_up = std::move(give_up_);
    give_up_ = nullptr;
    give_up();
  }
}

// What Redis says to a client that is nobody, or may not do this.
std::string_view Client::turned_away(const Table::Entry& entry) {
  if ((entry.row->flags & kNoAuth) != 0) {
    return {};
  }
  admit_again();
  if (caller_ == nullptr) {
    return "NOAUTH Authentication required.";
  }
  if ((entry.row->flags & kAdmin) != 0 && !caller_->administers()) {
    return "NOPERM this command is for those who administer the cluster";
  }
  return {};
}

void Client::admit(const Credentials& credentials, UniqueFunction<void(const Status&)> done) {
  ASSERT(context_.gate != nullptr);
  context_.gate->admit(credentials, connection_.peer(),
                       [this, connection = connection_.shared_from_this(), credentials,
                        done = std::move(done)](Result<CallerRef> admitted) mutable {
                         if (admitted.ok()) {
                           caller_ = *admitted;
                           credentials_ = credentials;
                           admitted_at_ = context_.clock.now();
                         } else {
                           context_.gate->note("", connection_.peer(), "resp auth", "refused");
                         }
                         done(admitted);
                       });
}

// Rights are those of now, not of the day when the connection was made.
void Client::admit_again() {
  constexpr Duration kInterval = Duration::seconds(1);
  const Instant now = connection_.used_at();
  if (caller_ == nullptr || now < admitted_at_ + kInterval) {
    return;
  }
  admitted_at_ = now;
  context_.gate->admit(
      credentials_, connection_.peer(),
      [this, connection = connection_.shared_from_this()](Result<CallerRef> admitted) {
        if (admitted.ok()) {
          caller_ = *admitted;
        } else if (admitted.status().code() == Code::kUnauthenticated) {
          caller_ = nullptr;
        }
      });
}

Session::Taken Client::alone(Table::Entry& entry, Arguments arguments) {
  if (connection_.in_flight() > 0) {
    return Taken::kLater;
  }
  running_ = Running::kAlone;
  if (entry.row->run != nullptr) {
    Reply reply = connection_.reply();
    entry.row->run(*this, arguments, reply);
  } else {
    entry.row->start(*this, arguments, connection_.begin(entry.seconds));
  }
  return Taken::kYes;
}

void Client::refuse(std::string_view error) {
  ++context_.errors;
  if (multi_ != nullptr) {
    multi_->broken = true;
  }
  answer([error](Reply& reply) { reply.error(error); });
}

void Client::queue(Table::Entry& entry, Arguments arguments) {
  const bool is_allowed = entry.row->start == nullptr && (entry.row->flags & kNoMulti) == 0;
  if (!is_allowed) {
    ++entry.rejected;
    refuse("ERR Command not allowed inside a transaction");
    return;
  }
  Queued queued{&entry, {}};
  for (const std::string_view argument : arguments) {
    multi_->size += argument.size();
  }
  if (multi_->commands.size() == limits::kRespQueuedMax ||
      multi_->size > limits::kRespQueuedBytesMax) {
    refuse("TOOLARGE the transaction is over its limit");
    return;
  }
  for (const std::string_view argument : arguments) {
    queued.arguments.emplace_back(multi_->bytes.emplace_back(argument));
  }
  multi_->commands.push_back(std::move(queued));
  answer([](Reply& reply) { reply.simple("QUEUED"); });
}

std::string_view Client::last_command() const {
  return last_ == nullptr ? std::string_view("NULL") : last_->name;
}

int64_t Client::queued() const {
  return multi_ == nullptr ? -1 : static_cast<int64_t>(multi_->commands.size());
}

void Client::reset() {
  multi_.reset();
  caller_ = nullptr;
  credentials_ = {};
  unwatch();
  name.clear();
  read_only = no_evict = no_touch = false;
  connection_.set_protocol(2);
  connection_.mute(false);
}

}  // namespace quorate::edge::resp
