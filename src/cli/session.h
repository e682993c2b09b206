// SPDX-License-Identifier: Apache-2.0
// Session: what every command of the command line has at hand: its arguments, the cluster, and the
// two ways to say something: lines for people, JSON for programs.
#pragma once

#include <boost/json/value.hpp>
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

class Session {
 public:
  Session(Arguments arguments, client::Options options, Io& io);
  ~Session();

  [[nodiscard]] const Arguments& arguments() const { return arguments_; }
  [[nodiscard]] bool json() const { return arguments_.has("--json"); }
  [[nodiscard]] Io& io() { return io_; }
  void print(std::string_view text) { io_.out(text); }

  [[nodiscard]] Result<client::Answer> call(client::Call call);
  // A write: gets a key of its own, so that its retries count once.
  [[nodiscard]] Result<client::Answer> write(client::Call call);
  // Says what went wrong and gives the exit code.
  Exit fail(const Status& status);

 private:
  Arguments arguments_;
  client::HttpClient client_;
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

[[nodiscard]] std::span<const Flag> common_flags();
// A body that should be JSON; null if it is not.
[[nodiscard]] boost::json::value parse_json(std::string_view text);
// "a:1,b:2" apart.
[[nodiscard]] std::vector<std::string> split_nodes(std::string_view text);

}  // namespace quorate::cli
