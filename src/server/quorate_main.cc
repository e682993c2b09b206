// SPDX-License-Identifier: Apache-2.0
// main of the only binary: finds the command and runs it.
#include <iostream>
#include <string>
#include <vector>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/completion.h"
#include "server/commands.h"
#include "server/version.h"

#ifdef QUORATE_BENCH
#include "bench/bench.h"
#endif

namespace {

using quorate::server::Words;

constexpr std::string_view kHelp =
    R"(Quorate: replicated keys and values, and locks, on many Raft groups.

Usage: quorate COMMAND [ARGUMENTS]

  dev         a cluster of three nodes in this terminal, to try it out
  server      one node of a cluster
  config      check and show configurations
  certs       make the certificates of a cluster
  kv          keys and values of a running cluster
  lock        locks of a running cluster; a command under a lock
  keyspace    named sets of keys, with a quota and an order of their own
  backup      to one file, or to an archive of every change, while the cluster serves
  restore     a backup, or any moment of an archive, into a fresh cluster
  cluster     status and members of a running cluster
  top         the nodes of a cluster and what they do, live
  user        users of a cluster that controls access
  token       tokens for programs
  audit       check an audit log
  bench       measure this machine
  completion  a script that completes commands, for bash or zsh
  version     print the version
  help        this text; 'quorate help COMMAND' or 'quorate COMMAND --help' says more

Start with: quorate dev
)";

struct CommandRow {
  std::string_view name;
  int (*run)(const Words& words);
};

template <quorate::cli::Exit (*run)(const Words&, quorate::cli::Io&)>
int run_client(const Words& words) {
  quorate::cli::Io io = quorate::cli::standard_io();
  return static_cast<int>(run(words, io));
}

using quorate::cli::CompletionItem;

std::vector<CompletionItem> server_flags() {
  std::vector<CompletionItem> flags = {{"--config", "the file with the settings"}};
  for (const quorate::server::ConfigKey& key : quorate::server::config_keys()) {
    flags.push_back({quorate::server::flag_of(key.name), std::string(key.help)});
  }
  flags.push_back({"--help", "this text"});
  return flags;
}

std::span<const quorate::cli::Flag> restore_flags() {
  for (const quorate::cli::Command& command : quorate::cli::backup_commands()) {
    if (command.name == "restore") {
      return command.flags;
    }
  }
  return {};
}

int run_completion(const Words& words) {
  using quorate::cli::completion_flags;
  const quorate::cli::CompletionWord known[] = {
      {"dev",
       "a cluster of three nodes in this terminal",
       {},
       {},
       {{"--nodes", "how many"},
        {"--dir", "where they keep their data"},
        {"--port-offset", "added to each port"},
        {"--fresh", "forget an earlier run"},
        {"--verbose", "all log lines"},
        {"--help", "more"}}},
      {"server", "one node of a cluster", {}, {}, server_flags()},
      {"config",
       "check and show configurations",
       {},
       {{"check", "whether a server would start with it"},
        {"show", "what is in effect"},
        {"keys", "every key as a table"}},
       server_flags()},
      {"kv", "keys and values of a running cluster", quorate::cli::kv_commands()},
      {"lock", "locks, and a command under a lock", quorate::cli::lock_commands()},
      {"keyspace", "named sets of keys", quorate::cli::keyspace_commands()},
      {"backup", "to one file, or to an archive", quorate::cli::backup_commands()},
      {"restore", "a backup into a fresh cluster", {}, {}, completion_flags(restore_flags())},
      {"cluster", "status and members of a running cluster", quorate::cli::cluster_commands()},
      {"top",
       "the nodes and what they do, live",
       {},
       {},
       completion_flags(quorate::cli::top_flags())},
      {"user", "users of a cluster that controls access", quorate::cli::user_commands()},
      {"token", "tokens for programs", quorate::cli::token_commands()},
      {"certs",
       "make the certificates of a cluster",
       {},
       {{"node", "certificates of nodes"},
        {"client", "certificates of clients"},
        {"show", "what the directory holds"}},
       {{"--dir", "where they are"}, {"--hosts", "by which clients reach the nodes"}}},
      {"audit", "check an audit log", {}, {{"verify", "its chain of hashes"}}},
      {"bench",
       "measure this machine",
       {},
       {{"core"}, {"kv"}, {"embedded"}, {"lock"}},
       {{"--quick", "end within 40 seconds"},
        {"--json", "also to a file"},
        {"--only", "one row"},
        {"--dir", "where the nodes keep their data"}}},
      {"completion", "a script for bash or zsh", {}, {{"bash"}, {"zsh"}}},
      {"version", "print the version"}};
  quorate::cli::Io io = quorate::cli::standard_io();
  return static_cast<int>(quorate::cli::completion_main(known, words, io));
}

#ifdef QUORATE_BENCH
int run_bench(const Words& words) {
  std::string name = "bench";
  std::vector<char*> pointers = {name.data()};
  for (const std::string& word : words) {
    pointers.push_back(const_cast<char*>(word.c_str()));
  }
  pointers.push_back(nullptr);
  return quorate::bench::bench_main(static_cast<int>(words.size()) + 1, pointers.data());
}
#else
int run_bench(const Words&) {
  std::cerr << "quorate: this binary was built without benches\n";
  return 2;
}
#endif

int run_version(const Words&) {
  std::cout << "quorate " << quorate::server::kVersion << "\n";
  return 0;
}

constexpr CommandRow kCommands[] = {
    {"dev", quorate::server::dev_main},
    {"server", quorate::server::server_main},
    {"config", quorate::server::config_main},
    {"kv", run_client<quorate::cli::kv_main>},
    {"lock", run_client<quorate::cli::lock_main>},
    {"certs", quorate::server::certs_main},
    {"audit", quorate::server::audit_main},
    {"top", run_client<quorate::cli::top_main>},
    {"user", run_client<quorate::cli::user_main>},
    {"token", run_client<quorate::cli::token_main>},
    {"cluster", run_client<quorate::cli::cluster_main>},
    {"bench", run_bench},
    {"keyspace", run_client<quorate::cli::keyspace_main>},
    {"backup", run_client<quorate::cli::backup_main>},
    {"restore", run_client<quorate::cli::restore_main>},
    {"completion", run_completion},
    {"version", run_version},
    {"--version", run_version},
};

int unknown(const std::string& name) {
  std::vector<std::string_view> known;
  for (const CommandRow& row : kCommands) {
    known.push_back(row.name);
  }
  std::string meant(quorate::closest(name, known));
  for (const quorate::cli::Command& command : quorate::cli::kv_commands()) {
    meant = command.name == name ? "kv " + name : meant;
  }
  std::cerr << "quorate: no such command: " << name;
  if (!meant.empty()) {
    std::cerr << "; did you mean " << meant << "?";
  }
  std::cerr << "\nSee: quorate help\n";
  return 2;
}

}  // namespace

int main(int count, char** arguments) {
  Words words(arguments + 1, arguments + count);
  const bool helps =
      !words.empty() && (words[0] == "help" || words[0] == "--help" || words[0] == "-h");
  if (words.empty() || (helps && words.size() == 1)) {
    (words.empty() ? std::cerr : std::cout) << kHelp;
    return words.empty() ? 2 : 0;
  }
  if (helps) {  // "help kv put" is "kv help put"
    words.erase(words.begin());
    words.insert(words.begin() + 1, "help");
  }
  const std::string name = words[0];
  for (const CommandRow& row : kCommands) {
    if (row.name == name) {
      return row.run({words.begin() + 1, words.end()});
    }
  }
  return unknown(name);
}
