// SPDX-License-Identifier: Apache-2.0
// Permit: which rights a command or query needs over which keys, and whether a caller has them.
#pragma once

#include "base/caller.h"
#include "base/status.h"
#include "service/kv/commands.h"

namespace quorate::service::kv {

// What is answered must be readable, what is changed writable. Ok if `caller` is null.
[[nodiscard]] Status permit(const Caller* caller, const Command& command);
[[nodiscard]] Status permit(const Caller* caller, const Query& query);
// To write the lock that it names.
[[nodiscard]] Status permit(const Caller* caller, const Fence& fence);

// The same, without making a variant unless there is somebody to ask about.
template <class Verb>
[[nodiscard]] Status permit(const Caller* caller, const Verb& verb) {
  if (caller == nullptr) {
    return Status::success();
  }
  if constexpr (requires { Query(verb); }) {
    return permit(caller, Query(verb));
  } else {
    return permit(caller, Command(verb));
  }
}

}  // namespace quorate::service::kv
