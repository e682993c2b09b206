// SPDX-License-Identifier: Apache-2.0
// Gate: turns what a client shows into a Caller, or refuses it; the same for every protocol.
//
// Where a listener has no gate, access is not controlled and there are no callers.
#pragma once

#include <string>
#include <string_view>

#include "base/caller.h"
#include "base/function.h"
#include "base/status.h"

namespace quorate::edge {

struct Credentials {
  std::string user;  // empty: `secret` is a token
  std::string secret;

  [[nodiscard]] bool none() const { return user.empty() && secret.empty(); }
};

class Gate {
 public:
  using Admitted = UniqueFunction<void(Result<CallerRef>)>;
  virtual ~Gate() = default;

  // Unauthenticated if they stand for nobody; tokens answer inside the call, a password that was
  // not seen before is checked elsewhere. `peer` is "address:port", for the audit log.
  virtual void admit(const Credentials& credentials, std::string_view peer, Admitted done) = 0;
  // For the audit log: what somebody did or tried that changes or concerns the cluster itself.
  virtual void note(std::string_view caller, std::string_view peer, std::string_view deed,
                    std::string_view outcome) = 0;
};

}  // namespace quorate::edge
