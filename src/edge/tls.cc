// SPDX-License-Identifier: Apache-2.0
#include "edge/tls.h"

#include <boost/asio/ssl/context.hpp>

namespace quorate::edge {

namespace ssl = boost::asio::ssl;

Result<std::shared_ptr<ssl::context>> load_tls(const TlsFiles& files) {
  if (files.key.empty()) {
    return Status(Code::kInvalidArgument, "a TLS certificate needs its key file");
  }
  auto context = std::make_shared<ssl::context>(ssl::context::tls_server);
  boost::system::error_code error;
  const auto wrong = [&error](const std::string& file) {
    return Status(Code::kInvalidArgument, "TLS: " + file + ": " + error.message());
  };
  context->set_options(
      ssl::context::default_workarounds | ssl::context::no_tlsv1 | ssl::context::no_tlsv1_1, error);
  context->use_certificate_chain_file(files.certificate, error);
  if (error) {
    return wrong(files.certificate);
  }
  context->use_private_key_file(files.key, ssl::context::pem, error);
  if (error) {
    return wrong(files.key);
  }
  if (!files.client_authority.empty()) {
    context->load_verify_file(files.client_authority, error);
    if (error) {
      return wrong(files.client_authority);
    }
    context->set_verify_mode(ssl::verify_peer | ssl::verify_fail_if_no_peer_cert, error);
  }
  return context;
}

}  // namespace quorate::edge
