// SPDX-License-Identifier: Apache-2.0
// COMMAND and its subcommands: the table of commands, told to clients that route by it and to tools
// that help people type.
#pragma once

#include "edge/resp/session/command.h"

namespace quorate::edge::resp {

void run_command(Client& client, Arguments arguments, Reply& reply);
void run_command_count(Client& client, Arguments arguments, Reply& reply);
void run_command_info(Client& client, Arguments arguments, Reply& reply);
void run_command_docs(Client& client, Arguments arguments, Reply& reply);
void run_command_list(Client& client, Arguments arguments, Reply& reply);
void run_command_getkeys(Client& client, Arguments arguments, Reply& reply);
void run_command_getkeysandflags(Client& client, Arguments arguments, Reply& reply);

}  // namespace quorate::edge::resp
