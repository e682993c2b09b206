// SPDX-License-Identifier: Apache-2.0
// The command line without a cluster: its flags, its help, its exit codes.
#include <gtest/gtest.h>

#include "cli/commands.h"
#include "cli/completion.h"

namespace quorate::cli {
namespace {

struct Said {
  Exit exit = Exit::kDone;
  std::string out;
  std::string error;
};

Said say(Exit (*run)(const std::vector<std::string>&, Io&), const std::vector<std::string>& words) {
  Said said;
  Io io;
  io.out = [&said](std::string_view text) { said.out += text; };
  io.error = [&said](std::string_view text) { said.error += text; };
  io.read_input = [] { return std::string("{\"key\":\"a\",\"value\":\"1\"}\nnot json\n"); };
  said.exit = run(words, io);
  return said;
}

constexpr Flag kFlags[] = {{"--ttl", "DURATION", "t"}, {"--force", "", "f"}};

TEST(arguments, flags_stand_anywhere_and_end_at_two_dashes) {
  const Result<Arguments> parsed = parse_arguments(
      {"a", "--ttl=5s", "-", "--force", "b", "--", "--ttl"}, kFlags, common_flags());
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->words, (std::vector<std::string>{"a", "-", "b", "--ttl"}));
  EXPECT_EQ(parsed->value("--ttl"), "5s");
  EXPECT_TRUE(parsed->has("--force"));
  EXPECT_FALSE(parsed->has("--json"));
}

struct WrongRow {
  std::vector<std::string> words;
  const char* error;
};

TEST(arguments, what_is_wrong_is_named) {
  const WrongRow rows[] = {{{"--tl", "5s"}, "no such flag: --tl; did you mean --ttl?"},
                           {{"--ttl"}, "--ttl needs a value"},
                           {{"--force=yes"}, "--force takes no value"}};
  for (const WrongRow& row : rows) {
    EXPECT_EQ(parse_arguments(row.words, kFlags, {}).status().message(), row.error);
  }
}

struct UsageRow {
  Exit (*run)(const std::vector<std::string>&, Io&);
  std::vector<std::string> words;
  const char* error;
};

TEST(commands, wrong_usage_says_so_and_where_to_look) {
  const UsageRow rows[] = {
      {kv_main, {}, "Usage: quorate kv COMMAND"},
      {kv_main, {"gett", "k"}, "did you mean get?"},
      {kv_main, {"get"}, "usage: quorate kv get KEY"},
      {kv_main, {"get", "a", "b"}, "See: quorate kv help get"},
      {kv_main, {"get", "a", "--timeout", "x"}, "--timeout must be a whole number"},
      {kv_main, {"get", "a", "--node", "nowhere"}, "is not HOST:PORT"},
      {kv_main, {"get", "a", "--node", "http://h:8001"}, "is not HOST:PORT"},
      {kv_main, {"get", "a", "--node", "h:80011"}, "'h:80011' is not HOST:PORT"},
      {kv_main, {"get", "a", "--node", "h:"}, "'h:' is not HOST:PORT"},
      {cluster_main, {"replace", "1"}, "usage: quorate cluster replace OLD NEW"},
      {cluster_main, {"remove", "two"}, "'two' is not a number\nSee: quorate cluster help remove"},
      {cluster_main, {"replace", "1", "x"}, "'x' is not a number"},
      {cluster_main, {"transfer", "g", "1"}, "'g' is not a number"},
      {cluster_main, {"add", "h:1", "--weight", "much"}, "'much' is not a number"},
      {kv_main, {"touch", "k"}, "give either --ttl or --persist"},
      {kv_main, {"touch", "k", "--ttl", "1s", "--persist"}, "give either"},
      {kv_main, {"touch-many", "k"}, "give either"},
      {kv_main, {"put", "k", "v", "--file", "f"}, "give a value or --file"},
      {kv_main, {"put", "k", "v", "--if-absent", "--if-version", "1"}, "at most one"},
      {kv_main, {"cas", "k", "v"}, "exactly one"},
      {kv_main, {"del", "a", "b", "--if-value", "x"}, "one key"},
      {kv_main, {"incr", "k", "x"}, "'x' is not a whole number"},
      {kv_main, {"decr", "k", "-9223372036854775808"}, "is not a whole number"},
      {kv_main, {"set-range", "k", "x", "v"}, "OFFSET must be a whole number"},
      {kv_main, {"put-many", "a"}, "'a' is not KEY=VALUE"},
      {kv_main, {"put-many", "-"}, "line 2 is not a JSON object"},
      {kv_main, {"scan", "--limit", "x"}, "--limit must be"},
      {kv_main, {"scan", "a", "--prefix", "b"}, "give a prefix, or"},
      {kv_main, {"scan", "--start", "a", "--prefix", "b"}, "give a prefix, or"},
      {kv_main, {"delete-range"}, "--all to delete every key"},
      {kv_main, {"delete-range", "--prefix", "a", "--all"}, "--all to delete every key"},
      {kv_main, {"txn", "not json"}, "not a JSON object"},
      {kv_main, {"watch", "a", "--prefix", "b"}, "give the prefix once"},
      {kv_main, {"watch", "--count", "x"}, "--count must be"},
      {backup_main, {"verify"}, "usage: quorate backup verify FILE|DIR"},
      {restore_main, {}, "usage: quorate backup restore FILE|DIR"},
      {keyspace_main, {"change", "a"}, "give --keys-max, --bytes-max or"},
      {keyspace_main, {"create", "a", "--partitions", "x"}, "--partitions must be"},
      {keyspace_main, {"create", "a", "--keys-max", "x"}, "--keys-max must be"},
      {kv_main, {"rate-limit", "a", "--burst", "x"}, "--burst must be"},
  };
  for (const UsageRow& row : rows) {
    const Said said = say(row.run, row.words);
    EXPECT_EQ(said.exit, Exit::kUsage);
    EXPECT_NE(said.error.find(row.error), std::string::npos) << said.error;
    EXPECT_EQ(said.out, "");
  }
}

TEST(commands, a_file_that_is_not_there_is_named) {
  const Said said = say(kv_main, {"put", "k", "-f", "/nonexistent"});
  EXPECT_EQ(said.exit, Exit::kRefused);
  EXPECT_NE(said.error.find("cannot read /nonexistent"), std::string::npos) << said.error;
}

TEST(commands, every_command_on_keys_has_an_example) {
  for (const std::span<const Command> commands :
       {kv_commands(), keyspace_commands(), backup_commands()}) {
    for (const Command& command : commands) {
      EXPECT_NE(command.help.find("xample"), std::string_view::npos) << command.name;
    }
  }
}

TEST(completion, scripts_know_every_command_and_flag) {
  const CompletionWord words[] = {{"kv", "keys", kv_commands()},
                                  {"dev", "what's this", {}, {{"up", "x"}}, {{"--fast", "y"}}}};
  for (const Shell shell : {Shell::kBash, Shell::kZsh}) {
    const std::string script = completion_script(shell, words);
    for (const Command& command : kv_commands()) {
      EXPECT_NE(script.find("'kv " + std::string(command.name) + "')"), std::string::npos);
      for (const Flag& flag : command.flags) {
        EXPECT_NE(script.find(flag.name), std::string::npos) << flag.name;
      }
    }
    EXPECT_NE(script.find("'dev '*) "), std::string::npos) << script;
    EXPECT_NE(script.find("      dev) "), std::string::npos) << script;
  }
  EXPECT_NE(completion_script(Shell::kZsh, words).find("'dev:what'\\''s this'"), std::string::npos);
}

TEST(commands, a_cluster_that_is_not_there_is_unavailable) {
  const Said said = say(kv_main, {"put", "k", "v", "--node", "127.0.0.1:1", "--timeout", "1"});
  EXPECT_EQ(said.exit, Exit::kUnavailable) << "nothing was sent, so nothing can have been done";
  EXPECT_NE(said.error.find("cannot connect"), std::string::npos) << said.error;
  const Said json = say(kv_main, {"get", "k", "--node", "127.0.0.1:1", "--timeout", "1", "--json"});
  EXPECT_NE(json.out.find("{\"error\":{\"code\":\"unavailable\""), std::string::npos) << json.out;
}

TEST(commands, every_command_of_the_overview_has_a_page) {
  for (const auto run : {kv_main, keyspace_main, cluster_main}) {
    const Said overview = say(run, {"help"});
    EXPECT_EQ(overview.exit, Exit::kDone);
    size_t pages = 0;
    for (size_t at = overview.out.find("\n  "); at != std::string::npos;
         at = overview.out.find("\n  ", at + 1)) {
      const size_t end = overview.out.find(' ', at + 3);
      const std::string name = overview.out.substr(at + 3, end - at - 3);
      if (name.starts_with("--")) {
        break;
      }
      const Said page = say(run, {"help", name});
      EXPECT_NE(page.out.find(name), std::string::npos) << name;
      EXPECT_EQ(say(run, {name, "--help"}).out, page.out) << name;
      ++pages;
    }
    EXPECT_GE(pages, 5u);
  }
}

TEST(commands, each_code_has_its_exit) {
  EXPECT_EQ(exit_of(Code::kOk), Exit::kDone);
  EXPECT_EQ(exit_of(Code::kNotFound), Exit::kRefused);
  EXPECT_EQ(exit_of(Code::kUnavailable), Exit::kUnavailable);
  EXPECT_EQ(exit_of(Code::kUnknownOutcome), Exit::kUnknown);
}

}  // namespace
}  // namespace quorate::cli
