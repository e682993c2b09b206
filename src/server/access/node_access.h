// SPDX-License-Identifier: Apache-2.0
// NodeAccess: users and tokens as commands to the meta group, their secrets hashed on the way.
#pragma once

#include <memory>
#include <string>

#include "edge/http/bind_access.h"
#include "env/clock.h"
#include "node/placement.h"
#include "server/access/audit.h"
#include "server/access/password_worker.h"
#include "service/meta/api.h"

namespace quorate::server {

class NodeAccess final : public edge::http::AccessAdmin {
 public:
  static constexpr size_t kPasswordBytesMin = 8;
  static constexpr size_t kPasswordBytesMax = 1024;

  // All must outlive it; `audit` is null where access is not controlled.
  struct Parts {
    const env::Clock& clock;
    node::Placement& placement;
    service::Proposer& proposer;
    PasswordWorker& passwords;
    const Audit* audit = nullptr;
  };
  explicit NodeAccess(const Parts& parts) : parts_(parts), meta_(parts.proposer) {}

  void list(Kind kind, const std::string& after,
            UniqueFunction<void(Result<edge::http::AccessPage>)> done) override;
  void put_user(const std::string& name, const std::string& password, const Grants& grants,
                UniqueFunction<void(Status)> done) override;
  void create_token(const std::string& name, const Grants& grants, Duration ttl,
                    UniqueFunction<void(Result<std::string>)> done) override;
  void remove(Kind kind, const std::string& name, UniqueFunction<void(Status)> done) override;
  [[nodiscard]] edge::http::AuditHead audit() override;

 private:
  void propose(const service::meta::Command& command, UniqueFunction<void(Status)> done);

  Parts parts_;
  service::meta::Api meta_;
};

}  // namespace quorate::server
