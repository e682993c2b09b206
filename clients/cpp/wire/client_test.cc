// SPDX-License-Identifier: Apache-2.0
// Clients against a node that answers as it is told, and against real ones that come and go.
#include "quorate/client.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <deque>
#include <filesystem>
#include <functional>
#include <future>
#include <mutex>
#include <thread>

#include "quorate/database.h"

namespace quorate {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

// A node that reads commands one by one and answers each by a function. An empty answer breaks the
// connection instead.
class FakeNode {
 public:
  using Answer = std::function<std::string(const std::vector<std::string>& words)>;

  explicit FakeNode(Answer answer)
      : answer_(std::move(answer)),
        acceptor_(loop_, tcp::endpoint(asio::ip::make_address("127.0.0.1"), 0)),
        thread_([this] { run(); }) {}
  ~FakeNode() {
    ended_ = true;
    boost::system::error_code ignored;
    tcp::socket knock(loop_);
    knock.connect(acceptor_.local_endpoint(), ignored);
    thread_.join();
    for (std::thread& talk : talks_) {
      talk.join();
    }
  }

  [[nodiscard]] std::string address() const {
    return "127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port());
  }
  // Of all that it was asked, without the questions for its map.
  [[nodiscard]] std::vector<std::vector<std::string>> heard() {
    const std::lock_guard lock(mutex_);
    return heard_;
  }

 private:
  void run() {
    while (true) {
      auto socket = std::make_shared<tcp::socket>(loop_);
      acceptor_.accept(*socket);
      if (ended_) {
        return;
      }
      talks_.emplace_back([this, socket] { talk(*socket); });
    }
  }
  void talk(tcp::socket& socket) {
    std::string bytes;
    boost::system::error_code error;
    const auto line = [&] {
      const size_t size = asio::read_until(socket, asio::dynamic_buffer(bytes), "\r\n", error);
      const std::string text = bytes.substr(0, error ? 0 : size - 2);
      bytes.erase(0, error ? 0 : size);
      return text;
    };
    while (true) {
      const std::string head = line();
      if (error || head.empty()) {
        return;
      }
      std::vector<std::string> words;
      for (int i = std::stoi(head.substr(1)); i > 0 && !error; --i) {
        (void)line();
        words.push_back(line());
      }
      const std::string answer = words.front() == "CLUSTER" ? "-ERR no map\r\n" : asked(words);
      if (error || answer.empty()) {
        return;
      }
      asio::write(socket, asio::buffer(answer), error);
    }
  }
  std::string asked(const std::vector<std::string>& words) {
    const std::lock_guard lock(mutex_);
    heard_.push_back(words);
    return answer_(words);
  }

  Answer answer_;
  asio::io_context loop_;
  tcp::acceptor acceptor_;
  std::atomic<bool> ended_ = false;
  std::mutex mutex_;
  std::vector<std::vector<std::string>> heard_;
  std::deque<std::thread> talks_;
  std::thread thread_;
};

std::unique_ptr<Client> client_of(const FakeNode& node, ClientOptions options = {}) {
  options.nodes = {node.address()};
  return Client::connect(options).value();
}

// Gives the answers in their order, and the last one for ever.
FakeNode::Answer in_order(std::vector<std::string> answers) {
  return [answers = std::move(answers), at = size_t{0}](const auto&) mutable {
    return answers[std::min(at++, answers.size() - 1)];
  };
}

TEST(wire_client, an_answer_that_got_lost_is_asked_for_again_with_the_same_id) {
  FakeNode node(in_order({"", "", ":5\r\n"}));
  const auto client = client_of(node);
  const Result<int64_t> count = client->increment("n", 5).wait();
  ASSERT_TRUE(count.ok()) << count.status().to_string();
  EXPECT_EQ(*count, 5);
  const auto heard = node.heard();
  ASSERT_EQ(heard.size(), 3u);
  EXPECT_EQ(heard[0].front(), "ONCE");
  EXPECT_EQ(heard[0], heard[2]);
  (void)client->increment("n", 5).wait();
  EXPECT_NE(node.heard().back()[1], heard[0][1]) << "another call has another id";
}

TEST(wire_client, a_fence_stands_before_the_id_and_its_refusal_has_its_code) {
  FakeNode node(in_order({"+OK\r\n", "-PRECONDITION fenced off: ...\r\n"}));
  const auto client = client_of(node);
  SetOptions options;
  const Fence fence{"report", 33, 2};
  options.fence = &fence;
  EXPECT_TRUE(client->set("k", "v", options).wait().ok());
  EXPECT_EQ(client->remove("k", &fence).wait().status().code(), Code::kPreconditionFailed);
  const auto heard = node.heard();
  ASSERT_EQ(heard.size(), 2u);
  const std::vector<std::string> words(heard[0].begin(), heard[0].begin() + 6);
  EXPECT_EQ(words, (std::vector<std::string>{"FENCE", "report", "33", "DOMAIN", "2", "ONCE"}));
  EXPECT_EQ(heard[1][7], "DEL");
}

TEST(wire_client, what_a_node_cannot_do_for_now_is_tried_again) {
  FakeNode node(in_order({"-CLUSTERDOWN no leader\r\n", "-UNKNOWN who knows\r\n", "+OK\r\n"}));
  const auto client = client_of(node);
  const Result<bool> set = client->set("k", "v").wait();
  EXPECT_TRUE(set.ok() && *set) << set.status().to_string();
}

TEST(wire_client, a_refusal_is_the_answer) {
  FakeNode node(in_order({"-WRONGTYPE no\r\n"}));
  const auto client = client_of(node);
  EXPECT_EQ(client->increment("n").wait().status().code(), Code::kInvalidArgument);
  EXPECT_EQ(node.heard().size(), 1u);
}

TEST(wire_client, when_time_is_over_a_write_that_was_sent_is_unknown_and_a_read_is_not) {
  FakeNode node(in_order({""}));
  const auto client = client_of(node, {.timeout = Duration::seconds(1)});
  EXPECT_EQ(client->set("k", "v").wait().status().code(), Code::kUnknownOutcome);
  EXPECT_EQ(client->get("k").wait().status().code(), Code::kUnavailable);
}

TEST(wire_client, nobody_there_is_unavailable_also_for_a_write) {
  std::string address;
  {
    const FakeNode gone(in_order({""}));
    address = gone.address();
  }
  const auto client =
      Client::connect({.nodes = {address}, .timeout = Duration::millis(300)}).value();
  EXPECT_EQ(client->set("k", "v").wait().status().code(), Code::kUnavailable);
}

TEST(wire_client, a_command_of_unknown_effect_is_not_sent_twice) {
  FakeNode node(in_order({""}));
  const auto client = client_of(node);
  EXPECT_EQ(client->command({"FLUSHALL"}).wait().status().code(), Code::kUnknownOutcome);
  EXPECT_EQ(node.heard().size(), 1u);
}

TEST(wire_client, a_node_that_falls_silent_is_left_for_another) {
  FakeNode silent([](const auto&) {
    std::this_thread::sleep_for(std::chrono::milliseconds(700));
    return "+LATE\r\n";
  });
  FakeNode other(in_order({"$1\r\nv\r\n"}));
  const auto client = Client::connect({.nodes = {silent.address(), other.address()},
                                       .silence_max = Duration::millis(100)})
                          .value();
  for (int i = 0; i < 4; ++i) {
    const auto value = client->get("k").wait();
    ASSERT_TRUE(value.ok()) << value.status().to_string();
    EXPECT_EQ(**value, "v");
  }
}

TEST(wire_client, who_is_not_let_in_hears_so_at_once) {
  FakeNode node(in_order({"-WRONGPASS no\r\n"}));
  const auto client = client_of(node, {.user = "ann", .password = "wrong"});
  EXPECT_EQ(client->get("k").wait().status().code(), Code::kUnauthenticated);
}

TEST(wire_client, what_is_no_redis_is_no_answer) {
  FakeNode node(in_order({"HTTP/1.1 400 Bad Request\r\n"}));
  const auto client = client_of(node, {.timeout = Duration::millis(200)});
  EXPECT_EQ(client->get("k").wait().status().code(), Code::kUnavailable);
}

TEST(wire_client, options_that_can_never_work_are_refused) {
  EXPECT_EQ(Client::connect({.nodes = {}}).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(Client::connect({.nodes = {"nowhere"}}).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(Client::connect({.tls = true, .tls_authority = "/none"}).status().code(),
            Code::kInvalidArgument);
}

TEST(wire_client, whoever_waits_when_it_is_closed_hears_of_it) {
  std::promise<void> over;
  FakeNode node([waited = over.get_future().share()](const auto&) {
    waited.wait();
    return "+LATE\r\n";
  });
  auto client = client_of(node);
  Pending<bool> pending = client->set("k", "v");
  client.reset();
  EXPECT_EQ(pending.wait().status().code(), Code::kUnavailable);
  over.set_value();
}

Task<int64_t> add_three(Client& client) {
  int64_t last = 0;
  for (int i = 0; i < 3; ++i) {
    const Result<int64_t> count = co_await client.increment("n");
    last = count.ok() ? *count : -1;
  }
  co_return last;
}

Task<int64_t> add_six(Client& client) {
  co_await add_three(client);
  co_return co_await add_three(client);
}

TEST(wire_client, coroutines_wait_for_calls_and_for_each_other) {
  FakeNode node(
      [count = 0](const auto&) mutable { return ":" + std::to_string(++count) + "\r\n"; });
  const auto client = client_of(node);
  EXPECT_EQ(add_six(*client).wait(), 6);
  Pending<int64_t> first = add_three(*client).start();
  Pending<int64_t> second = add_three(*client).start();
  EXPECT_EQ(std::max(*first.wait(), *second.wait()), 12);
}

// ---- real nodes -----------------------------------------------------------------------------

// Below those that the kernel gives to outgoing connections, so that a node which is opened again
// finds its own free.
std::vector<uint16_t> free_ports(size_t count) {
  constexpr uint16_t kFirst = 20'000;
  constexpr uint16_t kSpan = 11'000;
  asio::io_context loop;
  std::vector<uint16_t> ports;
  for (int tried = 0; ports.size() < count && tried < kSpan; ++tried) {
    const auto port = static_cast<uint16_t>(kFirst + (::getpid() * 37 + tried) % kSpan);
    tcp::acceptor acceptor(loop, tcp::v4());
    boost::system::error_code error;
    acceptor.bind({asio::ip::address_v4::loopback(), port}, error);
    if (!error) {
      ports.push_back(port);
    }
  }
  return ports;
}

class ClusterTest : public ::testing::Test {
 protected:
  ClusterTest() : ports_(free_ports(6)) {
    directory_ =
        std::filesystem::temp_directory_path() / ("quorate-wire-" + std::to_string(ports_.front()));
    for (uint32_t node = 1; node <= 3; ++node) {
      addresses_ += (node > 1 ? "," : "") + std::to_string(node) +
                    "=127.0.0.1:" + std::to_string(ports_[node - 1]);
      nodes_.push_back("127.0.0.1:" + std::to_string(ports_[node + 2]));
    }
    for (uint32_t node = 1; node <= 3; ++node) {
      open(node);
    }
    for (auto& database : databases_) {
      EXPECT_TRUE(database->wait_ready(Duration::seconds(60)).ok());
    }
  }
  ~ClusterTest() override {
    databases_.clear();
    std::filesystem::remove_all(directory_);
  }

  void open(uint32_t node) {
    databases_.resize(3);
    auto opened = Database::open(
        {.directory = directory_ / ("node" + std::to_string(node)),
         .node = node,
         .settings = {{"cluster.nodes", addresses_},
                      {"cluster.groups", "4"},
                      {"raft.listen", "127.0.0.1:" + std::to_string(ports_[node - 1])},
                      {"resp.listen", nodes_[node - 1]}}});
    ASSERT_TRUE(opened.ok()) << opened.status().to_string();
    databases_[node - 1] = std::move(*opened);
  }
  void close(uint32_t node) { databases_[node - 1].reset(); }

  std::vector<uint16_t> ports_;
  std::filesystem::path directory_;
  std::string addresses_;
  std::vector<std::string> nodes_;
  std::vector<std::unique_ptr<Database>> databases_;
};

TEST_F(ClusterTest, wire_client_says_and_hears_what_was_meant) {
  const auto client = Client::connect({.nodes = {nodes_[1]}}).value();
  EXPECT_TRUE(*client->set("k", "v", {.if_absent = true}).wait());
  EXPECT_FALSE(*client->set("k", "other", {.if_absent = true}).wait());
  EXPECT_FALSE(*client->set("none", "v", {.if_present = true}).wait());
  EXPECT_EQ(**client->get("k").wait(), "v");
  EXPECT_EQ(*client->get("none").wait(), std::nullopt);
  EXPECT_TRUE(*client->touch("k", Duration::seconds(100)).wait());
  const Result<Reply> ttl = client->read({"PTTL", "k"}).wait();
  EXPECT_GT(ttl->integer, 90'000);
  EXPECT_TRUE(*client->set("k", "w", {.keep_ttl = true}).wait());
  EXPECT_GT(client->read({"PTTL", "k"}).wait()->integer, 90'000);
  EXPECT_TRUE(*client->set("k", "w", {.ttl = Duration::millis(30)}).wait());
  std::this_thread::sleep_for(std::chrono::milliseconds(60));
  EXPECT_EQ(*client->get("k").wait(), std::nullopt);
  EXPECT_FALSE(*client->remove("k").wait());
  EXPECT_EQ(client->write({"APPEND", "log", "line"}).wait()->integer, 4);
  EXPECT_EQ(client->command({"PING"}).wait()->text, "PONG");
  EXPECT_EQ(client->read({"GET"}).wait().status().code(), Code::kInvalidArgument);
  EXPECT_EQ(client->write({"NOSUCH", "k"}).wait().status().code(), Code::kInvalidArgument);
  std::vector<Pending<bool>> many;
  for (int i = 0; i < 1000; ++i) {
    many.push_back(client->set("many" + std::to_string(i), std::to_string(i)));
  }
  for (Pending<bool>& one : many) {
    EXPECT_TRUE(*one.wait());
  }
  EXPECT_EQ(**client->get("many999").wait(), "999");
}

TEST_F(ClusterTest, wire_client_counts_each_call_once_while_nodes_come_and_go) {
  const auto client = Client::connect({.nodes = nodes_, .timeout = Duration::seconds(30)}).value();
  std::atomic<bool> enough = false;
  std::atomic<int64_t> counted = 0;
  std::vector<std::thread> counters;
  for (int i = 0; i < 4; ++i) {
    counters.emplace_back([&, key = "count" + std::to_string(i)] {
      while (!enough) {
        const Result<int64_t> count = client->increment(key).wait();
        EXPECT_TRUE(count.ok()) << count.status().to_string();
        ++counted;
      }
    });
  }
  const auto count_on = [&counted] {
    const int64_t goal = counted + 50;
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (counted < goal && std::chrono::steady_clock::now() < end) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    EXPECT_GE(counted, goal);
  };
  for (const uint32_t node : {1u, 2u, 3u}) {
    count_on();
    close(node);
    count_on();
    open(node);
    EXPECT_TRUE(databases_[node - 1]->wait_ready(Duration::seconds(60)).ok());
  }
  enough = true;
  for (std::thread& counter : counters) {
    counter.join();
  }
  int64_t stored = 0;
  for (int i = 0; i < 4; ++i) {
    stored += std::stoll(**client->get("count" + std::to_string(i)).wait());
  }
  EXPECT_EQ(stored, counted);
}

}  // namespace
}  // namespace quorate
