// SPDX-License-Identifier: Apache-2.0
// Users, tokens and what they may do, over HTTP: /access/...
//
// A grant is {"service", "scope", "prefix", "rights"}: rights over names that begin with the
// prefix, in one keyspace or the like ("scope"), of one service or, without it, of all. Secrets go
// in, and a new token goes out once; hashes never do.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/function.h"
#include "base/status.h"
#include "base/time.h"
#include "edge/http/wire/router.h"
#include "service/meta/types.h"

namespace quorate::edge::http {

struct AccessPage {
  std::vector<service::meta::Principal> principals;
  bool more = false;
};

struct AuditHead {
  bool on = false;
  uint64_t lines = 0;
  std::string chain = {};
};

// server implements it.
class AccessAdmin {
 public:
  using Kind = service::meta::PrincipalKind;
  using Grants = std::vector<service::meta::Grant>;
  virtual ~AccessAdmin() = default;

  virtual void list(Kind kind, const std::string& after,
                    UniqueFunction<void(Result<AccessPage>)> done) = 0;
  // Without a password the user keeps the one there is.
  virtual void put_user(const std::string& name, const std::string& password, const Grants& grants,
                        UniqueFunction<void(Status)> done) = 0;
  // The token itself, which nobody can tell again.
  virtual void create_token(const std::string& name, const Grants& grants, Duration ttl,
                            UniqueFunction<void(Result<std::string>)> done) = 0;
  virtual void remove(Kind kind, const std::string& name, UniqueFunction<void(Status)> done) = 0;
  [[nodiscard]] virtual AuditHead audit() = 0;
};

// `access` must outlive the router.
void bind_access(AccessAdmin& access, Router& router);

}  // namespace quorate::edge::http
