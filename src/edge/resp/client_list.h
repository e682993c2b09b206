// SPDX-License-Identifier: Apache-2.0
// CLIENT LIST, CLIENT INFO and CLIENT KILL: the connections of this node.
#pragma once

#include "edge/resp/session/command.h"

namespace quorate::edge::resp {

void run_client_list(Client& client, Arguments arguments, Reply& reply);
void run_client_info(Client& client, Arguments arguments, Reply& reply);
void run_client_kill(Client& client, Arguments arguments, Reply& reply);

}  // namespace quorate::edge::resp
