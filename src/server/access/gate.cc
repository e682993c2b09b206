// SPDX-License-Identifier: Apache-2.0
#include "server/access/gate.h"

#include "server/access/secrets.h"

namespace quorate::server {
namespace {

namespace meta = service::meta;

constexpr size_t kRememberedMax = 10'000;

// For users that do not exist, so that the time of an answer does not tell who does.
constexpr std::string_view kNobodysHash =
    "scrypt$14$8$1$AAAAAAAAAAAAAAAAAAAAAA==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

Status wrong_credentials() {
  return {Code::kUnauthenticated, "no such user or token, or a wrong secret"};
}

std::string key_of(meta::PrincipalKind kind, std::string_view name) {
  return std::string(1, static_cast<char>(kind)).append(name);
}

}  // namespace

std::optional<TokenParts> parse_token(std::string_view token) {
  if (!token.starts_with(kTokenPrefix)) {
    return std::nullopt;
  }
  token.remove_prefix(kTokenPrefix.size());
  const size_t at = token.rfind('_');
  if (at == std::string_view::npos || at == 0) {
    return std::nullopt;
  }
  return TokenParts{token.substr(0, at), token.substr(at + 1)};
}

std::string make_token(std::string_view name, std::string_view secret) {
  return std::string(kTokenPrefix).append(name).append("_").append(secret);
}

CallerRef caller_of(const meta::Principal& principal, const meta::State& state) {
  std::vector<Caller::Grant> grants;
  for (const meta::Grant& grant : principal.grants) {
    Caller::Grant made;
    made.service = static_cast<uint8_t>(grant.service);
    made.prefix = grant.prefix;
    made.rights = grant.rights;
    made.every_scope = grant.scope == "*" || grant.service == service::ServiceId::kNode;
    const bool is_default = grant.scope.empty() || grant.scope == Caller::kDefaultScopeName;
    if (!made.every_scope && !is_default) {
      const auto object = state.object(grant.service, grant.scope);
      if (!object) {
        continue;  // grants nothing until it exists
      }
      made.scope = object->id;
    }
    grants.push_back(std::move(made));
  }
  return std::make_shared<const Caller>(principal.name, std::move(grants));
}

NodeGate::NodeGate(const Parts& parts, std::string_view root_token)
    : parts_(parts),
      root_hash_(root_token.empty() ? "" : hash_token(root_token)),
      root_(std::make_shared<const Caller>(
          "root", std::vector<Caller::Grant>{{Caller::kEveryService, true, 0, "", rights::kAll}})),
      salt_(random_bytes(32)) {}

void NodeGate::note(std::string_view caller, std::string_view peer, std::string_view deed,
                    std::string_view outcome) {
  parts_.audit.note({caller, peer, deed, outcome});
}

const NodeGate::Known* NodeGate::find(Kind kind, const std::string& name) {
  const meta::State* const state = parts_.placement.state();
  if (state == nullptr) {
    return nullptr;
  }
  const std::string key = key_of(kind, name);
  const auto at = known_.find(key);
  if (at != known_.end() && at->second.generation == state->map().generation) {
    return &at->second;
  }
  const std::optional<meta::Principal> principal = state->principal(kind, name);
  if (!principal) {
    known_.erase(key);
    return nullptr;
  }
  if (known_.size() >= kRememberedMax) {
    known_.clear();
  }
  Known& fresh = known_[key];
  fresh = {state->map().generation, caller_of(*principal, *state), principal->hash,
           principal->expires_at};
  return &fresh;
}

void NodeGate::admit(const edge::Credentials& credentials, std::string_view peer, Admitted done) {
  if (credentials.user.empty()) {
    done(admit_token(credentials.secret));
  } else if (parts_.placement.state() == nullptr) {
    done(Status(Code::kUnavailable, "this node does not know the cluster's users yet"));
  } else {
    admit_user(credentials, peer, std::move(done));
  }
}

Result<CallerRef> NodeGate::admit_token(std::string_view token) {
  const std::string whole = hash_token(token);
  if (!root_hash_.empty() && equal_in_constant_time(whole, root_hash_)) {
    return root_;
  }
  const std::optional<TokenParts> parts = parse_token(token);
  if (!parts) {
    return wrong_credentials();
  }
  if (parts_.placement.state() == nullptr) {
    return Status(Code::kUnavailable, "this node does not know the cluster's tokens yet");
  }
  const Known* const known = find(Kind::kToken, std::string(parts->name));
  if (known == nullptr || !equal_in_constant_time(hash_token(parts->secret), known->hash)) {
    return wrong_credentials();
  }
  if (known->expires_at <= parts_.clock.wall()) {
    return Status(Code::kUnauthenticated, "the token has expired");
  }
  return known->caller;
}

void NodeGate::admit_user(const edge::Credentials& credentials, std::string_view, Admitted done) {
  const Known* const known = find(Kind::kUser, credentials.user);
  const std::string hash = known == nullptr ? std::string(kNobodysHash) : known->hash;
  const std::string fingerprint = fingerprint_of(credentials);
  const auto remembered = verified_.find(fingerprint);
  if (known != nullptr && remembered != verified_.end() && remembered->second == hash) {
    done(known->caller);
    return;
  }
  // `done` is needed on both ways out.
  auto shared = std::make_shared<Admitted>(std::move(done));
  const bool taken = parts_.passwords.check(
      credentials.secret, hash,
      [this, shared, hash, fingerprint, user = credentials.user](bool matches) {
        const Known* const now = find(Kind::kUser, user);  // it may have changed meanwhile
        if (!matches || now == nullptr || now->hash != hash) {
          (*shared)(wrong_credentials());
          return;
        }
        if (verified_.size() >= kRememberedMax) {
          verified_.clear();
        }
        verified_[fingerprint] = hash;
        (*shared)(now->caller);
      });
  if (!taken) {
    (*shared)(Status(Code::kResourceExhausted, "too many passwords are being checked; try later"));
  }
}

std::string NodeGate::fingerprint_of(const edge::Credentials& credentials) const {
  return sha256(salt_ + std::to_string(credentials.user.size()) + ":" + credentials.user +
                credentials.secret);
}

}  // namespace quorate::server
