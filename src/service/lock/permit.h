// SPDX-License-Identifier: Apache-2.0
// Permit: which rights a command or query needs over which names, and whether a caller has them.
//
// Names of owners are names like those of locks: whoever may write "team-a/" acquires locks there
// for owners there. So nobody ends, cancels or releases for an owner of somebody else, although its
// name is shown to everybody who may read a lock that it holds.
#pragma once

#include "base/caller.h"
#include "base/status.h"
#include "service/lock/commands.h"

namespace quorate::service::lock {

// What is answered must be readable, what is changed writable; to break a lock takes the right to
// administer its name. Ok if `caller` is null.
[[nodiscard]] Status permit(const Caller* caller, const Command& command);
[[nodiscard]] Status permit(const Caller* caller, const Query& query);

}  // namespace quorate::service::lock
