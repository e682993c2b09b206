// SPDX-License-Identifier: Apache-2.0
// Certificates: an authority of the cluster's own, and what it signs, as PEM files:
//
//   ca.pem, ca.key             the authority; the key need not be on any node
//   node-N.pem, node-N.key     one node, named "node-N" and by its hosts; as server and as client
//   client-NAME.pem, .key      a client
//
// Keys are on the curve P-256 and readable by their owner only. Nothing that is there is written
// over: a name is signed once.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"

namespace quorate::server {

inline constexpr int kAuthorityDays = 3650;
inline constexpr int kCertificateDays = 825;

// Makes the authority unless it is there already. `directory` is made too.
[[nodiscard]] Status ensure_authority(const std::string& directory);

struct CertificateRequest {
  std::string file;                // without its ending: "node-1"
  std::string name;                // the common name, also one of the hosts
  std::vector<std::string> hosts;  // DNS names and addresses
  bool server = false;             // else for clients only
};
[[nodiscard]] Status make_certificate(const std::string& directory,
                                      const CertificateRequest& request);

// "node-1.pem  node-1  localhost 127.0.0.1  until 2028-03-01", for people.
[[nodiscard]] Result<std::string> describe_certificate(const std::string& file);

}  // namespace quorate::server
