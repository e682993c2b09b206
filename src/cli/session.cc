// SPDX-License-Identifier: Apache-2.0
#include "cli/session.h"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "base/text.h"

namespace quorate::cli {
namespace {

constexpr Flag kCommonFlags[] = {
    {"--node", "HOST:PORT,...",
     "nodes to ask, by HTTP address; the first that answers "
     "(QUORATE_NODES; 127.0.0.1:8001)"},
    {"--timeout", "SECONDS", "for the command with all its retries (10)"},
    {"--json", "", "print JSON"},
    {"--tls", "", "connect by TLS"},
    {"--tls-authority", "FILE", "PEM of who signed the servers' certificates"},
    {"--tls-certificate", "FILE", "PEM to show, if the servers ask"},
    {"--tls-key", "FILE", "PEM of its key"},
    {"--token", "TOKEN",
     "or @FILE: who you are, if access is controlled (QUORATE_TOKEN; or "
     "QUORATE_USER and QUORATE_PASSWORD)"},
    {"--help", "", "this text"},
};

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

bool is_host_and_port(std::string_view node) {
  const size_t colon = node.rfind(':');
  uint16_t port = 0;
  const char* const end = node.data() + node.size();
  if (colon == std::string_view::npos || colon == 0 || node.find('/') != std::string_view::npos) {
    return false;
  }
  const auto [read, error] = std::from_chars(node.data() + colon + 1, end, port);
  return error == std::errc() && read == end;
}

// "@FILE": its first line.
Result<std::string> read_token(const std::string& text) {
  if (!text.starts_with("@")) {
    return text;
  }
  std::ifstream file(text.substr(1));
  std::string line;
  if (!std::getline(file, line) || line.empty()) {
    return Status(Code::kInvalidArgument, "--token: " + text.substr(1) + " holds no token");
  }
  return line;
}

Result<client::Options> read_options(const Arguments& arguments) {
  client::Options options;
  const std::string nodes = arguments.value("--node").value_or(environment("QUORATE_NODES"));
  if (!nodes.empty()) {
    options.nodes = split_nodes(nodes);
  }
  for (const std::string& node : options.nodes) {
    if (!is_host_and_port(node)) {
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
  const Result<std::string> token =
      read_token(arguments.value("--token").value_or(environment("QUORATE_TOKEN")));
  RETURN_IF_ERROR(token);
  options.token = *token;
  options.user = environment("QUORATE_USER");
  options.password = environment("QUORATE_PASSWORD");
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
  text +=
      "\nExit codes: 0 done; 1 refused or not found; 2 wrong usage; 3 unavailable, nothing was "
      "done;\n4 unknown: it may have been done.\n\n'quorate " +
      std::string(group) + " help COMMAND' says more about one.\n";
  return text;
}

// "kv put"; of a command that stands alone its own name.
std::string path_of(std::string_view group, const Command& command) {
  return group.empty() ? std::string(command.name)
                       : std::string(group) + " " + std::string(command.name);
}

std::string page(std::string_view group, const Command& command) {
  std::string text = "quorate " + path_of(group, command);
  text += (command.usage.empty() ? "" : " ") + std::string(command.usage) + "\n\n" +
          std::string(command.summary) + "\n";
  if (!command.help.empty()) {
    text.append("\n").append(command.help).append("\n");
  }
  if (!command.flags.empty()) {
    text += "\nFlags:\n" + describe_flags(command.flags);
  }
  return text + "\nFlags of every command:\n" + describe_flags(kCommonFlags);
}

Exit wrong_usage(std::string_view text, std::string_view see, Io& io) {
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

Exit run_found(std::string_view group, const Command& command,
               const std::vector<std::string>& words, Io& io) {
  const std::string see = group.empty() ? "help " + std::string(command.name)
                                        : std::string(group) + " help " + std::string(command.name);
  Result<Arguments> arguments = parse_arguments(words, command.flags, kCommonFlags);
  if (arguments.ok() && arguments->has("--help")) {
    io.out(page(group, command));
    return Exit::kDone;
  }
  if (!arguments.ok()) {
    return wrong_usage(arguments.status().message(), see, io);
  }
  if (arguments->words.size() < command.words_min || arguments->words.size() > command.words_max) {
    return wrong_usage(
        "usage: quorate " + path_of(group, command) + " " + std::string(command.usage), see, io);
  }
  const Result<client::Options> options = read_options(*arguments);
  if (!options.ok()) {
    return wrong_usage(options.status().message(), see, io);
  }
  Session session(std::move(*arguments), *options, see, io);
  return command.run(session);
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

bool Patience::wait() const {
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  return std::chrono::steady_clock::now() < end_;
}

Session::Session(Arguments arguments, client::Options options, std::string see, Io& io)
    : arguments_(std::move(arguments)),
      options_(options),
      client_(std::move(options)),
      see_(std::move(see)),
      io_(io) {}

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

Status Session::stream(const client::Call& call, Duration silence, const client::OnPiece& piece) {
  return client_.stream(call, silence, piece);
}

Exit Session::usage_error(std::string_view text) { return wrong_usage(text, see_, io_); }

Exit Session::fail_input(const Status& status) {
  return status.code() == Code::kInvalidArgument ? usage_error(status.message()) : fail(status);
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

Exit run_command(std::string_view group, std::string_view intro, std::span<const Command> commands,
                 const std::vector<std::string>& words, Io& io) {
  const bool helps =
      !words.empty() && (words[0] == "help" || words[0] == "--help" || words[0] == "-h");
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
    return wrong_usage("no such command: " + std::string(group) + " " + name +
                           (meant.empty() ? "" : "; did you mean " + std::string(meant) + "?"),
                       std::string(group) + " help", io);
  }
  if (helps) {
    io.out(page(group, *command));
    return Exit::kDone;
  }
  return run_found(group, *command, {words.begin() + 1, words.end()}, io);
}

Exit run_single(const Command& command, const std::vector<std::string>& words, Io& io) {
  const bool helps = !words.empty() && (words[0] == "help" || words[0] == "-h");
  if (helps) {
    io.out(page("", command));
    return Exit::kDone;
  }
  return run_found("", command, words, io);
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
