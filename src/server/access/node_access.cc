// SPDX-License-Identifier: Apache-2.0
#include "server/access/node_access.h"

#include "server/access/gate.h"
#include "server/access/secrets.h"

namespace quorate::server {

namespace meta = service::meta;
using edge::http::AccessPage;

namespace {

constexpr size_t kTokenBytes = 32;
constexpr uint32_t kPageMax = 100;

Status not_yet() { return {Code::kUnavailable, "this node does not know the cluster's users yet"}; }

// Names stand in tokens, headers ("user:password") and the audit log.
Status check_name(std::string_view name) {
  const bool plain = !name.empty() && name.size() <= 64 &&
                     name.find_first_not_of(
                         "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                         ".-_@") == std::string_view::npos;
  return plain && name != "root"
             ? Status::success()
             : Status(Code::kInvalidArgument,
                      "a name has from 1 to 64 letters, digits and .-_@ and is not root");
}

}  // namespace

void NodeAccess::propose(const meta::Command& command, UniqueFunction<void(Status)> done) {
  parts_.placement.propose(command, [done = std::move(done)](const meta::Answer& answer) mutable {
    done(answer.ok() ? Status::success() : answer.status());
  });
}

void NodeAccess::list(Kind kind, const std::string& after,
                      UniqueFunction<void(Result<AccessPage>)> done) {
  meta::ListPrincipals query;
  query.kind = kind;
  query.after = after;
  query.limit = kPageMax;
  meta_.query(
      query, {}, [done = std::move(done)](meta::Answer answer, const service::Origin&) mutable {
        const auto* found = answer.ok() ? std::get_if<meta::PrincipalList>(&*answer) : nullptr;
        if (found == nullptr) {
          done(answer.ok() ? Status(Code::kInternal, "an answer to another question")
                           : answer.status());
          return;
        }
        done(AccessPage{found->principals, found->more});
      });
}

void NodeAccess::put_user(const std::string& name, const std::string& password,
                          const Grants& grants, UniqueFunction<void(Status)> done) {
  if (const Status status = check_name(name); !status.ok()) {
    done(status);
    return;
  }
  meta::Principal principal;
  principal.kind = Kind::kUser;
  principal.name = name;
  principal.grants = grants;
  if (password.empty()) {
    const meta::State* const state = parts_.placement.state();
    const auto known = state == nullptr ? std::nullopt : state->principal(Kind::kUser, name);
    if (!known) {
      done(state == nullptr ? not_yet()
                            : Status(Code::kInvalidArgument, "a new user needs a password"));
      return;
    }
    principal.hash = known->hash;
    propose(meta::PutPrincipal{principal}, std::move(done));
    return;
  }
  if (password.size() < kPasswordBytesMin || password.size() > kPasswordBytesMax) {
    done(Status(Code::kInvalidArgument, "a password has from 8 to 1024 bytes"));
    return;
  }
  auto shared = std::make_shared<UniqueFunction<void(Status)>>(std::move(done));
  const bool taken = parts_.passwords.hash(password, [this, shared, principal](
                                                         const Result<std::string>& hash) mutable {
    if (!hash.ok()) {
      (*shared)(hash.status());
      return;
    }
    principal.hash = *hash;
    propose(meta::PutPrincipal{principal}, [shared](const Status& status) { (*shared)(status); });
  });
  if (!taken) {
    (*shared)(Status(Code::kResourceExhausted, "too many passwords are being checked; try later"));
  }
}

void NodeAccess::create_token(const std::string& name, const Grants& grants, Duration ttl,
                              UniqueFunction<void(Result<std::string>)> done) {
  if (const Status status = check_name(name); !status.ok()) {
    done(status);
    return;
  }
  const meta::State* const state = parts_.placement.state();
  if (state == nullptr || state->principal(Kind::kToken, name)) {
    done(state == nullptr ? not_yet()
                          : Status(Code::kAlreadyExists,
                                   "there is a token of that name; revoke "
                                   "it first"));
    return;
  }
  const std::string secret = hex(random_bytes(kTokenBytes));
  meta::Principal principal;
  principal.kind = Kind::kToken;
  principal.name = name;
  principal.hash = hash_token(secret);
  principal.grants = grants;
  if (ttl > Duration()) {
    principal.expires_at = parts_.clock.wall() + ttl;
  }
  propose(meta::PutPrincipal{principal},
          [token = make_token(name, secret), done = std::move(done)](const Status& status) mutable {
            done(status.ok() ? Result<std::string>(token) : Result<std::string>(status));
          });
}

void NodeAccess::remove(Kind kind, const std::string& name, UniqueFunction<void(Status)> done) {
  propose(meta::DeletePrincipal{kind, name}, std::move(done));
}

edge::http::AuditHead NodeAccess::audit() {
  if (parts_.audit == nullptr) {
    return {};
  }
  return {true, parts_.audit->lines(), parts_.audit->chain()};
}

}  // namespace quorate::server
