// SPDX-License-Identifier: Apache-2.0
#include "sim/workloads/fenced.h"

#include <algorithm>
#include <iterator>

#include "service/kv/commands.h"

namespace quorate::sim {

namespace kv = service::kv;

void Fenced::write(LockDoor& via, const LockKey& lock, Token token) {
  Resource& resource = resources_[lock];
  resource.sent = std::max(resource.sent, token);
  const std::string key = "guarded-" + std::to_string(lock.first) + "-" + lock.second;
  const std::string value = std::to_string(token.value());
  via.kv().write(kv::Put{.key = key, .value = value},
                 {.timeout = Duration::seconds(1),
                  .fence = {service::DomainId(lock.first), lock.second, token}},
                 [this, lock, token](const Status& status, const kv::Written& written,
                                     const service::Origin&) {
                   if (status.ok()) {
                     on_written(lock, token, written.revision);
                   } else if (status.code() == Code::kPreconditionFailed) {
                     on_refused(lock, token);
                   }
                 });
}

void Fenced::on_written(const LockKey& lock, Token token, Revision revision) {
  world_.count("lock_fenced_write");
  std::map<Revision, Token>& written = resources_[lock].written;
  const auto here = written.emplace(revision, token).first;
  const bool follows = here == written.begin() || std::prev(here)->second <= token;
  const bool leads = std::next(here) == written.end() || token <= std::next(here)->second;
  if ((!follows || !leads) && complaint_.empty()) {
    complaint_ = "the token " + std::to_string(token.value()) + " of " + lock.second +
                 " wrote after a greater one, at revision " + std::to_string(revision.value());
  }
}

void Fenced::on_refused(const LockKey& lock, Token token) {
  world_.count("lock_fenced_off");
  if (token >= resources_[lock].sent && complaint_.empty()) {
    complaint_ = "the token " + std::to_string(token.value()) + " of " + lock.second +
                 " was refused, and is the newest";
  }
}

}  // namespace quorate::sim
