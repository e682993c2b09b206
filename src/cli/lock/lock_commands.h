// SPDX-License-Identifier: Apache-2.0
// The commands of "quorate lock", one function per row of its table. Internal to the folder.
#pragma once

#include <boost/json/object.hpp>
#include <string>
#include <string_view>

#include "cli/session.h"

namespace quorate::cli {

// lock_look.cc
[[nodiscard]] Exit lock_list(Session& session);
[[nodiscard]] Exit lock_info(Session& session);
[[nodiscard]] Exit lock_owner(Session& session);
[[nodiscard]] Exit lock_stats(Session& session);
[[nodiscard]] Exit lock_watch(Session& session);

// lock_hold.cc
[[nodiscard]] Exit lock_acquire(Session& session);
[[nodiscard]] Exit lock_release(Session& session);
[[nodiscard]] Exit lock_break(Session& session);

// lock_run.cc
[[nodiscard]] Exit lock_run(Session& session);

// "/v1/locks/NAME/VERB", with --domain.
[[nodiscard]] std::string lock_target(const Session& session, std::string_view name,
                                      std::string_view verb = {});
[[nodiscard]] std::string owner_target(const Session& session, std::string_view owner,
                                       std::string_view verb = {});
// Of an acquire, from the flags; without the owner. kInvalidArgument for flags that exclude each
// other.
[[nodiscard]] Result<boost::json::object> acquire_body(const Session& session);
// As Session::fail; a lock that was not to be had is a refusal, however it was refused.
[[nodiscard]] Exit fail_to_take(Session& session, const Status& status);
// This process, as nobody else is called.
[[nodiscard]] std::string new_owner();

}  // namespace quorate::cli
