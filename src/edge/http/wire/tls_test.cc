// SPDX-License-Identifier: Apache-2.0
// HTTP under TLS, with a certificate made on the spot.
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "edge/http/wire/server.h"

namespace quorate::edge::http {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

class SteadyClock final : public env::Clock {
 public:
  [[nodiscard]] Instant now() const override {
    return Instant::from_nanos(std::chrono::steady_clock::now().time_since_epoch().count());
  }
  [[nodiscard]] Stamp wall() const override { return Stamp::from_millis(1'700'000'000'000); }
};

// A key and a certificate that it signed itself, good for an hour.
void write_certificate(const std::string& certificate_file, const std::string& key_file) {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* certificate = X509_new();
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
  X509_set_pubkey(certificate, key);
  X509_NAME* name = X509_get_subject_name(certificate);
  const auto* text = reinterpret_cast<const unsigned char*>("localhost");
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, text, -1, -1, 0);
  X509_set_issuer_name(certificate, name);
  X509_sign(certificate, key, EVP_sha256());
  FILE* out = fopen(certificate_file.c_str(), "w");
  PEM_write_X509(out, certificate);
  fclose(out);
  out = fopen(key_file.c_str(), "w");
  PEM_write_PrivateKey(out, key, nullptr, nullptr, 0, nullptr, nullptr);
  fclose(out);
  X509_free(certificate);
  EVP_PKEY_free(key);
}

class HttpsServer : public testing::Test {
 protected:
  // Tests run beside each other: each has a directory of its own.
  HttpsServer() : directory_(testing::TempDir() + "/quorate-https-XXXXXX") {
    EXPECT_NE(mkdtemp(directory_.data()), nullptr);
    certificate_ = directory_ + "/certificate.pem";
    key_ = directory_ + "/key.pem";
    write_certificate(certificate_, key_);
    router_.add({.method = Method::kGet, .pattern = "/secret"},
                [](const Request&, Responder responder) {
                  responder.send({.body = std::string(300'000, 's')});
                });
  }
  ~HttpsServer() override {
    loop_.stop();
    if (thread_.joinable()) {
      thread_.join();
    }
    server_.reset();
    std::filesystem::remove_all(directory_);
  }

  uint16_t start(const std::string& client_authority = {}) {
    server_ = std::make_unique<Server>(loop_, clock_, router_, ServerOptions(), nullptr);
    ListenOptions options;
    options.tls = {certificate_, key_, client_authority};
    const Result<uint16_t> port = server_->listen(options);
    EXPECT_TRUE(port.ok()) << port.status().to_string();
    thread_ = std::thread([this] { loop_.run(); });
    return *port;
  }

  // The whole answer to one request, or the error's text.
  std::string fetch(uint16_t port, bool show_certificate) {
    asio::io_context io;
    asio::ssl::context context(asio::ssl::context::tls_client);
    context.load_verify_file(certificate_);
    context.set_verify_mode(asio::ssl::verify_peer);
    if (show_certificate) {
      context.use_certificate_chain_file(certificate_);
      context.use_private_key_file(key_, asio::ssl::context::pem);
    }
    asio::ssl::stream<tcp::socket> stream(io, context);
    boost::system::error_code error;
    stream.next_layer().connect({asio::ip::address_v4::loopback(), port}, error);
    stream.handshake(asio::ssl::stream_base::client, error);
    if (error) {
      return "handshake: " + error.message();
    }
    const std::string request = "GET /secret HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    asio::write(stream, asio::buffer(request), error);
    std::string answer;
    asio::read(stream, asio::dynamic_buffer(answer), error);
    return answer.empty() ? "read: " + error.message() : answer;
  }

  std::string directory_;
  std::string certificate_;
  std::string key_;
  SteadyClock clock_;
  Router router_;
  asio::io_context loop_{1};
  std::unique_ptr<Server> server_;
  std::thread thread_;
};

TEST_F(HttpsServer, answers_a_client_that_trusts_its_certificate) {
  const std::string answer = fetch(start(), false);
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK")) << answer.substr(0, 100);
  EXPECT_TRUE(answer.ends_with(std::string(300'000, 's')));
}

TEST_F(HttpsServer, lets_in_only_clients_of_its_authority_if_it_has_one) {
  const uint16_t port = start(certificate_);
  EXPECT_TRUE(fetch(port, true).starts_with("HTTP/1.1 200 OK"));
  EXPECT_FALSE(fetch(port, false).starts_with("HTTP/1.1"));
}

// And not left to wait for a handshake that the client knows nothing of.
TEST_F(HttpsServer, a_client_that_speaks_no_tls_hears_so_in_the_clear_and_nothing_else) {
  const uint16_t port = start();
  for (const char* asked : {"GET /secret HTTP/1.1\r\nHost: a\r\n\r\n", "*1\r\n$4\r\nPING\r\n"}) {
    asio::io_context io;
    tcp::socket socket(io);
    socket.connect({asio::ip::address_v4::loopback(), port});
    asio::write(socket, asio::buffer(std::string(asked)));
    std::string answer;
    boost::system::error_code error;
    asio::read(socket, asio::dynamic_buffer(answer), error);
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 400 ")) << answer;
    EXPECT_NE(answer.find("this port speaks TLS"), std::string::npos) << answer;
    EXPECT_EQ(answer.find("sss"), std::string::npos) << "nothing is served in the clear";
  }
  EXPECT_TRUE(fetch(port, false).starts_with("HTTP/1.1 200 OK")) << "others are served";
}

TEST_F(HttpsServer, says_which_file_is_wrong) {
  const TlsFiles wrong[] = {{directory_ + "/none.pem", key_, ""},
                            {certificate_, "", ""},
                            {certificate_, certificate_, ""},
                            {certificate_, key_, directory_ + "/none.pem"}};
  for (const TlsFiles& files : wrong) {
    const auto loaded = load_tls(files);
    ASSERT_FALSE(loaded.ok());
    EXPECT_FALSE(loaded.status().message().empty());
  }
}

}  // namespace
}  // namespace quorate::edge::http
