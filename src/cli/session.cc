// SPDX-License-Identifier: Apache-2.0
#include "cli/session.h"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <charconv>
#include <cstdlib>

#include "base/text.h"

namespace quorate::cli {
namespace {

constexpr Flag kCommonFlags[] = {
    {"--node", "HOST:PORT,...", "nodes to ask, by HTTP address; the first that answers "
                                "(QUORATE_NODES; 127.0.0.1:8001)"},
    {"--timeout", "SECONDS", "for the command with all its retries (10)"},
    {"--json", "", "print JSON"},
    {"--tls", "", "connect by TLS"},
    {"--tls-authority", "FILE", "PEM of who signed the servers' certificates"},
    {"--tls-certificate", "FILE", "PEM to show, if the servers ask"},
    {"--tls-key", "FILE", "PEM of its key"},
    {"--help", "", "this text"},
};

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

Result<client::Options> read_options(const Arguments& arguments) {
  client::Options options;
  const std::string nodes = arguments.value("--node").value_or(environment("QUORATE_NODES"));
  if (!nodes.empty()) {
    options.nodes = split_nodes(nodes);
  }
  for (const std::string& node : options.nodes) {
    if (node.find(':') == std::string::npos) {
      return Status(Code::kInvalidArgument, "--node: '" + node + "' is not HOST:PORT");
    }
  }
  if (const auto text = arguments.value("--timeout")) {
    uint32_t seconds = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), seconds);
    if (error != std::errc() || end != text->data() + text->size() || seconds == 0) {
      return Status(Code::kInvalidArgument, "--timeout must be a whole number of seconds");
    }
    options.timeout = Duration::seconds(seconds);
  }
  options.tls = arguments.has("--tls") || arguments.has("--tls-authority");
  options.tls_authority = arguments.value("--tls-authority").value_or("");
  options.tls_certificate = arguments.value("--tls-certificate").value_or("");
  options.tls_key = arguments.value("--tls-key").value_or("");
  return options;
}

std::string overview(std::string_view group, std::string_view intro,
                     std::span<const Command> commands) {
  std::string text = std::string(intro) + "\n\nUsage: quorate " + std::string(group) +
                     " COMMAND [ARGUMENTS] [FLAGS]\n\n";
  for (const Command& command : commands) {
    std::string left = "  " + std::string(command.name) + " " + std::string(command.usage);
    left.resize(std::max<size_t>(left.size() + 2, 40), ' ');
    text.append(left).append(command.summary).append("\n");
  }
  text += "\nFlags of every command:\n" + describe_flags(kCommonFlags);
  text += "\nExit codes: 0 done; 1 refused or not found; 2 wrong usage; 3 unavailable, nothing was "
          "done;\n4 unknown: it may have been done.\n\n'quorate " +
          std::string(group) + " help COMMAND' says more about one.\n";
  return text;
}

std::string page(std::string_view group, const Command& command) {
  std::string text = "quorate " + std::string(group) + " " + std::string(command.name) + " " +
                     std::string(command.usage) + "\n\n" + std::string(command.summary) + "\n";
  if (!command.help.empty()) {
    text.append("\n").append(command.help).append("\n");
  }
  if (!command.flags.empty()) {
    text += "\nFlags:\n" + describe_flags(command.flags);
  }
  return text + "\nFlags of every command:\n" + describe_flags(kCommonFlags);
}

Exit usage_error(std::string_view text, std::string_view see, Io& io) {
  io.error("quorate: " + std::string(text) + "\nSee: quorate " + std::string(see) + "\n");
  return Exit::kUsage;
}

const Command* find(std::string_view name, std::span<const Command> commands) {
  for (const Command& command : commands) {
    if (command.name == name) {
      return &command;
    }
  }
  return nullptr;
}

}  // namespace

Exit exit_of(Code code) {
  switch (code) {
    case Code::kOk: return Exit::kDone;
    case Code::kUnknownOutcome: return Exit::kUnknown;
    case Code::kUnavailable:
    case Code::kTimeout:
    case Code::kNotLeader:
    case Code::kResourceExhausted: return Exit::kUnavailable;
    default: return Exit::kRefused;
  }
}

Session::Session(Arguments arguments, client::Options options, Io& io)
    : arguments_(std::move(arguments)), client_(std::move(options)), io_(io) {}

Session::~Session() = default;

Result<client::Answer> Session::call(client::Call call) {
  call.idempotent = true;
  return client_.call(call);
}

Result<client::Answer> Session::write(client::Call call) {
  call.headers.emplace_back("Idempotency-Key", client::new_idempotency_key());
  call.idempotent = true;
  return client_.call(call);
}

Exit Session::fail(const Status& status) {
  if (json()) {
    const boost::json::object error = {{"code", std::string(row_of(status.code()).name)},
                                       {"message", status.message()}};
    io_.out(boost::json::serialize(boost::json::object{{"error", error}}) + "\n");
  } else {
    io_.error("quorate: " + status.to_string() + "\n");
  }
  return exit_of(status.code());
}

Exit run_command(std::string_view group, std::string_view intro,
                 std::span<const Command> commands, const std::vector<std::string>& words,
                 Io& io) {
  const bool helps = !words.empty() && (words[0] == "help" || words[0] == "--help" ||
                                        words[0] == "-h");
  if (words.empty() || (helps && words.size() == 1)) {
    (words.empty() ? io.error : io.out)(overview(group, intro, commands));
    return words.empty() ? Exit::kUsage : Exit::kDone;
  }
  const std::string& name = words[helps ? 1 : 0];
  const Command* command = find(name, commands);
  if (command == nullptr) {
    std::vector<std::string_view> known;
    for (const Command& each : commands) {
      known.push_back(each.name);
    }
    const std::string_view meant = closest(name, known);
    return usage_error("no such command: " + std::string(group) + " " + name +
                           (meant.empty() ? "" : "; did you mean " + std::string(meant) + "?"),
                       std::string(group) + " help", io);
  }
  const std::string see = std::string(group) + " help " + name;
  Result<Arguments> arguments = parse_arguments({words.begin() + 1, words.end()}, command->flags,
                                                kCommonFlags);
  if (helps || (arguments.ok() && arguments->has("--help"))) {
    io.out(page(group, *command));
    return Exit::kDone;
  }
  if (!arguments.ok()) {
    return usage_error(arguments.status().message(), see, io);
  }
  if (arguments->words.size() < command->words_min ||
      arguments->words.size() > command->words_max) {
    return usage_error("usage: quorate " + std::string(group) + " " + name + " " +
                           std::string(command->usage),
                       see, io);
  }
  const Result<client::Options> options = read_options(*arguments);
  if (!options.ok()) {
    return usage_error(options.status().message(), see, io);
  }
  Session session(std::move(*arguments), *options, io);
  return command->run(session);
}

std::span<const Flag> common_flags() { return kCommonFlags; }

boost::json::value parse_json(std::string_view text) {
  boost::system::error_code error;
  boost::json::value value = boost::json::parse({text.data(), text.size()}, error);
  return error ? boost::json::value() : value;
}

std::vector<std::string> split_nodes(std::string_view text) {
  std::vector<std::string> nodes;
  while (!text.empty()) {
    const size_t comma = text.find(',');
    if (comma != 0) {
      nodes.emplace_back(text.substr(0, comma));
    }
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
  }
  return nodes;
}

}  // namespace quorate::cli
