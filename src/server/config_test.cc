// SPDX-License-Identifier: Apache-2.0
// The configuration: its file format, its sources and their order, its errors; and the log's lines.
#include "server/config.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/prng.h"
#include "server/log.h"

namespace quorate::server {
namespace {

Result<Config> load(std::string file, std::vector<std::string> arguments = {},
                    std::function<std::optional<std::string>(const std::string&)> env = {}) {
  return load_config({std::move(file), "q.conf", std::move(env), std::move(arguments)});
}

TEST(config, defaults_are_those_of_the_table) {
  const Result<Config> config = load("");
  ASSERT_TRUE(config.ok()) << config.status().message();
  EXPECT_EQ(config->http_listen.text(), "127.0.0.1:8001");
  EXPECT_EQ(config->election_timeout_max.millis(), 300);
  EXPECT_EQ(config->segment_bytes, 64u << 20);
  EXPECT_EQ(config->sync, "always");
  EXPECT_TRUE(config->cluster_nodes.empty());
}

TEST(config, an_address_of_ipv6_reads_as_it_is_written) {
  for (const std::string text : {"[::1]:8001", "[fe80::1%eth0]:1", "10.0.0.1:9001", "db:0"}) {
    const Result<Address> address = parse_address(text);
    ASSERT_TRUE(address.ok()) << text;
    EXPECT_EQ(address->text(), text);
  }
  EXPECT_EQ(parse_address("[::1]:8001")->host, "::1");
}

TEST(config, a_file_with_everything_in_it_is_read) {
  const Result<Config> config = load(R"(# three nodes
node = 2
data = "/var/lib/\"q\"" # where it lives
[cluster]
nodes = ["1=10.0.0.1:9001", # one
  "2=10.0.0.2:9001,http=10.0.0.2:8001",
]
groups = 1_000
[ http ]
listen="[::1]:0"
[consensus]
preset = "production"
heartbeat_interval = "80ms"
lease_reads = false
)");
  ASSERT_TRUE(config.ok()) << config.status().message();
  EXPECT_EQ(config->node, 2u);
  EXPECT_EQ(config->data, "/var/lib/\"q\"");
  ASSERT_EQ(config->cluster_nodes.size(), 2u);
  EXPECT_EQ(config->cluster_nodes[0].raft.text(), "10.0.0.1:9001");
  EXPECT_EQ(config->cluster_nodes[1].http->text(), "10.0.0.2:8001");
  EXPECT_EQ(config->cluster_groups, 1000u);
  EXPECT_EQ(config->http_listen, (Address{"::1", 0}));
  EXPECT_EQ(config->election_timeout_min.millis(), 300);
  EXPECT_EQ(config->heartbeat_interval.millis(), 80);
  EXPECT_FALSE(config->lease_reads);
}

TEST(config, a_node_that_listens_everywhere_tells_others_its_entry_of_the_cluster) {
  const std::vector<std::string> everywhere = {"--node",          "2",
                                               "--raft-listen",   "0.0.0.0:9001",
                                               "--http-listen",   "[::]:8001",
                                               "--resp-listen",   "0.0.0.0:7001",
                                               "--cluster-nodes", "1=a:9001,2=b:9002"};
  const Result<Config> config = load("", everywhere);
  ASSERT_TRUE(config.ok()) << config.status().message();
  EXPECT_EQ(config->raft_advertise->text(), "b:9002");
  EXPECT_EQ(config->http_advertise->text(), "b:8001");
  EXPECT_EQ(config->resp_advertise->text(), "b:7001");
  const Result<Config> told = load("", {"--http-listen", "0.0.0.0:8001", "--http-advertise", "c:1",
                                        "--cluster-nodes", "1=a:9001,http=a:8009"});
  ASSERT_TRUE(told.ok()) << told.status().message();
  EXPECT_EQ(told->http_advertise->text(), "c:1") << "what is said counts before what is known";
  EXPECT_FALSE(told->raft_advertise.has_value()) << "it listens where others find it";
}

TEST(config, a_node_that_is_alone_is_found_by_the_name_of_its_machine) {
  ConfigSources sources;
  sources.arguments = {"--http-listen", "0.0.0.0:8001"};
  sources.host_name = "box";
  const Result<Config> config = load_config(sources);
  ASSERT_TRUE(config.ok()) << config.status().message();
  EXPECT_EQ(config->http_advertise->text(), "box:8001");
}

TEST(config, a_node_that_listens_everywhere_and_is_not_named_is_refused) {
  const Result<Config> config =
      load("", {"--raft-listen", "0.0.0.0:9001", "--cluster-join", "10.0.0.1:8001"});
  ASSERT_FALSE(config.ok());
  EXPECT_NE(config.status().message().find("raft.advertise"), std::string::npos);
  EXPECT_FALSE(load("", {"--http-listen", "0.0.0.0:8001"}).ok());
  EXPECT_TRUE(load("", {"--raft-listen", "0.0.0.0:9001", "--raft-advertise", "10.0.0.2:9001",
                        "--cluster-join", "10.0.0.1:8001"})
                  .ok());
}

TEST(config, flags_beat_the_environment_which_beats_the_file) {
  const auto env = [](const std::string& name) -> std::optional<std::string> {
    if (name == "QUORATE_NODE") {
      return "3";
    }
    if (name == "QUORATE_CLUSTER_NODES") {
      return "3=a:1,http=a:2,4=b:1,5=c:1,http=c:2";
    }
    return name == "QUORATE_DATA" ? std::optional<std::string>("from-env") : std::nullopt;
  };
  const Result<Config> config = load("node = 2\n[log]\nlevel = \"debug\"\n",
                                     {"--data", "from-flag", "--log-level=error"}, env);
  ASSERT_TRUE(config.ok()) << config.status().message();
  EXPECT_EQ(config->node, 3u);
  EXPECT_EQ(config->data, "from-flag");
  EXPECT_EQ(config->log_level, LogLevel::kError);
  ASSERT_EQ(config->cluster_nodes.size(), 3u);
  EXPECT_EQ(config->cluster_nodes[2].http->text(), "c:2");
}

struct WrongRow {
  const char* file;
  const char* error;
};

TEST(config, what_is_wrong_is_named_with_its_line) {
  const WrongRow rows[] = {
      {"node = 0", "q.conf:1: 'node' must be a whole number from 1 to 4294967295"},
      {"\n[http]\nlisten = \"x\"", "q.conf:3: 'http.listen' must be an address such as"},
      {"[http]\nlisten = \"x:99999\"", "with a port from 0 to 65535"},
      {"[http]\nlitsen = \"x:1\"",
       "q.conf:2: there is no key 'http.litsen'; did you mean "
       "'http.listen'?"},
      {"zzzzzzzzz = 1", "there is no key 'zzzzzzzzz'"},
      {"node = 1\nnode = 2", "q.conf:2: 'node' was set at q.conf:1 already"},
      {"node 1", "q.conf:1: expected 'name = value'"},
      {"[http", "q.conf:1: a section is written [name]"},
      {"data = \"x", "q.conf:1: the closing quote is missing"},
      {"data = \"\\x\"", "q.conf:1: only"},
      {"data = x", "q.conf:1: text needs quotes: \"x\""},
      {"data =", "q.conf:1: the value is missing"},
      {"data = \"x\" y", "q.conf:1: unexpected text after the value"},
      {"data = [\"x\"]", "'data' must not be a list"},
      {"[cluster]\nnodes = \"1=a:1\"", "q.conf:2: 'cluster.nodes' must be a list in brackets"},
      {"[cluster]\nnodes = [\"1=a:1\" \"2=b:1\"]", "q.conf:2: expected ',' or ']' in a list"},
      {"[cluster]\nnodes = [\"1=a:1\", \"1=b:1\"]", "names node 1 or its address twice"},
      {"[cluster]\nnodes = [\"2=a:1\"]", "cluster.nodes must name this node too"},
      {"[cluster]\nnodes = [\"1=a:1\"]\njoin = [\"a:1\"]", "exclude each other"},
      {"[storage]\nsync = \"often\"", "'storage.sync' must be one of always, interval, never"},
      {"stop_timeout = \"10x\"", "'stop_timeout' must be a duration"},
      {"[storage]\nsegment_bytes = \"5KiB\"", "must be from 1MiB"},
      {"[consensus]\nheartbeat_interval = \"200ms\"", "at most half of election_timeout_min"},
      {"[tls]\nkey = \"k\"", "go together"},
      {"[tls]\nclients = \"required\"", "needs TLS"},
      {"[consensus]\nlease_reads = 1", "must be true or false"},
  };
  for (const WrongRow& row : rows) {
    const Result<Config> config = load(row.file);
    ASSERT_FALSE(config.ok()) << row.file;
    EXPECT_NE(config.status().message().find(row.error), std::string::npos)
        << row.file << "\n"
        << config.status().message();
  }
}

TEST(config, all_errors_are_told_at_once) {
  const Result<Config> config = load("node = 0\n[http]\nlisten = \"x\"\n", {"--dta", "--data"});
  ASSERT_FALSE(config.ok());
  const std::string& text = config.status().message();
  EXPECT_NE(text.find("'node'"), std::string::npos);
  EXPECT_NE(text.find("'http.listen'"), std::string::npos);
  EXPECT_NE(text.find("--dta: no such flag; did you mean --data?"), std::string::npos);
  EXPECT_NE(text.find("--data: needs a value"), std::string::npos);
}

TEST(config, what_keys_say_together_is_told_beside_what_one_says_alone) {
  const Result<Config> config = load(
      "node = 3\n[http]\nlisten = \"127.0.0.1:7001\"\n[storage]\nsync = \"x\"\n"
      "[cluster]\nnodes = [\"1=a:1\"]\njoin = [\"a:1\"]\n"
      "[consensus]\nelection_timeout_min = \"300ms\"\nelection_timeout_max = \"100ms\"\n");
  ASSERT_FALSE(config.ok());
  const std::string& text = config.status().message();
  for (const char* part :
       {"'storage.sync'", "less than election_timeout_max", "born or joins",
        "must name this node too", "http.listen and resp.listen are one address: 127.0.0.1:7001"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  }
  // A value that cannot be is not compared with others as well.
  const Result<Config> broken = load("[consensus]\nelection_timeout_max = \"x\"\n");
  ASSERT_FALSE(broken.ok());
  EXPECT_EQ(broken.status().message().find('\n'), std::string::npos) << broken.status().message();
  EXPECT_TRUE(load("[http]\nlisten = \"a:0\"\n[resp]\nlisten = \"a:0\"\n").ok());
  EXPECT_FALSE(load("[http]\nlisten = \"a:1\"\nadvertise = \"a:1\"\n[resp]\n"
                    "listen = \"0.0.0.0:1\"\n")
                   .ok());
}

TEST(config, what_is_shown_loads_to_the_same) {
  const ConfigSources sources{"node = 7\n", "q.conf", {}, {"--cluster-join", "a:1,b:2"}};
  const std::string shown = show_config(sources);
  EXPECT_NE(shown.find("node = 7  # q.conf:1\n"), std::string::npos) << shown;
  const Result<Config> again = load(shown);
  ASSERT_TRUE(again.ok()) << again.status().message() << shown;
  EXPECT_EQ(again->node, 7u);
  EXPECT_EQ(again->cluster_join.size(), 2u);
  EXPECT_EQ(again->election_timeout_min.millis(), 150);
}

TEST(config, any_text_is_read_or_refused) {
  Prng prng(5);
  const std::string alphabet = "ab=\"\\[]#\n., 1_\xff";
  for (int i = 0; i < 3'000; ++i) {
    std::string text;
    for (uint64_t n = prng.below(30); n > 0; --n) {
      text += alphabet[prng.below(alphabet.size())];
    }
    const Result<std::vector<Setting>> settings = parse_config_file(text, "f");
    EXPECT_TRUE(settings.ok() || !settings.status().message().empty());
  }
}

TEST(config, every_key_has_a_default_that_it_takes) {
  for (const ConfigKey& key : config_keys()) {
    EXPECT_FALSE(key.help.empty()) << key.name;
    Config config;
    if (!key.fallback.empty()) {
      EXPECT_TRUE(key.set(config, {std::string(key.fallback)}).ok()) << key.name;
    }
  }
  EXPECT_EQ(variable_of("http.idle_timeout"), "QUORATE_HTTP_IDLE_TIMEOUT");
  EXPECT_EQ(flag_of("http.idle_timeout"), "--http-idle-timeout");
}

TEST(config, the_guide_shows_the_table_of_keys) {
  const std::filesystem::path folder(QUORATE_TESTDATA);  // need not exist
  std::ifstream file((folder / "../../../docs/guide/config.md").lexically_normal());
  const std::string page{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  EXPECT_NE(page.find(config_table()), std::string::npos)
      << "put what 'quorate config keys' prints into docs/guide/config.md";
}

class FixedClock final : public env::Clock {
 public:
  [[nodiscard]] Instant now() const override { return Instant(); }
  [[nodiscard]] Stamp wall() const override { return Stamp::from_micros(1'700'000'000'000'042); }
};

TEST(log, a_line_holds_time_level_event_and_fields) {
  const FixedClock clock;
  std::string lines;
  const Log log(clock, LogLevel::kInfo, [&lines](std::string_view line) { lines += line; });
  log.debug("hidden");
  log.info("start", {{"node", 3}, {"data", "/tmp/a b"}, {"empty", ""}});
  log.warning("odd", {{"text", "a\"b\n\x01"}, {"plain", "x:1/y"}});
  EXPECT_EQ(lines,
            "2023-11-14T22:13:20.000042Z info  start node=3 data=\"/tmp/a b\" empty=\"\"\n"
            "2023-11-14T22:13:20.000042Z warn  odd text=\"a\\\"b\\n\\x01\" plain=x:1/y\n");
}

}  // namespace
}  // namespace quorate::server
