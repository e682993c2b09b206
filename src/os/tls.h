// SPDX-License-Identifier: Apache-2.0
// TLS between nodes: both sides show a certificate of the cluster's authority, and a node with the
// number 7 is only believed if its certificate names it "node-7".
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <memory>

#include "base/ids.h"
#include "base/status.h"
#include "os/net.h"

namespace quorate::os {

[[nodiscard]] Result<std::shared_ptr<boost::asio::ssl::context>> make_tls(const TlsFiles& files);

// True if the certificate of the other side names this node: as a DNS name of the subject's
// alternatives, or as its common name.
[[nodiscard]] bool certificate_names(SSL* connection, NodeId node);

}  // namespace quorate::os
