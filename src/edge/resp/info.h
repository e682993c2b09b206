// SPDX-License-Identifier: Apache-2.0
// INFO: what a node says of itself, in the sections and fields that Redis's clients and tools read.
#pragma once

#include "edge/resp/session/command.h"

namespace quorate::edge::resp {

// Needs the number of keys, which all groups have to be asked for.
void start_info(Client& client, Arguments arguments, Ticket ticket);

}  // namespace quorate::edge::resp
