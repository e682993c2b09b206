// SPDX-License-Identifier: Apache-2.0
#include "os/net.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <future>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/limits.h"
#include "base/prng.h"
#include "os/wire.h"

namespace quorate::os {
namespace {

constexpr uint64_t kCluster = 77;

Net::Options options_of(uint32_t node) {
  Net::Options options;
  options.self = NodeId(node);
  options.cluster = kCluster;
  options.listen = "127.0.0.1:0";
  options.dead_after = Duration::seconds(5);
  options.connect_timeout = Duration::seconds(5);
  return options;
}

template <class Done>
bool wait_until(Done done) {
  for (int i = 0; i < 4000; ++i) {
    if (done()) {
      return true;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return false;
}

// A node's loop and network in a thread of its own; it records what it hears.
class Station final : public env::NetHandler {
 public:
  explicit Station(Net::Options options) : id(options.self) {
    Result<std::unique_ptr<Net>> net = Net::open(loop_, std::move(options));
    EXPECT_TRUE(net.ok()) << net.status().to_string();
    net_ = std::move(net).value();
    net_->set_handler(this);
    thread_ = std::thread([this] { loop_.run(); });
  }
  ~Station() override {
    loop_.post([this] { net_.reset(); });
    loop_.stop();
    thread_.join();
  }

  void on_frame(NodeId from, std::string_view frame) override {
    const std::lock_guard lock(mutex_);
    frames_[from].emplace_back(frame);
    if (echo) {
      net_->send(from, "echo " + std::string(frame));
    }
  }
  void on_link(NodeId peer, bool up) override {
    const std::lock_guard lock(mutex_);
    up ? ++ups_[peer] : ++downs_[peer];
  }

  // Runs on the loop and waits for it.
  template <class Work>
  auto on_loop(Work work) {
    std::promise<decltype(work(*net_))> promise;
    loop_.post([&] {
      if constexpr (std::is_void_v<decltype(work(*net_))>) {
        work(*net_);
        promise.set_value();
      } else {
        promise.set_value(work(*net_));
      }
    });
    return promise.get_future().get();
  }
  uint16_t port() {
    return on_loop([](Net& net) { return net.port(); });
  }
  std::string address() { return "127.0.0.1:" + std::to_string(port()); }
  Net::Counters counters() {
    return on_loop([](Net& net) { return net.counters(); });
  }
  void set_peer(NodeId peer, const std::string& where) {
    on_loop([&](Net& net) { net.set_peer(peer, where); });
  }
  void meet(Station& other) { set_peer(other.id, other.address()); }
  bool send(NodeId peer, const std::string& frame) {
    return on_loop([&](Net& net) { return net.send(peer, frame); });
  }
  bool linked(NodeId peer) {
    return on_loop([&](Net& net) { return net.linked(peer); });
  }
  std::vector<std::string> frames(NodeId from) {
    const std::lock_guard lock(mutex_);
    return frames_[from];
  }
  int ups(NodeId peer) {
    const std::lock_guard lock(mutex_);
    return ups_[peer];
  }
  int downs(NodeId peer) {
    const std::lock_guard lock(mutex_);
    return downs_[peer];
  }

  const NodeId id;
  bool echo = false;

 private:
  Loop loop_;
  std::unique_ptr<Net> net_;
  std::thread thread_;
  std::mutex mutex_;
  std::map<NodeId, std::vector<std::string>> frames_;
  std::map<NodeId, int> ups_;
  std::map<NodeId, int> downs_;
};

bool linked_both_ways(Station& a, Station& b) {
  return wait_until([&] { return a.linked(b.id) && b.linked(a.id); });
}

// A peer made of a bare socket, which may say anything.
class Stranger {
 public:
  explicit Stranger(uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int rc = ::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
    EXPECT_EQ(rc, 0);
  }
  ~Stranger() { ::close(socket_); }
  void say(std::string_view bytes) {
    EXPECT_EQ(::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  void greet(Hello hello) { say(encode(hello)); }
  // True if the other side has closed; reads what it said before.
  bool closed() {
    char bytes[4096];
    while (true) {
      const ssize_t n = ::recv(socket_, bytes, sizeof(bytes), MSG_DONTWAIT);
      if (n <= 0) {
        return n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
      }
    }
  }

 private:
  const int socket_;
};

std::string framed(std::string_view bytes) {
  const FrameHeader header = frame_header(bytes);
  return std::string(header.data(), header.size()) + std::string(bytes);
}

TEST(Net, frames_arrive_whole_and_in_order_in_both_directions) {
  Station a(options_of(1));
  Station b(options_of(2));
  a.meet(b);
  b.meet(a);
  ASSERT_TRUE(linked_both_ways(a, b));
  Prng prng(5);
  std::vector<std::string> sent;
  for (int i = 0; i < 400; ++i) {
    const size_t size = 1 + prng.below(i % 10 == 0 ? 400'000 : 2'000);
    sent.push_back(std::string(size, static_cast<char>('a' + i % 26)) + std::to_string(i));
  }
  a.on_loop([&](Net& net) {
    for (const std::string& frame : sent) {
      EXPECT_TRUE(net.send(NodeId(2), frame));
    }
  });
  for (const std::string& frame : sent) {
    EXPECT_TRUE(b.send(NodeId(1), frame));
  }
  EXPECT_TRUE(wait_until([&] {
    return a.frames(NodeId(2)).size() == sent.size() && b.frames(NodeId(1)).size() == sent.size();
  }));
  EXPECT_EQ(a.frames(NodeId(2)), sent);
  EXPECT_EQ(b.frames(NodeId(1)), sent);
}

TEST(Net, frames_of_one_turn_leave_in_one_system_call) {
  Net::Options options = options_of(1);
  options.keepalive = Duration::seconds(60);
  Station a(options);
  Station b(options_of(2));
  a.meet(b);
  ASSERT_TRUE(linked_both_ways(a, b));
  const uint64_t before = a.counters().writes;
  a.on_loop([](Net& net) {
    for (int i = 0; i < 50; ++i) {
      net.send(NodeId(2), "frame");
    }
  });
  EXPECT_TRUE(wait_until([&] { return b.frames(NodeId(1)).size() == 50; }));
  EXPECT_EQ(a.counters().writes - before, 1u);
}

TEST(Net, two_nodes_that_dial_each_other_keep_one_link) {
  for (int round = 0; round < 10; ++round) {
    Station a(options_of(1));
    Station b(options_of(2));
    const std::string address_a = a.address();
    const std::string address_b = b.address();
    std::thread other([&] { a.set_peer(NodeId(2), address_b); });
    if (round % 2 == 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(29));  // when the higher one would dial
    }
    b.set_peer(NodeId(1), address_a);
    other.join();
    ASSERT_TRUE(linked_both_ways(a, b));
    EXPECT_TRUE(wait_until([&] {
      const Net::Counters ca = a.counters();
      const Net::Counters cb = b.counters();
      a.send(NodeId(2), "x");
      b.send(NodeId(1), "x");
      return ca.links_up - ca.links_down == 1 && cb.links_up - cb.links_down == 1 &&
             !a.frames(NodeId(2)).empty() && !b.frames(NodeId(1)).empty();
    }));
  }
}

TEST(Net, a_link_comes_back_after_the_peer_has_restarted) {
  Station a(options_of(1));
  Net::Options options = options_of(2);
  auto b = std::make_unique<Station>(options);
  options.listen = b->address();
  a.meet(*b);
  ASSERT_TRUE(linked_both_ways(a, *b));
  b.reset();
  EXPECT_TRUE(wait_until([&] { return a.downs(NodeId(2)) == 1; }));
  EXPECT_FALSE(a.send(NodeId(2), "lost"));
  b = std::make_unique<Station>(options);
  ASSERT_TRUE(linked_both_ways(a, *b));
  EXPECT_TRUE(a.send(NodeId(2), "again"));
  EXPECT_TRUE(wait_until([&] { return b->frames(NodeId(1)).size() == 1; }));
  EXPECT_EQ(a.ups(NodeId(2)), 2);
}

TEST(Net, a_node_that_nobody_knows_may_ask_and_is_answered) {
  Station member(options_of(1));
  member.echo = true;
  Net::Options options = options_of(9);
  options.cluster = 0;
  Station joiner(options);
  joiner.meet(member);
  ASSERT_TRUE(linked_both_ways(joiner, member));
  joiner.send(NodeId(1), "may I join?");
  EXPECT_TRUE(wait_until([&] { return joiner.frames(NodeId(1)).size() == 1; }));
  EXPECT_EQ(joiner.frames(NodeId(1))[0], "echo may I join?");
}

TEST(Net, a_removed_peer_gets_nothing_and_its_owner_hears_nothing) {
  Station a(options_of(1));
  Station b(options_of(2));
  a.meet(b);
  ASSERT_TRUE(linked_both_ways(a, b));
  a.on_loop([](Net& net) {
    net.remove_peer(NodeId(2));
    EXPECT_FALSE(net.send(NodeId(2), "x"));
  });
  EXPECT_TRUE(wait_until([&] { return b.downs(NodeId(1)) == 1; }));
  EXPECT_EQ(a.downs(NodeId(2)), 0);
  EXPECT_FALSE(a.linked(NodeId(2)));
}

TEST(Net, another_cluster_and_a_wrong_node_are_refused) {
  Station a(options_of(1));
  Net::Options options = options_of(2);
  options.cluster = kCluster + 1;
  Station foreign(options);
  Station other(options_of(3));
  a.meet(foreign);
  a.set_peer(NodeId(4), other.address());
  EXPECT_TRUE(wait_until([&] { return a.counters().refused_hello >= 2; }));
  EXPECT_EQ(a.counters().links_up, 0u);
  EXPECT_FALSE(foreign.linked(NodeId(1)));
}

TEST(Net, damage_closes_the_link_and_is_counted) {
  struct Row {
    const char* what;
    std::string bytes;
    uint64_t Net::Counters::*counter;
  };
  std::string corrupt = framed("payload");
  corrupt.back() = 'X';
  const std::string oversized("\xff\xff\xff\x7f\x00\x00\x00\x00", 8);
  const Row rows[] = {
      {"a bad checksum", corrupt, &Net::Counters::corrupt},
      {"a frame above the bound", oversized, &Net::Counters::oversized},
  };
  for (const Row& row : rows) {
    Station station(options_of(1));
    Stranger stranger(station.port());
    stranger.greet(Hello{kWireVersion, kCluster, 5, NodeId(2), NodeId(1)});
    stranger.say(framed("good"));
    stranger.say(row.bytes);
    stranger.say(framed("never read"));
    EXPECT_TRUE(wait_until([&] { return stranger.closed(); })) << row.what;
    EXPECT_EQ(station.counters().*row.counter, 1u) << row.what;
    EXPECT_EQ(station.frames(NodeId(2)), std::vector<std::string>{"good"});
    EXPECT_TRUE(wait_until([&] { return station.downs(NodeId(2)) == 1; }));
  }
}

TEST(Net, a_connection_that_does_not_speak_the_protocol_is_closed) {
  Station station(options_of(1));
  Stranger browser(station.port());
  browser.say("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_TRUE(wait_until([&] { return browser.closed(); }));
  Stranger newer(station.port());
  newer.greet(Hello{kWireVersion + 1, kCluster, 5, NodeId(2), NodeId(1)});
  EXPECT_TRUE(wait_until([&] { return newer.closed(); }));
  EXPECT_EQ(station.counters().refused_hello, 2u);
}

TEST(Net, a_connection_that_says_nothing_is_closed_and_does_not_block_others) {
  Net::Options options = options_of(1);
  options.connect_timeout = Duration::millis(100);
  Station station(options);
  const uint16_t port = station.port();
  std::vector<std::unique_ptr<Stranger>> mute;
  for (size_t i = 0; i < limits::kGreetingLinksMax + 10; ++i) {
    mute.push_back(std::make_unique<Stranger>(port));
  }
  Stranger speaking(port);
  speaking.greet(Hello{kWireVersion, kCluster, 5, NodeId(2), NodeId(1)});
  EXPECT_TRUE(wait_until([&] { return station.linked(NodeId(2)); }));
  EXPECT_TRUE(wait_until([&] { return mute.front()->closed() && mute.back()->closed(); }));
}

TEST(Net, a_silent_link_is_closed_and_a_living_one_is_not) {
  Net::Options options = options_of(1);
  options.keepalive = Duration::millis(30);
  options.dead_after = Duration::millis(150);
  Station a(options);
  options.self = NodeId(2);
  Station b(options);
  a.meet(b);
  ASSERT_TRUE(linked_both_ways(a, b));
  Stranger silent(a.port());
  silent.greet(Hello{kWireVersion, kCluster, 5, NodeId(3), NodeId(1)});
  EXPECT_TRUE(wait_until([&] { return a.downs(NodeId(3)) == 1; }));
  EXPECT_GE(a.counters().silent, 1u);
  EXPECT_TRUE(linked_both_ways(a, b));
}

TEST(Net, the_queue_towards_a_peer_that_does_not_read_is_bounded) {
  Net::Options options = options_of(1);
  options.dead_after = Duration::seconds(60);
  Station station(options);
  Stranger stranger(station.port());
  stranger.greet(Hello{kWireVersion, kCluster, 5, NodeId(2), NodeId(1)});
  ASSERT_TRUE(wait_until([&] { return station.linked(NodeId(2)); }));
  const std::string frame(1024 * 1024, 'x');
  int sent = 0;
  while (sent < 200 && station.send(NodeId(2), frame)) {
    ++sent;
  }
  EXPECT_LT(sent, 200);
  EXPECT_GE(sent, 60);
  station.on_loop([&](Net& net) {
    EXPECT_LE(net.queued_bytes(NodeId(2)), limits::kPeerQueueBytesMax);
    EXPECT_EQ(net.counters().dropped_full, 1u);
  });
}

TEST(Net, frames_that_no_link_can_carry_are_refused_and_counted) {
  Station a(options_of(1));
  Station b(options_of(2));
  EXPECT_FALSE(a.send(NodeId(2), "nobody there"));
  a.meet(b);
  ASSERT_TRUE(linked_both_ways(a, b));
  EXPECT_FALSE(a.send(NodeId(2), ""));
  EXPECT_FALSE(a.send(NodeId(2), std::string(limits::kFrameBytesMax + 1, 'x')));
  EXPECT_TRUE(a.send(NodeId(2), std::string(limits::kFrameBytesMax, 'x')));
  EXPECT_TRUE(wait_until([&] { return b.frames(NodeId(1)).size() == 1; }));
  EXPECT_EQ(a.counters().dropped_no_link, 1u);
  EXPECT_EQ(a.counters().dropped_size, 2u);
}

TEST(Net, another_process_of_a_node_takes_its_place) {
  Station station(options_of(1));
  Stranger first(station.port());
  first.greet(Hello{kWireVersion, kCluster, 5, NodeId(2), NodeId(1)});
  ASSERT_TRUE(wait_until([&] { return station.linked(NodeId(2)); }));
  Stranger second(station.port());
  second.greet(Hello{kWireVersion, kCluster, 6, NodeId(2), NodeId(1)});
  EXPECT_TRUE(wait_until([&] { return station.ups(NodeId(2)) == 2; }));
  EXPECT_EQ(station.downs(NodeId(2)), 1);
  EXPECT_TRUE(wait_until([&] { return first.closed(); }));
  second.say(framed("I am the new one"));
  EXPECT_TRUE(wait_until([&] { return station.frames(NodeId(2)).size() == 1; }));
}

TEST(Net, another_process_takes_its_place_even_where_its_node_is_not_the_one_that_dials) {
  Station station(options_of(1));
  Station peer(options_of(2));
  station.meet(peer);
  ASSERT_TRUE(linked_both_ways(station, peer));
  Stranger restarted(station.port());
  restarted.greet(Hello{kWireVersion, kCluster, 6, NodeId(2), NodeId(1)});
  restarted.say(framed("I am the new one"));
  EXPECT_TRUE(wait_until([&] { return station.frames(NodeId(2)).size() == 1; }));
  EXPECT_EQ(station.counters().links_replaced, 1u);
}

TEST(Net, addresses_that_cannot_be_used_are_refused) {
  Loop loop;
  for (const char* listen : {"nonsense", "127.0.0.1:", "127.0.0.1:99999999", "192.0.2.1:7000"}) {
    Net::Options options = options_of(1);
    options.listen = listen;
    EXPECT_FALSE(Net::open(loop, options).ok()) << listen;
  }
  Net::Options nobody = options_of(0);
  EXPECT_EQ(Net::open(loop, nobody).status().code(), Code::kInvalidArgument);
}

TEST(Net, names_are_resolved) {
  Station a(options_of(1));
  Station b(options_of(2));
  a.set_peer(NodeId(2), "localhost:" + std::to_string(b.port()));
  EXPECT_TRUE(linked_both_ways(a, b));
}

// ---- TLS ----

class NetTls : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    std::string pattern = ::testing::TempDir() + "/quorate-tls-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    make_authority("ca");
    make_authority("other-ca");
    make_certificate("one", "ca", "/CN=node-1", "");
    make_certificate("two", "ca", "/CN=somebody", "subjectAltName=DNS:example.org,DNS:node-2");
    make_certificate("stranger", "other-ca", "/CN=node-2", "");
  }
  static void TearDownTestSuite() { std::filesystem::remove_all(directory_); }

  static void run(const std::string& command) {
    EXPECT_EQ(std::system(("cd " + directory_ + " && " + command + " >log 2>&1").c_str()), 0)
        << command;
  }
  static void make_authority(const std::string& name) {
    run("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
        "-subj /CN=" +
        name + " -keyout " + name + ".key -out " + name + ".pem");
  }
  static void make_certificate(const std::string& name, const std::string& authority,
                               const std::string& subject, const std::string& extension) {
    run("openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj " + subject +
        " -keyout " + name + ".key -out " + name + ".csr && echo '" + extension + "' >" + name +
        ".ext && openssl x509 -req -days 2 -in " + name + ".csr -CA " + authority + ".pem -CAkey " +
        authority + ".key -CAcreateserial -extfile " + name + ".ext -out " + name + ".pem");
  }

  static Net::Options secured(uint32_t node, const std::string& certificate) {
    Net::Options options = options_of(node);
    options.tls = TlsFiles{directory_ + "/ca.pem", directory_ + "/" + certificate + ".pem",
                           directory_ + "/" + certificate + ".key"};
    return options;
  }

  static std::string directory_;
};

std::string NetTls::directory_;

TEST_F(NetTls, nodes_with_their_certificates_talk) {
  Station a(secured(1, "one"));
  Station b(secured(2, "two"));
  b.echo = true;
  a.meet(b);
  b.meet(a);
  ASSERT_TRUE(linked_both_ways(a, b));
  std::vector<std::string> expected;
  for (int i = 0; i < 300; ++i) {
    const std::string frame(static_cast<size_t>(1 + i * i * 5), 'x');
    EXPECT_TRUE(a.send(NodeId(2), frame));
    expected.push_back("echo " + frame);
  }
  EXPECT_TRUE(wait_until([&] { return a.frames(NodeId(2)).size() == expected.size(); }));
  EXPECT_EQ(a.frames(NodeId(2)), expected);
}

TEST_F(NetTls, the_certificate_of_another_node_or_authority_is_refused) {
  Station a(secured(1, "one"));
  for (const char* certificate : {"one", "stranger"}) {
    const uint64_t before = a.counters().refused_tls;
    Station b(secured(2, certificate));
    b.meet(a);
    EXPECT_TRUE(wait_until([&] { return a.counters().refused_tls > before; })) << certificate;
    EXPECT_EQ(a.counters().links_up, 0u);
  }
}

TEST_F(NetTls, a_node_without_tls_is_refused) {
  Station a(secured(1, "one"));
  Station b(options_of(2));
  b.meet(a);
  EXPECT_TRUE(wait_until([&] { return a.counters().refused_tls >= 1; }));
  EXPECT_EQ(a.counters().links_up, 0u);
  EXPECT_EQ(b.counters().links_up, 0u);
}

TEST_F(NetTls, files_that_cannot_be_used_are_named) {
  Loop loop;
  Net::Options options = secured(1, "one");
  options.tls->key = directory_ + "/two.key";
  EXPECT_FALSE(Net::open(loop, options).ok());
  options = secured(1, "missing");
  const Result<std::unique_ptr<Net>> net = Net::open(loop, options);
  ASSERT_FALSE(net.ok());
  EXPECT_NE(net.status().message().find("missing.pem"), std::string::npos);
}

}  // namespace
}  // namespace quorate::os
