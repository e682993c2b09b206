// SPDX-License-Identifier: Apache-2.0
#include "clients/cpp/connection.h"

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/beast/version.hpp>
#include <chrono>

#include "base/limits.h"

namespace quorate::client {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;

using Error = boost::system::error_code;

http::request<http::string_body> make_request(const Call& call, const std::string& node) {
  http::request<http::string_body> request;
  request.method_string(call.method);
  request.target(call.target);
  request.version(11);
  request.set(http::field::host, node);
  request.set(http::field::user_agent, "quorate-cpp");
  for (const auto& [name, value] : call.headers) {
    request.set(name, value);
  }
  request.body() = call.body;
  request.prepare_payload();
  return request;
}

Answer take_answer(http::response<http::string_body> response, const std::string& node) {
  Answer answer;
  answer.status = response.result_int();
  for (const auto& field : response) {
    answer.headers.emplace_back(std::string(field.name_string()), std::string(field.value()));
  }
  answer.body = std::move(response.body());
  answer.node = node;
  return answer;
}

// `Stream` is beast::tcp_stream, or the TLS stream over one.
template <class Stream>
class SocketConnection : public Connection {
 public:
  template <class... Args>
  SocketConnection(std::string node, Args&&... args)
      : node_(std::move(node)), stream_(loop_, std::forward<Args>(args)...) {}

  [[nodiscard]] bool usable() const override { return connected_; }

  [[nodiscard]] Attempt attempt(const Call& call, Duration timeout) override {
    Attempt attempt;
    const auto deadline =
        std::chrono::steady_clock::now() + std::chrono::nanoseconds(timeout.nanos());
    beast::get_lowest_layer(stream_).expires_at(deadline);
    if (!connected_) {
      if (const Error error = open(deadline)) {
        attempt.problem = "cannot connect: " + error.message();
        return attempt;
      }
      connected_ = true;
    }
    attempt.reached = Reached::kConnected;
    exchange(call, attempt);
    connected_ = attempt.reached == Reached::kAnswered && keep_alive_;
    return attempt;
  }

 protected:
  // Runs what was started until it has called back.
  template <class Start>
  Error wait(Start start) {
    Error result = asio::error::would_block;
    start([&result](const Error& error, auto&&...) { result = error; });
    loop_.restart();
    loop_.run();
    return result;
  }

  virtual Error handshake() { return {}; }

  asio::io_context loop_;
  const std::string node_;
  Stream stream_;

 private:
  Error open(std::chrono::steady_clock::time_point deadline) {
    const size_t colon = node_.rfind(':');
    Error error = asio::error::invalid_argument;
    if (colon == std::string::npos) {
      return error;
    }
    tcp::resolver resolver(loop_);
    const auto found = resolver.resolve(node_.substr(0, colon), node_.substr(colon + 1), error);
    if (error) {
      return error;
    }
    auto& lowest = beast::get_lowest_layer(stream_);
    lowest.expires_at(deadline);
    error = wait([&](auto done) { lowest.async_connect(found, std::move(done)); });
    if (error) {
      return error;
    }
    lowest.socket().set_option(tcp::no_delay(true), error);
    return handshake();
  }

  void exchange(const Call& call, Attempt& attempt) {
    const auto request = make_request(call, node_);
    // Once the first byte is under way, the node may have acted on the request.
    attempt.reached = Reached::kSent;
    Error error =
        wait([&](auto done) { http::async_write(stream_, request, std::move(done)); });
    http::response_parser<http::string_body> parser;
    parser.body_limit(limits::kRequestBytesMax * 4);
    parser.skip(call.method == "HEAD");
    // Also after a failed write: the server may have refused a large body before its end.
    const Error failed =
        wait([&](auto done) { http::async_read(stream_, buffer_, parser, std::move(done)); });
    if (failed) {
      error = error ? error : failed;
      attempt.problem = "the connection was lost: " + error.message();
      return;
    }
    keep_alive_ = !error && parser.keep_alive();
    attempt.reached = Reached::kAnswered;
    attempt.answer = take_answer(parser.release(), node_);
  }

  beast::flat_buffer buffer_;
  bool connected_ = false;
  bool keep_alive_ = false;
};

using Plain = SocketConnection<beast::tcp_stream>;

class Tls final : public SocketConnection<asio::ssl::stream<beast::tcp_stream>> {
 public:
  Tls(const std::string& node, std::shared_ptr<asio::ssl::context> context)
      : SocketConnection(node, *context), context_(std::move(context)) {}

 private:
  Error handshake() override {
    std::string host = node_.substr(0, node_.rfind(':'));
    if (SSL_ctrl(stream_.native_handle(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                 host.data()) != 1 ||
        SSL_set1_host(stream_.native_handle(), host.c_str()) != 1) {
      return asio::error::invalid_argument;
    }
    return wait([this](auto done) {
      stream_.async_handshake(asio::ssl::stream_base::client, std::move(done));
    });
  }

  std::shared_ptr<asio::ssl::context> context_;
};

class Unusable final : public Connection {
 public:
  explicit Unusable(std::string problem) : problem_(std::move(problem)) {}
  [[nodiscard]] Attempt attempt(const Call&, Duration) override {
    Attempt attempt;
    attempt.problem = problem_;
    return attempt;
  }
  [[nodiscard]] bool usable() const override { return false; }

 private:
  std::string problem_;
};

std::shared_ptr<asio::ssl::context> make_context(const Options& options, Error& error) {
  auto context = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_client);
  context->set_verify_mode(asio::ssl::verify_peer, error);
  if (options.tls_authority.empty()) {
    context->set_default_verify_paths(error);
  } else {
    context->load_verify_file(options.tls_authority, error);
  }
  if (!error && !options.tls_certificate.empty()) {
    context->use_certificate_chain_file(options.tls_certificate, error);
  }
  if (!error && !options.tls_key.empty()) {
    context->use_private_key_file(options.tls_key, asio::ssl::context::pem, error);
  }
  return context;
}

}  // namespace

std::unique_ptr<Connection> make_connection(const Options& options, const std::string& node) {
  if (!options.tls) {
    return std::make_unique<Plain>(node);
  }
  Error error;
  std::shared_ptr<asio::ssl::context> context = make_context(options, error);
  if (error) {
    return std::make_unique<Unusable>("TLS: " + error.message());
  }
  return std::make_unique<Tls>(node, std::move(context));
}

}  // namespace quorate::client
