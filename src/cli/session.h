// SPDX-License-Identifier: Apache-2.0
// Session: what every command of the command line has at hand: its arguments, the cluster, and the
// two ways to say something: lines for people, JSON for programs.
#pragma once

#include <boost/json/value.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/arguments.h"
#include "clients/cpp/http_client.h"

namespace quorate::cli {

// What the shell sees.
enum class Exit : int {
  kDone = 0,
  kRefused = 1,       // not found, a condition does not hold, ...
  kUsage = 2,         // the command line itself is wrong
  kUnavailable = 3,   // no answer; nothing was done
  kUnknown = 4,       // no answer; it may have been done
};
[[nodiscard]] Exit exit_of(Code code);

struct Io {
  std::function<void(std::string_view)> out;
  std::function<void(std::string_view)> error;
  std::function<std::string()> read_input;   // all of standard input
  bool out_is_terminal = false;
};

// How long to go on trying, with pauses.
class Patience {
 public:
  explicit Patience(Duration most)
      : end_(std::chrono::steady_clock::now() + std::chrono::nanoseconds(most.nanos())) {}
  // Sleeps a while; false when it is over.
  [[nodiscard]] bool wait() const;

 private:
  std::chrono::steady_clock::time_point end_;
};

class Session {
 public:
  // `see`: where the help of the command is, "kv help put".
  Session(Arguments arguments, client::Options options, std::string see, Io& io);
  ~Session();

  [[nodiscard]] const Arguments& arguments() const { return arguments_; }
  [[nodiscard]] bool json() const { return arguments_.has("--json"); }
  [[nodiscard]] Io& io() { return io_; }
  void print(std::string_view text) { io_.out(text); }

  [[nodiscard]] Result<client::Answer> call(client::Call call);
  // Tried once, however it ends.
  [[nodiscard]] Result<client::Answer> call_once(client::Call call) { return client_.call(call); }
  // A write: gets a key of its own, so that its retries count once.
  [[nodiscard]] Result<client::Answer> write(client::Call call);
  // A body without an end; see HttpClient::stream.
  [[nodiscard]] Status stream(const client::Call& call, Duration silence,
                              const client::OnPiece& piece);
  // For conversations of a command's own.
  [[nodiscard]] const client::Options& client_options() const { return options_; }
  [[nodiscard]] Patience patience() const { return Patience(options_.timeout); }
  // Says what went wrong and gives the exit code.
  Exit fail(const Status& status);
  // The command line is wrong, and nobody was asked.
  Exit usage_error(std::string_view text);
  // What was to be sent could not be read, or makes no sense.
  Exit fail_input(const Status& status);

 private:
  Arguments arguments_;
  const client::Options options_;
  client::HttpClient client_;
  const std::string see_;
  Io& io_;
};

struct Command {
  std::string_view name;
  std::string_view usage;          // after the name: "KEY [VALUE|-]"
  std::string_view summary;        // one line
  std::string_view help;           // more, with examples
  std::span<const Flag> flags;
  size_t words_min = 0;
  size_t words_max = 0;
  Exit (*run)(Session& session) = nullptr;
};

// Finds the command, parses, runs; also "help" and --help.
[[nodiscard]] Exit run_command(std::string_view group, std::string_view intro,
                               std::span<const Command> commands,
                               const std::vector<std::string>& words, Io& io);

// A command that stands alone: "quorate top".
[[nodiscard]] Exit run_single(const Command& command, const std::vector<std::string>& words,
                              Io& io);

[[nodiscard]] std::span<const Flag> common_flags();
// A body that should be JSON; null if it is not.
[[nodiscard]] boost::json::value parse_json(std::string_view text);
// "a:1,b:2" apart.
[[nodiscard]] std::vector<std::string> split_nodes(std::string_view text);

}  // namespace quorate::cli
