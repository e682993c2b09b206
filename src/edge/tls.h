// SPDX-License-Identifier: Apache-2.0
// Tls: the certificate that a listener shows and the authority whose clients it lets in.
#pragma once

#include <memory>
#include <string>

#include "base/status.h"

namespace boost::asio::ssl {
class context;
}

namespace quorate::edge {

struct TlsFiles {
  std::string certificate;        // PEM, with its chain
  std::string key;                // PEM
  std::string client_authority;   // PEM; if set, a client must show a certificate signed by it

  [[nodiscard]] bool enabled() const { return !certificate.empty(); }
};

// TLS 1.2 and later. Fails with what is wrong with which file.
[[nodiscard]] Result<std::shared_ptr<boost::asio::ssl::context>> load_tls(const TlsFiles& files);

}  // namespace quorate::edge
