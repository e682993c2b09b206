// SPDX-License-Identifier: Apache-2.0
// quorate restore: what a plan says, put into a cluster.
#pragma once

#include "cli/session.h"

namespace quorate::cli {

[[nodiscard]] Exit restore(Session& session);

}  // namespace quorate::cli
