// SPDX-License-Identifier: Apache-2.0
// The HTTP server over loopback, spoken to with raw sockets, so that the tests can misbehave.
#include "edge/http/wire/server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <chrono>
#include <future>
#include <thread>

#include "edge/http/wire/encoding.h"

namespace quorate::edge::http {
namespace {

class RealClock final : public env::Clock {
 public:
  [[nodiscard]] Instant now() const override {
    return Instant::from_nanos(std::chrono::steady_clock::now().time_since_epoch().count());
  }
  [[nodiscard]] Stamp wall() const override {
    return Stamp::from_micros(std::chrono::duration_cast<std::chrono::microseconds>(
                                  std::chrono::system_clock::now().time_since_epoch())
                                  .count());
  }
};

// What comes on any machine comes within this; only what is to end by a time-out is given a short
// one.
constexpr std::chrono::seconds kPatience(30);

// A blocking client that waits so long for anything.
class Client {
 public:
  explicit Client(uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const auto* generic = reinterpret_cast<const sockaddr*>(&address);
    EXPECT_EQ(connect(fd_, generic, sizeof address), 0);
  }
  ~Client() { ::close(fd_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) {
        return;
      }
      bytes.remove_prefix(static_cast<size_t>(n));
    }
  }
  void end() { shutdown(fd_, SHUT_WR); }
  // Until `text` has come, or the end.
  std::string read_until(std::string_view text) {
    while (got_.find(text) == std::string::npos && more()) {
    }
    const size_t at = got_.find(text);
    const size_t size = at == std::string::npos ? got_.size() : at + text.size();
    std::string part = got_.substr(0, size);
    got_.erase(0, size);
    return part;
  }
  std::string read_all() {
    while (more()) {
    }
    return std::exchange(got_, {});
  }
  [[nodiscard]] bool ended() const { return ended_; }

 private:
  bool more() {
    pollfd waiting{fd_, POLLIN, 0};
    if (poll(&waiting, 1, static_cast<int>(std::chrono::milliseconds(kPatience).count())) != 1) {
      return false;
    }
    char bytes[65536];
    const ssize_t n = recv(fd_, bytes, sizeof bytes, 0);
    if (n <= 0) {
      ended_ = true;
      return false;
    }
    got_.append(bytes, static_cast<size_t>(n));
    return true;
  }

  int fd_;
  bool ended_ = false;
  std::string got_;
};

class HttpServer : public testing::Test {
 protected:
  HttpServer() {
    options_.connections_max = 8;
    options_.header_bytes_max = 2048;
    options_.body_bytes_max = 100'000;
    options_.header_timeout = options_.body_timeout = Duration::seconds(60);
    options_.idle_timeout = options_.write_timeout = Duration::seconds(60);
    add(Method::kPost, "/echo", [](const Request& request, Responder responder) {
      responder.send({.body = std::string(request.body)});
    });
    add(Method::kGet, "/hello/{name}", [](const Request& request, Responder responder) {
      responder.send(
          {.body = "hello " + request.parameter("name"), .headers = {{"X-Evil", "a\r\nb"}}});
    });
    add(Method::kGet, "/later", [this](const Request&, Responder responder) {
      boost::asio::post(loop_, [responder] { responder.send({.body = "later"}); });
    });
    add(Method::kGet, "/never", [](const Request&, Responder) {});
    add(Method::kGet, "/large", [](const Request&, Responder responder) {
      responder.send({.body = std::string(5'000'000, 'x')});
    });
    add(Method::kGet, "/events", [this](const Request&, Responder responder) {
      stream_ =
          responder.stream({.content_type = "text/event-stream"}, [this] { gone_.set_value(); });
      stream_->write(sse_event("tick", "1", "one"));
    });
    add(Method::kGet, "/hold",
        [this](const Request&, Responder responder) { held_.push_back(responder); });
    add(Method::kGet, "/wait", [this](const Request&, Responder responder) {
      held_.push_back(responder);
      responder.on_gone([this, responder] {
        responder.fail(Status(Code::kUnavailable, "given up"));
        gone_.set_value();
      });
    });
  }
  ~HttpServer() override { stop(); }

  void add(Method method, const char* pattern, Router::Handler handler) {
    router_.add({.method = method, .pattern = pattern}, std::move(handler));
  }
  uint16_t start() {
    server_ = std::make_unique<Server>(loop_, clock_, router_, options_, &metrics_);
    const Result<uint16_t> port = server_->listen({});
    EXPECT_TRUE(port.ok());
    thread_ = std::thread([this] {
      const auto work = boost::asio::make_work_guard(loop_);
      loop_.run();
    });
    return *port;
  }
  void stop() {
    if (thread_.joinable()) {
      run([this] {
        held_.clear();
        stream_.reset();
        server_.reset();
      });
      loop_.stop();
      thread_.join();
    }
  }
  // On the loop, and waits for it.
  void run(std::function<void()> action) {
    std::promise<void> done;
    boost::asio::post(loop_, [&] {
      action();
      done.set_value();
    });
    done.get_future().wait();
  }

  ServerOptions options_;
  RealClock clock_;
  Metrics metrics_;
  Router router_;
  boost::asio::io_context loop_{1};
  std::unique_ptr<Server> server_;
  std::thread thread_;
  std::shared_ptr<BodyStream> stream_;
  std::promise<void> gone_;
  std::vector<Responder> held_;
};

size_t count(std::string_view text, std::string_view part) {
  size_t n = 0;
  for (size_t at = text.find(part); at != std::string_view::npos; at = text.find(part, at + 1)) {
    ++n;
  }
  return n;
}

TEST_F(HttpServer, bodies_are_packed_where_both_sides_say_so) {
  std::string body;
  while (body.size() < 5'000) {
    body += "{\"key\":" + std::to_string(body.size()) + "},";
  }
  const uint16_t port = start();
  const auto post = [&](std::string_view headers, std::string_view content) {
    Client client(port);
    client.send("POST /echo HTTP/1.1\r\nHost: q\r\nConnection: close\r\nContent-Length: " +
                std::to_string(content.size()) + "\r\n");
    client.send(std::string(headers) + "\r\n" + std::string(content));
    return client.read_all();
  };
  for (const Coding coding : {Coding::kGzip, Coding::kZstd}) {
    const std::string name(name_of(coding));
    const std::string in = "Content-Encoding: " + name + "\r\n";
    std::string packed;
    ASSERT_TRUE(pack(coding, body, packed));
    const std::string plain = post(in, packed);
    EXPECT_NE(plain.find("\r\n\r\n" + body), std::string::npos) << plain.substr(0, 300);
    EXPECT_NE(plain.find("Vary: Accept-Encoding\r\n"), std::string::npos);
    const std::string both = post(in + "Accept-Encoding: " + name + "\r\n", packed);
    EXPECT_NE(both.find(in), std::string::npos);
    EXPECT_EQ(*unpack(coding, both.substr(both.find("\r\n\r\n") + 4), 5'100), body);
    const std::string small = post("Accept-Encoding: " + name + "\r\n", "small");
    EXPECT_EQ(small.find("Content-Encoding"), std::string::npos);

    EXPECT_NE(post("Content-Encoding: br\r\n", packed).find(" 415 "), std::string::npos);
    const std::string neither = post(in, "neither");
    EXPECT_NE(neither.find(" 415 "), std::string::npos);
    EXPECT_NE(neither.find("Accept-Encoding: gzip, zstd\r\n"), std::string::npos);
    std::string bomb;
    ASSERT_TRUE(pack(coding, std::string(10'000'000, 'x'), bomb));
    ASSERT_LT(bomb.size(), 100'000u);
    EXPECT_NE(post(in, bomb).find(" 413 "), std::string::npos);
  }
}

TEST_F(HttpServer, answers_and_keeps_the_connection) {
  Client client(start());
  for (int i = 0; i < 3; ++i) {
    client.send("GET /hello/you%20all HTTP/1.1\r\nHost: a\r\n\r\n");
    const std::string answer = client.read_until("hello you all");
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\nDate: ")) << answer;
    EXPECT_NE(answer.find("\r\nContent-Length: 13\r\n"), std::string::npos);
    EXPECT_NE(answer.find("\r\nX-Evil: a  b\r\n"), std::string::npos);
  }
}

TEST_F(HttpServer, pipelined_requests_are_answered_in_order) {
  Client client(start());
  std::string requests;
  for (int i = 0; i < 300; ++i) {
    requests += "GET /" + std::string(i % 3 == 0 ? "later" : "hello/" + std::to_string(i)) +
                " HTTP/1.1\r\nHost: a\r\n\r\n";
  }
  client.send(requests + "GET /hello/last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  const std::string answers = client.read_all();
  EXPECT_TRUE(client.ended());
  EXPECT_EQ(count(answers, "HTTP/1.1 200 OK"), 301u);
  size_t at = 0;
  for (int i = 0; i < 300; ++i) {
    at = answers.find(i % 3 == 0 ? "later" : "hello " + std::to_string(i), at);
    ASSERT_NE(at, std::string::npos) << i;
  }
}

TEST_F(HttpServer, a_client_that_has_finished_sending_still_gets_its_answers) {
  Client client(start());
  client.send("GET /later HTTP/1.1\r\nHost: a\r\n\r\nGET /hello/b HTTP/1.1\r\nHost: a\r\n\r\n");
  client.end();
  const std::string answers = client.read_all();
  EXPECT_EQ(count(answers, "HTTP/1.1 200 OK"), 2u) << answers;
}

TEST_F(HttpServer, a_request_may_come_byte_by_byte_and_a_body_in_chunks) {
  Client client(start());
  for (const char c :
       std::string_view("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                        "3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n")) {
    client.send({&c, 1});
  }
  EXPECT_NE(client.read_until("abcdefg").find("Content-Length: 7"), std::string::npos);
}

TEST_F(HttpServer, a_body_is_asked_for_when_the_client_waits_to_be_asked) {
  Client client(start());
  client.send(
      "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
      "Expect: 100-continue\r\n\r\n");
  EXPECT_EQ(client.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("hello");
  EXPECT_TRUE(client.read_until("hello").starts_with("HTTP/1.1 200"));
}

TEST_F(HttpServer, a_head_or_body_over_its_limit_is_refused_in_words) {
  const uint16_t port = start();
  Client head(port);
  head.send("GET /hello/" + std::string(4000, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(head.read_all().starts_with("HTTP/1.1 431 "));
  Client body(port);
  body.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100001\r\n\r\n" +
            std::string(100'001, 'b'));
  const std::string answer = body.read_all();
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 413 ")) << answer;
  EXPECT_NE(answer.find("\"code\":\"too_large\""), std::string::npos);
  Client chunked(port);
  chunked.send("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1ffff\r\n" +
               std::string(0x1ffff, 'c') + "\r\n0\r\n\r\n");
  EXPECT_TRUE(chunked.read_all().starts_with("HTTP/1.1 413 "));
}

TEST_F(HttpServer, a_body_in_a_transfer_coding_that_is_not_undone_is_refused) {
  const uint16_t port = start();
  for (const std::string_view coding : {"gzip", "gzip, chunked", "identity", "chunked, gzip"}) {
    Client client(port);
    client.send("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: " + std::string(coding) +
                "\r\n\r\n0\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    const std::string answers = client.read_all();
    EXPECT_TRUE(answers.starts_with("HTTP/1.1 501 Not Implemented\r\n")) << coding << answers;
    EXPECT_EQ(answers.find("HTTP/1.1", 1), std::string::npos) << coding << answers;
  }
}

struct SiteRow {
  const char* headers;
  const char* status;
};

TEST_F(HttpServer, changes_that_pages_of_other_sites_ask_for_are_refused) {
  const SiteRow rows[] = {
      {"", "200"},
      {"Sec-Fetch-Site: same-origin\r\nOrigin: http://else\r\n", "200"},
      {"Sec-Fetch-Site: none\r\n", "200"},
      {"Sec-Fetch-Site: cross-site\r\n", "403"},
      {"Sec-Fetch-Site: same-site\r\nOrigin: http://a:8001\r\n", "403"},
      {"Origin: http://A:8001\r\n", "200"},
      {"Origin: http://a\r\n", "403"},
      {"Origin: null\r\n", "403"},
  };
  const uint16_t port = start();
  for (const SiteRow& row : rows) {
    for (const std::string method : {"POST /echo", "GET /hello/x"}) {
      Client client(port);
      client.send(method + " HTTP/1.1\r\nHost: a:8001\r\nConnection: close\r\n" + row.headers +
                  (method[0] == 'P' ? "Content-Length: 1\r\n\r\n1" : "\r\n"));
      const std::string status = method[0] == 'P' ? row.status : "200";
      const std::string answer = client.read_all();
      EXPECT_TRUE(answer.starts_with("HTTP/1.1 " + status)) << row.headers << method << answer;
    }
  }
}

TEST_F(HttpServer, a_body_of_just_the_limit_is_taken) {
  Client client(start());
  client.send(
      "POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
      "Content-Length: 100000\r\n\r\n" +
      std::string(100'000, 'b'));
  EXPECT_EQ(count(client.read_all(), "b"), 100'000u);
}

TEST_F(HttpServer, what_is_not_http_is_refused_in_words) {
  const uint16_t port = start();
  for (const char* bytes : {"\x16\x03\x01\x02\x05\r\n\r\n", "GET / HTTP/3.7\r\n\r\n",
                            "*1\r\n$4\r\n", "GET  / HTTP/1.1\r\n\r\n",
                            "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
                            "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"}) {
    Client client(port);
    client.send(bytes);
    const std::string answer = client.read_all();
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 400 ")) << bytes << answer;
    EXPECT_TRUE(client.ended()) << bytes;
  }
}

TEST_F(HttpServer, a_slow_head_or_body_runs_into_its_time_out) {
  options_.header_timeout = options_.body_timeout = Duration::millis(200);
  const uint16_t port = start();
  Client head(port);
  head.send("GET /hello/a HTTP/1.1\r\nHost:");
  Client body(port);
  body.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n123");
  EXPECT_TRUE(head.read_all().starts_with("HTTP/1.1 408 "));
  EXPECT_TRUE(body.read_all().starts_with("HTTP/1.1 408 "));
}

TEST_F(HttpServer, an_idle_connection_is_closed) {
  options_.idle_timeout = Duration::millis(400);
  Client idle(start());
  EXPECT_EQ(idle.read_all(), "");
  EXPECT_TRUE(idle.ended());
}

TEST_F(HttpServer, a_reader_that_never_reads_is_cut_off) {
  options_.write_timeout = Duration::millis(400);
  Client greedy(start());
  greedy.send("GET /hello/a HTTP/1.1\r\nHost: a\r\n\r\n");
  greedy.read_until("hello a");  // it was accepted
  for (int i = 0; i < 20; ++i) {
    greedy.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
  }
  size_t left = 1;
  const Instant end = clock_.now() + Duration::seconds(kPatience.count());
  while (left > 0 && clock_.now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    run([&] { left = server_->connections(); });
  }
  EXPECT_EQ(left, 0u);
}

TEST_F(HttpServer, one_connection_too_many_is_told_so) {
  const uint16_t port = start();
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 8; ++i) {
    clients.push_back(std::make_unique<Client>(port));
    clients.back()->send("GET /hello/a HTTP/1.1\r\nHost: a\r\n\r\n");
    clients.back()->read_until("hello a");
  }
  Client extra(port);
  const std::string answer = extra.read_all();
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 503 ")) << answer;
  EXPECT_NE(answer.find("resource_exhausted"), std::string::npos);
}

TEST_F(HttpServer, unknown_paths_methods_and_dropped_requests_have_clear_answers) {
  Client client(start());
  const auto ask = [&client](const std::string& line) {
    client.send(line + " HTTP/1.1\r\nHost: a\r\n\r\n");
    return client.read_until("\r\n\r\n");
  };
  EXPECT_TRUE(ask("GET /nowhere").starts_with("HTTP/1.1 404 "));
  EXPECT_NE(client.read_until("}}\n").find("no such path: /nowhere"), std::string::npos);
  EXPECT_TRUE(ask("GET /hello/").starts_with("HTTP/1.1 400 "));
  EXPECT_NE(client.read_until("}}\n").find("a name in the path /hello/ is empty"),
            std::string::npos);
  const std::string wrong = ask("DELETE /later");
  EXPECT_TRUE(wrong.starts_with("HTTP/1.1 405 ")) << wrong;
  EXPECT_NE(wrong.find("Allow: GET, HEAD, OPTIONS"), std::string::npos);
  client.read_until("}}\n");
  EXPECT_TRUE(ask("OPTIONS /echo").starts_with("HTTP/1.1 204 "));
  EXPECT_TRUE(ask("OPTIONS *").starts_with("HTTP/1.1 204 "));
  EXPECT_TRUE(ask("GET /never").starts_with("HTTP/1.1 500 "));
  client.read_until("}}\n");
  const std::string head = ask("HEAD /hello/me");
  EXPECT_NE(head.find("Content-Length: 8"), std::string::npos);
  EXPECT_TRUE(ask("GET /hello/%zz").starts_with("HTTP/1.1 400 ")) << "no body after HEAD";
}

TEST_F(HttpServer, a_host_header_is_required_of_http_1_1_only) {
  const uint16_t port = start();
  Client modern(port);
  modern.send("GET /hello/a HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(modern.read_until("}}").starts_with("HTTP/1.1 400 "));
  Client old(port);
  old.send("GET /hello/a HTTP/1.0\r\n\r\n");
  EXPECT_NE(old.read_all().find("hello a"), std::string::npos);
  EXPECT_TRUE(old.ended());
}

TEST_F(HttpServer, events_flow_until_the_client_leaves) {
  const uint16_t port = start();
  {
    Client client(port);
    client.send("GET /events HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_NE(client.read_until("data: one\n\n").find("Transfer-Encoding: chunked"),
              std::string::npos);
    run([this] { EXPECT_TRUE(stream_->write(sse_event("tick", "2", "two"))); });
    client.read_until("data: two\n\n");
  }
  EXPECT_EQ(gone_.get_future().wait_for(kPatience), std::future_status::ready);
  run([this] { EXPECT_FALSE(stream_->write("x")); });
}

TEST_F(HttpServer, a_finished_stream_leaves_the_connection_usable) {
  Client client(start());
  client.send("GET /events HTTP/1.1\r\nHost: a\r\n\r\n");
  client.read_until("data: one\n\n");
  run([this] { stream_->finish(); });
  EXPECT_EQ(client.read_until("0\r\n\r\n"), "\r\n0\r\n\r\n");
  client.send("GET /hello/again HTTP/1.1\r\nHost: a\r\n\r\n");
  client.read_until("hello again");
}

TEST_F(HttpServer, a_reader_of_events_that_does_not_read_is_cut_off) {
  Client client(start());
  client.send("GET /events HTTP/1.1\r\nHost: a\r\n\r\n");
  client.read_until("data: one\n\n");
  bool open = true;
  for (int i = 0; i < 200 && open; ++i) {
    run([&] { open = stream_->write(std::string(100'000, 'z')); });
  }
  EXPECT_FALSE(open);
}

TEST_F(HttpServer, draining_finishes_what_is_under_way) {
  const uint16_t port = start();
  Client idle(port);
  Client busy(port);
  busy.send("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
  for (bool held = false; !held;) {
    run([&] { held = !held_.empty() && server_->connections() == 2; });
  }
  std::promise<void> drained;
  run([&] { server_->drain([&drained] { drained.set_value(); }); });
  EXPECT_EQ(idle.read_all(), "");
  run([this] { held_[0].send({.body = "at last"}); });
  const std::string answer = busy.read_until("at last");
  EXPECT_NE(answer.find("Connection: close"), std::string::npos);
  busy.end();
  EXPECT_EQ(drained.get_future().wait_for(kPatience), std::future_status::ready);
}

TEST_F(HttpServer, a_handler_hears_that_its_client_has_left) {
  const uint16_t port = start();
  {
    Client client(port);
    client.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
    for (bool held = false; !held;) {
      run([&] { held = !held_.empty(); });
    }
  }
  EXPECT_EQ(gone_.get_future().wait_for(kPatience), std::future_status::ready);
}

// While it waits the client may send more; that is read, but not taken before the answer.
TEST_F(HttpServer, a_client_that_stays_gets_its_answers_in_order) {
  Client client(start());
  client.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
  for (bool held = false; !held;) {
    run([&] { held = !held_.empty(); });
  }
  client.send("GET /hello/next HTTP/1.1\r\nHost: a\r\n\r\n");
  run([this] { held_[0].send({.body = "granted"}); });
  const std::string answers = client.read_until("hello next");
  EXPECT_LT(answers.find("granted"), answers.find("hello next"));
  client.end();
  (void)client.read_all();
  EXPECT_EQ(gone_.get_future().wait_for(std::chrono::seconds(0)), std::future_status::timeout);
}

TEST_F(HttpServer, draining_ends_what_would_wait_for_long) {
  const uint16_t port = start();
  Client busy(port);
  busy.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
  for (bool held = false; !held;) {
    run([&] { held = !held_.empty(); });
  }
  std::promise<void> drained;
  run([&] { server_->drain([&drained] { drained.set_value(); }); });
  EXPECT_NE(busy.read_until("given up").find("HTTP/1.1 503 "), std::string::npos);
  busy.end();
  EXPECT_EQ(drained.get_future().wait_for(kPatience), std::future_status::ready);
}

TEST_F(HttpServer, an_answer_after_the_client_has_gone_is_harmless) {
  const uint16_t port = start();
  {
    Client client(port);
    client.send("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    for (bool held = false; !held;) {
      run([&] { held = !held_.empty(); });
    }
  }
  run([this] {
    held_[0].send({.body = std::string(3'000'000, 'y')});
    held_[0].send({.body = "twice"});
  });
  Client next(port);
  next.send("GET /hello/x HTTP/1.1\r\nHost: a\r\n\r\n");
  next.read_until("hello x");
  std::string text;
  run([&] { metrics_.write(text); });
  EXPECT_NE(text.find("quorate_http_requests_total{route=\"GET /hello/{name}\",status=\"2xx\"} 1"),
            std::string::npos)
      << text;
}

}  // namespace
}  // namespace quorate::edge::http
