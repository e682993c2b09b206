// SPDX-License-Identifier: Apache-2.0
#include "clients/cpp/connection.h"

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/beast/version.hpp>
#include <chrono>

#include "base/limits.h"
#include "base/text.h"

namespace quorate::client {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;

using Error = boost::system::error_code;

// "::1" of "[::1]:8001": brackets are for people and URLs.
std::string host_of(const std::string& node) {
  const std::string host = node.substr(0, node.rfind(':'));
  return host.size() > 2 && host.front() == '[' && host.back() == ']'
             ? host.substr(1, host.size() - 2)
             : host;
}

// Of the Authorization header; empty: none.
std::string credentials_of(const Options& options) {
  if (!options.token.empty()) {
    return "Bearer " + options.token;
  }
  return options.user.empty() ? ""
                              : "Basic " + base64_encode(options.user + ":" + options.password);
}

http::request<http::string_body> make_request(const Call& call, const std::string& node,
                                              const std::string& credentials) {
  http::request<http::string_body> request;
  request.method_string(call.method);
  request.target(call.target);
  request.version(11);
  request.set(http::field::host, node);
  request.set(http::field::user_agent, "quorate-cpp");
  if (!credentials.empty()) {
    request.set(http::field::authorization, credentials);
  }
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

// The alerts by which a server ends a handshake over the client's certificate, or the lack of one.
bool refuses_certificate(const Error& error) {
  if (error.category() != asio::error::get_ssl_category()) {
    return false;
  }
  const int alert =
      ERR_GET_REASON(static_cast<unsigned long>(error.value())) - SSL_AD_REASON_OFFSET;
  return (alert >= SSL_AD_BAD_CERTIFICATE && alert <= SSL_AD_CERTIFICATE_UNKNOWN) ||
         alert == SSL_AD_HANDSHAKE_FAILURE || alert == SSL_AD_UNKNOWN_CA ||
         alert == SSL_AD_ACCESS_DENIED || alert == SSL_AD_CERTIFICATE_REQUIRED;
}

// Of one who waits for a node that may be gone.
constexpr std::chrono::seconds kBetweenLooks(2);

// `Stream` is beast::tcp_stream, or the TLS stream over one.
template <class Stream>
class SocketConnection : public Connection {
 public:
  template <class... Args>
  SocketConnection(std::string node, std::string credentials, Args&&... args)
      : node_(std::move(node)),
        credentials_(std::move(credentials)),
        stream_(loop_, std::forward<Args>(args)...) {}

  [[nodiscard]] bool usable() const override { return connected_; }

  [[nodiscard]] Attempt attempt(const Call& call, Duration timeout, const OnPiece* piece) override {
    Attempt attempt;
    timeout_ = timeout;
    const auto deadline =
        std::chrono::steady_clock::now() + std::chrono::nanoseconds(timeout.nanos());
    beast::get_lowest_layer(stream_).expires_at(deadline);
    if (!connected_) {
      if (const Error error = open(deadline)) {
        attempt.distrust = error.category() == asio::error::get_ssl_category();
        attempt.problem = (attempt.distrust ? "TLS: " : "cannot connect: ") + error.message();
        return attempt;
      }
      connected_ = true;
    }
    attempt.reached = Reached::kConnected;
    exchange(call, attempt, piece);
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
  // As wait(), for as long as there is hope.
  template <class Start>
  Error wait_in_hope(Start start) {
    Error result = asio::error::would_block;
    start([&result](const Error& error, auto&&...) { result = error; });
    loop_.restart();
    while (loop_.run_for(kBetweenLooks), result == asio::error::would_block) {
      if (!hope_()) {
        beast::get_lowest_layer(stream_).cancel();
        loop_.run();
        return result ? Error(asio::error::timed_out) : result;
      }
    }
    return result;
  }

  virtual Error handshake() { return {}; }

  asio::io_context loop_;
  const std::string node_;
  const std::string credentials_;
  Stream stream_;

 private:
  using Parser = http::response_parser<http::string_body>;

  Error open(std::chrono::steady_clock::time_point deadline) {
    const size_t colon = node_.rfind(':');
    Error error = asio::error::invalid_argument;
    if (colon == std::string::npos) {
      return error;
    }
    tcp::resolver resolver(loop_);
    const auto found = resolver.resolve(host_of(node_), node_.substr(colon + 1), error);
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

  void exchange(const Call& call, Attempt& attempt, const OnPiece* piece) {
    const auto request = make_request(call, node_, credentials_);
    // Once the first byte is under way, the node may have acted on the request.
    attempt.reached = Reached::kSent;
    Error error = wait([&](auto done) { http::async_write(stream_, request, std::move(done)); });
    Parser parser;
    parser.body_limit(limits::kRequestBytesMax * 4);
    parser.skip(call.method == "HEAD");
    // Also after a failed write: the server may have refused a large body before its end.
    const Error failed = piece == nullptr ? read_all(parser, call) : read_pieces(parser, *piece);
    if (failed) {
      error = error && !refuses_certificate(failed) ? error : failed;
      if (refuses_certificate(error)) {
        // In TLS 1.3 a client may write before it hears that the server does not want it.
        attempt.reached = Reached::kConnected;
        attempt.distrust = true;
        attempt.problem = "TLS: " + error.message();
        return;
      }
      attempt.hopeless = call.waits && failed == asio::error::timed_out;
      attempt.problem = "the connection was lost: " + error.message();
      return;
    }
    keep_alive_ = !error && parser.keep_alive();
    attempt.reached = Reached::kAnswered;
    attempt.answer = take_answer(parser.release(), node_);
  }

  Error read_all(Parser& parser, const Call& call) {
    const auto read = [&](auto done) {
      http::async_read(stream_, buffer_, parser, std::move(done));
    };
    return call.waits && hope_ ? wait_in_hope(read) : wait(read);
  }

  Error read_pieces(Parser& parser, const OnPiece& piece) {
    parser.body_limit(boost::none);
    while (!parser.is_done()) {
      beast::get_lowest_layer(stream_).expires_after(std::chrono::nanoseconds(timeout_.nanos()));
      const Error error = wait(
          [&](auto done) { http::async_read_some(stream_, buffer_, parser, std::move(done)); });
      std::string& body = parser.get().body();
      const bool is_good = parser.is_header_done() && parser.get().result_int() < 400;
      if (is_good && !body.empty() && !piece(std::exchange(body, {}))) {
        return asio::error::operation_aborted;
      }
      if (error) {
        return error;
      }
    }
    return {};
  }

  beast::flat_buffer buffer_;
  Duration timeout_;
  bool connected_ = false;
  bool keep_alive_ = false;
};

using Plain = SocketConnection<beast::tcp_stream>;

class Tls final : public SocketConnection<asio::ssl::stream<beast::tcp_stream>> {
 public:
  Tls(const std::string& node, std::string credentials, std::shared_ptr<asio::ssl::context> context)
      : SocketConnection(node, std::move(credentials), *context), context_(std::move(context)) {}

 private:
  Error handshake() override {
    if (!expect_host(host_of(node_))) {
      return asio::error::invalid_argument;
    }
    return wait([this](auto done) {
      stream_.async_handshake(asio::ssl::stream_base::client, std::move(done));
    });
  }

  // The certificate must be for this host: a name, or an address, which no SNI may carry.
  bool expect_host(std::string host) {
    SSL* const tls = stream_.native_handle();
    Error no_address;
    (void)asio::ip::make_address(host, no_address);
    if (!no_address) {
      return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls), host.c_str()) == 1;
    }
    return SSL_ctrl(tls, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, host.data()) ==
               1 &&
           SSL_set1_host(tls, host.c_str()) == 1;
  }

  std::shared_ptr<asio::ssl::context> context_;
};

class Unusable final : public Connection {
 public:
  explicit Unusable(std::string problem) : problem_(std::move(problem)) {}
  [[nodiscard]] Attempt attempt(const Call&, Duration, const OnPiece*) override {
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
    return std::make_unique<Plain>(node, credentials_of(options));
  }
  Error error;
  std::shared_ptr<asio::ssl::context> context = make_context(options, error);
  if (error) {
    return std::make_unique<Unusable>("TLS: " + error.message());
  }
  return std::make_unique<Tls>(node, credentials_of(options), std::move(context));
}

}  // namespace quorate::client
