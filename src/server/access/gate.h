// SPDX-License-Identifier: Apache-2.0
// NodeGate: the gate of a node's listeners. Users and tokens are read from this node's own copy of
// the meta group, so that a check asks nobody and goes on when the cluster does not; a change is
// known here as soon as the copy has it.
//
//   "qt_<name>_<secret>"    a token
//   user and password       checked by the worker; the last ones that were right are remembered, as
//                           long as the user's hash stays as it is
//   the root token          of a file of this machine; may do everything, for the first user and
//                           for when the others are lost
#pragma once

#include <optional>
#include <string>
#include <unordered_map>

#include "edge/gate.h"
#include "env/clock.h"
#include "node/placement.h"
#include "server/access/audit.h"
#include "server/access/password_worker.h"
#include "service/meta/types.h"

namespace quorate::server {

inline constexpr std::string_view kTokenPrefix = "qt_";

// Null: it could not be read.
struct TokenParts {
  std::string_view name;
  std::string_view secret;
};
[[nodiscard]] std::optional<TokenParts> parse_token(std::string_view token);
[[nodiscard]] std::string make_token(std::string_view name, std::string_view secret);

class NodeGate final : public edge::Gate {
 public:
  // All must outlive it. `root_token` may be empty: there is none.
  struct Parts {
    const env::Clock& clock;
    node::Placement& placement;
    PasswordWorker& passwords;
    Audit& audit;
  };
  NodeGate(const Parts& parts, std::string_view root_token);

  void admit(const edge::Credentials& credentials, std::string_view peer, Admitted done) override;
  void note(std::string_view caller, std::string_view peer, std::string_view deed,
            std::string_view outcome) override;

 private:
  using Kind = service::meta::PrincipalKind;
  struct Known {
    uint64_t generation = 0;  // of the map that it was made from
    CallerRef caller;
    std::string hash;
    Stamp expires_at;
  };

  // Of the meta state's newest generation; null if there is none of that name.
  [[nodiscard]] const Known* find(Kind kind, const std::string& name);
  [[nodiscard]] Result<CallerRef> admit_token(std::string_view token);
  void admit_user(const edge::Credentials& credentials, std::string_view peer, Admitted done);
  [[nodiscard]] std::string fingerprint_of(const edge::Credentials& credentials) const;

  Parts parts_;
  std::string root_hash_;
  CallerRef root_;
  const std::string salt_;                                 // of the fingerprints of this process
  std::unordered_map<std::string, Known> known_;           // by kind and name
  std::unordered_map<std::string, std::string> verified_;  // fingerprint: the hash it fitted
};

// "kv", "app/" and so on as the gate sees it; scopes by their ids.
[[nodiscard]] CallerRef caller_of(const service::meta::Principal& principal,
                                  const service::meta::State& state);

}  // namespace quorate::server
