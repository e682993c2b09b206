// SPDX-License-Identifier: Apache-2.0
#include "os/tls.h"

#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <string>

namespace quorate::os {

namespace ssl = boost::asio::ssl;

Result<std::shared_ptr<ssl::context>> make_tls(const TlsFiles& files) {
  const auto context = std::make_shared<ssl::context>(ssl::context::tls);
  SSL_CTX_set_min_proto_version(context->native_handle(), TLS1_3_VERSION);
  // Links last long: resuming a session saves nothing and would skip the check of the certificate.
  SSL_CTX_set_session_cache_mode(context->native_handle(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context->native_handle(), 0);
  boost::system::error_code error;
  const auto failed = [&error](const std::string& what, const std::string& file) {
    return Status(Code::kInvalidArgument, what + " " + file + ": " + error.message());
  };
  context->set_verify_mode(ssl::verify_peer | ssl::verify_fail_if_no_peer_cert, error);
  if (!error) {
    context->load_verify_file(files.authority, error);
  }
  if (error) {
    return failed("certificate authority", files.authority);
  }
  context->use_certificate_chain_file(files.certificate, error);
  if (error) {
    return failed("certificate", files.certificate);
  }
  context->use_private_key_file(files.key, ssl::context::pem, error);
  if (error) {
    return failed("private key", files.key);
  }
  return context;
}

bool certificate_names(SSL* connection, NodeId node) {
  X509* const certificate = ::SSL_get1_peer_certificate(connection);
  if (certificate == nullptr) {
    return false;
  }
  const std::string name = "node-" + std::to_string(node.value());
  const int matches = ::X509_check_host(
      certificate, name.data(), name.size(),
      X509_CHECK_FLAG_ALWAYS_CHECK_SUBJECT | X509_CHECK_FLAG_NO_WILDCARDS, nullptr);
  ::X509_free(certificate);
  return matches == 1;
}

}  // namespace quorate::os
